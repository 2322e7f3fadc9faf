"""How flora's cost grows: with guilds, payload and workers, and its start with deployments.

    python -m bench.scale [--quick] [--full] [--seconds 8] [--plot docs/scale.png]

Each point is a host of its own against a playground of its own, with the bot of `bench.end_to_end` and an
open loop of RATE echoes a second over all guilds: CPU of the whole process tree for 1,000 events, its memory
(PSS) afterwards, latency, and the time from the start of a host with so many deployments to its first reply.
`--full`: up to 10,000 guilds instead of 1,000, of which those sleep that do not fit AWAKE_MB.

Each curve is fitted as y = a + b x (least squares, relative errors). Its shape is "flat" when b x is below a
quarter of a at the largest x; else its knee is x = a / b, from where on the growing part is the larger one.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.contenders.bots import flora, scene
from bench.report import ROOT, Report, number

RATE: Final = 60.0
GUILDS: Final = (1, 10, 100, 300, 1000)
PAYLOADS: Final = (0, 1_000, 4_000, 12_000, 36_000)
WORKERS: Final = (1, 2, 4, 8)
QUICK: Final[tuple[tuple[int, ...], ...]] = ((1, 5, 20), (0, 4_000, 12_000), (1, 4))
FULL_GUILDS: Final = (*GUILDS, 3_000, 10_000)
BESIDE: Final = 20  # guilds of the curves over payload and workers
AWAKE_MB: Final = 2500
"""With more than 1,000 guilds: about so many are awake, the others sleep."""
FLAT: Final = 0.25


@dataclass
class Curve:
    """Points of one quantity over `over`; those of `asleep`, where most guilds sleep, are beside the fit."""

    title: str
    over: str
    unit: str
    points: list[tuple[float, float]] = field(default_factory=list)
    asleep: list[tuple[float, float]] = field(default_factory=list)

    def fit(self) -> tuple[float, float]:
        """(a, b) of y = a + b x with the least relative errors; neither is below 0."""
        rows = [(x, y, 1 / y**2) for x, y in self.points if y > 0]
        weight = math.fsum(w for _, _, w in rows)
        if not weight:
            return 0.0, 0.0
        x0 = math.fsum(w * x for x, _, w in rows) / weight
        y0 = math.fsum(w * y for _, y, w in rows) / weight
        spread = math.fsum(w * (x - x0) ** 2 for x, _, w in rows)
        slope = math.fsum(w * (x - x0) * (y - y0) for x, y, w in rows) / spread if spread else 0.0
        slope = max(slope, 0.0)
        return max(y0 - slope * x0, 0.0), slope

    def shape(self) -> str:
        a, b = self.fit()
        most = max(x for x, _ in self.points)
        if b * most <= FLAT * a:
            return f"flat: {number(a)} {self.unit}"
        knee = f", knee at {number(a / b)} {self.over}" if a else ""
        return f"{number(a)} {self.unit} + {number(b)} {self.unit} for each of {self.over}{knee}"


class Scale:
    def __init__(self, report: Report, folder: Path, seconds: float) -> None:
        self._report = report
        self._folder = folder
        self._seconds = seconds
        self._runs = 0
        self.curves: dict[tuple[str, str], Curve] = {}

    def point(
        self, over: str, x: float, guilds: int, padding: int = 0, workers: int = 0, budget_mb: int = 0
    ) -> None:
        """One host: add what it costs at `x` to the curves over `over`. With `budget_mb` most sleep."""
        environment = {}
        if workers:
            environment["RUNTIME_MAX_WORKERS"] = str(workers)
        if budget_mb:
            environment["RUNTIME_MEMORY_BUDGET_MB"] = str(budget_mb)

        def add(title: str, unit: str, y: float) -> None:
            curve = self.curves.setdefault((title, over), Curve(title, over, unit))
            (curve.asleep if budget_mb else curve.points).append((x, y))
            self._report.add(f"{title} over {over}", f"{x:g}", y, unit=unit)

        print(f"scale: {over} {x:g}", flush=True)
        self._runs += 1
        folder = self._folder / str(self._runs)
        pattern: dict[str, Any] = {"name": "echo", "text": "!echo {tag} hello", "padding": padding}
        load = {"patterns": [pattern], "rate": RATE, "duration": self._seconds, "warmup": self._seconds / 4}
        with scene(folder, guilds) as stage, flora(guilds, **environment).start(stage, folder) as bot:
            stage.load(patterns=[pattern], in_flight=8, duration=self._seconds / 2)
            before = bot.cpu()
            result = stage.load(**load)
            used, events = bot.cpu() - before, result["samples"][-1][1]
            add("CPU of 1,000 events", "s", 1000 * used / max(events, 1))
            add("memory", "MiB", bot.pss())
            latency = result["latency_ms"]
            if latency["count"]:
                add("latency p50", "ms", latency["p50"])
            if over == "guilds":
                add("start to first reply", "s", bot.first_reply)


def plot(curves: Sequence[Curve], file: Path) -> None:
    """All curves with their fits in one small picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = 4
    rows = math.ceil(len(curves) / columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(3 * columns, 2.4 * rows), squeeze=False)
    for axis, curve in zip(axes.flat, curves, strict=False):
        xs, ys = zip(*curve.points, *curve.asleep, strict=True)
        fitted = [x for x, _ in curve.points]
        a, b = curve.fit()
        axis.plot(xs, ys, "o-", markersize=3, linewidth=1)
        axis.plot(fitted, [a + b * x for x in fitted], "--", linewidth=0.8, color="grey")
        if curve.over == "guilds":
            axis.set_xscale("log")
        axis.set_ylim(0, 1.1 * max(ys))
        axis.set_title(curve.title, fontsize=8)
        axis.set_xlabel(curve.over, fontsize=7)
        axis.set_ylabel(curve.unit, fontsize=7)
        axis.tick_params(labelsize=6)
    for axis in list(axes.flat)[len(curves) :]:
        axis.set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=80)
    pyplot.close(figure)


def run(arguments: argparse.Namespace) -> Report:
    guilds, payloads, workers = QUICK if arguments.quick else (GUILDS, PAYLOADS, WORKERS)
    if arguments.full:
        guilds = FULL_GUILDS
    seconds = 2.0 if arguments.quick else arguments.seconds
    report = Report("scale", "What more costs", {"events a second": RATE, "seconds": seconds})
    with tempfile.TemporaryDirectory(prefix="flora-scale-") as name:
        scale = Scale(report, Path(name), seconds)
        for count in guilds:
            scale.point("guilds", count, count, budget_mb=AWAKE_MB if count > GUILDS[-1] else 0)
        for padding in payloads:
            scale.point("bytes", padding, BESIDE, padding)
        for count in workers:
            scale.point("workers", count, BESIDE, workers=count)
    for (title, over), curve in scale.curves.items():
        _, b = curve.fit()
        report.add(f"shape of {title} over {over}", curve.shape(), b * 1000, unit=f"{curve.unit} for 1,000")
    if arguments.plot is not None:
        plot(list(scale.curves.values()), arguments.plot)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few small points")
    parser.add_argument("--full", action="store_true", help="up to 10,000 guilds")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each load")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "scale.png", help="PNG to write")
    run(parser.parse_args()).write()


if __name__ == "__main__":
    main()
