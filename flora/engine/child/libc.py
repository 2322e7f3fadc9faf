"""The C library, bound once in the fork server: binding it again costs every guild half a megabyte."""

from __future__ import annotations

import ctypes
import os
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


def last_error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
