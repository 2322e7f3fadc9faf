"""One guild process as the host sees it: its link, what is open on it, its limits and its end."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from flora.engine import protocol
from flora.engine.api import (
    Dispatch,
    DispatchTimeoutError,
    EngineError,
    ExitKind,
    ExitReport,
    GuildHost,
    HandlerError,
    Idleness,
    LogLevel,
    Manifest,
    OpCall,
    OpError,
    ProcessDiedError,
    Script,
    ScriptFault,
    ScriptLoadError,
)
from flora.engine.ending import classify, is_out_of_memory, memory_reason
from flora.engine.events import Events
from flora.engine.limits import ProcessLimits, TokenBucket
from flora.engine.outbox import Outbox
from flora.errors import FloraError
from flora.ids import GuildId

log = structlog.get_logger("flora.engine")

_READ_BYTES: Final = 64 * 1024
_READS_IN_A_ROW: Final = 16  # then other tasks have their turn
_FRAMES_IN_A_ROW: Final = 8  # likewise, of those that a guild sends on its own account
_CHARGED_AT: Final = 16 * 1024  # bytes; less is not worth a look at the clock
_STDERR_BYTES: Final = 8192


@dataclass(slots=True)
class ProcessStatistics:
    """Counters of one process since it started."""

    dispatches: int = 0
    handler_errors: int = 0
    wall_timeouts: int = 0
    cpu_timeouts: int = 0
    ops: int = 0
    op_failures: int = 0
    faults: int = 0
    lines: int = 0
    lines_dropped: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    throttled_secs: float = 0.0

    @classmethod
    def sum(cls, parts: Iterable[ProcessStatistics]) -> ProcessStatistics:
        total = cls()
        for part in parts:
            for name in cls.__slots__:
                setattr(total, name, getattr(total, name) + getattr(part, name))
        return total


class _Load:
    """The one load of a process, until it has an outcome."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.manifest: Manifest | None = None
        self.error: EngineError | None = None

    def succeed(self, manifest: Manifest) -> None:
        if not self.done.is_set():
            self.manifest = manifest
            self.done.set()

    def fail(self, error: EngineError) -> None:
        if not self.done.is_set():
            self.error = error
            self.done.set()


