"""The fork server: SpiderMonkey and the SDK loaded once, one fork per guild.

Started by the host with two descriptors: the control socket (SOCK_SEQPACKET) and a file with its settings
as JSON. One thread, and it stays that way: only the thread that forks lives on in the child. It never runs
a guild's code and never draws a random number, which all children would then share.

Control messages are JSON objects:
  host -> zygote  {"id", "guild", "heap_bytes", "cpu", "hard"} + [socket, stderr pipe]
  zygote -> host  {"t": "hello", ...facts} once; {"t": "spawned", "id", "pid"} + [pidfd];
                  {"t": "refused", "id", "error"}; {"t": "exit", "pid", "status"}
When the host is gone (end of file) the zygote kills its children and ends. When the zygote alone is gone, its
children go on: they are bound to the host (`seal.die_with_host`).
"""

from __future__ import annotations

import array
import gc
import json
import os
import select
import signal
import socket
import sys
from typing import Any, Final, NoReturn

from . import seal, seccomp
from .guild import EXIT_BROKEN, EXIT_OUT_OF_MEMORY, Guild
from .libc import PR_SET_NAME, PR_SET_PDEATHSIG, prctl
from .realm import Realm
from .rehearsal import rehearse
from .spidermonkey import SpiderMonkey
from .watchdog import Watchdog

_MAX_CONTROL_BYTES: Final = 64 << 10
_DESCRIPTOR_BYTES: Final = 4
_ENTROPY_BYTES: Final = 32  # a key of the SDK's random number generator


