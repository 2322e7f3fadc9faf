"""The host's side of the fork server: one child process that forks guild processes on request."""

from __future__ import annotations

import array
import contextlib
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
import trio

from flora.engine.api import EngineUnavailableError

log = structlog.get_logger("flora.engine")

BOOTSTRAP: Final = """
import sys
sys.path.insert(0, sys.argv[1])
from child.zygote import main
main(*map(int, sys.argv[2:5]))
"""
_MAX_MESSAGE: Final = 64 * 1024
_STATUS_SECS: Final = 2.0  # how long after a process's end its exit status may still come


class Hello(msgspec.Struct, frozen=True, tag_field="t", tag="hello"):
    """What the fork server found out about the machine. `seccomp` is "" or why it cannot be used."""

    jit: bool
    seccomp: str
    fork_safe: bool | None = None  # None: it loads the engine only after the fork


class _Spawned(msgspec.Struct, frozen=True, tag_field="t", tag="spawned"):
    id: int
    pid: int


class _Refused(msgspec.Struct, frozen=True, tag_field="t", tag="refused"):
    id: int
    error: str


class _Exit(msgspec.Struct, frozen=True, tag_field="t", tag="exit"):
    pid: int
    status: int


_decoder: Final = msgspec.json.Decoder(Hello | _Spawned | _Refused | _Exit)


@dataclass(slots=True)
class _Request:
    done: trio.Event = field(default_factory=trio.Event)
    pid: int = 0
    pidfd: int = -1
    error: str = ""


