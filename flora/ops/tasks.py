"""One-shot tasks. Scope is by construction: the guild is the context's, never an argument."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import msgspec

from flora.engine.api import OpCall, OpError
from flora.ops.arguments import NULL, Id
from flora.ops.errors import invalid_input
from flora.ops.table import OpContext, op
from flora.storage.task_times import due_at
from flora.storage.tasks import InvalidTaskError, Task, TaskStore


class ScheduleArgs(msgspec.Struct, rename="camel"):
    """`at` or `in_`, as `flora.storage.task_times` reads them."""

    key: str | None = None
    at: str | float | None = None
    in_: str | float | None = msgspec.field(default=None, name="in")
    data: msgspec.Raw = msgspec.Raw(NULL)
    channel_id: Id | None = None


class KeyArgs(msgspec.Struct):
    key: str


class ListArgs(msgspec.Struct):
    prefix: str = ""


class TaskJson(msgspec.Struct, rename="camel"):
    key: str
    at: str
    next_at: str
    data: msgspec.Raw
    channel_id: str | None
    failures: int
    error: str | None
    dead: bool


@op("task_schedule")
async def task_schedule(ctx: OpContext, args: ScheduleArgs, call: OpCall) -> bytes:
    store = _store(ctx)
    if not ctx.task_writes.try_take():
        raise OpError("tasks are scheduled too fast; schedule fewer, or later", code="TASK_RATE_LIMITED")
    # Without a key a second try of the same event makes the same task.
    key = args.key if args.key is not None else _key_of(call)
    try:
        due = due_at(args.at, args.in_, datetime.fromtimestamp(ctx.clock(), UTC))
        task = await store.schedule(ctx.guild_id, key, due, bytes(args.data), args.channel_id)
    except InvalidTaskError as error:
        raise invalid_input(error.field, error.message) from None
    return msgspec.json.encode(_json(task))


@op("task_cancel")
async def task_cancel(ctx: OpContext, args: KeyArgs, call: OpCall) -> bytes:
    return msgspec.json.encode(await _store(ctx).cancel(ctx.guild_id, args.key) is not None)


@op("task_list")
async def task_list(ctx: OpContext, args: ListArgs, call: OpCall) -> bytes:
    tasks = await _store(ctx).of(ctx.guild_id, prefix=args.prefix)
    return msgspec.json.encode([_json(task) for task in tasks])


def _store(ctx: OpContext) -> TaskStore:
    if ctx.tasks is None:
        raise OpError("this host keeps no tasks", code="TASKS_UNAVAILABLE")
    return ctx.tasks


def _key_of(call: OpCall) -> str:
    if call.event_id is None or len(call.event_id) > 100:
        return f"auto:{uuid4()}"
    return f"auto:{call.event_id}:{call.call_index}"


def _json(task: Task) -> TaskJson:
    return TaskJson(
        key=task.key,
        at=_iso(task.due_at),
        next_at=_iso(task.next_at),
        data=msgspec.Raw(task.data),
        channel_id=task.channel_id,
        failures=task.failures,
        error=task.error,
        dead=task.dead_at is not None,
    )


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
