"""Application commands: what a guild's script declares is what Discord has, registered once per change.

Each guild's last declaration counts. Discord is asked only when it differs from what was registered before,
also across restarts. Registering is not part of a deploy: what Discord refuses is a line in the guild's log.
Source: Discord API Reference, "Bulk Overwrite Guild Application Commands".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec
import structlog
import trio

from flora.actors.host import RUNTIME
from flora.actors.kernel import Actor, Backoff, Context
from flora.actors.loghub import LogHub
from flora.engine.api import LogLevel
from flora.errors import FloraError
from flora.gateway.errors import DiscordHttpError
from flora.gateway.rest import DiscordRest
from flora.gateway.routes import Route
from flora.ids import GuildId
from flora.storage.commands import CommandStore

log = structlog.get_logger("flora.deployments")

RETRY = Backoff(initial=1.0, factor=2.0, maximum=300.0)
CLIENT_ERRORS = range(400, 500)
AT_ONCE = 4
"""Guilds looked at side by side: after a start of flora all of them are."""


@dataclass(frozen=True, slots=True)
class CommandsDeclared:
    """`commands` is a JSON array, None when the script declares none."""

    guild_id: GuildId
    commands: bytes | None


class CommandRegistry(Actor[CommandsDeclared]):
    def __init__(
        self, rest: DiscordRest, store: CommandStore, logs: LogHub, application_id: str, *, realm: str = ""
    ) -> None:
        """`realm` tells one Discord from another that has the same ids and not the same memory."""
        self._rest = rest
        self._store = store
        self._logs = logs
        self._application_id = application_id
        self._realm = realm.encode()
        self._wanted: dict[GuildId, bytes | None] = {}  # guilds with a task under way
        self._declared: dict[GuildId, bytes] = {}
        self._turns = trio.CapacityLimiter(AT_ONCE)
        self._ctx: Context[CommandsDeclared]

    async def started(self, ctx: Context[CommandsDeclared]) -> None:
        self._ctx = ctx

    async def of(self, guild_id: GuildId) -> tuple[bytes | None, bool]:
        """What the guild's script declares (JSON array, or None), and whether Discord has taken it. Raises
        DatabaseError.
        """
        declared = self._declared.get(guild_id)
        if declared is None:
            return None, guild_id not in self._wanted
        return declared, await self._store.registered(guild_id) == self._digest(declared)

    async def receive(self, message: CommandsDeclared) -> None:
        if message.commands is None:
            self._declared.pop(message.guild_id, None)
        else:
            self._declared[message.guild_id] = message.commands
        busy = message.guild_id in self._wanted
        self._wanted[message.guild_id] = message.commands
        if not busy:
            self._ctx.nursery.start_soon(self._bring_up_to_date, message.guild_id)

    async def _bring_up_to_date(self, guild_id: GuildId) -> None:
        """Until what is wanted is registered or refused; the wish may change meanwhile."""
        failures = 0
        try:
            while True:
                commands = self._wanted[guild_id]
                try:
                    async with self._turns:
                        await self._register(guild_id, commands)
                except DiscordHttpError as error:
                    if error.status not in CLIENT_ERRORS:
                        failures += 1
                    else:
                        failures = 0
                        self._say(guild_id, f"Discord refused the application commands: {error.message}")
                except FloraError as error:
                    failures += 1
                    log.warning("commands not registered", guild=guild_id, error=str(error))
                else:
                    failures = 0
                if failures:
                    await trio.sleep(RETRY.delay(failures, self._ctx.rng))
                elif commands == self._wanted[guild_id]:
                    return
        finally:
            del self._wanted[guild_id]

    async def _register(self, guild_id: GuildId, commands: bytes | None) -> None:
        body = commands or b"[]"
        digest = self._digest(body)
        registered = await self._store.registered(guild_id)
        if registered == digest or (registered is None and commands is None):
            return
        await self._rest.request(
            Route(
                "PUT",
                "/applications/{application_id}/guilds/{guild_id}/commands",
                application_id=self._application_id,
                guild_id=guild_id,
            ),
            json=msgspec.Raw(body),
            guild_id=guild_id,
        )
        await self._store.record(guild_id, digest)
        log.info("commands registered", guild=guild_id)

    def _digest(self, commands: bytes) -> bytes:
        return hashlib.sha256(self._realm + commands).digest()

    def _say(self, guild_id: GuildId, text: str) -> None:
        self._logs.append(guild_id, LogLevel.ERROR, text, target=RUNTIME)
