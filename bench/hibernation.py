"""Guilds that sleep: how long one takes to wake, and what the host keeps of those that do not.

    python -m bench.hibernation [--full] [--guilds 300] [--rate 10] [--seconds 15]

`--full` is the size of the target: 10,000 guilds. Everything below the gateway is real, as are the host's
services that look at all guilds from time to time (rebalancer, hibernator, intents). Each guild has a bundle
and a source map of its own; all are put down asleep, as at the start of a host whose memory they do not fit
into. Then events come, each for a guild chosen at random, and a guild that was woken sleeps again when it has
been idle for some seconds, so that both happen all the time.

Wake: from the acceptance of an event whose guild sleeps until its handlers start, and until they have ended.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from typing import Any, Final

import psutil
import structlog
import trio

from bench.engine import bundle
from bench.report import Report, percentile
from flora.actors.core import State
from flora.actors.intents import IntentKeeper, IntentPlan
from flora.actors.kernel import ChildSpec
from flora.actors.memory import memory_of
from flora.actors.restorer import settle_garbage
from flora.actors.script import DeployedScript
from flora.config import RuntimeConfig
from flora.engine.api import Manifest
from flora.gateway.events import GatewayEvent
from flora.gateway.intents import Intents
from flora.ids import GuildId
from tests.actors.rig import Rig, rig

WORKERS: Final = 4
AWAKE_SECS: Final = 5.0
MAP_BYTES: Final = 40_000
SETTLE_SECS: Final = 1.0
MIB: Final = 2**20
LISTENS: Final = (frozenset({"MESSAGE_CREATE"}), frozenset({"MESSAGE_CREATE", "INTERACTION_CREATE"}))


class Wakes:
    """Times of events whose guild slept, read off the switchboard; in seconds since their acceptance."""

    def __init__(self, it: Rig) -> None:
        self.started: list[float] = []
        self.ended: list[float] = []
        self.warm: list[float] = []
        self.sleepers: set[object] = set()
        board: Any = it.board
        accept, next_, ack = board.accept, board.next, board.ack

        def take(event: GatewayEvent) -> Any:
            view = it.board.core.view(event.guild_id) if event.guild_id else None
            if view is not None and view.state in (State.ASLEEP, State.HIBERNATING):
                self.sleepers.add(event.id)
            return accept(event)

        def start(worker: int) -> Any:
            delivery = next_(worker)
            if delivery is not None and delivery.event.id in self.sleepers:
                self.started.append(trio.current_time() - delivery.event.received_at)
            return delivery

        def end(delivery: Any, *outcome: Any) -> bool:
            taken = trio.current_time() - delivery.event.received_at
            (self.ended if delivery.event.id in self.sleepers else self.warm).append(taken)
            return bool(ack(delivery, *outcome))

        board.accept, board.next, board.ack = take, start, end


def scripts(count: int, size: int) -> Iterator[DeployedScript]:
    code = bundle(size)
    for number in range(count):
        head = f"// {number}\n"
        yield DeployedScript(GuildId(str(10**17 + number)), head + code, f"{number:0{MAP_BYTES}}")


async def measure(arguments: argparse.Namespace) -> Report:
    report = Report("hibernation", "Guilds that sleep", vars(arguments))
    host = psutil.Process()
    config = RuntimeConfig(max_workers=WORKERS, hibernate_after_secs=AWAKE_SECS)
    chance = random.Random(arguments.seed)
    async with rig(config) as it:
        plan = IntentPlan(None, Intents(0))
        keeper = IntentKeeper(plan, it.board.core, {}, plan.first(LISTENS), lambda guild, text: None)
        await it.system.spawn(ChildSpec("intents", lambda: keeper))
        before = host.memory_info().rss
        began = time.perf_counter()
        guilds = []
        for script in scripts(arguments.guilds, arguments.bundle):
            it.runtime.restore(script, Manifest(LISTENS[len(guilds) % 2]))
            guilds.append(script.guild_id)
        restored = time.perf_counter() - began
        asleep = host.memory_info().rss
        settle_garbage()
        await trio.sleep(SETTLE_SECS)
        wakes = Wakes(it)
        counts: list[int] = []
        memory: list[int] = []

        async def sample() -> None:
            while True:
                pids = [process.pid for process in it.engine.processes()]
                fork_server = it.engine.report().fork_server_pid
                counts.append(len(pids))
                memory.append(sum(await trio.to_thread.run_sync(memory_of, pids, fork_server)))
                await trio.sleep(1.0)

        cpu = host.cpu_times()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sample)
            with trio.move_on_after(arguments.seconds):
                while True:
                    it.send("hello", chance.choice(guilds))
                    await trio.sleep(chance.expovariate(arguments.rate))
            nursery.cancel_scope.cancel()
        spent = host.cpu_times()
        with trio.move_on_after(10):
            while len(wakes.ended) < len(wakes.sleepers):  # noqa: ASYNC110
                await trio.sleep(0.01)
        lost = len(wakes.sleepers) - len(wakes.ended)
    woken = f"flora (n={len(wakes.started)})"
    for share, target in ((0.5, None), (0.99, "<= 30 ms"), (1.0, None)):
        name = "wake until the handlers start, " + ("max" if share == 1 else f"p{share * 100:.0f}")
        report.add(name, woken, percentile(wakes.started, share) * 1e3, unit="ms", target=target)
    for share in (0.5, 0.99):
        name = f"wake until the handlers have ended, p{share * 100:.0f}"
        report.add(name, woken, percentile(wakes.ended, share) * 1e3, unit="ms")
    report.add("events of sleeping guilds without an end", "flora", float(lost), target="0")
    report.add("guilds put down asleep", "flora", arguments.guilds / restored, unit="/s")
    each = (asleep - before) / arguments.guilds / 1024
    report.add("host memory of a sleeping guild, bundle and map included", "flora", each, unit="KiB")
    report.add("host memory with all guilds", "flora", asleep / MIB, unit="MiB")
    report.add("guild processes, most at a time", "flora", float(max(counts, default=0)))
    report.add("memory of guild processes, most", "flora", max(memory, default=0) / MIB, unit="MiB")
    busy = spent.user + spent.system - cpu.user - cpu.system
    report.add("CPU of the host process", "flora", busy / arguments.seconds * 100, unit="% of one core")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--full", action="store_true", help="the size of the target: 10,000 guilds, a minute")
    parser.add_argument("--guilds", type=int, help="guilds that sleep (300; 10,000 with --full)")
    parser.add_argument("--rate", type=float, default=10.0, help="events a second, of all guilds together")
    parser.add_argument("--seconds", type=float, help="how long events come (15; 60 with --full)")
    parser.add_argument("--bundle", type=int, default=20_000, help="bytes of each bundle")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.guilds = arguments.guilds or (10_000 if arguments.full else 300)
    arguments.seconds = arguments.seconds or (60.0 if arguments.full else 15.0)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    trio.run(measure, arguments).write()


if __name__ == "__main__":
    main()
