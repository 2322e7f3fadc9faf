"""Cron jobs and tasks with real guild processes and a real database. The clock is the test's, so nobody waits
for an hour; the rig checks the history of every test for lost and doubled events.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import trio

from flora.actors.core import GuildNotDeployedError
from flora.actors.schedule.core import Retry
from flora.actors.scheduler import CronNotFoundError, CronRunningError, Scheduler
from flora.actors.schedules import Schedules
from flora.actors.status import Condition
from flora.actors.switchboard import Switchboard
from flora.config import RuntimeConfig
from flora.engine.api import ScriptLoadError
from flora.storage.aio import open_aio
from flora.storage.postgres import Database
from flora.storage.schedules import Run, RunKind, ScheduleStore
from flora.storage.tasks import TaskStore
from tests.actors.rig import GUILD, Rig, rig
from tests.storage.conftest import POSTGRES_URL, execute, need_server

HOUR = 3600.0
TICK = """
cron("tick", "@hourly", async (ctx) => {
    console.log(`${ctx.name} ${ctx.scheduledAt} ${ctx.msg.name} ${ctx.msg.scheduledAt} ${ctx.trigger}`);
}, OPTIONS);
"""
DO_TASKS = """
on("task", (ctx) => {
    console.log(`${ctx.key} ${ctx.data.text} ${ctx.attempt} ${ctx.event.id === ctx.event.id}`);
    if (ctx.data.fails >= ctx.attempt) throw new TypeError("not yet");
});
on("messageCreate", async (ctx) => {
    const result = await eval(ctx.msg.content);
    console.log(`=> ${JSON.stringify(result)}`);
});
"""


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    server = need_server(POSTGRES_URL, 5432)
    schema = f"test_scheduler_{uuid4().hex[:12]}"
    execute(server, f"create schema {schema}")
    yield f"{server}?options=-csearch_path%3D{schema}"
    execute(server, f"drop schema {schema} cascade")


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async with open_aio(), Database.open(database_url, max_connections=4) as database:
        await database.migrate()
        yield database
        await ScheduleStore(database).forget(GUILD)


@dataclass
class Scheduled:
    """A rig with a scheduler, whose clock can be set."""

    it: Rig
    scheduler: Scheduler
    schedules: Schedules
    store: ScheduleStore
    tasks: TaskStore
    clock: Clock

    def pass_hours(self, count: int = 1, *, late: float = 0.1) -> None:
        """To `late` seconds after the full hour."""
        self.clock.pass_hours(count, late=late)
        self.scheduler._note()

    def has_looked(self) -> bool:
        """Whether nothing is due any more."""
        return all(at is None or at > self.clock() for _, at, _ in self.scheduler.jobs(GUILD))

    async def runs(self, count: int, kind: RunKind = RunKind.CRON) -> list[Run]:
        """The history once it has so many runs, oldest first."""
        with trio.fail_after(30):
            while True:
                found = (await self.store.history(GUILD, kind, limit=100)).runs
                if len(found) >= count:
                    return list(reversed(found))
                await trio.sleep(0.02)

    async def say(self, expression: str) -> Any:
        """What the script comes to."""
        before = len(self.answers())
        self.it.send(expression)
        await until(lambda: len(self.answers()) > before)
        return json.loads(self.answers()[before])

    def answers(self) -> list[str]:
        return [line[3:] for line in self.it.lines() if line.startswith("=> ")]


@dataclass
class Clock:
    """Runs with the machine's, `ahead` of it, never behind. It starts at half past an hour."""

    ahead: float = field(default_factory=lambda: (HOUR / 2 - time.time()) % HOUR)

    def __call__(self) -> float:
        return time.time() + self.ahead

    def pass_hours(self, count: int, *, late: float = 0.1) -> None:
        self.ahead += count * HOUR - self() % HOUR + late


@asynccontextmanager
async def scheduled(
    db: Database, clock: Clock | None = None, config: RuntimeConfig | None = None
) -> AsyncIterator[Scheduled]:
    clock = clock or Clock()
    store, tasks = ScheduleStore(db), TaskStore(db)
    made: list[Scheduler] = []

    def make(board: Switchboard) -> tuple[Scheduler, TaskStore]:
        made.append(Scheduler(board, store, tasks, Retry(attempts=3, first=0.02), clock=clock))
        return made[0], tasks

    async with rig(config, schedules=make) as it:
        [scheduler] = made
        yield Scheduled(it, scheduler, Schedules(scheduler, store, tasks), store, tasks, clock)


def tick(**options: object) -> str:
    return TICK.replace("OPTIONS", json.dumps(options))


