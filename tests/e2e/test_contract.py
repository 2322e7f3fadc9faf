"""flora and its playground speak as Discord's OpenAPI description says, in every request, answer and payload.

What scripts may ask of Discord is held against it op by op in tests/ops; here it is what really passes
between the two: the start, the commands, events, answers to people, faults and all.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import httpx

from flora.playground.demo import BOT_TOKEN, GARDEN
from tests import openapi
from tests.e2e.projects import Project
from tests.e2e.running import eventually, playground, running

SCRIPT = """
createBot({
    slashCommands: [{ name: "hi", description: "Say hi", run: (ctx) => ctx.reply("hello") }],
});
on("messageCreate", async (ctx) => {
    if (ctx.msg.author.bot) return;
    if (ctx.msg.content === "!all") {
        await ctx.reply({ content: "an embed", embeds: [{ title: "Roses", description: "red" }] });
        await ctx.reply("done");
    }
});
"""
EXPECTED = {
    "request": {
        "POST /channels",
        "PUT /applications",
        "GET /gateway",
        "GET /applications",
        "POST /interactions",
    },
    "dispatch": {"READY", "GUILD_CREATE", "MESSAGE_CREATE", "INTERACTION_CREATE", "CHANNEL_CREATE"},
}


def test_everything_that_passes_between_them_is_as_described(tmp_path: Path) -> None:
    openapi.description()  # skips without it, fails in CI
    record = tmp_path / "contract.jsonl"
    with playground(
        tmp_path / "playground", module="tests.e2e.checked_playground", FLORA_CONTRACT=str(record)
    ) as url:
        api = f"{url}/api/v10"
        shown = {"DISCORD_STATUS": "idle", "DISCORD_ACTIVITY": "in the garden"}
        with running(tmp_path / "data", DISCORD_TOKEN=BOT_TOKEN, DISCORD_API_URL=api, **shown) as flora:
            flora.deploy(GARDEN, Project.write(tmp_path / "bot", main=SCRIPT))
            control = f"{url}/playground/api"
            said = httpx.post(f"{control}/say", json={"text": "!all", "wait": 10}, timeout=30).json()
            assert said["answers"][0]["content"] == "an embed"
            used = eventually(lambda: answer(control, "/hi"), "the command is registered")
            assert used == "hello"
            [connection] = httpx.get(f"{control}/faults", timeout=10).json()["gateway"]
            assert connection["status"] == "idle"
            assert "in the garden" in json.dumps(connection["activities"])
            headers = {"authorization": f"Bot {BOT_TOKEN}"}
            made = httpx.post(f"{api}/guilds/{GARDEN}/channels", json={"name": "beds"}, headers=headers)
            assert made.status_code == 201
            for body in ({"action": "drop"}, {"action": "invalid_session"}):
                httpx.post(f"{control}/faults/gateway", json=body).raise_for_status()
                eventually(lambda: connected(control), "connected again", 20)
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    wrong = [line for line in lines if line["problems"]]
    assert wrong == []
    seen = Counter(kind_of(line) for line in lines)
    for kind, names in EXPECTED.items():
        for name in names:
            assert seen[kind, name], (kind, name, seen)


def answer(control: str, text: str) -> str | None:
    said = httpx.post(f"{control}/say", json={"text": text, "wait": 5}, timeout=30)
    if said.status_code != 200:  # not registered yet
        return None
    answers = said.json()["answers"]
    return str(answers[0]["content"]) if answers else None


def connected(control: str) -> bool:
    gateway = httpx.get(f"{control}/faults", timeout=10).json()["gateway"]
    return any(each["session_id"] for each in gateway)


def kind_of(line: dict[str, str]) -> tuple[str, str]:
    """A request by its method and the first part of its path."""
    if line["kind"] == "dispatch":
        return line["kind"], line["what"]
    method, path = line["what"].split(" ")[:2]
    return line["kind"], f"{method} /{path.split('/')[1]}"
