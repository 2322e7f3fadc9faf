"""What the KV acknowledged is there after a kill -9. FLORA_TEST_KILLS sets the rounds."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

from flora.ids import GuildId
from flora.storage.kv import GuildKv
from flora.storage.kv.operations import Count, Get
from tests.e2e.running import ROOT

ROUNDS = int(os.environ.get("FLORA_TEST_KILLS", "4"))
Write = tuple[str, int]


def run_and_kill(folder: Path, seconds: float) -> set[Write]:
    """Let a writer work and kill it; what it said was acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.kv.writer", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    acknowledged: set[Write] = set()
    working = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            parts = line.split()
            if len(parts) == 2 and line.endswith("\n"):
                acknowledged.add((parts[0], int(parts[1])))
                if len(acknowledged) >= 50:
                    working.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert working.wait(30), "the writers do not get on"
        time.sleep(seconds)
    finally:
        process.kill()
        process.wait(10)
        reader.join(10)
        assert process.stdout is not None
        process.stdout.close()
    return acknowledged


async def test_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    folder, dice = tmp_path / "kv", random.Random(7)
    everything: set[Write] = set()
    for _ in range(ROUNDS):
        everything |= run_and_kill(folder, dice.random() * 0.3)
        async with GuildKv.open(folder) as kv:
            for guild, number in everything:
                assert await kv.run(GuildId(guild), Get("numbers", f"{number:08}")) is not None
            for guild in ("1", "2", "3", "4"):
                count = await kv.run(GuildId(guild), Count("numbers"))
                counter = await kv.run(GuildId(guild), Get("counters", "all"))
                assert counter is not None
                assert int(counter.value) == count, "both halves of a transaction or none"
    assert len(everything) >= 50 * ROUNDS
