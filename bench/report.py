"""What every benchmark shares: contenders in turn, medians with spread and ratios, a table that says where.

A benchmark makes one `Report`, adds samples to it and writes it: a table on standard output, and
`bench/results/<name>.md` and `.json` with the machine, the versions, the commit and the load, since a figure
without those means nothing. Ratios are to the first contender of a figure, in the same run.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, TypeVar

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "bench" / "results"
Contender = TypeVar("Contender")
LIBRARIES: Final = ("trio", "pythonmonkey", "asyncpg", "quart", "hypercorn", "discord.py", "hikari", "pykka")


def in_turn(contenders: Sequence[Contender], rounds: int) -> Iterator[Contender]:
    """A B A B …, so that whatever else the machine does meets all of them alike."""
    for _ in range(rounds):
        yield from contenders


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity: samples of each contender, in the order in which they were first seen."""

    name: str
    unit: str
    target: str | None
    samples: dict[str, list[float]] = field(default_factory=dict)

    def rows(self) -> Iterator[dict[str, Any]]:
        base: float | None = None
        for contender, values in self.samples.items():
            median = statistics.median(values)
            base = median if base is None else base
            yield {
                "figure": self.name,
                "contender": contender,
                "median": median,
                "low": min(values),
                "high": max(values),
                "samples": len(values),
                "unit": self.unit,
                "ratio": median / base if base else None,
                "target": self.target,
            }


class Report:
    """The figures of one run. `about` are its parameters, such as rounds and sizes."""

    def __init__(self, name: str, title: str, about: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.title = title
        self.about = dict(about or {})
        self._figures: dict[str, Figure] = {}
        self._load = os.getloadavg()[0]
        self._began = datetime.now(UTC)

    def add(
        self, figure: str, contender: str, *samples: float, unit: str = "", target: str | None = None
    ) -> None:
        """More samples of one figure. `target` is what is wanted, in words."""
        entry = self._figures.setdefault(figure, Figure(figure, unit, target))
        entry.samples.setdefault(contender, []).extend(samples)

    def rows(self) -> list[dict[str, Any]]:
        return [row for figure in self._figures.values() for row in figure.rows()]

    def where(self) -> dict[str, Any]:
        """Machine, versions, commit and load of the run."""
        return {
            "at": self._began.isoformat(timespec="seconds"),
            "commit": _commit(),
            "processor": _processor(),
            "processors": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": f"{platform.system()} {platform.release()}",
            "load_at_start": round(self._load, 2),
            "load_at_end": round(os.getloadavg()[0], 2),
            "versions": {"python": platform.python_version()} | dict(_versions()),
        }

    def markdown(self) -> str:
        where = self.where()
        lines = [
            f"# {self.title}",
            "",
            f"{where['at']}, commit {where['commit']}, {where['processors']} x {where['processor']}, "
            f"{where['memory_gib']} GiB, {where['system']}; load {where['load_at_start']} before, "
            f"{where['load_at_end']} after.",
            "",
            ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in self.about.items()),
            "",
            "| figure | contender | median | range | unit | ratio | target |",
            "|---|---|---:|---|---|---:|---|",
        ]
        for row in self.rows():
            spread = f"{number(row['low'])} – {number(row['high'])}" if row["samples"] > 1 else ""
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
            lines.append(
                f"| {row['figure']} | {row['contender']} | {number(row['median'])} | {spread} "
                f"| {row['unit']} | {ratio} | {row['target'] or ''} |"
            )
        versions = ", ".join(f"{name} {text}" for name, text in where["versions"].items())
        return "\n".join([*lines, "", f"Versions: {versions}.", ""])

    def write(self, folder: Path = RESULTS, say: Callable[[str], None] = print) -> None:
        """Say the table and keep it in `folder`, which is made when it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        text = self.markdown()
        (folder / f"{self.name}.md").write_text(text, encoding="utf-8")
        content = {"name": self.name, "title": self.title, "about": self.about}
        content |= {"where": self.where(), "rows": self.rows()}
        (folder / f"{self.name}.json").write_text(
            json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8"
        )
        say(text)


def number(value: float) -> str:
    """Three significant digits, thousands set apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percentile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; `share` is between 0 and 1."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def _versions() -> Iterator[tuple[str, str]]:
    for library in LIBRARIES:
        try:
            yield library, version(library)
        except PackageNotFoundError:
            continue


def _commit() -> str:
    """The commit, with a mark when flora's own sources differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "flora", "sdk")
        return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()
