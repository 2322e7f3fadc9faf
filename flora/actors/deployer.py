"""The deployment service: one actor through which every change of a guild's script goes.

    validate -> start the script in the guild's order -> one transaction (revision and current) -> answer

A script that does not load is refused and recorded; what ran before runs on. When the database does not take
the revision, what ran before is put back, and where it cannot be known whether it was taken, the database
decides as soon as it answers. Changes of one guild happen one after the other, those of several guilds side
by side.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar
from uuid import UUID

import structlog
import trio

from flora.actors.core import GuildNotDeployedError
from flora.actors.kernel import Actor, ActorRef, AskTimeoutError, Backoff, Context, Request
from flora.actors.runtime import GuildRuntime
from flora.actors.script import DeployedScript
from flora.build.types import SourceFile
from flora.config import RuntimeConfig
from flora.engine.api import EngineError, Manifest, ScriptLoadError
from flora.errors import FloraError
from flora.ids import GuildId, GuildOrder
from flora.storage.deployments import (
    Actor as Author,
)
from flora.storage.deployments import (
    Deployment,
    DeploymentHead,
    DeploymentStore,
    HistoryPage,
    NewRevision,
    Revision,
    Source,
)
from flora.storage.pauses import GuildPauses
from flora.storage.postgres import DatabaseError, DatabaseUnavailableError

log = structlog.get_logger("flora.deployments")

R = TypeVar("R")

MAX_WAITING = 8
"""Changes of one guild that wait; a person sends them, so more is a loop somewhere."""

RETRY = Backoff(initial=0.5, factor=2.0, maximum=15.0)


class ScriptTooLargeError(FloraError):
    code = "SCRIPT_TOO_LARGE"


class DeployBusyError(FloraError):
    code = "DEPLOY_IN_PROGRESS"


class DeployLostError(FloraError):
    """It is not known whether the change was carried out."""

    code = "DEPLOYER_UNAVAILABLE"


class ChangeTimeoutError(FloraError):
    """The change has not ended; it goes on."""

    code = "CHANGE_TIMEOUT"


class GuildPausedError(FloraError):
    code = "GUILD_PAUSED"

    def __init__(self, guild_id: GuildId) -> None:
        super().__init__(
            f"guild {guild_id} is paused.",
            hint="To start it again: `flora resume`, or POST /deployments/{guild_id}/resume.",
        )


class GuildNotPausedError(FloraError):
    code = "GUILD_NOT_PAUSED"


class InvalidRollbackError(FloraError):
    code = "ROLLBACK_TARGET_FAILED"


@dataclass(frozen=True, slots=True)
class Deploy(Request[Revision]):
    new: NewRevision

    @property
    def guild_id(self) -> GuildId:
        return self.new.guild_id


@dataclass(frozen=True, slots=True)
class Rollback(Request[Revision]):
    guild_id: GuildId
    revision_id: UUID
    source: Source
    author: Author


@dataclass(frozen=True, slots=True)
class Undeploy(Request[None]):
    guild_id: GuildId
    author: Author


@dataclass(frozen=True, slots=True)
class Suspend(Request[None]):
    """Stop the guild's script for as long as the bot is not in the guild; its deployment stays."""

    guild_id: GuildId


@dataclass(frozen=True, slots=True)
class Resume(Request[bool]):
    """Start the guild's deployment if there is one that does not run; the answer is whether it did."""

    guild_id: GuildId


@dataclass(frozen=True, slots=True)
class Pause(Request[None]):
    """Stop the guild's script until it is unpaused; its deployment stays."""

    guild_id: GuildId
    author: Author


@dataclass(frozen=True, slots=True)
class Unpause(Request[None]):
    guild_id: GuildId


Change = Deploy | Rollback | Undeploy | Suspend | Resume | Pause | Unpause

ChangeKind = Literal["deploy", "rollback", "undeploy", "suspend", "restore", "pause", "resume"]


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A change of a guild's script that is under way, or waits for its turn. `author` None: flora itself."""

    kind: ChangeKind
    asked_at: datetime
    author: Author | None


