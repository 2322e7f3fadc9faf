"""Guilds that sleep, with real guild processes: what wakes them, in which order, and what does not.

The rig checks the history of every test for lost, doubled, reordered and wrongly owned events, and for guilds
that were put to sleep over their work.
"""

from __future__ import annotations

import json
import os
import signal

import pytest
import trio

from flora.actors.core import Activate, Hibernate, Injected, MoveOutcome, State, Verdict
from flora.actors.core.commands import Command
from flora.actors.hibernation import Hibernator, Policy
from flora.actors.memory import memory_of
from flora.actors.script import DeployedScript
from flora.actors.status import Condition
from flora.config import RuntimeConfig
from flora.engine.api import Manifest, OpError, ScriptLoadError
from flora.ids import GuildId
from flora.ops.scope import InteractionBook
from tests.actors.rig import COUNTING, GUILD, Rig, rig

SERIAL = RuntimeConfig(max_workers=2, guild_event_concurrency=1)
SECOND = COUNTING.replace("${seen}", "second ${seen}")


def guilds(count: int) -> list[GuildId]:
    return [GuildId(str(500 + number)) for number in range(count)]


def hibernator(it: Rig, *, budget: int = 2**40, after_secs: float = 0.0) -> Hibernator:
    """One whose looks are the test's to order."""
    return Hibernator(it.board, it.engine, Policy(budget=budget, after_secs=after_secs))


def processes(it: Rig) -> list[int]:
    """Of guilds; those of the engine's self-test may still be ending."""
    return [process.pid for process in it.engine.processes() if process.guild_id != "0"]


def condition(it: Rig, guild: GuildId = GUILD) -> Condition:
    status = it.runtime.guild(guild)
    assert status is not None
    return status.condition


def sample(it: Rig, name: str) -> float | None:
    return it.metrics.registry.get_sample_value(name)


async def test_the_next_event_wakes_it_and_those_behind_keep_their_order() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        it.send("before")
        await it.until_lines(1)
        await it.sleep()
        assert condition(it) is Condition.HIBERNATING
        assert processes(it) == []
        assert [it.send(f"m{number}") for number in range(20)] == [Verdict.ACCEPTED] * 20
        lines = await it.until_lines(21)
        assert lines == ["1 before", *(f"{n + 1} m{n}" for n in range(20))], "with a fresh heap"
        assert condition(it) is Condition.RUNNING
        assert sample(it, "flora_guild_hibernated_total") == 1
        assert sample(it, "flora_guild_woken_total") == 1
        assert sample(it, "flora_wake_duration_count") == 1


async def test_an_event_that_nobody_listens_to_does_not_wake_it() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        await it.sleep()
        assert it.send("x", name="TYPING_START") is Verdict.UNLISTENED
        await it.runtime.refresh_secrets(GUILD)
        assert condition(it) is Condition.HIBERNATING
        assert processes(it) == []


async def test_chatter_does_not_wake_a_script_of_prefix_commands() -> None:
    async with rig(SERIAL) as it:
        await it.deploy("createBot({ prefixCommands: [{ name: 'hi', run: () => console.log('hi') }] });")
        await it.sleep()
        assert it.send("good morning") is Verdict.UNLISTENED
        assert condition(it) is Condition.HIBERNATING
        assert it.send("!hi") is Verdict.ACCEPTED
        assert await it.until_lines(1) == ["hi"]


async def test_an_event_from_within_wakes_it() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        await it.sleep()
        event = Injected("cron:1", "__cron:tick", b"{}", trio.current_time())
        assert it.board.inject(GUILD, event) is Verdict.ACCEPTED
        await it.until_state(State.OPEN)
        assert len(processes(it)) == 1


async def test_events_that_come_while_it_falls_asleep_wake_it_again() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        it.on_command(Hibernate, lambda: [it.send(f"m{number}") for number in range(5)])
        assert await it.runtime.put_to_sleep(GUILD)
        assert await it.until_lines(5) == [f"{n + 1} m{n}" for n in range(5)]
        assert sample(it, "flora_guild_hibernated_total") == 1


async def test_a_process_that_dies_while_it_falls_asleep_is_not_missed() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        pid = it.pid()
        it.on_command(Hibernate, lambda: os.kill(pid, signal.SIGKILL))
        assert await it.runtime.put_to_sleep(GUILD)
        await it.until_state(State.ASLEEP)
        it.send("awake")
        assert await it.until_lines(1) == ["1 awake"]


async def test_a_stopped_process_is_ended_all_the_same() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        pid = it.pid()
        it.on_command(Hibernate, lambda: os.kill(pid, signal.SIGSTOP))
        assert await it.runtime.put_to_sleep(GUILD)
        it.send("awake")
        assert await it.until_lines(1) == ["1 awake"]
        assert it.pid() != pid


