"""Cron jobs and tasks as operators see them: look, run now, cancel, and what became of the runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from flora.actors.schedule.core import Run
from flora.actors.schedule.jobs import CronJob
from flora.actors.scheduler import Scheduler
from flora.errors import FloraError
from flora.ids import GuildId
from flora.storage.schedules import Run as PastRun
from flora.storage.schedules import RunKind, RunOutcome, RunPage, ScheduleStore
from flora.storage.tasks import Task, TaskStore


class TaskNotFoundError(FloraError):
    code = "TASK_NOT_FOUND"

    def __init__(self, guild_id: GuildId, key: str) -> None:
        super().__init__(f"guild {guild_id} has no task '{key[:128]}'.", hint="`flora tasks list` has them.")


@dataclass(frozen=True, slots=True)
class CronStatus:
    """`next_at`: None while the guild has no script, and when its times are over. `running`: runs that have
    not ended.
    """

    job: CronJob
    next_at: datetime | None
    running: int
    last_run: PastRun | None


@dataclass(frozen=True, slots=True)
class TaskStatus:
    task: Task
    running: bool


class Schedules:
    """Raises DatabaseError beside what each method names."""

    def __init__(self, scheduler: Scheduler, schedules: ScheduleStore, tasks: TaskStore) -> None:
        self._scheduler = scheduler
        self._schedules = schedules
        self._tasks = tasks

    def endings(self) -> Mapping[tuple[RunKind, RunOutcome], int]:
        """How many runs have ended how, since flora's start."""
        return self._scheduler.endings()

    def depths(self) -> Mapping[RunKind, int]:
        """Runs that are due and have not ended."""
        return self._scheduler.depths()

    async def jobs(self, guild_id: GuildId) -> list[CronStatus]:
        """The cron jobs of the guild's script, by name."""
        last = await self._schedules.last_runs(guild_id)
        return [
            CronStatus(
                job, None if at is None else datetime.fromtimestamp(at, UTC), running, last.get(job.name)
            )
            for job, at, running in self._scheduler.jobs(guild_id)
        ]

    def run_job(self, guild_id: GuildId, name: str) -> Run:
        """Run a job once, now. Raises CronNotFoundError, CronRunningError, GuildNotDeployedError,
        ScheduleBusyError, RouterClosedError.
        """
        return self._scheduler.run_now(guild_id, name)

    async def job_history(
        self, guild_id: GuildId, name: str | None, limit: int, cursor: str | None
    ) -> RunPage:
        """Runs of one job, or of all, newest first, also of jobs that are none any more. Raises
        InvalidCursorError.
        """
        return await self._schedules.history(guild_id, RunKind.CRON, name, limit=limit, cursor=cursor)

    async def tasks(self, guild_id: GuildId, prefix: str = "") -> list[TaskStatus]:
        """The guild's tasks, the next one first, those given up last."""
        found = await self._tasks.of(guild_id, prefix=prefix)
        return [TaskStatus(task, self._scheduler.runs_task(task)) for task in found]

    async def schedule_task(
        self, guild_id: GuildId, key: str, due_at: datetime, data: bytes, channel_id: str | None
    ) -> Task:
        """Keep a task in place of one of the same key; `data` is JSON. Raises InvalidTaskError,
        TaskLimitError.
        """
        return await self._tasks.schedule(guild_id, key, due_at, data, channel_id)

    async def run_task(self, guild_id: GuildId, key: str) -> Task:
        """Have a task done now, also one that was given up. Raises TaskNotFoundError."""
        return _found(await self._tasks.hurry(guild_id, key), guild_id, key)

    async def cancel_task(self, guild_id: GuildId, key: str) -> Task:
        """Forget a task; an attempt that has begun goes on. Raises TaskNotFoundError."""
        return _found(await self._tasks.cancel(guild_id, key), guild_id, key)

    async def task_history(
        self, guild_id: GuildId, key: str | None, limit: int, cursor: str | None
    ) -> RunPage:
        """Attempts of one task, or of all, newest first. Raises InvalidCursorError."""
        return await self._schedules.history(guild_id, RunKind.TASK, key, limit=limit, cursor=cursor)


def _found(task: Task | None, guild_id: GuildId, key: str) -> Task:
    if task is None:
        raise TaskNotFoundError(guild_id, key)
    return task
