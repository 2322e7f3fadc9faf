"""The gateway's resume cursors, stored from time to time: a restart loses no event."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
import trio

from flora.actors.kernel import Context, Service
from flora.actors.shard import ShardMemory
from flora.storage.gateway_cursors import GatewayCursor, GatewayCursorStore
from flora.storage.postgres import DatabaseError

log = structlog.get_logger("flora.discord")

INTERVAL_SECS = 1.0
"""What was done since the last one comes again after a crash, and its messages carry the same nonce."""
LOOK_SECS = 0.1
"""A session that has begun is stored within this time. One that is not stored cannot be resumed, and what
Discord sends after a kill -9 would be lost.
"""


class CursorKeeper(Service[None]):
    """Stores each shard's low-water mark: every second when it has moved, at once when it belongs to another
    session, and once more at the end.
    """

    def __init__(
        self,
        store: GatewayCursorStore,
        shards: Mapping[int, ShardMemory],
        *,
        bot_id: str,
        shard_count: int,
    ) -> None:
        self._store = store
        self._shards = shards
        self._bot_id = bot_id
        self._shard_count = shard_count
        self._stored: dict[int, GatewayCursor] = {}
        self._tried: dict[int, str] = {}  # the session of each shard that was stored, or could not be

    async def run(self, ctx: Context[None]) -> None:
        due = trio.current_time() + INTERVAL_SECS
        while True:
            await trio.sleep(LOOK_SECS)
            if self._another_session() or trio.current_time() >= due:
                await self._save()
                due = trio.current_time() + INTERVAL_SECS

    def _another_session(self) -> bool:
        points = {shard_id: memory.stored_point() for shard_id, memory in self._shards.items()}
        return any(
            point is not None and self._tried.get(shard_id) != point.session_id
            for shard_id, point in points.items()
        )

    async def stopping(self) -> None:
        await self._save()

    async def _save(self) -> None:
        for shard_id, memory in self._shards.items():
            cursor = self._present(shard_id, memory)
            if cursor is None or cursor == self._stored.get(shard_id):
                continue
            self._tried[shard_id] = cursor.session_id
            try:
                await self._store.save(cursor)
            except DatabaseError as error:
                log.warning("gateway cursor not stored", shard=shard_id, error=str(error))
            else:
                self._stored[shard_id] = cursor

    def _present(self, shard_id: int, memory: ShardMemory) -> GatewayCursor | None:
        point = memory.stored_point()
        if point is None:
            return None
        return GatewayCursor(
            self._bot_id,
            shard_id,
            self._shard_count,
            point.session_id,
            point.resume_gateway_url,
            point.seq,
            point.intents,
        )
