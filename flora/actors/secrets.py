"""Secrets as the HTTP API sees them: a change is stored, then told to the guild's running script."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
import trio

from flora.actors.runtime import GuildRuntime
from flora.config import SecretsConfig
from flora.errors import FloraError
from flora.ids import GuildId
from flora.storage.datadir import DataDirectory
from flora.storage.secrets import KeyRing, MasterKey, SecretInfo, SecretVault

log = structlog.get_logger("flora.secrets")


def master_keys(config: SecretsConfig, data: DataDirectory) -> KeyRing:
    """The configured master keys, else those that flora made for itself. Raises MasterKeyError."""
    if config.master_key is None:
        made = data.development_secrets()
        return KeyRing.parse(made.master_key, made.previous_master_key)
    previous = config.previous_master_key
    return KeyRing.parse(
        config.master_key.get_secret_value(), previous.get_secret_value() if previous else None
    )


class SecretDesk:
    """Errors: those of `SecretVault`."""

    def __init__(
        self, vault: SecretVault, runtime: GuildRuntime, config: SecretsConfig, data: DataDirectory
    ) -> None:
        self._vault = vault
        self._runtime = runtime
        self._config = config
        self._data = data

    def list(self, guild_id: GuildId) -> Sequence[SecretInfo]:
        return self._vault.of(guild_id).infos()

    async def put(self, guild_id: GuildId, name: str, value: str, allowed_hosts: Sequence[str]) -> SecretInfo:
        info = await self._vault.put(guild_id, name, value, allowed_hosts)
        await self._tell(guild_id)
        return info

    async def delete(self, guild_id: GuildId, name: str) -> bool:
        was_there = await self._vault.delete(guild_id, name)
        await self._tell(guild_id)
        return was_there

    async def rotate_key(self) -> tuple[str, int]:
        """(id of the key that encrypts now, how many secrets were encrypted anew).

        A key of flora's own is replaced by a new one, which is on the disk before anything needs it; the one
        before is forgotten when nothing needs it any more. A configured key is the operator's to replace.
        """
        if self._config.master_key is not None:
            count = await self._vault.rotate()
        else:
            fresh = await trio.to_thread.run_sync(self._data.begin_key_rotation)
            count = await self._vault.rotate(MasterKey.parse(fresh))
            await trio.to_thread.run_sync(self._data.end_key_rotation)
        return self._vault.key_id, count

    async def _tell(self, guild_id: GuildId) -> None:
        """The script sees the change; if it cannot be told now, it does when it next starts."""
        try:
            await self._runtime.refresh_secrets(guild_id)
        except FloraError as error:
            log.warning("script not told of its secrets", guild=guild_id, error=str(error))
