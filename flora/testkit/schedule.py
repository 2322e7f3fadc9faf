"""Cron jobs and tasks in a test's time: the host's own machine, with its records in memory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from flora.actors.core.overload import CRON_PREFIX, TASK
from flora.actors.schedule.core import Refusal, Run, Schedule
from flora.actors.schedule.jobs import parse_jobs
from flora.actors.scheduler import cron_payload, task_payload
from flora.ids import GuildId
from flora.playground.errors import PlaygroundRefusedError
from flora.storage.schedules import RunOutcome
from flora.storage.tasks import Task, TaskStore
from flora.testkit.world import GUILD, TestClock

MAX_JOBS: Final = 32


class MemoryTasks(TaskStore):
    """The tasks of one test's guild."""

    def __init__(self, clock: TestClock, core: Schedule) -> None:
        self._clock = clock
        self._core = core
        self.kept: dict[str, Task] = {}

    async def schedule(
        self, guild_id: GuildId, key: str, due_at: datetime, data: bytes, channel_id: str | None = None
    ) -> Task:
        await self.cancel(guild_id, key)
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        task = Task(uuid4(), guild_id, key, channel_id, data, due_at, due_at, 0, None, None, now)
        self.kept[key] = task
        self._core.add_task(task.id, guild_id, due_at.timestamp())
        return task

    async def cancel(self, guild_id: GuildId, key: str) -> Task | None:
        task = self.kept.pop(key, None)
        if task is not None:
            self._core.remove_task(task.id)
        return task

    async def of(self, guild_id: GuildId, *, prefix: str = "") -> list[Task]:
        found = [task for task in self.kept.values() if task.key.startswith(prefix)]
        return sorted(found, key=lambda task: task.next_at)

    async def fetch(self, ids: Collection[UUID]) -> list[Task]:
        return [task for task in self.kept.values() if task.id in ids]


@dataclass(frozen=True, slots=True)
class Due:
    """A run as the script gets it."""

    run: Run
    name: str
    payload: bytes


class TestSchedule:
    """What is due when, in seconds since 1970 of the test's clock."""

    __test__ = False

    def __init__(self, clock: TestClock) -> None:
        self._clock = clock
        self._core = Schedule()
        self._core.declare(GUILD, (), clock.now())  # the guild has a script
        self.tasks = MemoryTasks(clock, self._core)

    def declare(self, crons: bytes | None) -> None:
        """The jobs that the script has by now. Raises InvalidCronError."""
        self._core.declare(GUILD, parse_jobs(crons, max_jobs=MAX_JOBS), self._clock.now())

    def next_at(self) -> float | None:
        return self._core.next_at()

    def due(self) -> list[Due]:
        """What is to run now."""
        now = self._clock.now()
        runs = self._runs(self._core.due(now))
        by_id = {task.id: task for task in self.tasks.kept.values()}
        for task_id in self._core.claimed():
            task = by_id.get(task_id)
            if task is None:
                self._core.drop_task(task_id)
                continue
            due_at = task.due_at.timestamp()
            run = self._core.begin_task(task_id, task.key, failures=task.failures, due_at=due_at, now=now)
            if run is not None:
                runs.append(Due(run, TASK, task_payload(run, task)))
        return runs

    def run_now(self, name: str) -> Due:
        """A job by hand. Raises PlaygroundRefusedError."""
        run = self._core.run_now(GUILD, name, self._clock.now(), f"cron:{name}:{uuid4()}")
        if run is Refusal.UNKNOWN:
            raise PlaygroundRefusedError(f"The script has no cron job {name!r}.")
        if run is Refusal.RUNNING:
            raise PlaygroundRefusedError(f"The cron job {name!r} is running.")
        return self._runs([run])[0]

    def ended(self, due: Due, error: str | None) -> list[Due]:
        """A run is over; what may begin now."""
        outcome = RunOutcome.DONE if error is None else RunOutcome.FAILED
        after = self._core.ended(due.run, outcome, error, self._clock.now())
        records = self._core.take()
        for end in records.tasks:
            task = next((each for each in self.tasks.kept.values() if each.id == end.id), None)
            if task is None:
                continue
            if end.error is None:
                del self.tasks.kept[task.key]
            else:
                again = end.next_at or task.next_at
                dead_at = None if end.next_at else datetime.fromtimestamp(self._clock.now(), UTC)
                self.tasks.kept[task.key] = replace(
                    task, failures=task.failures + 1, error=end.error, next_at=again, dead_at=dead_at
                )
        self._core.written(records)
        return self._runs(after)

    def _runs(self, runs: list[Run]) -> list[Due]:
        return [Due(run, f"{CRON_PREFIX}{run.name}", cron_payload(run)) for run in runs]
