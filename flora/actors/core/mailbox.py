"""One guild's mailbox: every accepted entry from its acceptance until it has ended, in order.

An entry is an event or a control (deploy, restart, ...); both get the next number `n` of one gap-free
sequence and keep their place in it. An entry is either *waiting* or *in flight*; what fails in flight goes
back to exactly its place. Nothing is copied: the event object that came in is the one that is handed out.

All operations are O(1), but `put_back`, which is linear in the number of entries put back.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from flora.actors.core.overload import CLASSES
from flora.ids import EventId


class Event(Protocol):
    """What the mailbox needs of an event; a `GatewayEvent` is one, and so is an `Injected`."""

    @property
    def id(self) -> EventId | str: ...

    @property
    def name(self) -> str: ...

    @property
    def payload(self) -> bytes: ...

    @property
    def received_at(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Injected:
    """An event that did not come from a gateway: a cron run, a replayed dead letter.

    `id` must be the same when the same event is injected again; scripts see it as `ctx.event.id`.
    """

    id: str
    name: str
    payload: bytes
    received_at: float


@dataclass(frozen=True, slots=True)
class Scheduled(Injected):
    """A run of the scheduler's. It keeps what it sent until it hears of the end, so nothing else
    has to keep it. `run` is its own, opaque here.
    """

    run: object


class ControlKind(enum.StrEnum):
    DEPLOY = "deploy"
    UNDEPLOY = "undeploy"
    SECRETS = "secrets"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Control:
    """A change of the guild that takes its place among its events. `payload` is the driver's, opaque here."""

    kind: ControlKind
    payload: object = None


@dataclass(slots=True, eq=False)
class Entry:
    """One place in a guild's order. Exactly one of `event` and `control` is set.

    `attempts` counts its starts. A `suspect` was in flight when its process or its owner died, and is run
    alone from then on, so that the guilty one is told from its neighbours.
    """

    n: int
    event: Event | None
    control: Control | None
    rank: int
    attempts: int = 0
    suspect: bool = False


@dataclass(slots=True)
class Pool:
    """How many events all mailboxes together hold. `capacity` is the bound of the sum.

    `by_rank` counts those that could be shed: they wait, and have never started.
    """

    capacity: int
    size: int = 0
    by_rank: list[int] = field(default_factory=lambda: [0] * len(CLASSES))

    def lowest(self) -> int | None:
        """The lowest rank of which an event could be shed."""
        for rank, count in enumerate(self.by_rank):
            if count:
                return rank
        return None


class Mailbox:
    __slots__ = ("_by_rank", "controls", "in_flight", "last_n", "pool", "suspects", "waiting")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.last_n = 0
        self.controls = 0  # control entries, waiting or in flight
        self.suspects = 0  # suspects in flight, 0 or 1
        self.waiting: OrderedDict[int, Entry] = OrderedDict()
        self.in_flight: dict[int, Entry] = {}
        # Entries that wait and never started, oldest first; only those can be shed.
        self._by_rank: list[deque[Entry] | None] = [None] * len(CLASSES)

    @property
    def events(self) -> int:
        """Events that have not ended; what the bounds are about."""
        return len(self.waiting) + len(self.in_flight) - self.controls

    def append_event(self, event: Event, rank: int) -> Entry:
        self.last_n = n = self.last_n + 1
        entry = Entry(n, event, None, rank)
        self.waiting[n] = entry
        line = self._by_rank[rank]
        if line is None:
            line = self._by_rank[rank] = deque()
        line.append(entry)
        pool = self.pool
        pool.size += 1
        pool.by_rank[rank] += 1
        return entry

    def append_control(self, control: Control) -> Entry:
        self.last_n = n = self.last_n + 1
        entry = Entry(n, None, control, -1)
        self.waiting[n] = entry
        self.controls += 1
        return entry

    def head(self) -> Entry | None:
        """The entry whose turn is next."""
        for n in self.waiting:
            return self.waiting[n]
        return None

    def start(self) -> Entry:
        """Put the head in flight. The caller has looked at `head`."""
        n, entry = self.waiting.popitem(last=False)
        if entry.attempts == 0:
            self._leave_line(entry)
        entry.attempts += 1
        if entry.suspect:
            self.suspects += 1
        self.in_flight[n] = entry
        return entry

    def finish(self, n: int) -> Entry:
        """Take an entry out of flight for good. Raises KeyError when `n` is not in flight."""
        entry = self.in_flight.pop(n)
        if entry.suspect:
            self.suspects -= 1
        if entry.control is None:
            self.pool.size -= 1
        else:
            self.controls -= 1
        return entry

    def discard_head(self) -> Entry:
        """Take the head out for good without a start."""
        _, entry = self.waiting.popitem(last=False)
        if entry.attempts == 0:
            self._leave_line(entry)
        if entry.control is None:
            self.pool.size -= 1
        else:
            self.controls -= 1
        return entry

    def put_back(self, numbers: Iterable[int]) -> None:
        """Return entries from flight to their places in the order."""
        back: list[Entry] = []
        for n in numbers:
            entry = self.in_flight.pop(n)
            if entry.suspect:
                self.suspects -= 1
            back.append(entry)
        # Whatever started before stands in front of everything that never did, so only other entries that
        # were put back have to be merged with these.
        while (head := self.head()) is not None and head.attempts > 0:
            back.append(self.waiting.pop(head.n))
        for entry in sorted(back, key=lambda entry: entry.n, reverse=True):
            self.waiting[entry.n] = entry
            self.waiting.move_to_end(entry.n, last=False)

    def sheddable(self, rank: int) -> int:
        """How many events of `rank` could be shed."""
        return len(self._by_rank[rank] or ())

    def shed(self) -> Entry | None:
        """Take out the oldest waiting event of the lowest rank; None when nothing can be shed."""
        for rank, line in enumerate(self._by_rank):
            if line:
                entry = line.popleft()
                del self.waiting[entry.n]
                self.pool.size -= 1
                self.pool.by_rank[rank] -= 1
                return entry
        return None

    def _leave_line(self, entry: Entry) -> None:
        if entry.control is None:
            line = self._by_rank[entry.rank]
            assert line is not None
            first = line.popleft()
            assert first is entry, "the order of a rank is the order of the guild"
            self.pool.by_rank[entry.rank] -= 1
