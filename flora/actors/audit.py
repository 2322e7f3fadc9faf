"""The audit log's writer: entries wait in memory for the next batch, as long as the database is away.

`record` returns when the entry is stored, or after RECORD_SECS: whoever made the write gets an answer even
when the database does not give one, and the entry follows. Only beyond MAX_WAITING the oldest are lost, each
with a line in flora's own log.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import Final

import structlog
import trio

from flora.actors.kernel import Backoff, Context, Service
from flora.ids import GuildId
from flora.storage.audit import AuditPage, AuditStore, NewAuditEntry
from flora.storage.postgres import DatabaseError

log = structlog.get_logger("flora.audit")

RECORD_SECS: Final = 2.0
MAX_WAITING: Final = 10_000
MAX_BATCH: Final = 500
SWEEP_SECS: Final = 3600.0
RETRY: Final = Backoff(initial=0.2, factor=2.0, maximum=10.0)


class AuditLog(Service[None]):
    """Its methods may be called from any task while it runs."""

    def __init__(self, store: AuditStore, *, retention: timedelta) -> None:
        self._store = store
        self._retention = retention
        self._waiting: deque[tuple[NewAuditEntry, trio.Event]] = deque()
        self._arrived = trio.Event()
        self._writing = trio.Lock()

    @property
    def waiting(self) -> int:
        """Entries that are not stored yet."""
        return len(self._waiting)

    async def record(self, entry: NewAuditEntry) -> None:
        """Enter a write. Cancelling gives up the wait only."""
        stored = self._add(entry)
        with trio.move_on_after(RECORD_SECS):
            await stored.wait()

    def note(self, entry: NewAuditEntry) -> None:
        """As `record`, without waiting."""
        self._add(entry)

    async def page(
        self, *, guild_id: GuildId | None, user_id: str | None, limit: int, cursor: str | None
    ) -> AuditPage:
        """Raises InvalidCursorError, DatabaseError."""
        return await self._store.page(guild_id=guild_id, user_id=user_id, limit=limit, cursor=cursor)

    async def run(self, ctx: Context[None]) -> None:
        ctx.nursery.start_soon(self._sweep)
        failures = 0
        while True:
            if not self._waiting:
                self._arrived = trio.Event()
                await self._arrived.wait()
            try:
                await self._write()
                failures = 0
            except DatabaseError as error:
                failures += 1
                log.warning("audit log not written", waiting=len(self._waiting), error=str(error))
                await trio.sleep(RETRY.delay(failures, ctx.rng))

    async def stopping(self) -> None:
        """Write what waits."""
        try:
            while self._waiting:
                await self._write()
        except DatabaseError as error:
            for entry, _ in self._waiting:
                log.error("audit entry lost", entry=str(entry), error=str(error))

    def _add(self, entry: NewAuditEntry) -> trio.Event:
        if len(self._waiting) >= MAX_WAITING:
            lost, _ = self._waiting.popleft()
            log.error("audit entry lost", entry=str(lost), error="the database is away for too long")
        stored = trio.Event()
        self._waiting.append((entry, stored))
        self._arrived.set()
        return stored

    async def _write(self) -> None:
        """One batch. Raises DatabaseError; then it is written again."""
        async with self._writing:
            batch = [self._waiting[index] for index in range(min(len(self._waiting), MAX_BATCH))]
            if not batch:
                return
            await self._store.add([entry for entry, _ in batch])
            written = {id(stored) for _, stored in batch}
            while self._waiting and id(self._waiting[0][1]) in written:
                self._waiting.popleft()
            for _, stored in batch:
                stored.set()

    async def _sweep(self) -> None:
        while True:
            try:
                await self._store.sweep(self._retention)
            except DatabaseError as error:
                log.warning("audit log not swept", error=str(error))
            await trio.sleep(SWEEP_SECS)
