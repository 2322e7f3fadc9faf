"""discord.py, unmodified but for its addresses, takes the playground for Discord.

It runs in a process of its own on asyncio; what it saw comes back as JSON lines on its standard output.
"""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest

from flora.playground import BOT_TOKEN, HUMAN_TOKENS, PlaygroundInfo, demo

from .foreign import Foreign, foreign

SCRIPT = Path(__file__).parent / "foreign_bot.py"


def discord_py(info: PlaygroundInfo, token: str, role: str) -> AbstractAsyncContextManager[Foreign]:
    return foreign([sys.executable, str(SCRIPT), info.rest_url, token, role])


async def test_it_logs_in_receives_and_answers(info: PlaygroundInfo, control: httpx.AsyncClient) -> None:
    async with discord_py(info, BOT_TOKEN, "bot") as client:
        ready = await client.saw("ready")
        assert ready["user"] == "flora"
        assert sorted(ready["guilds"]) == ["Garden", "Greenhouse"]
        said = await control.post("/say", json={"text": "!ping a b", "wait": 20})
        assert [each["content"] for each in said.json()["answers"]] == ["pong (a b)"]
        assert (await client.saw("message"))["content"] == "!ping a b"


async def test_it_registers_and_answers_a_slash_command(
    info: PlaygroundInfo, control: httpx.AsyncClient
) -> None:
    async with discord_py(info, BOT_TOKEN, "bot") as client:
        await client.saw("ready")
        said = await control.post("/say", json={"text": "/hello name:ann", "wait": 20})
        [answer] = said.json()["answers"]
        assert (answer["content"], answer["flags"]) == ("hello ann", 64)
        said = await control.post("/say", json={"text": "/menu", "wait": 20})
        [panel] = said.json()["answers"]
        [row] = panel["components"]
        click = {"message_id": panel["id"], "custom_id": row["components"][0]["custom_id"]}
        assert (await control.post("/component", json=click)).status_code == 200
        assert (await client.saw("clicked"))["user"] == "ann"


@pytest.mark.slow
async def test_it_survives_every_way_to_lose_the_connection_and_misses_nothing(
    info: PlaygroundInfo, control: httpx.AsyncClient
) -> None:
    async with discord_py(info, BOT_TOKEN, "bot") as client:
        await client.saw("ready")
        for number, fault in enumerate(
            (
                {"action": "reconnect"},
                {"action": "close", "code": 4000},
                {"action": "close", "code": 4009},
                {"action": "invalid_session", "resumable": True},
            )
        ):
            await control.post("/faults/gateway", json=fault)
            await control.post("/say", json={"text": f"number {number}"})
            seen = await client.saw_each("message", "resumed")
            assert seen["message"]["content"] == f"number {number}"
        await control.post("/faults/gateway", json={"action": "invalid_session", "resumable": False})
        await client.saw("ready")


async def test_a_human_writes_with_it(info: PlaygroundInfo, control: httpx.AsyncClient) -> None:
    async with discord_py(info, HUMAN_TOKENS["ann"], "human") as client:
        assert (await client.saw("ready"))["user"] == "ann"
        await client.saw("sent")
        history = await control.get(f"/channels/{demo.GARDEN_GENERAL}/messages?user=ben")
        assert [(each["author"]["username"], each["content"]) for each in history.json()] == [
            ("ann", "!ping a b")
        ]


@pytest.mark.slow
async def test_it_waits_for_the_rate_limit(limited: PlaygroundInfo) -> None:
    async with discord_py(limited, BOT_TOKEN, "flood") as client:
        await client.saw("ready")
        assert (await client.saw("flooded"))["sent"] == 7
