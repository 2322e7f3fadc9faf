"""Guilds on workers, with real guild processes: order, moves, crashes, and what survives them.

The rig checks the history of every test for lost, doubled, reordered and wrongly owned events.
"""

from __future__ import annotations

import os
import signal

import pytest
import trio
import trio.testing

from flora.actors.core import GuildNotDeployedError, MoveOutcome, WorkerUnavailableError
from flora.actors.core.migration import Deadlines
from flora.config import RuntimeConfig
from flora.engine.api import ScriptLoadError
from flora.ids import GuildId
from tests.actors.rig import COUNTING, GUILD, rig

SERIAL = RuntimeConfig(max_workers=2, guild_event_concurrency=1)


async def test_events_are_handled_in_order() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        for number in range(200):
            it.send(f"m{number}")
        assert await it.until_lines(200) == [f"{number + 1} m{number}" for number in range(200)]


async def test_an_unlistened_event_never_reaches_the_guild() -> None:
    async with rig() as it:
        await it.deploy(COUNTING)
        it.send("x", name="TYPING_START")
        it.send("seen")
        assert await it.until_lines(1) == ["1 seen"]
        assert not [record for record in it.history if record.get("name") == "TYPING_START"]


async def test_a_warm_guild_moves_with_its_heap_its_timers_and_its_place() -> None:
    script = COUNTING + "setTimeout(() => console.log(`timer ${seen}`), 300);"
    async with rig(SERIAL) as it:
        await it.deploy(script)
        source, pid = it.worker(), it.pid()
        for number in range(50):
            it.send(f"m{number}")
        done = await it.runtime.migrate_guild_runtime(GUILD, 1 - source)
        for number in range(50, 100):
            it.send(f"m{number}")
        assert done is not None
        assert done.outcome is MoveOutcome.MOVED
        assert (it.worker(), it.pid()) == (1 - source, pid), "the same process, elsewhere"
        lines = await it.until_lines(101)
        assert [line for line in lines if "timer" not in line] == [f"{n + 1} m{n}" for n in range(100)]


async def test_a_move_to_the_present_owner_is_nothing_and_a_wrong_one_is_refused() -> None:
    async with rig() as it:
        with pytest.raises(GuildNotDeployedError):
            await it.runtime.migrate_guild_runtime(GUILD, 0)
        await it.deploy(COUNTING)
        assert await it.runtime.migrate_guild_runtime(GUILD, it.worker()) is None
        with pytest.raises(WorkerUnavailableError):
            await it.runtime.migrate_guild_runtime(GUILD, 7)


async def test_a_hundred_moves_under_load_lose_and_reorder_nothing() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        sent = 0

        async def talk() -> None:
            nonlocal sent
            while True:
                it.send(f"m{sent} {sent % 3}")
                sent += 1
                await trio.sleep(0.002)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk)
            for _ in range(100):
                done = await it.runtime.migrate_guild_runtime(GUILD, 1 - it.worker())
                assert done is not None
                assert done.outcome is MoveOutcome.MOVED
            nursery.cancel_scope.cancel()
        lines = await it.until_lines(sent)
        assert lines == [f"{n + 1} m{n} {n % 3}" for n in range(sent)]
        assert it.metrics.registry.get_sample_value("flora_migration_success_total") == 100


async def test_a_hung_handler_does_not_stop_a_move() -> None:
    deadlines = Deadlines(drain=0.2, cancel=0.3)
    async with rig(SERIAL, deadlines=deadlines) as it:
        await it.deploy(COUNTING)
        it.send("hangs 60000")
        it.send("next")
        await trio.sleep(0.1)
        with trio.fail_after(deadlines.total):
            done = await it.runtime.migrate_guild_runtime(GUILD, 1 - it.worker())
        assert done is not None
        assert done.outcome in (MoveOutcome.MOVED, MoveOutcome.FAILED_OVER)
        assert (await it.until_lines(1))[0].endswith("next"), "the one behind it is handled"


