"""The guild actor: owner of one guild's process for one epoch.

It is started by its worker to activate a guild or to adopt a live process, runs the handlers of the events
it is given, carries out controls, and ends when it has released the process or is retired. What it says
afterwards carries an old epoch and is refused by the router's core.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import trio

from flora.actors.core import (
    Activate,
    Adopt,
    Apply,
    Cancel,
    ControlKind,
    Delivery,
    Hibernate,
    Outcome,
    Release,
    Retire,
)
from flora.actors.core.overload import CRON, rank_of
from flora.actors.host import RUNTIME, GuildServices, ScriptHost
from flora.actors.kernel import Actor, Backoff, Context
from flora.actors.schedule.jobs import CronJob, InvalidCronError, parse_jobs
from flora.actors.script import DeployedScript
from flora.actors.switchboard import ControlRefusedError
from flora.engine.api import (
    Dispatch,
    DispatchTimeoutError,
    EngineError,
    ExitKind,
    GuildProcess,
    HandlerError,
    LogLevel,
    Manifest,
    ProcessDiedError,
    ScriptFault,
    ScriptLoadError,
)
from flora.errors import FloraError
from flora.ids import GuildId
from flora.ops.scope import InteractionBook
from flora.ops.table import OpContext

GuildMessage = Delivery | Apply | Cancel | Hibernate | Release | Retire

RESTART = Backoff(initial=0.1, factor=3.0, maximum=300.0)
"""Pauses before a process that keeps dying is started again: 0.1 s, 0.3 s, 0.9 s ... 5 min."""

INTERACTION = "INTERACTION_CREATE"
SECRETS = "FLORA_SECRETS"
"""No event of Discord's: the SDK keeps its payload, name -> placeholder, for `secrets.get`."""


@dataclass(frozen=True, slots=True)
class Live:
    """A process with what belongs to it: it changes hands as a whole."""

    process: GuildProcess
    manifest: Manifest
    crons: tuple[CronJob, ...]
    script: DeployedScript
    incarnation: int
    context: OpContext


