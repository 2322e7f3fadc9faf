"""The delivery machine of one guild: who owns it, what may start, what has ended.

Everything that affects a guild's state is in this file and, while it moves, in `migration.py`.

States
------
    STOPPED   nothing is deployed. A deploy brings it up; events are refused
    HOMELESS  no worker is alive
    STARTING  a worker was asked to start it from its deployment (`Activate`)
    OPEN      events start, in order, up to `concurrency` at a time
    APPLYING  a control is being carried out; nothing else is in flight
    MOVING    a migration has closed the route
    HIBERNATING  its process is being ended (`Hibernate`), since nothing waits or is in flight
    ASLEEP    deployed, without a process and without an owner
    CLOSED    flora shuts down; nothing is accepted any more

            deploy                activated               control at the head
    STOPPED ------> STARTING ---------------------> OPEN <-------------------> APPLYING
       ^              ^  |  activation_failed        |  ^         applied          |
       |              |  +--> (again, k + 1)         |  |                          |
       |              +---- process_lost, worker_lost+--+--------------------------+
       +------------------ undeployed                v  | migration ends
                                                   MOVING

              hibernate                 hibernated               an entry that needs the process
        OPEN -----------> HIBERNATING -----------------> ASLEEP ---------------------------------> STARTING

Rules
-----
* Two kinds of transition, as in h11: an input moves the machine, and then `_settle` moves it on for as long
  as its state alone calls for it (a control is at the head and nothing is in flight, a migration waits for
  an open guild, ...). `_settle` is the only place where that is decided.
* An owner is (worker, epoch). Every change of owner goes through `_own`, which is the only place where the
  epoch grows; an answer or an `ack` of another epoch is refused.
* Whatever takes an owner away puts all that was in flight back to its place first (`_interrupt`).
* An entry that was interrupted (its process or owner died, it was cancelled) is a suspect and runs alone from
  then on, so that the guilty one is told from those that happened to run beside it. After `limits.attempts`
  starts it becomes a dead letter. It never blocks.
* A guild that sleeps has no owner: what a late answer or the loss of a worker says is none of its business.
  The next entry that needs its process wakes it by the same step that starts any guild (`_activate`), so
  events that come meanwhile are in order as ever. What needs no process (undeploy, new secrets, a
  migration) does not wake it; a deploy that fails leaves it asleep.
* A guild that fails to start, or failed `limits.attempts` times in a row, and gets a deploy (or undeploy)
  does not wait for its own recovery: what waits before the deploy was meant for a script that cannot run
  and becomes dead letters, then the deploy applies.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from flora.actors.core.commands import (
    Activate,
    Adopt,
    Apply,
    Arm,
    Command,
    ControlDone,
    DeadLetter,
    Delivery,
    Hibernate,
    Outcome,
    Release,
    Retire,
    Verdict,
)
from flora.actors.core.errors import (
    ControlQueueFullError,
    GuildNotDeployedError,
    MigrationBusyError,
    RouterClosedError,
    WorkerUnavailableError,
)
from flora.actors.core.fairness import Turn
from flora.actors.core.mailbox import Control, ControlKind, Entry, Event, Mailbox
from flora.actors.core.migration import Input, Move
from flora.actors.core.overload import CLASSES
from flora.gateway.events import GatewayEvent
from flora.gateway.interest import Interest
from flora.ids import GuildId

if TYPE_CHECKING:
    from flora.actors.core.house import House


class State(enum.Enum):
    STOPPED = "stopped"
    HOMELESS = "homeless"
    STARTING = "starting"
    OPEN = "open"
    APPLYING = "applying"
    MOVING = "moving"
    HIBERNATING = "hibernating"
    ASLEEP = "asleep"
    CLOSED = "closed"


_STARTS_PROCESS = frozenset({ControlKind.DEPLOY, ControlKind.RESTART})
_REPLACES_SCRIPT = frozenset({ControlKind.DEPLOY, ControlKind.UNDEPLOY})


class GuildMachine:
    __slots__ = (
        "_applying",
        "_dead",
        "_deploys",
        "_hibernating",
        "_issued",
        "_kept",
        "_rested",
        "_serial",
        "_starting",
        "_unstartable",
        "deployment",
        "epoch",
        "failures",
        "guild_id",
        "house",
        "incarnation",
        "interest",
        "mailbox",
        "move",
        "state",
        "turn",
        "vacant",
        "worker",
    )

    def __init__(self, guild_id: GuildId, house: House) -> None:
        self.guild_id = guild_id
        self.house = house
        self.state = State.STOPPED
        self.mailbox = Mailbox(house.pool)
        self.worker: int | None = None
        self.epoch = 0  # k, of the present owner
        self.incarnation = 0  # of the present process, or of the one being started
        self.deployment: object = None  # what is started when the process has to be
        self.vacant = True  # the owner has no process
        self.interest: Interest | None = None  # None: unknown, so everything
        self.failures = 0  # starts and processes lost since an event ended well
        self.move: Move | None = None
        self.turn: Turn | None = None  # the ready-queue's
        self._starting: Activate | None = None
        self._applying: Apply | None = None
        self._hibernating: Hibernate | None = None
        self._rested = False  # its process was ended by hibernation, and none was started since
        self._kept: object = None  # what the owner wants to find again after that; opaque here
        self._issued = 0  # the highest incarnation that was given out
        self._deploys = 0  # deploys and undeploys that have not ended
        self._serial = 0  # of the timer that counts
        self._unstartable = False  # the last start failed
        self._dead = 0  # an incarnation that ended before its start was answered

    # ------------------------------------------------------------------ intake

    def accept(self, event: Event, rank: int, *, selective: bool) -> Verdict:
        """Take an event into the order. `selective`: only when the script has an interest in it."""
        state = self.state
        if state is State.CLOSED:
            return Verdict.CLOSING
        if not self._deploys:  # else a script to come may listen to it
            if self.deployment is None:
                return Verdict.NOT_DEPLOYED
            if selective and self._ignores(event):
                return Verdict.UNLISTENED
        house = self.house
        mailbox = self.mailbox
        entry = mailbox.append_event(event, rank)
        if house.log is not None:
            house.log.accept(self.guild_id, entry.n, event)
        if mailbox.events > house.limits.guild_capacity and self.shed() is entry:
            return Verdict.SHED
        if self.turn is None and state is State.OPEN and self.running < house.limits.concurrency:
            self._ready()
        elif state is State.ASLEEP:
            self._settle()
        return Verdict.ACCEPTED

    def shed(self) -> Entry | None:
        """Give up the oldest waiting event of the lowest class; None when nothing can be given up."""
        entry = self.mailbox.shed()
        if entry is not None:
            self._shed(entry, f"overload:{CLASSES[entry.rank]}")
            self._settle()  # what stood behind it may be a control
        return entry

    def submit(self, control: Control) -> int:
        """Take a control into the order; returns its n. Ends as `ControlDone`.

        Raises ControlQueueFullError, RouterClosedError.
        """
        if self.state is State.CLOSED:
            raise RouterClosedError
        if self.mailbox.controls >= self.house.limits.controls:
            raise ControlQueueFullError(self.guild_id, self.house.limits.controls)
        entry = self.mailbox.append_control(control)
        if control.kind in _REPLACES_SCRIPT:
            self._deploys += 1
        if self.house.log is not None:
            self.house.log.control(self.guild_id, entry.n, control.kind)
        self._supersede()
        self._settle()
        return entry.n

    def migrate(self, target: int) -> Move | None:
        """Begin a migration, or join the one under way to the same target. None: `target` owns it already.

        Raises MigrationBusyError, GuildNotDeployedError, WorkerUnavailableError, RouterClosedError.
        """
        if self.state is State.CLOSED:
            raise RouterClosedError
        if self.move is not None:
            if self.move.target == target:
                return self.move
            raise MigrationBusyError(self.guild_id, self.move.target)
        if self.state is State.STOPPED:
            raise GuildNotDeployedError(self.guild_id)
        source = self.home
        if source == target:
            return None
        if source is None or not self.house.placement.is_alive(target):
            raise WorkerUnavailableError(target)
        self.house.moves += 1
        self.move = move = Move(self, self.house.moves, source, target)
        move.begin()
        self._settle()
        return move

    def restore(self, deployment: object, interest: Interest | None) -> bool:
        """Have `deployment` without starting it, asleep. False unless nothing is deployed or about to be."""
        if self.state is not State.STOPPED or self.mailbox.waiting:
            return False
        self.deployment = deployment
        self.interest = interest
        self._fall_asleep()
        return True

    def hibernate(self, incarnation: int) -> bool:
        """Begin to put the guild to sleep. False while anything waits, is in flight or moves, or when
        `incarnation` is not its process.
        """
        mailbox = self.mailbox
        if self.state is not State.OPEN or self.vacant or incarnation != self.incarnation:
            return False
        if mailbox.waiting or mailbox.in_flight or self.move is not None:
            return False
        self._hibernating = Hibernate(self.guild_id, self.seat, self.epoch, incarnation)
        self.state = State.HIBERNATING
        if self.house.log is not None:
            self.house.log.hibernate(self.guild_id, self.epoch)
        self.emit(self._hibernating)
        return True

    # ------------------------------------------------------------------ the owner at work

    @property
    def running(self) -> int:
        """Handlers in flight, or 1 while a control is carried out."""
        return len(self.mailbox.in_flight)

    @property
    def has_more(self) -> bool:
        return bool(self.mailbox.waiting)

    def start(self) -> Delivery | None:
        """Start the next event; None when nothing may start now."""
        mailbox = self.mailbox
        while self.state is State.OPEN and len(mailbox.in_flight) < self.house.limits.concurrency:
            entry = mailbox.head()
            if entry is None or entry.event is None:
                return None
            if mailbox.suspects or (entry.suspect and mailbox.in_flight):
                return None
            event = entry.event
            if entry.attempts == 0 and self._ignores(event):
                self._skip_unlistened(entry, event)
                continue
            mailbox.start()
            assert self.worker is not None
            delivery = Delivery(self.guild_id, entry.n, self.epoch, entry.attempts, self.worker, event)
            if self.house.log is not None:
                self.house.log.start(delivery)
            return delivery
        return None

    def ack(self, delivery: Delivery, outcome: Outcome) -> bool:
        """The event has ended: the commit. Refused (False) when the delivery is not the present one."""
        house = self.house
        mailbox = self.mailbox
        entry = mailbox.in_flight.get(delivery.n)
        if entry is None or delivery.epoch != self.epoch or delivery.attempt != entry.attempts:
            house.count("stale_ack")
            if house.log is not None:
                house.log.refused(delivery)
            return False
        mailbox.finish(delivery.n)
        if house.log is not None:
            house.log.commit(delivery, outcome)
        house.ended(delivery.event)
        if outcome is Outcome.DONE:
            self.failures = 0
        self._handler_ended()
        return True

    def fail(self, delivery: Delivery, reason: str) -> bool:
        """The event was interrupted and is to be tried again, alone. Refused (False) like `ack`.

        After `limits.attempts` starts it becomes a dead letter.
        """
        entry = self.mailbox.in_flight.get(delivery.n)
        if entry is None or delivery.epoch != self.epoch or delivery.attempt != entry.attempts:
            self.house.count("stale_ack")
            return False
        if self.house.log is not None:
            self.house.log.end(delivery, reason)
        self._suspect(entry)
        self._give_up_or_retry([entry], reason)
        self._handler_ended()
        return True

    def _handler_ended(self) -> None:
        assert self.worker is not None
        if self.house.queues[self.worker].release(self):
            self.house.wake(self.worker)
        if self.state is State.OPEN:
            if self.mailbox.controls or self.move is not None:
                self._settle()
            elif self.turn is None and self.mailbox.waiting:
                self._ready()
        elif self.move is not None and not self.mailbox.in_flight:
            self.move.on(Input.DRAINED)

    # ------------------------------------------------------------------ answers of the owner

    def activated(self, command: Activate, interest: Interest | None) -> None:
        if command is not self._starting:
            self._refuse(command)
            return
        self._starting = None
        self._unstartable = False
        self.vacant = command.deployment is None
        if not self.vacant:
            self.interest = interest
            self._rested = False
            self._kept = None
        self.state = State.OPEN
        if self._died_early():
            return
        self._settle()

    def activation_failed(self, command: Activate, reason: str) -> None:
        if command is not self._starting:
            self._refuse(command)
            return
        self._unstartable = True
        self._revive(reason)

    def applied(self, command: Apply, error: str | None, interest: Interest | None) -> None:
        if command is not self._applying:
            self._refuse(command)
            return
        kind = command.control.kind
        self._applying = None
        self.mailbox.finish(command.n)
        self._end_control(command.n, kind, error)
        self.state = State.OPEN
        if error is None and kind is ControlKind.UNDEPLOY:
            self._stop()
            self._settle()
            return
        if error is None and kind in _STARTS_PROCESS:
            self.incarnation = command.incarnation
            self.vacant = False
            self.interest = interest
            self._rested = False
            self._kept = None
            if kind is ControlKind.DEPLOY:
                self.deployment = command.control.payload
                self.failures = 0
            if self._died_early():
                return
        self._settle()

    def hibernated(self, command: Hibernate, kept: object) -> bool:
        if command is not self._hibernating:
            self._refuse(command)
            return False
        self._kept = kept
        self._fall_asleep()
        self._settle()
        return True

    def hibernate_refused(self, command: Hibernate) -> None:
        if command is not self._hibernating:
            self._refuse(command)
            return
        self._hibernating = None
        self.state = State.OPEN
        self._settle()

    def released(self, command: Release, baggage: object) -> None:
        if command.epoch != self.epoch or self.move is None:
            self._refuse(command)
            return
        self.move.baggage = baggage
        self.move.on(Input.RELEASED)

    def release_refused(self, command: Release, reason: str) -> None:
        if command.epoch != self.epoch or self.move is None:
            self._refuse(command)
            return
        self.move.on(Input.REFUSED, reason)

    def adopted(self, command: Adopt) -> None:
        if command.epoch != self.epoch or self.move is None or not self.move.on(Input.ADOPTED):
            self._refuse(command)

    def adopt_refused(self, command: Adopt, reason: str) -> None:
        if command.epoch != self.epoch or self.move is None:
            self._refuse(command)
            return
        self.move.on(Input.REFUSED, reason)

    def _refuse(self, late: Activate | Adopt | Apply | Hibernate | Release) -> None:
        """An answer that comes too late (L5): whoever gave it is not the owner, and is told so."""
        self.house.count("late_answer")
        killed = late.incarnation if late.incarnation != self.incarnation else None
        self.emit(Retire(self.guild_id, late.worker, late.epoch, killed))

    # ------------------------------------------------------------------ losses and time

    def process_lost(self, incarnation: int, reason: str) -> None:
        """The process `incarnation` has ended, whyever. One that was replaced is none of our business."""
        if incarnation > self.incarnation:
            self._dead = incarnation  # its start was not answered yet
        elif incarnation == self.incarnation:
            match self.state:
                case State.OPEN if not self.vacant:
                    self._revive(reason)
                case State.STARTING if self._starting is not None and self._starting.deployment is not None:
                    self._unstartable = True
                    self._revive(reason)
                case State.APPLYING:
                    self.vacant = True  # the control may bring a new one; `_settle` looks after it has ended
                case State.HIBERNATING:
                    self._fall_asleep()
                    self._settle()
                case State.MOVING:
                    if self.move is not None:
                        self.failures += 1
                        self.move.on(Input.PROCESS_LOST, reason)
                case _:
                    pass

    def worker_lost(self, worker: int) -> None:
        """`worker` is presumed dead. Whatever it still does for this guild is refused from now on."""
        if self.worker == worker:
            if self.state is State.HIBERNATING:
                self._fall_asleep()
                self._settle()
            elif self.move is None or not self.move.on(Input.OWNER_LOST):
                self.fail_over(prefer=None)
        elif self.move is not None and self.move.target == worker:
            self.move.on(Input.TARGET_LOST)

    def worker_up(self) -> None:
        """A worker that was down can take guilds again."""
        if self.state is State.HOMELESS:
            self._activate(self.house.placement.place(self.guild_id))

    def timeout(self, serial: int) -> None:
        """The time of the `Arm` with this serial has passed. Older ones mean nothing."""
        if self.move is not None and serial == self._serial:
            self.move.on(Input.TIMEOUT)

    def close(self) -> list[Entry]:
        """The end (L9): nothing is accepted any more; returns the events that have not ended, in order.

        Their gateway cursor stays before them, so that Discord sends them again; what did not come from a
        gateway is the caller's to keep.
        """
        if self.move is not None:
            self.move.on(Input.GONE, "flora is shutting down")
        self._hibernating = None
        self.state = State.CLOSED
        self.mailbox.put_back(list(self.mailbox.in_flight))
        kept: list[Entry] = []
        while (entry := self.mailbox.head()) is not None:
            self.mailbox.discard_head()
            if entry.control is not None:
                self._end_control(entry.n, entry.control.kind, "flora is shutting down")
                continue
            if self.house.log is not None:
                self.house.log.kept(self.guild_id, entry.n)
            kept.append(entry)
        return kept

    # ------------------------------------------------------------------ what a migration does to its guild

    @property
    def seat(self) -> int:
        """The owner's worker; there is one."""
        assert self.worker is not None
        return self.worker

    @property
    def home(self) -> int | None:
        """The owner's worker, or the one that will wake the guild; None when no worker is alive."""
        return self.house.placement.place(self.guild_id) if self.state is State.ASLEEP else self.worker

    def emit(self, command: Command) -> None:
        self.house.commands.append(command)

    def arm(self, seconds: float) -> None:
        self._serial += 1
        self.emit(Arm(self.guild_id, self._serial, seconds))

    def close_route(self) -> None:
        self.state = State.MOVING

    def open_route(self) -> None:
        self.state = State.OPEN
        self._settle()

    def hand_to(self, worker: int) -> None:
        """A live process changes hands; nothing is in flight."""
        self._own(worker)

    def retire(self, incarnation: int | None) -> None:
        """Tell the present owner that it is one no longer."""
        if self.worker is not None:
            self.emit(Retire(self.guild_id, self.worker, self.epoch, incarnation))

    def fail_over(self, *, prefer: int | None) -> int | None:
        """Start the guild from its deployment, on `prefer` when that worker is alive; returns where."""
        placement = self.house.placement
        self._interrupt("its worker was lost")
        self.retire(self._issued)
        if prefer is not None and placement.is_alive(prefer):
            return self._activate(prefer)
        return self._activate(placement.place(self.guild_id, avoid=self.worker))

    def move_ended(self) -> None:
        self.move = None
        self._serial += 1

    # ------------------------------------------------------------------ transitions

    def _own(self, worker: int) -> None:
        """Make `worker` the owner. The only place where the epoch grows (I5)."""
        if self.worker is not None:
            self.house.queues[self.worker].discard(self)
        self.worker = worker
        self.epoch += 1
        self.house.placement.route(self.guild_id, worker)
        if self.house.log is not None:
            self.house.log.own(self.guild_id, self.epoch, worker)

    def _activate(self, worker: int | None, *, vacant: bool = False, wakes: bool = False) -> int | None:
        """Have the guild started by `worker` at a new epoch; `vacant`: without its script."""
        self.vacant = True
        if worker is None:
            if self.worker is not None:
                self.house.queues[self.worker].discard(self)
            self.worker = None
            self._starting = None
            self.state = State.HOMELESS
            return None
        self._own(worker)
        self.incarnation = self._issue()
        deployment = None if vacant else self.deployment
        self._starting = Activate(
            self.guild_id,
            worker,
            self.epoch,
            self.incarnation,
            deployment,
            0 if vacant else self.failures,
            wakes,
            self._kept,
        )
        self.state = State.STARTING
        self.emit(self._starting)
        return worker

    def _revive(self, reason: str) -> None:
        """The process has gone, its owner has not: start it again there, after a back-off."""
        self.failures += 1
        self.house.count("revived")
        self._interrupt(reason)
        self.retire(self._issued)
        self._activate(self.worker)
        self._supersede()

    def _supersede(self) -> None:
        """A guild that cannot start, or keeps failing, gets another script: go to that at once."""
        starting = self._starting
        if not self._deploys or starting is None or starting.deployment is None:
            return
        if not self._unstartable and self.failures < self.house.limits.attempts:
            return
        while (entry := self.mailbox.head()) is not None:
            if entry.control is None:
                self.mailbox.discard_head()
                self._dead_letter(entry, "its script does not start")
            elif entry.control.kind in _REPLACES_SCRIPT:
                break
            else:
                self.mailbox.discard_head()
                self._end_control(entry.n, entry.control.kind, "superseded by a deploy")
        self.retire(self._issued)
        self._activate(self.worker, vacant=True)

    def _stop(self) -> None:
        """Undeployed, or a first deploy failed: nobody owns the guild."""
        if self.move is not None:
            self.move.on(Input.GONE, "the guild was undeployed")
        self._disown()
        self.deployment = None
        self.interest = None
        self._rested = False
        self._kept = None
        self.state = State.STOPPED

    def _fall_asleep(self) -> None:
        """Its process has ended, or there was none to begin with: nobody owns the guild until it wakes."""
        self._disown()
        self._hibernating = None
        self._rested = True
        self.state = State.ASLEEP
        if self.house.log is not None:
            self.house.log.asleep(self.guild_id, self.epoch)

    def _disown(self) -> None:
        """Nobody owns the guild, and no process of it goes on."""
        self.retire(self._issued)
        if self.worker is not None:
            self.house.queues[self.worker].discard(self)
        self.worker = None
        self.epoch += 1  # whatever the last owner still says is stale
        self.vacant = True
        self.failures = 0
        self._starting = None
        self._unstartable = False

    def _settle(self) -> None:
        """Go on for as long as the state alone calls for it."""
        while True:
            head = self.mailbox.head()
            control = None if head is None else head.control
            if self.state is State.STOPPED:
                if head is None:
                    return
                if control is None:
                    self.mailbox.discard_head()
                    self._shed(head, "not_deployed")
                elif control.kind is ControlKind.DEPLOY:
                    self._activate(self.house.placement.place(self.guild_id))
                    return
                else:
                    self.mailbox.discard_head()
                    error = "nothing is deployed" if control.kind is ControlKind.RESTART else None
                    self._end_control(head.n, control.kind, error)
                continue
            if self.state is State.ASLEEP:
                if not self._stir(head):
                    return
                continue
            if self.state is not State.OPEN:
                return
            if self.vacant and not (control is not None and control.kind in _REPLACES_SCRIPT):
                if self.deployment is None:
                    self._stop()
                    continue
                if self._rested:  # a deploy to it while it slept has failed
                    self._fall_asleep()
                    continue
                self._revive("its process has ended")
                return
            if self.move is not None and not self.vacant:
                self.move.on(Input.GO)
                return
            if head is None:
                return
            if control is None:
                self._ready()
            elif not self.mailbox.in_flight:
                self._apply(head, control)
            return

    def _stir(self, head: Entry | None) -> bool:
        """One step of a guild that sleeps: False when it goes on sleeping, or has begun to wake."""
        if self.move is not None:
            return self.move.on(Input.ASLEEP)
        if head is None:
            return False
        kind = None if head.control is None else head.control.kind
        if kind is ControlKind.UNDEPLOY or kind is ControlKind.SECRETS:
            self.mailbox.discard_head()
            self._end_control(head.n, kind, None)  # a process to come gets the secrets as they are then
            if kind is ControlKind.UNDEPLOY:
                self._stop()
            return True
        worker = self.house.placement.place(self.guild_id)
        if kind is ControlKind.DEPLOY:
            self._activate(worker, vacant=True)
        else:
            self.house.count("woken")
            self._activate(worker, wakes=True)
        return False

    def _apply(self, entry: Entry, control: Control) -> None:
        self.mailbox.start()
        incarnation = self._issue() if control.kind in _STARTS_PROCESS else self.incarnation
        self._applying = Apply(
            self.guild_id, self.seat, self.epoch, incarnation, entry.n, entry.attempts, control
        )
        self.state = State.APPLYING
        if self.house.log is not None:
            self.house.log.apply(self._applying)
        self.emit(self._applying)

    def _issue(self) -> int:
        self._issued += 1
        return self._issued

    def _died_early(self) -> bool:
        """The process that was just started had ended before its start was answered."""
        if self.vacant or self._dead != self.incarnation:
            return False
        self._revive("its process ended as soon as it had started")
        return True

    def _ready(self) -> None:
        worker = self.seat
        if self.house.queues[worker].push(self):
            self.house.wake(worker)

    # ------------------------------------------------------------------ ends of entries

    def _interrupt(self, reason: str) -> None:
        """The owner or the process has gone: what was in flight waits again, at its place."""
        self._applying = None
        entries = list(self.mailbox.in_flight.values())
        if not entries:
            return
        for entry in entries:
            self._suspect(entry)
        events = sum(entry.control is None for entry in entries)
        self._give_up_or_retry(entries, reason)
        queue = self.house.queues[self.seat]
        if self.house.placement.is_alive(self.seat):
            for _ in range(events):
                if queue.release(self):
                    self.house.wake(self.seat)

    def _suspect(self, entry: Entry) -> None:
        """An entry in flight has been interrupted, perhaps by itself: it runs alone from now on."""
        if not entry.suspect:
            entry.suspect = True
            self.mailbox.suspects += 1

    def _give_up_or_retry(self, entries: list[Entry], reason: str) -> None:
        again: list[int] = []
        for entry in entries:
            if entry.attempts < self.house.limits.attempts:
                again.append(entry.n)
                continue
            self.mailbox.finish(entry.n)
            if entry.control is not None:
                error = f"given up after {entry.attempts} attempts: {reason}"
                self._end_control(entry.n, entry.control.kind, error)
            else:
                self._dead_letter(entry, reason)
        self.house.counters["retried"] += len(again)
        self.mailbox.put_back(again)

    def _dead_letter(self, entry: Entry, reason: str) -> None:
        assert entry.event is not None
        self.house.count("dead_letter")
        if self.house.log is not None:
            self.house.log.dead(self.guild_id, entry.n, reason)
        self.emit(DeadLetter(self.guild_id, entry.n, entry.attempts, entry.event, reason))

    def _shed(self, entry: Entry, policy: str) -> None:
        assert entry.event is not None
        self.house.count(f"shed:{policy}")
        if self.house.log is not None:
            self.house.log.shed(self.guild_id, entry.n, policy)
        self.house.ended(entry.event)

    def _ignores(self, event: Event) -> bool:
        """Whether it is of the gateway, and the script has no interest in it."""
        return type(event) is GatewayEvent and self.interest is not None and not self.interest.wants(event)

    def _skip_unlistened(self, entry: Entry, event: Event) -> None:
        """The script that would see it does not listen to it: it ends without waking the process."""
        self.mailbox.discard_head()
        if self.house.log is not None:
            self.house.log.skipped(self.guild_id, entry.n, self.epoch, self.seat)
        self.house.ended(event)
        self._settle()

    def _end_control(self, n: int, kind: ControlKind, error: str | None) -> None:
        if kind in _REPLACES_SCRIPT:
            self._deploys -= 1
        if self.house.log is not None:
            self.house.log.control_done(self.guild_id, n, error)
        self.emit(ControlDone(self.guild_id, n, kind, error))
