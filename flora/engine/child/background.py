"""A script that computes for long runs behind all others, for the rest of its process's life.

Who does little and often (the host, other guilds) must not wait for it, which takes three measures on Linux:
- SCHED_IDLE: whoever wakes preempts it at once (sched(7)). The kernel lets no unprivileged process come back.
- The longest slice there is: among tasks that wait, EEVDF takes the one whose slice ends first, so that with
  a short one such a script is sometimes taken before somebody who just woke, until the next tick (4 ms).
- One processor is left to the others, where there is more than one. A task that wakes is put on an idle one.
Where the processors have room it loses nothing by the first two.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import struct
from typing import Final

from .libc import last_error, syscall

_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
_SCHED_OTHER: Final = 0
_SLICE_NANOS: Final = 100_000_000  # the longest that Linux takes; before 6.12 there is none to be set
_LEAST_NICE: Final = 19


class Background:
    """Made in the fork server, which sees the machine; entered by a guild process behind its seal."""

    def __init__(self) -> None:
        self._processors = sorted(os.sched_getaffinity(0))[1:]

    def enter(self) -> None:
        """Each measure is tried on its own: where the kernel refuses one, the script stays where it is."""
        with contextlib.suppress(OSError):
            _schedule(_SCHED_OTHER, _LEAST_NICE, _SLICE_NANOS)
        with contextlib.suppress(OSError):
            _schedule(os.SCHED_IDLE, 0, 0)
        if self._processors:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, self._processors)


def _schedule(policy: int, nice: int, slice_nanos: int) -> None:
    """For this thread (sched_setattr(2)). Raises OSError."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"no system call numbers for {platform.machine()}")
    # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period
    attributes = struct.pack("<IIQiIQQQ", 48, policy, 0, nice, 0, slice_nanos, 0, 0)
    if syscall(number, 0, attributes, 0) != 0:
        raise last_error("sched_setattr")
