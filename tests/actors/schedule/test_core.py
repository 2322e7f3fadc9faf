"""The scheduler's machine in virtual time: what runs when, what is made up for, and what survives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flora.actors.schedule.core import (
    MAX_AT_ONCE,
    MAX_CAUGHT_UP,
    MAX_TASKS_AT_ONCE,
    Refusal,
    Retry,
    Run,
    Schedule,
)
from flora.actors.schedule.jobs import CronJob, InvalidCronError, parse_jobs
from flora.ids import GuildId
from flora.storage.schedules import CatchUp, RunKind, RunOutcome, Trigger

GUILD, OTHER = GuildId("100"), GuildId("200")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
HOURLY = CronJob("job", "@hourly")


class Clock:
    """Drives a schedule as the scheduler does: to each time at which something may be due."""

    def __init__(self, schedule: Schedule | None = None, now: float = NOON) -> None:
        self.schedule = schedule or Schedule(Retry(attempts=3, first=10.0))
        self.now = now
        self.begun: list[Run] = []

    def to(self, until: float, act: Callable[[Run], None] | None = None) -> list[Run]:
        """Let the time pass; returns the runs that began, each of which `act` may end."""
        before = len(self.begun)
        while (at := self.schedule.next_at()) is not None and at <= until:
            self.now = max(self.now, at)
            self._begin(self.schedule.due(self.now), act)
        self.now = until
        self._begin(self.schedule.due(until), act)
        return self.begun[before:]

    def jump(self, to: float) -> list[Run]:
        """The clock is set, or the machine slept."""
        self.now = to
        runs = self.schedule.due(to)
        self.begun += runs
        return runs

    def _begin(self, runs: list[Run], act: Callable[[Run], None] | None) -> None:
        self.begun += runs
        if act is not None:
            for run in runs:
                act(run)

    def done(self, run: Run) -> None:
        self.begun += self.schedule.ended(run, RunOutcome.DONE, None, self.now)

    def mark(self, guild: GuildId = GUILD) -> float:
        """How far the job has come, as it would be stored."""
        return self.schedule._jobs[guild]["job"].mark

    def restarted(self, *, after: float, job: CronJob) -> Clock:
        """flora was killed and is there again, with what was stored; the guild's script runs."""
        clock = Clock(now=self.now + after)
        clock.schedule.restore(GUILD, job, self.mark(), clock.now)
        clock.schedule.declare(GUILD, [job], clock.now)
        return clock


def at(runs: list[Run]) -> list[str]:
    return [datetime.fromtimestamp(run.scheduled_at, UTC).strftime("%d %H:%M:%S") for run in runs]


def outcomes(schedule: Schedule) -> list[str]:
    return [run.outcome.value for run in schedule.take().runs]


def clock_with(job: CronJob) -> Clock:
    clock = Clock()
    clock.schedule.declare(GUILD, [job], NOON)
    return clock


# ---------------------------------------------------------------------- its times


def test_a_job_runs_at_its_times() -> None:
    clock = clock_with(CronJob("job", "*/20 * * * *"))
    runs = clock.to(NOON + HOUR, clock.done)
    assert at(runs) == ["01 12:20:00", "01 12:40:00", "01 13:00:00"]
    assert [run.trigger for run in runs] == [Trigger.SCHEDULE] * 3
    assert runs[0].event_id == "cron:job:2026-06-01T12:20:00.000Z"


def test_what_was_declared_late_does_not_run_for_the_past() -> None:
    clock = Clock(now=NOON + 1)
    clock.schedule.declare(GUILD, [HOURLY], clock.now)
    assert at(clock.to(NOON + HOUR + 1)) == ["01 13:00:00"]