def hour(clock: Clock, ago: int = 0) -> str:
    at = datetime.fromtimestamp((clock() // HOUR - ago) * HOUR, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def until(look: Callable[[], object]) -> None:
    with trio.fail_after(30):
        while not look():
            await trio.sleep(0.01)


# ---------------------------------------------------------------------- cron


async def test_a_job_runs_and_knows_its_name_and_time(db: Database) -> None:
    async with scheduled(db) as it:
        await it.it.deploy(tick(timeZone="Europe/Berlin"))
        [status] = await it.schedules.jobs(GUILD)
        assert (status.job.name, status.job.time_zone, status.running) == ("tick", "Europe/Berlin", 0)
        assert status.next_at is not None
        assert 0 < status.next_at.timestamp() - it.clock() <= HOUR
        it.pass_hours()
        [line] = await it.it.until_lines(1)
        assert line == f"tick {hour(it.clock)} tick {hour(it.clock)} schedule"
        [run] = await it.runs(1)
        assert (run.outcome, run.error, run.name) == ("done", None, "tick")
        [status] = await it.schedules.jobs(GUILD)
        assert status.last_run == run


async def test_how_runs_end_is_told(db: Database) -> None:
    script = """
    cron("throws", "@hourly", () => { throw new TypeError("no"); });
    cron("hangs", "@hourly", () => new Promise(() => {}));
    """
    async with scheduled(db, config=RuntimeConfig(max_workers=1, cron_timeout_secs=0.2)) as it:
        await it.it.deploy(script)
        it.pass_hours()
        ends = {run.name: (run.outcome.value, run.error or "") for run in await it.runs(2)}
        assert ends["throws"][0] == "failed"
        assert ends["throws"][1].startswith("TypeError: no")
        assert ends["hangs"][0] == "timeout"


async def test_a_script_with_a_job_that_is_wrong_is_refused_and_changes_nothing(db: Database) -> None:
    async with scheduled(db) as it:
        await it.it.deploy(tick())
        for wrong, says in [
            (
                'cron("x", "61 * * * *", () => {});',
                "invalid cron expression '61 \\* \\* \\* \\*': bad minute",
            ),
            ('cron("x", "@daily", () => {}, { timeZone: "Mars" });', "unknown time zone"),
            ('cron("x", "0 0 0 1 1 * 2020", () => {});', "no future occurrences"),
            ('cron("x", "@daily", () => {}); cron("x", "@daily", () => {});', "already exists"),
            ('for (let i = 0; i < 33; i++) cron(`${i}`, "@daily", () => {});', "max cron jobs exceeded"),
            ('cron("", "@daily", () => {});', "cron name must be a non-empty string"),
            ('cron("x", "", () => {});', "cron expression must be a non-empty string"),
            ('cron("x", "@daily");', "cron handler must be a function"),
            ('cron("x", "@daily", () => {}, { catchUp: "some" });', "catchUp must be"),
        ]:
            with pytest.raises(ScriptLoadError, match=says):
                await it.it.deploy(wrong)
        assert [status.job.name for status in await it.schedules.jobs(GUILD)] == ["tick"]
        it.pass_hours()
        await it.it.until_lines(1)


async def test_a_redeploy_changes_the_jobs(db: Database) -> None:
    async with scheduled(db) as it:
        await it.it.deploy(tick())
        await it.it.deploy('cron("another", "@hourly", (ctx) => console.log(ctx.name));')
        it.pass_hours()
        assert await it.it.until_lines(1) == ["another"]
        await it.it.deploy("on('ready', () => {});")
        assert await it.schedules.jobs(GUILD) == []


async def test_a_job_declared_later_runs_too(db: Database) -> None:
    script = """
    on("messageCreate", (ctx) => {
        cron(ctx.msg.content, "@hourly", (run) => console.log(run.name));
        console.log("declared");
    });
    """
    async with scheduled(db) as it:
        await it.it.deploy(script)
        it.it.send("late")
        await it.it.until_lines(1)
        await until(lambda: it.scheduler.jobs(GUILD))
        it.pass_hours()
        await it.it.until_line("late")


async def test_runs_do_not_overlap_with_skip_if_running(db: Database) -> None:
    script = """
    let running = 0;
    cron("slow", "* * * * * *", async () => {
        running += 1;
        console.log(`at once ${running}`);
        await new Promise((resolve) => setTimeout(resolve, 1500));
        running -= 1;
    }, { skipIfRunning: true });
    """
    async with scheduled(db) as it:
        await it.it.deploy(script)
        runs = await it.runs(3)
        assert {run.outcome.value for run in runs} == {"done", "skipped"}
        assert set(it.it.lines()) == {"at once 1"}


async def test_a_job_is_run_by_hand(db: Database) -> None:
    async with scheduled(db) as it:
        with pytest.raises(CronNotFoundError):
            it.scheduler.run_now(GUILD, "tick")
        await it.it.deploy(tick(skipIfRunning=True))
        run = it.scheduler.run_now(GUILD, "tick")
        with pytest.raises(CronRunningError):
            it.scheduler.run_now(GUILD, "tick")
        [line] = await it.it.until_lines(1)
        assert line.endswith("manual")
        [ended] = await it.runs(1)
        assert (ended.event_id, ended.trigger.value) == (run.event_id, "manual")
        await it.it.runtime.stop(GUILD)
        with pytest.raises(GuildNotDeployedError):
            it.scheduler.run_now(GUILD, "tick")


async def test_a_move_neither_loses_nor_doubles_a_run(db: Database) -> None:
    async with scheduled(db) as it:
        await it.it.deploy(tick())
        for number in range(6):
            it.pass_hours()
            await it.it.runtime.migrate_guild_runtime(GUILD, 1 - it.it.worker())
            await it.it.until_lines(number + 1)
        times = [run.scheduled_at for run in await it.runs(6)]
        assert times == [times[0] + timedelta(hours=number) for number in range(6)]


async def test_a_run_wakes_a_guild_that_sleeps(db: Database) -> None:
    async with scheduled(db) as it:
        await it.it.deploy(tick())
        await it.it.sleep()
        [status] = await it.schedules.jobs(GUILD)
        assert status.next_at is not None
        it.pass_hours()
        await it.it.until_lines(1)
        guild = it.it.runtime.guild(GUILD)
        assert guild is not None
        assert guild.condition is Condition.RUNNING


async def test_a_run_whose_process_dies_runs_again(db: Database) -> None:
    script = """
    cron("job", "@hourly", async (ctx) => {
        console.log(`attempt ${ctx.event.attempt}`);
        if (ctx.event.attempt === 1) await new Promise(() => {});
    });
    """
    async with scheduled(db) as it:
        await it.it.deploy(script)
        it.pass_hours()
        await it.it.until_lines(1)
        os.kill(it.it.pid(), signal.SIGKILL)
        assert await it.it.until_lines(2) == ["attempt 1", "attempt 2"]
        assert [run.outcome.value for run in await it.runs(1)] == ["done"]


async def test_a_stopped_guild_runs_nothing_and_catches_up_as_it_said(db: Database) -> None:
    for catch_up, expected in [("none", 0), ("latest", 1), ("all", 3)]:
        async with scheduled(db) as it:
            script = tick(catchUp=catch_up)
            await it.it.deploy(script)
            await it.it.runtime.stop(GUILD)
            it.pass_hours(3, late=300.0)
            await until(it.has_looked)
            assert it.it.lines() == []
            await it.it.deploy(script)
            lines = await it.it.until_lines(expected)
            assert [line.split()[-1] for line in lines] == ["catchUp"] * expected
            it.pass_hours()
            await it.it.until_lines(expected + 1)
            await it.runs(expected + 1)
        await ScheduleStore(db).forget(GUILD)


@pytest.mark.parametrize(("catch_up", "expected"), [("none", 0), ("latest", 1), ("all", 2)])
async def test_definitions_and_last_runs_outlive_flora(db: Database, catch_up: str, expected: int) -> None:
    clock = Clock()
    script = tick(catchUp=catch_up)
    async with scheduled(db, clock) as it:
        await it.it.deploy(script)
        it.pass_hours()
        await it.it.until_lines(1)
        await it.runs(1)
    clock.pass_hours(2)
    async with scheduled(db, clock) as it:
        [status] = await it.schedules.jobs(GUILD)  # before the script has been started
        assert status.last_run is not None
        assert status.next_at is None
        await it.it.deploy(script)
        lines = await it.it.until_lines(expected)
        assert [line.split()[1] for line in lines] == [hour(clock, 1), hour(clock)][2 - expected :]
        assert len(await it.runs(1 + expected)) == 1 + expected


# ---------------------------------------------------------------------- tasks


async def test_a_task_is_scheduled_listed_cancelled_and_done(db: Database) -> None:
    async with scheduled(db) as it:
        await it.it.deploy(DO_TASKS)
        task = await it.say("tasks.schedule({ key: 'a', in: '3h', data: { text: 'hi', some_key: 1 } })")
        assert (task["key"], task["data"]) == ("a", {"text": "hi", "some_key": 1})
        await it.say(
            "tasks.schedule({ key: 'b', at: new Date(Date.now() + 4 * 3600e3), data: { text: 'b' } })"
        )
        assert [task["key"] for task in await it.say("tasks.list()")] == ["a", "b"]
        assert await it.say("tasks.cancel('b')") is True
        assert await it.say("tasks.cancel('b')") is False
        await it.say("tasks.schedule({ key: 'now', in: 0, data: { text: 'soon' } })")
        await it.it.until_line("now soon 1 true")
        assert [task["key"] for task in await it.say("tasks.list({ prefix: 'a' })")] == ["a"]
        await it.schedules.run_task(GUILD, "a")
        await it.it.until_line("a hi 1 true")
        runs = await it.runs(2, RunKind.TASK)
        assert [(run.name, run.outcome.value, run.trigger.value) for run in runs] == [
            ("now", "done", "schedule"),
            ("a", "done", "manual"),
        ]
        assert await it.schedules.tasks(GUILD) == []


async def test_what_is_no_task_is_refused(db: Database) -> None:
    async with scheduled(db) as it:
        await it.it.deploy(DO_TASKS)
        for task, says in [
            ("{ in: '1h', at: 0 }", "one of them"),
            ("{ key: 'a' }", "one of them"),
            ("{ in: 'soon' }", "not a duration"),
            ("{ in: -1 }", "from 0 seconds"),
            ("{ at: 'soon' }", "not a time"),
            ("{ at: 1e300 }", "not a time"),
            ("{ in: 1, key: '' }", "printable characters"),
            ("{ in: 1, data: 'x'.repeat(20000) }", "the limit is 16384"),
            ("{ in: 1, channelId: 'x' }", "snowflake"),
            ("'x'", "an object such as"),
        ]:
            call = f"Promise.resolve().then(() => tasks.schedule({task}))"
            text = await it.say(f"{call}.catch((e) => e.name + e.message)")
            assert text.startswith("InvalidInputError")
            assert says in text


async def test_a_task_that_fails_is_tried_again_and_then_given_up(db: Database) -> None:
    async with scheduled(db) as it:
        await it.it.deploy(DO_TASKS)
        await it.say("tasks.schedule({ key: 'twice', in: 0, data: { text: 'x', fails: 1 } })")
        runs = await it.runs(2, RunKind.TASK)
        assert [(run.attempt, run.outcome.value, run.trigger.value) for run in runs] == [
            (1, "failed", "schedule"),
            (2, "done", "retry"),
        ]
        assert runs[0].event_id == runs[1].event_id  # so that what it sent is not sent again
        assert (runs[0].error or "").startswith("TypeError: not yet")
        await it.say("tasks.schedule({ key: 'never', in: 0, data: { text: 'x', fails: 3 } })")
        await it.runs(5, RunKind.TASK)
        [status] = await it.schedules.tasks(GUILD)
        assert (status.task.failures, status.task.dead_at is None) == (3, False)
        assert (await it.say("tasks.list()"))[0]["dead"] is True
        await it.schedules.run_task(GUILD, "never")
        assert (await it.runs(6, RunKind.TASK))[-1].attempt == 1


async def test_a_task_waits_for_a_script_that_does_it(db: Database) -> None:
    async with scheduled(db) as it:
        await it.tasks.schedule(GUILD, "early", datetime.now(UTC), b'{"text":"x"}')
        await it.it.deploy("on('ready', () => {});")
        [run] = await it.runs(1, RunKind.TASK)
        assert "nobody does tasks" in (run.error or "")
        await it.it.runtime.undeploy(GUILD)
        await it.tasks.schedule(GUILD, "early", datetime.now(UTC), b'{"text":"x"}')
        await it.it.deploy(DO_TASKS)
        await it.it.until_line("early x 1 true")


async def test_a_task_that_schedules_its_own_key_goes_on(db: Database) -> None:
    script = """
    on("task", async (ctx) => {
        console.log(`round ${ctx.data}`);
        if (ctx.data < 3) await tasks.schedule({ key: ctx.key, in: 0, data: ctx.data + 1 });
    });
    """
    async with scheduled(db) as it:
        await it.it.deploy(script)
        await it.tasks.schedule(GUILD, "loop", datetime.now(UTC), b"1")
        assert await it.it.until_lines(3) == ["round 1", "round 2", "round 3"]
        await it.runs(3, RunKind.TASK)
        assert await it.schedules.tasks(GUILD) == []


async def test_tasks_of_the_time_flora_was_down_are_done_afterwards(db: Database) -> None:
    async with scheduled(db) as it:
        await it.it.deploy(DO_TASKS)
        await it.say("tasks.schedule({ key: 'later', in: '3h', data: { text: 'x' } })")
    async with scheduled(db, Clock(ahead=4 * HOUR)) as it:
        await it.it.deploy(DO_TASKS)
        await it.it.until_line("later x 1 true")
        assert len(await it.runs(1, RunKind.TASK)) == 1


async def test_a_scheduler_that_failed_goes_on(db: Database) -> None:
    async with scheduled(db) as it:
        await it.it.deploy(tick())
        broken: Any = it.scheduler._core
        broken.due = None
        it.scheduler._note()
        await until(lambda: it.scheduler._core is not broken)
        it.pass_hours()
        await it.it.until_lines(1)
