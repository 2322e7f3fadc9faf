"""Which files a process may reach: a Landlock ruleset (landlock(7), Linux 5.13 and later).

What is not named is out of reach, whoever owns it. A process keeps the descriptors it has open.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from typing import Final

from .libc import last_error, syscall

# The same numbers on every architecture.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_GET_VERSION: Final = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH: Final = 1

_EXECUTE: Final = 1 << 0
_READ: Final = _EXECUTE | 1 << 2 | 1 << 3  # files, folders
_OF_FILES: Final = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15  # what can be allowed of a single file
# All rights of files that each version knows; scopes are of abstract sockets and signals (6).
_RIGHTS: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_SCOPES_FROM: Final = 6
_SCOPES: Final = 3


def version() -> int:
    """The kernel's Landlock ABI; 0 where there is none."""
    return max(0, _call(_CREATE_RULESET, None, 0, _GET_VERSION, fail=False))


def restrict(read: Iterable[str], write: Iterable[str]) -> None:
    """From now on only these and what is below them: `read` to read and execute, `write` for all.

    A path that is not there is left out. Needs no_new_privs. Raises OSError.
    """
    abi = version()
    if abi == 0:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    rights = max(mask for since, mask in _RIGHTS.items() if since <= abi)
    fields = (rights, 0, _SCOPES) if abi >= _SCOPES_FROM else (rights,)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for paths, allowed in ((read, _READ), (write, rights)):
            for path in paths:
                _allow(ruleset, path, allowed)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, allowed: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            allowed &= _OF_FILES
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", allowed, descriptor), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: int | bytes | None, fail: bool = True) -> int:
    words = [
        ctypes.c_char_p(each) if each is None or isinstance(each, bytes) else ctypes.c_ulong(each)
        for each in arguments
    ]
    result = syscall(ctypes.c_long(number), *words)
    if result < 0 and fail:
        raise last_error("landlock")
    return int(result)
