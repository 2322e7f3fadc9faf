"""Exhaustive search of a world: everything that can happen, in every order, on the real step functions.

A depth-first walk over the states of a `World`. A state that was seen before is not walked again: two worlds
with the same fingerprint behave the same from there on.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flora.actors.core.dedupe import Sessions, _Session
from flora.actors.core.fairness import ReadyQueue, Turn
from flora.actors.core.guild import GuildMachine
from flora.actors.core.history import Checker, _Guild, _Open
from flora.actors.core.house import House
from flora.actors.core.log import Log
from flora.actors.core.mailbox import Entry, Mailbox, Pool
from flora.actors.core.migration import Move
from flora.actors.core.placement import Placement
from flora.actors.core.router import Router
from tests.actors.core.world import BrokenPromiseError, Budget, Choice, Process, World

Memo = dict[int, Any]

# Copying is most of the work of a search. What has a state of its own is copied deeply; everything else in a
# world (commands, deliveries, events, ids) is a value and shared between copies.
_COPIERS: dict[type, Callable[[Any, Memo], Any]] = {
    list: lambda value, memo: [copy_of(item, memo) for item in value],
    deque: lambda value, memo: deque([copy_of(item, memo) for item in value]),
    dict: lambda value, memo: {key: copy_of(item, memo) for key, item in value.items()},
    OrderedDict: lambda value, memo: OrderedDict([(k, copy_of(item, memo)) for k, item in value.items()]),
    Counter: lambda value, memo: _counter(value),
    set: lambda value, memo: value.copy(),
    Log: lambda value, memo: Log(copy_of(value._write.__self__, memo).record),
}


def _counter(value: Counter[Any]) -> Counter[Any]:
    made: Counter[Any] = Counter.__new__(Counter)
    dict.update(made, value)
    return made


def copy_of(value: Any, memo: Memo) -> Any:
    copier = _COPIERS.get(type(value))
    return value if copier is None else copier(value, memo)


def stateful(kind: type) -> None:
    """Copy instances of `kind` field by field, each of them once."""
    names = [
        name for base in kind.__mro__ for name in getattr(base, "__slots__", ()) if not name.startswith("__")
    ]
    has_dict = hasattr(kind, "__dict__") and kind.__dictoffset__ != 0

    def copier(value: Any, memo: Memo) -> Any:
        made = memo.get(id(value))
        if made is None:
            made = memo[id(value)] = kind.__new__(kind)
            for name in (*names, *vars(value)) if has_dict else names:
                field = getattr(value, name)
                inner = _COPIERS.get(type(field))
                setattr(made, name, field if inner is None else inner(field, memo))
        return made

    _COPIERS[kind] = copier


for _kind in (
    Budget,
    Checker,
    Entry,
    GuildMachine,
    House,
    Mailbox,
    Move,
    Placement,
    Pool,
    Process,
    ReadyQueue,
    Router,
    Sessions,
    Turn,
    World,
    _Guild,
    _Open,
    _Session,
):
    stateful(_kind)


def fingerprint(world: World) -> object:
    """What decides how a world goes on; two worlds with the same one are the same."""
    router = world.router
    house = router.house
    guilds = tuple(_guild(machine, world) for machine in router._guilds.values())
    queues = tuple(
        (
            queue.used,
            queue.asleep,
            tuple(turn.guild.guild_id for turn in queue._idle if turn.guild),
            tuple(turn.guild.guild_id for turn in queue._busy if turn.guild),
        )
        for queue in house.queues
    )
    return (
        guilds,
        queues,
        house.placement.alive,
        tuple(sorted(house.placement._routes.items())),
        tuple(
            sorted(
                (d.guild_id, d.n, d.epoch, d.attempt, d.worker, incarnation)
                for d, incarnation in world.handlers
            )
        ),
        tuple(sorted(map(repr, map(_asked, world.asked)))),
        frozenset(world.awake),
        frozenset(world.dead),
        tuple(sorted((place, p.revision, p.host) for place, p in world.processes.items())),
        tuple(getattr(world.budget, name) for name in Budget.__slots__),
        tuple(world.revision.items()),
        frozenset(world.controls),
        frozenset(world.moves),
        frozenset(world.effects),
        tuple((g.owner, tuple(g.open)) for g in world.checker._guilds.values()),
    )


def _guild(machine: GuildMachine, world: World) -> object:
    move = machine.move
    return (
        machine.state,
        machine.worker,
        machine.epoch,
        machine.incarnation,
        machine._issued,
        machine._dead,
        machine.vacant,
        machine.failures,
        machine._unstartable,
        machine.deployment,
        machine._deploys,
        machine._rested,
        machine._kept,
        None if move is None else (move.phase, move.source, move.target, tuple(move._asked)),
        move is not None and world.timers.get(machine.guild_id) == machine._serial,
        tuple((e.n, e.attempts, e.suspect) for e in machine.mailbox.waiting.values()),
        tuple(sorted((e.n, e.attempts, e.suspect) for e in machine.mailbox.in_flight.values())),
        repr(sorted(vars(machine).items())) if hasattr(machine, "__dict__") else None,
    )


def _asked(command: Any) -> tuple[Any, ...]:
    names = ("guild_id", "worker", "epoch", "incarnation", "n")
    return (type(command).__name__, *(getattr(command, name, None) for name in names))


class Found(AssertionError):
    """A broken promise, and the shortest story that the walk knows of it."""

    def __init__(self, story: list[Choice], error: Exception) -> None:
        lines = "\n".join(f"  {choice.what} {choice.who} {choice.which}" for choice in story)
        super().__init__(f"{error}\n{lines}")
        self.story = story


@dataclass
class Report:
    states: int = 0
    steps: int = 0
    rests: int = 0
    outcomes: Counter[tuple[Any, ...]] = field(default_factory=Counter)


def search(start: World, *, most: int = 2_000_000) -> Report:
    """Walk all of it. Raises Found at the first broken promise; AssertionError past `most` steps."""
    report = Report()
    seen = {hash(fingerprint(start))}
    todo: list[tuple[World, list[Choice]]] = [(start, [])]
    while todo:
        world, story = todo.pop()
        report.states += 1
        progress, misfortunes = world.progress(), world.misfortunes()
        if not progress and not any(choice.what == "timeout" for choice in misfortunes):
            report.rests += 1
            report.outcomes[tuple(sorted(o.value for o in world.outcomes))] += 1
            final = copy_of(world, {})
            try:
                final.end_hung()
                final.check_rest()
            except BrokenPromiseError as error:
                raise Found(story, error) from error
        choices = progress + misfortunes + world.requests()
        for index, choice in enumerate(choices):
            report.steps += 1
            assert report.steps < most, "the scope is too large"
            after = world if index == len(choices) - 1 else copy_of(world, {})
            told = [*story, choice]
            try:
                after.do(choice)
            except (BrokenPromiseError, AssertionError, LookupError, AttributeError, TypeError) as error:
                raise Found(told, error) from error
            mark = hash(fingerprint(after))
            if mark not in seen:
                seen.add(mark)
                todo.append((after, told))
    return report
