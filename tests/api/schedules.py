"""Cron jobs and tasks behind a served API, in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from flora.actors.core import GuildNotDeployedError
from flora.actors.schedule.core import Run
from flora.actors.schedule.jobs import CronJob
from flora.actors.scheduler import CronNotFoundError, CronRunningError
from flora.actors.schedules import CronStatus, TaskNotFoundError, TaskStatus
from flora.ids import GuildId
from flora.storage.cursors import before
from flora.storage.schedules import CatchUp, RunKind, RunOutcome, RunPage, Trigger
from flora.storage.schedules import Run as PastRun
from flora.storage.tasks import InvalidTaskError, Task, TaskLimitError, TaskLimits

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MOST_TASKS = 100


class MemorySchedules:
    """Jobs and tasks that never run by themselves."""

    def __init__(self) -> None:
        self.all_jobs: dict[GuildId, list[CronJob]] = {}
        self.all_tasks: list[Task] = []
        self.runs: list[PastRun] = []
        self.running: set[str] = set()
        self.stopped = False

    def add_job(self, guild_id: GuildId, name: str) -> None:
        job = CronJob(name, "0 9 * * MON-FRI", "Europe/Berlin", catch_up=CatchUp.LATEST)
        self.all_jobs.setdefault(guild_id, []).append(job)

    def add_task(self, guild_id: GuildId, key: str) -> Task:
        task = Task(uuid4(), guild_id, key, "7", b'{"text":"hi"}', NOON, NOON, 0, None, None, NOON)
        self.all_tasks.append(task)
        return task

    def add_run(self, guild_id: GuildId, kind: RunKind, name: str, error: str | None = None) -> PastRun:
        run = PastRun(
            guild_id,
            kind,
            name,
            f"{kind}:{name}",
            Trigger.SCHEDULE,
            1,
            NOON,
            NOON,
            NOON + timedelta(seconds=1),
            RunOutcome.DONE if error is None else RunOutcome.FAILED,
            error,
            len(self.runs) + 1,
        )
        self.runs.append(run)
        return run

    async def jobs(self, guild_id: GuildId) -> list[CronStatus]:
        return [
            CronStatus(
                job, None if self.stopped else NOON, job.name in self.running, self._last(guild_id, job)
            )
            for job in self.all_jobs.get(guild_id, [])
        ]

    def _last(self, guild_id: GuildId, job: CronJob) -> PastRun | None:
        runs = self._page(guild_id, RunKind.CRON, job.name, 1, None).runs
        return runs[0] if runs else None

    def run_job(self, guild_id: GuildId, name: str) -> Run:
        if name not in [job.name for job in self.all_jobs.get(guild_id, [])]:
            raise CronNotFoundError(guild_id, name)
        if name in self.running:
            raise CronRunningError(name)
        if self.stopped:
            raise GuildNotDeployedError(guild_id)
        at = NOON.timestamp()
        return Run(guild_id, RunKind.CRON, name, f"cron:{name}:1", Trigger.MANUAL, 1, at, at)

    async def job_history(
        self, guild_id: GuildId, name: str | None, limit: int, cursor: str | None
    ) -> RunPage:
        return self._page(guild_id, RunKind.CRON, name, limit, cursor)

    async def tasks(self, guild_id: GuildId, prefix: str = "") -> list[TaskStatus]:
        mine = [task for task in self.all_tasks if task.guild_id == guild_id]
        return [TaskStatus(task, task.key in self.running) for task in mine if task.key.startswith(prefix)]

    async def schedule_task(
        self, guild_id: GuildId, key: str, due_at: datetime, data: bytes, channel_id: str | None
    ) -> Task:
        others = [task for task in self.all_tasks if (task.guild_id, task.key) != (guild_id, key)]
        if len(others) >= MOST_TASKS:
            raise TaskLimitError(MOST_TASKS)
        if len(data) > TaskLimits().data_bytes:
            raise InvalidTaskError("data", "too many bytes of JSON")
        task = Task(uuid4(), guild_id, key, channel_id, data, due_at, due_at, 0, None, None, NOON)
        self.all_tasks = [*others, task]
        return task

    async def run_task(self, guild_id: GuildId, key: str) -> Task:
        for status in await self.tasks(guild_id):
            if status.task.key == key:
                return status.task
        raise TaskNotFoundError(guild_id, key)

    async def cancel_task(self, guild_id: GuildId, key: str) -> Task:
        task = await self.run_task(guild_id, key)
        self.all_tasks.remove(task)
        return task

    async def task_history(
        self, guild_id: GuildId, key: str | None, limit: int, cursor: str | None
    ) -> RunPage:
        return self._page(guild_id, RunKind.TASK, key, limit, cursor)

    def _page(
        self, guild_id: GuildId, kind: RunKind, name: str | None, limit: int, cursor: str | None
    ) -> RunPage:
        start = before(cursor)
        mine = [
            run
            for run in reversed(self.runs)
            if (run.guild_id, run.kind) == (guild_id, kind) and name in (None, run.name) and run.id < start
        ]
        return RunPage(tuple(mine[:limit]), str(mine[limit - 1].id) if len(mine) > limit else None)
