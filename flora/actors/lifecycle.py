"""Guilds that the bot leaves and comes back to.

Removed from a guild: its script stops, its deployment and its data stay. Back in it: the script starts again,
with all it had. Not back within `data_retention_days`: its data is removed, by the hooks that the composition
root gives. A guild that is unavailable is in an outage of Discord's and is left alone.
Source: Discord, Gateway Events, "Guild Create", "Guild Delete", "Ready".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec
import structlog
import trio

from flora.actors.core import Router, State
from flora.actors.deployer import Deployments
from flora.actors.kernel import Actor, ActorError, ActorRef, Backoff, Context
from flora.engine.api import ScriptLoadError
from flora.errors import FloraError
from flora.gateway.envelope import EnvelopeError, read_ready
from flora.gateway.events import GatewayEvent
from flora.gateway.info import shard_of
from flora.ids import GuildId
from flora.storage.departures import DepartureStore
from flora.storage.postgres import DatabaseError

log = structlog.get_logger("flora.guilds")

RETRY: Final = Backoff(initial=1.0, factor=2.0, maximum=60.0)
PURGE_SECS: Final = 3600.0
"""Between looks for data that has been kept for long enough."""

Remove = Callable[[GuildId], Awaitable[object]]
"""Removes one kind of a guild's data for good. To do it twice is no error."""


@dataclass(frozen=True, slots=True)
class Presence:
    """The bot is in the guild, or is not any more."""

    guild_id: GuildId
    here: bool


class _GuildDelete(msgspec.Struct):
    unavailable: bool = False


class Attendance:
    """Which guilds with a deployment the bot is in, as the gateway tells it; never waits."""

    def __init__(
        self,
        router: Router,
        deployed: Iterable[GuildId],
        gone: Iterable[GuildId],
        *,
        shard_count: int,
        complete: bool = True,
    ) -> None:
        """`complete`: a guild that READY does not name has been left, while flora was not looking."""
        self.gone = set(gone)
        self._router = router
        self._deployed = set(deployed)
        self._shard_count = shard_count
        self._complete = complete
        self._ref: ActorRef[Presence] | None = None

    def connect(self, ref: ActorRef[Presence]) -> None:
        self._ref = ref

    def notice(self, event: GatewayEvent) -> None:
        """Take note of an event of any shard."""
        if event.name == "READY":
            self._ready(event)
        elif event.guild_id is None:
            return
        elif event.name == "GUILD_CREATE":
            if event.guild_id in self.gone or (event.guild_id in self._deployed and self._stopped(event)):
                self.gone.discard(event.guild_id)
                self._tell(Presence(event.guild_id, here=True))
        elif event.name == "GUILD_DELETE" and not _is_outage(event.payload):
            self._left(event.guild_id)

    def _ready(self, event: GatewayEvent) -> None:
        if not self._complete:
            return
        try:
            here = {GuildId(guild.id) for guild in read_ready(msgspec.Raw(event.payload)).guilds}
        except EnvelopeError:
            return
        for guild_id in self._deployed - here - self.gone:
            if shard_of(guild_id, self._shard_count) == event.id.shard:
                self._left(guild_id)

    def _left(self, guild_id: GuildId) -> None:
        self.gone.add(guild_id)
        self._deployed.add(guild_id)
        self._tell(Presence(guild_id, here=False))

    def _stopped(self, event: GatewayEvent) -> bool:
        view = None if event.guild_id is None else self._router.view(event.guild_id)
        return view is None or view.state is State.STOPPED

    def _tell(self, message: Presence) -> None:
        if self._ref is None:
            return
        try:
            self._ref.tell(message)
        except ActorError as error:
            log.error("guild lifecycle misses news", guild=message.guild_id, error=str(error))


def _is_outage(payload: bytes) -> bool:
    try:
        return msgspec.json.decode(payload, type=_GuildDelete).unavailable
    except msgspec.DecodeError:
        return True  # not understood: nothing is stopped


class GuildLifecycle(Actor[Presence]):
    def __init__(
        self,
        attendance: Attendance,
        store: DepartureStore,
        deployments: Deployments,
        *,
        left: Remove,
        retention: timedelta,
        remove: Mapping[str, Remove],
        purge_secs: float = PURGE_SECS,
    ) -> None:
        """`left` removes at once what Discord has forgotten with the guild. `remove` are the kinds of data
        of a guild, by name, in the order in which they are removed.
        """
        self._attendance = attendance
        self._store = store
        self._deployments = deployments
        self._left = left
        self._retention = retention
        self._remove = remove
        self._purge_secs = purge_secs
        self._wanted: dict[GuildId, bool] = {}  # guilds with a task under way
        self._ctx: Context[Presence]

    async def started(self, ctx: Context[Presence]) -> None:
        self._ctx = ctx
        self._wanted.clear()
        self._attendance.connect(ctx.ref)
        ctx.nursery.start_soon(self._purge)

    async def receive(self, message: Presence) -> None:
        busy = message.guild_id in self._wanted
        self._wanted[message.guild_id] = message.here
        if not busy:
            self._ctx.nursery.start_soon(self._settle, message.guild_id)

    async def _settle(self, guild_id: GuildId) -> None:
        """Until what is so is done; it may change meanwhile."""
        failures = 0
        while True:
            here = self._wanted[guild_id]
            try:
                if here:
                    await self._store.returned(guild_id)
                    started = await self._deployments.resume(guild_id)
                    log.info("guild is back", guild=guild_id, started=started)
                else:
                    await self._store.left(guild_id)
                    await self._deployments.suspend(guild_id)
                    await self._left(guild_id)
                    log.info("guild was left", guild=guild_id, data_kept=str(self._retention))
            except ScriptLoadError as error:
                log.error("deployment does not start", guild=guild_id, error=error.message)
            except (FloraError, ActorError) as error:
                failures += 1
                log.warning("guild lifecycle", guild=guild_id, here=here, error=str(error))
                await trio.sleep(RETRY.delay(failures, self._ctx.rng))
                continue
            failures = 0
            if here == self._wanted[guild_id]:
                del self._wanted[guild_id]
                return

    async def _purge(self) -> None:
        while True:
            try:
                for guild_id in await self._store.due(self._retention):
                    await self._forget(guild_id)
            except DatabaseError as error:
                log.warning("departed guilds not looked for", error=str(error))
            await trio.sleep(self._purge_secs)

    async def _forget(self, guild_id: GuildId) -> None:
        if guild_id not in self._attendance.gone or guild_id in self._wanted:
            return  # it is coming back, or has not quite left
        for kind, remove in self._remove.items():
            try:
                await remove(guild_id)
            except FloraError as error:  # what is left is removed next time
                log.error("guild data not removed", guild=guild_id, kind=kind, error=str(error))
                return
        await self._store.returned(guild_id)
        log.info("guild data removed", guild=guild_id, after=str(self._retention))
