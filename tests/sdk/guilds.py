"""Guilds for the specifications: a script in a real guild process, and a host that writes everything down."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from flora.engine.api import Dispatch, GuildProcess, LogLevel, Manifest, OpCall, OpError, Script, ScriptFault
from flora.engine.host import Engine
from flora.ids import GuildId
from flora.ops.table import OpContext, run_op
from flora.storage.kv import GuildKv

GUILD = "900"
Op = tuple[str, Any]
Answer = Any  # the op's result, an OpError, or a function from its arguments to one of them


class RecordingHost:
    """Answers ops from a table (null for the others) and keeps what the script asked, logged and declared.

    With `kv` the ops on it are flora's own.
    """

    def __init__(self, answers: Mapping[str, Answer], kv: GuildKv | None = None) -> None:
        self.answers = dict(answers)
        self.kv = kv
        self.ops: list[Op] = []
        self.logs: list[tuple[str, str]] = []
        self.faults: list[ScriptFault] = []
        self.declarations: list[Manifest] = []
        self._news = trio.Event()

    async def until(self, there: Callable[[], object]) -> None:
        """Wait for what the script does outside a dispatch, at most half a minute."""
        with trio.fail_after(30):
            while not there():
                await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def op(self, call: OpCall) -> bytes:
        args = json.loads(call.args)
        self.ops.append((call.name, args))
        if self.kv is not None and call.name.startswith("kv_"):
            nobody: Any = None
            return await run_op(OpContext(GuildId(GUILD), "1", nobody, nobody, nobody, self.kv), call)
        answer = self.answers.get(call.name)
        if callable(answer):
            answer = answer(args)
        if isinstance(answer, OpError):
            raise answer
        return json.dumps(answer).encode()

    def log(self, level: LogLevel, text: str, event_id: str | None) -> None:
        self.logs.append((str(level), text))
        self._tell()

    def fault(self, fault: ScriptFault, origin: str) -> None:
        self.faults.append(fault)
        self._tell()

    def declared(self, manifest: Manifest) -> None:
        self.declarations.append(manifest)
        self._tell()


@dataclass
class Guild:
    """A script that has loaded."""

    process: GuildProcess
    host: RecordingHost
    manifest: Manifest
    _events: int = field(default=0)

    async def dispatch(self, name: str, payload: Any, *, attempt: int = 1) -> list[Op]:
        """Let an event happen and return the ops that its handlers asked for. Raises HandlerError."""
        before = len(self.host.ops)
        self._events += 1
        event_id = f"event-{self._events}"
        await self.process.dispatch(
            Dispatch(name, json.dumps(payload).encode(), event_id, attempt, wall_secs=30)
        )
        return self.host.ops[before:]

    @property
    def commands(self) -> Any:
        return None if self.manifest.commands is None else json.loads(self.manifest.commands)

    async def declaration(self) -> Manifest:
        """What the script declares next."""
        await self.host.until(lambda: self.host.declarations)
        return self.host.declarations.pop(0)

    async def fault(self) -> ScriptFault:
        await self.host.until(lambda: self.host.faults)
        return self.host.faults.pop(0)


@asynccontextmanager
async def guild(
    engine: Engine, script: str, answers: Mapping[str, Answer] | None = None, *, kv: GuildKv | None = None
) -> AsyncIterator[Guild]:
    """A guild that runs `script`. Raises ScriptLoadError."""
    host = RecordingHost(answers or {}, kv)
    with trio.fail_after(30):
        process = await engine.spawn(GuildId(GUILD), host)
        try:
            manifest = await process.load(Script(f"file:///guild/{GUILD}/bundle.js", script), timeout_secs=10)
            yield Guild(process, host, manifest)
        finally:
            process.kill("the test is over")
            with trio.CancelScope(shield=True), trio.move_on_after(5):
                await process.wait()


async def values(engine: Engine, expressions: Sequence[str]) -> list[Any]:
    """What JavaScript expressions come to, as JSON; an error as "Name: message"."""
    script = (
        "const show = (make) => { try { return make(); } catch (e) { return `${e.name}: ${e.message}`; } };\n"
    )
    script += "\n".join(f"console.log(JSON.stringify([show(() => ({each}))]));" for each in expressions)
    async with guild(engine, script) as running:
        await running.host.until(lambda: len(running.host.logs) == len(expressions))
        return [json.loads(text)[0] for _, text in running.host.logs]


def message(content: str = "", **more: Any) -> dict[str, Any]:
    """A MESSAGE_CREATE as Discord sends it."""
    author = {"id": "44", "username": "ann", "discriminator": "0", "global_name": "Ann", "avatar": None}
    return {
        "id": "10",
        "channel_id": "20",
        "guild_id": GUILD,
        "content": content,
        "author": author,
        "member": {
            "roles": ["55"],
            "joined_at": "2024-01-01T00:00:00+00:00",
            "deaf": False,
            "mute": False,
            "flags": 0,
        },
        **more,
    }


def interaction(type_: int, data: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """An INTERACTION_CREATE as Discord sends it: type 2 command, 3 component, 4 autocomplete, 5 modal."""
    return {
        "id": "1",
        "token": "tok",
        "type": type_,
        "version": 1,
        "application_id": "2",
        "guild_id": GUILD,
        "channel_id": "20",
        "locale": "en-US",
        "guild_locale": "en-US",
        "app_permissions": "8",
        "member": {
            "user": {
                "id": "44",
                "username": "ann",
                "discriminator": "0",
                "global_name": None,
                "avatar": None,
            },
            "roles": ["55"],
            "permissions": "8192",
            "joined_at": "2024-01-01T00:00:00+00:00",
        },
        "data": dict(data),
        **more,
    }


def slash(name: str, *options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    data = {"id": "9", "name": name, "type": 1, "options": list(options), **more}
    return interaction(2, data)


def press(custom_id: str, **more: Any) -> dict[str, Any]:
    """A button on message 77."""
    data = {"custom_id": custom_id, "component_type": 2}
    return interaction(3, data, message={"id": "77", "channel_id": "20", "content": "press me"}, **more)


def sent(args: Mapping[str, Any]) -> dict[str, Any]:
    """How Discord answers a new message."""
    return {"id": "500", "channel_id": args["channelId"], "content": args.get("content", "")}
