"""`examples/basic` as it is built and deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flora.build.bundle import build_project
from flora.build.sdk import SOURCE_DIR
from flora.engine.host import Engine
from flora.storage.kv import GuildKv

from .guilds import guild, message, slash

BASIC = SOURCE_DIR.parent / "examples" / "basic"


async def test_basic(engine: Engine, tmp_path: Path) -> None:
    bundle = await build_project(BASIC, "src/main.ts")
    assert "src/commands/ping.ts" in bundle.source_map
    async with GuildKv.open(tmp_path / "kv") as kv, guild(engine, bundle.code, kv=kv) as bot:
        assert bot.manifest.listens == {"MESSAGE_CREATE", "INTERACTION_CREATE"}
        assert [command["name"] for command in bot.commands] == ["hello", "counter"]

        async def answer(name: str, payload: dict[str, Any]) -> Any:
            [*_, (_, args)] = await bot.dispatch(name, payload)
            return args["content"] + (" (ephemeral)" if args.get("ephemeral") else "")

        assert await answer("MESSAGE_CREATE", message("!ping")) == "pong"
        assert await answer("MESSAGE_CREATE", message("!ping a  b")) == "pong (a b)"
        bo = {"name": "name", "type": 3, "value": "Bo"}
        assert await answer("INTERACTION_CREATE", slash("hello")) == "Hello, world! (ephemeral)"
        assert await answer("INTERACTION_CREATE", slash("hello", bo)) == "Hello, Bo! (ephemeral)"
        said = [
            await answer("INTERACTION_CREATE", slash("counter", {"name": sub, "type": 1}))
            for sub in ("get", "increment", "increment", "get", "reset", "get")
        ]
        assert said == (
            [
                "Current count: 0",
                "Count is now: 1",
                "Count is now: 2",
                "Current count: 2",
                "Counter reset to 0",
                "Current count: 0",
            ]
        )
