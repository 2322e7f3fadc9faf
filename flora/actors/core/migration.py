"""The migration of one guild: phases, their deadlines, and where each answer, silence or loss leads.

Implements `migration.md`, "A protocol that satisfies them". The table below is the whole protocol; a pair
of phase and input that is not in it means nothing in that phase and changes nothing.

    WAIT     the guild is starting, or carries out a control, or falls asleep: not before that has ended
    DRAIN    the route is closed (nothing starts); what has started may end by itself
    CANCEL   the drain deadline has passed: handlers in flight are cancelled
    RELEASE  nothing is in flight; the source is asked to let go of the live process
    ADOPT    released: k := k + 1, and a candidate is asked to take the process over.
             Candidates in turn: the target, the source, a third worker
    KILL     somebody holds the process and does not answer: it is killed, and its exit awaited
    OPEN     ended: the guild is open with its live process (moved, or rolled back)
    REVIVE   ended: the live process is gone; the guild is started from its deployment (failed over)

Where is a migration's place in the guild's order (I8)? Right behind what has started: what still waits has
seen neither owner, loses nothing by being carried over unstarted, and a guild with ten thousand events in
its queue can be moved away from a worker that is too slow for it. Entries that come during the move append
to the same mailbox. Therefore "flush all un-acked in order, then open" is one assignment here: there is one
queue, and opening lets the next owner take from its front.

A guild that sleeps has no process to hand over: WAIT ends at once, and only the route has changed.

I9: a candidate is asked only when the source's release is known, or its process has been killed; and k grew.
Every phase but the last two has a deadline, candidates are at most three, so `Deadlines.total` bounds a
migration (L1). A late answer meets another epoch, or a phase without a row for it (L5).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flora.actors.core.commands import Adopt, Cancel, Kill, MoveDone, MoveOutcome, Release

if TYPE_CHECKING:
    from flora.actors.core.guild import GuildMachine


class Phase(enum.Enum):
    WAIT = "wait"
    DRAIN = "drain"
    CANCEL = "cancel"
    RELEASE = "release"
    ADOPT = "adopt"
    KILL = "kill"
    OPEN = "open"
    REVIVE = "revive"


class Input(enum.Enum):
    GO = "go"  # the guild is open
    ASLEEP = "asleep"  # the guild sleeps
    DRAINED = "drained"  # nothing is in flight
    RELEASED = "released"
    ADOPTED = "adopted"
    REFUSED = "refused"  # the one who was asked says no
    TIMEOUT = "timeout"  # the phase's deadline
    OWNER_LOST = "owner_lost"  # the worker that holds the guild has gone
    TARGET_LOST = "target_lost"  # the worker it shall move to has gone
    PROCESS_LOST = "process_lost"  # the guild's process has ended
    GONE = "gone"  # the guild was undeployed, or flora shuts down


TRANSITIONS: Final[dict[Phase, dict[Input, Phase]]] = {
    Phase.WAIT: {
        Input.GO: Phase.DRAIN,
        Input.ASLEEP: Phase.OPEN,
        Input.TIMEOUT: Phase.OPEN,
        Input.OWNER_LOST: Phase.REVIVE,
        Input.TARGET_LOST: Phase.OPEN,
        Input.GONE: Phase.OPEN,
    },
    Phase.DRAIN: {
        Input.DRAINED: Phase.RELEASE,
        Input.TIMEOUT: Phase.CANCEL,
        Input.OWNER_LOST: Phase.REVIVE,
        Input.PROCESS_LOST: Phase.REVIVE,
        Input.TARGET_LOST: Phase.OPEN,
        Input.GONE: Phase.OPEN,
    },
    Phase.CANCEL: {
        Input.DRAINED: Phase.RELEASE,
        Input.TIMEOUT: Phase.KILL,
        Input.OWNER_LOST: Phase.REVIVE,
        Input.PROCESS_LOST: Phase.REVIVE,
        Input.TARGET_LOST: Phase.OPEN,
        Input.GONE: Phase.OPEN,
    },
    # Asked to let go, the source will: a lost target is found out when the next candidate is chosen.
    Phase.RELEASE: {
        Input.RELEASED: Phase.ADOPT,
        Input.REFUSED: Phase.OPEN,
        Input.TIMEOUT: Phase.KILL,
        Input.OWNER_LOST: Phase.REVIVE,
        Input.PROCESS_LOST: Phase.REVIVE,
        Input.GONE: Phase.REVIVE,
    },
    Phase.ADOPT: {
        Input.ADOPTED: Phase.OPEN,
        Input.REFUSED: Phase.ADOPT,
        Input.TIMEOUT: Phase.ADOPT,
        Input.OWNER_LOST: Phase.ADOPT,
        Input.PROCESS_LOST: Phase.REVIVE,
        Input.GONE: Phase.REVIVE,
    },
    Phase.KILL: {
        Input.TIMEOUT: Phase.REVIVE,
        Input.OWNER_LOST: Phase.REVIVE,
        Input.PROCESS_LOST: Phase.REVIVE,
        Input.GONE: Phase.REVIVE,
    },
    Phase.OPEN: {},
    Phase.REVIVE: {},
}

MAX_CANDIDATES: Final = 3  # the target, the source, a third


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that each phase may take."""

    wait: float = 40.0  # a start or a deploy: boot and load of a process (5 s + 30 s), and some air
    drain: float = 0.5  # runtime.migration_timeout_ms
    cancel: float = 0.1  # a cancelled handler that yields is gone in milliseconds
    release: float = 1.0  # a message to an actor and back
    adopt: float = 1.0
    kill: float = 1.0  # SIGKILL and wait

    @property
    def total(self) -> float:
        """No migration takes longer."""
        return self.wait + self.drain + self.cancel + self.release + MAX_CANDIDATES * self.adopt + self.kill


