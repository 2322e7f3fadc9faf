"""A restart, however rough, loses no event: flora resumes its gateway session where it had come to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from flora.playground.demo import BOT_TOKEN, GARDEN, GARDEN_GENERAL, HUMAN_TOKENS
from tests.e2e.projects import Project
from tests.e2e.running import Flora, eventually, playground, running

ECHO = """
on("messageCreate", async (ctx) => {
    if (!ctx.msg.author.bot) await ctx.reply(`echo ${ctx.msg.content}`);
});
"""


def post(url: str, text: str) -> None:
    """Say `text` as ann, at the pace that the playground allows."""
    while True:
        answer = httpx.post(
            f"{url}/api/v10/channels/{GARDEN_GENERAL}/messages",
            headers={"authorization": f"Bot {HUMAN_TOKENS['ann']}"},
            json={"content": text},
            timeout=10,
        )
        if answer.status_code != 429:
            assert answer.status_code == 200, answer.text
            return
        time.sleep(answer.json()["retry_after"])


def echoes(url: str) -> list[str]:
    """What the bot said in the channel, oldest first."""
    found: list[dict[str, Any]] = []
    before: dict[str, str] = {}
    while True:
        page = httpx.get(
            f"{url}/api/v10/channels/{GARDEN_GENERAL}/messages",
            headers={"authorization": f"Bot {BOT_TOKEN}"},
            params={"limit": "100", **before},
            timeout=10,
        ).json()
        found += page
        if len(page) < 100:
            return [item["content"] for item in reversed(found) if item["author"].get("bot")]
        before = {"before": page[-1]["id"]}


@contextmanager
def host(url: str, data: Path) -> Iterator[Flora]:
    """Flora against a Discord that outlives it; only two base URLs differ from the real one."""
    with running(
        data,
        DISCORD_TOKEN=BOT_TOKEN,
        DISCORD_API_URL=f"{url}/api/v10",
        RUNTIME_GUILD_EVENT_CONCURRENCY="1",  # so that the answers have an order
    ) as flora:
        yield flora


def test_kill_9_under_load_loses_and_repeats_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    project = Project.write(tmp_path / "echo", main=ECHO)
    with playground(tmp_path / "playground") as url:
        with host(url, data) as flora:
            assert "playground" not in flora.urls, "with a token there is none"
            flora.deploy(GARDEN, project)
            for number in range(8):
                post(url, f"before {number}")
            eventually(lambda: len(echoes(url)) >= 2, "some are answered")
            flora.kill()  # with events in flight and in the mailbox
        for number in range(4):
            post(url, f"meanwhile {number}")
        with host(url, data):
            post(url, "after")
            expected = [
                *(f"echo before {number}" for number in range(8)),
                *(f"echo meanwhile {number}" for number in range(4)),
                "echo after",
            ]
            eventually(lambda: len(echoes(url)) >= len(expected), "all are answered", 60)
            assert echoes(url) == expected, "each once, in order"


def test_an_orderly_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with playground(tmp_path / "playground") as url:
        with host(url, data) as flora:
            flora.deploy(GARDEN, Project.write(tmp_path / "echo", main=ECHO))
            post(url, "one")
            eventually(lambda: echoes(url) == ["echo one"], "answered")
            flora.interrupt()
            assert flora.process.wait(10) == 0
        post(url, "two")
        with host(url, data) as flora:
            eventually(lambda: echoes(url) == ["echo one", "echo two"], "what came meanwhile", 30)
            assert "resum" in flora.output
