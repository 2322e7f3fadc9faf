"""The bounded queue of one actor. It belongs to the actor's address, so it survives restarts.

A Trio memory channel would do, but it passes the scheduler once per message. The reader of a mailbox passes
it only when it has nothing to read or has read `STREAK` messages in a row, which makes a message about five
times cheaper (bench/actors.py) and still keeps a busy actor from starving its neighbours.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import trio

from flora.actors.kernel.errors import ActorStoppedError, MailboxFullError

M = TypeVar("M")

STREAK: Final = 32  # of handlers that never wait: about 0.1 ms between two checkpoints


@dataclass(frozen=True, slots=True)
class MailboxStatistics:
    depth: int
    capacity: int
    accepted: int
    refused: int


class Mailbox(Generic[M]):
    """Read by one task at a time. A full one is an answer for the sender, never a wait.

    Iterating yields the messages in the order they were put, and ends when the mailbox is closed and empty.
    """

    __slots__ = ("_accepted", "_capacity", "_path", "_queue", "_reader", "_refused", "_streak", "closed")

    def __init__(self, path: str, capacity: int) -> None:
        self._path = path
        self._capacity = capacity
        self._queue: deque[M] = deque()
        self._reader = trio.lowlevel.ParkingLot()
        self._streak = 0
        self._accepted = 0
        self._refused = 0
        self.closed = False

    def put(self, message: M) -> None:
        """Raises MailboxFullError or ActorStoppedError; never waits."""
        if self.closed:
            raise ActorStoppedError(f"{self._path} has stopped")
        if len(self._queue) >= self._capacity:
            self._refused += 1
            raise MailboxFullError(f"the mailbox of {self._path} is full")
        self._queue.append(message)
        self._accepted += 1
        if self._reader:
            self._reader.unpark()

    def close(self) -> None:
        """Take no more; what is queued can still be read."""
        self.closed = True
        self._reader.unpark_all()

    def take_nowait(self) -> M | None:
        """The next message, None when there is none."""
        return self._queue.popleft() if self._queue else None

    def __aiter__(self) -> Mailbox[M]:
        return self

    async def __anext__(self) -> M:
        """The next message. Checkpoints when it has to wait, and once in `STREAK` messages."""
        if not self._queue:
            self._streak = 0
            while not self._queue:
                if self.closed:
                    raise StopAsyncIteration
                await self._reader.park()
        elif self._streak >= STREAK:
            self._streak = 0
            await trio.lowlevel.checkpoint()
        else:
            self._streak += 1
        return self._queue.popleft()

    def statistics(self) -> MailboxStatistics:
        return MailboxStatistics(len(self._queue), self._capacity, self._accepted, self._refused)
