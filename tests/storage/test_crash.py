# ruff: noqa: ASYNC251 - one thing at a time: the host is another process
"""Nothing acknowledged is lost: rounds of kill -9 under write load. FLORA_TEST_KILLS sets how many."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import trio

from flora.storage.aio import open_aio
from flora.storage.embedded import EmbeddedPostgres
from flora.storage.postgres import Database
from tests.storage.test_embedded import end, start_host

ROUNDS = int(os.environ.get("FLORA_TEST_KILLS", "4"))


class Acknowledged(threading.Thread):
    """What the host said it had stored, read as it says it."""

    def __init__(self, host: subprocess.Popen[str]) -> None:
        super().__init__()
        self.numbers: set[int] = set()
        self._host = host
        self.start()

    def run(self) -> None:
        assert self._host.stdout is not None
        for line in self._host.stdout:
            if line.strip().isdigit() and line.endswith("\n"):
                self.numbers.add(int(line))

    def wait_for(self, more: int) -> None:
        target, patience = len(self.numbers) + more, time.monotonic() + 30
        while len(self.numbers) < target:
            assert time.monotonic() < patience, "the writers do not get on"
            assert self._host.poll() is None, "the host ended"
            time.sleep(0.005)


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, number: int) -> None:
    """In turn: the host; the postmaster, which the host must bring back; both at once; host, then
    postmaster.
    """
    dice = random.Random(number)
    victims = ("host", "postmaster", "both", "host, postmaster")[number % 4]
    host, postmaster = start_host(tmp_path, "write")
    acknowledged = Acknowledged(host)
    try:
        acknowledged.wait_for(20)
        time.sleep(dice.random() * 0.2)
        if victims == "postmaster":
            os.kill(postmaster, signal.SIGKILL)
            acknowledged.wait_for(20)  # what is acknowledged after the restart
        elif victims == "host":
            host.kill()
        else:
            for pid in (host.pid, postmaster) if victims.startswith("host") else (postmaster, host.pid):
                os.kill(pid, signal.SIGKILL)
    finally:
        host.kill()
        host.wait(10)
        acknowledged.join(10)
        end(host)
    assert not acknowledged.is_alive()

    with trio.fail_after(60):
        server = EmbeddedPostgres(tmp_path)
        async with open_aio(), trio.open_nursery() as nursery:
            await nursery.start(server.run)
            async with Database.open(server.url) as db:
                stored = {row["i"] for row in await db.run(lambda con: con.fetch("select i from t"))}
            nursery.cancel_scope.cancel()
    assert acknowledged.numbers
    assert acknowledged.numbers <= stored
