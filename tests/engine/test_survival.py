"""Who dies with whom: host, fork server, guild processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio

from flora.engine.api import EngineUnavailableError, ExitKind, ProcessDiedError

from .conftest import RecordingHost, event, eventually, exists, running_engine, start

# A host of its own, to be killed: an engine with guilds that idle, loop for ever, and wait.
HOST = """
import json, os, signal, sys, trio
sys.path[:0] = json.loads(sys.argv[1])
from engine.conftest import RecordingHost, event, running_engine, start

LOOPS = "on('A', () => { for (;;); })"
IDLE = "setInterval(() => {}, 1000)"

async def main():
    async with running_engine(cpu_ms=60_000) as engine:
        guilds = [await start(engine, code) for code in (IDLE, LOOPS, IDLE, LOOPS)]
        zygote = engine.report().fork_server_pid
        if sys.argv[2] == "without its fork server":
            os.kill(zygote, signal.SIGKILL)
            while engine.report().fork_server_restarts == 0:
                await trio.sleep(0.01)
        async with trio.open_nursery() as nursery:
            for guild in guilds:
                nursery.start_soon(guild.dispatch, event(wall_secs=0))
            await trio.sleep(0.2)
            pids = [guild.pid for guild in guilds]
            zygotes = [zygote, engine.report().fork_server_pid]
            print(json.dumps({"guilds": pids, "zygotes": zygotes}), flush=True)
            await trio.sleep_forever()

trio.run(main)
"""


@contextmanager
def a_host(mode: str = "") -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    folders = [
        os.path.dirname(os.path.dirname(os.path.dirname(__file__))),
        os.path.dirname(os.path.dirname(__file__)),
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, json.dumps(folders), mode],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    pids: dict[str, Any] = {"guilds": [], "zygotes": []}
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(b"{"):
                pids = json.loads(line)
                break
        assert len(pids["guilds"]) == 4
        yield process, pids
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        for pid in pids["guilds"] + pids["zygotes"]:
            if exists(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("mode", ["with its fork server", "without its fork server"])
async def test_a_host_that_is_killed_leaves_nothing_behind(mode: str) -> None:
    with a_host(mode) as (host, pids):
        everybody = pids["guilds"] + pids["zygotes"][-1:]
        assert all(exists(pid) for pid in everybody)
        host.kill()
        await eventually(lambda: not any(exists(pid) for pid in everybody), deadline=5)


async def test_an_interrupt_from_the_terminal_reaches_only_the_host() -> None:
    with a_host() as (host, pids):
        group = os.getpgid(host.pid)
        assert all(os.getpgid(pid) != group for pid in pids["guilds"] + pids["zygotes"])
        os.kill(pids["zygotes"][0], signal.SIGINT)
        await trio.sleep(0.1)
        assert exists(pids["zygotes"][0])


async def test_the_guilds_of_a_fork_server_that_died_go_on_and_new_ones_start() -> None:
    host = RecordingHost()
    async with running_engine() as engine:
        process = await start(engine, "let n = 0; on('A', async () => { n = await op('x', n + 1) })", host)
        await process.dispatch(event())
        first = engine.report().fork_server_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: engine.report().fork_server_restarts == 1)
        await process.dispatch(event())
        assert [call.args for call in host.calls] == [b"1", b"2"]
        await eventually(lambda: engine.report().fork_server_pid != first)
        with trio.fail_after(5):
            while True:
                try:
                    another = await start(engine, "1")
                    break
                except EngineUnavailableError:
                    await trio.sleep(0.02)
        # The end of an orphan is noticed all the same, whoever reaps it.
        process.kill("a test")
        assert (await process.wait()).kind is ExitKind.KILLED
        assert another.exit_report is None


async def test_a_fork_server_that_is_stuck_is_replaced() -> None:
    async with running_engine(boot_timeout_secs=0.3) as engine:
        process = await start(engine, "1")
        stuck = engine.report().fork_server_pid
        assert stuck is not None
        os.kill(stuck, signal.SIGSTOP)
        with pytest.raises(EngineUnavailableError, match="did not start within"):
            await engine.spawn(process.guild_id, RecordingHost())
        await eventually(lambda: not exists(stuck))
        await eventually(lambda: engine.report().fork_server_restarts == 1)
        await process.dispatch(event())


async def test_a_guild_killed_from_outside_counts_as_crashed() -> None:
    async with running_engine() as engine:
        process = await start(engine, "on('A', () => new Promise(() => {}))")
        async with trio.open_nursery() as nursery:

            async def dispatch() -> None:
                with pytest.raises(ProcessDiedError, match="SIGKILL"):
                    await process.dispatch(event(wall_secs=0))

            nursery.start_soon(dispatch)
            await eventually(lambda: process.open_dispatches == 1)
            os.kill(process.pid, signal.SIGKILL)
        report = await process.wait()
        assert (report.kind, report.status) == (ExitKind.CRASHED, -9)


async def test_a_spawn_that_is_cancelled_leaves_no_process() -> None:
    async with running_engine() as engine:
        for delay in (0, 0.0005, 0.001, 0.002, 0.004):
            for _ in range(5):
                with trio.move_on_after(delay):
                    await engine.spawn((await start(engine, "1")).guild_id, RecordingHost())
        for process in engine.processes():
            process.kill("a test")
        await eventually(lambda: not engine.processes())
        zygote = engine.report().fork_server_pid
        await eventually(lambda: not children_of(zygote))


def children_of(pid: int | None) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [child for child in map(int, file.read().split()) if exists(child)]


async def test_an_engine_that_does_not_run_refuses() -> None:
    async with running_engine() as engine:
        process = await start(engine, "1")
    assert not exists(process.pid)
    assert process.exit_report is not None
    with pytest.raises(EngineUnavailableError):
        await engine.spawn(process.guild_id, RecordingHost())
