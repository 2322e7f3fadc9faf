"""What may happen to a guild's process happens, in every phase of a move; with real processes.

The rig checks the history of every test for lost, doubled, reordered and wrongly owned events, and that no
process is left over.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
import trio
import trio.lowlevel

from flora.actors.core import (
    Adopt,
    Cancel,
    Deadlines,
    GuildNotDeployedError,
    Injected,
    MigrationBusyError,
    MoveDone,
    MoveOutcome,
    Release,
    RouterClosedError,
    Verdict,
)
from flora.actors.status import Condition, GuildStatus, Relocation
from flora.config import RuntimeConfig
from flora.engine.api import ProcessDiedError, ScriptLoadError
from flora.ids import GuildId
from tests.actors.rig import COUNTING, GUILD, Rig, rig

SERIAL = RuntimeConfig(max_workers=2, guild_event_concurrency=1, dispatch_timeout_secs=1.0)
MANY = RuntimeConfig(max_workers=2, guild_event_concurrency=8, dispatch_timeout_secs=1.0)
QUICK = Deadlines(drain=0.2, cancel=0.2, release=0.5, adopt=0.5, kill=1.0)
POISON = COUNTING + 'on("messageCreate", (ctx) => { if (ctx.msg.content === "poison") %s });'
BIG = "x" * 300_000  # more than a socket between processes holds


def kill(it: Rig) -> None:
    os.kill(it.pid(), signal.SIGKILL)


def stop(it: Rig) -> None:
    os.kill(it.pid(), signal.SIGSTOP)


def fill(it: Rig) -> None:
    """It reads no more, and there is more for it than its socket takes."""
    stop(it)
    for number in range(4):
        it.send(f"big{number} 0 {BIG}")


async def until(it: Rig, wanted: Callable[[GuildStatus], bool], secs: float = 20.0) -> GuildStatus:
    """The guild's status, once it is as wanted."""
    with trio.move_on_after(secs):
        while (status := it.runtime.guild(GUILD)) is None or not wanted(status):
            await trio.sleep(0.005)
        return status
    raise AssertionError(it.runtime.guild(GUILD))


async def until_it_answers(it: Rig) -> None:
    """What a stopped process is given runs into its limit and counts as handled, until it is replaced."""
    before = len(it.lines())
    with trio.fail_after(30):
        while len(it.lines()) == before:
            it.send("probe")
            await trio.sleep(0.3)


STRIKES = [kill, stop, fill]


@pytest.mark.parametrize("strike", STRIKES, ids=lambda strike: strike.__name__)
@pytest.mark.parametrize("phase", ["before", "drain", "cancel", "release", "adopt", "after"])
async def test_a_process_fails_in_any_phase_of_a_move(phase: str, strike: Callable[[Rig], None]) -> None:
    async with rig(MANY, deadlines=QUICK) as it:
        await it.deploy(COUNTING)
        source = it.worker()
        it.send("first 60000" if phase == "cancel" else "first 50")
        it.send("second")
        await trio.sleep(0.02)
        match phase:
            case "before":
                strike(it)
            case "cancel":
                it.on_command(Cancel, lambda: strike(it))
            case "release":
                it.on_command(Release, lambda: strike(it))
            case "adopt":
                it.on_command(Adopt, lambda: strike(it))
            case "after":
                it.on_command(MoveDone, lambda: strike(it))
        with trio.fail_after(QUICK.total):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(it.runtime.migrate_guild_runtime, GUILD, 1 - source)
                await trio.lowlevel.checkpoint()
                it.send("during")
                if phase == "drain":
                    strike(it)
        await until_it_answers(it)
        if strike is kill:
            handled = [line.split(" ", 1)[1] for line in it.lines()]
            wanted = ["second", "during"]
            assert [line for line in dict.fromkeys(handled) if line in wanted] == wanted
        status = it.runtime.guild(GUILD)
        assert status is not None
        assert status.condition is Condition.RUNNING