def test_jitter_is_the_same_for_an_occurrence_and_within_bounds() -> None:
    job = CronJob("job", "@hourly", jitter_secs=600.0)
    delays = [job.delay(GUILD, NOON + hour * HOUR) for hour in range(200)]
    assert len(set(delays)) == 200
    assert all(0 <= delay < 600 for delay in delays)
    assert delays == [replace(job).delay(GUILD, NOON + hour * HOUR) for hour in range(200)]
    clock = clock_with(job)
    begun: list[float] = []
    runs = clock.to(NOON + 3 * HOUR + 600, lambda run: (begun.append(clock.now), clock.done(run))[0])
    assert at(runs) == ["01 13:00:00", "01 14:00:00", "01 15:00:00"]
    assert begun == [run.scheduled_at + job.delay(GUILD, run.scheduled_at) for run in runs]


def test_jobs_that_are_removed_or_changed_do_not_run_any_more() -> None:
    clock = clock_with(HOURLY)
    clock.schedule.declare(GUILD, [CronJob("job", "30 * * * *")], NOON)
    assert at(clock.to(NOON + HOUR, clock.done)) == ["01 12:30:00"]
    clock.schedule.declare(GUILD, [], clock.now)
    assert clock.to(NOON + DAY) == []


# ---------------------------------------------------------------------- overlap


def test_a_run_is_skipped_while_the_one_before_runs() -> None:
    clock = clock_with(replace(HOURLY, skip_if_running=True))
    [first] = clock.to(NOON + HOUR)
    assert clock.to(NOON + 3 * HOUR) == []
    assert outcomes(clock.schedule) == ["skipped", "skipped"]
    clock.done(first)
    assert at(clock.to(NOON + 4 * HOUR)) == ["01 16:00:00"]


def test_without_it_runs_overlap_up_to_a_bound() -> None:
    clock = clock_with(HOURLY)
    assert len(clock.to(NOON + 20 * HOUR)) == MAX_AT_ONCE
    assert outcomes(clock.schedule).count("skipped") == 20 - MAX_AT_ONCE


def test_it_counts_how_runs_end_and_how_many_have_not() -> None:
    clock = clock_with(replace(HOURLY, skip_if_running=True))
    assert clock.schedule.depths() == {RunKind.CRON: 0, RunKind.TASK: 0}
    [first] = clock.to(NOON + HOUR)
    clock.to(NOON + 2 * HOUR)
    for _ in range(MAX_TASKS_AT_ONCE + 1):
        clock.schedule.add_task(uuid4(), GUILD, clock.now)
    clock.jump(clock.now)
    assert clock.schedule.depths() == {RunKind.CRON: 1, RunKind.TASK: MAX_TASKS_AT_ONCE + 1}
    clock.done(first)
    for task_id in clock.schedule.claimed():
        clock.schedule.drop_task(task_id)
    assert clock.schedule.depths() == {RunKind.CRON: 0, RunKind.TASK: 1}
    assert clock.schedule.endings == {
        (RunKind.CRON, RunOutcome.DONE): 1,
        (RunKind.CRON, RunOutcome.SKIPPED): 1,
    }


def test_a_run_by_hand_does_not_overlap_either() -> None:
    clock = clock_with(replace(HOURLY, skip_if_running=True))
    run = clock.schedule.run_now(GUILD, "job", clock.now, "by hand")
    assert isinstance(run, Run)
    assert clock.schedule.run_now(GUILD, "job", clock.now, "again") is Refusal.RUNNING
    assert clock.schedule.run_now(GUILD, "nothing", clock.now, "x") is Refusal.UNKNOWN
    assert clock.to(NOON + HOUR) == []
    clock.done(run)
    assert outcomes(clock.schedule) == ["skipped", "done"]
    assert clock.mark() == NOON + HOUR


