"""The gateway's shards: how many, where each goes on reading, and what they are sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from flora.actors.core import Cursor
from flora.actors.cursors import CursorKeeper
from flora.actors.intents import IntentKeeper
from flora.actors.kernel import ActorRef, ChildSpec, Intensity
from flora.actors.lifecycle import Attendance
from flora.actors.shard import ShardActor, ShardMemory, UseIntents
from flora.actors.switchboard import Switchboard
from flora.config import DiscordConfig
from flora.errors import FloraError
from flora.gateway.events import GatewayEvent
from flora.gateway.guilds import GuildCache
from flora.gateway.info import GatewayInfo, fetch_gateway_info, sharded
from flora.gateway.presence import presence
from flora.gateway.rest import DiscordRest
from flora.gateway.session import FatalGatewayError, ResumePoint
from flora.gateway.shard import Shard, ShardState
from flora.host.discord import Discord
from flora.host.stages import Stages
from flora.ids import GuildId
from flora.storage.gateway_cursors import GatewayCursorStore

log = structlog.get_logger("flora")


class Gateway:
    def __init__(
        self,
        stages: Stages,
        config: DiscordConfig,
        discord: Discord,
        board: Switchboard,
        guilds: GuildCache,
        info: GatewayInfo,
    ) -> None:
        self._stages = stages
        self._config = config
        self._discord = discord
        self._board = board
        self._guilds = guilds
        self.info = info
        self._shards: dict[int, ShardMemory] = {}

    @classmethod
    async def find(
        cls,
        stages: Stages,
        config: DiscordConfig,
        discord: Discord,
        rest: DiscordRest,
        board: Switchboard,
        guilds: GuildCache,
        store: GatewayCursorStore,
    ) -> Gateway:
        """Ask Discord how many shards it wants, and take up where each was.

        Their cursors are kept from here on, so that at the end the last ones are stored after the last event
        is done. Raises RestError, DatabaseError.
        """
        wanted = None if config.shards == "auto" else config.shards
        gateway = cls(stages, config, discord, board, guilds, sharded(await fetch_gateway_info(rest), wanted))
        await gateway._take_up(store)
        return gateway

    async def _take_up(self, store: GatewayCursorStore) -> None:
        count = self.info.shards
        stored = await store.load(self._discord.realm, shard_count=count)
        for shard_id in range(count):
            cursor = stored.get(shard_id)
            point = None
            if cursor is not None:
                point = ResumePoint(cursor.session_id, cursor.resume_gateway_url, cursor.seq, cursor.intents)
                self._board.core.resume(Cursor(shard_id, cursor.session_id, cursor.seq))
            self._shards[shard_id] = ShardMemory(shard_id, self._board.core.sessions, point)
        keeper = CursorKeeper(store, self._shards, bot_id=self._discord.realm, shard_count=count)
        await self._stages.spawn("cursors", keeper, restarts=3)

    async def start(
        self,
        attendance: Attendance,
        refused: Callable[[FatalGatewayError], None],
        notice: Callable[[GuildId, str], None],
    ) -> None:
        """Connect. `refused` is told when Discord refuses for good, `notice` what guilds should know."""
        intents = self._discord.intents.first(listens for _, listens in self._board.core.listened())
        gate = self.info.gate()

        def make(
            shard_id: int,
            deliver: Callable[[GatewayEvent], None],
            on_state: Callable[[ShardState], None],
            resume: ResumePoint | None,
        ) -> Shard:
            return Shard(
                token=self._discord.token,
                gateway_url=self.url,
                intents=intents,
                deliver=deliver,
                on_state=on_state,
                shard_id=shard_id,
                shard_count=self.info.shards,
                resume=resume,
                presence=presence(self._config.status, self._config.activity, self._config.activity_type),
                compression=self._config.compression,
                gate=gate,
            )

        refs: dict[int, ActorRef[UseIntents]] = {}
        for shard_id, memory in self._shards.items():
            memory.intents = intents
            actor = partial(
                ShardActor,
                partial(make, shard_id),
                self._board,
                self._guilds,
                memory,
                refused,
                attendance.notice,
            )
            spec: ChildSpec[UseIntents] = ChildSpec(
                f"shard-{shard_id}", actor, intensity=Intensity(restarts=5, within=60.0)
            )
            refs[shard_id] = await self._stages.spawn_spec(spec)
        keeper = IntentKeeper(self._discord.intents, self._board.core, refs, intents, notice)
        await self._stages.spawn("intents", keeper, restarts=3)
        log.info("gateway started", url=self.url, shards=self.info.shards)

    @property
    def url(self) -> str:
        return self._config.gateway_url or self.info.url

    def states(self) -> list[ShardState]:
        """Of the shards that have begun."""
        return [
            memory.state if memory.shard is None else memory.shard.state
            for memory in self._shards.values()
            if memory.state is not None
        ]

    async def probe(self) -> str:
        """For the health check. Raises FloraError unless every shard is ready."""
        phases = [memory.state.phase if memory.state else "starting" for memory in self._shards.values()]
        if any(phase != "ready" for phase in phases):
            raise FloraError(f"shards: {', '.join(phases)}")
        return f"{len(phases)} shards ready"
