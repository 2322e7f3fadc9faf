"""The router: every guild machine behind one door. This is the class that drivers and tests drive.

See the package's docstring for the whole picture. Every method is one synchronous step: it takes an input,
moves the machines, and leaves commands to be fetched with `take`. None of them waits, reads a clock or
touches the outside world; called from one Trio task or many, without a checkpoint inside, each is a critical
section by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from flora.actors.core.commands import (
    Activate,
    Adopt,
    Apply,
    Command,
    DeadLetter,
    Delivery,
    Hibernate,
    Outcome,
    Release,
    Verdict,
)
from flora.actors.core.dedupe import Cursor, Sessions
from flora.actors.core.errors import GuildNotDeployedError, RouterClosedError, WorkerUnavailableError
from flora.actors.core.fairness import ReadyQueue
from flora.actors.core.guild import GuildMachine, State
from flora.actors.core.house import House, Limits
from flora.actors.core.log import Log
from flora.actors.core.mailbox import Control, Event, Pool
from flora.actors.core.migration import Deadlines, Phase
from flora.actors.core.overload import rank_of
from flora.actors.core.placement import Placement
from flora.gateway.events import GatewayEvent
from flora.gateway.interest import Interest
from flora.ids import GuildId, GuildOrder

# When the sum is at its bound, the guild that loses is looked up once for so many events: a look-up visits
# every guild.
_VICTIM_QUANTUM = 64


@dataclass(frozen=True, slots=True)
class GuildView:
    """One guild as it stands, for lists and metrics."""

    guild_id: GuildId
    state: State
    worker: int | None
    epoch: int
    incarnation: int
    waiting: int
    in_flight: int
    failures: int
    moving_to: int | None
    phase: Phase | None


class Router:
    """All guilds of one host, placed on `workers` workers (0-based)."""

    def __init__(
        self,
        workers: int,
        *,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        log: Log | None = None,
        machine: Callable[[GuildId, House], GuildMachine] = GuildMachine,
    ) -> None:
        """`machine` makes a guild's machine; the tests put broken ones in here to be tested themselves."""
        limits = limits or Limits()
        if log is not None:
            log.opened()
        self.house = House(
            limits=limits,
            deadlines=deadlines or Deadlines(),
            placement=Placement(workers),
            sessions=Sessions(),
            pool=Pool(limits.total_capacity),
            queues=[ReadyQueue(limits.slots) for _ in range(workers)],
            log=log,
        )
        self._machine = machine
        self._guilds: dict[GuildId, GuildMachine] = {}
        self._order = GuildOrder()  # of the same guilds
        self._closing = False
        self._victim: GuildMachine | None = None
        self._victim_quantum = 0

    # ------------------------------------------------------------------ intake

    def accept(self, event: GatewayEvent) -> Verdict:
        """Take an event of the gateway. Each event id is taken once (L10)."""
        if self._closing:
            return Verdict.CLOSING
        sessions = self.house.sessions
        if not sessions.admit(event.id):
            return Verdict.DUPLICATE
        guild = None if event.guild_id is None else self._guilds.get(event.guild_id)
        if guild is None:
            verdict = Verdict.NOT_DEPLOYED
        else:
            verdict = guild.accept(event, rank_of(event.name), selective=True)
        if verdict is Verdict.ACCEPTED:
            pool = self.house.pool
            if pool.size > pool.capacity:
                self._shed_somewhere()
        elif verdict is not Verdict.SHED:
            sessions.done(event.id)
        return verdict

    def inject(self, guild_id: GuildId, event: Event) -> Verdict:
        """Take an event from within: a cron run, a replayed dead letter. Whatever the script listens to."""
        guild = self._guilds.get(guild_id)
        if self._closing or guild is None:
            return Verdict.CLOSING if self._closing else Verdict.NOT_DEPLOYED
        verdict = guild.accept(event, rank_of(event.name), selective=False)
        if verdict is Verdict.ACCEPTED and self.house.pool.size > self.house.pool.capacity:
            self._shed_somewhere()
        return verdict

    def submit(self, guild_id: GuildId, control: Control) -> int:
        """Take a control (deploy, undeploy, secrets, restart) into the guild's order; returns its n.

        It ends as `ControlDone(guild_id, n)`, also when it fails or flora shuts down.
        Raises ControlQueueFullError, RouterClosedError.
        """
        if self._closing:
            raise RouterClosedError
        return self._known(guild_id).submit(control)

    def restore(self, guild_id: GuildId, deployment: object, interest: Interest | None = None) -> bool:
        """Have a deployment of an earlier run without starting it: the guild sleeps until it is needed.

        `interest` as in `activated`. False when the guild has, or is about to get, a deployment already.
        """
        if self._closing:
            return False
        return self._known(guild_id).restore(deployment, interest)

    def hibernate(self, guild_id: GuildId, incarnation: int) -> bool:
        """Put a guild to sleep, if nothing of it waits, is in flight or moves; whether that has begun.

        `incarnation` is the process that was found to be idle. What comes next wakes the guild, in order.
        """
        guild = self._guilds.get(guild_id)
        return not self._closing and guild is not None and guild.hibernate(incarnation)

    def listened(self) -> Iterator[tuple[GuildId, frozenset[str]]]:
        """What each script listens to of which it is known. Do not wait while iterating."""
        for guild_id, guild in self._guilds.items():
            if guild.interest is not None:
                yield guild_id, guild.interest.events

    def declared(self, guild_id: GuildId, incarnation: int, interest: Interest) -> None:
        """The script of this process has this interest from now on."""
        guild = self._guilds.get(guild_id)
        if guild is not None and guild.incarnation == incarnation:
            guild.interest = interest

    # ------------------------------------------------------------------ migrations

    def migrate(self, guild_id: GuildId, target: int) -> int | None:
        """Begin to move a guild, or join the move to the same target (L8); returns the id of the move.

        It ends as `MoveDone(move=id)`. None: `target` owns the guild already and nothing is to be done.
        Raises MigrationBusyError, GuildNotDeployedError, WorkerUnavailableError, RouterClosedError.
        """
        if self._closing:
            raise RouterClosedError
        guild = self._guilds.get(guild_id)
        if guild is None:
            raise GuildNotDeployedError(guild_id)
        if not 0 <= target < self.house.placement.workers:
            raise WorkerUnavailableError(target)
        move = guild.migrate(target)
        return None if move is None else move.id

    def close_worker(self, worker: int) -> list[GuildId]:
        """Place nothing more on `worker`; returns its guilds, for the caller to migrate (a drain)."""
        self.house.placement.close(worker)
        return [guild.guild_id for guild in self._guilds.values() if guild.worker == worker]

    def reopen_worker(self, worker: int) -> None:
        self.house.placement.reopen(worker)

    # ------------------------------------------------------------------ the workers at work

    def next(self, worker: int) -> Delivery | None:
        """The event that `worker` starts now; None: sleep until `Wake(worker)`."""
        return self.house.queues[worker].next()

    def ack(self, delivery: Delivery, outcome: Outcome = Outcome.DONE) -> bool:
        """The event has ended for good. False: the delivery is stale, and somebody else has the event."""
        guild = self._guilds.get(delivery.guild_id)
        return guild is not None and guild.ack(delivery, outcome)

    def fail(self, delivery: Delivery, reason: str) -> bool:
        """The event was interrupted and is to be tried again, alone; a handler that threw is an `ack`.

        After `limits.attempts` starts it becomes a dead letter. False as `ack`.
        """
        guild = self._guilds.get(delivery.guild_id)
        return guild is not None and guild.fail(delivery, reason)

    def is_current(self, guild_id: GuildId, epoch: int) -> bool:
        """Whether `epoch` still owns the guild: to be asked before every effect (I4)."""
        guild = self._guilds.get(guild_id)
        return guild is not None and guild.epoch == epoch

    # ------------------------------------------------------------------ answers to commands

    def activated(self, command: Activate, interest: Interest | None = None) -> None:
        """The process runs and has loaded. `interest` None: every event."""
        self._guilds[command.guild_id].activated(command, interest)

    def activation_failed(self, command: Activate, reason: str) -> None:
        """It did not start. It will be asked for again, with one failure more."""
        self._guilds[command.guild_id].activation_failed(command, reason)

    def applied(self, command: Apply, *, error: str | None = None, interest: Interest | None = None) -> None:
        """The control has ended; `interest` is that of a new process (None: everything)."""
        self._guilds[command.guild_id].applied(command, error, interest)

    def hibernated(self, command: Hibernate, kept: object = None) -> bool:
        """The process has ended in order; `Activate.kept` gives `kept` back. False: it came too late."""
        return self._guilds[command.guild_id].hibernated(command, kept)

    def hibernate_refused(self, command: Hibernate) -> None:
        """The process goes on."""
        self._guilds[command.guild_id].hibernate_refused(command)

    def released(self, command: Release, baggage: object) -> None:
        self._guilds[command.guild_id].released(command, baggage)

    def release_refused(self, command: Release, reason: str) -> None:
        """The source keeps the process and goes on."""
        self._guilds[command.guild_id].release_refused(command, reason)

    def adopted(self, command: Adopt) -> None:
        self._guilds[command.guild_id].adopted(command)

    def adopt_refused(self, command: Adopt, reason: str) -> None:
        self._guilds[command.guild_id].adopt_refused(command, reason)

    def stored(self, command: DeadLetter) -> None:
        """The dead letter is safe: the gateway's cursor may pass it."""
        self.house.ended(command.event)

    # ------------------------------------------------------------------ losses and time

    def process_lost(self, guild_id: GuildId, incarnation: int, reason: str) -> None:
        """A guild process has ended, for whatever reason, also when it was killed on command."""
        self._guilds[guild_id].process_lost(incarnation, reason)

    def worker_lost(self, worker: int) -> None:
        """`worker` is dead, or presumed so; its guilds are started elsewhere."""
        placement = self.house.placement
        if not placement.is_alive(worker):
            return
        placement.down(worker)
        self.house.queues[worker].reset()
        for guild in list(self._guilds.values()):
            guild.worker_lost(worker)

    def worker_up(self, worker: int) -> None:
        """`worker` has been started (again), empty: what it had before and nobody reported is lost."""
        self.worker_lost(worker)
        self.house.placement.up(worker)
        for guild in self._guilds.values():
            guild.worker_up()

    def timeout(self, guild_id: GuildId, serial: int) -> None:
        self._guilds[guild_id].timeout(serial)

    # ------------------------------------------------------------------ the way out

    def take(self) -> list[Command]:
        """The commands since the last call, in order."""
        commands = self.house.commands
        self.house.commands = []
        return commands

    def stop_intake(self) -> None:
        """Begin a shutdown (L9): accept nothing, let the mailboxes drain."""
        self._closing = True

    @property
    def is_idle(self) -> bool:
        """Nothing waits, nothing is in flight, nothing moves."""
        return self.house.pool.size == 0 and all(
            guild.mailbox.controls == 0 and guild.move is None for guild in self._guilds.values()
        )

    def close(self) -> list[tuple[GuildId, Event]]:
        """End a shutdown: every move and control ends; returns the events that have not ended, in order.

        Those of the gateway come again by themselves after the next start, since the cursor stays before
        them; the others are the caller's to store.
        """
        self._closing = True
        kept = [
            (guild.guild_id, entry.event)
            for guild in self._guilds.values()
            for entry in guild.close()
            if entry.event is not None
        ]
        for queue in self.house.queues:
            queue.reset()
        return kept

    # ------------------------------------------------------------------ looking in

    @property
    def counters(self) -> Counter[str]:
        """By name: `shed:<policy>`, `move:<outcome>`, dead_letter, retried, revived, stale_ack, ..."""
        return self.house.counters

    @property
    def depth(self) -> int:
        """Events of all guilds that have not ended."""
        return self.house.pool.size

    @property
    def sessions(self) -> Sessions:
        """The gateway sessions, for their cursors."""
        return self.house.sessions

    @property
    def placement(self) -> Placement:
        return self.house.placement

    def resume(self, cursor: Cursor) -> None:
        """Take up a gateway session where an earlier process left it. Call before its first event."""
        self.house.sessions.resume(cursor)

    def view(self, guild_id: GuildId) -> GuildView | None:
        guild = self._guilds.get(guild_id)
        return None if guild is None else _view(guild)

    def guild_ids(self, after: int, limit: int) -> list[GuildId]:
        """At most `limit` guilds with ids above `after`, in the order of ids; looks at no others."""
        return self._order.after(after, limit)

    @property
    def asleep(self) -> int:
        """Guilds that sleep."""
        return sum(guild.state is State.ASLEEP for guild in self._guilds.values())

    def views(self, *, asleep: bool = True) -> Iterable[GuildView]:
        """Every guild; without those that sleep where nobody asks for them: they may be very many."""
        return [_view(guild) for guild in self._guilds.values() if asleep or guild.state is not State.ASLEEP]

    # ------------------------------------------------------------------

    def _known(self, guild_id: GuildId) -> GuildMachine:
        guild = self._guilds.get(guild_id)
        if guild is None:
            guild = self._guilds[guild_id] = self._machine(guild_id, self.house)
            self._order.add(guild_id)
        return guild

    def _shed_somewhere(self) -> None:
        """The sum is over its bound: the guild with the most events of the lowest class that waits loses one.

        So the bound hits who fills it, and an interaction goes only when nothing else waits anywhere.
        """
        rank = self.house.pool.lowest()
        if rank is None:
            return  # everything is in flight, and that is bounded by itself
        victim = self._victim
        if victim is None or self._victim_quantum == 0 or not victim.mailbox.sheddable(rank):
            victim = max(self._guilds.values(), key=lambda guild: guild.mailbox.sheddable(rank))
            self._victim, self._victim_quantum = victim, _VICTIM_QUANTUM
        self._victim_quantum -= 1
        victim.shed()


def _view(guild: GuildMachine) -> GuildView:
    move = guild.move
    return GuildView(
        guild_id=guild.guild_id,
        state=guild.state,
        worker=guild.worker,
        epoch=guild.epoch,
        incarnation=guild.incarnation,
        waiting=len(guild.mailbox.waiting),
        in_flight=len(guild.mailbox.in_flight),
        failures=guild.failures,
        moving_to=None if move is None else move.target,
        phase=None if move is None else move.phase,
    )
