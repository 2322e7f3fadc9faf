"""What operators do with dead letters: look, try again, drop."""

from __future__ import annotations

from functools import partial
from typing import Final

import structlog
import trio

from flora.actors.core import GuildNotDeployedError, Injected, RouterClosedError, State, Verdict
from flora.actors.kernel import Actor, Context
from flora.actors.switchboard import Ending, Switchboard
from flora.errors import FloraError
from flora.ids import GuildId
from flora.storage.dead_letters import DeadLetter, DeadLetterPage, DeadLetterStore
from flora.storage.postgres import DatabaseError

log = structlog.get_logger("flora.runtime")

REMOVE_RETRY_SECS: Final = 5.0


class DeadLetterNotFoundError(FloraError):
    code = "DEAD_LETTER_NOT_FOUND"

    def __init__(self, guild_id: GuildId, letter_id: object) -> None:
        super().__init__(f"guild {guild_id} has no dead letter {str(letter_id)[:20]}.")


class ReplayBusyError(FloraError):
    """Too many events wait already, or this one is under way."""

    code = "REPLAY_BUSY"


class DeadLetters(Actor[None]):
    """The dead letters of all guilds; its methods may be called from any task while it runs.

    A letter that is replayed stays in the store until its event has been handled, so a flora that is killed
    meanwhile still has it; then the event may come twice, and is not lost. Each method raises DatabaseError
    beside what it names.
    """

    def __init__(self, store: DeadLetterStore, board: Switchboard) -> None:
        self._store = store
        self._board = board
        self._under_way: set[tuple[GuildId, int]] = set()
        self._ctx: Context[None]

    async def started(self, ctx: Context[None]) -> None:
        self._ctx = ctx

    async def page(self, guild_id: GuildId, limit: int, cursor: str | None) -> DeadLetterPage:
        """Letters, newest first. Raises InvalidCursorError."""
        return await self._store.page(guild_id, limit=limit, cursor=cursor)

    async def get(self, guild_id: GuildId, letter_id: int) -> DeadLetter:
        """Raises DeadLetterNotFoundError."""
        return _found(await self._store.get(guild_id, letter_id), guild_id, letter_id)

    async def replay(self, guild_id: GuildId, letter_id: int) -> DeadLetter:
        """Give the event to the guild's script again, behind what waits. When it fails again, it stays a dead
        letter, with the attempts added up.

        Raises DeadLetterNotFoundError, GuildNotDeployedError, ReplayBusyError, RouterClosedError.
        """
        view = self._board.core.view(guild_id)
        if view is None or view.state is State.STOPPED:
            raise GuildNotDeployedError(guild_id)
        letter = await self.get(guild_id, letter_id)
        key = (guild_id, letter_id)
        if key in self._under_way:
            raise ReplayBusyError(
                f"dead letter {letter_id} is being replayed already.", hint="Wait for the event to end."
            )
        self._under_way.add(key)
        event = Injected(letter.event_id, letter.name, letter.payload, trio.current_time())
        verdict = self._board.inject(guild_id, event, partial(self._ended, key))
        if verdict is Verdict.ACCEPTED:
            log.info("dead letter replayed", guild=guild_id, event_id=letter.event_id)
            return letter
        self._under_way.discard(key)
        match verdict:
            case Verdict.NOT_DEPLOYED:
                raise GuildNotDeployedError(guild_id)
            case Verdict.CLOSING:
                raise RouterClosedError
            case _:
                raise ReplayBusyError(
                    f"guild {guild_id} has too many events waiting.", hint="Try again in a moment."
                )

    def _ended(self, key: tuple[GuildId, int], ending: Ending) -> None:
        if ending.handled:
            self._ctx.nursery.start_soon(self._remove, *key)
        else:
            self._under_way.discard(key)  # shed, or a dead letter again: it is in the store as it was

    async def _remove(self, guild_id: GuildId, letter_id: int) -> None:
        """Until it is removed. A stop of flora waits for the try that runs; the letter may stay then."""
        try:
            while True:
                try:
                    with trio.CancelScope(shield=True):
                        await self._store.take(guild_id, letter_id)
                    return
                except DatabaseError as error:
                    log.error("dead letter not removed", guild=guild_id, letter=letter_id, error=str(error))
                await trio.sleep(REMOVE_RETRY_SECS)
        finally:
            self._under_way.discard((guild_id, letter_id))

    async def drop(self, guild_id: GuildId, letter_id: int) -> DeadLetter:
        """Remove a letter for good. Raises DeadLetterNotFoundError."""
        return _found(await self._store.take(guild_id, letter_id), guild_id, letter_id)


def _found(letter: DeadLetter | None, guild_id: GuildId, letter_id: int) -> DeadLetter:
    if letter is None:
        raise DeadLetterNotFoundError(guild_id, letter_id)
    return letter