class Deployer(Actor[Change]):
    def __init__(
        self,
        store: DeploymentStore,
        runtime: GuildRuntime,
        config: RuntimeConfig,
        learn: Callable[[GuildId, UUID, Manifest], Awaitable[None]],
        pauses: GuildPauses,
    ) -> None:
        """`learn` is told what the script of a revision declares; it raises nothing."""
        self._learn = learn
        self._pauses = pauses
        self._store = store
        self._runtime = runtime
        self._config = config
        self._queues: dict[GuildId, deque[tuple[Change, datetime]]] = {}
        self._ctx: Context[Change]

    async def started(self, ctx: Context[Change]) -> None:
        """A restarted one begins without the changes of the one before: nobody carries them out any more."""
        self._ctx = ctx
        lost, self._queues = self._queues, {}
        for queue in lost.values():
            for change, _ in queue:
                change.reply.fail(DeployLostError("the deployment service was restarted.", hint="Try again."))

    def pending(self, guild_id: GuildId) -> tuple[PendingChange, ...]:
        """The guild's changes that have not ended, in their order: the first one is under way."""
        return tuple(
            PendingChange(_kind(change), asked_at, _author(change))
            for change, asked_at in self._queues.get(guild_id, ())
        )

    async def receive(self, message: Change) -> None:
        entry = (message, datetime.now(UTC))
        queue = self._queues.get(message.guild_id)
        if queue is None:
            self._queues[message.guild_id] = deque([entry])
            self._ctx.nursery.start_soon(self._work, message.guild_id)
        elif len(queue) >= MAX_WAITING:
            message.reply.fail(
                DeployBusyError(
                    f"guild {message.guild_id} has {MAX_WAITING} changes waiting.",
                    hint="Try again when they are done.",
                )
            )
        else:
            queue.append(entry)

    async def _work(self, guild_id: GuildId) -> None:
        """The changes of one guild, in order, until there are none."""
        queue = self._queues[guild_id]
        while queue:
            change, _ = queue[0]
            try:
                match change:
                    case Deploy(new):
                        change.reply.ok(await self._deploy(new))
                    case Rollback():
                        change.reply.ok(await self._roll_back(change))
                    case Undeploy():
                        await self._undeploy(change)
                        change.reply.ok(None)
                    case Suspend():
                        await self._runtime.stop(guild_id)
                        change.reply.ok(None)
                    case Resume():
                        change.reply.ok(await self._resume(guild_id))
                    case Pause():
                        await self._pause(change)
                        change.reply.ok(None)
                    case Unpause():
                        await self._unpause(guild_id)
                        change.reply.ok(None)
            except DatabaseUnavailableError as error:
                change.reply.fail(error)
                if error.outcome_unknown:
                    await self._follow_database(guild_id)
            except FloraError as error:
                change.reply.fail(error)
            queue.popleft()
        del self._queues[guild_id]

    async def _deploy(self, new: NewRevision) -> Revision:
        self._check_size(new)
        if new.guild_id in self._pauses.guilds:
            raise GuildPausedError(new.guild_id)
        previous = await self._store.get(new.guild_id)
        script = DeployedScript(new.guild_id, new.bundle.code, new.bundle.source_map)
        try:
            manifest = await self._runtime.deploy(script)
        except EngineError as error:
            text = error.message
            if isinstance(error, ScriptLoadError) and error.fault.stack:
                text = error.fault.stack
            log.info("deploy refused", guild=new.guild_id, error=error.message)
            try:
                await self._store.record_failure(new, text)
            except DatabaseError as problem:  # the author needs the script's error more than the database's
                log.warning("failed deploy not recorded", guild=new.guild_id, error=str(problem))
            raise
        try:
            revision = await self._store.record_success(new)
        except DatabaseError:
            await self._put_back(new.guild_id, previous)
            raise
        await self._learn(new.guild_id, revision.id, manifest)
        log.info("deployed", guild=new.guild_id, revision=str(revision.id), source=new.source)
        return revision

    async def _roll_back(self, change: Rollback) -> Revision:
        target = await self._store.revision(change.guild_id, change.revision_id)
        if target.status != "success":
            raise InvalidRollbackError(
                f"revision {target.id} failed when it was deployed.", hint="Choose a successful one."
            )
        bundle = await self._store.bundle(change.guild_id, change.revision_id)
        return await self._deploy(
            NewRevision(change.guild_id, bundle, change.source, change.author, target.build_id)
        )

    async def _undeploy(self, change: Undeploy) -> None:
        await self._store.remove(change.guild_id)
        await self._runtime.undeploy(change.guild_id)
        await self._pauses.remove(change.guild_id)
        log.info("undeployed", guild=change.guild_id)

    async def _pause(self, change: Pause) -> None:
        if await self._store.get(change.guild_id) is None:
            raise GuildNotDeployedError(change.guild_id)
        await self._pauses.add(change.guild_id, change.author)
        await self._runtime.stop(change.guild_id)
        log.info("paused", guild=change.guild_id)

    async def _unpause(self, guild_id: GuildId) -> None:
        """The pause ends when the script runs: one that does not load any more stays paused."""
        if guild_id not in self._pauses.guilds:
            raise GuildNotPausedError(f"guild {guild_id} is not paused.")
        deployment = await self._store.get(guild_id)
        if deployment is not None:
            await self._runtime.deploy(script_of(deployment))
        await self._pauses.remove(guild_id)
        log.info("resumed", guild=guild_id)

    async def _resume(self, guild_id: GuildId) -> bool:
        if self._runtime.runs(guild_id) or guild_id in self._pauses.guilds:
            return False
        deployment = await self._store.get(guild_id)
        if deployment is None:
            return False
        await self._runtime.deploy(script_of(deployment))
        return True

    async def _put_back(self, guild_id: GuildId, deployment: Deployment | None) -> None:
        """Run what the database says again. A script that does not start any more is left to its restarts."""
        try:
            if deployment is None:
                await self._runtime.undeploy(guild_id)
            elif guild_id in self._pauses.guilds:
                await self._runtime.stop(guild_id)
            else:
                await self._runtime.deploy(script_of(deployment))
        except FloraError as error:
            log.error("previous script not put back", guild=guild_id, error=str(error))

    async def _follow_database(self, guild_id: GuildId) -> None:
        """It is not known what the database took: wait until it answers, and run that."""
        failures = 0
        while True:
            try:
                current = await self._store.get(guild_id)
            except DatabaseError as error:
                failures += 1
                log.warning("waiting for the database", guild=guild_id, error=str(error))
                await trio.sleep(RETRY.delay(failures, self._ctx.rng))
            else:
                await self._put_back(guild_id, current)
                return

    def _check_size(self, new: NewRevision) -> None:
        size = len(new.bundle.code.encode("utf-8", "surrogatepass"))
        if size > self._config.max_script_bytes:
            raise ScriptTooLargeError(
                f"script exceeds size limit (max {self._config.max_script_bytes} bytes): {size} bytes."
            )


