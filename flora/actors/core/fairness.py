"""A worker's ready-queue: whose event starts next, so that no guild waits for another one's backlog.

Round robin over the guilds that have something to start, one event each turn: however many events a guild
has queued, a neighbour's next event waits for at most one of them. Handlers in flight are bounded by the
worker's slots, with one exception: a guild that has none in flight needs no slot. So hung handlers, which
keep every slot of a worker, still delay no other guild's next event; the true bound of handlers in flight
is slots + guilds.

The queue only orders; whether a guild may start is the guild's to say (`start` answers None when it may
not, and the guild comes back by `push` when that has changed). Every operation is O(1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Startable(Protocol[T_co]):
    """A guild as the queue sees it. `turn` belongs to the queue: its place there, None when it has none."""

    turn: Turn | None

    @property
    def running(self) -> int:
        """Handlers in flight."""

    @property
    def has_more(self) -> bool:
        """Whether anything waits to be started."""

    def start(self) -> T_co | None:
        """Start the next event; None when nothing may start now."""


class Turn:
    """A place in a queue. A place given up stays behind, empty, until its time comes."""

    __slots__ = ("guild",)

    def __init__(self, guild: Startable[object]) -> None:
        self.guild: Startable[object] | None = guild


class ReadyQueue(Generic[T]):
    """`slots` bounds the handlers in flight; `used` counts them.

    `push` and `release` answer whether the worker sleeps and must be woken. It sleeps from the moment
    `next` has answered None.
    """

    __slots__ = ("_busy", "_idle", "asleep", "slots", "used")

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.used = 0
        self.asleep = True
        self._idle: deque[Turn] = deque()  # of guilds with nothing in flight: they need no slot
        self._busy: deque[Turn] = deque()

    def __len__(self) -> int:
        """Guilds in the queue."""
        return sum(turn.guild is not None for turn in (*self._idle, *self._busy))

    def guilds(self) -> Iterator[Startable[object]]:
        """Those in the queue, in no order that means anything."""
        return (turn.guild for turn in (*self._idle, *self._busy) if turn.guild is not None)

    def push(self, guild: Startable[T]) -> bool:
        """`guild` may have something to start. Returns True when the worker must be woken."""
        if guild.turn is not None:
            return False
        guild.turn = turn = Turn(guild)
        if guild.running:
            self._busy.append(turn)
            return self.used < self.slots and self._wake()
        self._idle.append(turn)
        return self._wake()

    def discard(self, guild: Startable[T]) -> None:
        """`guild` leaves this worker."""
        if guild.turn is not None:
            guild.turn.guild = None
            guild.turn = None

    def next(self) -> T | None:
        """Start the next event of the guild whose turn it is; None when nothing can start now."""
        while self._idle:
            turn = self._idle.popleft()
            if turn.guild is not None and turn.guild.running:
                self._busy.append(turn)
            elif (started := self._serve(turn)) is not None:
                return started
        while self._busy and self.used < self.slots:
            if (started := self._serve(self._busy.popleft())) is not None:
                return started
        self.asleep = True
        return None

    def release(self, guild: Startable[T]) -> bool:
        """One handler of `guild` has ended. Returns True when the worker must be woken."""
        self.used -= 1
        if guild.turn is not None and not guild.running:
            self.discard(guild)  # it waited for a slot, and now needs none
            return self.push(guild)
        return bool(self._busy) and self.used < self.slots and self._wake()

    def reset(self) -> None:
        """The worker has gone, and with it all its handlers."""
        for turn in (*self._idle, *self._busy):
            if turn.guild is not None:
                turn.guild.turn = None
        self._idle.clear()
        self._busy.clear()
        self.used = 0
        self.asleep = True

    def _serve(self, turn: Turn) -> T | None:
        guild = turn.guild
        if guild is None:
            return None
        started: T | None = guild.start()  # type: ignore[assignment]  # only guilds of T are pushed
        if started is None:
            guild.turn = None
            return None
        self.used += 1
        if guild.has_more:
            self._busy.append(turn)  # behind all others
        else:
            guild.turn = None
        return started

    def _wake(self) -> bool:
        if not self.asleep:
            return False
        self.asleep = False
        return True
