"""From test files to outcomes: each file one bundle, each test one process, one after another."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, Literal

import trio
from quart_trio import QuartTrio

from flora.build.bundle import TEST_ENTRY, build_test
from flora.build.files import stamp_files
from flora.build.positions import source_frame
from flora.build.sdk import ensure_sdk, test_script
from flora.build.sourcemap import SourceMap, SourceMapError, has_stack, map_log, map_stack
from flora.build.toolchain import Progress, Toolchain
from flora.build.types import Bundle, Diagnostic
from flora.config import RuntimeConfig
from flora.engine.api import (
    DispatchTimeoutError,
    EngineError,
    HandlerError,
    OpError,
    Script,
    ScriptFault,
    ScriptLoadError,
)
from flora.engine.host import Engine
from flora.engine.limits import EngineOptions
from flora.errors import FloraError
from flora.gateway.rest import DiscordRest
from flora.playground.app import make_app
from flora.storage.kv import GuildKv
from flora.testkit.session import Session, TestCase
from flora.testkit.transport import BASE_URL, AppClient
from flora.testkit.world import GUILD, TestClock, World

PATTERNS: Final = ("*.test.ts", "*.test.mts", "*.test.js", "*.test.mjs")
DEFAULT_TIMEOUT_SECS: Final = 5.0
_LOAD_SECS: Final = 30.0
_SCRIPT: Final = f"file:///guild/{GUILD}/bundle.js"
# Timers of a test are host calls under way, and its lines are not shared with anybody.
_OPTIONS: Final = EngineOptions(max_ops=12_000, lines_per_sec=1e6, lines_burst=1e6, self_test=False)

Status = Literal["passed", "failed", "skipped", "todo"]


@dataclass(frozen=True, slots=True)
class Failure:
    """`text` is the error and its stack, positions in the author's files; `frame` the source around it."""

    text: str
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    suite: tuple[str, ...]
    name: str
    status: Status
    millis: float = 0.0
    failure: Failure | None = None
    lines: tuple[str, ...] = ()  # what the bot and the test wrote to the console

    @property
    def title(self) -> str:
        return " > ".join((*self.suite, self.name))


