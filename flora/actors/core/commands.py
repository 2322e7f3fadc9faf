"""What the machines ask of their drivers, and the receipts with which the drivers answer.

Commands are frozen values. A driver carries one out and answers by the `Router` method that the command
names, handing the command itself back: it holds the guild, the epoch and the incarnation, so that an answer
which comes too late is recognised and refused, never guessed at.

`epoch` (k) numbers owners: it grows at every hand-over and every activation. `incarnation` numbers guild
processes: it grows with every process that is to be started, and stays when a live one changes hands.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from flora.actors.core.mailbox import Control, ControlKind, Event
from flora.ids import GuildId


class Outcome(enum.StrEnum):
    """How a handler ended, for `Router.ack`. All of them end the event for good."""

    DONE = "done"
    FAILED = "failed"  # a handler threw
    TIMEOUT = "timeout"  # it ran past its limit and the process goes on
    UNLISTENED = "unlistened"  # no handler: the present script does not listen to it


class Verdict(enum.Enum):
    """What `Router.accept` did with an event."""

    ACCEPTED = "accepted"
    SHED = "shed"  # accepted and given up at once, counted
    UNLISTENED = "unlistened"  # no handler listens to it; it never had a number
    NOT_DEPLOYED = "not_deployed"
    DUPLICATE = "duplicate"  # this event id was seen before
    CLOSING = "closing"  # shutting down: the gateway's cursor stays before it


class MoveOutcome(enum.StrEnum):
    MOVED = "moved"
    ROLLED_BACK = "rolled_back"
    FAILED_OVER = "failed_over"


class Delivery(NamedTuple):
    """One start of one event: the owner runs its handlers and gives this back to `ack` or `fail`."""

    guild_id: GuildId
    n: int
    epoch: int
    attempt: int
    worker: int
    event: Event


@dataclass(frozen=True, slots=True)
class Wake:
    """Worker `worker` sleeps and has work: call `next(worker)` until it answers None. No answer."""

    worker: int


@dataclass(frozen=True, slots=True)
class Activate:
    """Make `worker` the owner and start a process from `deployment`, after the back-off of `failures`
    consecutive failures (0: none).

    Answer: `activated`, `activation_failed`. With `deployment` None there is no script yet: become the owner
    without a process; a deploy follows. `wakes`: it slept, and `kept` is what `hibernated` brought.
    """

    guild_id: GuildId
    worker: int
    epoch: int
    incarnation: int
    deployment: object
    failures: int
    wakes: bool = False
    kept: object = None


@dataclass(frozen=True, slots=True)
class Apply:
    """Carry out a control; nothing of the guild is in flight meanwhile. Answer: `applied`.

    Deploy and restart start the process `incarnation` and end the present one, if there is one, only when
    the new one has loaded; when they fail, the present one stays. After a successful undeploy the machine
    retires the owner and its process by itself.
    """

    guild_id: GuildId
    worker: int
    epoch: int
    incarnation: int
    n: int
    attempt: int
    control: Control


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel the handlers in flight of `epoch`; each answers by `ack` or `fail` as it ends."""

    guild_id: GuildId
    worker: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill the process `incarnation` (SIGKILL). Answer: `process_lost`, when its exit is known."""

    guild_id: GuildId
    worker: int
    epoch: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class Release:
    """Let go of the live process; nothing is in flight. Answer: `released`, `release_refused`."""

    guild_id: GuildId
    worker: int
    epoch: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """Take over the live process as owner `epoch`. `baggage` is what `released` brought.

    Answer: `adopted`, `adopt_refused`. Attach only while `is_current(guild_id, epoch)`, in the same step:
    when this comes late, another candidate has the process. One that is attached elsewhere is simply taken.
    """

    guild_id: GuildId
    worker: int
    epoch: int
    incarnation: int
    baggage: object


@dataclass(frozen=True, slots=True)
class Hibernate:
    """End the process in order; nothing of the guild waits or is in flight.

    Answer: `hibernated`, when it has ended, or `hibernate_refused`, and it goes on.
    """

    guild_id: GuildId
    worker: int
    epoch: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class Retire:
    """Owner `epoch` on `worker` is one no longer: cancel all that it does for the guild.

    And kill every process of the guild up to `incarnation`; None: leave it alone, another owner has it.
    No answer. It may name an owner or a process that has gone long ago; then there is nothing to do.
    """

    guild_id: GuildId
    worker: int
    epoch: int
    incarnation: int | None


@dataclass(frozen=True, slots=True)
class Arm:
    """Call `timeout(guild_id, serial)` in `seconds`. A newer one for the guild replaces it. No answer."""

    guild_id: GuildId
    serial: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Store the event, it will not be tried again; then call `stored(command)`."""

    guild_id: GuildId
    n: int
    attempts: int
    event: Event
    reason: str


@dataclass(frozen=True, slots=True)
class ControlDone:
    """A control has ended. `error` None is success. No answer; resolve what waits for (guild, n)."""

    guild_id: GuildId
    n: int
    kind: ControlKind
    error: str | None


@dataclass(frozen=True, slots=True)
class MoveDone:
    """A migration has ended. `worker` is the owner now (None: no worker is alive), or the one that will wake
    the guild. No answer.
    """

    guild_id: GuildId
    move: int
    outcome: MoveOutcome
    source: int
    target: int
    worker: int | None
    reason: str


Command = (
    Wake
    | Activate
    | Apply
    | Cancel
    | Kill
    | Release
    | Adopt
    | Hibernate
    | Retire
    | Arm
    | DeadLetter
    | ControlDone
    | MoveDone
)
