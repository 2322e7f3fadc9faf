"""`/cron` and `/tasks`: what a guild's script does at its times; look, run now, cancel, history."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from quart import Blueprint, g
from quart_schema import tag_blueprint

from flora.actors.schedules import CronStatus
from flora.api.auth import Permission, requires
from flora.api.errors import InvalidRequestError
from flora.api.openapi import answers, takes, takes_query
from flora.api.schedule_models import (
    CronJobModel,
    CronJobsModel,
    HistoryQuery,
    RunModel,
    RunsModel,
    StartedModel,
    TaskBody,
    TaskModel,
    TasksModel,
    TasksQuery,
)
from flora.api.services import Schedules, Services
from flora.ids import GuildId
from flora.storage.schedules import Run, RunPage
from flora.storage.task_times import due_at
from flora.storage.tasks import InvalidTaskError, Task

blueprint = Blueprint("schedules", __name__)
tag_blueprint(blueprint, ["schedules"])


def _schedules() -> Schedules:
    services: Services = g.services
    return services.schedules


@blueprint.get("/cron/<guild_id>")
@answers(CronJobsModel, fails=[503])
@requires(Permission.GUILD_READ)
async def list_jobs(guild_id: GuildId) -> CronJobsModel:
    """The cron jobs of this guild's script, by name"""
    return CronJobsModel(items=[_job(status) for status in await _schedules().jobs(guild_id)])


@blueprint.get("/cron/<guild_id>/history")
@answers(RunsModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(HistoryQuery)
async def cron_history(guild_id: GuildId, query_args: HistoryQuery) -> RunsModel:
    """Runs of all this guild's cron jobs, newest first"""
    return _runs(await _schedules().job_history(guild_id, None, query_args.limit, query_args.cursor))


@blueprint.post("/cron/<guild_id>/<path:name>/run")
@answers(StartedModel, fails=[409, 503], status=202)
@requires(Permission.GUILD_DEPLOY)
async def run_job(guild_id: GuildId, name: str) -> tuple[StartedModel, int]:
    """Run a cron job once, now

    409 while it runs, if it has `skipIfRunning`.
    """
    run = _schedules().run_job(guild_id, name)
    started_at = datetime.fromtimestamp(run.started_at, UTC)
    return StartedModel(name=run.name, event_id=run.event_id, started_at=started_at), 202


@blueprint.get("/cron/<guild_id>/<path:name>/history")
@answers(RunsModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(HistoryQuery)
async def job_history(guild_id: GuildId, name: str, query_args: HistoryQuery) -> RunsModel:
    """Runs of one cron job, newest first

    The last hundred are kept, also of a job that the script does not have any more.
    """
    return _runs(await _schedules().job_history(guild_id, name, query_args.limit, query_args.cursor))


@blueprint.get("/tasks/<guild_id>")
@answers(TasksModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(TasksQuery)
async def list_tasks(guild_id: GuildId, query_args: TasksQuery) -> TasksModel:
    """One-shot tasks of this guild that are not done, the next one first"""
    found = await _schedules().tasks(guild_id, query_args.prefix)
    return TasksModel(items=[_task(status.task, running=status.running) for status in found])


@blueprint.post("/tasks/<guild_id>")
@answers(TaskModel, fails=[409, 503], status=201)
@requires(Permission.GUILD_DEPLOY)
@takes(TaskBody)
async def schedule_task(guild_id: GuildId, body: TaskBody) -> tuple[TaskModel, int]:
    """Have this guild's script do something once, at a time or after so long

    As `tasks.schedule` of the SDK: kept until it has been done or given up, in place of a task of the same
    key, so that asking twice is asking once. It waits while the guild runs no script. 409 when the guild has
    as many tasks as it may.
    """
    try:
        due = due_at(body.at, body.in_, datetime.now(UTC))
        data = msgspec.json.encode(body.data)
        task = await _schedules().schedule_task(guild_id, body.key, due, data, body.channel_id)
    except InvalidTaskError as error:
        raise InvalidRequestError(
            f"{error.field}: {error.message}", [{"field": error.field, "problem": error.message}]
        ) from None
    return _task(task, running=False), 201


@blueprint.get("/tasks/<guild_id>/history")
@answers(RunsModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(HistoryQuery)
async def tasks_history(guild_id: GuildId, query_args: HistoryQuery) -> RunsModel:
    """Attempts of all this guild's tasks, newest first"""
    return _runs(await _schedules().task_history(guild_id, None, query_args.limit, query_args.cursor))


@blueprint.post("/tasks/<guild_id>/<path:key>/run")
@answers(TaskModel, fails=[503], status=202)
@requires(Permission.GUILD_DEPLOY)
async def run_task(guild_id: GuildId, key: str) -> tuple[TaskModel, int]:
    """Have a task done now, also one that was given up"""
    return _task(await _schedules().run_task(guild_id, key), running=False), 202


@blueprint.delete("/tasks/<guild_id>/<path:key>")
@answers(TaskModel, fails=[503])
@requires(Permission.GUILD_DEPLOY)
async def cancel_task(guild_id: GuildId, key: str) -> TaskModel:
    """Forget a task

    An attempt that has begun goes on.
    """
    return _task(await _schedules().cancel_task(guild_id, key), running=False)


@blueprint.get("/tasks/<guild_id>/<path:key>/history")
@answers(RunsModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(HistoryQuery)
async def task_history(guild_id: GuildId, key: str, query_args: HistoryQuery) -> RunsModel:
    """Attempts of one task, newest first, also of one that is done"""
    return _runs(await _schedules().task_history(guild_id, key, query_args.limit, query_args.cursor))


def _job(status: CronStatus) -> CronJobModel:
    job = status.job
    return CronJobModel(
        name=job.name,
        expression=job.expression,
        time_zone=job.time_zone,
        skip_if_running=job.skip_if_running,
        catch_up=job.catch_up,
        jitter_secs=job.jitter_secs,
        next_at=status.next_at,
        running=status.running,
        last_run=None if status.last_run is None else _run(status.last_run),
    )


def _runs(page: RunPage) -> RunsModel:
    return RunsModel(items=[_run(run) for run in page.runs], next_cursor=page.cursor)


def _run(run: Run) -> RunModel:
    return RunModel(
        id=run.id,
        name=run.name,
        event_id=run.event_id,
        trigger=run.trigger,
        attempt=run.attempt,
        scheduled_at=run.scheduled_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        outcome=run.outcome,
        error=run.error,
    )


def _task(task: Task, *, running: bool) -> TaskModel:
    return TaskModel(
        key=task.key,
        state="dead" if task.dead_at is not None else "running" if running else "waiting",
        due_at=task.due_at,
        next_at=task.next_at,
        failures=task.failures,
        error=task.error,
        dead_at=task.dead_at,
        created_at=task.created_at,
        channel_id=task.channel_id,
        data=msgspec.json.decode(task.data),
    )
