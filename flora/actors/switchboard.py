"""Between the router's core and the actors: calls into the core, commands out to who carries them out.

The core (`flora.actors.core`) decides, synchronously; actors do. Every method here is one step without a
checkpoint: an input for the core, then its commands as messages to workers, to the keeper (timers, dead
letters), or as answers to who waits for a control or a move.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from flora.actors.census import Census
from flora.actors.core import (
    Activate,
    Adopt,
    Apply,
    Arm,
    Cancel,
    Control,
    ControlDone,
    ControlKind,
    DeadLetter,
    Deadlines,
    Delivery,
    Event,
    Hibernate,
    Kill,
    Limits,
    Log,
    MoveDone,
    MoveOutcome,
    Outcome,
    Release,
    Retire,
    Router,
    Verdict,
    Wake,
)
from flora.actors.core.commands import Command
from flora.actors.core.guild import GuildMachine
from flora.actors.kernel import ActorError, ActorRef, Reply
from flora.engine.api import Manifest
from flora.errors import FloraError
from flora.gateway.events import GatewayEvent
from flora.gateway.interest import Interest
from flora.ids import GuildId
from flora.metrics import Metrics

log = structlog.get_logger("flora.runtime")

BOOTS_AT_ONCE: Final = 16
"""Guild processes that start side by side. Hundreds of guilds may wake, or lose their worker, in one moment;
without a bound each of them would run into the deadline of a single start."""

WorkerMessage = Wake | Activate | Adopt | Apply | Cancel | Hibernate | Release | Retire
KeeperMessage = Arm | DeadLetter


@dataclass(frozen=True, slots=True)
class Ending:
    """How an injected event ended. Without an `outcome` it was not handled: `crashed` is a dead letter, of a
    guild process that died under it; else it was shed. `reason`: what went wrong.
    """

    outcome: Outcome | None
    reason: str = ""
    crashed: bool = False

    @property
    def handled(self) -> bool:
        return self.outcome is not None


Ended = Callable[[Ending], None]
"""Told of an injected event's end; must not wait."""


class ControlRefusedError(FloraError):
    """A change of a guild did not take place, for a reason that is nobody's script."""

    code = "CHANGE_REFUSED"


