"""The C library, bound once in the fork server: binding it again costs every guild half a megabyte."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import Final

LIBC: Final = ctypes.CDLL(None, use_errno=True)
timer_create = LIBC.timer_create
timer_settime = LIBC.timer_settime
syscall = LIBC.syscall
_prctl = LIBC.prctl

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_NAME: Final = 15
PR_SET_NO_NEW_PRIVS: Final = 38


def prctl(option: int, value: int | bytes) -> None:
    """Change one property of this process (man page prctl, section 2). Raises OSError."""
    zero = ctypes.c_ulong(0)
    argument = ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_ulong(value)
    if _prctl(option, argument, zero, zero, zero) != 0:
        raise last_error("prctl")


_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
_SCHED_OTHER: Final = 0
_SLICE_NANOS: Final = 100_000  # the shortest that Linux takes


def wake_soon(nice: int) -> None:
    """Have this thread, with this niceness, run in short slices: who wakes in order to do a little need not
    wait for the end of a longer slice of somebody else's (EEVDF, Linux 6.12; sched_setattr(2)). Older kernels
    ignore it. Raises OSError.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"no system call numbers for {platform.machine()}")
    # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period
    attributes = struct.pack("<IIQiIQQQ", 48, _SCHED_OTHER, 0, nice, 0, _SLICE_NANOS, 0, 0)
    if syscall(number, 0, attributes, 0) != 0:
        raise last_error("sched_setattr")


def last_error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