class GuildActor(Actor[GuildMessage]):
    def __init__(
        self, services: GuildServices, begin: Activate | Adopt, vacate: Callable[[GuildId, int], None]
    ) -> None:
        """`vacate(guild_id, epoch)` is called when this owner is one no longer."""
        self._services = services
        self._board = services.board
        self._begin = begin
        self._vacate = vacate
        self._guild_id = begin.guild_id
        self._epoch = begin.epoch
        kept = begin.kept if isinstance(begin, Activate) else None
        self._interactions = kept if isinstance(kept, InteractionBook) else InteractionBook()
        self._script: DeployedScript | None = None
        self._live: Live | None = None
        self._begun: deque[tuple[Delivery, trio.CancelScope]] = deque()  # their tasks have not run yet
        self._in_flight: set[trio.CancelScope] = set()
        self._owed: Activate | Apply | None = None  # what the core waits for without a deadline
        self._retired = False  # another owner has the guild, or none needs it
        self._ctx: Context[GuildMessage]

    # ------------------------------------------------------------------ life

    async def started(self, ctx: Context[GuildMessage]) -> None:
        self._ctx = ctx
        match self._begin:
            case Activate() as command:
                self._owed = command
                ctx.nursery.start_soon(self._activate, command)
            case Adopt(baggage=Live() as live) as command:
                self._adopt(command, live)
            case Adopt() as command:
                self._board.adopt_refused(command, "nothing came with it")

    async def run(self, ctx: Context[GuildMessage]) -> None:
        try:
            async for message in ctx.mailbox:
                match message:
                    case Delivery():
                        self._begin_event(message)
                    case Apply():
                        self._owed = message
                        ctx.nursery.start_soon(self._apply, message)
                    case Cancel():
                        for scope in self._in_flight:
                            scope.cancel()
                    case Hibernate():
                        ctx.nursery.start_soon(self._hibernate, message)
                    case Release():
                        self._release(message)
                        return
                    case Retire(incarnation=incarnation):
                        self._retired = True
                        if incarnation is None:
                            self._live = None  # another owner has it
                        return
        finally:
            self._leave()

    async def stopping(self) -> None:
        """flora shuts down: let the process end by itself."""
        await self._discard()

    def _leave(self) -> None:
        """However this ends: no process goes on without an owner, and nobody waits for an answer."""
        self._vacate(self._guild_id, self._epoch)
        if self._ctx.mailbox.closed:
            return  # an orderly stop; see `stopping`
        reason = "its owner has ended"
        if self._live is not None:
            self._live.process.kill(reason)
        if self._retired:
            return
        if isinstance(self._owed, Activate):
            self._board.activation_failed(self._owed, reason)
            return
        self._board.owner_lost(self._guild_id, self._epoch, reason)
        if self._owed is not None:
            self._board.applied(self._owed, ControlRefusedError(f"{reason}.", hint="Try again."))

    # ------------------------------------------------------------------ coming and going

    async def _activate(self, command: Activate) -> None:
        if command.deployment is None:
            self._owed = None
            self._board.activated(command, None)
            return
        assert isinstance(command.deployment, DeployedScript)
        if command.failures:
            pause = RESTART.delay(command.failures, self._ctx.rng)
            self._say(f"starting again in {pause:.1f} s (failed {command.failures} times)", LogLevel.WARN)
            await self._board.census.pause(self._guild_id, pause)
            self._services.metrics.isolate_restarted.inc()
        try:
            live = await self._launch(command.deployment, command.incarnation)
        except EngineError as error:
            self._say(f"the script does not start: {error.message}")
            self._owed = None
            self._board.activation_failed(command, error.message)
            return
        self._take(live)
        self._services.crons_declared(self._guild_id, live.incarnation, live.crons)
        self._owed = None
        self._board.activated(command, live.manifest)

    def _adopt(self, command: Adopt, live: Live) -> None:
        if not self._board.is_current(self._guild_id, self._epoch):
            return  # too late: another candidate has it, and `Retire` is on its way
        if live.process.exit_report is not None:
            self._board.process_lost(self._guild_id, live.incarnation, live.process.exit_report.reason)
            return
        self._take(live)
        live.process.attach(self._host_of(live.script, live.incarnation, live.context))
        self._board.adopted(command)

    def _release(self, command: Release) -> None:
        live, self._live = self._live, None
        if live is None:
            self._board.release_refused(command, "there is no process")
        else:
            self._retired = True
            self._board.released(command, live)

    async def _hibernate(self, command: Hibernate) -> None:
        """End the process in order. What the script may still answer outlives it."""
        live = self._live
        if live is None:
            self._board.hibernate_refused(command)  # it has ended by itself, which was told
            return
        await self._discard()
        self._board.hibernated(command, live.context.interactions)

    def _take(self, live: Live) -> None:
        self._live = live
        self._script = live.script
        self._ctx.nursery.start_soon(self._watch, live)

    async def _launch(self, script: DeployedScript, incarnation: int) -> Live:
        """Start a process and load `script`. Raises EngineError; then no process is left."""
        services = self._services
        context = OpContext(
            guild_id=self._guild_id,
            application_id=services.application_id,
            rest=services.rest,
            channels=services.channels,
            kv=services.kv,
            secrets=lambda: services.secrets.of(self._guild_id),
            interactions=self._interactions if self._live is None else self._live.context.interactions,
            fetch=services.fetcher.session(self._guild_id),
            tasks=services.tasks,
        )
        host = self._host_of(script, incarnation, context)
        async with self._board.boots:
            process = await services.engine.spawn(self._guild_id, host)
        self._board.census.enter(self._guild_id, incarnation, process)
        try:
            if len(services.secrets.of(self._guild_id)) > 0:
                await self._tell_secrets(process)
            manifest = await process.load(script.script(), timeout_secs=services.config.load_timeout_secs)
            crons = self._crons_of(manifest)
        except ScriptLoadError as error:
            process.kill("the script did not load")
            context.close()
            fault = error.fault
            raise ScriptLoadError(
                ScriptFault(fault.name, fault.message, host.describe(fault), fault.extra)
            ) from error
        except BaseException:
            process.kill("the script did not load")
            context.close()
            raise
        return Live(process, manifest, crons, script, incarnation, context)

    def _crons_of(self, manifest: Manifest) -> tuple[CronJob, ...]:
        """Raises ScriptLoadError for a job that is refused: then the script is."""
        try:
            return parse_jobs(manifest.crons, max_jobs=self._services.config.max_cron_jobs)
        except InvalidCronError as error:
            raise ScriptLoadError(ScriptFault("InvalidInputError", error.message, error.stack)) from None

    async def _tell_secrets(self, process: GuildProcess) -> None:
        """Hand the script the placeholders of its guild's secrets. Raises EngineError."""
        placeholders = self._services.secrets.of(self._guild_id).placeholders()
        await process.dispatch(Dispatch(SECRETS, msgspec.json.encode(placeholders), event_id="secrets"))

    async def _watch(self, live: Live) -> None:
        """Until the process has ended, or another owner has it."""
        report = await live.process.wait()
        live.context.close()
        if report.kind is ExitKind.OUT_OF_MEMORY:
            self._services.metrics.oom_error.inc()
        if live is self._live:
            if report.kind is not ExitKind.STOPPED:
                self._say(f"the guild process ended: {report.reason}")
            self._live = None
            self._board.process_lost(self._guild_id, live.incarnation, report.reason)

    # ------------------------------------------------------------------ events

    def _begin_event(self, delivery: Delivery) -> None:
        """Start a task for it. Trio runs new tasks in any order, so each takes the oldest that is begun: the
        process gets the events in the order of the guild.
        """
        scope = trio.CancelScope()
        self._in_flight.add(scope)
        self._begun.append((delivery, scope))
        self._ctx.nursery.start_soon(self._deliver_next)

    async def _deliver_next(self) -> None:
        """Run the handlers of one event, and say how that ended whatever happens."""
        delivery, scope = self._begun.popleft()
        metrics = self._services.metrics
        began = trio.current_time()
        metrics.queue_duration.observe(began - delivery.event.received_at)
        outcome: Outcome | None = None
        reason = "it was cancelled"
        try:
            with scope:
                outcome, reason = await self._handle(delivery)
        finally:
            self._in_flight.discard(scope)
            if outcome is None:
                self._board.fail(delivery, reason)
        if outcome is None:
            return
        metrics.handler_duration.observe(trio.current_time() - began)
        self._board.census.used(self._guild_id)
        (metrics.dispatch_success if outcome is Outcome.DONE else metrics.dispatch_error).inc()
        self._board.ack(delivery, outcome, reason)

    async def _handle(self, delivery: Delivery) -> tuple[Outcome | None, str]:
        """(how it ended, what went wrong), or (None, why it has to be tried again)."""
        event, live = delivery.event, self._live
        if live is None:
            return None, "there is no process"
        if event.name == INTERACTION:
            live.context.interactions.remember(event.payload)
        dispatch = Dispatch(
            name=event.name,
            payload=event.payload,
            event_id=str(event.id),
            attempt=delivery.attempt,
            wall_secs=self._wall_secs(event.name),
        )
        try:
            await live.process.dispatch(dispatch)
        except HandlerError as error:
            text = live.script.describe(error.fault, show_internal=self._shows_internal)
            self._say(text, event=dispatch)
            return Outcome.FAILED, text
        except DispatchTimeoutError as error:
            self._services.metrics.timeout_error.inc()
            self._say(error.message, event=dispatch)
            return Outcome.TIMEOUT, error.message
        except ProcessDiedError as error:
            return None, error.report.reason
        return Outcome.DONE, ""

    # ------------------------------------------------------------------ controls

    async def _apply(self, command: Apply) -> None:
        result: Manifest | FloraError | None
        try:
            result = await self._carry_out(command)
        except FloraError as error:
            result = error
        self._owed = None
        self._board.applied(command, result)

    async def _carry_out(self, command: Apply) -> Manifest | None:
        match command.control.kind:
            case ControlKind.DEPLOY:
                script = command.control.payload
                assert isinstance(script, DeployedScript)
                return await self._replace(script, command.incarnation)
            case ControlKind.RESTART:
                assert self._script is not None, "the core restarts only what has been started"
                return await self._replace(self._script, command.incarnation)
            case ControlKind.UNDEPLOY:
                await self._discard()
                return None
            case ControlKind.SECRETS:
                if self._live is not None:
                    await self._tell_secrets(self._live.process)
                return None

    async def _replace(self, script: DeployedScript, incarnation: int) -> Manifest:
        """The new process runs before the old one goes, so a script that does not load changes nothing."""
        old, live = self._live, await self._launch(script, incarnation)
        self._take(live)
        self._services.crons_declared(self._guild_id, live.incarnation, live.crons)
        if old is not None:
            await self._end_process(old)
        return live.manifest

    async def _discard(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            await self._end_process(live)

    @staticmethod
    async def _end_process(live: Live) -> None:
        try:
            await live.process.stop()
        finally:
            live.process.kill("it did not end in time")

    # ------------------------------------------------------------------ small things

    def _wall_secs(self, name: str) -> float:
        config = self._services.config
        return config.cron_timeout_secs if rank_of(name) == CRON else config.dispatch_timeout_secs

    @property
    def _shows_internal(self) -> bool:
        return self._services.config.show_internal_stack_frames

    def _host_of(self, script: DeployedScript, incarnation: int, context: OpContext) -> ScriptHost:
        return ScriptHost(self._services, context, script, epoch=self._epoch, incarnation=incarnation)

    def _say(self, text: str, level: LogLevel = LogLevel.ERROR, *, event: Dispatch | None = None) -> None:
        """A line by flora in the guild's log."""
        self._services.logs.append(
            self._guild_id,
            level,
            text,
            target=RUNTIME,
            event_id=None if event is None else event.event_id,
        )
