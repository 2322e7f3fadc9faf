"""The guilds that a bot has left: since when, and whose data has been kept for long enough."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from flora.ids import GuildId
from flora.storage.postgres import Database

if TYPE_CHECKING:
    import asyncpg

    from flora.storage.postgres import Connection


class DepartureStore:
    """Of one bot. Errors: those of `Database.run`."""

    def __init__(self, db: Database, bot_id: str) -> None:
        self._db = db
        self._bot_id = bot_id

    async def left(self, guild_id: GuildId) -> None:
        """The bot is not in the guild any more; said again, the first time counts."""

        async def unit(con: Connection) -> None:
            await con.execute(
                "insert into guild_departures (bot_id, guild_id) values ($1, $2) on conflict do nothing",
                self._bot_id,
                guild_id,
            )

        await self._db.run(unit, idempotent=True)

    async def returned(self, guild_id: GuildId) -> None:
        """The bot is in the guild, or nothing is left to be removed."""

        async def unit(con: Connection) -> None:
            await con.execute(
                "delete from guild_departures where bot_id = $1 and guild_id = $2", self._bot_id, guild_id
            )

        await self._db.run(unit, idempotent=True)

    async def all(self) -> set[GuildId]:
        return await self._find(timedelta(0))

    async def due(self, retention: timedelta) -> set[GuildId]:
        """Those that the bot left more than `retention` ago, by the database's clock."""
        return await self._find(retention)

    async def _find(self, retention: timedelta) -> set[GuildId]:
        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch(
                "select guild_id from guild_departures where bot_id = $1 and left_at <= now() - $2::interval",
                self._bot_id,
                retention,
            )

        return {GuildId(row["guild_id"]) for row in await self._db.run(unit, idempotent=True)}