# ---------------------------------------------------------------------- what was missed


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (CatchUp.NONE, []),
        (CatchUp.LATEST, ["01 16:00:00"]),
        (CatchUp.ALL, ["01 13:00:00", "01 14:00:00", "01 15:00:00", "01 16:00:00"]),
    ],
)
@pytest.mark.parametrize("how", ["flora was down", "the clock jumped", "the script was stopped"])
def test_catching_up(catch_up: CatchUp, expected: list[str], how: str) -> None:
    job = replace(HOURLY, catch_up=catch_up)
    clock = clock_with(job)
    match how:
        case "flora was down":
            clock = clock.restarted(after=4.5 * HOUR, job=job)
            clock.to(clock.now, clock.done)
        case "the clock jumped":
            for run in clock.jump(NOON + 4.5 * HOUR):
                clock.done(run)
        case _:
            clock.schedule.park(GUILD)
            assert clock.to(NOON + 4.5 * HOUR) == []
            clock.schedule.unpark(GUILD, clock.now)
            clock.to(clock.now, clock.done)
    while clock.begun and len(clock.begun) < len(expected):
        clock.done(clock.begun[-1])
    assert at(clock.begun) == expected
    assert {run.trigger for run in clock.begun} <= {Trigger.CATCH_UP}
    following = clock.to(NOON + 5 * HOUR, clock.done)
    assert at(following) == ["01 17:00:00"]
    assert [run.trigger for run in following] == [Trigger.SCHEDULE]


def test_all_that_was_missed_runs_one_after_another_and_not_without_end() -> None:
    job = CronJob("job", "* * * * * *", catch_up=CatchUp.ALL)
    clock = clock_with(job).restarted(after=DAY, job=job)
    [first] = clock.jump(clock.now)
    assert clock.schedule.due(clock.now) == []
    clock.done(first)
    assert len(clock.begun) == 2
    while len(clock.begun) < MAX_CAUGHT_UP:
        clock.done(clock.begun[-1])
    clock.done(clock.begun[-1])
    assert len(clock.begun) == MAX_CAUGHT_UP
    assert at(clock.begun[-1:]) == ["02 12:00:00"]


def test_a_short_delay_is_no_miss() -> None:
    clock = clock_with(CronJob("job", "0 13 * * *"))
    assert at(clock.jump(NOON + HOUR + 30)) == ["01 13:00:00"]


def test_several_that_are_late_together_are_one() -> None:
    clock = clock_with(CronJob("job", "* * * * * *"))
    assert at(clock.jump(NOON + 3.2)) == ["01 12:00:03"]


@pytest.mark.parametrize(("catch_up", "again"), [(CatchUp.NONE, 0), (CatchUp.LATEST, 1), (CatchUp.ALL, 1)])
def test_a_run_that_was_killed_with_flora(catch_up: CatchUp, again: int) -> None:
    job = replace(HOURLY, catch_up=catch_up)
    clock = clock_with(job)
    assert len(clock.to(NOON + HOUR)) == 1  # and does not end
    clock = clock.restarted(after=5, job=job)
    runs = clock.to(clock.now)
    assert at(runs) == ["01 13:00:00"] * again


def test_what_ended_before_flora_was_killed_does_not_run_again() -> None:
    job = replace(HOURLY, catch_up=CatchUp.ALL)
    clock = clock_with(job)
    clock.to(NOON + 3 * HOUR, clock.done)
    assert clock.restarted(after=5, job=job).to(NOON + 3 * HOUR + 10) == []


# ---------------------------------------------------------------------- clocks


def test_a_clock_that_is_set_back_makes_no_second_copy() -> None:
    clock = clock_with(HOURLY)
    clock.to(NOON + 3 * HOUR, clock.done)
    clock.now = NOON
    assert at(clock.to(NOON + 4 * HOUR)) == ["01 16:00:00"]
    before = clock_with(HOURLY)
    before.to(NOON + 3 * HOUR, before.done)
    after = before.restarted(after=-2 * HOUR, job=HOURLY)
    assert at(after.to(NOON + 4 * HOUR)) == ["01 16:00:00"]


def test_a_clock_that_was_wrong_does_not_stop_a_job_for_ever() -> None:
    clock = clock_with(HOURLY)
    clock.to(NOON + 30 * DAY, clock.done)
    clock.jump(NOON)
    assert at(clock.to(NOON + HOUR)) == ["01 13:00:00"]


# ---------------------------------------------------------------------- scripts come and go


