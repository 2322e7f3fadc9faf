"""What a host takes of the machine, and whether that stays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

FREE: Final = {"descriptors": 24, "threads": 10, "tasks": 24, "processes": 2}
"""By so much the last quiet look may be above the first: idle connections, open KV files, kept threads."""
MEMORY_SHARE: Final = 0.15
MEMORY_FREE_MIB: Final = 24.0


def pss_mib(pid: int) -> float:
    """Memory of a process, shared pages by their share (proc(5), smaps_rollup); 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


@dataclass(frozen=True)
class Vitals:
    """One look. `processes` are flora's own without guild processes and PostgreSQL's; memory is in MiB."""

    at: float
    host_pss: float
    tree_pss: float
    descriptors: int
    threads: int
    tasks: int
    processes: int
    guilds: int


def look(at: float, pid: int, data: Path, guild_pids: set[int]) -> Vitals:
    host = psutil.Process(pid)
    children = host.children(recursive=True)
    own = [child for child in children if child.pid not in guild_pids and not _is_postgres(child)]
    mine = pss_mib(pid)
    try:
        tasks = json.loads((data / "vitals.json").read_text())["tasks"]
    except (OSError, ValueError):
        tasks = 0
    return Vitals(
        at=at,
        host_pss=mine,
        tree_pss=mine + sum(pss_mib(child.pid) for child in children),
        descriptors=host.num_fds(),
        threads=host.num_threads(),
        tasks=tasks,
        processes=len(own),
        guilds=len(guild_pids),
    )


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return "postgres" in process.name()
    except psutil.NoSuchProcess:
        return False


def not_flat(first: Vitals, last: Vitals) -> list[str]:
    """What has grown between two quiet looks at one life of a host in which all guilds run."""
    found = []
    for name, free in FREE.items():
        before, after = getattr(first, name), getattr(last, name)
        if after > before + free:
            found.append(f"{name} have grown from {before} to {after}")
    allowed = first.host_pss * (1 + MEMORY_SHARE) + MEMORY_FREE_MIB
    if last.host_pss > allowed:
        found.append(f"the host's memory has grown from {first.host_pss:.0f} to {last.host_pss:.0f} MiB")
    return found


def trend(looks: list[Vitals]) -> float:
    """MiB an hour by which the host's memory grows, by least squares."""
    if len(looks) < 3:
        return 0.0
    middle = sum(each.at for each in looks) / len(looks)
    level = sum(each.host_pss for each in looks) / len(looks)
    spread = sum((each.at - middle) ** 2 for each in looks)
    slope = sum((each.at - middle) * (each.host_pss - level) for each in looks)
    return 3600 * slope / spread if spread else 0.0
