"""What a guild process may use."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flora.config import RuntimeConfig

MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What operators do not set: limits of the border, and parts exchanged by tests."""

    seccomp: bool = True
    self_test: bool = True
    package: Path | None = None  # PythonMonkey's folder; by default where it is installed
    bootstrap: str | None = None  # the fork server's program; by default `forkserver.BOOTSTRAP`
    hard_secs: float = 1.0  # CPU seconds that a turn has to end after its soft interrupt
    answer_secs: float = (
        2.0  # seconds without any sign of life after a deadline passed, until the process is killed
    )
    max_frame_bytes: int = 16 * MIB  # one frame of a guild; an attachment of 10 MiB fits as base64
    max_ops: int = 64  # host calls of one guild in flight; further ones wait in the guild
    frames_per_sec: float = 2_000.0  # ops, log lines, faults; answers to dispatches are free
    frames_burst: float = 8_000.0
    bytes_per_sec: float = 32.0 * MIB
    bytes_burst: float = 64.0 * MIB
    lines_per_sec: float = 100.0  # console lines passed on; the rest is dropped and counted
    lines_burst: float = 1_000.0
    max_throttled_secs: float = 10.0  # a guild that floods without a pause for so long is killed
    max_backlog_bytes: int = 64 * MIB  # what waits for a guild that does not read


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """The limits of one guild process, in SI units."""

    heap_bytes: int
    cpu_secs: float
    boot_secs: float
    max_script_bytes: int
    options: EngineOptions

    @classmethod
    def of(cls, config: RuntimeConfig, options: EngineOptions) -> ProcessLimits:
        return cls(
            heap_bytes=config.heap_mb * MIB,
            cpu_secs=config.cpu_ms / 1000,
            boot_secs=config.boot_timeout_secs,
            max_script_bytes=config.max_script_bytes,
            options=options,
        )


class TokenBucket:
    """A rate with a burst: `take` says for how many seconds the caller should have waited."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._level = burst
        self._filled_at = clock()

    def take(self, amount: float = 1.0) -> float:
        """Take `amount`; the level may go below zero, and the answer is the time until it is back at zero."""
        self._refill()
        self._level -= amount
        return max(0.0, -self._level / self._rate)

    def try_take(self, amount: float = 1.0) -> bool:
        """Take `amount` if it is there."""
        self._refill()
        if self._level < amount:
            return False
        self._level -= amount
        return True

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
