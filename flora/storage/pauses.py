"""Guilds whose script was stopped by hand, until somebody resumes it: remembered over restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flora.ids import GuildId, GuildOrder
from flora.storage.deployments import Actor
from flora.storage.postgres import Database

if TYPE_CHECKING:
    import asyncpg

    from flora.storage.postgres import Connection


class GuildPauses:
    """All of them, also in memory: `guilds` asks nobody. Errors: those of `Database.run`."""

    def __init__(self, db: Database, guilds: GuildOrder) -> None:
        self._db = db
        self._guilds = guilds

    @classmethod
    async def load(cls, db: Database) -> GuildPauses:
        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch("select guild_id from guild_pauses")

        rows = await db.run(unit, idempotent=True)
        return cls(db, GuildOrder(GuildId(row["guild_id"]) for row in rows))

    @property
    def guilds(self) -> GuildOrder:
        return self._guilds

    async def add(self, guild_id: GuildId, by: Actor) -> None:
        """To do it twice is no error; the first time counts."""

        async def unit(con: Connection) -> None:
            await con.execute(
                """insert into guild_pauses (guild_id, kind, user_id, username) values ($1, $2, $3, $4)
                   on conflict do nothing""",
                guild_id,
                by.kind,
                by.user_id,
                by.username,
            )

        await self._db.run(unit, idempotent=True)
        self._guilds.add(guild_id)

    async def remove(self, guild_id: GuildId) -> None:
        """To do it twice is no error."""

        async def unit(con: Connection) -> None:
            await con.execute("delete from guild_pauses where guild_id = $1", guild_id)

        await self._db.run(unit, idempotent=True)
        self._guilds.discard(guild_id)