@dataclass(slots=True)
class FileReport:
    """`failure` is set when the file could not be built or loaded; then it has no outcomes."""

    path: str
    outcomes: list[Outcome] = field(default_factory=list)
    failure: Failure | None = None
    diagnostics: tuple[Diagnostic, ...] = ()

    def count(self, status: Status) -> int:
        return sum(each.status == status for each in self.outcomes)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to run: `name_part` is looked for in titles; `timeout_secs` is for tests that name none."""

    name_part: str = ""
    timeout_secs: float = DEFAULT_TIMEOUT_SECS


def find_tests(root: Path, named: Sequence[str] = ()) -> list[str]:
    """The test files below `root`, relative to it; those whose path has one of `named` in it, if any are.

    Blocks on the file system.
    """
    found = sorted(
        path for path in stamp_files(root) if any(fnmatch(path.rpartition("/")[2], each) for each in PATTERNS)
    )
    return [path for path in found if not named or any(part.removeprefix("./") in path for part in named)]


class Runner:
    """Made by `Runner.open`; `run` may be called again and again."""

    def __init__(
        self, toolchain: Toolchain, engine: Engine, app: QuartTrio, kv: GuildKv, clock: TestClock
    ) -> None:
        self._toolchain = toolchain
        self._engine = engine
        self._app = app
        self._kv = kv
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def open(cls, progress: Progress = lambda _: None) -> AsyncIterator[Runner]:
        """An engine for tests and what their guilds share.

        Raises StartupError, ToolchainError, BuildError.
        """
        toolchain = await Toolchain.ensure(progress)
        await ensure_sdk(progress, toolchain)
        clock = TestClock()
        app = make_app(World(clock).playground)
        with tempfile.TemporaryDirectory(prefix="flora-test-") as folder:
            async with (
                GuildKv.open(Path(folder) / "kv", synchronous="normal", shards=1, clock=clock.now) as kv,
                app.test_app(),
                trio.open_nursery() as nursery,
            ):
                engine = Engine(RuntimeConfig(), test_script(), options=_OPTIONS)
                await nursery.start(engine.run)
                yield cls(toolchain, engine, app, kv, clock)
                nursery.cancel_scope.cancel()

    async def run(
        self,
        root: Path,
        entry: str | None,
        path: str,
        wanted: Wanted,
        told: Callable[[Outcome], None] = lambda _: None,
    ) -> FileReport:
        """Run the tests of one file; `told` hears of each when it is over."""
        report = FileReport(path)
        try:
            bundle = await build_test(root, path, entry, toolchain=self._toolchain)
        except FloraError as error:
            report.failure = Failure(error.message)
            report.diagnostics = getattr(error, "diagnostics", ())
            return report
        bench = _Bench(self, root, bundle)
        try:
            cases = await bench.list()
        except _LoadFailed as error:
            report.failure = error.failure
            return report
        only = any(case.mode == "only" for case in cases)
        for index, case in enumerate(cases):
            outcome = Outcome(case.suite, case.name, "skipped")
            if wanted.name_part.lower() not in outcome.title.lower():
                continue
            if case.mode == "todo":
                outcome = Outcome(case.suite, case.name, "todo")
            elif case.mode == "only" or (case.mode == "run" and not only):
                outcome = await bench.run(index, case, wanted.timeout_secs)
            report.outcomes.append(outcome)
            told(outcome)
        return report

    @asynccontextmanager
    async def session(self) -> AsyncIterator[tuple[Session, _Load]]:
        """A guild of its own and a process in which nothing is loaded yet."""
        self._clock.ms = TestClock().ms
        world = World(self._clock)
        self._app.config["PLAYGROUND"] = world.playground
        rest = DiscordRest(AppClient(self._app), base_url=BASE_URL, token=world.bot.token)
        session = Session(world, rest, self._kv)
        process = await self._engine.spawn(GUILD, session)

        async def load(code: str, mode: str) -> None:
            await session.begin(mode)
            manifest = await process.load(Script(_SCRIPT, code), timeout_secs=_LOAD_SECS)
            if mode == "run":
                session.adopt(manifest)

        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(session.run, process)
                yield session, load
                nursery.cancel_scope.cancel()
        finally:
            process.kill("the test is over")
            with trio.CancelScope(shield=True):
                await process.wait()
                await self._kv.forget(GUILD)


_Load = Callable[[str, str], Awaitable[None]]


class _LoadFailed(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


class _Bench:
    """The tests of one bundle."""

    def __init__(self, runner: Runner, root: Path, bundle: Bundle) -> None:
        self._runner = runner
        self._root = root
        self._bundle = bundle

    async def list(self) -> list[TestCase]:
        """Raises _LoadFailed."""
        failure: Failure | None = None
        async with self._runner.session() as (session, load):
            try:
                await load(self._bundle.code, "list")
                await session.command("list", secs=_LOAD_SECS)
            except (ScriptLoadError, HandlerError) as error:
                failure = self._explain(error.fault)
            except EngineError as error:
                failure = Failure(error.message)
        if failure is not None:
            raise _LoadFailed(failure)
        return session.tests

    async def run(self, index: int, case: TestCase, timeout_secs: float) -> Outcome:
        began = time.perf_counter()
        seconds = timeout_secs if case.timeout is None else case.timeout / 1000
        failure: Failure | None = None
        async with self._runner.session() as (session, load):
            try:
                await load(self._bundle.code, "run")
                await session.command("run", secs=seconds, index=index)
            except (ScriptLoadError, HandlerError) as error:
                failure = self._explain(error.fault)
            except DispatchTimeoutError as error:
                failure = Failure(
                    self._too_long(session, seconds) if error.limit == "wall" else error.message
                )
            except (EngineError, OpError) as error:
                failure = Failure(error.message)
            if failure is None and session.faults:
                origin, fault = session.faults[0]
                explained = self._explain(fault)
                failure = Failure(f"{origin}: {explained.text}", explained.frame)
            lines = tuple(f"{line.level:<5} {self._readable(line.text)}" for line in session.lines)
        millis = (time.perf_counter() - began) * 1000
        return Outcome(case.suite, case.name, "failed" if failure else "passed", millis, failure, lines)

    def _too_long(self, session: Session, seconds: float) -> str:
        waits = session.pending()
        return f"the test took longer than {seconds:g} s" + (f": {waits}" if waits else "")

    def _readable(self, text: str) -> str:
        """A line of the log, as the log of a deployed script shows it."""
        return map_log(text, self._source_map()) if has_stack(text) else text

    def _source_map(self) -> SourceMap | None:
        try:
            return SourceMap.parse(self._bundle.source_map)
        except SourceMapError:
            return None

    def _explain(self, fault: ScriptFault) -> Failure:
        head = f"{fault.name}: {fault.message}" if fault.message else fault.name
        stack = "\n".join(
            line
            for line in map_stack(fault.stack, self._source_map()).split("\n")
            if TEST_ENTRY not in line and "internal frame(s) hidden" not in line
        )
        return Failure(f"{head}\n{stack}".rstrip(), source_frame(self._root, stack))
