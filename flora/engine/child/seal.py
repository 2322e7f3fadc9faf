"""How a freshly forked guild process gives up what it does not need.

Each measure is tried on its own; what could not be done is reported with its reason and never stops the
others. The order matters: what needs privilege comes before privilege is dropped, the filter comes last.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import signal
from typing import Final

from . import seccomp
from .libc import PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_NO_NEW_PRIVS, prctl

LINK_FD: Final = 3
_EMPTY_ROOT_FD: Final = 1  # stdout, which a guild process has no use for
LIFELINE_FD: Final = 2  # stderr: a pipe that the host alone reads

# Each guild process gets a user of its own: this base plus its process id, which no two living processes
# share. The range is above what distributions, containers (subordinate ids) and systemd use and below 2**31.
GUILD_UID_BASE: Final = 1_900_000_000
_NOBODY: Final = 65534
NICE: Final = 5
"""Guilds give way to the host, which answers for all of them. The fork server has it too, so that no guild
runs before the host in its first moments.
"""
_OOM_SCORE: Final = 500  # when the machine runs out of memory, a guild goes before the host
_THREADS: Final = 16  # this process, glibc's timer thread, its short-lived callbacks

_F_SETSIG: Final = 10


class Seal:
    """What was done (`done`) and what was not, with the reason (`missing`)."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.missing: dict[str, str] = {}

    @contextlib.contextmanager
    def step(self, name: str):  # type: ignore[no-untyped-def]  # Iterator would cost an import in every fork server
        try:
            yield
        except (OSError, ValueError, AttributeError) as error:
            self.missing[name] = str(error)
        else:
            self.done.append(name)


def keep_descriptors(link: int, lifeline: int, empty_directory: int) -> None:
    """Leave the process with its socket, its stderr, and for a moment the directory that becomes its root."""
    os.dup2(link, LINK_FD, inheritable=False)
    os.dup2(lifeline, LIFELINE_FD, inheritable=False)
    os.dup2(empty_directory, _EMPTY_ROOT_FD, inheritable=False)
    os.closerange(LINK_FD + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def die_with_host(seal: Seal) -> None:
    """Have the kernel kill this process in the moment when the host is gone, whatever it is doing.

    The host holds the only reading end of the stderr pipe. When it closes, the kernel signals the owner of
    the writing end: O_ASYNC, with SIGKILL for SIGIO (fcntl(2), F_SETSIG). PR_SET_PDEATHSIG would not do:
    the parent is the fork server, whose end must not end the guilds. Each guild has a pipe of its own,
    since owner and signal belong to the open file.
    """
    with seal.step("dies_with_host"):
        fcntl.fcntl(LIFELINE_FD, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(LIFELINE_FD, _F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(LIFELINE_FD, fcntl.F_GETFL)
        fcntl.fcntl(LIFELINE_FD, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
        poll = select.poll()
        poll.register(LIFELINE_FD, 0)
        if poll.poll(0):
            os._exit(0)  # it closed before the kernel knew whom to tell


def limit_resources(seal: Seal, *, data_bytes: int, own_user: bool) -> None:
    """`data_bytes` of memory, no core dump, no file, no further descriptor, no further process, no higher
    priority.
    """
    with seal.step("rlimits"):
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        resource.setrlimit(resource.RLIMIT_NICE, (0, 0))
        resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (LINK_FD + 1, LINK_FD + 1))
        if own_user:
            resource.setrlimit(resource.RLIMIT_NPROC, (_THREADS, _THREADS))


def step_back(seal: Seal) -> None:
    """Let the host and the machine come first."""
    with seal.step("name"):
        prctl(PR_SET_NAME, b"flora-guild")
    with seal.step("oom_score"):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        try:
            os.write(descriptor, b"%d" % _OOM_SCORE)
        finally:
            os.close(descriptor)


def drop_user(seal: Seal) -> bool:
    """As root: into an empty directory, then to a user and group of its own. True when they are its own.

    Falls back to "nobody" where the ids are not mapped (a user namespace). Not root: nothing to drop.
    """
    root = os.geteuid() == 0
    if root:
        with seal.step("empty_root"):
            os.fchdir(_EMPTY_ROOT_FD)
            os.chroot(".")
    os.dup2(0, _EMPTY_ROOT_FD)  # /dev/null again
    if not root:
        return False
    for identity in (GUILD_UID_BASE + os.getpid(), _NOBODY):
        try:
            os.setgroups([])
            os.setresgid(identity, identity, identity)
            os.setresuid(identity, identity, identity)
        except OSError as error:
            seal.missing["user"] = str(error)
            continue
        seal.missing.pop("user", None)
        if identity == _NOBODY:
            seal.missing["own_user"] = "user ids in the high range are not mapped here; all guilds are nobody"
        seal.done.append("user")
        return identity != _NOBODY
    return False


def close_for_good(seal: Seal, program: seccomp.Filter | None, refused: str) -> None:
    """The last step, after every thread and timer is made. Without a `program`, `refused` says why."""
    with seal.step("not_dumpable"):
        prctl(PR_SET_DUMPABLE, 0)
    with seal.step("no_new_privs"):
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    if program is None:
        seal.missing["seccomp"] = refused
        return
    with seal.step("seccomp"):
        program.install()


def data_bytes() -> int:
    """What RLIMIT_DATA counts of this process now, in bytes. Ask before the user is dropped.

    Raises OSError, ValueError.
    """
    descriptor = os.open("/proc/self/status", os.O_RDONLY)
    try:
        status = os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
    at = status.index(b"VmData:") + len(b"VmData:")
    return int(status[at : status.index(b"kB", at)]) * 1024
