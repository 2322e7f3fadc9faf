"""What hostile guilds cost well-behaved ones: quiet and hostile phases in turn, in one run of one engine.

    python -m bench.chaos [--guilds 150] [--rate 2] [--secs 10] [--rounds 3] [--at-once 4]

Each well-behaved guild gets `rate` events a second; its handler makes two host calls and a hundred awaits,
and each answer is checked. In a hostile phase, which lasts until the last of them is done, every script of
`tests/engine/hostile.py` runs through one life (load, an event, 0.2 s for its timers, another event),
`at-once` of them side by side, with the default limits. Latency: from the dispatch to the end of the handler.
At the end no process and no descriptor may be left.
"""

from __future__ import annotations

import argparse
import logging
import statistics
from collections import Counter
from typing import Final

import structlog
import trio

from bench.report import Report, percentile
from flora.actors.restorer import settle_garbage
from flora.config import RuntimeConfig
from flora.engine.host import Engine
from tests.engine.conftest import SDK, exists, open_descriptors
from tests.engine.crowd import GoodGuild, outcome_of
from tests.engine.hostile import HOSTILE

QUIET: Final = "quiet"
CHAOS: Final = "hostile"
STARTS_AT_ONCE: Final = 8


class Chaos:
    """`latencies` are those of the phase under way, in seconds."""

    def __init__(self, arguments: argparse.Namespace, engine: Engine) -> None:
        self._arguments = arguments
        self._engine = engine
        self.guilds = [GoodGuild(engine) for _ in range(arguments.guilds)]
        self.latencies: list[float] = []
        self.p50: dict[str, list[float]] = {QUIET: [], CHAOS: []}
        self.p99: dict[str, list[float]] = {QUIET: [], CHAOS: []}
        self.outcomes: Counter[str] = Counter()
        self.pids: set[int] = set()

    async def run(self) -> None:
        limiter = trio.CapacityLimiter(STARTS_AT_ONCE)
        async with trio.open_nursery() as nursery:
            for guild in self.guilds:
                nursery.start_soon(self._start, guild, limiter)
        settle_garbage()
        leaving = trio.Event()
        async with trio.open_nursery() as nursery:
            for index, guild in enumerate(self.guilds):
                nursery.start_soon(self._behave, guild, index, leaving)
            await trio.sleep(2 / self._arguments.rate)  # compiled and warm
            for _ in range(self._arguments.rounds):
                self.latencies = []
                await trio.sleep(self._arguments.secs)
                self._note(QUIET)
                await self._attack()
                self._note(CHAOS)
            leaving.set()
        self.pids |= {process.pid for process in self._engine.processes()}
        async with trio.open_nursery() as nursery:
            for guild in self.guilds:
                nursery.start_soon(guild.stop)

    async def _start(self, guild: GoodGuild, limiter: trio.CapacityLimiter) -> None:
        async with limiter:
            await guild.start()

    async def _behave(self, guild: GoodGuild, index: int, leaving: trio.Event) -> None:
        pause = 1 / self._arguments.rate
        await trio.sleep(pause * index / len(self.guilds))
        due = trio.current_time()
        while not leaving.is_set():
            self.latencies.append(await guild.dispatch())
            due = max(due + pause, trio.current_time())
            await trio.sleep_until(due)

    async def _attack(self) -> None:
        limiter = trio.CapacityLimiter(self._arguments.at_once)

        async def one(name: str) -> None:
            async with limiter:
                outcome = await outcome_of(self._engine, HOSTILE[name][0])
            self.outcomes[outcome] += 1

        self.latencies = []
        async with trio.open_nursery() as nursery:
            for name in HOSTILE:
                nursery.start_soon(one, name)

    def _note(self, phase: str) -> None:
        self.p50[phase].append(percentile(self.latencies, 0.5) * 1e3)
        self.p99[phase].append(percentile(self.latencies, 0.99) * 1e3)


async def run(arguments: argparse.Namespace) -> Report:
    report = Report(
        "chaos",
        "Well-behaved guilds beside hostile ones",
        {
            "guilds": arguments.guilds,
            "events a second each": arguments.rate,
            "rounds": arguments.rounds,
            "hostile at once": arguments.at_once,
        },
    )
    before = open_descriptors()
    engine = Engine(RuntimeConfig(), SDK)
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        chaos = Chaos(arguments, engine)
        await chaos.run()
        pids = chaos.pids | {engine.report().fork_server_pid or 0}
        restarts = engine.report().fork_server_restarts
        nursery.cancel_scope.cancel()
    for phase in (QUIET, CHAOS):
        report.add("latency p50", phase, *chaos.p50[phase], unit="ms")
    for phase in (QUIET, CHAOS):
        report.add("latency p99", phase, *chaos.p99[phase], unit="ms", target="hostile within 2x of quiet")
    ratio = statistics.median(chaos.p99[CHAOS]) / statistics.median(chaos.p99[QUIET])
    report.add("p99 ratio, hostile to quiet", "flora", ratio, target="2")
    report.add("kinds of hostile script", "flora", len(HOSTILE), target=">= 20")
    for outcome, count in sorted(chaos.outcomes.items()):
        report.add("hostile scripts that ended as", outcome, count)
    sent = sum(guild.sent for guild in chaos.guilds)
    right = sum(guild.right for guild in chaos.guilds)
    report.add("answers", "sent", sent)
    report.add("answers", "right", right, target="all")
    report.add("processes that survive", "flora", sum(map(exists, pids - {0})), target="0")
    report.add("descriptors that are left", "flora", max(0, open_descriptors() - before), target="0")
    report.add("fork servers that died", "flora", restarts, target="0")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--guilds", type=int, default=150)
    parser.add_argument("--rate", type=float, default=2.0, help="events a second of each good guild")
    parser.add_argument("--secs", type=float, default=10.0, help="length of a quiet phase")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=4, help="hostile scripts side by side")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    trio.run(run, arguments).write()


if __name__ == "__main__":
    main()
