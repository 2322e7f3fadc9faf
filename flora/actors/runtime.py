"""The guild runtime: all workers and guilds behind one door.

/flora/runtime/keeper              timers, dead letters
/flora/runtime/worker-0 ...        one for each unit of placement
/flora/runtime/worker-0/guild-1@7  the owner of guild 1 at epoch 7
/flora/runtime/rebalancer          moves guilds away from a worker that is too slow for them
/flora/runtime/hibernator          ends processes that are idle, or too many for the memory
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog
import trio

from flora.actors.core import (
    Control,
    ControlKind,
    DeadLetter,
    Event,
    GuildNotDeployedError,
    GuildView,
    Injected,
    MoveDone,
    RouterError,
    Scheduled,
    State,
)
from flora.actors.hibernation import Hibernator, Policy
from flora.actors.host import GuildServices
from flora.actors.keeper import Keeper
from flora.actors.kernel import Actor, ChildSpec, Context, Intensity
from flora.actors.memory import budget_bytes
from flora.actors.rebalancer import Load, Rebalancer
from flora.actors.script import DeployedScript
from flora.actors.status import (
    Condition,
    GuildStatus,
    Relocated,
    Relocation,
    WorkerStatus,
    condition_of,
)
from flora.actors.worker import COMMANDS, Worker
from flora.engine.api import Idleness, Manifest, ProcessDiedError
from flora.errors import FloraError
from flora.ids import GuildId

log = structlog.get_logger("flora.runtime")

DRAIN_AT_ONCE: Final = 8
"""Moves side by side while a worker is drained. One takes milliseconds unless a handler hangs, and each that
hangs holds up its guild only, so a few suffice."""

DRAIN_TRIES: Final = 3
"""A guild may be about to move elsewhere, or a target may end; then it is tried again."""

RESTART_AIR_SECS: Final = 25.0
"""On top of boot and load: events that run before it, the end of the old process."""

STORE_SECS: Final = 2.0
"""At the end, to store what would be lost: a database that takes longer than this is not there."""


class WorkerNotFoundError(FloraError):
    code = "WORKER_NOT_FOUND"

    def __init__(self, index: int, workers: int) -> None:
        super().__init__(f"there is no worker {index}.", hint=f"They are numbered 0 to {workers - 1}.")


class LastWorkerError(FloraError):
    """Draining is for a worker whose guilds have somewhere to go."""

    code = "LAST_WORKER"

    def __init__(self, index: int) -> None:
        super().__init__(
            f"worker {index} is the only one that takes guilds.", hint="Reopen another one first."
        )


class RestartTimeoutError(FloraError):
    code = "RESTART_TIMEOUT"


class GuildRuntime(Actor[None]):
    """Its methods may be called from any task while it runs."""

    def __init__(
        self,
        services: GuildServices,
        store_dead_letter: Callable[[DeadLetter], Awaitable[None]],
        *,
        drain_secs: float,
    ) -> None:
        """`drain_secs` bounds the wait for events that run or wait at an orderly stop."""
        self._services = services
        self._board = services.board
        self._store = store_dead_letter
        self._drain_secs = drain_secs
        self.memory_budget = budget_bytes(services.config)  # bytes, for all guild processes together

    async def started(self, ctx: Context[None]) -> None:
        keeper = await ctx.spawn(ChildSpec("keeper", lambda: Keeper(self._board, self._store)))
        self._board.connect_keeper(keeper)
        for index in range(self._services.config.max_workers):
            await ctx.spawn(
                ChildSpec(
                    f"worker-{index}",
                    lambda index=index: Worker(index, self._services),  # type: ignore[misc]
                    mailbox_capacity=COMMANDS,
                    intensity=Intensity(restarts=10, within=60.0),
                )
            )
        if self._workers > 1:
            rebalancer = partial(Rebalancer, self._loads, self.migrate_guild_runtime)
            await ctx.spawn(ChildSpec("rebalancer", rebalancer))
        policy = Policy(budget=self.memory_budget, after_secs=self._services.config.hibernate_after_secs)
        hibernator = partial(Hibernator, self._board, self._services.engine, policy)
        await ctx.spawn(ChildSpec("hibernator", hibernator))

    async def stopping(self) -> None:
        """Let the mailboxes drain. What is left then stays with the gateway's cursor, and what did not come
        from there is stored.
        """
        with trio.move_on_after(self._drain_secs) as patience:
            await self._board.drain()
        left = self._board.close()
        if left:
            log.warning("events not handled", count=len(left), overdue=patience.cancelled_caught)
            with trio.move_on_after(STORE_SECS):
                await self._keep(left)

    async def _keep(self, left: list[tuple[GuildId, Event]]) -> None:
        for guild_id, event in left:
            if isinstance(event, Injected) and not isinstance(event, Scheduled):
                letter = DeadLetter(guild_id, 0, 0, event, "flora was stopped before it was handled")
                try:
                    await self._store(letter)
                except FloraError as error:
                    log.error("event not stored", guild=guild_id, event_id=event.id, error=str(error))

    async def deploy(self, script: DeployedScript) -> Manifest:
        """Start `script` in place of the guild's present one, in the guild's order.

        Returns what it declared. Raises ScriptLoadError and other EngineErrors, then the present one goes on;
        ControlQueueFullError, ControlRefusedError, RouterClosedError. When cancelled, the deploy goes on.
        """
        manifest = await self._control(script.guild_id, Control(ControlKind.DEPLOY, script))
        assert manifest is not None, "a deploy that worked has a manifest"
        self._services.commands_declared(script.guild_id, manifest.commands)
        return manifest

    async def undeploy(self, guild_id: GuildId) -> None:
        """Stop the guild's script. To do it twice is no error."""
        await self.stop(guild_id)
        self._services.commands_declared(guild_id, None)
        self._services.crons_declared(guild_id, 0, None)

    async def stop(self, guild_id: GuildId) -> None:
        """As `undeploy`, but Discord keeps its commands: the bot may have no right to them any more."""
        await self._control(guild_id, Control(ControlKind.UNDEPLOY))

    async def refresh_secrets(self, guild_id: GuildId) -> None:
        """Tell the guild's running script which secrets there are now; if none runs, there is nothing to do.

        Raises as `deploy`.
        """
        view = self._board.core.view(guild_id)
        if view is not None and view.state is not State.STOPPED:
            await self._control(guild_id, Control(ControlKind.SECRETS))

    async def restart(self, guild_id: GuildId) -> None:
        """Start the guild's script anew, with a fresh heap; a back-off is cut short.

        Raises as `deploy`, GuildNotDeployedError, and RestartTimeoutError while it goes on behind it.
        """
        view = self._board.core.view(guild_id)
        if view is None or view.state is State.STOPPED:
            raise GuildNotDeployedError(guild_id)
        config = self._services.config
        patience = config.boot_timeout_secs + config.load_timeout_secs + RESTART_AIR_SECS
        self._board.census.hurry(guild_id)
        with trio.move_on_after(patience):
            manifest = await self._control(guild_id, Control(ControlKind.RESTART))
            if manifest is not None:
                self._services.commands_declared(guild_id, manifest.commands)
            return
        raise RestartTimeoutError(
            f"guild {guild_id} has not restarted in {patience:g} s; it is still tried.",
            hint="`flora logs` shows what it waits for.",
        )

    # ------------------------------------------------------------------ sleep

    def restore(self, script: DeployedScript, manifest: Manifest) -> bool:
        """Have what a guild ran before flora was started, asleep; False when it has a script already.

        `manifest` is what the script declared when it was last loaded.
        """
        if not self._board.restore(script.guild_id, script, manifest):
            return False
        self._services.commands_declared(script.guild_id, manifest.commands)
        return True

    async def put_to_sleep(self, guild_id: GuildId) -> bool:
        """Have a guild hibernate that has nothing to do and no timers; whether that has begun."""
        view = self._board.core.view(guild_id)
        idleness = await self.idleness(guild_id)
        if view is None or idleness is None or idleness.timers or idleness.ops or idleness.dispatches:
            return False
        return self._board.hibernate(guild_id, view.incarnation)

    async def idleness(self, guild_id: GuildId) -> Idleness | None:
        """What is pending in the guild's process; None when none runs, or it does not say so."""
        view = self._board.core.view(guild_id)
        process = None if view is None else self._board.census.process(guild_id, view.incarnation)
        try:
            return None if process is None else await process.idleness()
        except ProcessDiedError:
            return None

    # ------------------------------------------------------------------ placement

    async def migrate_guild_runtime(self, guild_id: GuildId, target_worker: int) -> MoveDone | None:
        """Move a guild to another worker, with its live process; None when it is there already.

        Ends within `Deadlines.total`. Raises RouterError. When cancelled, the move goes on.
        """
        reply = self._board.migrate(guild_id, target_worker)
        return None if reply is None else await reply.wait()

    async def drain_worker(self, index: int) -> list[Relocated]:
        """Place no more guilds on a worker, and move those that are there elsewhere, some side by side.

        Returns what became of each guild; one that could not be moved stays and goes on. Ends within some
        times `Deadlines.total`. Raises WorkerNotFoundError, LastWorkerError. When cancelled, the worker stays
        closed and the moves under way go on.
        """
        self._check(index)
        placement = self._board.core.placement
        if not any(
            worker != index and placement.is_alive(worker) and not placement.is_closed(worker)
            for worker in range(self._workers)
        ):
            raise LastWorkerError(index)
        guilds = self._board.core.close_worker(index)
        log.info("draining worker", worker=index, guilds=len(guilds))
        done: list[Relocated] = []
        limiter = trio.CapacityLimiter(DRAIN_AT_ONCE)

        async def relocate(guild_id: GuildId) -> None:
            async with limiter:
                done.append(await self._relocate(guild_id, index))

        async with trio.open_nursery() as nursery:
            for guild_id in guilds:
                nursery.start_soon(relocate, guild_id)
        return sorted(done, key=lambda item: int(item.guild_id))

    def reopen_worker(self, index: int) -> None:
        """Place guilds on it again; those that left stay where they are. Raises WorkerNotFoundError."""
        self._check(index)
        self._board.core.reopen_worker(index)
        log.info("worker reopened", worker=index)

    async def _relocate(self, guild_id: GuildId, source: int) -> Relocated:
        """Move one guild away from a worker that is closed."""
        outcome, reason = Relocation.GONE, ""
        for _ in range(DRAIN_TRIES):
            view = self._board.core.view(guild_id)
            worker = None if view is None else view.worker
            if view is None or worker != source:
                break
            try:
                # A move under way to somewhere else is joined.
                target = self._roomiest(source) if view.moving_to is None else view.moving_to
                done = await self.migrate_guild_runtime(guild_id, target)
            except RouterError as error:
                outcome, reason = Relocation.REFUSED, error.message
                await trio.lowlevel.checkpoint()
            else:
                if done is not None:
                    outcome, reason = Relocation(done.outcome.value), done.reason
        view = self._board.core.view(guild_id)
        return Relocated(guild_id, outcome, None if view is None else view.worker, reason)

    def _roomiest(self, source: int) -> int:
        """The worker with the fewest guilds that takes any; `source` when there is none."""
        open_ = [status for status in self.workers() if status.alive and not status.drained]
        return min(open_, key=lambda status: status.guilds).index if open_ else source

    def _check(self, index: int) -> None:
        if not 0 <= index < self._workers:
            raise WorkerNotFoundError(index, self._workers)

    # ------------------------------------------------------------------ looking in

    def runs(self, guild_id: GuildId) -> bool:
        """Whether the guild has a script, even one that sleeps or is about to start again."""
        view = self._board.core.view(guild_id)
        return view is not None and view.state is not State.STOPPED

    def guild(self, guild_id: GuildId) -> GuildStatus | None:
        """One guild; None when nothing was ever deployed to it."""
        view = self._board.core.view(guild_id)
        return None if view is None else self._status(view)

    def guild_ids(self, after: int, limit: int) -> list[GuildId]:
        """At most `limit` guilds with ids above `after`, in their order; looks at no others."""
        return self._board.core.guild_ids(after, limit)

    def conditions(self) -> Counter[Condition]:
        """How many guilds are how; those that sleep, who may be very many, cost next to nothing."""
        core = self._board.core
        counts = Counter(self._status(view).condition for view in core.views(asleep=False))
        counts[Condition.HIBERNATING] += core.asleep
        return counts

    def workers(self) -> list[WorkerStatus]:
        """Every worker, in order."""
        placement = self._board.core.placement
        views: list[list[GuildView]] = [[] for _ in range(self._workers)]
        for view in self._board.core.views(asleep=False):
            if view.worker is not None:
                views[view.worker].append(view)
        return [
            WorkerStatus(
                index=index,
                alive=placement.is_alive(index),
                drained=placement.is_closed(index),
                guilds=len(views[index]),
                waiting=sum(view.waiting for view in views[index]),
                in_flight=sum(view.in_flight for view in views[index]),
                queue_delay=self._board.queue_delay(index),
            )
            for index in range(self._workers)
        ]

    @property
    def _workers(self) -> int:
        return self._services.config.max_workers

    def _status(self, view: GuildView) -> GuildStatus:
        census = self._board.census
        process = census.process(view.guild_id, view.incarnation)
        has_process = process is not None and view.state is not State.STARTING
        return GuildStatus(
            guild_id=view.guild_id,
            condition=condition_of(view, has_process=has_process),
            worker=view.worker,
            epoch=view.epoch,
            pid=None if process is None else process.pid,
            waiting=view.waiting,
            in_flight=view.in_flight,
            failures=view.failures,
            moving_to=view.moving_to,
            move_phase=None if view.phase is None else view.phase.value,
            resumes_in=census.resumes_in(view.guild_id),
            last_error=census.last_error(view.guild_id),
        )

    def _loads(self) -> list[Load]:
        """The workers that take guilds, for the rebalancer."""
        placement = self._board.core.placement
        guilds: dict[int, dict[GuildId, int]] = {
            worker: {}
            for worker in range(self._workers)
            if placement.is_alive(worker) and not placement.is_closed(worker)
        }
        for view in self._board.core.views(asleep=False):
            if view.worker in guilds and view.moving_to is None:
                guilds[view.worker][view.guild_id] = view.waiting + view.in_flight
        return [Load(worker, self._board.queue_delay(worker), each) for worker, each in guilds.items()]

    async def _control(self, guild_id: GuildId, control: Control) -> Manifest | None:
        return await self._board.control(guild_id, control).wait()