async def test_a_process_that_dies_while_it_wakes_is_started_again() -> None:
    slow = "await new Promise((resolve) => setTimeout(resolve, 200));" + COUNTING
    async with rig(SERIAL) as it:
        await it.deploy(slow)
        await it.sleep()
        it.send("one")
        it.send("two")
        with trio.fail_after(30):
            while not (waking := processes(it)):
                await trio.sleep(0.001)
        os.kill(waking[0], signal.SIGKILL)
        assert await it.until_lines(2) == ["1 one", "2 two"]


async def test_the_fork_server_may_end_while_a_guild_sleeps() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        await it.sleep()
        fork_server = it.engine.report().fork_server_pid
        os.kill(fork_server, signal.SIGKILL)
        it.send("hello")
        assert await it.until_lines(1) == ["1 hello"]
        assert it.engine.report().fork_server_pid != fork_server


async def test_a_worker_that_is_lost_wakes_nobody() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        source = it.worker()
        await it.sleep()
        it.crash_worker(source)
        with trio.fail_after(30):
            while not it.runtime.workers()[source].alive:
                await trio.sleep(0.005)
        assert condition(it) is Condition.HIBERNATING
        assert processes(it) == []
        it.send("hello")
        assert await it.until_lines(1) == ["1 hello"]


async def test_a_worker_that_is_lost_while_its_guild_falls_asleep_wakes_nobody() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        source = it.worker()
        it.on_command(Hibernate, lambda: it.crash_worker(source))
        assert await it.runtime.put_to_sleep(GUILD)
        await it.until_state(State.ASLEEP)
        it.send("hello")
        assert await it.until_lines(1) == ["1 hello"]


async def test_a_move_of_a_sleeping_guild_changes_where_it_wakes() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        source = it.worker()
        await it.sleep()
        assert await it.runtime.migrate_guild_runtime(GUILD, source) is None
        done = await it.runtime.migrate_guild_runtime(GUILD, 1 - source)
        assert done is not None
        assert (done.outcome, done.source, done.worker) == (MoveOutcome.MOVED, source, 1 - source)
        assert processes(it) == []
        it.send("hello")
        assert await it.until_lines(1) == ["1 hello"]
        assert it.worker() == 1 - source


async def test_a_drained_worker_does_not_get_its_guilds_back_when_they_wake() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        source = it.worker()
        await it.sleep()
        assert await it.runtime.drain_worker(source) == []
        it.send("hello")
        assert await it.until_lines(1) == ["1 hello"]
        assert it.worker() == 1 - source


async def test_a_deploy_replaces_what_sleeps_and_a_failed_one_leaves_it_asleep() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        await it.sleep()
        with pytest.raises(ScriptLoadError, match="not today"):
            await it.deploy('throw new Error("not today");')
        await it.until_state(State.ASLEEP)
        it.send("first")
        assert await it.until_lines(1) == ["1 first"]
        await it.sleep()
        await it.deploy(SECOND)
        assert condition(it) is Condition.RUNNING
        it.send("then")
        assert await it.until_lines(2) == ["1 first", "second 1 then"]


async def test_a_restart_wakes_and_an_undeploy_does_not() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        await it.sleep()
        await it.runtime.restart(GUILD)
        assert condition(it) is Condition.RUNNING
        await it.sleep()
        await it.runtime.undeploy(GUILD)
        assert condition(it) is Condition.STOPPED
        assert it.send("nobody") is Verdict.NOT_DEPLOYED
        assert processes(it) == []


async def test_what_the_script_may_still_answer_outlives_its_sleep() -> None:
    kept: list[object] = []
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING + 'on("interactionCreate", () => {});')
        payload = json.dumps({"id": "7", "token": "once", "guild_id": GUILD, "type": 2}).encode()
        event = Injected("interaction:7", "INTERACTION_CREATE", payload, trio.current_time())
        assert it.board.inject(GUILD, event) is Verdict.ACCEPTED
        await it.sleep()
        carry = it.board._carry

        def look(command: Command) -> None:
            if isinstance(command, Activate):
                kept.append(command.kept)
            carry(command)

        it.board._carry = look  # type: ignore[method-assign]
        it.send("hello")
        await it.until_lines(1)
    (book,) = kept
    assert isinstance(book, InteractionBook)
    book._clock = lambda: 0.0
    book.check("once", "7")
    with pytest.raises(OpError):
        book.check("another")