class ForkServer:
    """One run of the fork server; when it ends, make another one.

    `run` owns the process. `fork` and `exit_status` may be called by any task while it runs, and answer
    EngineUnavailableError or None when it has ended.
    """

    def __init__(self, settings: dict[str, Any], *, bootstrap: str) -> None:
        self._settings = settings
        self._bootstrap = bootstrap
        self._control: trio.socket.SocketType | None = None
        self._requests: dict[int, _Request] = {}
        self._last_request = 0
        self._statuses: dict[int, int] = {}
        self._status_waiters: dict[int, trio.Event] = {}
        self._send_lock = trio.Lock()
        self._said_hello = trio.Event()
        self._hello: Hello | None = None
        self._complaint = ""
        self.ended = trio.Event()
        self.pid = 0
        self._pidfd = -1

    async def run(self) -> None:
        """Until the fork server has ended.

        When cancelled, it is told to end (its control socket is closed), upon which it kills its children.
        """
        process, ours, stderr = self._start()
        self.pid = process.pid
        self._pidfd = os.pidfd_open(process.pid)
        try:
            with trio.socket.from_stdlib_socket(ours) as control:
                self._control = control
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._relay_stderr, stderr)
                    await self._read(control)
                    nursery.cancel_scope.cancel()
        finally:
            self._control = None
            os.close(stderr)
            self._give_up()
            with trio.CancelScope(shield=True):
                await self._reap(process)
            self._said_hello.set()
            self.ended.set()

    def kill(self) -> None:
        """SIGKILL. The processes that it made go on; idempotent."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def hello(self) -> Hello:
        """When it is ready to fork. Raises EngineUnavailableError when it ended before."""
        await self._said_hello.wait()
        if self._hello is None:
            raise EngineUnavailableError(
                f"the fork server did not start: {self._complaint or 'it said nothing'}."
            )
        return self._hello

    async def fork(self, request: dict[str, Any], link: int, lifeline: int) -> tuple[int, int]:
        """A new process with these two descriptors: its pid and a pidfd, which the caller closes.

        Raises EngineUnavailableError. When cancelled, a process that is made all the same is killed.
        """
        control = self._control
        if control is None:
            raise EngineUnavailableError("the fork server is not running.", hint="It is being restarted.")
        self._last_request += 1
        number = self._last_request
        waiting = self._requests[number] = _Request()
        message = msgspec.json.encode({**request, "id": number})
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [link, lifeline]))]
        try:
            async with self._send_lock:
                await control.sendmsg([message], rights)
            await waiting.done.wait()
        except OSError as error:
            raise EngineUnavailableError(f"the fork server does not listen: {error}.") from error
        finally:
            self._requests.pop(number, None)
        if waiting.error:
            raise EngineUnavailableError(f"no guild process can be started: {waiting.error}.")
        return waiting.pid, waiting.pidfd

    async def exit_status(self, pid: int) -> int | None:
        """The exit status of a process that has ended, as os.waitstatus_to_exitcode; None if nobody knows
        it.
        """
        if pid not in self._statuses and self._control is not None:
            event = self._status_waiters.setdefault(pid, trio.Event())
            with trio.move_on_after(_STATUS_SECS):
                await event.wait()
            self._status_waiters.pop(pid, None)
        return self._statuses.pop(pid, None)

    def _start(self) -> tuple[subprocess.Popen[bytes], socket.socket, int]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        stderr, stderr_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        settings = os.memfd_create("flora-engine-settings", os.MFD_CLOEXEC)
        try:
            os.set_blocking(stderr_writer, True)
            with open(settings, "wb", closefd=False) as file:
                file.write(msgspec.json.encode(self._settings))
            os.lseek(settings, 0, os.SEEK_SET)
            arguments = [str(Path(__file__).parent), str(theirs.fileno()), str(settings), str(os.getpid())]
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", self._bootstrap, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr_writer,
                pass_fds=(theirs.fileno(), settings),
                env=_environment(),
                cwd="/",
                # A terminal's Ctrl-C is for the host alone. Not a session of its own: the kernel would divide
                # the processors between sessions first (autogroup, sched(7)), and priorities count within.
                process_group=0,
            )
        except BaseException:
            ours.close()
            os.close(stderr)
            raise
        finally:
            theirs.close()
            os.close(settings)
            os.close(stderr_writer)
        return process, ours, stderr

    async def _read(self, control: trio.socket.SocketType) -> None:
        while True:
            try:
                data, ancillary, _, _ = await control.recvmsg(_MAX_MESSAGE, socket.CMSG_LEN(4))
            except ConnectionResetError:
                return
            if not data:
                return
            descriptors = array.array("i")
            for level, kind, rights in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    descriptors.frombytes(rights)
            match _decoder.decode(data):
                case Hello() as hello:
                    self._hello = hello
                    self._said_hello.set()
                case _Spawned(id=number, pid=pid):
                    (pidfd,) = descriptors
                    self._answer(number, pid, pidfd)
                case _Refused(id=number, error=error):
                    if (waiting := self._requests.get(number)) is not None:
                        waiting.error = error
                        waiting.done.set()
                case _Exit(pid=pid, status=status):
                    self._statuses[pid] = status
                    if (event := self._status_waiters.get(pid)) is not None:
                        event.set()

    async def _relay_stderr(self, descriptor: int) -> None:
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            text = os.read(descriptor, 4096).decode("utf-8", "replace").strip()
            if not text:
                return
            self._complaint = text.rsplit("\n", 1)[-1]
            log.warning("fork_server_says", text=text)

    async def _reap(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for its end, which the closed control socket tells it, or make it end."""
        with trio.move_on_after(_STATUS_SECS):
            await trio.lowlevel.wait_readable(self._pidfd)
        self.kill()
        await trio.lowlevel.wait_readable(self._pidfd)
        process.wait()
        os.close(self._pidfd)
        self._pidfd = -1

    def _answer(self, number: int, pid: int, pidfd: int) -> None:
        waiting = self._requests.get(number)
        if waiting is None:  # whoever asked has gone
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
            return
        waiting.pid, waiting.pidfd = pid, pidfd
        waiting.done.set()

    def _give_up(self) -> None:
        for waiting in self._requests.values():
            if not waiting.done.is_set():
                waiting.error = "the fork server ended"
                waiting.done.set()
        for event in self._status_waiters.values():
            event.set()


def _environment() -> dict[str, str]:
    """Nothing, but for where this Python finds its own shared library."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
