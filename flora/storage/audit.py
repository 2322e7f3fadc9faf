"""The audit log: every write that came in through the HTTP API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from flora.ids import GuildId
from flora.storage import cursors
from flora.storage.postgres import Database
from flora.storage.texts import no_nul

if TYPE_CHECKING:
    import asyncpg

    from flora.storage.postgres import Connection

MAX_PAGE: Final = 100
MAX_PATH: Final = 1_000
"""Characters of a path that are kept; a KV key in it may be long."""


@dataclass(frozen=True, slots=True)
class NewAuditEntry:
    """One write. `action` is the route's name, `status` the answer's, `token_id` of the API token used."""

    kind: str
    user_id: str | None
    username: str | None
    token_id: str | None
    address: str
    request_id: str
    guild_id: GuildId | None
    action: str
    method: str
    path: str
    status: int


@dataclass(frozen=True, slots=True)
class AuditEntry(NewAuditEntry):
    id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first; `cursor` asks for the next page, None at the end."""

    entries: tuple[AuditEntry, ...]
    cursor: str | None


class AuditStore:
    """The one place where the audit log is written. Errors: those of `Database.run`, InvalidCursorError."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, entries: Sequence[NewAuditEntry]) -> None:
        """Enter all of them, in their order, or none."""

        async def unit(con: Connection) -> None:
            await con.executemany(
                """insert into audit_log (kind, user_id, username, token_id, address, request_id, guild_id,
                                          action, method, path, status)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
                [
                    (
                        entry.kind,
                        entry.user_id,
                        entry.username,
                        entry.token_id,
                        entry.address,
                        entry.request_id,
                        entry.guild_id,
                        entry.action,
                        entry.method,
                        no_nul(entry.path)[:MAX_PATH],
                        entry.status,
                    )
                    for entry in entries
                ],
            )

        await self._db.transact(unit)

    async def page(
        self,
        *,
        guild_id: GuildId | None = None,
        user_id: str | None = None,
        limit: int = 25,
        cursor: str | None = None,
    ) -> AuditPage:
        """A page, newest first, of one guild or of all, by one user or by all."""
        limit = max(1, min(limit, MAX_PAGE))
        before = cursors.before(cursor)

        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch(
                """select * from audit_log
                   where id < $1 and ($2::text is null or guild_id = $2)
                     and ($3::text is null or user_id = $3)
                   order by id desc limit $4""",
                before,
                guild_id,
                user_id,
                limit + 1,
            )

        rows = await self._db.run(unit, idempotent=True)
        entries = tuple(_entry(row) for row in rows[:limit])
        return AuditPage(entries, str(entries[-1].id) if len(rows) > limit else None)

    async def sweep(self, max_age: timedelta) -> int:
        """Remove entries older than `max_age`; how many there were."""

        async def unit(con: Connection) -> str:
            return await con.execute("delete from audit_log where at < now() - $1::interval", max_age)

        return int((await self._db.run(unit, idempotent=True)).removeprefix("DELETE "))


def _entry(row: asyncpg.Record) -> AuditEntry:
    fields = dict(row)
    fields["guild_id"] = None if fields["guild_id"] is None else GuildId(fields["guild_id"])
    return AuditEntry(**fields)