async def test_a_stopped_process_is_replaced_during_a_move() -> None:
    """SIGSTOP: it neither yields nor dies by itself."""
    deadlines = Deadlines(drain=0.2, cancel=0.2, release=0.2, adopt=0.2, kill=1.0)
    async with rig(SERIAL, deadlines=deadlines) as it:
        await it.deploy(COUNTING)
        pid = it.pid()
        os.kill(pid, signal.SIGSTOP)
        it.send("one")
        it.send("two")
        await trio.sleep(0.05)
        with trio.fail_after(deadlines.total):
            await it.runtime.migrate_guild_runtime(GUILD, 1 - it.worker())
        assert [line.split()[1] for line in await it.until_lines(2)] == ["one", "two"]
        assert it.pid() != pid


async def test_a_killed_process_is_started_again_and_its_events_are_replayed() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        for number in range(20):
            it.send(f"m{number} 5")
        await trio.sleep(0.02)
        os.kill(it.pid(), signal.SIGKILL)
        with trio.fail_after(20):
            while not it.lines() or not it.lines()[-1].endswith("m19 5"):
                await trio.sleep(0.01)
        handled = [line.split()[1] for line in it.lines()]
        assert list(dict.fromkeys(handled)) == [f"m{number}" for number in range(20)], "all, in order"
        assert len(handled) <= 21, "at most the one in flight came twice"
        assert it.metrics.registry.get_sample_value("flora_isolate_restarted_total") == 1


async def test_the_end_of_the_fork_server_touches_no_running_guild() -> None:
    async with rig() as it:
        await it.deploy(COUNTING)
        pid = it.pid()
        server = it.engine._server
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        it.send("still here")
        assert await it.until_lines(1) == ["1 still here"]
        assert it.pid() == pid
        other = GuildId("999000000000000000")
        with trio.fail_after(20):
            while True:
                try:
                    await it.deploy(COUNTING, other)
                except Exception:  # noqa: BLE001  until it is back
                    await trio.sleep(0.1)
                else:
                    break
        it.send("new", other)
        assert await it.until_lines(1, other) == ["1 new"]


async def test_a_crashed_worker_loses_its_guilds_to_another() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        source = it.worker()
        it.send("before")
        await it.until_lines(1)
        it.board._workers[source].tell("nonsense")  # type: ignore[arg-type]
        it.send("after")
        lines = await it.until_lines(2)
        assert lines[1] == "1 after", "started again from its deployment"
        assert it.worker() == 1 - source


async def test_a_script_that_does_not_load_leaves_the_running_one() -> None:
    async with rig() as it:
        await it.deploy(COUNTING)
        pid = it.pid()
        with pytest.raises(ScriptLoadError, match="not today"):
            await it.deploy('throw new Error("not today");')
        it.send("still")
        assert await it.until_lines(1) == ["1 still"]
        assert it.pid() == pid


async def test_a_deploy_takes_its_place_among_the_events() -> None:
    second = COUNTING.replace("${seen}", "second ${seen}")
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        async with trio.open_nursery() as nursery:
            for number in range(10):
                it.send(f"old{number} 5")
            nursery.start_soon(it.deploy, second)
            await trio.testing.wait_all_tasks_blocked()
            for number in range(10):
                it.send(f"new{number}")
        lines = await it.until_lines(20)
        assert lines[:10] == [f"{n + 1} old{n} 5" for n in range(10)]
        assert lines[10:] == [f"second {n + 1} new{n}" for n in range(10)]


async def test_a_deploy_during_a_move_takes_its_place() -> None:
    second = COUNTING.replace("${seen}", "second ${seen}")
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        it.send("slow 100")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.runtime.migrate_guild_runtime, GUILD, 1 - it.worker())
            await trio.sleep(0.01)
            nursery.start_soon(it.deploy, second)
            await trio.sleep(0.01)
            it.send("last")
        assert await it.until_lines(2) == ["1 slow 100", "second 1 last"]


async def test_undeploy_ends_the_process_and_events_are_not_kept() -> None:
    async with rig() as it:
        await it.deploy(COUNTING)
        await it.runtime.undeploy(GUILD)
        await it.runtime.undeploy(GUILD)
        it.send("nobody")
        with trio.fail_after(5):
            while it.engine.processes():
                await trio.sleep(0.01)
        assert it.lines() == []


async def test_an_orderly_stop_drains_the_mailbox() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        for number in range(30):
            it.send(f"m{number} 2")
        await it.system.stop()
        assert len(it.lines()) == 30