class SealedProcess:
    """Implements `GuildProcess`. `run` is its life and belongs to the engine's nursery; everything else may
    be called from any task of the Trio thread, and answers ProcessDiedError once it has ended.

    Frames are sent in call order. Reading stops while too many ops are under way or the guild sends too
    fast, so that a noisy guild waits for itself.
    """

    def __init__(
        self,
        *,
        guild_id: GuildId,
        pid: int,
        pidfd: int,
        link: socket.socket,
        lifeline: int,
        host: GuildHost,
        limits: ProcessLimits,
    ) -> None:
        self._guild_id = guild_id
        self._pid = pid
        self._pidfd = pidfd
        self._link = link
        self._lifeline = lifeline
        self._host = host
        self._limits = limits
        self._options = limits.options
        self._log = log.bind(guild=guild_id, pid=pid)
        self._decoder = protocol.FrameDecoder(limits.options.max_frame_bytes)
        self._numbers = itertools.count(1)
        self._events = Events(self._expire)
        self._ready: protocol.Ready | None = None
        self._load: _Load | None = None
        self._outbox = Outbox(
            link,
            max_bytes=limits.options.max_backlog_bytes,
            overflow=lambda: self._kill(ExitKind.KILLED, "it does not read what it is sent"),
        )
        self._nursery: trio.Nursery | None = None
        self._ops = trio.Semaphore(limits.options.max_ops)
        self._frames = TokenBucket(limits.options.frames_per_sec, limits.options.frames_burst)
        self._bytes = TokenBucket(limits.options.bytes_per_sec, limits.options.bytes_burst)
        self._lines = TokenBucket(limits.options.lines_per_sec, limits.options.lines_burst)
        self._lines_dropped = 0
        self._uncharged = 0
        self._throttled_since: float | None = None
        self._heard_at = time.monotonic()
        self._pings: dict[int, tuple[trio.Event, list[protocol.Pong]]] = {}
        self._probing = False
        self._stopping = False
        self._end_kind: ExitKind | None = None
        self._end_reason = ""
        self._report: ExitReport | None = None
        self._booted = trio.Event()
        self._ended = trio.Event()
        self._hung_up = False
        self.statistics = ProcessStatistics()

    # --- the interface ----------------------------------------------------------------------------------

    @property
    def guild_id(self) -> GuildId:
        return self._guild_id

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def exit_report(self) -> ExitReport | None:
        return self._report

    @property
    def ready(self) -> protocol.Ready | None:
        """What the process said of itself before any guild code ran."""
        return self._ready

    @property
    def open_ops(self) -> int:
        return self._options.max_ops - self._ops.value

    @property
    def open_dispatches(self) -> int:
        return len(self._events)

    def attach(self, host: GuildHost) -> None:
        self._host = host

    async def load(self, script: Script, *, timeout_secs: float) -> Manifest:
        self._check_alive()
        size = len(script.code.encode("utf-8", "replace"))
        if size > self._limits.max_script_bytes:
            raise ScriptLoadError(
                ScriptFault(
                    "RangeError",
                    f"the bundle has {size} bytes, the limit is {self._limits.max_script_bytes}.",
                )
            )
        if self._load is not None:
            raise EngineError("a guild process loads one script in its life.")
        loading = self._load = _Load()
        self._post(protocol.load_frame(script, timeout_secs))
        with trio.move_on_after(timeout_secs + self._options.hard_secs):
            await loading.done.wait()
        if loading.error is not None:
            raise loading.error
        if loading.manifest is None:
            reason = f"the script's top level took longer than {timeout_secs:g} s"
            self.kill(reason)
            raise ScriptLoadError(ScriptFault("TimeoutError", reason))
        return loading.manifest

    async def dispatch(self, dispatch: Dispatch) -> None:
        self._check_alive()
        number = next(self._numbers)
        event = self._events.open(number, dispatch.event_id, dispatch.wall_secs)
        self.statistics.dispatches += 1
        self._post(protocol.dispatch_frame(number, dispatch))
        try:
            await event.wait()
        finally:
            if not event.settled:
                self._abandon(number)
        if event.error is not None:
            raise event.error

    async def wait(self) -> ExitReport:
        await self._ended.wait()
        assert self._report is not None
        return self._report

    def kill(self, reason: str) -> None:
        self._kill(ExitKind.KILLED, reason)

    async def stop(self, *, grace_secs: float = 1.0) -> ExitReport:
        if self._report is None and not self._stopping:
            self._stopping = True
            self._post(protocol.quit_frame())
        with trio.move_on_after(grace_secs):
            return await self.wait()
        self._kill(ExitKind.STOPPED, f"it did not end within {grace_secs:g} s")
        return await self.wait()

    async def idleness(self, *, timeout_secs: float = 1.0) -> Idleness | None:
        pong = await self._ping(timeout_secs)
        if pong is None:
            return None
        return Idleness(pong.timers, pong.due, self.open_ops, self.open_dispatches)

    def discard(self) -> None:
        """Kill it and let go of it without `run`. Only for a process that nobody has seen yet."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self._link.close()
        self._outbox.drop()
        os.close(self._lifeline)
        os.close(self._pidfd)

    async def booted(self) -> protocol.Ready:
        """Until it is sealed and waits for its script. Raises ProcessDiedError."""
        await self._booted.wait()
        if self._ready is None:
            assert self._report is not None
            raise ProcessDiedError(self._report)
        return self._ready

    # --- its life ---------------------------------------------------------------------------------------

    async def run(self, exit_status: Callable[[int], Awaitable[int | None]]) -> None:
        """Until the process has ended and all that waited on it has its answer. Cancelled, it kills the
        process.

        `exit_status` tells the exit status of a process that has ended, if anybody knows it.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._outbox.run)
                nursery.start_soon(self._events.run)
                try:
                    await self._read()
                    self._hung_up = True
                except protocol.ProtocolViolationError as violation:
                    self._kill(ExitKind.KILLED, f"it sent {violation}")
                nursery.cancel_scope.cancel()
        finally:
            self._nursery = None
            with trio.CancelScope(shield=True):
                await self._bury(exit_status)

    async def _read(self) -> None:
        link, decoder = self._link, self._decoder
        in_a_row = 0
        drained = True
        while True:
            if drained:
                in_a_row = 0
                await trio.lowlevel.wait_readable(link)
            try:
                data = link.recv(_READ_BYTES)
            except BlockingIOError:
                drained = True
                continue
            except OSError as error:
                if error.errno != errno.ECONNRESET:
                    raise
                return
            if not data:
                return
            drained = len(data) < _READ_BYTES
            self._heard_at = time.monotonic()
            self.statistics.bytes_in += len(data)
            decoder.feed(data)
            charged = 0
            for frame in decoder.frames():
                if type(frame) is protocol.Done:
                    self._close(frame.id, None)
                elif isinstance(frame, protocol.Ready):
                    if self._ready is not None:
                        raise protocol.ProtocolViolationError("a second ready frame")
                    self._ready = frame
                    self._booted.set()
                else:
                    charged += 1
                    await self._take(frame)
                    if charged % _FRAMES_IN_A_ROW == 0:
                        await trio.lowlevel.checkpoint()
            self._uncharged += len(data)
            if charged or self._uncharged >= _CHARGED_AT:
                size, self._uncharged = self._uncharged, 0
                await self._throttle(charged, size)
            in_a_row += 1
            if in_a_row >= _READS_IN_A_ROW:
                in_a_row = 0
                await trio.lowlevel.checkpoint()

    async def _take(self, frame: protocol.GuildFrame) -> None:
        match frame:
            case (
                protocol.Failed(error=error) | protocol.Fault(error=error) | protocol.LoadFailed(error=error)
            ) if is_out_of_memory(error):
                # The script survived it, but a heap at its limit is no place to go on.
                self._kill(ExitKind.OUT_OF_MEMORY, memory_reason(self._limits))
            case protocol.Op():
                await self._ops.acquire()
                assert self._nursery is not None
                self._nursery.start_soon(self._answer_op, frame.id, self._op_call(frame))
            case protocol.Log():
                self._log_line(frame)
            case protocol.Failed():
                self._fail(frame.id, frame.error)
            case protocol.CpuExceeded():
                self.statistics.cpu_timeouts += 1
                limit = round(self._limits.cpu_secs * 1000)
                self._close(
                    frame.id,
                    DispatchTimeoutError(
                        f"the handler ran for more than {limit} ms without a pause and was stopped.",
                        limit="cpu",
                    ),
                )
            case protocol.Fault():
                self.statistics.faults += 1
                self._host.fault(_fault(frame.error), frame.origin)
            case protocol.Loaded() | protocol.Declare():
                self._declared(frame)
            case protocol.LoadFailed():
                if self._load is not None:
                    self._load.fail(ScriptLoadError(_fault(frame.error)))
            case protocol.Pong():
                if (ping := self._pings.get(frame.n)) is not None:
                    ping[1].append(frame)
                    ping[0].set()
            case _:
                raise protocol.ProtocolViolationError(f"an unexpected {type(frame).__name__} frame")

    async def _throttle(self, frames: int, size: int) -> None:
        """Stop reading until the guild is back within its rates. Kills one that floods without a pause."""
        pause = max(self._frames.take(frames), self._bytes.take(size))
        if pause <= 0:
            self._throttled_since = None
            return
        now = time.monotonic()
        if self._throttled_since is None:
            self._throttled_since = now
        elif now - self._throttled_since > self._options.max_throttled_secs:
            self._kill(ExitKind.KILLED, "it flooded the host with messages")
        self.statistics.throttled_secs += pause
        await trio.sleep(pause)

    # --- events -----------------------------------------------------------------------------------------

    def _close(self, number: int, error: EngineError | None) -> None:
        event = self._events.close(number)
        if event is not None:  # if it was abandoned, the guild may say so late
            event.settle(error)

    def _fail(self, number: int, error: protocol.ErrorBody) -> None:
        self.statistics.handler_errors += 1
        self._close(number, HandlerError(_fault(error)))

    def _expire(self, number: int) -> None:
        self.statistics.wall_timeouts += 1
        self._abandon(number)

    def _abandon(self, number: int) -> None:
        """Nobody waits for this event any more: its wall limit has passed, or its caller was cancelled."""
        event = self._events.close(number)
        if event is not None:
            event.settle(
                DispatchTimeoutError(
                    "the handler took longer than its time limit and was given up.", limit="wall"
                )
            )
        if self._report is None:
            self._post(protocol.abandon_frame(number))
            self._ask_for_life()

    def _ask_for_life(self) -> None:
        """An event took too long. It may be waiting for a slow op, or the process may be stuck: find out."""
        if self._nursery is not None and not self._probing and not self._stopping:
            self._probing = True
            self._nursery.start_soon(self._probe)

    async def _probe(self) -> None:
        patience = self._options.answer_secs + self._limits.cpu_secs
        asked_at = time.monotonic()
        asked = trio.current_time()
        try:
            pong = await self._ping(patience)
            while pong is None:
                # Still at work on what came before the ping? Then it said something in between.
                if self._heard_at <= asked_at:
                    waited = trio.current_time() - asked
                    self._kill(
                        ExitKind.KILLED, f"it gave no sign of life for {waited:.1f} s after a time limit"
                    )
                    return
                asked_at = time.monotonic()
                pong = await self._ping(patience)
        finally:
            self._probing = False

    async def _ping(self, timeout_secs: float) -> protocol.Pong | None:
        self._check_alive()
        number = next(self._numbers)
        answered, pongs = self._pings[number] = (trio.Event(), [])
        try:
            self._post(protocol.ping_frame(number))
            with trio.move_on_after(timeout_secs):
                await answered.wait()
        finally:
            del self._pings[number]
        return pongs[0] if pongs else None

    # --- ops, lines, declarations -----------------------------------------------------------------------

    def _op_call(self, frame: protocol.Op) -> OpCall:
        self.statistics.ops += 1
        event = self._events.find(frame.d)
        if event is None:
            return OpCall(frame.name, bytes(frame.args), None, 0)
        index = event.calls
        event.calls += 1
        return OpCall(frame.name, bytes(frame.args), event.event_id, index)

    async def _answer_op(self, number: int, call: OpCall) -> None:
        """Carry out one op. What it raises becomes the script's error, and never ends this task's
        siblings.
        """
        try:
            reply = protocol.result_frame(number, await self._host.op(call))
        except OpError as error:
            self.statistics.op_failures += 1
            reply = protocol.failure_frame(
                number, name=error.name, message=error.message, code=error.error_code, extra=error.extra
            )
        except FloraError as error:
            self.statistics.op_failures += 1
            reply = protocol.failure_frame(
                number, name="Error", message=str(error), code=error.code, extra={}
            )
        except Exception:  # noqa: BLE001 - a bug in one op must not end the engine
            self.statistics.op_failures += 1
            self._log.exception("op_crashed", op=call.name)
            reply = protocol.failure_frame(
                number,
                name="Error",
                message=f"{call.name} failed inside flora",
                code="INTERNAL_ERROR",
                extra={},
            )
        finally:
            self._ops.release()
        self._post(reply)

    def _log_line(self, frame: protocol.Log) -> None:
        if not self._lines.try_take():
            self._lines_dropped += 1
            self.statistics.lines_dropped += 1
            return
        if self._lines_dropped:
            dropped, self._lines_dropped = self._lines_dropped, 0
            self._host.log(LogLevel.WARN, f"{dropped} console lines were dropped: too many per second", None)
        self.statistics.lines += 1
        event = self._events.find(frame.d)
        self._host.log(LogLevel(frame.level), frame.text, event.event_id if event else None)

    def _declared(self, frame: protocol.Loaded | protocol.Declare) -> None:
        commands, crons = bytes(frame.commands), bytes(frame.crons)
        manifest = Manifest(
            frozenset(frame.listens),
            None if commands == b"null" else commands,
            None if crons == b"null" else crons,
            frame.prefix,
        )
        if isinstance(frame, protocol.Declare):
            self._host.declared(manifest)
        elif self._load is not None:
            self._load.succeed(manifest)

    # --- sending ----------------------------------------------------------------------------------------

    def _check_alive(self) -> None:
        if self._report is not None:
            raise ProcessDiedError(self._report)

    def _post(self, frame: bytes) -> None:
        """Send `frame` after all frames before it. A process that ended swallows it: its end is told
        elsewhere.
        """
        if self._report is None:
            self.statistics.bytes_out += len(frame)
            self._outbox.post(frame)

    # --- its end ----------------------------------------------------------------------------------------

    def _kill(self, kind: ExitKind, reason: str) -> None:
        if self._report is not None or self._end_kind is not None:
            return
        self._end_kind, self._end_reason = kind, reason
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def _bury(self, exit_status: Callable[[int], Awaitable[int | None]]) -> None:
        """Wait for the end of the process, find out why, and tell everybody who waits. Never cancelled."""
        if self._hung_up and self._end_kind is None:
            with trio.move_on_after(self._options.answer_secs) as scope:
                await trio.lowlevel.wait_readable(self._pidfd)
            if scope.cancelled_caught:
                self._kill(ExitKind.KILLED, "it hung up but did not end")
        else:
            self._kill(ExitKind.KILLED, "the engine stopped")
        await trio.lowlevel.wait_readable(self._pidfd)
        status = await exit_status(self._pid)
        said = b""
        with contextlib.suppress(BlockingIOError):
            said = os.read(self._lifeline, _STDERR_BYTES)
        if self._end_kind is not None:
            report = ExitReport(self._end_kind, self._end_reason, status)
        else:
            report = classify(status, said, stopping=self._stopping, limits=self._limits)
        self._link.close()
        self._outbox.drop()
        os.close(self._lifeline)
        os.close(self._pidfd)
        self._report = report
        died = ProcessDiedError(report)
        self._events.fail_all(died)
        if self._load is not None:
            self._load.fail(died)
        for answered, _ in self._pings.values():
            answered.set()
        self._booted.set()
        self._ended.set()
        self._log.debug("process_ended", kind=str(report.kind), reason=report.reason, status=report.status)


def _fault(error: protocol.ErrorBody) -> ScriptFault:
    return ScriptFault(error.name, error.message, error.stack, {"code": error.code} if error.code else {})
