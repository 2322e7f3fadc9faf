"""When a shard may identify: `max_concurrency` at once per five seconds, and a budget per day.

Discord resets the bot's token when it identifies more often than its budget allows, so an empty budget is
waited for. Source: Discord, Gateway, "Session Start Limit Object" and "Sharding", "Max Concurrency".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
import trio

log = structlog.get_logger("flora.gateway")

IDENTIFY_INTERVAL: Final = 5.0


class IdentifySlot:
    """The permission to identify once; `used` when IDENTIFY was sent."""

    __slots__ = ("_bucket", "_gate")

    def __init__(self, gate: IdentifyGate, bucket: _Bucket) -> None:
        self._gate = gate
        self._bucket: _Bucket | None = bucket

    def used(self) -> None:
        """IDENTIFY has left: the next shard of the bucket may follow five seconds from now."""
        if self._bucket is not None:
            self._bucket.free_at = trio.current_time() + IDENTIFY_INTERVAL
            self._gate._remaining -= 1
            self.release()

    def release(self) -> None:
        """Give the slot to the next one; without effect when it was given before."""
        bucket, self._bucket = self._bucket, None
        if bucket is not None:
            bucket.turn.release()


class _Bucket:
    __slots__ = ("free_at", "turn")

    def __init__(self) -> None:
        # A semaphore and not a lock, since the task that uses the slot may not be the one that got it.
        self.turn = trio.Semaphore(1, max_value=1)
        self.free_at = 0.0


class IdentifyGate:
    """Shared by all shards of a bot. The budget is what `/gateway/bot` said, counted down."""

    def __init__(
        self,
        *,
        max_concurrency: int = 1,
        remaining: int = 1000,
        total: int = 1000,
        reset_after: float = 86400.0,
    ) -> None:
        self._max_concurrency = max(1, max_concurrency)
        self._buckets: defaultdict[int, _Bucket] = defaultdict(_Bucket)
        self._remaining = remaining
        self._total = total
        self._reset_after = reset_after
        self._reset_at: float | None = None

    @property
    def remaining(self) -> int:
        """IDENTIFYs left until the budget's reset."""
        return self._remaining

    @asynccontextmanager
    async def slot(self, shard_id: int) -> AsyncIterator[IdentifySlot]:
        """Wait for the shard's turn; leaving the block gives an unused turn back."""
        if self._reset_at is None:
            self._reset_at = trio.current_time() + self._reset_after
        bucket = self._buckets[shard_id % self._max_concurrency]
        await bucket.turn.acquire()
        slot = IdentifySlot(self, bucket)
        try:
            await trio.sleep_until(max(bucket.free_at, trio.current_time()))
            while self._remaining <= 0:
                log.error("identify budget is empty", shard=shard_id, seconds=self._until_reset())
                await trio.sleep(self._until_reset())
                if trio.current_time() >= self._reset_at:
                    self._remaining = self._total
                    self._reset_at += 86400.0
            yield slot
        finally:
            slot.release()

    def _until_reset(self) -> float:
        return max(0.0, (self._reset_at or 0.0) - trio.current_time())
