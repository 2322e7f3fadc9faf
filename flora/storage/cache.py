"""The cache: small values that may be forgotten, each with a time to live.

One interface, `Cache`; in this process (`MemoryCache`), or in Redis (`flora.storage.redis_cache.RedisCache`)
when CACHE_URL is set. Keys of this version of the data, with their time to live in seconds:
`session:{id}` (of the session), `oauth:state:{state}` 600, `oauth:user_guilds:{user_id}` 30,
`flora:scope:ch:{channel}` and `flora:scope:wh:{webhook}` 21600.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from flora.errors import FloraError

SWEEP: Final = 2
"""Dead entries dropped at each write, from the end that was not used for longest: as many as one write can
add, and one more, so that what nobody asks for again does not stay until the cache is full."""


class CacheValueError(FloraError):
    """`increment` of a value that is not a whole number."""

    code = "CACHE_VALUE"


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """`degraded` says that Redis is away and values live in this process until it is back; `reason` says
    why.
    """

    kind: Literal["memory", "redis"]
    degraded: bool
    reason: str | None
    local_entries: int
    hits: int
    misses: int


class Cache(Protocol):
    """What both caches promise. `ttl` is in seconds, above zero, and exact on read.

    No method fails because a server is away. Raises ValueError for a `ttl` that is not above zero. A
    cancelled write was applied or not.
    """

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Store `value`, whatever was there."""

    async def add(self, key: str, value: bytes, *, ttl: float) -> bool:
        """Store `value` if there is none, and say whether it was stored. One of many callers wins."""

    async def take(self, key: str) -> bytes | None:
        """Remove the value and return it: of many callers one gets it."""

    async def delete(self, key: str) -> bool:
        """Remove the value, and say whether there was one."""

    async def increment(self, key: str, by: int = 1, *, ttl: float) -> int:
        """Add `by` to a counter and return it; `ttl` counts from its first use. Raises CacheValueError."""

    def status(self) -> CacheStatus:
        """For health checks and metrics; asks nobody."""


@dataclass(slots=True)
class _Entry:
    value: bytes
    expires: float


class MemoryCache:
    """A cache in this process: least recently used goes first when it is full. Every method is O(1) and
    never waits.
    """

    def __init__(self, *, max_entries: int = 100_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._max_entries = max_entries
        self._clock = clock
        self._hits = 0
        self._misses = 0

    async def get(self, key: str) -> bytes | None:
        entry = self._live(key)
        if entry is None:
            self._misses += 1
            return None
        self._hits += 1
        self._entries.move_to_end(key)
        return entry.value

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        self._put(key, value, self._clock() + check_ttl(ttl))

    async def add(self, key: str, value: bytes, *, ttl: float) -> bool:
        check_ttl(ttl)
        if self._live(key) is not None:
            return False
        self._put(key, value, self._clock() + ttl)
        return True

    async def take(self, key: str) -> bytes | None:
        entry = self._live(key)
        if entry is None:
            return None
        del self._entries[key]
        return entry.value

    async def delete(self, key: str) -> bool:
        return await self.take(key) is not None

    async def increment(self, key: str, by: int = 1, *, ttl: float) -> int:
        check_ttl(ttl)
        entry = self._live(key)
        if entry is None:
            self._put(key, b"%d" % by, self._clock() + ttl)
            return by
        try:
            number = int(entry.value) + by
        except ValueError:
            raise CacheValueError(f"the cache's {key} is not a number.") from None
        self._put(key, b"%d" % number, entry.expires)
        return number

    def status(self) -> CacheStatus:
        return CacheStatus("memory", False, None, len(self._entries), self._hits, self._misses)

    def peek(self, key: str) -> tuple[bytes, float] | None:
        """Value and remaining time to live in seconds, without counting as use."""
        entry = self._live(key)
        return (entry.value, entry.expires - self._clock()) if entry else None

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def _live(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires <= self._clock():
            del self._entries[key]
            return None
        return entry

    def _put(self, key: str, value: bytes, expires: float) -> None:
        self._entries[key] = _Entry(value, expires)
        self._entries.move_to_end(key)
        now = self._clock()
        for _ in range(SWEEP):
            oldest, entry = next(iter(self._entries.items()))
            if len(self._entries) <= self._max_entries and entry.expires > now:
                break
            if len(self._entries) == 1:
                break
            del self._entries[oldest]


def check_ttl(ttl: float) -> float:
    if not ttl > 0:
        raise ValueError(f"a time to live must be above zero, not {ttl}")
    return ttl
