"""A worker: a unit of placement, with the guild actors that live on it and their turns.

It owns no guild's state: it starts guild actors as the router's core asks, hands each event whose turn has
come to its guild's actor, and never waits for a handler. When it fails, its guilds are started elsewhere.
"""

from __future__ import annotations

import trio

from flora.actors.core import Activate, Adopt, Apply, Delivery, Hibernate, Release, Wake
from flora.actors.guild import GuildActor, GuildMessage
from flora.actors.host import GuildServices
from flora.actors.kernel import Actor, ActorError, ActorRef, ChildSpec, Context, Restart
from flora.actors.switchboard import ControlRefusedError, WorkerMessage
from flora.ids import GuildId

COMMANDS = 1 << 16
"""Mailbox of a worker: commands, not events. Their number is bounded by the guilds that change at once, at
worst all of them when another worker is lost."""

GUILD_MAILBOX = 1024
"""Of a guild actor: what it is given at once is bounded by the handlers in flight (at most 256)."""


class Worker(Actor[WorkerMessage]):
    def __init__(self, index: int, services: GuildServices) -> None:
        self._index = index
        self._services = services
        self._board = services.board
        self._guilds: dict[tuple[GuildId, int], ActorRef[GuildMessage]] = {}  # by guild and epoch
        self._ctx: Context[WorkerMessage]

    async def started(self, ctx: Context[WorkerMessage]) -> None:
        self._ctx = ctx
        self._board.connect_worker(self._index, ctx.ref)
        self._board.worker_up(self._index)

    async def run(self, ctx: Context[WorkerMessage]) -> None:
        try:
            await super().run(ctx)
        except BaseException:
            self._board.worker_lost(self._index)  # before the guild actors end: their guilds are elsewhere
            raise

    async def stopping(self) -> None:
        """flora shuts down: all guild processes end side by side, since one that is stuck takes a second."""
        async with trio.open_nursery() as nursery:
            for guild in list(self._guilds.values()):
                nursery.start_soon(self._ctx.stop, guild)

    async def receive(self, message: WorkerMessage) -> None:
        match message:
            case Wake():
                self._give_turns()
            case Activate() | Adopt():
                await self._seat(message)
            case _:
                if not self._tell((message.guild_id, message.epoch), message):
                    self._answer_for_nobody(message)

    def _give_turns(self) -> None:
        while (delivery := self._board.next(self._index)) is not None:
            if not self._tell((delivery.guild_id, delivery.epoch), delivery):
                self._board.fail(delivery, "its owner has ended")

    async def _seat(self, command: Activate | Adopt) -> None:
        """Start the actor that owns the guild from now on."""
        key = (command.guild_id, command.epoch)
        self._guilds[key] = await self._ctx.spawn(
            ChildSpec(
                f"guild-{command.guild_id}@{command.epoch}",
                lambda: GuildActor(self._services, command, self._vacate),
                restart=Restart.TEMPORARY,
                mailbox_capacity=GUILD_MAILBOX,
            )
        )

    def _vacate(self, guild_id: GuildId, epoch: int) -> None:
        self._guilds.pop((guild_id, epoch), None)

    def _tell(self, key: tuple[GuildId, int], message: GuildMessage) -> bool:
        ref = self._guilds.get(key)
        if ref is None:
            return False
        try:
            ref.tell(message)
        except ActorError:
            return False
        return True

    def _answer_for_nobody(self, message: WorkerMessage | Delivery) -> None:
        """The owner that a command is for has ended. What has no deadline in the core needs an answer."""
        if isinstance(message, Apply):
            self._board.applied(message, ControlRefusedError("the guild's owner has ended"))
        elif isinstance(message, Release):
            self._board.release_refused(message, "the guild's owner has ended")
        elif isinstance(message, Hibernate):
            self._board.hibernate_refused(message)  # its end was told, and says more
