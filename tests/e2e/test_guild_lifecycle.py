"""Guilds that come and go, and scripts that listen to more than before: what flora does by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from flora.playground.demo import BOT_TOKEN, GARDEN, GREENHOUSE
from tests.e2e.projects import Project
from tests.e2e.running import Flora, eventually, playground, running

GREETER = """
on("messageCreate", async (ctx) => {
    if (ctx.msg.content === "!hi") await ctx.reply("hello");
});
"""
MEMBERS = """
on("guildMemberUpdate", (ctx) => { console.log("a member changed"); });
on("messageCreate", async (ctx) => {
    if (ctx.msg.content === "!hi") await ctx.reply("hello again");
});
"""
GUILD_MEMBERS = 1 << 1
MESSAGE_CONTENT = 1 << 15


@contextmanager
def host(url: str, data: Path, **more: str) -> Iterator[Flora]:
    with running(data, DISCORD_TOKEN=BOT_TOKEN, DISCORD_API_URL=f"{url}/api/v10", **more) as flora:
        yield flora


def control(url: str, path: str, **body: Any) -> None:
    httpx.post(f"{url}/playground/api{path}", json=body, timeout=10).raise_for_status()


def answers(url: str, guild: str, *, wait: float = 5.0) -> list[str]:
    """What the bot says to !hi; waits at most `wait` seconds."""
    body = {"text": "!hi", "guild": guild, "wait": wait}
    said = httpx.post(f"{url}/playground/api/say", json=body, timeout=30)
    return [answer["content"] for answer in said.json()["answers"]]


def logged(flora: Flora, text: str, count: int = 1) -> None:
    eventually(lambda: flora.output.count(text) >= count, text, 30)


def own_processes(flora: Flora) -> int:
    """Without PostgreSQL's, of which there are now more, now fewer."""
    return sum(not process.name().startswith("postgres") for process in flora.children())


def deployed(flora: Flora) -> set[str]:
    return {item["guild_id"] for item in flora.call("GET", "/deployments").json()["items"]}


def test_a_guild_that_is_left_stops_and_starts_again_when_the_bot_is_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    project = Project.write(tmp_path / "bot", main=GREETER)
    with playground(tmp_path / "playground") as url:
        with host(url, data) as flora:
            for guild in (GARDEN, GREENHOUSE):
                flora.deploy(guild, project)
            assert answers(url, "Garden") == ["hello"]
            processes = own_processes(flora)
            control(url, f"/guilds/{GARDEN}/bot", present=False)
            logged(flora, "guild was left")
            eventually(lambda: own_processes(flora) == processes - 1, "its process ended", 30)
            assert answers(url, "Greenhouse") == ["hello"], "nobody else is touched"
            assert deployed(flora) == {GARDEN, GREENHOUSE}, "the deployment is kept"
        with host(url, data) as flora:  # gone over a restart, too
            eventually(lambda: own_processes(flora) == processes - 1, "it did not start", 30)
            control(url, f"/guilds/{GARDEN}/bot", present=True)
            logged(flora, "guild is back")
            eventually(lambda: answers(url, "Garden", wait=1.0) == ["hello"], "it runs again", 20)
            flora.interrupt()
            assert flora.process.wait(10) == 0
        # What happens while flora is away comes with the resume.
        control(url, f"/guilds/{GREENHOUSE}/bot", present=False)
        with host(url, data) as flora:
            logged(flora, "guild was left", 2)
            control(url, f"/guilds/{GARDEN}/outage", unavailable=True)
            control(url, f"/guilds/{GARDEN}/outage", unavailable=False)
            eventually(lambda: answers(url, "Garden", wait=1.0) == ["hello"], "an outage is no farewell", 20)
            assert flora.output.count("guild was left") == 2


def test_a_guild_that_was_left_while_flora_was_away_for_long_is_noticed(tmp_path: Path) -> None:
    """Its session is over, so the news is lost; READY tells who is there."""
    data = tmp_path / "data"
    with playground(tmp_path / "playground") as url:
        with host(url, data) as flora:
            flora.deploy(GARDEN, Project.write(tmp_path / "bot", main=GREETER))
        control(url, f"/guilds/{GARDEN}/bot", present=False)
        control(url, "/faults/gateway", at="resume", action="invalid_session", resumable=False)
        with host(url, data) as flora:
            logged(flora, "guild was left")
            assert deployed(flora) == {GARDEN}


def test_after_the_retention_the_data_is_removed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with playground(tmp_path / "playground") as url:
        with host(url, data) as flora:
            for guild in (GARDEN, GREENHOUSE):
                flora.deploy(guild, Project.write(tmp_path / "bot", main=GREETER))
            control(url, f"/guilds/{GARDEN}/bot", present=False)
            logged(flora, "guild was left")
        with host(url, data) as flora:
            assert deployed(flora) == {GARDEN, GREENHOUSE}, "thirty days are not over"
        with host(url, data, DATA_RETENTION_DAYS="0") as flora:
            logged(flora, "guild data removed")
            assert deployed(flora) == {GREENHOUSE}
            assert flora.call("GET", f"/deployments/{GARDEN}/history").json()["items"] == []


def test_a_script_that_listens_to_more_gets_it_without_a_gap(tmp_path: Path) -> None:
    with playground(tmp_path / "playground") as url, host(url, tmp_path / "data") as flora:
        [before] = sessions(url)
        assert not before["intents"] & GUILD_MEMBERS
        flora.deploy(GARDEN, Project.write(tmp_path / "bot", main=MEMBERS))
        eventually(lambda: all(each["intents"] & GUILD_MEMBERS for each in sessions(url)), "identified", 30)
        assert answers(url, "Garden") == ["hello again"]
        headers = {"authorization": f"Bot {BOT_TOKEN}"}
        nick = httpx.patch(
            f"{url}/api/v10/guilds/{GARDEN}/members/@me", json={"nick": "gardener"}, headers=headers
        )
        assert nick.status_code == 200
        eventually(lambda: "a member changed" in flora.guild_log(GARDEN), "the event came")


def test_a_privileged_intent_that_is_not_switched_on_is_named_to_who_needs_it(tmp_path: Path) -> None:
    with playground(tmp_path / "playground") as url:
        control(url, "/settings", allowed_privileged=MESSAGE_CONTENT)
        with host(url, tmp_path / "data") as flora:
            flora.deploy(GARDEN, Project.write(tmp_path / "bot", main=MEMBERS))
            assert answers(url, "Garden") == ["hello again"], "the rest works"
            text = eventually(
                lambda: log if "Server Members Intent" in (log := flora.guild_log(GARDEN)) else None, "told"
            )
            assert "developer portal" in text


def test_several_shards_serve_their_guilds(tmp_path: Path) -> None:
    with (
        playground(tmp_path / "playground") as url,
        host(url, tmp_path / "data", DISCORD_SHARDS="3") as flora,
    ):
        assert sorted(each["shard"] for each in sessions(url)) == [[0, 3], [1, 3], [2, 3]]
        for guild, name in ((GARDEN, "Garden"), (GREENHOUSE, "Greenhouse")):
            flora.deploy(guild, Project.write(tmp_path / "bot", main=GREETER))
            assert answers(url, name) == ["hello"]


def sessions(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{url}/playground/api/faults", timeout=10).json()["gateway"]
    return [each for each in found if each["user"] == "flora"]