async def test_a_guild_with_timers_or_work_stays_awake() -> None:
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING + "setInterval(() => {}, 60000);")
        assert not await it.runtime.put_to_sleep(GUILD)
        assert await hibernator(it, after_secs=1e-9).look() == 0, "a timer is no idleness"
        assert await hibernator(it, budget=1).look() == 1, "but memory is more, when it is not due soon"
        await it.until_state(State.ASLEEP)
        await it.deploy(COUNTING + "setTimeout(() => {}, 20000);")
        assert await hibernator(it, budget=1).look() == 0
        await it.deploy(COUNTING)
        it.send("busy 1000")
        assert await hibernator(it, budget=1).look() == 0
        await it.until_lines(1)


async def test_memory_pressure_puts_the_least_recently_used_to_sleep() -> None:
    async with rig(SERIAL) as it:
        for guild in guilds(6):
            await it.deploy(COUNTING, guild)
        for guild in reversed(guilds(6)):
            it.send("hello", guild)
            await it.until_lines(1, guild)
        pids = [it.pid(guild) for guild in guilds(6)]
        used = sum(memory_of(pids, it.engine.report().fork_server_pid))
        assert await hibernator(it, budget=used).look() == 0
        assert await hibernator(it, budget=used * 2 // 3).look() == 3, "0.9 of that are 0.6 of six"
        with trio.fail_after(30):
            while len(processes(it)) > 3:
                await trio.sleep(0.005)
        assert it.runtime.conditions() == {Condition.RUNNING: 3, Condition.HIBERNATING: 3}
        asleep = [guild for guild in guilds(6) if condition(it, guild) is Condition.HIBERNATING]
        assert asleep == guilds(6)[3:], "the last three were used first"
        for guild in guilds(6):
            it.send("again", guild)
        for guild in guilds(6):
            await it.until_lines(2, guild)


async def test_a_host_with_a_short_idle_time_puts_its_guilds_to_sleep_by_itself() -> None:
    async with rig(SERIAL.model_copy(update={"hibernate_after_secs": 0.01})) as it:
        for guild in guilds(3):
            await it.deploy(COUNTING, guild)
        for guild in guilds(3):
            await it.until_state(State.ASLEEP, guild)
        it.send("hello", guilds(3)[1])
        assert await it.until_lines(1, guilds(3)[1]) == ["1 hello"]


async def test_a_deployment_of_an_earlier_run_is_there_without_a_process() -> None:
    declared: list[tuple[GuildId, bytes | None]] = []
    async with rig(SERIAL, commands=lambda guild, json: declared.append((guild, json))) as it:
        manifest = Manifest(frozenset({"MESSAGE_CREATE"}), b"[]")
        assert it.runtime.restore(DeployedScript(GUILD, COUNTING, ""), manifest)
        assert not it.runtime.restore(DeployedScript(GUILD, SECOND, ""), manifest)
        assert declared == [(GUILD, b"[]")]
        assert dict(it.board.core.listened()) == {GUILD: manifest.listens}
        assert it.runtime.runs(GUILD)
        assert it.send("x", name="TYPING_START") is Verdict.UNLISTENED
        assert processes(it) == []
        it.send("hello")
        assert await it.until_lines(1) == ["1 hello"]


async def test_many_that_wake_at_once_all_do() -> None:
    async with rig(SERIAL) as it:
        manifest = Manifest(frozenset({"MESSAGE_CREATE"}))
        for guild in guilds(60):
            it.runtime.restore(DeployedScript(guild, COUNTING, ""), manifest)
        for guild in guilds(60):
            it.send("one", guild)
            it.send("two", guild)
        for guild in guilds(60):
            assert await it.until_lines(2, guild, secs=60) == ["1 one", "2 two"]


async def test_a_sleep_in_the_middle_of_everything_loses_nothing() -> None:
    """Events without a pause, and somebody who puts the guild to sleep whenever it can be, and moves it."""
    async with rig(SERIAL) as it:
        await it.deploy(COUNTING)
        async with trio.open_nursery() as nursery:

            async def drowse() -> None:
                while True:
                    await it.runtime.put_to_sleep(GUILD)
                    await trio.sleep(0.002)

            async def wander() -> None:
                while True:
                    for target in range(2):
                        await it.runtime.migrate_guild_runtime(GUILD, target)
                        await trio.sleep(0.03)

            nursery.start_soon(drowse)
            nursery.start_soon(wander)
            for number in range(60):
                it.send(f"m{number}")
                if number % 3 == 0:
                    await it.until_lines(number + 1)
            lines = await it.until_lines(60)
            nursery.cancel_scope.cancel()
        assert [line.split()[1] for line in lines] == [f"m{number}" for number in range(60)]
        assert (sample(it, "flora_guild_woken_total") or 0) > 3