def test_a_guild_without_a_script_runs_nothing() -> None:
    clock = clock_with(HOURLY)
    [run] = clock.to(NOON + HOUR)
    clock.schedule.refused(run)
    assert clock.to(NOON + 5 * HOUR) == []
    clock.schedule.unpark(GUILD, clock.now)
    assert at(clock.to(NOON + 6 * HOUR)) == ["01 18:00:00"]


def test_a_refused_run_is_made_up_for() -> None:
    clock = clock_with(replace(HOURLY, catch_up=CatchUp.LATEST))
    [run] = clock.to(NOON + HOUR)
    clock.schedule.refused(run)
    clock.schedule.declare(GUILD, [replace(HOURLY, catch_up=CatchUp.LATEST)], clock.now + 1)
    assert at(clock.to(NOON + HOUR + 1)) == ["01 13:00:00"]


def test_a_deploy_that_is_put_back_changes_nothing() -> None:
    job = replace(HOURLY, catch_up=CatchUp.ALL)
    clock = clock_with(job)
    clock.to(NOON + HOUR, clock.done)
    clock.schedule.declare(GUILD, [CronJob("another", "@daily")], NOON + 2 * HOUR - 1)
    clock.schedule.declare(GUILD, [job], NOON + 2 * HOUR + 1)
    assert at(clock.to(NOON + 2 * HOUR + 1)) == ["01 14:00:00"]


def test_a_job_that_was_gone_for_long_begins_anew() -> None:
    job = replace(HOURLY, catch_up=CatchUp.ALL)
    clock = clock_with(job)
    clock.schedule.withdraw(GUILD, clock.now)
    assert clock.to(NOON + 3 * HOUR) == []
    clock.schedule.declare(GUILD, [job], clock.now)
    assert clock.to(clock.now) == []
    assert at(clock.to(NOON + 4 * HOUR)) == ["01 16:00:00"]


def test_only_what_changes_is_written() -> None:
    clock = clock_with(HOURLY)
    assert [job for job, _ in clock.schedule.take().declared[GUILD]] == [HOURLY]
    clock.schedule.declare(GUILD, [HOURLY], clock.now)
    assert not clock.schedule.take()
    clock.schedule.declare(GUILD, [replace(HOURLY, jitter_secs=5.0)], clock.now)
    assert len(clock.schedule.take().declared[GUILD]) == 1


def test_what_could_not_be_written_is_written_later() -> None:
    clock = clock_with(HOURLY)
    clock.to(NOON + HOUR, clock.done)
    lost = clock.schedule.take()
    clock.to(NOON + 2 * HOUR, clock.done)
    clock.schedule.untake(lost, most_runs=10)
    records = clock.schedule.take()
    assert [run.outcome for run in records.runs] == [RunOutcome.DONE, RunOutcome.DONE]
    assert records.marks == {(GUILD, "job"): NOON + 2 * HOUR}
    assert list(records.declared) == [GUILD]


# ---------------------------------------------------------------------- tasks


def begin(clock: Clock, failures: int = 0) -> list[Run]:
    """Look the claimed tasks up, as the scheduler does in the database."""
    clock.schedule.due(clock.now)
    runs: list[Run] = []
    while ids := clock.schedule.claimed():
        for task_id in ids:
            run = clock.schedule.begin_task(task_id, "key", failures=failures, due_at=NOON, now=clock.now)
            runs += [] if run is None else [run]
    return runs


def test_a_task_that_somebody_wants_now_says_so_in_its_history() -> None:
    clock, task = Clock(), uuid4()
    clock.schedule.add_task(task, GUILD, NOON + 3600)
    clock.schedule.add_task(task, GUILD, clock.now)  # hurried
    clock.schedule.due(clock.now)
    assert clock.schedule.claimed() == [task]
    run = clock.schedule.begin_task(task, "key", failures=2, due_at=NOON, now=clock.now, by_hand=True)
    assert run is not None
    assert (run.trigger, run.attempt) == (Trigger.MANUAL, 3)
    clock.done(run)
    [record] = clock.schedule.take().runs
    assert record.trigger is Trigger.MANUAL


