"""Does this build of the engine work on this machine? Asked once, when the engine starts.

Each stage tries what a fallback exists for, with real guild processes through the normal path:
fork and garbage collection, promise jobs and timers, the soft interrupt.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import trio

from flora.engine.api import (
    Dispatch,
    EngineError,
    LogLevel,
    Manifest,
    OpCall,
    OpError,
    ProcessDiedError,
    Script,
    ScriptFault,
    ScriptLoadError,
)
from flora.engine.process import SealedProcess
from flora.engine.protocol import Ready

T = TypeVar("T")

_STAGE_SECS: Final = 10.0  # generous: a busy machine must not look broken
_LOOP_SECS: Final = 0.05

# 40 MB of garbage in small pieces: several minor and at least one major collection.
_GARBAGE: Final = """
let kept = [];
for (let round = 0; round < 40; round++) {
  kept = [];
  for (let i = 0; i < 5000; i++) kept.push({ i, text: 'x'.repeat(i % 100), list: [i, i] });
}
if (kept.length !== 5000) throw new Error('lost objects');
"""
_AWAITS: Final = """
let sum = 0;
for (let i = 0; i < 1000; i++) sum += await Promise.resolve(i);
await new Promise((resolve) => setTimeout(resolve, 1));
if (sum !== 499500) throw new Error('wrong sum');
"""
_LOOP: Final = "for (;;) {}"


class Stage(enum.StrEnum):
    FORK = "fork"
    COLLECT = "collect"
    AWAIT = "await"
    INTERRUPT = "interrupt"


class SelfTestError(EngineError):
    """`stage` did not work. The message says how."""

    code = "ENGINE_SELF_TEST_FAILED"

    def __init__(self, stage: Stage, reason: str) -> None:
        super().__init__(f"self-test {stage}: {reason}")
        self.stage = stage


@dataclass(frozen=True, slots=True)
class Rungs:
    """Where the engine stands on each ladder; the first value is the best one."""

    fork: str = "prepared"
    jobs: str = "internal"
    interrupt: str = "soft"
    jit: str = "auto"

    def below(self, stage: Stage) -> Rungs | None:
        """The next attempt after `stage` failed, None when nothing is left."""
        match stage:
            case Stage.INTERRUPT if self.interrupt == "soft":
                return replace(self, interrupt="kill")
            case Stage.AWAIT if self.jobs == "internal":
                return replace(self, jobs="micro_loop")
            case _ if self.fork == "prepared":
                return replace(self, fork="init_after")
            case _ if self.jobs == "internal":
                return replace(self, jobs="micro_loop")
            case _ if self.jit != "off":
                return replace(self, jit="off")
        return None


class SilentHost:
    """A GuildHost for processes that nobody owns."""

    async def op(self, call: OpCall) -> bytes:
        raise OpError(f"{call.name} is not available in the self-test.", code="UNAVAILABLE")

    def log(self, level: LogLevel, text: str, event_id: str | None) -> None: ...

    def fault(self, fault: ScriptFault, origin: str) -> None: ...

    def declared(self, manifest: Manifest) -> None: ...


async def self_test(
    spawn: Callable[[], Awaitable[SealedProcess]], *, stages: Collection[Stage], soft_interrupt: bool
) -> Ready:
    """Run `stages`. Returns what a guild process says of itself. Raises SelfTestError."""
    async with _probe(spawn) as process:
        ready = await process.booted()
        if Stage.COLLECT in stages:
            await _within(Stage.COLLECT, _load(process, _GARBAGE))
            await _within(Stage.COLLECT, process.dispatch(Dispatch("FLORA_SELF_TEST", b"{}", "self-test")))
    if Stage.AWAIT in stages:
        async with _probe(spawn) as process:
            await _within(Stage.AWAIT, _load(process, _AWAITS))
    if Stage.INTERRUPT in stages:
        async with _probe(spawn) as process:
            soft = soft_interrupt and ready.soft_interrupt
            await _within(Stage.INTERRUPT, _interrupt(process, soft=soft))
    return ready


@asynccontextmanager
async def _probe(spawn: Callable[[], Awaitable[SealedProcess]]) -> AsyncIterator[SealedProcess]:
    process = await _within(Stage.FORK, spawn())
    try:
        yield process
    finally:
        process.kill("the self-test is over")


async def _load(process: SealedProcess, code: str, timeout_secs: float = _STAGE_SECS) -> None:
    await process.load(Script("flora:self-test", code), timeout_secs=timeout_secs)


async def _interrupt(process: SealedProcess, *, soft: bool) -> None:
    """The loop must end, and after a soft interrupt the process must be there still."""
    try:
        await _load(process, _LOOP, _LOOP_SECS)
    except ScriptLoadError:
        if soft and (process.exit_report or await process.idleness(timeout_secs=_STAGE_SECS) is None):
            raise EngineError("the process did not survive its interrupt") from None
    except ProcessDiedError:
        if soft:
            raise
    else:
        raise EngineError("an endless loop ended by itself")


async def _within(stage: Stage, work: Awaitable[T]) -> T:
    try:
        with trio.fail_after(_STAGE_SECS):
            return await work
    except trio.TooSlowError:
        raise SelfTestError(stage, f"no answer within {_STAGE_SECS:g} s") from None
    except EngineError as error:
        raise SelfTestError(stage, str(error)) from error
