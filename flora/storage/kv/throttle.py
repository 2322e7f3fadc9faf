"""How often a script may write: so many times in any minute, for each store."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flora.storage.kv.errors import KvRateLimitedError
from flora.storage.kv.operations import WRITES, Check, Operation, Transaction

WINDOW_SECS: Final = 60.0
STORES: Final = 200
"""Beyond so many names, those that were not written for a minute are forgotten."""


@dataclass(slots=True)
class _Slice:
    """The writes of one second: memory is bounded by the window, not by the limit."""

    second: int
    last: float
    writes: int


class WriteThrottle:
    """Of one guild. `limit` is `KvLimits.writes_per_minute`, 0 for none; `clock` gives seconds."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._recent: dict[str, deque[_Slice]] = {}

    def count(self, operation: Operation) -> None:
        """Count the writes of `operation`, or raise KvRateLimitedError and count none."""
        if self._limit == 0 or not isinstance(operation, WRITES):
            return
        steps = operation.steps if isinstance(operation, Transaction) else (operation,)
        stores = [step.store for step in steps if not isinstance(step, Check)]
        now = self._clock()
        for name in set(stores):
            if self._writes(name, now) + stores.count(name) > self._limit:
                raise KvRateLimitedError("kv write rate limit exceeded; retry later")
        for name in stores:
            recent = self._recent.setdefault(name, deque())
            if recent and recent[-1].second == int(now):
                recent[-1].writes += 1
                recent[-1].last = now
            else:
                recent.append(_Slice(int(now), now, 1))
        if len(self._recent) > STORES:
            self._recent = {name: recent for name, recent in self._recent.items() if self._writes(name, now)}

    def _writes(self, store: str, now: float) -> int:
        """In the last minute; a second counts in full until its last write is a minute old."""
        recent = self._recent.get(store)
        if recent is None:
            return 0
        while recent and recent[0].last <= now - WINDOW_SECS:
            recent.popleft()
        return sum(part.writes for part in recent)
