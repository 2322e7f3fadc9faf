"""The scheduler: gives cron runs and tasks to their guilds when they are due, and keeps what became of them.

    script declares ──> Schedule (sans I/O) ──due──> switchboard ──> the guild, as any event
                            ^     │                                        │
                    database┘     └──records──> database <── ended ────────┘

It has the wall clock and the database; `flora.actors.schedule.core` decides. A run is an event in its guild's
order: it queues, wakes a guild that sleeps, moves with it, and is tried again when the process dies under it.
What was given to a guild and has not ended when flora is killed is due again after its start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import uuid4

import msgspec
import structlog
import trio

from flora.actors.core import GuildNotDeployedError, Outcome, RouterClosedError, Scheduled, State, Verdict
from flora.actors.core.overload import CRON_PREFIX, TASK
from flora.actors.kernel import Context, Service
from flora.actors.schedule.core import Records, Refusal, Retry, Run, Schedule, iso
from flora.actors.schedule.jobs import CronJob
from flora.actors.switchboard import Ending, Switchboard
from flora.errors import FloraError
from flora.ids import GuildId
from flora.storage.postgres import DatabaseError
from flora.storage.schedules import RunKind, RunOutcome, ScheduleStore, StoredJob
from flora.storage.tasks import Task, TaskStore

log = structlog.get_logger("flora.scheduler")

LOOK_SECS: Final = 5.0
"""The longest sleep: a clock that was set forward, or a laptop that slept, is noticed then."""
PARK_SECS: Final = 2.0
"""Between looks whether parked guilds have a script again; those that start one say so by themselves."""
HORIZON_SECS: Final = 1800.0
REFILL_SECS: Final = 600.0
"""Tasks of the next half hour are held in memory, and looked for every ten minutes."""
TASKS_AT_ONCE: Final = 10_000
RETRY_SECS: Final = 1.0
"""After the database has refused."""
PAUSE_SECS: Final = 0.05
"""Between writes: a second with a thousand runs is some twenty of them."""
SWEEP_SECS: Final = 3600.0
MOST_RUNS: Final = 20_000
"""Of the history, while the database is away."""
STOP_SECS: Final = 2.0
_OUTCOMES: Final = {
    Outcome.DONE: RunOutcome.DONE,
    Outcome.FAILED: RunOutcome.FAILED,
    Outcome.TIMEOUT: RunOutcome.TIMEOUT,
    Outcome.UNLISTENED: RunOutcome.FAILED,
}


class CronNotFoundError(FloraError):
    code = "CRON_NOT_FOUND"

    def __init__(self, guild_id: GuildId, name: str) -> None:
        super().__init__(
            f"guild {guild_id} has no cron job '{name[:100]}'.", hint="`flora cron list` has them."
        )


class CronRunningError(FloraError):
    code = "CRON_CONFLICT"

    def __init__(self, name: str) -> None:
        super().__init__(f"cron job '{name}' runs already.", hint="Wait until it has ended.")


class ScheduleBusyError(FloraError):
    code = "SCHEDULE_BUSY"


class Scheduler(Service[None]):
    """Its methods may be called from any task while it runs; none of the synchronous ones waits."""

    def __init__(
        self,
        board: Switchboard,
        schedules: ScheduleStore,
        tasks: TaskStore,
        retry: Retry | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._board = board
        self._schedules = schedules
        self._tasks = tasks
        self._retry = retry or Retry()
        self._clock = clock
        self._core = Schedule(self._retry)
        self._declared: dict[GuildId, tuple[int, tuple[CronJob, ...] | None]] = {}
        self._horizon = 0.0
        self._refill_at = 0.0  # Trio's clock
        self._changed = trio.Event()  # something may be due earlier
        self._claimed = trio.Event()
        self._recorded = trio.Event()
        tasks.watch(self._task_changed, self._task_cancelled)

    # ------------------------------------------------------------------ life

    async def started(self, ctx: Context[None]) -> None:
        """Read what there is. A restarted one begins anew, with what scripts have declared meanwhile."""
        now = self._clock()
        core = Schedule(self._retry)
        core.endings = self._core.endings
        for stored in await self._schedules.jobs():
            try:
                spec = _spec(stored)
            except FloraError as error:  # a time zone that this machine does not have
                log.error("cron job not restored", guild=stored.guild_id, job=stored.name, error=str(error))
                continue
            mark = stored.done_until.timestamp()
            if stored.removed_at is None:
                core.restore(stored.guild_id, spec, mark, now)
            else:
                core.restore_removed(stored.guild_id, spec, mark, stored.removed_at.timestamp())
        self._core = core
        for guild_id, (_, jobs) in self._declared.items():
            self._declare(guild_id, jobs, now)
        await self._refill()

    async def run(self, ctx: Context[None]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._give)
            nursery.start_soon(self._give_tasks)
            nursery.start_soon(self._keep)
            nursery.start_soon(self._look_at_parked)
            nursery.start_soon(self._sweep)

    async def stopping(self) -> None:
        """What has ended is written; the rest is due again after the next start."""
        with trio.move_on_after(STOP_SECS):
            if self._core.has_records:
                await self._write()

    # ------------------------------------------------------------------ what scripts say

    def crons_declared(self, guild_id: GuildId, incarnation: int, jobs: tuple[CronJob, ...] | None) -> None:
        """The jobs of a guild's script, in its process of this incarnation; None: it has no script any more.

        What an older process says does not count.
        """
        newest, _ = self._declared.get(guild_id, (0, None))
        if jobs is not None and incarnation < newest:
            return
        self._declared[guild_id] = (max(newest, incarnation), jobs)
        self._declare(guild_id, jobs, self._clock())

    def _declare(self, guild_id: GuildId, jobs: tuple[CronJob, ...] | None, now: float) -> None:
        if jobs is None:
            self._core.withdraw(guild_id, now)
        else:
            if guild_id in self._core.parked:
                self._want_tasks()
            self._core.declare(guild_id, jobs, now)
        self._note()

    def _want_tasks(self) -> None:
        """Those of a guild that was parked have not been looked for."""
        self._refill_at = trio.current_time()
        self._recorded.set()

    def _task_changed(self, task: Task) -> None:
        at = task.next_at.timestamp()
        if at <= self._horizon:
            self._core.add_task(task.id, task.guild_id, at)
            self._note()

    def _task_cancelled(self, task: Task) -> None:
        self._core.remove_task(task.id)

    # ------------------------------------------------------------------ what operators ask

    def jobs(self, guild_id: GuildId) -> list[tuple[CronJob, float | None, int]]:
        """(job, when it runs next, runs that have not ended), by name."""
        return list(self._core.jobs(guild_id))

    def runs_task(self, task: Task) -> bool:
        return self._core.runs_task(task.id)

    def endings(self) -> Mapping[tuple[RunKind, RunOutcome], int]:
        """How many runs have ended how, since flora's start."""
        return self._core.endings

    def depths(self) -> Mapping[RunKind, int]:
        """Runs that are due and have not ended."""
        return self._core.depths()

    def run_now(self, guild_id: GuildId, name: str) -> Run:
        """Run a job once, beside its times. Raises CronNotFoundError, CronRunningError,
        GuildNotDeployedError, ScheduleBusyError, RouterClosedError.
        """
        now = self._clock()
        run = self._core.run_now(guild_id, name, now, f"cron:{name}:{uuid4()}")
        match run:
            case Refusal.UNKNOWN:
                raise CronNotFoundError(guild_id, name)
            case Refusal.RUNNING:
                raise CronRunningError(name)
        match self._inject(run, cron_payload(run)):
            case Verdict.ACCEPTED:
                return run
            case Verdict.NOT_DEPLOYED:
                raise GuildNotDeployedError(guild_id)
            case Verdict.CLOSING:
                raise RouterClosedError
            case _:
                raise ScheduleBusyError(
                    f"guild {guild_id} has too many events waiting.", hint="Try again in a moment."
                )

    # ------------------------------------------------------------------ giving

    async def _give(self) -> None:
        while True:
            self._changed = trio.Event()
            now = self._clock()
            self._begin(self._core.due(now))
            self._note()
            self._changed = trio.Event()
            at = self._core.next_at()
            pause = LOOK_SECS if at is None else min(max(at - self._clock(), 0.0), LOOK_SECS)
            with trio.move_on_after(pause):
                await self._changed.wait()
            await trio.lowlevel.checkpoint()

    def _begin(self, runs: Iterable[Run]) -> None:
        for run in runs:
            self._inject(run, cron_payload(run))

    async def _give_tasks(self) -> None:
        """Tasks are read when their time has come: what was cancelled by then is not there."""
        while True:
            ids = self._core.claimed()
            if not ids:
                self._claimed = trio.Event()
                await self._claimed.wait()
                continue
            try:
                found = {task.id: task for task in await self._tasks.fetch(ids)}
            except DatabaseError as error:
                log.warning("tasks not read", error=str(error))
                self._core.put_off(ids, self._clock() + RETRY_SECS)
                await trio.sleep(RETRY_SECS)
                continue
            for task_id in ids:
                task = found.get(task_id)
                if task is None:
                    self._core.drop_task(task_id)
                    continue
                due = task.due_at.timestamp()
                run = self._core.begin_task(
                    task_id,
                    task.key,
                    failures=task.failures,
                    due_at=due,
                    now=self._clock(),
                    by_hand=task.hurried,
                )
                if run is not None:
                    self._inject(run, task_payload(run, task))
            self._note()

    def _inject(self, run: Run, payload: bytes) -> Verdict:
        name = TASK if run.kind is RunKind.TASK else f"{CRON_PREFIX}{run.name}"
        event = Scheduled(run.event_id, name, payload, trio.current_time(), run)
        verdict = self._board.inject(run.guild_id, event, partial(self._ended, run))
        if verdict in {Verdict.NOT_DEPLOYED, Verdict.CLOSING}:
            self._core.refused(run)
        elif verdict is not Verdict.ACCEPTED:
            self._ended(run, Ending(None, "too many events waited"))
        return verdict

    def _ended(self, run: Run, ending: Ending) -> None:
        if ending.outcome is not None:
            outcome = _OUTCOMES[ending.outcome]
        else:
            outcome = RunOutcome.CRASHED if ending.crashed else RunOutcome.SHED
        error = None if outcome is RunOutcome.DONE else ending.reason
        self._begin(self._core.ended(run, outcome, error, self._clock()))
        self._note()

    def _note(self) -> None:
        """Something has changed: let the loops look."""
        self._changed.set()
        self._claimed.set()
        if self._core.has_records:
            self._recorded.set()

    # ------------------------------------------------------------------ keeping

    async def _keep(self) -> None:
        """Write what has ended, and read the tasks to come; never both at once, so that a task that has just
        ended is not read as one that is due.
        """
        while True:
            with trio.move_on_at(self._refill_at):
                await self._recorded.wait()
            self._recorded = trio.Event()
            try:
                await self._write()
                if trio.current_time() >= self._refill_at:
                    await self._refill()
            except DatabaseError as error:
                log.warning("runs not written", error=str(error))
                self._recorded.set()
                await trio.sleep(RETRY_SECS)
            await trio.sleep(PAUSE_SECS)

    async def _write(self) -> None:
        records = self._core.take()
        if not records:
            return
        written = False
        try:
            await self._schedules.save(
                declared={
                    guild_id: [_stored(guild_id, job, mark) for job, mark in jobs]
                    for guild_id, jobs in records.declared.items()
                },
                marks={key: datetime.fromtimestamp(mark, UTC) for key, mark in records.marks.items()},
                tasks=records.tasks,
                runs=records.runs,
            )
            written = True
        finally:
            self._written(records, written)

    def _written(self, records: Records, written: bool) -> None:
        if written:
            self._core.written(records)
        else:
            self._core.untake(records, most_runs=MOST_RUNS)

    async def _refill(self) -> None:
        """Tasks of guilds without a script are left out: a thousand overdue ones must not hide the others."""
        horizon = self._clock() + HORIZON_SECS
        self._refill_at = trio.current_time() + REFILL_SECS
        until = datetime.fromtimestamp(horizon, UTC)
        alarms = await self._tasks.due(until, besides=self._core.parked, limit=TASKS_AT_ONCE)
        if len(alarms) == TASKS_AT_ONCE:
            horizon = alarms[-1].at.timestamp()
            self._refill_at = trio.current_time() + RETRY_SECS
        self._horizon = horizon
        for alarm in alarms:
            self._core.add_task(alarm.id, alarm.guild_id, alarm.at.timestamp())
        self._note()

    async def _look_at_parked(self) -> None:
        while True:
            await trio.sleep(PARK_SECS)
            for guild_id in self._core.parked:
                view = self._board.core.view(guild_id)
                if view is not None and view.state not in {State.STOPPED, State.CLOSED}:
                    self._core.unpark(guild_id, self._clock())
                    self._want_tasks()
                    self._note()

    async def _sweep(self) -> None:
        while True:
            try:
                removed = await self._schedules.sweep()
            except DatabaseError as error:
                log.warning("old runs not removed", error=str(error))
            else:
                if removed:
                    log.info("old runs removed", count=removed)
            await trio.sleep(SWEEP_SECS)


