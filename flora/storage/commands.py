"""Which application commands Discord has of us for each guild, remembered across restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flora.ids import GuildId
from flora.storage.postgres import Database

if TYPE_CHECKING:
    from flora.storage.postgres import Connection


class CommandStore:
    """Errors: those of `Database.run`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def registered(self, guild_id: GuildId) -> bytes | None:
        """The SHA-256 of the JSON that was last registered; None when nothing ever was."""

        async def unit(con: Connection) -> Any:
            return await con.fetchval("select sha256 from guild_commands where guild_id = $1", guild_id)

        digest = await self._db.run(unit, idempotent=True)
        return None if digest is None else bytes(digest)

    async def forget(self, guild_id: GuildId) -> None:
        async def unit(con: Connection) -> None:
            await con.execute("delete from guild_commands where guild_id = $1", guild_id)

        await self._db.run(unit, idempotent=True)

    async def record(self, guild_id: GuildId, sha256: bytes) -> None:
        async def unit(con: Connection) -> None:
            await con.execute(
                """insert into guild_commands (guild_id, sha256) values ($1, $2)
                   on conflict (guild_id) do update set sha256 = excluded.sha256, registered_at = now()""",
                guild_id,
                sha256,
            )

        await self._db.run(unit, idempotent=True)
