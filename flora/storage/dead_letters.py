"""Dead letters: events that a guild's script could not handle, kept for a look and for another try."""

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

MAX_PER_GUILD: Final = 1000
"""A script that fails on everything must not fill the database; the oldest go first."""
MAX_AGE: Final = timedelta(days=30)
MAX_REASON: Final = 4000
MAX_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One event: `event_id` and `name` as in `GatewayEvent`, `payload` the bytes that Discord sent."""

    id: int
    guild_id: GuildId
    event_id: str
    name: str
    payload: bytes
    attempts: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NewDeadLetter:
    guild_id: GuildId
    event_id: str
    name: str
    payload: bytes
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """Letters, newest first; `cursor` asks for the next page, None at the end."""

    letters: tuple[DeadLetter, ...]
    cursor: str | None


class DeadLetterStore:
    """The one place where dead letters are written. Errors: those of `Database.run`, and
    InvalidCursorError.
    """

    def __init__(self, db: Database, *, max_per_guild: int = MAX_PER_GUILD) -> None:
        self._db = db
        self._max_per_guild = max_per_guild

    async def add(self, letters: Sequence[NewDeadLetter]) -> None:
        """Keep events, all of them or none. One that is there already (it came again, and failed again) is
        renewed.

        The oldest letters of a guild beyond its share are removed.
        """
        if not letters:
            return
        # One order of locking, so that two of these cannot deadlock, and each event once.
        unique = {(letter.guild_id, letter.event_id): letter for letter in letters}
        ordered = [unique[key] for key in sorted(unique)]

        async def unit(con: Connection) -> None:
            await con.executemany(
                """insert into dead_letters as old (guild_id, event_id, name, payload, attempts, reason)
                   values ($1, $2, $3, $4, $5, $6)
                   on conflict (guild_id, event_id) do update set
                       attempts = old.attempts + excluded.attempts, reason = excluded.reason, at = now()""",
                [
                    (
                        letter.guild_id,
                        letter.event_id,
                        letter.name,
                        letter.payload,
                        letter.attempts,
                        no_nul(letter.reason)[:MAX_REASON],
                    )
                    for letter in ordered
                ],
            )
            for guild_id in sorted({letter.guild_id for letter in ordered}):
                await con.execute(
                    """delete from dead_letters where guild_id = $1 and id <= (
                           select id from dead_letters where guild_id = $1
                           order by id desc offset $2 limit 1)""",
                    guild_id,
                    self._max_per_guild,
                )

        await self._db.transact(unit)

    async def page(self, guild_id: GuildId, *, limit: int = 20, cursor: str | None = None) -> DeadLetterPage:
        """A page of the guild's letters, newest first; `limit` is cut to 1..MAX_PAGE. Raises
        InvalidCursorError.
        """
        limit = max(1, min(limit, MAX_PAGE))
        before = cursors.before(cursor)

        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch(
                "select * from dead_letters where guild_id = $1 and id < $2 order by id desc limit $3",
                guild_id,
                before,
                limit + 1,
            )

        rows = await self._db.run(unit, idempotent=True)
        letters = tuple(_letter(row) for row in rows[:limit])
        return DeadLetterPage(letters, str(letters[-1].id) if len(rows) > limit else None)

    async def get(self, guild_id: GuildId, letter_id: int) -> DeadLetter | None:
        """One letter, None when there is none of this id."""
        if not 0 <= letter_id < 2**63:
            return None

        async def unit(con: Connection) -> asyncpg.Record | None:
            return await con.fetchrow(
                "select * from dead_letters where guild_id = $1 and id = $2", guild_id, letter_id
            )

        row = await self._db.run(unit, idempotent=True)
        return _letter(row) if row else None

    async def take(self, guild_id: GuildId, letter_id: int) -> DeadLetter | None:
        """Remove a letter; of many callers one gets it. None when there is none."""
        if not 0 <= letter_id < 2**63:
            return None

        async def unit(con: Connection) -> asyncpg.Record | None:
            return await con.fetchrow(
                "delete from dead_letters where guild_id = $1 and id = $2 returning *", guild_id, letter_id
            )

        row = await self._db.run(unit)
        return _letter(row) if row else None

    async def clear(self, guild_id: GuildId) -> int:
        """Remove all of the guild's letters; how many there were."""

        async def unit(con: Connection) -> str:
            return await con.execute("delete from dead_letters where guild_id = $1", guild_id)

        return int((await self._db.run(unit, idempotent=True)).removeprefix("DELETE "))

    async def sweep(self, max_age: timedelta = MAX_AGE) -> int:
        """Remove letters older than `max_age`, of all guilds; how many there were."""

        async def unit(con: Connection) -> str:
            return await con.execute("delete from dead_letters where at < now() - $1::interval", max_age)

        return int((await self._db.run(unit, idempotent=True)).removeprefix("DELETE "))


def _letter(row: asyncpg.Record) -> DeadLetter:
    return DeadLetter(
        row["id"],
        GuildId(row["guild_id"]),
        row["event_id"],
        row["name"],
        row["payload"],
        row["attempts"],
        row["reason"],
        row["at"],
    )
