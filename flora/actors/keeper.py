"""The keeper: the router core's timers and dead letters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
import trio

from flora.actors.core import Arm, DeadLetter
from flora.actors.kernel import Actor, Context
from flora.actors.switchboard import KeeperMessage, Switchboard
from flora.errors import FloraError

log = structlog.get_logger("flora.runtime")

STORE_RETRY_SECS = 5.0


class Keeper(Actor[KeeperMessage]):
    def __init__(self, board: Switchboard, store: Callable[[DeadLetter], Awaitable[None]]) -> None:
        """`store` puts a dead letter where it is safe; it raises FloraError when it cannot."""
        self._board = board
        self._store = store
        self._ctx: Context[KeeperMessage]

    async def started(self, ctx: Context[KeeperMessage]) -> None:
        self._ctx = ctx

    async def receive(self, message: KeeperMessage) -> None:
        if isinstance(message, Arm):
            self._ctx.nursery.start_soon(self._wait, message)
        else:
            self._ctx.nursery.start_soon(self._keep, message)

    async def _wait(self, arm: Arm) -> None:
        await trio.sleep(arm.seconds)
        self._board.timeout(arm)

    async def _keep(self, letter: DeadLetter) -> None:
        """Until it is stored: before that the gateway's cursor does not pass the event, so it is not lost."""
        while True:
            try:
                await self._store(letter)
            except FloraError as error:
                log.error("dead letter not stored", guild=letter.guild_id, error=str(error))
                await trio.sleep(STORE_RETRY_SECS)
            else:
                self._board.stored(letter)
                return
