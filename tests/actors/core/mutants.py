"""Routers that break a promise, each in one way that somebody has broken it before. A test of the tests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest

from flora.actors.core import Adopt, Control, Delivery, Outcome, Verdict
from flora.actors.core.guild import GuildMachine, State
from flora.actors.core.mailbox import Entry, Event, Mailbox
from flora.actors.core.migration import TRANSITIONS, Input, Move, Phase
from tests.actors.core.search import stateful


class OpensBeforeFlush(GuildMachine):
    """Events that come during a move are held aside, and put back only after the route is open again."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.held: list[Entry] = []

    def accept(self, event: Event, rank: int, *, selective: bool) -> Verdict:
        verdict = super().accept(event, rank, selective=selective)
        if self.state is State.MOVING:
            entry = self.mailbox.waiting.popitem()[1]
            self.mailbox._by_rank[rank].pop()
            self.house.pool.size -= 1
            self.house.pool.by_rank[rank] -= 1
            self.held.append(entry)
        return verdict

    def open_route(self) -> None:
        super().open_route()
        self._ready()

    def start(self) -> Delivery | None:
        started = super().start()
        for entry in reversed(self.held):
            self.mailbox.waiting[entry.n] = entry
            self.mailbox.waiting.move_to_end(entry.n, last=False)
            self.mailbox._by_rank[entry.rank].appendleft(entry)
            self.house.pool.size += 1
            self.house.pool.by_rank[entry.rank] += 1
        self.held = []
        return started or super().start()


class ReplaysOnlyWhatCame(GuildMachine):
    """What was in flight at a loss is not replayed, only what came since."""

    def _interrupt(self, reason: str) -> None:
        for n, entry in list(self.mailbox.in_flight.items()):
            if entry.control is None:
                self.mailbox.finish(n)
                if self.house.placement.is_alive(self.seat):
                    self.house.queues[self.seat].release(self)
        super()._interrupt(reason)


class IgnoresEpoch(GuildMachine):
    """Whoever says that an event has ended is believed."""

    def ack(self, delivery: Delivery, outcome: Outcome) -> bool:
        entry = self.mailbox.in_flight.get(delivery.n)
        if entry is None:
            return False
        self.mailbox.finish(delivery.n)
        if self.house.log is not None:
            self.house.log.commit(delivery, outcome)
        self.house.ended(delivery.event)
        self._handler_ended()
        return True


class KeepsEpoch(GuildMachine):
    """A new owner gets the epoch of the old one."""

    def _own(self, worker: int) -> None:
        if self.worker is not None:
            self.epoch -= 1
        super()._own(worker)


class ForgetsControl(GuildMachine):
    """A deploy that its owner did not finish is not tried again."""

    def _interrupt(self, reason: str) -> None:
        for n, entry in list(self.mailbox.in_flight.items()):
            if entry.control is not None:
                self.mailbox.finish(n)
        super()._interrupt(reason)


class HasNoBarrier(GuildMachine):
    """A control does not wait for what is in flight."""

    def submit(self, control: Control) -> int:
        n = super().submit(control)
        head = self.mailbox.head()
        if self.state is State.OPEN and head is not None and head.control is not None:
            self._apply(head, head.control)
        return n


class TakesLateAdopter(GuildMachine):
    """An answer that comes after its deadline counts as the answer of whoever is asked now."""

    def adopted(self, command: Adopt) -> None:
        if self.move is not None:
            self.move.on(Input.ADOPTED)


class SleepsOverItsQueue(GuildMachine):
    """What waits does not keep a guild awake."""

    def hibernate(self, incarnation: int) -> bool:
        waiting, self.mailbox.waiting = self.mailbox.waiting, OrderedDict()
        begun = super().hibernate(incarnation)
        self.mailbox.waiting = waiting
        return begun


class SleepsWhileItWorks(GuildMachine):
    """Nor does what is in flight."""

    def hibernate(self, incarnation: int) -> bool:
        in_flight, self.mailbox.in_flight = self.mailbox.in_flight, {}
        begun = super().hibernate(incarnation)
        self.mailbox.in_flight = in_flight
        return begun


class SleepsThroughEvents(GuildMachine):
    """Only controls wake it."""

    def _stir(self, head: Entry | None) -> bool:
        return head is not None and head.control is not None and super()._stir(head)


class SleepsUnderItsOwner(GuildMachine):
    """Whoever owned it before it slept owns it still."""

    def _disown(self) -> None:
        super()._disown()
        self.epoch -= 1


class WakesWithoutItsScript(GuildMachine):
    """A deploy that fails takes away what slept."""

    def _fall_asleep(self) -> None:
        if self._rested:
            self.deployment = None
        super()._fall_asleep()


class IsWokenByALoss(GuildMachine):
    """A worker that is lost while the guild falls asleep has it started elsewhere, for nothing."""

    def worker_lost(self, worker: int) -> None:
        if self.state is State.HIBERNATING:
            self.fail_over(prefer=None)
        else:
            super().worker_lost(worker)


def _put_back_at_the_end(mailbox: Mailbox, numbers: Any) -> None:
    for n in numbers:
        entry = mailbox.in_flight.pop(n)
        if entry.suspect:
            mailbox.suspects -= 1
        mailbox.waiting[n] = entry


def _does_not_drain(move: Move) -> None:
    move.guild.close_route()
    move.on(Input.DRAINED)


def _adopts_before_release(move: Move) -> None:
    guild = move.guild
    move.baggage = (guild.guild_id, guild.incarnation)
    move.on(Input.RELEASED)


Patch = Callable[[pytest.MonkeyPatch], None]


def patched(owner: object, name: str, value: object) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(owner, name, value)


def without(phase: Phase, happened: Input) -> Patch:
    """The protocol with one row less."""
    return lambda monkeypatch: monkeypatch.delitem(TRANSITIONS[phase], happened)


DOES_NOT_DRAIN = patched(Move, "_drain", _does_not_drain)
ADOPTS_BEFORE_RELEASE = patched(Move, "_release", _adopts_before_release)
RETRIES_AT_THE_END = patched(Mailbox, "put_back", _put_back_at_the_end)

for _kind in (
    OpensBeforeFlush,
    ReplaysOnlyWhatCame,
    IgnoresEpoch,
    KeepsEpoch,
    ForgetsControl,
    HasNoBarrier,
    TakesLateAdopter,
    SleepsOverItsQueue,
    SleepsWhileItWorks,
    SleepsThroughEvents,
    SleepsUnderItsOwner,
    WakesWithoutItsScript,
    IsWokenByALoss,
):
    stateful(_kind)