def test_a_task_is_done_once() -> None:
    clock, task = Clock(), uuid4()
    clock.schedule.add_task(task, GUILD, NOON + 10)
    assert begin(clock) == []
    clock.now += 10
    [run] = begin(clock)
    assert (run.event_id, run.attempt, run.task_id) == (f"task:{task}", 1, task)
    clock.done(run)
    records = clock.schedule.take()
    assert [(end.id, end.error, end.next_at) for end in records.tasks] == [(task, None, None)]
    # The database still has it, until that is written: read again, it is not done again.
    clock.schedule.add_task(task, GUILD, NOON)
    assert begin(clock) == []
    clock.schedule.written(records)


def test_a_task_that_fails_is_tried_again_and_given_up() -> None:
    clock, task = Clock(), uuid4()
    clock.schedule.add_task(task, GUILD, NOON)
    pauses: list[float | None] = []
    for failures in range(3):
        [run] = begin(clock, failures)
        assert run.attempt == failures + 1
        assert run.trigger is (Trigger.RETRY if failures else Trigger.SCHEDULE)
        clock.schedule.ended(run, RunOutcome.FAILED, "boom", clock.now)
        [end] = clock.schedule.take().tasks
        pauses.append(None if end.next_at is None else end.next_at.timestamp() - clock.now)
        clock.now += pauses[-1] or DAY
    assert pauses == [10.0, 30.0, None]
    assert begin(clock) == []


def test_failures_that_are_not_written_yet_count() -> None:
    clock = Clock()
    clock.schedule.add_task(uuid4(), GUILD, NOON)
    attempts: list[int] = []
    while runs := begin(clock, failures=0):  # what the database says is old
        attempts += [run.attempt for run in runs]
        clock.schedule.ended(runs[0], RunOutcome.FAILED, "boom", clock.now)
        clock.now += DAY
    assert attempts == [1, 2, 3]


def test_a_task_that_kills_its_process_is_given_up_at_once() -> None:
    clock = Clock()
    clock.schedule.add_task(uuid4(), GUILD, NOON)
    [run] = begin(clock)
    clock.schedule.ended(run, RunOutcome.CRASHED, "it died", clock.now)
    [end] = clock.schedule.take().tasks
    assert (end.error, end.next_at) == ("it died", None)


def test_a_task_that_was_shed_is_tried_again_as_if_nothing_had_been() -> None:
    clock = Clock()
    clock.schedule.add_task(uuid4(), GUILD, NOON)
    [run] = begin(clock)
    clock.schedule.ended(run, RunOutcome.SHED, "too much", clock.now)
    assert clock.schedule.take().tasks == []
    clock.now += 10
    assert [each.attempt for each in begin(clock)] == [1]


def test_tasks_wait_for_a_script() -> None:
    clock, task = Clock(), uuid4()
    clock.schedule.add_task(task, GUILD, NOON)
    [run] = begin(clock)
    clock.schedule.refused(run)
    clock.now += DAY
    assert begin(clock) == []
    clock.schedule.unpark(GUILD, clock.now)
    assert [each.task_id for each in begin(clock)] == [task]


def test_a_thousand_tasks_that_are_due_at_once_go_a_few_at_a_time() -> None:
    clock = Clock()
    for _ in range(200):
        clock.schedule.add_task(uuid4(), GUILD, NOON)
    theirs = uuid4()
    clock.schedule.add_task(theirs, OTHER, NOON)
    runs = begin(clock)
    assert len(runs) == MAX_TASKS_AT_ONCE + 1
    assert theirs in [run.task_id for run in runs]
    seen: set[UUID | None] = set()
    while runs:
        run = runs.pop()
        seen.add(run.task_id)
        clock.done(run)
        runs += begin(clock)
        assert len(runs) <= MAX_TASKS_AT_ONCE + 1
    assert len(seen) == 201


def test_what_was_cancelled_is_not_begun() -> None:
    clock, task, other = Clock(), uuid4(), uuid4()
    clock.schedule.add_task(task, GUILD, NOON + 1)
    clock.schedule.remove_task(task)
    clock.schedule.add_task(other, GUILD, NOON + 1)
    clock.now += 1
    clock.schedule.due(clock.now)
    assert clock.schedule.claimed() == [other]
    clock.schedule.drop_task(other)  # cancelled after that
    assert not clock.schedule.runs_task(other)


