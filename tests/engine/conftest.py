"""Real engines for the tests of this folder: a fork server, guild processes, and a host that records."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from flora.config import RuntimeConfig
from flora.engine.api import Dispatch, LogLevel, Manifest, OpCall, Script, ScriptFault
from flora.engine.host import Engine
from flora.engine.limits import EngineOptions
from flora.engine.process import SealedProcess
from flora.ids import GuildId

# As much of an SDK as the engine's own promises need: `on`, `op`, typed errors.
SDK = """
(host) => {
  'use strict';
  const handlers = new Map();
  class KvError extends Error { get name() { return 'KvError'; } }
  host.defineError('KvError', KvError);
  const listens = () => [...handlers.keys()];
  globalThis.on = (name, handler, commands) => {
    handlers.set(name, handler);
    host.declare({ listens: listens(), commands });
  };
  globalThis.op = host.op;
  globalThis.KvError = KvError;
  globalThis.guildId = () => host.guildId;
  globalThis.hostLog = host.log;
  return { dispatch: (name, payload, meta) => handlers.get(name)?.(payload, meta) };
}
"""
GUILD = GuildId("81384788765712384")


@dataclass
class RecordingHost:
    """Answers `echo`, `slow`, `fail` and `never`; remembers everything it is told."""

    answer: Callable[[OpCall], Any] | None = None
    calls: list[OpCall] = field(default_factory=list)
    lines: list[tuple[LogLevel, str, str | None]] = field(default_factory=list)
    faults: list[tuple[ScriptFault, str]] = field(default_factory=list)
    manifests: list[Manifest] = field(default_factory=list)

    async def op(self, call: OpCall) -> bytes:
        self.calls.append(call)
        if self.answer is not None:
            answer = await self.answer(call)
            assert isinstance(answer, bytes)
            return answer
        return call.args

    def log(self, level: LogLevel, text: str, event_id: str | None) -> None:
        self.lines.append((level, text, event_id))

    def fault(self, fault: ScriptFault, origin: str) -> None:
        self.faults.append((fault, origin))

    def declared(self, manifest: Manifest) -> None:
        self.manifests.append(manifest)

    def texts(self) -> list[str]:
        return [text for _, text, _ in self.lines]


@asynccontextmanager
async def running_engine(
    *, options: EngineOptions | None = None, sdk: str = SDK, deadline: float = 60, **config: Any
) -> AsyncIterator[Engine]:
    """An engine for the time of the block, which must not take longer than `deadline` seconds."""
    engine = Engine(RuntimeConfig(**config), sdk, options=options)
    with trio.fail_after(deadline):
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            try:
                yield engine
            finally:
                nursery.cancel_scope.cancel()


async def start(engine: Engine, code: str, host: RecordingHost | None = None) -> SealedProcess:
    """A guild process that has loaded `code`."""
    process = await engine.spawn(GUILD, host or RecordingHost())
    await process.load(Script(f"file:///guild/{GUILD}/bundle.js", code), timeout_secs=10)
    return process


def event(
    name: str = "A", payload: bytes = b"{}", *, event_id: str = "e-1", wall_secs: float = 10
) -> Dispatch:
    return Dispatch(name, payload, event_id, wall_secs=wall_secs)


async def eventually(condition: Callable[[], bool], *, deadline: float = 10) -> None:
    """Until `condition` holds. Raises TooSlowError."""
    with trio.fail_after(deadline):
        while not condition():
            await trio.sleep(0.01)


def exists(pid: int) -> bool:
    """Whether the process lives; one that has ended and waits to be reaped does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
