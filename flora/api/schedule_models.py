"""Cron jobs and tasks as they cross the border."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from flora.api.models import Model
from flora.storage.schedules import CatchUp, RunOutcome, Trigger


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


class TasksModel(Model):
    items: list[TaskModel] = Field(description="The next one first, those that were given up last.")


class TasksQuery(Model):
    prefix: str = Field("", max_length=128, description="Of the key.")


class HistoryQuery(Model):
    limit: int = Field(20, ge=1, le=100, description="Runs of one page.")
    cursor: str | None = Field(None, max_length=32, description="`next_cursor` of the page before.")
