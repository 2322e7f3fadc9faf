"""The same bot as flora guild scripts, with discord.js, discord.py and hikari, against the same Discord.

    python -m bench.end_to_end [--quick] [--rounds 3] [--seconds 5] [--guilds 1,50,500] [--plot FILE]

Discord is the playground in a process of its own; its load generator draws the events and times the answers
(`flora/playground/load`). For each contender, in turn:

    first reply    from the start of its process (flora: with its deployments stored) until it answers
    memory         of the whole process tree, idle and after the load (PSS, MiB); CPU while idle
    events/s       the closed loop with IN_FLIGHT events waiting, of each kind; then 90 % of it as an open
                   loop, which must be sustained: 99 % answered, what waits does not grow
    CPU            seconds of the whole tree for 1,000 events of that open loop
    latency        message to reply at 10, 50 and 90 % of its own events/s
    neighbours     p99 of 49 guilds while the 50th spins for 200 ms at each of its two messages a second
    playground     events/s at which Discord would be busy all the time: the ceiling of all figures

Kinds: echo (a prefix command), slash, count (a durable counter; flora: KV, the others: a variable and a log
with fdatasync), cpu (Fibonacci of 18, naively), idle (99 % of the events are of a kind nobody listens to). No
contender has a limit of requests: Discord's 50 a second would be the figure of each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench.contenders.bots import Contender, Scene, Started, discord_js, discord_py, flora, hikari, scene
from bench.report import ROOT, Report, in_turn

IN_FLIGHT: Final = 64
SHARES: Final = (0.1, 0.5, 0.9)
NEIGHBOURS: Final = 50
AHEAD: Final = "2x discord.py, hikari; 1x discord.js"
NEIGHBOUR_RATE: Final = 52.0
ECHO: Final[dict[str, Any]] = {"name": "echo", "kind": "message", "text": "!echo {tag} hello"}
IDLE: Final[dict[str, Any]] = {
    "name": "unlistened",
    "kind": "event",
    "event": "CHANNEL_PINS_UPDATE",
    "data": {"last_pin_timestamp": None},
    "weight": 99,
}
KINDS: Final[dict[str, list[dict[str, Any]]]] = {
    "echo": [ECHO],
    "slash": [{"name": "slash", "kind": "slash", "text": "/hello name:you"}],
    "count": [{"name": "count", "kind": "message", "text": "!count {tag}"}],
    "cpu": [{"name": "cpu", "kind": "message", "text": "!cpu {tag}"}],
    "idle": [ECHO, IDLE],
}

PLOTTED: Final = {
    "echo, events/s at most": "echoes a second at most",
    f"echo at {SHARES[-1]:.0%}, CPU of 1,000 events": "CPU of 1,000 echoes, s",
    "beside a busy guild, latency p99": "p99 beside a guild that spins, ms",
    "memory, idle": "memory, idle, MiB",
}
"""Figures of the plot, with their titles there."""


class Bench:
    """`seconds` of each measurement; warm-ups are a quarter of it."""

    def __init__(self, report: Report, seconds: float) -> None:
        self._report = report
        self._time = {"duration": seconds, "warmup": seconds / 4}

    def measure(self, contender: Contender, folder: Path) -> None:
        add, name = self._report.add, contender.name
        with scene(folder, contender.guilds) as stage, contender.start(stage, folder) as bot:
            add("time to first reply", name, bot.first_reply, unit="s")
            add("memory, idle", name, bot.pss(), unit="MiB")
            add("CPU, idle", name, _idle(bot, self._time["duration"]), unit="% of a core")
            for kind in KINDS:
                self._kind(stage, bot, name, kind)
            if contender.guilds >= NEIGHBOURS:
                self._neighbours(stage, name)
            add("memory, after the load", name, bot.pss(), unit="MiB")

    def _kind(self, stage: Scene, bot: Started, name: str, kind: str) -> None:
        add, patterns = self._report.add, KINDS[kind]
        top = stage.load(patterns=patterns, in_flight=IN_FLIGHT, **self._time)
        most = float(top["sent_per_sec"])
        add(f"{kind}, events/s at most", name, most, unit="1/s", target=AHEAD)
        add(f"{kind}, the playground's ceiling", name, float(top["ceiling_per_sec"]), unit="1/s")
        shares = SHARES if kind == "echo" else SHARES[-1:]
        for share in shares:
            rate = max(1.0, most * share)
            before = bot.cpu()
            result = stage.load(patterns=patterns, rate=rate, **self._time)
            used, events = bot.cpu() - before, result["samples"][-1][1]
            label = f"{kind} at {share:.0%}"
            latency = result["latency_ms"]
            if latency["count"]:
                add(f"{label}, latency p50", name, latency["p50"], unit="ms")
                add(f"{label}, latency p99", name, latency["p99"], unit="ms")
            if share == shares[-1]:
                add(f"{label}, sustained", name, float(result["sustained"]), target="1")
                add(f"{label}, CPU of 1,000 events", name, 1000 * used / max(events, 1), unit="s")

    def _neighbours(self, stage: Scene, name: str) -> None:
        others = list(range(1, len(stage.guilds)))
        patterns = [
            {**ECHO, "guilds": others, "weight": 25},
            {"name": "busy", "kind": "message", "text": "!busy {tag}", "guilds": [0]},
        ]
        result = stage.load(patterns=patterns, rate=NEIGHBOUR_RATE, **self._time)
        latency = result["patterns"]["echo"]["latency_ms"]
        for figure in ("p50", "p99"):
            add = self._report.add
            add(
                f"beside a busy guild, latency {figure}",
                name,
                latency[figure],
                unit="ms",
                target="ahead of all",
            )


def _idle(bot: Started, seconds: float) -> float:
    before = bot.cpu()
    time.sleep(seconds)
    return 100 * (bot.cpu() - before) / seconds


def run(arguments: argparse.Namespace) -> Report:
    quick = arguments.quick
    counts = [1, NEIGHBOURS] if quick else [int(each) for each in arguments.guilds.split(",")]
    seconds, rounds = (0.5, 1) if quick else (arguments.seconds, arguments.rounds)
    report = Report(
        "end_to_end",
        "The same bot, end to end",
        {"rounds": rounds, "seconds": seconds, "in flight": IN_FLIGHT, "guilds of the others": NEIGHBOURS},
    )
    with tempfile.TemporaryDirectory(prefix="flora-bench-") as name:
        folder = Path(name)
        js = discord_js(NEIGHBOURS, folder / "node")
        if js is None:
            print("end_to_end: without discord.js, which needs Node.js and npm's registry")
        others = [each for each in (js, discord_py(NEIGHBOURS), hikari(NEIGHBOURS)) if each is not None]
        contenders = [*(flora(count) for count in counts), *others]
        bench = Bench(report, seconds)
        for number, contender in enumerate(in_turn(contenders, rounds)):
            print(f"end_to_end: {contender.name}", flush=True)
            bench.measure(contender, folder / str(number))
    return report


def plot(report: Report, file: Path) -> None:
    """The main figures of all contenders as bars, with their spread."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(PLOTTED), figsize=(3.2 * len(PLOTTED), 2.6))
    for axis, (name, title) in zip(axes, PLOTTED.items(), strict=True):
        rows = [row for row in report.rows() if row["figure"] == name][::-1]
        medians = [row["median"] for row in rows]
        spread = [
            [row["median"] - row["low"] for row in rows],
            [row["high"] - row["median"] for row in rows],
        ]
        colours = ["tab:blue" if row["contender"].startswith("flora") else "tab:grey" for row in rows]
        axis.barh([row["contender"] for row in rows], medians, xerr=spread, color=colours)
        axis.set_title(title, fontsize=8)
        axis.tick_params(labelsize=6)
    figure.tight_layout()
    figure.savefig(file, dpi=80)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round of half a second each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--guilds", default="1,50,500", help="flora's numbers of guilds")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "end_to_end.png", help="PNG to write")
    arguments = parser.parse_args()
    report = run(arguments)
    report.write()
    if not arguments.quick:
        plot(report, arguments.plot)


if __name__ == "__main__":
    main()
