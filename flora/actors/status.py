"""Guilds and workers as operators see them: values for lists, the HTTP API and the command line."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from flora.actors.core import GuildView, State
from flora.ids import GuildId


class Condition(enum.StrEnum):
    """How a guild is, in one word."""

    RUNNING = "running"
    STARTING = "starting"
    MOVING = "moving"
    RESTARTING = "restarting"  # its process ended or did not start; perhaps it waits out its back-off
    HIBERNATING = "hibernating"  # stopped until something needs its process
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class GuildStatus:
    """One guild. Times are in seconds.

    `waiting` and `in_flight` count events and changes. `failures` counts starts and processes lost in a row.
    """

    guild_id: GuildId
    condition: Condition
    worker: int | None
    epoch: int
    pid: int | None
    waiting: int
    in_flight: int
    failures: int
    moving_to: int | None
    move_phase: str | None
    resumes_in: float | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker: a unit of placement. `queue_delay` is how long its oldest event waits for a slot."""

    index: int
    alive: bool
    drained: bool
    guilds: int
    waiting: int
    in_flight: int
    queue_delay: float


class Relocation(enum.StrEnum):
    """How the removal of one guild from a worker ended."""

    MOVED = "moved"
    ROLLED_BACK = "rolled_back"
    FAILED_OVER = "failed_over"
    GONE = "gone"  # it had left before, or was undeployed
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Relocated:
    """`worker` is where the guild is now."""

    guild_id: GuildId
    outcome: Relocation
    worker: int | None
    reason: str


def condition_of(view: GuildView, *, has_process: bool) -> Condition:
    if view.state in (State.STOPPED, State.CLOSED):
        return Condition.STOPPED
    if view.moving_to is not None:
        return Condition.MOVING
    if view.state in (State.HIBERNATING, State.ASLEEP):
        return Condition.HIBERNATING
    if view.state is State.HOMELESS or (view.failures and not has_process):
        return Condition.RESTARTING
    return Condition.RUNNING if has_process else Condition.STARTING


def stopped(guild_id: GuildId) -> GuildStatus:
    """A guild that nothing is known of but that it has a script."""
    return GuildStatus(guild_id, Condition.STOPPED, None, 0, None, 0, 0, 0, None, None, None, None)