# ---------------------------------------------------------------------- a property


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.sampled_from(["minute", "hour", "day", "end", "back", "park", "unpark", "restart", "redeploy"]),
        max_size=40,
    ),
    catch_up=st.sampled_from(CatchUp),
    skip=st.booleans(),
)
def test_no_occurrence_begins_twice_but_after_a_kill(steps: list[str], catch_up: CatchUp, skip: bool) -> None:
    job = CronJob("job", "*/10 * * * *", skip_if_running=skip, catch_up=catch_up)
    clock = clock_with(job)
    ended: set[float] = set()
    running: list[Run] = []
    latest = NOON  # that the clock has shown: what was queued before it was set back is still in the queue

    def begun(runs: list[Run]) -> None:
        for run in runs:
            assert run.scheduled_at not in ended
            assert run.scheduled_at not in [each.scheduled_at for each in running]
            assert run.scheduled_at <= latest
            running.append(run)
        assert not skip or len(running) <= 1
        assert len(running) <= MAX_AT_ONCE

    for step in steps:
        match step:
            case "minute" | "hour" | "day":
                until = clock.now + {"minute": MINUTE, "hour": HOUR, "day": DAY}[step]
                latest = max(latest, until)
                begun(clock.to(until))
            case "back":
                clock.now -= 3 * HOUR
                begun(clock.to(clock.now))
            case "end" if running:
                run = running.pop(0)
                ended.add(run.scheduled_at)
                begun(clock.schedule.ended(run, RunOutcome.DONE, None, clock.now))
            case "park":
                clock.schedule.park(GUILD)
            case "unpark":
                clock.schedule.unpark(GUILD, clock.now)
            case "redeploy":
                clock.schedule.declare(GUILD, [job], clock.now)
            case "restart":
                open_ = [run.scheduled_at for run in running]
                mark = clock.mark()
                assert all(mark < each for each in open_)  # else a run is lost
                # What ended behind one that had not ended may come again: at least once.
                ended = {each for each in ended if each <= mark}
                clock = clock.restarted(after=MINUTE, job=job)
                running = []


def test_what_a_script_declares_is_checked() -> None:
    one = b'[{"name":"a","expression":"@daily","timeZone":"Europe/Berlin","catchUp":"all","jitter":5}]'
    assert parse_jobs(one, max_jobs=1) == (
        CronJob("a", "@daily", "Europe/Berlin", catch_up=CatchUp.ALL, jitter_secs=5.0),
    )
    assert parse_jobs(None, max_jobs=0) == ()
    for declared, says in [
        (b'[{"name":"a","expression":"x y","stack":"there"}]', "invalid cron expression 'x y'"),
        (b'[{"name":"a","expression":"0 0 0 1 1 * 2020","stack":"there"}]', "no future occurrences"),
        (
            b'[{"name":"a","expression":"@daily","timeZone":"Mars","stack":"there"}]',
            "unknown time zone 'Mars'",
        ),
        (b'[{"name":"a","expression":"@daily","jitter":-1,"stack":"there"}]', "jitter"),
        (b'[{"name":"\\u0000","expression":"@daily","stack":"there"}]', "printable"),
        (
            b'[{"name":"a","expression":"@daily"},{"name":"b","expression":"@daily","stack":"there"}]',
            "max cron jobs",
        ),
    ]:
        with pytest.raises(InvalidCronError) as caught:
            parse_jobs(declared, max_jobs=1)
        assert says in str(caught.value)
        assert caught.value.stack == "there"
    twice = b'[{"name":"a","expression":"@daily"},{"name":"a","expression":"@daily"}]'
    with pytest.raises(InvalidCronError, match="already exists"):
        parse_jobs(twice, max_jobs=5)
    with pytest.raises(InvalidCronError, match="not valid"):
        parse_jobs(b'[{"name":1}]', max_jobs=5)
