"""The event log of the router, and the offline checker of its promises.

The log is a sequence of flat records (JSON objects, one a line, in a file). `t` names the record, `g` is the
guild, `n` the entry, `k` the epoch, `w` the worker:

    opened                             a run of flora begins; what was unfinished comes again
    accept   g n id name               an event took its place in the order
    control  g n kind                  a control took its place
    own      g k w                     `w` is the owner from now on
    hibernate g k                      nothing is under way: the owner was told to end the process
    asleep   g k                       nobody owns it, and it has no process; `own` wakes it
    start    g n k w attempt id|kind   an event or a control started
    end      g n k w attempt outcome   an event's handlers have ended, or were interrupted
    commit   g n k w id                it has ended for good
    done     g n error                 a control has ended for good
    shed     g n policy                given up under load, or since nothing is deployed
    dead     g n reason                a dead letter
    kept     g n                       still there at shutdown; replayed after the next start
    refused  g n k w                   a commit of somebody who is not the owner, refused

A writer may add fields (`at`, in seconds). `Checker` needs memory only for what has not ended, so it also
reads the log of a long run:

    python -m flora.actors.core.history FILE [--concurrency N] [--complete]

`--complete`: the log reaches to the end of a shutdown, so what has not ended by then is a loss. Exit status
0: every promise was kept; 1: the violations are listed; 2: the file cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Violation:
    """`rule` is its name in `migration.md`: I1 (no loss), I2 (one commit), I3 (order), I4 (one owner),
    I5 (epochs grow), I8 (controls are barriers); "sleep" (only an idle guild is put to sleep); or "log" for a
    record that makes no sense.
    `at` counts records from 1.
    """

    at: int
    rule: str
    guild: str
    message: str

    def __str__(self) -> str:
        return f"record {self.at}: {self.rule}: guild {self.guild}: {self.message}"


@dataclass(slots=True)
class _Open:
    """An entry that has not ended. `by` is its owner (k, w) while it is in flight, `ran_by` the last one."""

    control: bool
    by: tuple[int, int] | None = None
    ran_by: tuple[int, int] | None = None


@dataclass(slots=True)
class _Guild:
    last_n: int = 0
    owner: tuple[int, int] = (0, -1)
    open: OrderedDict[int, _Open] = field(default_factory=OrderedDict)
    in_flight: set[int] = field(default_factory=set)


class Checker:
    """Reads a log record by record; `violations` grows as promises are found broken."""

    def __init__(self, *, concurrency: int | None = None) -> None:
        """`concurrency`: no more events of a guild may be in flight at a time (1: strictly serial)."""
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()
        self._concurrency = concurrency
        self._guilds: dict[str, _Guild] = {}
        self._at = 0
        self._torn: Violation | None = None

    def read(self, records: Iterable[Mapping[str, Any]]) -> None:
        for record in records:
            self.record(record)

    def record(self, record: Mapping[str, Any]) -> None:
        """The next one; `{"unreadable": text}` for a line that is none, as a kill -9 may leave it."""
        self._at += 1
        kind = record.get("t")
        torn, self._torn = self._torn, None
        if torn is not None and kind != "opened":
            self.violations.append(torn)
        if "unreadable" in record:
            problem = f"no record of this log: {record['unreadable']!r:.200}"
            self._torn = Violation(self._at, "log", "None", problem)
            return
        if kind == "opened":
            self._guilds.clear()
            return
        check = _CHECKS.get(kind) if isinstance(kind, str) else None
        guild_id = record.get("g")
        if check is None or not isinstance(guild_id, str):
            self._broken("log", str(guild_id), f"no record of this log: {dict(record)!r:.200}")
            return
        self.counts[str(kind)] += 1
        try:
            check(self, guild_id, self._guilds.setdefault(guild_id, _Guild()), record)
        except (KeyError, TypeError) as error:
            self._broken("log", guild_id, f"{kind}: a field is missing or of the wrong type: {error}")

    def end(self, *, complete: bool) -> None:
        """The log has ended; `complete`: with a shutdown, after which nothing may be left."""
        if self._torn is not None:
            self.violations.append(self._torn)
        if not complete:
            return
        for guild_id, guild in self._guilds.items():
            for n in guild.open:
                self._broken("I1", guild_id, f"n={n} was accepted and has vanished")

    @property
    def unfinished(self) -> int:
        """Entries that have not ended so far."""
        return sum(len(guild.open) for guild in self._guilds.values())

    def _broken(self, rule: str, guild_id: str, message: str) -> None:
        self.violations.append(Violation(self._at, rule, guild_id, message))

    def _accept(self, guild_id: str, guild: _Guild, record: Mapping[str, Any]) -> None:
        n = record["n"]
        if n != guild.last_n + 1:
            self._broken("I1", guild_id, f"n={n} follows n={guild.last_n}: the order has a gap")
        guild.last_n = n
        guild.open[n] = _Open(control=record["t"] == "control")

    def _own(self, guild_id: str, guild: _Guild, record: Mapping[str, Any]) -> None:
        epoch, worker = record["k"], record["w"]
        if epoch <= guild.owner[0]:
            self._broken("I5", guild_id, f"k={epoch} is given out after k={guild.owner[0]}")
        guild.owner = (epoch, worker)
        for n in guild.in_flight:
            guild.open[n].by = None
        guild.in_flight.clear()

    def _hibernate(self, guild_id: str, guild: _Guild, record: Mapping[str, Any]) -> None:
        if record["k"] != guild.owner[0]:
            self._broken("I4", guild_id, f"k={record['k']} is to sleep; the owner is k,w={guild.owner}")
        if guild.open:
            self._broken("sleep", guild_id, f"it is to sleep while n={next(iter(guild.open))} is under way")

    def _asleep(self, guild_id: str, guild: _Guild, record: Mapping[str, Any]) -> None:
        if guild.in_flight:
            self._broken("sleep", guild_id, f"it sleeps while n={sorted(guild.in_flight)} are in flight")
        self._own(guild_id, guild, {"k": record["k"], "w": -1})

    def _start(self, guild_id: str, guild: _Guild, record: Mapping[str, Any]) -> None:
        n, by = record["n"], (record["k"], record["w"])
        entry = guild.open.get(n)
        if entry is None:
            self._broken("I2", guild_id, f"n={n} starts after it has ended, or was never accepted")
            return
        if by != guild.owner:
            self._broken("I4", guild_id, f"n={n} is started by k,w={by}; the owner is {guild.owner}")
        if entry.by is not None:
            self._broken("I2", guild_id, f"n={n} starts while it is in flight")
        for earlier, other in guild.open.items():
            if earlier >= n:
                break
            if other.by is None:
                self._broken("I3", guild_id, f"n={n} starts before n={earlier}")
                break
        if entry.control:
            if guild.in_flight:
                self._broken("I8", guild_id, f"control n={n} starts while others are in flight")
        elif any(guild.open[other].control for other in guild.in_flight):
            self._broken("I8", guild_id, f"n={n} starts during a control")
        entry.by = entry.ran_by = by
        guild.in_flight.add(n)
        if self._concurrency is not None and len(guild.in_flight) > self._concurrency:
            self._broken("I3", guild_id, f"n={n} starts as number {len(guild.in_flight)} at a time")

    def _end(self, guild_id: str, guild: _Guild, record: Mapping[str, Any]) -> None:
        n, by = record["n"], (record["k"], record["w"])
        entry = guild.open.get(n)
        if entry is None or entry.by != by:
            self._broken("I4", guild_id, f"n={n} is ended by k,w={by}, who does not have it in flight")
            return
        entry.by = None
        guild.in_flight.discard(n)

    def _commit(self, guild_id: str, guild: _Guild, record: Mapping[str, Any]) -> None:
        n, by = record["n"], (record["k"], record["w"])
        if by != guild.owner:
            self._broken("I4", guild_id, f"n={n} is committed by k,w={by}; the owner is {guild.owner}")
        entry = guild.open.get(n)
        if entry is not None and (entry.control or entry.ran_by != by or entry.by is not None):
            self._broken("I4", guild_id, f"n={n} is committed by k,w={by} without having been ended by it")
        self._leave(guild_id, guild, n, "committed")

    def _done(self, guild_id: str, guild: _Guild, record: Mapping[str, Any]) -> None:
        self._leave(guild_id, guild, record["n"], "done")

    def _give_up(self, guild_id: str, guild: _Guild, record: Mapping[str, Any]) -> None:
        n = record["n"]
        if n in guild.in_flight and record["t"] == "shed":
            self._broken("I1", guild_id, f"n={n} is shed while it is in flight")
        self._leave(guild_id, guild, n, f"given up ({record['t']})")

    def _refused(self, guild_id: str, guild: _Guild, record: Mapping[str, Any]) -> None:
        """The safety net has held: nothing to check."""

    def _leave(self, guild_id: str, guild: _Guild, n: int, how: str) -> None:
        if guild.open.pop(n, None) is None:
            self._broken("I2", guild_id, f"n={n} is {how} after it had ended, or was never accepted")
        guild.in_flight.discard(n)


_CHECKS: dict[str, Callable[[Checker, str, _Guild, Mapping[str, Any]], None]] = {
    "accept": Checker._accept,
    "control": Checker._accept,
    "own": Checker._own,
    "hibernate": Checker._hibernate,
    "asleep": Checker._asleep,
    "start": Checker._start,
    "end": Checker._end,
    "commit": Checker._commit,
    "done": Checker._done,
    "shed": Checker._give_up,
    "dead": Checker._give_up,
    "kept": Checker._give_up,
    "refused": Checker._refused,
}


def check(
    records: Iterable[Mapping[str, Any]], *, concurrency: int | None = None, complete: bool = False
) -> list[Violation]:
    """Every promise that `records` break."""
    checker = Checker(concurrency=concurrency)
    checker.read(records)
    checker.end(complete=complete)
    return checker.violations


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m flora.actors.core.history",
        description="Check an event log for lost, doubled, reordered and wrongly owned events.",
    )
    parser.add_argument("file", type=Path, help="the log, JSON lines")
    parser.add_argument("--concurrency", type=int, help="events of one guild in flight at most")
    parser.add_argument("--complete", action="store_true", help="the log ends with a shutdown")
    options = parser.parse_args(arguments)
    checker = Checker(concurrency=options.concurrency)
    try:
        with options.file.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    record = json.loads(line)
                except ValueError:
                    record = None
                checker.record(record if isinstance(record, dict) else {"unreadable": line[:100]})
    except (OSError, UnicodeDecodeError) as error:
        print(f"cannot read {options.file}: {error}", file=sys.stderr)
        return 2
    checker.end(complete=options.complete)
    for violation in checker.violations:
        print(violation)
    counted = ", ".join(f"{count} {name}" for name, count in checker.counts.most_common())
    print(
        f"{counted or 'no records'}; {checker.unfinished} unfinished; {len(checker.violations)} violation(s)."
    )
    return 1 if checker.violations else 0


if __name__ == "__main__":
    sys.exit(main())