class Zygote:
    """`settings`: package, prelude, sdk, jit, seccomp, fork, internal_jobs, soft_interrupt."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self._control = control
        self._settings = settings
        self._children: set[int] = set()
        self._empty_directory = _empty_directory()
        self._unfiltered = seccomp.available() if settings["seccomp"] else "turned off"
        self._jit = settings["jit"] == "on" or (settings["jit"] == "auto" and not self._unfiltered)
        self._filter = None if self._unfiltered else seccomp.guild_filter(executable_memory=self._jit)
        if not self._jit:
            os.putenv("JIT_OPTION_disableJitBackend", "true")  # read by the engine when it is loaded
        self._facts: dict[str, Any] = {"jit": self._jit, "seccomp": self._unfiltered}
        self._loaded: _Loaded | None = None
        if settings["fork"] == "prepared":
            self._loaded = _Loaded(settings)
            self._loaded.engine.collect()
            rehearse(self._loaded.realm, self._loaded.watchdog)
            self._facts["fork_safe"] = self._loaded.engine.fork_safe

    def serve(self) -> NoReturn:
        wake_reader, wake_writer = os.pipe()
        os.set_blocking(wake_writer, False)
        os.set_blocking(wake_reader, False)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake_reader, select.POLLIN)
        gc.collect()
        gc.freeze()
        self._tell({"t": "hello", **self._facts})
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if wake_reader in ready:
                signals = os.read(wake_reader, 4096)
                self._reap()
                if signal.SIGTERM in signals and self._control.fileno() not in ready:
                    os._exit(0)
            if self._control.fileno() in ready:
                self._read_request()

    def _read_request(self) -> None:
        try:
            message, ancillary, _, _ = self._control.recvmsg(
                _MAX_CONTROL_BYTES, socket.CMSG_LEN(2 * _DESCRIPTOR_BYTES)
            )
        except ConnectionResetError:
            message, ancillary = b"", []
        if not message:
            self._end_with_host()
        descriptors = array.array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data)
        request = json.loads(message)
        link, lifeline = descriptors
        try:
            pid = os.fork()
        except OSError as error:
            os.close(link)
            os.close(lifeline)
            self._tell({"t": "refused", "id": request["id"], "error": str(error)})
            return
        if pid == 0:
            self._become_guild(request, link, lifeline)
        os.close(link)
        os.close(lifeline)
        self._children.add(pid)
        pidfd = os.pidfd_open(pid)
        try:
            self._tell({"t": "spawned", "id": request["id"], "pid": pid}, pidfd)
        finally:
            os.close(pidfd)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._children.discard(pid)
            self._tell({"t": "exit", "pid": pid, "status": os.waitstatus_to_exitcode(status)})

    def _end_with_host(self) -> NoReturn:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)  # not yet reaped, so the id is still theirs
        os._exit(0)

    def _tell(self, message: dict[str, Any], *descriptors: int) -> None:
        rights = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        )
        try:
            self._control.sendmsg([json.dumps(message).encode()], rights)
        except (BrokenPipeError, ConnectionResetError):
            self._end_with_host()

    def _become_guild(self, request: dict[str, Any], link: int, lifeline: int) -> NoReturn:
        code = EXIT_BROKEN
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            seal.keep_descriptors(link, lifeline, self._empty_directory)
            self._run_guild(request)
        except MemoryError:
            code = EXIT_OUT_OF_MEMORY
        except (BrokenPipeError, ConnectionResetError):
            code = 0  # the host hung up
        except BaseException as error:  # noqa: BLE001 - nothing may leave this frame but through _exit
            os.write(seal.LIFELINE_FD, f"{type(error).__name__}: {error}\n".encode()[:4096])
        finally:
            os._exit(code)

    def _run_guild(self, request: dict[str, Any]) -> NoReturn:
        # Without one the engine is loaded after the fork, where a loaded one would not survive it.
        loaded = self._loaded or _Loaded(self._settings)
        loaded.engine.after_fork()
        sealed = seal.Seal()
        seal.step_back(sealed)
        heap_limit = seal.data_bytes() + request["heap_bytes"]
        own_user = seal.drop_user(sealed)
        seal.die_with_host(sealed)
        loaded.watchdog.start()
        seal.limit_resources(sealed, data_bytes=heap_limit, own_user=own_user)
        loaded.realm.enter(request["guild"], os.urandom(_ENTROPY_BYTES))
        link = socket.socket(fileno=seal.LINK_FD)
        seal.close_for_good(sealed, self._filter, self._unfiltered)
        guild = Guild(link, loaded.realm, loaded.watchdog, cpu=request["cpu"], hard=request["hard"])
        guild.announce(
            json.dumps(
                {
                    "t": "ready",
                    "sealed": sealed.done,
                    "unsealed": sealed.missing,
                    "internal_jobs": loaded.engine.internal_jobs,
                    "soft_interrupt": loaded.watchdog.soft_interrupt,
                    "tracks_rejections": loaded.realm.tracks_rejections,
                }
            )
        )
        guild.serve()


class _Loaded:
    """Everything of a guild process that does not depend on the guild."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.engine = SpiderMonkey(settings["package"], internal_jobs=settings["internal_jobs"])
        self.realm = Realm(self.engine, settings["prelude"])
        self.realm.use_sdk(settings["sdk"])
        self.engine.run_jobs()
        self.watchdog = Watchdog(self.engine, soft_interrupt=settings["soft_interrupt"])


def _empty_directory() -> int:
    """A descriptor of a directory that has no name and can hold nothing: the root of guild processes."""
    path = f"/tmp/flora-empty-{os.urandom(8).hex()}"
    os.mkdir(path, 0o700)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.rmdir(path)
    return descriptor


def main(control_fd: int, settings_fd: int, host_pid: int) -> NoReturn:
    """Run the fork server. `host_pid` is who started it: if that is not the parent any more, it is too
    late.
    """
    prctl(PR_SET_NAME, b"flora-zygote")
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the host
    if os.getppid() != host_pid:
        sys.exit(0)
    os.nice(seal.NICE)
    with open(settings_fd, encoding="utf-8") as file:
        settings = json.load(file)
    if control_fd != seal.LINK_FD:
        # Everything opened from now on has a higher number than those that `seal.keep_descriptors`
        # overwrites.
        os.dup2(control_fd, seal.LINK_FD, inheritable=False)
        os.close(control_fd)
    Zygote(socket.socket(fileno=seal.LINK_FD), settings).serve()
