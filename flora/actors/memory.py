"""How much memory guild processes may take, and how much they do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flora.config import RuntimeConfig
from flora.engine.report import own_bytes, resident_bytes

SHARE: Final = 0.6
"""Of the machine, for guild processes, when nothing is configured; the rest is for the host, PostgreSQL and
the page cache, and the air that guilds take between two looks at them."""

MIB: Final = 2**20


def budget_bytes(config: RuntimeConfig) -> int:
    """For all guild processes together: `runtime.memory_budget_mb`, else a share of the machine."""
    if config.memory_budget_mb is not None:
        return config.memory_budget_mb * MIB
    return int(SHARE * machine_bytes())


def machine_bytes(root: Path = Path("/")) -> int:
    """Memory that this process can have: the machine's, or less where a control group says so (cgroup v2,
    `memory.max`, of its own group and of those above it).
    """
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return found
    mount = root / "sys/fs/cgroup"
    for group in (line.removeprefix("0::/") for line in lines if line.startswith("0::/")):
        folder = mount / group
        for level in (folder, *folder.parents):
            try:
                limit = (level / "memory.max").read_text().strip()
            except OSError:
                limit = "max"
            if limit.isdigit():
                found = min(found, int(limit))
            if level == mount:
                break
    return found


def memory_of(pids: Sequence[int], fork_server: int | None) -> list[int]:
    """Bytes of each guild process that would be free without it. Takes some 15 us each."""
    shared = 0 if fork_server is None else resident_bytes(fork_server)
    return [own_bytes(pid, shared) for pid in pids]
