"""What the engine says of itself: how well processes are sealed, which fallbacks are in use, what happened
so far.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from flora.engine.api import ExitKind
from flora.engine.process import ProcessStatistics
from flora.engine.protocol import Ready


class SealLevel(enum.StrEnum):
    """How much a script that has taken over its whole process can still do."""

    FULL = "full"  # nothing but compute, and talk to the host
    PARTIAL = "partial"  # system calls are open, but it is an unprivileged user in an empty directory
    NONE = "none"  # whatever flora's own user may do


# Without one of these a process is not sealed in full; the others (a lower priority, an empty root) are
# extras.
_ESSENTIAL = ("rlimits", "dies_with_host", "no_new_privs", "seccomp")


def seal_level(ready: Ready) -> SealLevel:
    if all(measure in ready.sealed for measure in _ESSENTIAL) and "user" not in ready.unsealed:
        return SealLevel.FULL
    return SealLevel.PARTIAL if "user" in ready.sealed else SealLevel.NONE


@dataclass(frozen=True, slots=True)
class EngineReport:
    """A snapshot for `flora doctor`, the admin API and metrics. `unsealed` says why each missing measure is
    missing.
    """

    seal: SealLevel
    sealed: tuple[str, ...]
    unsealed: Mapping[str, str]
    jit: bool
    fork: str  # "prepared" or "init_after"
    jobs: str  # "internal" or "micro_loop"
    interrupt: str  # "soft" or "kill"
    reports_rejections: bool
    fallbacks: tuple[str, ...]  # why a better rung was left, in words
    fork_server_pid: int | None
    fork_server_restarts: int
    processes: int
    starts: int
    exits: Mapping[ExitKind, int]
    totals: ProcessStatistics

    def lines(self) -> list[str]:
        """For people: one fact per line."""
        lines = [
            f"seal: {self.seal} ({', '.join(self.sealed) or 'nothing'})",
            *(f"  not sealed: {measure}: {reason}" for measure, reason in self.unsealed.items()),
            f"just-in-time compiler: {'on' if self.jit else 'off'}",
            f"fork: {self.fork}, promise jobs: {self.jobs}, CPU limit: {self.interrupt}",
            *(f"  fallback: {reason}" for reason in self.fallbacks),
        ]
        if not self.reports_rejections:
            lines.append("  unhandled promise rejections are not reported: this build has no hook for them")
        return lines


@dataclass(slots=True)
class Tally:
    """What processes that are gone have added up to."""

    starts: int = 0
    exits: dict[ExitKind, int] = field(default_factory=lambda: dict.fromkeys(ExitKind, 0))
    totals: ProcessStatistics = field(default_factory=ProcessStatistics)

    def add(self, kind: ExitKind, statistics: ProcessStatistics) -> None:
        self.exits[kind] += 1
        self.totals = ProcessStatistics.sum((self.totals, statistics))


COPIED_BYTES: Final = 5 * 2**19
"""What an idle guild process has written of the memory that it began with, and so no longer shares: 2.5 MiB
at 60 guilds (Private_Dirty of smaps_rollup)."""


def own_bytes(pid: int, fork_server_bytes: int) -> int:
    """About what would be free if this process ended; 0 when it is gone.

    `fork_server_bytes` is `resident_bytes` of the fork server, whose pages each process shares until it
    writes them. One that has written more of them than most do is taken for smaller than it is.
    """
    resident = resident_bytes(pid)
    return resident and max(0, resident - fork_server_bytes) + COPIED_BYTES


def resident_bytes(pid: int) -> int:
    """Anonymous memory of a process as the kernel counts it, pages shared with the fork server included.

    0 when the process is gone. Proportional figures (PSS) need rights that flora does not always have.
    """
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            fields = file.read().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
