"""The world around a router, made of plain values: workers, guild processes, messages that are under way.

The tests drive the real `Router` through this. Nothing happens by itself: `choices` names everything that
could happen next, `do` makes one of them happen and checks every promise that can be checked at once. The
searches and the stateful test differ only in how they choose.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from flora.actors.core import (
    Activate,
    Adopt,
    Apply,
    Arm,
    Cancel,
    Command,
    Control,
    ControlDone,
    ControlKind,
    ControlQueueFullError,
    DeadLetter,
    Deadlines,
    Delivery,
    GuildNotDeployedError,
    Hibernate,
    Injected,
    Kill,
    Limits,
    Log,
    MigrationBusyError,
    MoveDone,
    MoveOutcome,
    Release,
    Retire,
    Router,
    State,
    Verdict,
    Wake,
    WorkerUnavailableError,
    effect_key,
)
from flora.actors.core.guild import GuildMachine
from flora.actors.core.history import Checker
from flora.gateway.events import GatewayEvent
from flora.ids import EventId, GuildId


class BrokenPromiseError(AssertionError):
    """A promise of migration.md does not hold."""


class Choice(NamedTuple):
    """Something that can happen: what, to which guild or worker, and which of several."""

    what: str
    who: Any = None
    which: int = 0


class Handler(NamedTuple):
    """A handler that runs, and the process it runs in."""

    delivery: Delivery
    incarnation: int


@dataclass(slots=True)
class Process:
    """A guild process with its heap. `host` is the owner (worker, epoch) it is attached to."""

    revision: object
    host: tuple[int, int] | None


@dataclass(slots=True)
class Budget:
    """How often each misfortune, and each request of an operator, may still happen."""

    events: int = 0
    crons: int = 0
    migrations: int = 0
    crashes: int = 0  # a worker dies with all it does
    misjudged: int = 0  # a worker is presumed dead and goes on
    kills: int = 0  # a guild process dies
    refusals: int = 0
    timeouts: int = 0
    deploys: int = 0
    undeploys: int = 0
    restarts: int = 0
    secrets: int = 0
    sleeps: int = 0  # somebody finds that a guild is idle, or should be
    resumes: int = 0  # Discord sends again what it sent before


class World:
    __slots__ = (
        "asked",
        "awake",
        "budget",
        "checker",
        "controls",
        "crons",
        "dead",
        "effects",
        "ended",
        "fenced",
        "guilds",
        "handlers",
        "hung",
        "keyed",
        "moves",
        "now",
        "outcomes",
        "processes",
        "prompt",
        "revision",
        "router",
        "seq",
        "stubborn",
        "submitted",
        "targets",
        "timers",
        "verdicts",
    )

    def __init__(
        self,
        *,
        workers: int = 3,
        guilds: int = 1,
        limits: Limits | None = None,
        machine: type[GuildMachine] = GuildMachine,
        budget: Budget | None = None,
        fenced: bool = True,
        keyed: bool = True,
        hung: frozenset[int] = frozenset(),
        stubborn: bool = False,
        targets: tuple[int, ...] | None = None,
        prompt: bool = False,
    ) -> None:
        """`hung`: the sequence numbers of events whose first attempt never ends by itself; `stubborn`: not
        even when it is cancelled.
        """
        limits = limits or Limits(concurrency=2)
        self.checker = Checker(concurrency=limits.concurrency)
        self.router = Router(
            workers, limits=limits, deadlines=Deadlines(), log=Log(self.checker.record), machine=machine
        )
        self.budget = budget or Budget()
        self.fenced = fenced  # effects ask for the present epoch first
        self.keyed = keyed  # effects carry a key that is the same at every attempt
        self.hung = hung
        self.stubborn = stubborn
        self.prompt = prompt
        self.targets = tuple(range(workers)) if targets is None else targets
        self.guilds = [GuildId(str(100 + number)) for number in range(guilds)]
        self.seq = 0  # of the gateway session
        self.crons = 0
        self.now = 0.0
        self.submitted = 0
        self.asked: list[Command] = []
        self.awake: set[int] = set()
        self.handlers: list[Handler] = []
        self.processes: dict[tuple[GuildId, int], Process] = {}
        self.dead: set[tuple[GuildId, int]] = set()  # processes that ended by themselves or by a Kill
        self.timers: dict[GuildId, int] = {}
        self.effects: set[str] = set()
        self.revision: dict[GuildId, object] = {}
        self.controls: set[tuple[GuildId, int]] = set()
        self.moves: dict[int, GuildId] = {}
        self.outcomes: list[MoveOutcome] = []
        self.verdicts: Counter[Verdict] = Counter()
        self.ended: Counter[str] = Counter()

    def deployed(self) -> World:
        """Every guild has a script and is open; that is where most stories begin."""
        for guild in self.guilds:
            self.do(Choice("deploy", guild))
        self.run()
        return self

    # ------------------------------------------------------------------ what can happen

    def choices(self) -> list[Choice]:
        return self.progress() + self.misfortunes() + self.requests()

    def progress(self) -> list[Choice]:
        """What happens sooner or later if nobody asks for anything and nothing breaks."""
        found = [Choice("start", worker) for worker in sorted(self.awake)]
        found += [
            Choice("finish", None, index)
            for index, handler in enumerate(self.handlers)
            if not self._hangs(handler.delivery)
        ]
        found += [Choice("answer", None, index) for index in range(len(self.asked))]
        found += [
            Choice("up", worker)
            for worker in range(self.router.placement.workers)
            if not self.router.placement.is_alive(worker)
        ]
        return found

    def misfortunes(self) -> list[Choice]:
        budget, placement = self.budget, self.router.placement
        found: list[Choice] = []
        if budget.timeouts:
            found += [Choice("timeout", guild) for guild in self.timers if self._moves(guild)]
        if budget.refusals:
            found += [
                Choice("refuse", None, index)
                for index, command in enumerate(self.asked)
                if isinstance(command, Activate | Apply | Release | Adopt | Hibernate)
            ]
        for what, left in (("crash", budget.crashes), ("misjudge", budget.misjudged)):
            if left:
                found += [Choice(what, worker) for worker in sorted(placement.alive)]
        if budget.kills:
            found += [Choice("kill", guild, incarnation) for guild, incarnation in self.processes]
        return found

    def requests(self) -> list[Choice]:
        budget = self.budget
        found: list[Choice] = []
        for guild in self.guilds:
            if budget.events:
                found.append(Choice("event", guild))
            if budget.crons:
                found.append(Choice("cron", guild))
            if budget.sleeps:
                found.append(Choice("hibernate", guild))
            if budget.migrations:
                found += [Choice("migrate", guild, target) for target in self.targets]
            for kind in ControlKind:
                if getattr(budget, _BUDGET_OF[kind]):
                    found.append(Choice(kind.value, guild))
        if budget.resumes and self.seq:
            found.append(Choice("resume"))
        return found

    # ------------------------------------------------------------------ making it happen

    def do(self, choice: Choice) -> None:
        """Make one thing happen. Raises BrokenPromiseError."""
        what, who, which = choice
        match what:
            case "start":
                self._start(who)
            case "finish":
                self._finish(self.handlers.pop(which))
            case "answer":
                self._answer(self.asked.pop(which))
            case "refuse":
                self.budget.refusals -= 1
                self._refuse(self.asked.pop(which))
            case "timeout":
                self.budget.timeouts -= 1
                self.router.timeout(who, self.timers.pop(who))
            case "crash":
                self.budget.crashes -= 1
                self._crash(who)
            case "misjudge":
                self.budget.misjudged -= 1
                self.awake.discard(who)
                self.router.worker_lost(who)
            case "kill":
                self.budget.kills -= 1
                self._die(who, which)
            case "up":
                self.router.worker_up(who)
            case "event":
                self.budget.events = max(0, self.budget.events - 1)
                self._event(who, "MESSAGE_CREATE")
            case "interaction":
                self._event(who, "INTERACTION_CREATE")
            case "cron":
                self.budget.crons = max(0, self.budget.crons - 1)
                self.crons += 1
                self.router.inject(who, Injected(f"cron:{self.crons}", "__cron:tick", b"{}", self.now))
            case "migrate":
                self.budget.migrations = max(0, self.budget.migrations - 1)
                self._migrate(who, which)
            case "hibernate":
                self.budget.sleeps = max(0, self.budget.sleeps - 1)
                self._hibernate(who)
            case "restore":
                self.submitted += 1
                if self.router.restore(who, f"revision {self.submitted}"):
                    self.revision[who] = f"revision {self.submitted}"
            case "resume":
                self.budget.resumes -= 1
                self._resume()
            case _:
                self._submit(who, ControlKind(what))
        self.settle()
        self.check()

    def run(self) -> None:
        """Let everything under way come to its end, in one plain order."""
        for _ in range(10_000):
            choices = self.progress()
            if not choices:
                return
            self.do(choices[0])
        raise BrokenPromiseError("it never comes to rest")

    def end_hung(self) -> None:
        """Handlers that hung reach their own deadline. A migration must have ended without that."""
        if self.hung:
            if self.moves:
                raise BrokenPromiseError(f"L6: moves {self.moves} wait for a hung handler")
            self.hung = frozenset()
            self.run()

    def _event(self, guild: GuildId, name: str) -> None:
        event = GatewayEvent(EventId(0, "session", self.seq + 1), name, guild, b"{}", self.now)
        verdict = self.router.accept(event)
        self.seq += verdict is not Verdict.CLOSING
        self.verdicts[verdict] += 1

    def _resume(self) -> None:
        """Discord sends everything again; nothing of it may be taken."""
        for seq in range(1, self.seq + 1):
            event = GatewayEvent(
                EventId(0, "session", seq), "MESSAGE_CREATE", self.guilds[0], b"{}", self.now
            )
            if self.router.accept(event) is not Verdict.DUPLICATE:
                raise BrokenPromiseError(f"L10: seq {seq} was taken twice")

    def _submit(self, guild: GuildId, kind: ControlKind) -> None:
        name = _BUDGET_OF[kind]
        setattr(self.budget, name, max(0, getattr(self.budget, name) - 1))
        self.submitted += 1
        payload = f"revision {self.submitted}" if kind is ControlKind.DEPLOY else None
        try:
            n = self.router.submit(guild, Control(kind, payload))
        except ControlQueueFullError:
            return
        self.controls.add((guild, n))

    def _migrate(self, guild: GuildId, target: int) -> None:
        try:
            move = self.router.migrate(guild, target)
        except (MigrationBusyError, GuildNotDeployedError, WorkerUnavailableError):
            return
        if move is not None:
            self.moves[move] = guild

    def _hibernate(self, guild: GuildId) -> None:
        """Proposed blindly, also for a process that died unnoticed: what is idle, the router knows."""
        view = self.router.view(guild)
        if view is not None and self.router.hibernate(guild, view.incarnation):
            self.ended["hibernation"] += 1

    def _start(self, worker: int) -> None:
        delivery = self.router.next(worker)
        if delivery is None:
            self.awake.discard(worker)
            return
        view = self.router.view(delivery.guild_id)
        assert view is not None
        place = (delivery.guild_id, view.incarnation)
        self.handlers.append(Handler(delivery, view.incarnation))
        if place in self.dead:
            return  # nobody has noticed yet
        process = self.processes.get(place)
        if process is None or process.host != (worker, delivery.epoch):
            raise BrokenPromiseError(f"I9: n={delivery.n} starts on {worker}, which has no process")
        if process.revision != self.revision.get(delivery.guild_id):
            raise BrokenPromiseError(f"I7: n={delivery.n} sees {process.revision}")
        self._effect(delivery, 0)

    def _finish(self, handler: Handler) -> None:
        delivery = handler.delivery
        if (delivery.guild_id, handler.incarnation) in self.dead:
            self.router.fail(delivery, "its process has ended")
            return
        self._effect(delivery, 1)
        if self.router.ack(delivery):
            self.ended["commit"] += 1

    def _effect(self, delivery: Delivery, call_index: int) -> None:
        """A handler sends a message: Discord takes each nonce once."""
        if self.fenced and not self.router.is_current(delivery.guild_id, delivery.epoch):
            return
        key = effect_key(delivery.guild_id, str(delivery.event.id), call_index)
        if not self.keyed and key in self.effects:
            raise BrokenPromiseError(f"I2: n={delivery.n} sends its message twice")
        self.effects.add(key)

    def _answer(self, command: Command) -> None:
        router = self.router
        match command:
            case Activate(guild, worker, epoch, incarnation, deployment):
                if deployment is not None:
                    self.processes[guild, incarnation] = Process(deployment, (worker, epoch))
                router.activated(command)
            case Apply(guild, worker, epoch, incarnation, control=control):
                if control.kind is ControlKind.DEPLOY:
                    self.processes[guild, incarnation] = Process(control.payload, (worker, epoch))
                elif control.kind is ControlKind.RESTART:
                    self.processes[guild, incarnation] = Process(self.revision[guild], (worker, epoch))
                self._applied(command, None)
            case Release(guild, incarnation=incarnation):
                process = self.processes.get((guild, incarnation))
                if process is None:
                    router.release_refused(command, "its process has ended")
                    return
                process.host = None
                router.released(command, (guild, incarnation))
            case Adopt(guild, worker, epoch, incarnation, baggage):
                process = self.processes.get((guild, incarnation))
                if process is None:
                    router.adopt_refused(command, "its process has ended")
                    return
                if baggage != (guild, incarnation):
                    raise BrokenPromiseError("I7: another process is handed over")
                if router.is_current(guild, epoch):
                    if process.host is not None:
                        raise BrokenPromiseError("I9: it is taken over before its source has released it")
                    process.host = (worker, epoch)
                router.adopted(command)
            case Hibernate(guild, incarnation=incarnation):
                self.processes.pop((guild, incarnation), None)
                router.hibernated(command, "kept")
            case Cancel(guild, _, epoch):
                self._cancel(guild, epoch)
            case Kill(guild, _, _, incarnation):
                if self.processes.pop((guild, incarnation), None) is not None:
                    self.dead.add((guild, incarnation))
                router.process_lost(guild, incarnation, "it was killed")
            case DeadLetter():
                self.ended["dead"] += 1
                router.stored(command)
            case _:
                raise AssertionError(command)

    def _applied(self, command: Apply, error: str | None) -> None:
        """What the machine makes of it decides: a late answer changes nothing."""
        guild = command.guild_id
        before = (guild, command.n) in self.controls
        self.router.applied(command, error=error)
        self.settle()
        if error is None and before and (guild, command.n) not in self.controls:
            if command.control.kind is ControlKind.DEPLOY:
                self.revision[guild] = command.control.payload
            elif command.control.kind is ControlKind.UNDEPLOY:
                self.revision.pop(guild, None)

    def _refuse(self, command: Command) -> None:
        match command:
            case Activate():
                self.router.activation_failed(command, "it does not start")
            case Apply():
                self._applied(command, "it does not load")
            case Release():
                self.router.release_refused(command, "no")
            case Adopt():
                self.router.adopt_refused(command, "no")
            case Hibernate():
                self.router.hibernate_refused(command)
            case _:
                raise AssertionError(command)

    def _die(self, guild: GuildId, incarnation: int) -> None:
        """A process ends. Its exit may be reported later, and its handlers fail before that or after."""
        del self.processes[guild, incarnation]
        self.dead.add((guild, incarnation))
        if self.prompt:
            self.router.process_lost(guild, incarnation, "it died")
            return
        view = self.router.view(guild)
        assert view is not None
        self.asked.append(Kill(guild, view.worker or 0, view.epoch, incarnation))

    def _cancel(self, guild: GuildId, epoch: int) -> None:
        for handler in list(self.handlers):
            delivery = handler.delivery
            if (delivery.guild_id, delivery.epoch) == (guild, epoch):
                if self._hangs(delivery) and self.stubborn:
                    continue
                self.handlers.remove(handler)
                self.router.fail(delivery, "cancelled")

    def _crash(self, worker: int) -> None:
        """Everything that the worker does ends in silence. What was about to sleep there, does."""
        drowsy = [
            view for view in self.router.views() if view.state is State.HIBERNATING and not view.waiting
        ]
        self.awake.discard(worker)
        self.handlers = [h for h in self.handlers if h.delivery.worker != worker]
        self.asked = [
            command
            for command in self.asked
            if not isinstance(command, Activate | Apply | Release | Adopt | Hibernate)
            or command.worker != worker
        ]
        self.router.worker_lost(worker)
        for before in drowsy:
            after = self.router.view(before.guild_id)
            if before.worker == worker and after is not None and after.state is not State.ASLEEP:
                raise BrokenPromiseError(f"guild {before.guild_id} is woken by the loss of its worker")

    def settle(self) -> None:
        """What a driver does with commands at once."""
        for command in self.router.take():
            match command:
                case Wake(worker):
                    self.awake.add(worker)
                case Arm(guild, serial):
                    self.timers[guild] = serial
                case Retire(guild, incarnation=incarnation):
                    # What the retired owner runs goes on here: its driver may be slow, or deaf.
                    if incarnation is not None:
                        for place in [p for p in self.processes if p[0] == guild and p[1] <= incarnation]:
                            del self.processes[place]
                case ControlDone(guild, n):
                    if (guild, n) not in self.controls:
                        raise BrokenPromiseError(f"I8: control n={n} has ended twice")
                    self.controls.remove((guild, n))
                    self.ended["control"] += 1
                case MoveDone(guild, move, outcome):
                    if self.moves.pop(move, None) is None:
                        raise BrokenPromiseError(f"L1: move {move} has ended twice")
                    self.outcomes.append(outcome)
                case _:
                    self.asked.append(command)

    def _moves(self, guild: GuildId) -> bool:
        view = self.router.view(guild)
        return view is not None and view.phase is not None

    def _hangs(self, handler: Delivery) -> bool:
        event = handler.event.id
        return isinstance(event, EventId) and event.seq in self.hung and handler.attempt == 1

    # ------------------------------------------------------------------ what must hold

    def check(self) -> None:
        """After every step: I1 to I5 and I8 by the history, I6, and that the books agree."""
        if self.checker.violations:
            raise BrokenPromiseError(str(self.checker.violations[0]))
        router, limits = self.router, self.router.house.limits
        total = 0
        used = [0] * router.placement.workers
        for machine in router._guilds.values():
            mailbox = machine.mailbox
            events = mailbox.events
            total += events
            if events > limits.guild_capacity:
                raise BrokenPromiseError(f"I6: guild {machine.guild_id} holds {events} events")
            if machine.state is State.ASLEEP:
                self._check_sleep(machine)
            if machine.worker is not None:
                used[machine.worker] += sum(e.control is None for e in mailbox.in_flight.values())
        if total > limits.total_capacity:
            raise BrokenPromiseError(f"I6: all guilds hold {total} events")
        if total != router.depth:
            raise BrokenPromiseError(f"the sum counts {router.depth} events instead of {total}")
        for worker, queue in enumerate(router.house.queues):
            if queue.used != used[worker]:
                raise BrokenPromiseError(f"worker {worker} counts {queue.used} handlers, not {used[worker]}")

    def _check_sleep(self, machine: GuildMachine) -> None:
        """A guild that sleeps has nothing to do, nobody to do it, and its script to wake with."""
        guild = machine.guild_id
        if machine.mailbox.waiting or machine.mailbox.in_flight:
            raise BrokenPromiseError(f"guild {guild} sleeps over its work")
        if machine.worker is not None or machine.move is not None:
            raise BrokenPromiseError(f"guild {guild} sleeps and has an owner or a move")
        if machine.deployment != self.revision.get(guild):
            raise BrokenPromiseError(f"I7: guild {guild} would wake with {machine.deployment}")
        if left := [place for place in self.processes if place[0] == guild]:
            raise BrokenPromiseError(f"guild {guild} sleeps and has processes {left}")

    def check_rest(self) -> None:
        """When nothing is left to do: nothing has vanished, nothing is stuck."""
        self.checker.end(complete=True)
        self.check()
        if self.controls:
            raise BrokenPromiseError(f"I8: controls {self.controls} never ended")
        if self.moves:
            raise BrokenPromiseError(f"L1: moves {self.moves} never ended")
        for view in self.router.views():
            if view.state not in {State.OPEN, State.STOPPED, State.ASLEEP}:
                raise BrokenPromiseError(f"guild {view.guild_id} is stuck: {view}")
        cursor = self.router.sessions.cursor(0)
        if cursor is not None and (cursor.seq != self.seq or cursor.ended):
            raise BrokenPromiseError(f"the cursor stays at {cursor.seq} of {self.seq}")


_BUDGET_OF = {
    ControlKind.DEPLOY: "deploys",
    ControlKind.UNDEPLOY: "undeploys",
    ControlKind.RESTART: "restarts",
    ControlKind.SECRETS: "secrets",
}