async def test_a_poison_event_becomes_a_dead_letter_and_is_replayed() -> None:
    """It kills its process each time, and blocks nobody behind it for longer than that."""
    script = POISON % "for (const keep = []; ; ) keep.push(new Array(1e6).fill(1.5));"
    config = RuntimeConfig(max_workers=2, guild_event_concurrency=4, heap_mb=32, cpu_ms=5000)
    async with rig(config) as it:
        await it.deploy(script)
        it.send("before")
        await it.until_line("before")
        it.send("poison")
        it.send("behind")
        await it.until_line("behind", secs=40)  # perhaps in the process that poison is about to end
        with trio.fail_after(40):
            while not it.dead:
                await trio.sleep(0.005)
        [letter] = it.dead
        assert (letter.event.name, letter.attempts) == ("MESSAGE_CREATE", 3)
        assert b"poison" in letter.event.payload
        status = it.runtime.guild(GUILD)
        assert status is not None
        assert status.last_error is not None

        await it.deploy(COUNTING)  # the author has mended it
        event = Injected(str(letter.event.id), letter.event.name, letter.event.payload, trio.current_time())
        assert it.board.inject(GUILD, event) is Verdict.ACCEPTED
        await it.until_line("poison")


async def test_events_behind_each_other_reach_the_process_in_order() -> None:
    """Also when several may run at once: what starts first is first in the script."""
    async with rig(MANY) as it:
        await it.deploy('let n = 0; on("messageCreate", (ctx) => console.log(`${ctx.msg.content}`));')
        for batch in range(30):
            for number in range(8):
                it.send(f"{batch * 8 + number}")
            await it.until_lines((batch + 1) * 8)
        assert it.lines() == [str(number) for number in range(240)]


async def test_callers_join_a_move_and_another_target_is_busy() -> None:
    config = RuntimeConfig(max_workers=3, guild_event_concurrency=1)
    async with rig(config) as it:
        await it.deploy(COUNTING)
        source = it.worker()
        target, other = [worker for worker in range(3) if worker != source]
        it.send("slow 200")
        await trio.sleep(0.05)
        done: list[MoveDone | None] = []

        async def move() -> None:
            done.append(await it.runtime.migrate_guild_runtime(GUILD, target))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(move)
            await trio.sleep(0.02)
            with pytest.raises(MigrationBusyError):
                await it.runtime.migrate_guild_runtime(GUILD, other)
            status = it.runtime.guild(GUILD)
            assert status is not None
            assert (status.condition, status.moving_to) == (Condition.MOVING, target)
        assert len(set(done)) == 1
        assert done[0] is not None
        assert done[0].outcome is MoveOutcome.MOVED


@pytest.mark.parametrize("command", [Cancel, Release, Adopt])
async def test_a_stop_during_a_move_leaves_nothing_behind(command: type[object]) -> None:
    async with rig(SERIAL, deadlines=QUICK, drain_secs=0.3) as it:
        await it.deploy(COUNTING)
        it.send("hang 60000" if command is Cancel else "quick")
        it.send("waits")
        await trio.sleep(0.05 if command is Cancel else 0)
        reached = trio.Event()
        it.on_command(command, reached.set)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.runtime.migrate_guild_runtime, GUILD, 1 - it.worker())
            with trio.fail_after(15):
                await reached.wait()
                await it.system.stop()
        with pytest.raises(RouterClosedError):
            await it.runtime.migrate_guild_runtime(GUILD, 0)


async def test_a_late_candidate_takes_nothing_from_the_owner() -> None:
    """It was asked, said nothing in time, and another one has the process: then it must not attach."""
    deadlines = Deadlines(adopt=0.2)
    async with rig(SERIAL, deadlines=deadlines) as it:
        await it.deploy(COUNTING)
        source, pid = it.worker(), it.pid()
        board: object = it.board
        held: list[object] = []
        carry = it.board._carry

        def hold(command: object) -> None:
            if isinstance(command, Adopt) and not held:
                held.append(command)
            else:
                carry(command)  # type: ignore[arg-type]

        board._carry = hold  # type: ignore[attr-defined]
        done = await it.runtime.migrate_guild_runtime(GUILD, 1 - source)
        assert done is not None
        assert (done.outcome, it.worker(), it.pid()) == (MoveOutcome.ROLLED_BACK, source, pid)
        carry(held[0])  # type: ignore[arg-type]
        await trio.sleep(0.1)
        it.send("still here")
        assert await it.until_lines(1) == ["1 still here"]
        assert it.engine.processes()[0]._host.epoch == it.runtime.guild(GUILD).epoch  # type: ignore[union-attr]


