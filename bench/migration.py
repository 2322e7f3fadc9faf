"""Moving guilds between workers: the pause of the guild that moves, and what the others notice.

    python -m bench.migration [--guilds 50] [--moves 100] [--rate 5] [--rounds 3]

With real guild processes and no Discord; every guild gets messages at a steady rate. Pause: from the last
event that starts on the source to the first that starts on the target, of a guild with events waiting.
Latency: from the acceptance of an event to the end of its handlers, of the guilds that do not move, in rounds
without and with moves that take turns. One tenth of the guilds moves.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

import structlog
import trio

from bench.report import Report, percentile
from flora.actors.core import MoveOutcome
from flora.config import RuntimeConfig
from flora.ids import GuildId
from tests.actors.rig import Rig, rig

SCRIPT: Final = 'on("messageCreate", async (ctx) => { await null; });'
BACKLOG: Final = 4
"""Events that wait for the moving guild, so that the pause is the move's and not the rate's."""

PATIENCE_SECS: Final = 5.0
WORKERS: Final = 4
SECONDS_A_MOVE: Final = 0.05


class Watch:
    """When events start and how long they take, read off the switchboard."""

    def __init__(self, it: Rig) -> None:
        self.starts: dict[GuildId, list[tuple[float, int]]] = {}
        self.latencies: dict[GuildId, list[float]] = {}
        board: Any = it.board
        next_, ack = board.next, board.ack

        def start(worker: int) -> Any:
            delivery = next_(worker)
            if delivery is not None:
                self.starts.setdefault(delivery.guild_id, []).append((trio.current_time(), delivery.worker))
            return delivery

        def end(delivery: Any, *outcome: Any) -> bool:
            taken = trio.current_time() - delivery.event.received_at
            self.latencies.setdefault(delivery.guild_id, []).append(taken)
            return bool(ack(delivery, *outcome))

        board.next, board.ack = start, end

    def pause(self, guild: GuildId, source: int, target: int) -> float | None:
        """Of the guild's last move."""
        starts = self.starts.get(guild, [])
        for (left, before), (arrived, after) in zip(reversed(starts[:-1]), reversed(starts[1:]), strict=True):
            if (before, after) == (source, target):
                return arrived - left
        return None


async def talk(it: Rig, guild: GuildId, rate: float, offset: float) -> None:
    await trio.sleep(offset)
    while True:
        it.send("hello", guild)
        await trio.sleep(1 / rate)


async def measure(arguments: argparse.Namespace) -> Report:
    config = RuntimeConfig(max_workers=WORKERS)
    guilds = [GuildId(str(1000 + number)) for number in range(arguments.guilds)]
    movers = guilds[: max(1, len(guilds) // 10)]
    still = guilds[len(movers) :]
    pauses: list[float] = []
    outcomes: dict[str, int] = {}
    quiet: list[float] = []
    busy: list[float] = []
    async with rig(config) as it:
        for guild in guilds:
            await it.deploy(SCRIPT, guild)
        watch = Watch(it)

        async def move(number: int) -> None:
            guild = movers[number % len(movers)]
            source = it.worker(guild)
            target = (source + 1) % WORKERS
            watch.starts[guild] = []
            with trio.fail_after(PATIENCE_SECS):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(refill, guild)
                    while not watch.starts[guild]:  # noqa: ASYNC110
                        await trio.sleep(0.0005)
                    done = await it.runtime.migrate_guild_runtime(guild, target)
                    while (pause := watch.pause(guild, source, target)) is None:  # noqa: ASYNC110
                        await trio.sleep(0.0005)
                    nursery.cancel_scope.cancel()
            assert done is not None
            outcomes[done.outcome.value] = outcomes.get(done.outcome.value, 0) + 1
            if done.outcome is MoveOutcome.MOVED:
                pauses.append(pause)

        async def refill(guild: GuildId) -> None:
            for _ in range(BACKLOG):
                it.send("hello", guild)
            while True:
                await trio.sleep(0.001)
                it.send("hello", guild)

        async with trio.open_nursery() as nursery:
            for number, guild in enumerate(guilds):
                offset = number / len(guilds) / arguments.rate
                nursery.start_soon(talk, it, guild, arguments.rate, offset)
            await trio.sleep(1)
            each = arguments.moves // arguments.rounds
            for round_ in range(arguments.rounds):
                watch.latencies.clear()
                await trio.sleep(each * SECONDS_A_MOVE)
                quiet += [value for guild in still for value in watch.latencies.get(guild, ())]
                watch.latencies.clear()
                end = trio.current_time() + each * SECONDS_A_MOVE
                for number in range(each):
                    began = trio.current_time()
                    await move(round_ * each + number)
                    await trio.sleep_until(began + SECONDS_A_MOVE)
                await trio.sleep_until(end)
                busy += [value for guild in still for value in watch.latencies.get(guild, ())]
            nursery.cancel_scope.cancel()
    report = Report("migration", "Moving guilds", {**vars(arguments), "movers": len(movers), **outcomes})
    pause, others = "pause of the guild that moves", "latency of the others"
    report.add(f"{pause}, p50", "flora", percentile(pauses, 0.5) * 1e3, unit="ms")
    report.add(f"{pause}, p99", "flora", percentile(pauses, 0.99) * 1e3, unit="ms", target="<= 20 ms")
    for share, target in ((0.5, None), (0.99, "<= 1.2x")):
        name = f"{others}, p{share * 100:.0f}"
        report.add(name, f"without moves (n={len(quiet)})", percentile(quiet, share) * 1e3, unit="ms")
        report.add(
            name, f"during moves (n={len(busy)})", percentile(busy, share) * 1e3, unit="ms", target=target
        )
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--guilds", type=int, default=50)
    parser.add_argument("--moves", type=int, default=100)
    parser.add_argument("--rate", type=float, default=5.0, help="messages a second and guild")
    parser.add_argument("--rounds", type=int, default=4)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    trio.run(measure, parser.parse_args()).write()


if __name__ == "__main__":
    main()
