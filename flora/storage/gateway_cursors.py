"""Where each gateway shard goes on reading after a restart.

The cursor is a low-water mark: every event of the session up to `seq` is done. Whoever resumes from it is
sent the rest again by Discord, so a restart loses no event.
Source: Discord API documentation, "Gateway", section "Resuming".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flora.storage.postgres import Database

if TYPE_CHECKING:
    import asyncpg

    from flora.storage.postgres import Connection


@dataclass(frozen=True, slots=True)
class GatewayCursor:
    """A session of one shard of one bot. A session is good for its own `shard_count` only."""

    bot_id: str
    shard_id: int
    shard_count: int
    session_id: str
    resume_gateway_url: str
    seq: int
    intents: int = 0
    """What the session was identified with; 0 when it is not known."""


class GatewayCursorStore:
    """The one place where cursors are written; one host writes a bot's. Errors: those of `Database.run`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def load(self, bot_id: str, *, shard_count: int) -> dict[int, GatewayCursor]:
        """The cursors of the bot by shard id; those of another `shard_count` are of no use and left out."""

        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch(
                """select * from gateway_cursors
                   where bot_id = $1 and shard_count = $2 and shard_id < $2""",
                bot_id,
                shard_count,
            )

        rows = await self._db.run(unit, idempotent=True)
        return {
            row["shard_id"]: GatewayCursor(
                row["bot_id"],
                row["shard_id"],
                row["shard_count"],
                row["session_id"],
                row["resume_gateway_url"],
                row["seq"],
                row["intents"],
            )
            for row in rows
        }

    async def save(self, cursor: GatewayCursor) -> None:
        """Note how far a shard has come. Within one session the mark never goes back, whatever order writes
        come in.
        """

        async def unit(con: Connection) -> None:
            await con.execute(
                """insert into gateway_cursors as old
                       (bot_id, shard_id, shard_count, session_id, resume_gateway_url, seq, intents)
                   values ($1, $2, $3, $4, $5, $6, $7)
                   on conflict (bot_id, shard_id) do update set
                       shard_count = excluded.shard_count, session_id = excluded.session_id,
                       resume_gateway_url = excluded.resume_gateway_url, seq = excluded.seq,
                       intents = excluded.intents, updated_at = now()
                   where old.session_id <> excluded.session_id or old.seq < excluded.seq""",
                cursor.bot_id,
                cursor.shard_id,
                cursor.shard_count,
                cursor.session_id,
                cursor.resume_gateway_url,
                cursor.seq,
                cursor.intents,
            )

        await self._db.run(unit, idempotent=True)

    async def forget(self, bot_id: str, shard_id: int, *, session_id: str) -> None:
        """Discord says that the session is over: it cannot be resumed. A newer session's cursor stays."""

        async def unit(con: Connection) -> None:
            await con.execute(
                "delete from gateway_cursors where bot_id = $1 and shard_id = $2 and session_id = $3",
                bot_id,
                shard_id,
                session_id,
            )

        await self._db.run(unit, idempotent=True)
