"""The engine: guild processes on request, from a supervised fork server."""

from __future__ import annotations

import importlib.util
import os
import random
import resource
import socket
from pathlib import Path
from typing import Any, Final

import structlog
import trio

from flora.config import RuntimeConfig
from flora.engine.api import EngineUnavailableError, GuildHost, GuildProcess
from flora.engine.forkserver import BOOTSTRAP, ForkServer, Hello
from flora.engine.limits import EngineOptions, ProcessLimits
from flora.engine.process import ProcessStatistics, SealedProcess
from flora.engine.protocol import Ready
from flora.engine.report import EngineReport, SealLevel, Tally, seal_level
from flora.engine.selftest import Rungs, SelfTestError, SilentHost, Stage, self_test
from flora.errors import StartupError
from flora.ids import GuildId

log = structlog.get_logger("flora.engine")

_FIRST_BACKOFF_SECS: Final = 0.05
_MAX_BACKOFF_SECS: Final = 10.0
_PROBE: Final = GuildId("0")  # the self-test's processes, which belong to no guild
_PROBE_LIMITS: Final = ProcessLimits.of(RuntimeConfig(), EngineOptions())  # whatever is configured


class Engine:
    """Starts guild processes and owns all that belongs to them.

    `sdk` is JavaScript whose value is a function (host) => sdk. `run` must be running for `spawn` to answer.
    A fork server that ends is started again, while the guild processes that it made go on.
    """

    def __init__(self, config: RuntimeConfig, sdk: str, *, options: EngineOptions | None = None) -> None:
        self._config = config
        self._sdk = sdk
        self._options = options or EngineOptions()
        self._limits = ProcessLimits.of(config, self._options)
        self._nursery: trio.Nursery | None = None
        self._server: ForkServer | None = None
        self._hello: Hello | None = None
        self._ready: Ready | None = None
        self._rungs = _best_rungs(config)
        self._fallbacks: list[str] = []
        self._restarts = 0
        self._processes: set[SealedProcess] = set()
        self._tally = Tally()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the fork server, again when it ends, until cancelled; then all guild processes are killed.

        `started` after the self-test. Raises StartupError where guild processes cannot be made, or not be
        sealed although `require_seal` asks for it.
        """
        _allow_many_descriptors()
        failure: StartupError | None = None
        async with trio.open_nursery() as processes:
            self._nursery = processes
            try:
                failure = await self._supervise(task_status)
            finally:
                self._nursery = None
                processes.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def spawn(self, guild_id: GuildId, host: GuildHost) -> SealedProcess:
        """A new sealed process with the SDK in place, within `boot_timeout_secs`.

        Raises EngineUnavailableError, ProcessDiedError. When cancelled, the process is killed.
        """
        server = self._server
        if server is None or self._nursery is None or self._hello is None:
            raise EngineUnavailableError("the engine is not running.", hint="Try again in a moment.")
        process: SealedProcess | None = None
        with trio.move_on_after(self._limits.boot_secs):
            process = await self._fork(server, guild_id, host, self._limits)
            await self._boot(process)
            self._tally.starts += 1
            return process
        if process is None:
            # It answers within a millisecond or it is stuck. Its children do not need it to live on.
            server.kill()
        raise EngineUnavailableError(
            f"a guild process did not start within {self._limits.boot_secs:g} s.",
            hint="The host is overloaded.",
        )

    def processes(self) -> list[GuildProcess]:
        return list(self._processes)

    def report(self) -> EngineReport:
        """Raises EngineUnavailableError before the self-test is through."""
        hello, ready = self._hello, self._ready
        if hello is None or ready is None:
            raise EngineUnavailableError("the engine is not running.", hint="Try again in a moment.")
        totals = [self._tally.totals, *(process.statistics for process in self._processes)]
        return EngineReport(
            seal=seal_level(ready),
            sealed=tuple(ready.sealed),
            unsealed=dict(ready.unsealed),
            jit=hello.jit,
            fork=self._rungs.fork,
            jobs="internal" if ready.internal_jobs else "micro_loop",
            interrupt="soft" if ready.soft_interrupt else "kill",
            reports_rejections=ready.tracks_rejections,
            fallbacks=tuple(self._fallbacks),
            fork_server_pid=self._server.pid if self._server is not None else None,
            fork_server_restarts=self._restarts,
            processes=len(self._processes),
            starts=self._tally.starts,
            exits=dict(self._tally.exits),
            totals=ProcessStatistics.sum(totals),
        )

    async def _supervise(self, task_status: trio.TaskStatus[None]) -> StartupError | None:
        """Until the engine cannot go on, and why."""
        backoff = _FIRST_BACKOFF_SECS
        while True:
            began = trio.current_time()
            failed = await self._serve(task_status)
            if failed is not None and self._ready is None:
                lower = self._rungs.below(failed.stage)
                if lower is None or not self._options.self_test:
                    return StartupError(f"guild processes do not work on this machine. {failed}")
                log.warning("engine_falls_back", reason=str(failed))
                self._fallbacks.append(str(failed))
                self._rungs = lower
                continue
            if self._ready is None:
                return StartupError("the fork server of the guild processes ended while it was tested.")
            if self._lacks_seal():
                return self._seal_refusal()
            self._restarts += 1
            if trio.current_time() - began > _MAX_BACKOFF_SECS:
                backoff = _FIRST_BACKOFF_SECS
            log.warning("fork_server_ended", retry_secs=backoff)
            await trio.sleep(backoff * random.uniform(0.8, 1.2))
            backoff = min(backoff * 2, _MAX_BACKOFF_SECS)

    async def _serve(self, task_status: trio.TaskStatus[None]) -> SelfTestError | None:
        """One life of the fork server; why it did not pass its test, if so."""
        server = self._server = ForkServer(self._settings(), bootstrap=self._options.bootstrap or BOOTSTRAP)
        failed: SelfTestError | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            try:
                await self._prove(server, task_status)
            except SelfTestError as error:
                failed = error
            else:
                if not self._lacks_seal():
                    await server.ended.wait()
            nursery.cancel_scope.cancel()
        return failed

    async def _prove(self, server: ForkServer, task_status: trio.TaskStatus[None]) -> None:
        """Take a fork server into service, the first one after its test. Raises SelfTestError."""
        try:
            hello = await server.hello()
        except EngineUnavailableError as error:
            raise SelfTestError(Stage.FORK, error.message) from error
        if hello.fork_safe is False:
            raise SelfTestError(Stage.FORK, "this build's helper threads cannot be turned off")
        log.info("fork_server_ready", pid=server.pid, jit=hello.jit, seccomp=hello.seccomp or "on")
        if self._ready is not None:
            self._hello = hello
            return
        ready = await self_test(
            lambda: self._spawn_probe(server),
            stages=tuple(Stage) if self._options.self_test else (Stage.FORK,),
            soft_interrupt=self._rungs.interrupt == "soft",
        )
        if not ready.internal_jobs and self._rungs.jobs == "internal":
            self._fallbacks.append("this build's own queue of promise jobs cannot be used")
        if not ready.soft_interrupt and self._rungs.interrupt == "soft":
            self._fallbacks.append("this build has no interrupt; a handler at its CPU limit ends its process")
        self._hello, self._ready = hello, ready
        if not self._lacks_seal():
            task_status.started()

    async def _spawn_probe(self, server: ForkServer) -> SealedProcess:
        process = await self._fork(server, _PROBE, SilentHost(), _PROBE_LIMITS)
        await self._boot(process)
        return process

    def _lacks_seal(self) -> bool:
        ready = self._ready
        return self._config.require_seal and ready is not None and seal_level(ready) is not SealLevel.FULL

    def _seal_refusal(self) -> StartupError:
        assert self._ready is not None
        reasons = "; ".join(f"{name}: {reason}" for name, reason in self._ready.unsealed.items())
        return StartupError(
            f"guild processes cannot be sealed in full here ({reasons}), and runtime.require_seal is set.",
            hint="Run `flora doctor`.",
        )

    async def _boot(self, process: SealedProcess) -> None:
        try:
            await process.booted()
        except trio.Cancelled:
            process.kill("it did not start in time")
            raise

    async def _fork(
        self, server: ForkServer, guild_id: GuildId, host: GuildHost, limits: ProcessLimits
    ) -> SealedProcess:
        ours, theirs = socket.socketpair()
        lifeline, lifeline_writer = os.pipe2(os.O_CLOEXEC)
        pid = 0
        try:
            os.set_blocking(lifeline, False)
            ours.setblocking(False)
            pid, pidfd = await server.fork(
                {
                    "guild": guild_id,
                    "heap_bytes": limits.heap_bytes,
                    "cpu": limits.cpu_secs,
                    "hard": limits.options.hard_secs,
                },
                theirs.fileno(),
                lifeline_writer,
            )
        finally:
            theirs.close()
            os.close(lifeline_writer)
            if not pid:
                ours.close()
                os.close(lifeline)
        process = SealedProcess(
            guild_id=guild_id,
            pid=pid,
            pidfd=pidfd,
            link=ours,
            lifeline=lifeline,
            host=host,
            limits=limits,
        )
        if self._nursery is None:
            process.discard()
            raise EngineUnavailableError("the engine is stopping.")
        self._processes.add(process)
        self._nursery.start_soon(self._own, process, server)
        return process

    async def _own(self, process: SealedProcess, server: ForkServer) -> None:
        try:
            await process.run(server.exit_status)
        finally:
            self._processes.discard(process)
            if process.guild_id != _PROBE and process.exit_report is not None:
                self._tally.add(process.exit_report.kind, process.statistics)

    def _settings(self) -> dict[str, Any]:
        options, rungs = self._options, self._rungs
        return {
            "package": str(options.package or _pythonmonkey_folder()),
            "prelude": (Path(__file__).parent / "child" / "prelude.js").read_text(encoding="utf-8"),
            "sdk": self._sdk,
            "jit": rungs.jit,
            "seccomp": options.seccomp,
            "fork": rungs.fork,
            "internal_jobs": rungs.jobs == "internal",
            "soft_interrupt": rungs.interrupt == "soft",
        }


def _best_rungs(config: RuntimeConfig) -> Rungs:
    """Where the engine begins: at what is configured, "auto" at the top of each ladder."""
    return Rungs(
        fork="prepared" if config.engine_fork == "auto" else config.engine_fork,
        jobs="internal" if config.engine_jobs == "auto" else config.engine_jobs,
        interrupt="soft" if config.engine_interrupt == "auto" else config.engine_interrupt,
        jit=config.jit,
    )


def _allow_many_descriptors() -> None:
    """Each guild process takes three descriptors; the usual soft limit of 1,024 is there for select(2)
    alone.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _pythonmonkey_folder() -> Path:
    """Where PythonMonkey is installed, without importing it."""
    spec = importlib.util.find_spec("pythonmonkey")
    if spec is None or not spec.submodule_search_locations:
        raise StartupError(
            "PythonMonkey is not installed.", hint="Run `pip install --no-deps pythonmonkey==1.4.1`."
        )
    return Path(next(iter(spec.submodule_search_locations)))
