"""hikari and discord.js, unmodified but for their addresses, take the playground for Discord.

discord.js is installed from the npm registry, once for all tests, at the version below.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest

from flora.playground import BOT_TOKEN, PlaygroundInfo

from .foreign import Foreign, foreign

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
DISCORD_JS = "14.28.1"
INSTALL_SECS = 180


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with discord.js in it; skips without Node or npm registry, except in CI."""
    folder = tmp_path_factory.mktemp("discord_js")
    (folder / "package.json").write_text(
        json.dumps({"private": True, "dependencies": {"discord.js": DISCORD_JS}})
    )
    npm = shutil.which("npm")
    reason = "discord.js needs Node.js and npm"
    if npm is not None:
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECS,
            check=False,
        )
        if done.returncode == 0:
            return folder
        reason = f"npm cannot install discord.js: {done.stderr[-300:]}"
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(params=["hikari", "discord.js"])
def start(request: pytest.FixtureRequest, info: PlaygroundInfo) -> AbstractAsyncContextManager[Foreign]:
    """The client as a bot, not yet started."""
    if request.param == "hikari":
        return foreign([sys.executable, str(HERE / "foreign_hikari.py"), info.rest_url, BOT_TOKEN])
    folder: Path = request.getfixturevalue("node_folder")
    node = shutil.which("node")
    assert node is not None
    return foreign([node, str(HERE / "foreign_discord_js.mjs"), info.rest_url, BOT_TOKEN], cwd=folder)


async def test_it_logs_in_receives_and_answers(
    start: AbstractAsyncContextManager[Foreign], control: httpx.AsyncClient
) -> None:
    async with start as client:
        ready = await client.saw("ready")
        assert ready["user"] == "flora"
        assert sorted(ready["guilds"]) == ["Garden", "Greenhouse"]
        said = await control.post("/say", json={"text": "!ping a b", "wait": 20}, timeout=40)
        assert [each["content"] for each in said.json()["answers"]] == ["pong (a b)"]
        assert (await client.saw("message"))["content"] == "!ping a b"


async def test_it_registers_and_answers_slash_commands_and_buttons(
    start: AbstractAsyncContextManager[Foreign], control: httpx.AsyncClient
) -> None:
    async with start as client:
        await client.saw("ready")
        said = await control.post("/say", json={"text": "/hello name:ann", "wait": 20}, timeout=40)
        [answer] = said.json()["answers"]
        assert (answer["content"], answer["flags"] & 64) == ("hello ann", 64)
        said = await control.post("/say", json={"text": "/menu", "wait": 20}, timeout=40)
        [panel] = said.json()["answers"]
        [row] = panel["components"]
        click = {"message_id": panel["id"], "custom_id": row["components"][0]["custom_id"]}
        assert (await control.post("/component", json=click)).status_code == 200
        assert (await client.saw("clicked"))["user"] == "ann"


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "reconnect"},
        {"action": "close", "code": 4000},
        {"action": "invalid_session", "resumable": True},
    ],
    ids=lambda fault: str(fault["action"]),
)
async def test_it_survives_a_forced_reconnect_with_a_resume_and_misses_nothing(
    start: AbstractAsyncContextManager[Foreign], control: httpx.AsyncClient, fault: dict[str, object]
) -> None:
    async with start as client:
        await client.saw("ready")
        await control.post("/faults/gateway", json=fault)
        await control.post("/say", json={"text": "while it was away"})
        seen = await client.saw_each("message", "resumed")
        assert seen["message"]["content"] == "while it was away"