class Move:
    """One migration under way, made and fed by the guild's machine. It has ended in OPEN and REVIVE."""

    __slots__ = ("_asked", "baggage", "guild", "id", "phase", "source", "target")

    def __init__(self, guild: GuildMachine, move_id: int, source: int, target: int) -> None:
        self.guild = guild
        self.id = move_id
        self.source = source
        self.target = target
        self.phase = Phase.WAIT
        self.baggage: object = None
        self._asked: list[int] = []  # candidates so far

    def begin(self) -> None:
        self.guild.arm(self.guild.house.deadlines.wait)

    def on(self, happened: Input, reason: str = "") -> bool:
        """Take one step. Returns False when `happened` means nothing in the present phase."""
        phase = TRANSITIONS[self.phase].get(happened)
        if phase is None:
            return False
        reason = reason or f"{happened.value} during {self.phase.value}"
        left, self.phase = self.phase, phase
        match phase:
            case Phase.DRAIN:
                self._drain()
            case Phase.CANCEL:
                self._cancel()
            case Phase.RELEASE:
                self._release()
            case Phase.ADOPT:
                self._adopt(reason)
            case Phase.KILL:
                self._kill()
            case Phase.OPEN:
                self._open(left, happened, reason)
            case Phase.REVIVE:
                self._revive(happened, reason)
            case Phase.WAIT:
                raise AssertionError("nothing leads back to WAIT")
        return True

    # What is done on entering a phase.

    def _drain(self) -> None:
        self.guild.close_route()
        if self.guild.running:
            self.guild.arm(self.guild.house.deadlines.drain)
        else:
            self.on(Input.DRAINED)

    def _cancel(self) -> None:
        guild = self.guild
        guild.arm(guild.house.deadlines.cancel)
        guild.emit(Cancel(guild.guild_id, guild.seat, guild.epoch))

    def _release(self) -> None:
        guild = self.guild
        guild.arm(guild.house.deadlines.release)
        guild.emit(Release(guild.guild_id, guild.seat, guild.epoch, guild.incarnation))

    def _adopt(self, reason: str) -> None:
        guild = self.guild
        if self._asked:
            guild.retire(None)  # the candidate that failed; the process is not its any more
        candidate = self._next_candidate()
        if candidate is None:
            self.phase = Phase.KILL
            self._kill()
            return
        self._asked.append(candidate)
        guild.hand_to(candidate)
        guild.arm(guild.house.deadlines.adopt)
        guild.emit(Adopt(guild.guild_id, candidate, guild.epoch, guild.incarnation, self.baggage))

    def _next_candidate(self) -> int | None:
        placement = self.guild.house.placement
        if len(self._asked) >= MAX_CANDIDATES:
            return None
        third = [worker for worker in range(placement.workers) if not placement.is_closed(worker)]
        for candidate in (self.target, self.source, *third):
            if placement.is_alive(candidate) and candidate not in self._asked:
                return candidate
        return None

    def _kill(self) -> None:
        guild = self.guild
        guild.arm(guild.house.deadlines.kill)
        guild.emit(Kill(guild.guild_id, guild.seat, guild.epoch, guild.incarnation))

    def _open(self, left: Phase, happened: Input, reason: str) -> None:
        if happened is Input.ASLEEP:
            self.guild.house.placement.route(self.guild.guild_id, self.target)
            self._end(MoveOutcome.MOVED, "", worker=self.target)
            return
        if happened is not Input.ADOPTED or self.guild.worker == self.source:
            self._end(MoveOutcome.ROLLED_BACK, reason)
        elif self.guild.worker == self.target:
            self._end(MoveOutcome.MOVED, "")
        else:
            self._end(MoveOutcome.FAILED_OVER, reason)
        if left is not Phase.WAIT and happened is not Input.GONE:
            self.guild.open_route()

    def _revive(self, happened: Input, reason: str) -> None:
        if happened is Input.GONE:
            self._end(MoveOutcome.FAILED_OVER, reason)
            return
        self.guild.fail_over(prefer=self.target)
        self._end(MoveOutcome.FAILED_OVER, reason)

    def _end(self, outcome: MoveOutcome, reason: str, *, worker: int | None = None) -> None:
        guild = self.guild
        worker = guild.worker if worker is None else worker
        guild.move_ended()
        guild.house.count(f"move:{outcome.value}")
        guild.emit(MoveDone(guild.guild_id, self.id, outcome, self.source, self.target, worker, reason))
