"""Cron jobs and tasks as they cross the border."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from flora.api.models import SNOWFLAKE, Cursor, Model
from flora.storage.schedules import CatchUp, RunOutcome, Trigger
from flora.storage.tasks import MAX_KEY


class RunModel(Model):
    """A run that has ended."""

    id: int
    name: str = Field(description="The job's name, or the task's key.")
    event_id: str = Field(description="Lines of the guild's log that belong to it have the same.")
    trigger: Trigger
    attempt: int
    scheduled_at: datetime = Field(description="When it was due.")
    started_at: datetime = Field(description="When it took its place among the guild's events.")
    ended_at: datetime
    outcome: RunOutcome
    error: str | None


class RunsModel(Model):
    items: list[RunModel]
    next_cursor: str | None = Field(description="Asks for the next page; null at the end.")


class CronJobModel(Model):
    name: str
    expression: str = Field(examples=["0 9 * * MON-FRI"])
    time_zone: str = Field(examples=["Europe/Berlin"])
    skip_if_running: bool
    catch_up: CatchUp
    jitter_secs: float
    next_at: datetime | None = Field(
        description="When it runs next; null while the guild has no script, and when its times are over."
    )
    running: int = Field(description="Runs that have not ended.")
    last_run: RunModel | None


class CronJobsModel(Model):
    items: list[CronJobModel]


class StartedModel(Model):
    """It has been given to the guild; the history tells how it ends."""

    name: str
    event_id: str
    started_at: datetime


class TaskModel(Model):
    key: str
    state: Literal["waiting", "running", "dead"] = Field(description="`dead`: given up.")
    due_at: datetime = Field(description="When it was wanted.")
    next_at: datetime = Field(description="When it is tried next.")
    failures: int = Field(description="Attempts that failed.")
    error: str | None = Field(description="Of the last of them.")
    dead_at: datetime | None
    created_at: datetime
    channel_id: str | None
    data: Any


class TaskBody(Model):
    """A task for the guild's script: `on("task", ...)` gets it when it is due. `at` or `in`, one of them."""

    key: str = Field(
        min_length=1,
        max_length=MAX_KEY,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="A task of the same key is replaced.",
        examples=["reminder:7"],
    )
    at: str | float | None = Field(
        None, description="ISO 8601 (UTC, unless it says otherwise), or milliseconds since 1970."
    )
    in_: str | float | None = Field(
        None, alias="in", description="From now on: seconds, or text such as 90s, 10m, 2h, 1d, 1w."
    )
    data: Any = Field(None, description="What the script gets with it.")
    channel_id: Annotated[str, StringConstraints(pattern=SNOWFLAKE)] | None = Field(
        None, description="What the script sends without a channel goes there."
    )


class TasksModel(Model):
    items: list[TaskModel] = Field(description="The next one first, those that were given up last.")


class TasksQuery(Model):
    prefix: str = Field("", max_length=128, description="Of the key.")


class HistoryQuery(Model):
    limit: int = Field(20, ge=1, le=100, description="Runs of one page.")
    cursor: Cursor | None = None
