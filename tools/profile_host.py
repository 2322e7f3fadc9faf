"""A flame graph of the host under the load of the end-to-end benchmark, and its dearest functions.

    just profile [--seconds 10] [--guilds 50] [--rate 0] [--kind echo]

py-spy samples the host's process while the playground drives it (`--rate 0`: as fast as it goes, with 64
events waiting). Writes dist/profile.svg and prints the share of samples by package and by function: "own" is
spent in it, "with callees" in all that it calls. The guild processes are not in it; they run JavaScript.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Final

from bench.contenders.bots import Scene, Started, flora, scene
from bench.end_to_end import IN_FLIGHT, KINDS
from bench.report import ROOT

OUT: Final = ROOT / "dist" / "profile.svg"
SHOWN: Final = 25
WAITING: Final = {"flora/storage/kv/shard.py:Shard._main", "trio/_core/_thread_cache.py:WorkerThread._work"}
"""Innermost frames of threads that wait for work in C, which py-spy takes for busy."""
Stacks = Counter[tuple[str, ...]]
FRAME: Final = re.compile(r"(?P<function>.*) \((?P<file>.*):\d+\)")


def record(pid: int, seconds: float, kind: str, file: Path) -> None:
    words = [str(Path(sys.executable).parent / "py-spy"), "record", "--pid", str(pid), "--rate", "250"]
    subprocess.run(
        [*words, "--duration", str(round(seconds)), "--format", kind, "--output", str(file)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def under_load(stage: Scene, bot: Started, seconds: float, rate: float, kind: str) -> Stacks:
    """Stacks with their numbers of samples, outermost frame first; writes the flame graph, too."""
    pace: dict[str, Any] = {"rate": rate} if rate else {"in_flight": IN_FLIGHT}
    body = {"patterns": KINDS[kind], "duration": 2 * seconds + 3, "warmup": 1, **pace}
    load = threading.Thread(target=stage.load, kwargs=body)
    load.start()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "stacks"
        record(bot.pid, seconds, "raw", raw)
        record(bot.pid, seconds, "flamegraph", OUT)
        lines = raw.read_text().splitlines()
    load.join()
    stacks: Stacks = Counter()
    for line in lines:
        frames, _, count = line.rpartition(" ")
        stack = tuple(_short(frame) for frame in frames.split(";"))
        if stack[-1] not in WAITING:
            stacks[stack] += int(count)
    return stacks


def _short(frame: str) -> str:
    match = FRAME.match(frame)
    return frame if match is None else f"{match['file']}:{match['function']}"


def table(stacks: Stacks) -> str:
    """The dearest packages and functions, as Markdown."""
    total = sum(stacks.values()) or 1
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        packages["/".join(stack[-1].split(":")[0].split("/")[:2])] += count
        for frame in set(stack):
            whole[frame] += count
    lines = [f"{total} samples.", "", "| package | own |", "|---|---:|"]
    lines += [f"| {name} | {count / total:.1%} |" for name, count in packages.most_common(12)]
    lines += ["", "| function | own | with callees |", "|---|---:|---:|"]
    lines += [
        f"| {name} | {count / total:.1%} | {whole[name] / total:.1%} |"
        for name, count in own.most_common(SHOWN)
    ]
    lines += ["", "| function of flora | with callees |", "|---|---:|"]
    ours = [(name, count) for name, count in whole.most_common() if name.startswith("flora/")]
    lines += [f"| {name} | {count / total:.1%} |" for name, count in ours[:SHOWN]]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="just profile", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--guilds", type=int, default=50)
    parser.add_argument("--rate", type=float, default=0.0, help="events a second; 0: as fast as it goes")
    parser.add_argument("--kind", choices=sorted(KINDS), default="echo")
    arguments = parser.parse_args()
    OUT.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="flora-profile-") as name:
        folder = Path(name)
        with (
            scene(folder, arguments.guilds) as stage,
            flora(arguments.guilds).start(stage, folder) as bot,
        ):
            stacks = under_load(stage, bot, arguments.seconds, arguments.rate, arguments.kind)
    print(table(stacks))
    print(f"\n{OUT}")


if __name__ == "__main__":
    main()