def _kind(change: Change) -> ChangeKind:
    match change:
        case Deploy():
            return "deploy"
        case Rollback():
            return "rollback"
        case Undeploy():
            return "undeploy"
        case Suspend():
            return "suspend"
        case Resume():
            return "restore"
        case Pause():
            return "pause"
        case Unpause():
            return "resume"


def _author(change: Change) -> Author | None:
    match change:
        case Deploy(new):
            return new.actor
        case Rollback() | Undeploy() | Pause():
            return change.author
        case _:
            return None


class Deployments:
    """The deployment service as its users see it: changes go to the actor, reading goes to the database."""

    def __init__(
        self,
        ref: ActorRef[Change],
        store: DeploymentStore,
        pauses: GuildPauses,
        pending: Callable[[GuildId], Sequence[PendingChange]],
        *,
        deadline: float,
    ) -> None:
        """`deadline` (seconds) bounds the wait for a change; the change itself goes on behind it, and
        `pending` has it until it has ended.
        """
        self._ref = ref
        self.pending = pending
        self._store = store
        self._pauses = pauses
        self._deadline = deadline

    def patient(self) -> Deployments:
        """The same for one who waits until a change has ended, however long that takes."""
        return Deployments(self._ref, self._store, self._pauses, self.pending, deadline=math.inf)

    async def deploy(self, new: NewRevision) -> Revision:
        """Raises ScriptLoadError and other EngineErrors, ScriptTooLargeError, DeployBusyError, DatabaseError,
        ChangeTimeoutError.
        """
        return await self._ask(Deploy(new))

    async def rollback(self, guild_id: GuildId, revision_id: UUID, source: Source, actor: Author) -> Revision:
        """Raises as `deploy`, RevisionNotFoundError, InvalidRollbackError."""
        return await self._ask(Rollback(guild_id, revision_id, source, actor))

    async def undeploy(self, guild_id: GuildId, actor: Author) -> None:
        await self._ask(Undeploy(guild_id, actor))

    async def _ask(self, change: Request[R]) -> R:
        try:
            return await self._ref.ask(change, deadline=self._deadline)
        except AskTimeoutError:
            raise ChangeTimeoutError(
                f"it has not ended in {self._deadline:g} s; it goes on.",
                hint="GET /deployments/{guild_id}/status tells when it has, and how.",
            ) from None

    async def suspend(self, guild_id: GuildId) -> None:
        await self._ask(Suspend(guild_id))

    async def resume(self, guild_id: GuildId) -> bool:
        """Returns whether there was something to start. Raises as `deploy`."""
        return await self._ask(Resume(guild_id))

    @property
    def paused(self) -> GuildOrder:
        """The guilds that are paused."""
        return self._pauses.guilds

    async def pause(self, guild_id: GuildId, actor: Author) -> None:
        """To do it twice is no error. Raises GuildNotDeployedError."""
        await self._ask(Pause(guild_id, actor))

    async def unpause(self, guild_id: GuildId) -> None:
        """Raises GuildNotPausedError, and as `deploy`; then it is paused still."""
        await self._ask(Unpause(guild_id))

    async def list(self, after: int, limit: int, among: Collection[GuildId] | None) -> list[DeploymentHead]:
        """What runs in the guilds with ids above `after`, in their order; of `among` only, where it names
        some.
        """
        return await self._store.page(after=after, limit=limit, among=among)

    async def get(self, guild_id: GuildId) -> Deployment | None:
        return await self._store.get(guild_id)

    async def history(self, guild_id: GuildId, limit: int, cursor: str | None) -> HistoryPage:
        return await self._store.history(guild_id, limit=limit, cursor=cursor)

    async def revision(self, guild_id: GuildId, revision_id: UUID) -> Revision:
        return await self._store.revision(guild_id, revision_id)

    async def files(self, guild_id: GuildId, revision_id: UUID) -> Sequence[SourceFile]:
        return await self._store.files(guild_id, revision_id)


def script_of(deployment: Deployment) -> DeployedScript:
    return DeployedScript(deployment.guild_id, deployment.code, deployment.source_map)
