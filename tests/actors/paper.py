"""Guild processes on paper: no fork, no JavaScript, any clock, and every misfortune on request.

For tests that live through hundreds of schedules. What a real process does is in `test_runtime.py` and
`test_chaos.py`. The words of a message's `content` say what its handler does: `sleep MS`, `hang`, `throw`,
`poison` (its process dies). A script whose code contains `throw` does not load.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import defaultdict

import trio

from flora.engine.api import (
    Dispatch,
    DispatchTimeoutError,
    EngineUnavailableError,
    ExitKind,
    ExitReport,
    GuildHost,
    GuildProcess,
    HandlerError,
    Idleness,
    Manifest,
    ProcessDiedError,
    Script,
    ScriptFault,
    ScriptLoadError,
)
from flora.ids import GuildId

BOOT_MS = (1, 20)
DYING_MS = (0, 5)  # between SIGKILL and the report of the exit


class PaperEngine:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.made: list[PaperProcess] = []
        self.seen: dict[GuildId, list[str]] = defaultdict(list)  # event ids, in the order of their starts
        self.out_of_service = False
        self.nursery: trio.Nursery | None = None
        self._pids = itertools.count(1000)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            async with trio.open_nursery() as self.nursery:
                task_status.started()
                await trio.sleep_forever()
        finally:
            self.nursery = None

    async def spawn(self, guild_id: GuildId, host: GuildHost) -> PaperProcess:
        process = PaperProcess(self, guild_id, host, next(self._pids))
        try:
            await self.some(BOOT_MS)
        except trio.Cancelled:
            process.kill("it was not wanted any more")
            raise
        if self.out_of_service:
            process.kill("it did not start")
            raise EngineUnavailableError("the fork server is being started again.")
        return process

    def processes(self) -> list[GuildProcess]:
        return [process for process in self.made if process.exit_report is None]

    def report(self) -> None:
        raise EngineUnavailableError("a process on paper takes no memory.")

    async def some(self, milliseconds: tuple[int, int]) -> None:
        await trio.sleep(self.chance.randint(*milliseconds) / 1000)


class PaperProcess:
    def __init__(self, engine: PaperEngine, guild_id: GuildId, host: GuildHost, pid: int) -> None:
        self.guild_id = guild_id
        self.pid = pid
        self.host = host
        self.frozen = False
        self.exit_report: ExitReport | None = None
        self._engine = engine
        self._open: set[trio.CancelScope] = set()
        self._ended = trio.Event()
        self._dying = False
        engine.made.append(self)

    def attach(self, host: GuildHost) -> None:
        self.host = host

    async def load(self, script: Script, *, timeout_secs: float) -> Manifest:
        await self._alive(timeout_secs, self._engine.chance.randint(*BOOT_MS) / 1000)
        if "throw" in script.code:
            raise ScriptLoadError(ScriptFault("Error", "not today"))
        return Manifest(frozenset({"MESSAGE_CREATE"}))

    async def dispatch(self, dispatch: Dispatch) -> None:
        if self.exit_report is not None:
            raise ProcessDiedError(self.exit_report)
        self._engine.seen[self.guild_id].append(dispatch.event_id)
        word, *rest = json.loads(dispatch.payload)["content"].split()
        if word == "poison":
            self.kill("poisoned")
        seconds = {"sleep": int(rest[0]) / 1000 if rest else 0.0, "hang": 1e9, "poison": 1e9}.get(word, 0.0)
        if not await self._alive(dispatch.wall_secs, seconds):
            if self.frozen:
                self.kill("it gave no sign of life")
            raise DispatchTimeoutError("it took too long.", limit="wall")
        if word == "throw":
            raise HandlerError(ScriptFault("Error", "no"))

    async def _alive(self, limit: float, seconds: float) -> bool:
        """Whether `seconds` have passed within `limit`. Raises ProcessDiedError when it ends meanwhile."""
        with trio.CancelScope(deadline=trio.current_time() + limit) as scope:
            self._open.add(scope)
            try:
                await trio.sleep(1e9 if self.frozen else seconds)
            finally:
                self._open.discard(scope)
        if self.exit_report is not None:
            raise ProcessDiedError(self.exit_report)
        return not scope.cancelled_caught

    async def wait(self) -> ExitReport:
        await self._ended.wait()
        assert self.exit_report is not None
        return self.exit_report

    async def idleness(self, *, timeout_secs: float = 1.0) -> Idleness | None:
        if not await self._alive(timeout_secs, 0.0):
            return None
        return Idleness(0, None, 0, len(self._open))

    def kill(self, reason: str) -> None:
        self._end(ExitReport(ExitKind.KILLED, reason, -9))

    def time_out(self) -> None:
        """Its handlers have taken as long as they may."""
        for scope in self._open:
            scope.cancel()

    async def stop(self, *, grace_secs: float = 1.0) -> ExitReport:
        if self.frozen:
            await trio.sleep(grace_secs)
        self._end(ExitReport(ExitKind.STOPPED, "stopped", 0))
        return await self.wait()

    def _end(self, report: ExitReport) -> None:
        if self._dying:
            return
        self._dying = True
        if self._engine.nursery is None:
            self._bury(report)
        else:
            self._engine.nursery.start_soon(self._die, report)

    async def _die(self, report: ExitReport) -> None:
        try:
            await self._engine.some(DYING_MS)
        finally:
            self._bury(report)

    def _bury(self, report: ExitReport) -> None:
        self.exit_report = report
        for scope in self._open:
            scope.cancel()
        self._ended.set()