class Switchboard:
    def __init__(
        self,
        workers: int,
        metrics: Metrics,
        *,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        history: Log | None = None,
    ) -> None:
        self.core = Router(workers, limits=limits, deadlines=deadlines, log=history)
        self.census = Census()
        self.boots = trio.CapacityLimiter(BOOTS_AT_ONCE)
        self._metrics = metrics
        self._workers: dict[int, ActorRef[WorkerMessage]] = {}
        self._keeper: ActorRef[KeeperMessage] | None = None
        self._results: dict[tuple[GuildId, int], Manifest | FloraError] = {}
        self._controls: dict[tuple[GuildId, int], Reply[Manifest | None]] = {}
        self._moves: dict[int, list[Reply[MoveDone]]] = {}
        self._move_began: dict[GuildId, float] = {}
        self._injected: dict[int, tuple[Event, Ended]] = {}
        self._crashed: dict[int, str] = {}  # injected events that are dead letters, with the reason
        self._woken_at: dict[GuildId, float] = {}
        self._drained: trio.Event | None = None
        self._closed = False

    def connect_worker(self, index: int, ref: ActorRef[WorkerMessage]) -> None:
        self._workers[index] = ref

    def connect_keeper(self, ref: ActorRef[KeeperMessage]) -> None:
        self._keeper = ref

    # ------------------------------------------------------------------ intake

    def accept(self, event: GatewayEvent) -> Verdict:
        """Take an event of the gateway into its guild's order: one critical section."""
        verdict = self.core.accept(event)
        self._carry_out()
        return verdict

    def inject(self, guild_id: GuildId, event: Event, ended: Ended | None = None) -> Verdict:
        """Take an event from within: a replayed dead letter, a cron run.

        When it was accepted, `ended` is called once, in the moment of its end. It is not called when flora
        stops before that.
        """
        if ended is not None:
            self._injected[id(event)] = event, ended
        verdict = self.core.inject(guild_id, event)
        if verdict is not Verdict.ACCEPTED:
            self._injected.pop(id(event), None)
        self._carry_out()
        return verdict

    def control(self, guild_id: GuildId, control: Control) -> Reply[Manifest | None]:
        """Submit a control; the reply is what its script declared, if it started one, or why it failed.

        Raises ControlQueueFullError, RouterClosedError.
        """
        n = self.core.submit(guild_id, control)
        reply: Reply[Manifest | None] = Reply()
        self._controls[guild_id, n] = reply
        self._carry_out()
        return reply

    def migrate(self, guild_id: GuildId, target: int) -> Reply[MoveDone] | None:
        """Begin or join a move; None when `target` owns the guild already. Raises RouterError."""
        move = self.core.migrate(guild_id, target)
        if move is None:
            return None
        reply: Reply[MoveDone] = Reply()
        self._moves.setdefault(move, []).append(reply)
        self._move_began.setdefault(guild_id, trio.current_time())
        self._carry_out()
        return reply

    def restore(self, guild_id: GuildId, deployment: object, manifest: Manifest) -> bool:
        """Have a deployment of an earlier run, asleep; False when the guild has one already."""
        return self.core.restore(guild_id, deployment, _interest(manifest))

    def hibernate(self, guild_id: GuildId, incarnation: int) -> bool:
        """Put a guild to sleep whose process `incarnation` was found idle; whether that has begun."""
        begun = self.core.hibernate(guild_id, incarnation)
        self._carry_out()
        return begun

    # ------------------------------------------------------------------ what owners say

    def next(self, worker: int) -> Delivery | None:
        delivery = self.core.next(worker)
        self._carry_out()
        return delivery

    def ack(self, delivery: Delivery, outcome: Outcome, reason: str = "") -> bool:
        fresh = self.core.ack(delivery, outcome)
        if fresh:
            self._ended_within(delivery.event, Ending(outcome, reason))
        self._carry_out()
        return fresh

    def fail(self, delivery: Delivery, reason: str) -> None:
        self.core.fail(delivery, reason)
        self._carry_out()

    def is_current(self, guild_id: GuildId, epoch: int) -> bool:
        return self.core.is_current(guild_id, epoch)

    def declared(self, guild_id: GuildId, incarnation: int, manifest: Manifest) -> None:
        self.core.declared(guild_id, incarnation, _interest(manifest))

    def activated(self, command: Activate, manifest: Manifest | None) -> None:
        self.core.activated(command, None if manifest is None else _interest(manifest))
        woken_at = self._woken_at.pop(command.guild_id, None)
        if woken_at is not None:
            self._metrics.wake_duration.observe(trio.current_time() - woken_at)
        self._carry_out()

    def activation_failed(self, command: Activate, reason: str) -> None:
        self.census.failed(command.guild_id, reason)
        self.core.activation_failed(command, reason)
        self._carry_out()

    def applied(self, command: Apply, result: Manifest | FloraError | None) -> None:
        """The control has been carried out; an error as `result` means it was not."""
        if result is not None:
            self._results[command.guild_id, command.n] = result
        if isinstance(result, FloraError):
            self.core.applied(command, error=str(result))
        else:
            self.core.applied(command, interest=None if result is None else _interest(result))
        self._carry_out()

    def hibernated(self, command: Hibernate, kept: object) -> None:
        """The process has ended in order; the guild's next owner gets `kept` with `Activate`."""
        if self.core.hibernated(command, kept):
            self._metrics.guild_hibernated.inc()
        self.census.forget_ended(command.guild_id)
        self._carry_out()

    def hibernate_refused(self, command: Hibernate) -> None:
        self.core.hibernate_refused(command)
        self._carry_out()

    def released(self, command: Release, baggage: object) -> None:
        self.core.released(command, baggage)
        self._carry_out()

    def release_refused(self, command: Release, reason: str) -> None:
        self.core.release_refused(command, reason)
        self._carry_out()

    def adopted(self, command: Adopt) -> None:
        self.core.adopted(command)
        self._carry_out()

    def adopt_refused(self, command: Adopt, reason: str) -> None:
        self.core.adopt_refused(command, reason)
        self._carry_out()

    def process_lost(self, guild_id: GuildId, incarnation: int, reason: str) -> None:
        view = self.core.view(guild_id)
        if view is not None and incarnation >= view.incarnation:
            self.census.failed(guild_id, reason)
        self.core.process_lost(guild_id, incarnation, reason)
        self._carry_out()

    def owner_lost(self, guild_id: GuildId, epoch: int, reason: str) -> None:
        """The guild actor of `epoch` has ended, and whatever processes it had go with it."""
        view = self.core.view(guild_id)
        if view is not None and view.epoch == epoch:
            self.census.kill_up_to(guild_id, math.inf, reason)
            self.process_lost(guild_id, view.incarnation, reason)

    def worker_lost(self, worker: int) -> None:
        self.core.worker_lost(worker)
        self._carry_out()

    def worker_up(self, worker: int) -> None:
        self.core.worker_up(worker)
        self._carry_out()

    def timeout(self, arm: Arm) -> None:
        self.core.timeout(arm.guild_id, arm.serial)
        self._carry_out()

    def stored(self, command: DeadLetter) -> None:
        self.core.stored(command)
        self._carry_out()

    # ------------------------------------------------------------------ looking in

    def queue_delay(self, worker: int) -> float:
        """Seconds that the oldest event has waited whose guild waits for a free slot of the worker.

        0.0 while a slot is free: what waits then, waits for its own guild. It costs nothing until asked for.
        """
        queue = self.core.house.queues[worker]
        if queue.used < queue.slots:
            return 0.0
        now = trio.current_time()
        delay = 0.0
        for guild in queue.guilds():
            assert isinstance(guild, GuildMachine)
            head = guild.mailbox.head()
            if head is not None and head.event is not None:
                delay = max(delay, now - head.event.received_at)
        return delay

    # ------------------------------------------------------------------ the end

    async def drain(self) -> None:
        """Stop the intake and wait until nothing waits or runs. As long as that takes: bring a deadline."""
        self.core.stop_intake()
        self._drained = trio.Event()
        self._carry_out()
        await self._drained.wait()

    def close(self) -> list[tuple[GuildId, Event]]:
        """End everything that waits; returns the events that have not ended, in order."""
        left = self.core.close()
        self._carry_out()
        self._closed = True
        return left

    # ------------------------------------------------------------------ commands

    def _carry_out(self) -> None:
        while self.core.house.commands:
            for command in self.core.take():
                if not self._closed:  # a late answer starts nothing any more
                    self._carry(command)
        for event in self.core.house.ended_within:
            crash = self._crashed.pop(id(event), None)
            self._ended_within(event, Ending(None, crash or "too many events waited", crash is not None))
        self.core.house.ended_within.clear()
        if self._drained is not None and self.core.is_idle:
            self._drained.set()

    def _ended_within(self, event: Event, ending: Ending) -> None:
        """An injected event has ended; only the first word counts, so `ack` tells before the core does."""
        _, ended = self._injected.pop(id(event), (None, None))
        if ended is not None:
            ended(ending)

    def _carry(self, command: Command) -> None:
        match command:
            case ControlDone():
                self._control_done(command)
            case MoveDone():
                self._move_done(command)
            case Arm() | DeadLetter():
                if isinstance(command, DeadLetter) and id(command.event) in self._injected:
                    self._crashed[id(command.event)] = command.reason
                assert self._keeper is not None, "the keeper starts before any guild"
                self._send(self._keeper, command)
            case Kill():
                # Not by way of the owner: it may be the one that does not answer, or have no process yet.
                reason = "it did not yield to a migration"
                if not self.census.kill(command.guild_id, command.incarnation, reason):
                    self.core.process_lost(command.guild_id, command.incarnation, reason)
            case _:
                if isinstance(command, Activate) and command.wakes:
                    self._metrics.guild_woken.inc()
                    self._woken_at[command.guild_id] = trio.current_time()
                elif isinstance(command, Activate) and not command.failures:
                    self._woken_at.pop(command.guild_id, None)  # it is started for another reason now
                if isinstance(command, Retire) and command.incarnation is not None:
                    self.census.kill_up_to(command.guild_id, command.incarnation, "its owner was retired")
                if isinstance(command, Release) and command.guild_id in self._move_began:
                    quiet_after = trio.current_time() - self._move_began[command.guild_id]
                    self._metrics.migration_quiesce_duration.observe(quiet_after)
                worker = self._workers.get(command.worker)
                if worker is None or not self._send(worker, command):
                    self.core.worker_lost(command.worker)

    @staticmethod
    def _send(
        ref: ActorRef[object] | ActorRef[WorkerMessage] | ActorRef[KeeperMessage], command: object
    ) -> bool:
        tell: Callable[[object], None] = ref.tell  # type: ignore[assignment]
        try:
            tell(command)
        except ActorError as error:
            log.error("command not delivered", to=ref.path, command=type(command).__name__, error=str(error))
            return False
        return True

    def _control_done(self, done: ControlDone) -> None:
        key = (done.guild_id, done.n)
        if done.error is None and done.kind in (ControlKind.DEPLOY, ControlKind.UNDEPLOY):
            self.census.forgive(done.guild_id)
        result = self._results.pop(key, None)
        reply = self._controls.pop(key, None)
        if reply is None:
            return
        if done.error is None:
            reply.ok(result if isinstance(result, Manifest) else None)
        elif isinstance(result, FloraError):
            reply.fail(result)
        else:
            reply.fail(ControlRefusedError(f"the {done.kind} of guild {done.guild_id} failed: {done.error}."))

    def _move_done(self, done: MoveDone) -> None:
        self._move_began.pop(done.guild_id, None)
        if done.outcome is MoveOutcome.MOVED:
            self._metrics.migration_success.inc()
        elif "timeout" in done.reason:
            self._metrics.migration_timeout.inc()
        log.info(
            "guild moved",
            guild=done.guild_id,
            outcome=done.outcome.value,
            source=done.source,
            target=done.target,
            worker=done.worker,
            reason=done.reason or None,
        )
        for reply in self._moves.pop(done.move, ()):
            reply.ok(done)


def _interest(manifest: Manifest) -> Interest:
    return Interest(manifest.listens, manifest.prefix)
