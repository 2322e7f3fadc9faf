"""Cron jobs, tasks, and how their runs ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import trio

from flora.ids import GuildId
from flora.storage.cursors import InvalidCursorError
from flora.storage.postgres import Database
from flora.storage.schedules import (
    CatchUp,
    NewRun,
    RunKind,
    RunOutcome,
    ScheduleStore,
    StoredJob,
    Trigger,
)
from flora.storage.tasks import InvalidTaskError, TaskEnd, TaskLimitError, TaskLimits, TaskStore

from .conftest import LOSE_FIRST_COMMIT

GUILD, OTHER = GuildId("10"), GuildId("20")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
JOB = StoredJob(GUILD, "job", "@daily", "Europe/Berlin", True, CatchUp.LATEST, 5.0, NOON)
RUN = NewRun(GUILD, RunKind.CRON, "job", "cron:job:1", Trigger.SCHEDULE, 1, NOON, NOON, NOON, RunOutcome.DONE)


async def declare(store: ScheduleStore, *jobs: StoredJob, guild: GuildId = GUILD) -> None:
    await store.save(declared={guild: jobs}, marks={}, tasks=[], runs=[])


async def record(store: ScheduleStore, *runs: NewRun) -> None:
    await store.save(declared={}, marks={}, tasks=[], runs=runs)


async def test_jobs_come_back_as_they_were_declared(db: Database) -> None:
    store = ScheduleStore(db)
    theirs = replace(JOB, guild_id=OTHER)
    await declare(store, JOB, replace(JOB, name="another"))
    await declare(store, theirs, guild=OTHER)
    assert {(job.guild_id, job.name): job for job in await store.jobs()} == {
        (GUILD, "job"): JOB,
        (GUILD, "another"): replace(JOB, name="another"),
        (OTHER, "job"): theirs,
    }


async def test_a_job_that_is_gone_keeps_its_place_for_a_while(db: Database) -> None:
    store = ScheduleStore(db)
    await declare(store, JOB)
    await declare(store)
    [gone] = await store.jobs()
    assert gone.removed_at is not None
    assert gone.done_until == NOON
    again = replace(JOB, done_until=NOON + timedelta(days=1))
    await declare(store, again)
    assert await store.jobs() == [again]


async def test_marks_tasks_and_runs_are_written_together(db: Database) -> None:
    store, tasks = ScheduleStore(db), TaskStore(db)
    done = await tasks.schedule(GUILD, "done", NOON, b"1")
    again = await tasks.schedule(GUILD, "again", NOON, b"2")
    dead = await tasks.schedule(GUILD, "dead", NOON, b"3")
    await declare(store, JOB)
    later = NOON + timedelta(hours=1)
    await store.save(
        declared={},
        marks={(GUILD, "job"): later, (GUILD, "nothing"): later},
        tasks=[TaskEnd(done.id), TaskEnd(again.id, "no \0", later), TaskEnd(dead.id, "never")],
        runs=[replace(RUN, error="x \0 \ud800")],
    )
    assert [job.done_until for job in await store.jobs()] == [later]
    left = {task.key: task for task in await tasks.of(GUILD)}
    assert list(left) == ["again", "dead"]
    assert (left["again"].failures, left["again"].next_at, left["again"].dead_at) == (1, later, None)
    assert left["again"].error == "no \N{REPLACEMENT CHARACTER}"
    assert left["dead"].dead_at is not None
    [run] = (await store.history(GUILD, RunKind.CRON)).runs
    assert run.error == "x \N{REPLACEMENT CHARACTER} ?"
    assert (await store.last_runs(GUILD))["job"] == run


async def test_a_history_has_pages_of_one_or_of_all(db: Database) -> None:
    store = ScheduleStore(db)
    for number in range(5):
        await record(store, replace(RUN, name=f"job-{number % 2}", event_id=f"e{number}"))
    await record(store, replace(RUN, kind=RunKind.TASK), replace(RUN, guild_id=OTHER))
    page = await store.history(GUILD, RunKind.CRON, limit=2)
    seen = list(page.runs)
    while page.cursor is not None:
        page = await store.history(GUILD, RunKind.CRON, limit=2, cursor=page.cursor)
        seen += page.runs
    assert [run.event_id for run in seen] == ["e4", "e3", "e2", "e1", "e0"]
    assert len((await store.history(GUILD, RunKind.CRON, "job-1")).runs) == 2
    with pytest.raises(InvalidCursorError):
        await store.history(GUILD, RunKind.CRON, cursor="x")


async def test_the_history_does_not_grow_for_ever(db: Database) -> None:
    store = ScheduleStore(db)
    await record(store, *(replace(RUN, event_id=f"e{number}") for number in range(10)))
    await record(store, *(replace(RUN, kind=RunKind.TASK, name=f"t{number}") for number in range(10)))
    assert await store.sweep(of_one=4, of_guild=100) == 6
    runs = (await store.history(GUILD, RunKind.CRON)).runs
    assert [run.event_id for run in runs] == ["e9", "e8", "e7", "e6"]
    assert await store.sweep(of_one=4, of_guild=5) == 9
    assert len((await store.history(GUILD, RunKind.TASK)).runs) == 5


async def test_a_task_of_the_same_key_takes_the_place_of_the_first(db: Database) -> None:
    tasks = TaskStore(db)
    first = await tasks.schedule(GUILD, "key", NOON, b"1")
    second = await tasks.schedule(GUILD, "key", NOON + timedelta(hours=1), b"2", "7")
    [task] = await tasks.of(GUILD)
    assert (task.id, task.data, task.channel_id) == (second.id, b"2", "7")
    assert first.id != second.id
    assert await tasks.fetch([first.id]) == []
    # An attempt of the first that ends now is none of the second's business.
    await ScheduleStore(db).save(declared={}, marks={}, tasks=[TaskEnd(first.id)], runs=[])
    assert len(await tasks.of(GUILD)) == 1


async def test_tasks_that_are_due_are_found_in_order(db: Database) -> None:
    tasks = TaskStore(db)
    later = await tasks.schedule(GUILD, "later", NOON + timedelta(hours=1), b"1")
    sooner = await tasks.schedule(GUILD, "sooner", NOON, b"1")
    theirs = await tasks.schedule(OTHER, "theirs", NOON, b"1")
    at = NOON + timedelta(hours=2)
    assert [alarm.id for alarm in await tasks.due(at, besides=[OTHER])] == [sooner.id, later.id]
    assert {alarm.id for alarm in await tasks.due(NOON)} == {sooner.id, theirs.id}
    assert len(await tasks.due(at, limit=1)) == 1
    await ScheduleStore(db).save(declared={}, marks={}, tasks=[TaskEnd(sooner.id, "dead")], runs=[])
    assert sooner.id not in [alarm.id for alarm in await tasks.due(at)]
    assert await tasks.fetch([sooner.id]) == []
    revived = await tasks.hurry(GUILD, "sooner")
    assert revived is not None
    assert (revived.failures, revived.dead_at, revived.hurried) == (0, None, True)
    await ScheduleStore(db).save(declared={}, marks={}, tasks=[TaskEnd(sooner.id, "again", at)], runs=[])
    [failed] = await tasks.fetch([sooner.id])
    assert (failed.failures, failed.hurried) == (1, False)
    assert await tasks.hurry(GUILD, "sooner")
    anew = await tasks.schedule(GUILD, "sooner", NOON, b"1")
    assert not anew.hurried
    sooner = anew
    assert [task.id for task in await tasks.fetch([sooner.id])] == [sooner.id]


async def test_who_watches_is_told(db: Database) -> None:
    tasks = TaskStore(db)
    told: list[str] = []
    tasks.watch(lambda task: told.append(task.key), lambda task: told.append(f"-{task.key}"))
    await tasks.schedule(GUILD, "a", NOON, b"1")
    assert await tasks.hurry(GUILD, "a")
    assert await tasks.cancel(GUILD, "a")
    assert await tasks.cancel(GUILD, "a") is None
    assert await tasks.hurry(GUILD, "a") is None
    assert told == ["a", "a", "-a"]


async def test_limits_hold_also_when_many_come_at_once(db: Database) -> None:
    tasks = TaskStore(db, TaskLimits(per_guild=5, data_bytes=10))
    refused = 0

    async def schedule(number: int) -> None:
        nonlocal refused
        try:
            await tasks.schedule(GUILD, f"key-{number}", NOON, b"1")
        except TaskLimitError:
            refused += 1

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(schedule, number)
    assert (len(await tasks.of(GUILD)), refused) == (5, 7)
    await tasks.schedule(GUILD, (await tasks.of(GUILD))[0].key, NOON, b"2")  # in the place of another
    await tasks.schedule(OTHER, "theirs", NOON, b"1")
    for key, due, data, field in [
        ("", NOON, b"1", "key"),
        ("x" * 129, NOON, b"1", "key"),
        ("a\0", NOON, b"1", "key"),
        ("a", NOON, b"1" * 11, "data"),
        ("a", datetime.now(UTC) + timedelta(days=4000), b"1", "at"),
    ]:
        with pytest.raises(InvalidTaskError) as caught:
            await tasks.schedule(OTHER, key, due, data)
        assert caught.value.field == field


async def test_a_guild_is_forgotten(db: Database) -> None:
    store, tasks = ScheduleStore(db), TaskStore(db)
    for guild in (GUILD, OTHER):
        await declare(store, replace(JOB, guild_id=guild), guild=guild)
        await record(store, replace(RUN, guild_id=guild))
        await tasks.schedule(guild, "key", NOON, b"1")
    await store.forget(GUILD)
    assert [job.guild_id for job in await store.jobs()] == [OTHER]
    assert await tasks.of(GUILD) == []
    assert (await store.history(GUILD, RunKind.CRON)).runs == ()
    assert len((await store.history(OTHER, RunKind.CRON)).runs) == 1


async def test_a_task_survives_that_the_database_is_lost_while_it_is_stored_or_cancelled(
    db: Database,
) -> None:
    store = TaskStore(db)
    await db.run(lambda con: con.execute(LOSE_FIRST_COMMIT.format(table="tasks")))
    task = await store.schedule(GUILD, "tea", NOON, b"1")
    assert await store.of(GUILD) == [task]
    await db.run(lambda con: con.execute("alter sequence lost restart"))
    assert await store.cancel(GUILD, "tea") == task
    assert await store.of(GUILD) == []
    assert await store.cancel(GUILD, "tea") is None