def cron_payload(run: Run) -> bytes:
    """What the script gets with a run of a job."""
    return msgspec.json.encode(
        {"name": run.name, "scheduledAt": iso(run.scheduled_at), "trigger": _camel(run.trigger)}
    )


def task_payload(run: Run, task: Task) -> bytes:
    """What the script gets with an attempt at a task."""
    return msgspec.json.encode(
        {
            "key": task.key,
            "data": msgspec.Raw(task.data),
            "channelId": task.channel_id,
            "scheduledAt": iso(run.scheduled_at),
            "attempt": run.attempt,
            "trigger": _camel(run.trigger),
        }
    )


def _camel(trigger: str) -> str:
    return "catchUp" if trigger == "catch_up" else str(trigger)


def _spec(stored: StoredJob) -> CronJob:
    return CronJob(
        stored.name,
        stored.expression,
        stored.time_zone,
        stored.skip_if_running,
        stored.catch_up,
        stored.jitter_secs,
    )


def _stored(guild_id: GuildId, job: CronJob, mark: float) -> StoredJob:
    return StoredJob(
        guild_id,
        job.name,
        job.expression,
        job.time_zone,
        job.skip_if_running,
        job.catch_up,
        job.jitter_secs,
        datetime.fromtimestamp(mark, UTC),
    )
