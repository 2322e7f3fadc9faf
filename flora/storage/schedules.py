"""Cron jobs as the guilds' scripts declare them, how far each has come, and how runs ended.

One-shot tasks are in `flora.storage.tasks`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from flora.ids import GuildId
from flora.storage import cursors
from flora.storage.postgres import Database
from flora.storage.tasks import TaskEnd, settle_tasks
from flora.storage.texts import no_nul

if TYPE_CHECKING:
    import asyncpg

    from flora.storage.postgres import Connection

RUNS_OF_ONE: Final = 100
"""Runs that are kept of a job, newest first; a job that runs every second must not fill the database."""
RUNS_OF_GUILD: Final = 5000
"""Of all jobs and tasks of one guild: tasks may have as many keys as they like."""
REMOVED_FOR: Final = timedelta(days=1)
"""How long a job that is not declared any more keeps its place, for a script that is put back."""
MAX_ERROR: Final = 2000
MAX_PAGE: Final = 100


class CatchUp(enum.StrEnum):
    """What becomes of occurrences that were missed."""

    NONE = "none"
    LATEST = "latest"  # the last one runs
    ALL = "all"  # each of them runs, one after another


class RunKind(enum.StrEnum):
    CRON = "cron"
    TASK = "task"


class Trigger(enum.StrEnum):
    """Why it ran."""

    SCHEDULE = "schedule"
    CATCH_UP = "catch_up"
    RETRY = "retry"
    MANUAL = "manual"


class RunOutcome(enum.StrEnum):
    DONE = "done"
    FAILED = "failed"  # the handler threw
    TIMEOUT = "timeout"
    CRASHED = "crashed"  # its guild process died under it, more than once
    SKIPPED = "skipped"  # the run before had not ended
    SHED = "shed"  # too many events waited


@dataclass(frozen=True, slots=True)
class StoredJob:
    """`done_until`: occurrences up to then have ended, or do not count. `removed_at`: None while declared."""

    guild_id: GuildId
    name: str
    expression: str
    time_zone: str
    skip_if_running: bool
    catch_up: CatchUp
    jitter_secs: float
    done_until: datetime
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that has ended. `name` is the job's or the task's key, `scheduled_at` its nominal time."""

    guild_id: GuildId
    kind: RunKind
    name: str
    event_id: str
    trigger: Trigger
    attempt: int
    scheduled_at: datetime
    started_at: datetime
    ended_at: datetime
    outcome: RunOutcome
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Run(NewRun):
    id: int = 0


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs, newest first; `cursor` asks for the next page, None at the end."""

    runs: tuple[Run, ...]
    cursor: str | None


class ScheduleStore:
    """The one place where cron jobs and runs are written. Errors: those of `Database.run`, and
    InvalidCursorError.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def jobs(self) -> list[StoredJob]:
        """All of them, also those removed lately."""

        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch("select * from cron_jobs order by guild_id, name")

        return [_job(row) for row in await self._db.run(unit, idempotent=True)]

    async def save(
        self,
        *,
        declared: Mapping[GuildId, Sequence[StoredJob]],
        marks: Mapping[tuple[GuildId, str], datetime],
        tasks: Sequence[TaskEnd],
        runs: Sequence[NewRun],
    ) -> None:
        """Write what has happened, all of it or nothing.

        `declared` are guilds with the whole of their jobs, `marks` how far jobs have come, `tasks` and `runs`
        what has ended.
        """
        # Two of these never run side by side in one host; a fixed order keeps two hosts from a deadlock.
        jobs = [job for guild_id in sorted(declared) for job in sorted(declared[guild_id], key=_name)]
        new_marks = [(guild_id, name, marks[guild_id, name]) for guild_id, name in sorted(marks)]

        async def unit(con: Connection) -> None:
            for guild_id in sorted(declared):
                await con.execute(
                    """update cron_jobs set removed_at = now()
                       where guild_id = $1 and removed_at is null and name <> all($2::text[])""",
                    guild_id,
                    [job.name for job in declared[guild_id]],
                )
            await con.executemany(
                """insert into cron_jobs (guild_id, name, expression, time_zone, skip_if_running, catch_up,
                       jitter_secs, done_until)
                   values ($1, $2, $3, $4, $5, $6, $7, $8)
                   on conflict (guild_id, name) do update set
                       expression = excluded.expression, time_zone = excluded.time_zone,
                       skip_if_running = excluded.skip_if_running, catch_up = excluded.catch_up,
                       jitter_secs = excluded.jitter_secs, done_until = excluded.done_until,
                       declared_at = now(), removed_at = null""",
                [
                    (
                        job.guild_id,
                        job.name,
                        job.expression,
                        job.time_zone,
                        job.skip_if_running,
                        job.catch_up.value,
                        job.jitter_secs,
                        job.done_until,
                    )
                    for job in jobs
                ],
            )
            await con.executemany(
                "update cron_jobs set done_until = $3 where guild_id = $1 and name = $2", new_marks
            )
            await settle_tasks(con, tasks)
            await con.executemany(
                """insert into schedule_runs (guild_id, kind, name, event_id, trigger, attempt,
                       scheduled_at, started_at, ended_at, outcome, error)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
                [
                    (
                        run.guild_id,
                        run.kind.value,
                        run.name,
                        run.event_id,
                        run.trigger.value,
                        run.attempt,
                        run.scheduled_at,
                        run.started_at,
                        run.ended_at,
                        run.outcome.value,
                        None if run.error is None else no_nul(run.error)[:MAX_ERROR],
                    )
                    for run in runs
                ],
            )

        await self._db.transact(unit)

    async def last_runs(self, guild_id: GuildId) -> dict[str, Run]:
        """The newest run of each of the guild's jobs, by name."""

        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch(
                """select run.* from cron_jobs job cross join lateral (
                       select * from schedule_runs
                       where guild_id = job.guild_id and kind = 'cron' and name = job.name
                       order by id desc limit 1) run
                   where job.guild_id = $1""",
                guild_id,
            )

        return {row["name"]: _run(row) for row in await self._db.run(unit, idempotent=True)}

    async def history(
        self,
        guild_id: GuildId,
        kind: RunKind,
        name: str | None = None,
        *,
        limit: int = 20,
        cursor: str | None = None,
    ) -> RunPage:
        """A page of runs of one job or task, or of all of a kind, newest first; `limit` is cut to
        1..MAX_PAGE. Raises InvalidCursorError.
        """
        limit = max(1, min(limit, MAX_PAGE))
        before = cursors.before(cursor)

        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch(
                """select * from schedule_runs
                   where guild_id = $1 and kind = $2 and ($3::text is null or name = $3) and id < $4
                   order by id desc limit $5""",
                guild_id,
                kind.value,
                None if name is None else no_nul(name),
                before,
                limit + 1,
            )

        rows = await self._db.run(unit, idempotent=True)
        runs = tuple(_run(row) for row in rows[:limit])
        return RunPage(runs, str(runs[-1].id) if len(rows) > limit else None)

    async def sweep(self, *, of_one: int = RUNS_OF_ONE, of_guild: int = RUNS_OF_GUILD) -> int:
        """Remove runs beyond what is kept, and jobs that were removed long ago; how many runs there were."""

        async def unit(con: Connection) -> str:
            await con.execute("delete from cron_jobs where removed_at < now() - $1::interval", REMOVED_FOR)
            return await con.execute(
                """delete from schedule_runs using (
                       select id,
                           row_number() over (partition by guild_id, kind, name order by id desc) as of_one,
                           row_number() over (partition by guild_id order by id desc) as of_guild
                       from schedule_runs) ranked
                   where schedule_runs.id = ranked.id and (of_one > $1 or of_guild > $2)""",
                of_one,
                of_guild,
            )

        return int((await self._db.run(unit, idempotent=True)).removeprefix("DELETE "))

    async def forget(self, guild_id: GuildId) -> None:
        """Remove all that there is of a guild, its tasks as well."""

        async def unit(con: Connection) -> None:
            for table in ("cron_jobs", "tasks", "schedule_runs"):
                await con.execute(f"delete from {table} where guild_id = $1", guild_id)

        await self._db.run(unit, idempotent=True)


def _name(job: StoredJob) -> str:
    return job.name


def _job(row: asyncpg.Record) -> StoredJob:
    return StoredJob(
        GuildId(row["guild_id"]),
        row["name"],
        row["expression"],
        row["time_zone"],
        row["skip_if_running"],
        CatchUp(row["catch_up"]),
        row["jitter_secs"],
        row["done_until"],
        row["removed_at"],
    )


def _run(row: asyncpg.Record) -> Run:
    return Run(
        guild_id=GuildId(row["guild_id"]),
        kind=RunKind(row["kind"]),
        name=row["name"],
        event_id=row["event_id"],
        trigger=Trigger(row["trigger"]),
        attempt=row["attempt"],
        scheduled_at=row["scheduled_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        outcome=RunOutcome(row["outcome"]),
        error=row["error"],
        id=row["id"],
    )
