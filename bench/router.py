"""What the router's core costs: events a second through accept, start and ack, without Trio and processes.

    python -m bench.router [--guilds 1000] [--events 200000] [--rounds 3] [--log]

The time of one event is the sum of its three steps, by shape of the load. `--log` adds the
event log, with a writer that does nothing.
"""

from __future__ import annotations

import argparse
import time

from bench.report import Report, in_turn
from flora.actors.core import Activate, Apply, Control, ControlKind, Limits, Log, Router, Wake
from flora.gateway.events import GatewayEvent
from flora.ids import EventId, GuildId

WORKERS = 4


def opened(guilds: int, *, log: bool) -> tuple[Router, list[GuildId]]:
    """A router with `guilds` open guilds."""
    router = Router(
        WORKERS,
        limits=Limits(guild_capacity=10**9, total_capacity=10**9),
        log=Log(lambda record: None) if log else None,
    )
    names = [GuildId(str(10**17 + number)) for number in range(guilds)]
    for name in names:
        router.submit(name, Control(ControlKind.DEPLOY, "script"))
    while commands := router.take():
        for command in commands:
            if isinstance(command, Activate):
                router.activated(command)
            elif isinstance(command, Apply):
                router.applied(command)
    return router, names


def stream(names: list[GuildId], events: int) -> list[GatewayEvent]:
    return [
        GatewayEvent(EventId(0, "session", seq), "MESSAGE_CREATE", names[seq % len(names)], b"{}", 0.0)
        for seq in range(1, events + 1)
    ]


def one_by_one(router: Router, events: list[GatewayEvent]) -> None:
    """Each event is done before the next one comes: the usual case."""
    for event in events:
        router.accept(event)
        for command in router.take():
            if isinstance(command, Wake):
                while (delivery := router.next(command.worker)) is not None:
                    router.ack(delivery)


def backlog(router: Router, events: list[GatewayEvent]) -> None:
    """Everything comes first, and is worked off then."""
    for event in events:
        router.accept(event)
    for worker in range(WORKERS):
        while (delivery := router.next(worker)) is not None:
            router.ack(delivery)
    router.take()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--guilds", type=int, default=1000)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log", action="store_true")
    options = parser.parse_args()
    report = Report("router", "The router's core", {"events": options.events, "log": options.log})
    shapes = [(guilds, shape) for guilds in (1, options.guilds) for shape in (one_by_one, backlog)]
    for guilds, shape in in_turn(shapes, options.rounds):
        router, names = opened(guilds, log=options.log)
        events = stream(names, options.events)
        began = time.perf_counter()
        shape(router, events)
        each = (time.perf_counter() - began) / options.events
        assert router.depth == 0
        report.add(f"an event, {shape.__name__.replace('_', ' ')}", f"{guilds} guilds", each * 1e6, unit="us")
    report.write()


if __name__ == "__main__":
    main()
