"""What all guild machines of a router share: bounds, placement, ready-queues, the way out, the event log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from flora.actors.core.commands import Command, Delivery, Wake
from flora.actors.core.dedupe import Sessions
from flora.actors.core.fairness import ReadyQueue
from flora.actors.core.log import Log
from flora.actors.core.mailbox import Event, Pool
from flora.actors.core.migration import Deadlines
from flora.actors.core.placement import Placement
from flora.ids import EventId


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds; where the configuration has a field for one, it is named."""

    guild_capacity: int = 1024  # events of one guild that have not ended (runtime.guild_queue_capacity)
    total_capacity: int = 100_000  # of all guilds (runtime.total_queue_capacity)
    concurrency: int = 8  # handlers of one guild in flight (runtime.guild_event_concurrency)
    slots: int = 256  # handlers of one worker in flight, see fairness.py
    controls: int = 32  # controls of one guild that wait; a person sends them, so more is a loop somewhere
    attempts: int = 3  # starts of one event before it is a dead letter


@dataclass(slots=True)
class House:
    limits: Limits
    deadlines: Deadlines
    placement: Placement
    sessions: Sessions
    pool: Pool
    queues: list[ReadyQueue[Delivery]]
    log: Log | None
    commands: list[Command] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    moves: int = 0  # ids given to migrations
    ended_within: list[Event] = field(default_factory=list)  # not of a gateway, ended; for the driver to take

    def emit(self, command: Command) -> None:
        self.commands.append(command)

    def count(self, name: str) -> None:
        self.counters[name] += 1

    def wake(self, worker: int) -> None:
        self.commands.append(Wake(worker))

    def ended(self, event: Event) -> None:
        """`event` is done with for good: the gateway's cursor may pass it."""
        if type(event.id) is EventId:
            self.sessions.done(event.id)
        else:
            self.ended_within.append(event)