async def test_a_process_that_nobody_took_over_does_not_go_on() -> None:
    deadlines = Deadlines(adopt=0.1, kill=0.5)
    async with rig(SERIAL, deadlines=deadlines) as it:
        await it.deploy(COUNTING)
        pid = it.pid()
        carry = it.board._carry
        board: object = it.board
        board._carry = lambda command: isinstance(command, Adopt) or carry(command)  # type: ignore[attr-defined]
        done = await it.runtime.migrate_guild_runtime(GUILD, 1 - it.worker())
        assert done is not None
        assert done.outcome is MoveOutcome.FAILED_OVER
        it.send("elsewhere")
        await it.until_line("elsewhere")
        assert it.pid() != pid
        with trio.fail_after(5):
            while len(it.engine.processes()) > 1:
                await trio.sleep(0.01)


async def test_a_drained_worker_is_empty_until_it_is_reopened() -> None:
    guilds = [GuildId(str(100 + number)) for number in range(6)]
    async with rig(SERIAL) as it:
        for guild in guilds:
            await it.deploy(COUNTING, guild)
        pids = {guild: it.pid(guild) for guild in guilds}
        done = await it.runtime.drain_worker(0)
        assert done
        assert {item.outcome for item in done} == {Relocation.MOVED}
        assert {it.worker(guild) for guild in guilds} == {1}
        assert {guild: it.pid(guild) for guild in guilds} == pids
        first, second = it.runtime.workers()
        assert (first.drained, first.guilds, second.guilds) == (True, 0, 6)
        await it.deploy(COUNTING, GuildId("999"))
        assert it.worker(GuildId("999")) == 1
        it.runtime.reopen_worker(0)
        assert not it.runtime.workers()[0].drained
        await it.runtime.migrate_guild_runtime(guilds[0], 0)
        it.send("hello", guilds[0])
        assert await it.until_lines(1, guilds[0]) == ["1 hello"]


async def test_a_restart_is_a_fresh_heap_and_keeps_what_waits() -> None:
    async with rig(SERIAL) as it:
        with pytest.raises(GuildNotDeployedError):
            await it.runtime.restart(GUILD)
        await it.deploy(COUNTING)
        it.send("one 100")
        await trio.sleep(0.02)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.runtime.restart, GUILD)
            await trio.sleep(0.01)
            it.send("two")
        assert await it.until_lines(2) == ["1 one 100", "1 two"]


async def test_a_guild_that_keeps_dying_says_so_and_restarts_on_demand() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        for _ in range(4):  # the next pause is about 8 seconds
            with trio.fail_after(20):
                while (
                    status := it.runtime.guild(GUILD)
                ) is None or status.condition is not Condition.RUNNING:
                    await trio.sleep(0.005)
            kill(it)
            with trio.fail_after(5):
                while it.runtime.guild(GUILD).condition is Condition.RUNNING:  # type: ignore[union-attr]
                    await trio.sleep(0.005)
        with trio.fail_after(5):
            while (status := it.runtime.guild(GUILD)) is None or status.resumes_in is None:
                await trio.sleep(0.005)
        assert status.condition is Condition.RESTARTING
        assert status.resumes_in > 1
        assert status.last_error == "it died of SIGKILL"
        with trio.fail_after(3):
            await it.runtime.restart(GUILD)
        it.send("again")
        assert await it.until_lines(1) == ["1 again"]


async def test_a_process_that_is_killed_while_it_loads_refuses_the_deploy() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        async with trio.open_nursery() as nursery:

            async def deploy() -> None:
                with pytest.raises((ProcessDiedError, ScriptLoadError)):
                    await it.deploy("await new Promise((resolve) => setTimeout(resolve, 5000));")

            old = it.pid()
            nursery.start_soon(deploy)
            with trio.fail_after(5):
                while not (new := [p.pid for p in it.engine.processes() if p.pid != old]):
                    await trio.sleep(0.005)
            await trio.sleep(0.1)
            os.kill(new[0], signal.SIGKILL)
        it.send("still here")
        assert await it.until_lines(1) == ["1 still here"]
        assert it.pid() == old
