"""Supervision as data: what a parent does when a child ends.

The model is OTP's one_for_one: each child is restarted by itself, from a fresh instance. Where a child fails
more than `intensity.restarts` times within `intensity.within` seconds, either its parent fails in turn or the
child is put into quarantine. Source: Erlang/OTP Design Principles, "Supervisor Behaviour".
"""

from __future__ import annotations

import enum
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from flora.actors.kernel.actor import Actor

M = TypeVar("M")


class Restart(enum.Enum):
    PERMANENT = "permanent"  # always restarted
    TRANSIENT = "transient"  # restarted after a failure, not after an orderly end
    TEMPORARY = "temporary"  # never restarted


@dataclass(frozen=True, slots=True)
class Intensity:
    """At most `restarts` failures in any `within` seconds."""

    restarts: int = 3
    within: float = 5.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before the nth restart in a row: `initial * factor**(n-1)`, at most `maximum`, +- `jitter`."""

    initial: float = 0.1
    factor: float = 2.0
    maximum: float = 30.0
    jitter: float = 0.2

    def delay(self, failures: int, rng: random.Random) -> float:
        exponent = min(failures - 1, 64)  # a float holds factor**64; beyond it the maximum rules anyway
        base = min(self.maximum, self.initial * self.factor**exponent)
        return base * (1 + self.jitter * (2 * rng.random() - 1))


@dataclass(frozen=True, slots=True)
class Escalate:
    """Too many failures make the parent fail."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Too many failures make the child rest, longer each time; nobody else is touched."""

    initial: float = 30.0
    factor: float = 2.0
    maximum: float = 900.0

    def seconds(self, times: int) -> float:
        return min(self.maximum, self.initial * self.factor ** min(times - 1, 64))


@dataclass(frozen=True, slots=True)
class ChildSpec(Generic[M]):
    """How a child is made and kept. `factory` is called anew for every start.

    `start_deadline` bounds `Actor.started`, `stop_deadline` an orderly stop, both in seconds.
    """

    name: str
    factory: Callable[[], Actor[M]]
    restart: Restart = Restart.PERMANENT
    intensity: Intensity = Intensity()
    backoff: Backoff = Backoff()
    exceeded: Escalate | Quarantine = Escalate()
    mailbox_capacity: int = 1024
    start_deadline: float = 30.0
    stop_deadline: float = 5.0


@dataclass(frozen=True, slots=True)
class RestartAfter:
    seconds: float


@dataclass(frozen=True, slots=True)
class QuarantineFor:
    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Pass the failure up."""


@dataclass(frozen=True, slots=True)
class LetEnd:
    """The child is done."""


Verdict = RestartAfter | QuarantineFor | GiveUp | LetEnd


@dataclass(slots=True)
class FailureRecord:
    """The history of one child, and the verdict it leads to. Pure: time and chance come from outside."""

    spec: ChildSpec[object]
    rng: random.Random
    recent: deque[float] = field(default_factory=deque)
    in_a_row: int = 0
    quarantines: int = 0
    restarts: int = 0

    def judge(self, *, failed: bool, now: float, started_at: float) -> Verdict:
        """What to do after the child ended at `now`, having been started at `started_at`."""
        spec = self.spec
        if spec.restart is Restart.TEMPORARY or (spec.restart is Restart.TRANSIENT and not failed):
            return LetEnd()
        window = spec.intensity.within
        if now - started_at > window:  # it ran well for a while: start counting anew
            self.in_a_row = 0
            self.quarantines = 0
        self.in_a_row += 1
        self.recent.append(now)
        while self.recent and now - self.recent[0] > window:
            self.recent.popleft()
        if len(self.recent) > spec.intensity.restarts:
            if isinstance(spec.exceeded, Escalate):
                return GiveUp()
            self.recent.clear()
            self.in_a_row = 0
            self.quarantines += 1
            self.restarts += 1
            return QuarantineFor(spec.exceeded.seconds(self.quarantines))
        self.restarts += 1
        return RestartAfter(spec.backoff.delay(self.in_a_row, self.rng))
