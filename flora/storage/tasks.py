"""One-shot tasks: what a script wants done at a time, kept until it has been done or given up."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from flora.errors import FloraError
from flora.ids import GuildId
from flora.storage.postgres import Database
from flora.storage.texts import no_nul

if TYPE_CHECKING:
    import asyncpg

    from flora.storage.postgres import Connection

MAX_KEY: Final = 128
MAX_AHEAD: Final = timedelta(days=3660)
MAX_ERROR: Final = 2000
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class InvalidTaskError(FloraError):
    """A task is refused. `field` is the argument that is wrong."""

    code = "INVALID_TASK"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class TaskLimitError(FloraError):
    code = "TASK_LIMIT"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"a guild may have {limit} tasks, and it has them already.", hint="Cancel some with tasks.cancel."
        )


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """`per_guild` tasks that wait or are dead, `data_bytes` of JSON each."""

    per_guild: int = 1000
    data_bytes: int = 16 * 1024


@dataclass(frozen=True, slots=True)
class Task:
    """`due_at` is when it was wanted, `next_at` when it is tried next; `dead_at`: given up then. `hurried`:
    somebody wants the next attempt now.

    `id` is new whenever the key is scheduled anew. `data` is JSON text, UTF-8.
    """

    id: UUID
    guild_id: GuildId
    key: str
    channel_id: str | None
    data: bytes
    due_at: datetime
    next_at: datetime
    failures: int
    error: str | None
    dead_at: datetime | None
    created_at: datetime
    hurried: bool = False


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """An attempt has ended. `next_at`: it is tried again then; `error` alone: given up; neither: done."""

    id: UUID
    error: str | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """When a task is tried next."""

    id: UUID
    guild_id: GuildId
    at: datetime


class TaskStore:
    """The one place where tasks are written. Errors: those of `Database.run` beside what is named."""

    def __init__(self, db: Database, limits: TaskLimits | None = None) -> None:
        self._db = db
        self._limits = limits or TaskLimits()
        self._changed: Callable[[Task], None] = lambda _: None
        self._cancelled: Callable[[Task], None] = lambda _: None

    def watch(self, changed: Callable[[Task], None], cancelled: Callable[[Task], None]) -> None:
        """Have the scheduler told of what is written here; neither may wait."""
        self._changed, self._cancelled = changed, cancelled

    async def schedule(
        self, guild_id: GuildId, key: str, due_at: datetime, data: bytes, channel_id: str | None = None
    ) -> Task:
        """Keep a task, in place of one of the same key. Raises InvalidTaskError, TaskLimitError."""
        if not 0 < len(key) <= MAX_KEY or _UNPRINTABLE.search(key):
            raise InvalidTaskError("key", f"a key has 1 to {MAX_KEY} printable characters")
        if len(data) > self._limits.data_bytes:
            raise InvalidTaskError(
                "data", f"{len(data)} bytes of JSON, the limit is {self._limits.data_bytes}"
            )
        if due_at > datetime.now(UTC) + MAX_AHEAD:
            raise InvalidTaskError("at", f"more than {MAX_AHEAD.days} days from now")

        task_id = uuid4()

        async def unit(con: Connection) -> asyncpg.Record | None:
            # Taken by every schedule() of the guild, so that two of them cannot pass the limit together.
            await con.execute(
                "select pg_advisory_xact_lock(hashtextextended($1, 0))", f"flora.tasks:{guild_id}"
            )
            others = await con.fetchval(
                "select count(*) from tasks where guild_id = $1 and key <> $2", guild_id, key
            )
            if others >= self._limits.per_guild:
                return None
            return await con.fetchrow(
                """insert into tasks as old (id, guild_id, key, channel_id, data, due_at, next_at)
                   values ($1, $2, $3, $4, $5, $6, $6)
                   on conflict (guild_id, key) do update set
                       id = excluded.id, channel_id = excluded.channel_id, data = excluded.data,
                       due_at = excluded.due_at, next_at = excluded.next_at,
                       failures = 0, error = null, dead_at = null, created_at = now(), hurried = false
                   returning *""",
                task_id,
                guild_id,
                key,
                channel_id,
                data,
                due_at,
            )

        row = await self._db.transact(unit, idempotent=True)
        if row is None:
            raise TaskLimitError(self._limits.per_guild)
        task = _task(row)
        self._changed(task)
        return task

    async def cancel(self, guild_id: GuildId, key: str) -> Task | None:
        """Forget a task; None when there is none. An attempt that has begun goes on."""
        found: asyncpg.Record | None = None

        async def unit(con: Connection) -> asyncpg.Record | None:
            nonlocal found  # an attempt whose outcome is unknown may have deleted it
            row = await con.fetchrow(
                "select * from tasks where guild_id = $1 and key = $2", guild_id, no_nul(key)
            )
            if row is not None:
                found = row
                await con.execute("delete from tasks where id = $1", row["id"])
            return found

        row = await self._db.run(unit, idempotent=True)
        if row is None:
            return None
        task = _task(row)
        self._cancelled(task)
        return task

    async def hurry(self, guild_id: GuildId, key: str) -> Task | None:
        """Have a task tried now, also one that was given up; None when there is none."""

        async def unit(con: Connection) -> asyncpg.Record | None:
            return await con.fetchrow(
                """update tasks set next_at = now(), dead_at = null, hurried = true,
                       failures = case when dead_at is null then failures else 0 end
                   where guild_id = $1 and key = $2 returning *""",
                guild_id,
                no_nul(key),
            )

        row = await self._db.run(unit, idempotent=True)
        if row is None:
            return None
        task = _task(row)
        self._changed(task)
        return task

    async def of(self, guild_id: GuildId, *, prefix: str = "") -> list[Task]:
        """The guild's tasks, the next one first, those given up last; at most what a guild may have."""

        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch(
                """select * from tasks where guild_id = $1 and starts_with(key, $2)
                   order by dead_at is not null, next_at, key""",
                guild_id,
                no_nul(prefix),
            )

        return [_task(row) for row in await self._db.run(unit, idempotent=True)]

    async def due(
        self, until: datetime, *, besides: Collection[GuildId] = (), limit: int = 10_000
    ) -> list[Alarm]:
        """The tasks that are tried next before `until`, the earliest first; `besides`: not those of these."""

        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch(
                """select id, guild_id, next_at from tasks
                   where dead_at is null and next_at <= $1 and guild_id <> all($2::text[])
                   order by next_at limit $3""",
                until,
                list(besides),
                limit,
            )

        rows = await self._db.run(unit, idempotent=True)
        return [Alarm(row["id"], GuildId(row["guild_id"]), row["next_at"]) for row in rows]

    async def fetch(self, ids: Collection[UUID]) -> list[Task]:
        """Those of these tasks that are still there and not given up."""

        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch(
                "select * from tasks where id = any($1::uuid[]) and dead_at is null", list(ids)
            )

        return [_task(row) for row in await self._db.run(unit, idempotent=True)]


async def settle_tasks(con: Connection, ends: Sequence[TaskEnd]) -> None:
    """Write how attempts ended. A task that was scheduled anew meanwhile has another id and stays."""
    done = [end.id for end in ends if end.error is None and end.next_at is None]
    if done:
        await con.execute("delete from tasks where id = any($1::uuid[])", done)
    await con.executemany(
        """update tasks set failures = failures + 1, error = $2, next_at = coalesce($3, next_at),
               dead_at = case when $3::timestamptz is null then now() end, hurried = false
           where id = $1""",
        [(end.id, no_nul(end.error)[:MAX_ERROR], end.next_at) for end in ends if end.error is not None],
    )


def _task(row: asyncpg.Record) -> Task:
    return Task(
        row["id"],
        GuildId(row["guild_id"]),
        row["key"],
        row["channel_id"],
        row["data"],
        row["due_at"],
        row["next_at"],
        row["failures"],
        row["error"],
        row["dead_at"],
        row["created_at"],
        row["hurried"],
    )
