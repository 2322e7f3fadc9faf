"""What guilds' scripts declared while they loaded, remembered across restarts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from flora.ids import GuildId
from flora.storage.postgres import Database

if TYPE_CHECKING:
    from flora.storage.postgres import Connection


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """`listens` and `prefix` are the engine's. `commands` is JSON text, UTF-8, None when the script declares
    none. `timers`: whether its top level has left any pending, so that it does something without being asked.
    """

    listens: frozenset[str]
    commands: bytes | None
    timers: bool
    prefix: str | None = None


class ManifestStore:
    """Manifests by guild; each counts for one revision and one SDK. Errors: those of `Database.run`."""

    def __init__(self, db: Database, sdk: bytes) -> None:
        """`sdk` is the SHA-256 of the SDK that scripts are loaded with."""
        self._db = db
        self._sdk = sdk

    async def record(self, guild_id: GuildId, revision_id: UUID, manifest: StoredManifest) -> None:
        """Keep it until the guild's next one. Nothing happens when the guild has no deployment any more."""

        async def unit(con: Connection) -> None:
            await con.execute(
                """insert into guild_manifests (guild_id, revision_id, sdk, listens, prefix, commands, timers)
                   select guild_id, $2, $3, $4, $5, $6, $7 from deployments where guild_id = $1
                   on conflict (guild_id) do update set revision_id = excluded.revision_id,
                       sdk = excluded.sdk, listens = excluded.listens, prefix = excluded.prefix,
                       commands = excluded.commands, timers = excluded.timers""",
                guild_id,
                revision_id,
                self._sdk,
                sorted(manifest.listens),
                manifest.prefix,
                manifest.commands,
                manifest.timers,
            )

        await self._db.run(unit, idempotent=True)

    async def current(self) -> Mapping[GuildId, StoredManifest]:
        """Those that hold for what the guilds run now. Guilds that listen to the same share the set."""

        async def unit(con: Connection) -> list[tuple[str, list[str], bytes | None, bool, str | None]]:
            rows = await con.fetch(
                """select m.guild_id, m.listens, m.commands, m.timers, m.prefix from guild_manifests m
                   join deployments d on d.guild_id = m.guild_id and d.revision_id = m.revision_id
                   where m.sdk = $1""",
                self._sdk,
            )
            return [tuple(row) for row in rows]

        shared: dict[frozenset[str], frozenset[str]] = {}
        found: dict[GuildId, StoredManifest] = {}
        for guild_id, names, commands, timers, prefix in await self._db.run(unit, idempotent=True):
            listens = frozenset(names)
            listens = shared.setdefault(listens, listens)
            found[GuildId(guild_id)] = StoredManifest(listens, commands, timers, prefix)
        return found
