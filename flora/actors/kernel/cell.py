"""The life of one actor under its supervisor: start, run, fail, back off, restart, rest, stop.

    STARTING -> RUNNING -> STOPPING -> STOPPED
        ^          | failure
        |          v
        +---- BACKING_OFF or QUARANTINED          (verdicts of supervision.FailureRecord)

Everything that changes the state of an actor lives in this file.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
import trio

from flora.actors.kernel.actor import Actor, Context, Service
from flora.actors.kernel.errors import (
    ActorError,
    ActorQuarantinedError,
    ActorStoppedError,
    DuplicateActorError,
    EscalatedError,
    root_cause,
)
from flora.actors.kernel.mailbox import Mailbox
from flora.actors.kernel.message import Reply, Request
from flora.actors.kernel.ref import ActorRef
from flora.actors.kernel.supervision import (
    ChildSpec,
    FailureRecord,
    GiveUp,
    LetEnd,
    QuarantineFor,
)

log = structlog.get_logger("flora.actors")

M = TypeVar("M")


class State(enum.StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    BACKING_OFF = "backing off"
    QUARANTINED = "quarantined"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ActorInfo:
    """One line of the actor list. Times are in seconds; `resumes_in` is set while backing off or resting."""

    path: str
    kind: str
    state: State
    mailbox_depth: int
    mailbox_capacity: int
    restarts: int
    age_seconds: float
    resumes_in: float | None
    last_error: str | None


class Supervisor:
    """Holds the children of one parent, in the order of their start, in the parent's nursery."""

    def __init__(self, path: str, nursery: trio.Nursery, rng: random.Random) -> None:
        self._path = path
        self._nursery = nursery
        self.rng = rng
        self._children: dict[str, Cell[Any]] = {}

    async def spawn(self, spec: ChildSpec[M]) -> ActorRef[M]:
        if spec.name in self._children:
            raise DuplicateActorError(f"{self._path} has a child named {spec.name} already")
        cell = Cell(spec, f"{self._path}/{spec.name}", self.rng)
        self._children[spec.name] = cell
        self._nursery.start_soon(cell.live, self._children)
        try:
            await cell.promised.wait()
        except trio.Cancelled:
            cell.cancel()
            raise
        return cell.ref

    async def stop(self, path: str) -> None:
        for cell in [cell for cell in self._children.values() if cell.ref.path == path]:
            await cell.stop()

    async def stop_all(self) -> None:
        """Stop the children one after another, the youngest first."""
        while self._children:
            await next(reversed(self._children.values())).stop()

    def walk(self) -> Iterator[Cell[Any]]:
        for cell in list(self._children.values()):
            yield cell
            if cell.supervisor is not None:
                yield from cell.supervisor.walk()


class Cell(Generic[M]):
    """One actor across all its incarnations. Runs as one task in its supervisor's nursery."""

    def __init__(self, spec: ChildSpec[M], path: str, rng: random.Random) -> None:
        self.spec = spec
        self.state = State.STARTING
        self.mailbox: Mailbox[M] = Mailbox(path, spec.mailbox_capacity)
        self.ref: ActorRef[M] = ActorRef(path, self.mailbox, self._refusal)
        self.supervisor: Supervisor | None = None
        self._record = FailureRecord(spec, rng)  # type: ignore[arg-type]  # reads nothing that depends on M
        self._rng = rng
        self._kind = ""
        self._born_at = trio.current_time()
        self._resumes_at: float | None = None
        self._last_error: BaseException | None = None
        self.promised: Reply[None] = Reply()  # what its spawner waits for: the first start, or why it failed
        self._instance: Actor[M] | None = None
        self._stop_requested = False
        self._ended = trio.Event()
        self._scope = trio.CancelScope()  # the whole life
        self._running = trio.CancelScope()  # `run` of the present instance, if it is a service
        self._pause = trio.CancelScope()  # the wait before the next instance

    async def live(self, siblings: dict[str, Cell[Any]]) -> None:
        try:
            with self._scope:
                while True:
                    started_at = trio.current_time()
                    failure = await self._incarnation()
                    if not self.promised.answered and isinstance(failure, Exception):
                        self.promised.fail(failure)  # nobody else knows of it yet
                        break
                    if not await self._recover(failure, started_at):
                        break
        finally:
            self._close()
            siblings.pop(self.spec.name, None)

    async def _incarnation(self) -> BaseException | None:
        """One instance, from its making to its end. Returns what it failed with, if it did."""
        self.state = State.STARTING
        failure: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                self.supervisor = Supervisor(self.ref.path, nursery, self._rng)
                actor = self.spec.factory()
                self._kind = type(actor).__name__
                context = Context(self.ref, self.mailbox, nursery, self.supervisor)
                with trio.move_on_after(self.spec.start_deadline) as patience:
                    await actor.started(context)
                if patience.cancelled_caught:
                    raise ActorError(f"{self.ref.path} did not start in {self.spec.start_deadline:g} s")
                self.promised.ok(None)
                self._instance = actor
                if not self._stop_requested:
                    self.state = State.RUNNING
                    await self._run(actor, context)
                if self._stop_requested:
                    if not isinstance(actor, Service):
                        await actor.stopping()
                    await self.supervisor.stop_all()
                nursery.cancel_scope.cancel()
        except* Exception as group:  # noqa: BLE001  any failure of an actor is its supervisor's business
            failure = root_cause(group)
        self.supervisor = self._instance = None
        return failure

    async def _run(self, actor: Actor[M], context: Context[M]) -> None:
        if isinstance(actor, Service):
            with trio.CancelScope() as self._running:
                await actor.run(context)
        else:
            await actor.run(context)  # ends by itself when the mailbox is closed

    async def _recover(self, failure: BaseException | None, started_at: float) -> bool:
        """Carry out the supervisor's verdict. Returns whether to start again; raises EscalatedError."""
        self._last_error = failure or self._last_error
        if self._stop_requested:
            return False
        verdict = self._record.judge(
            failed=failure is not None, now=trio.current_time(), started_at=started_at
        )
        facts = {"actor": self.ref.path, "error": repr(failure) if failure else None}
        if isinstance(verdict, LetEnd):
            if failure is not None:
                log.error("actor.failed", **facts, exc_info=failure)
            return False
        if isinstance(verdict, GiveUp):
            log.error("actor.escalates", **facts, exc_info=failure)
            raise EscalatedError(f"{self.ref.path} keeps failing: {failure!r}") from failure
        self.state = State.QUARANTINED if isinstance(verdict, QuarantineFor) else State.BACKING_OFF
        self._resumes_at = trio.current_time() + verdict.seconds
        log.error(
            "actor.failed", **facts, then=str(self.state), seconds=round(verdict.seconds, 3), exc_info=failure
        )
        with trio.move_on_after(verdict.seconds) as self._pause:
            await trio.sleep_forever()
        self._resumes_at = None
        return not self._stop_requested

    async def stop(self) -> None:
        """Stop in order; returns when the actor has ended, a little after its stop deadline at the latest.

        When cancelled, the actor is cancelled as well.
        """
        try:
            if not self._stop_requested:
                self._stop_requested = True
                self.state = State.STOPPING
                self.mailbox.close()
                self._pause.cancel()
                self._scope.deadline = trio.current_time() + self.spec.stop_deadline
                if isinstance(self._instance, Service):
                    with trio.move_on_at(self._scope.deadline):
                        await self._leave_service(self._instance)
            await self._ended.wait()
            if self._scope.cancelled_caught:
                log.warning("actor.stop_overdue", actor=self.ref.path, seconds=self.spec.stop_deadline)
        except trio.Cancelled:
            self._scope.cancel()
            raise

    async def _leave_service(self, service: Service[M]) -> None:
        try:
            await service.stopping()
        except Exception as error:
            log.error("actor.failed", actor=self.ref.path, error=repr(error), exc_info=error)
        self._running.cancel()

    def _close(self) -> None:
        self.state = State.STOPPED
        self.mailbox.close()
        while (message := self.mailbox.take_nowait()) is not None:
            if isinstance(message, Request):
                message.reply.fail(ActorStoppedError(f"{self.ref.path} stopped before it could answer"))
        self.promised.fail(ActorStoppedError(f"{self.ref.path} was stopped before it had started"))
        self._ended.set()

    def cancel(self) -> None:
        """End it at once."""
        self._scope.cancel()

    def _refusal(self) -> ActorError | None:
        if self.state is not State.QUARANTINED:
            return None
        assert self._resumes_at is not None
        remaining = self._resumes_at - trio.current_time()
        return ActorQuarantinedError(
            f"{self.ref.path} keeps failing ({self._last_error!r}) and rests for another {remaining:.0f} s"
        )

    def info(self) -> ActorInfo:
        mailbox = self.mailbox.statistics()
        now = trio.current_time()
        return ActorInfo(
            path=self.ref.path,
            kind=self._kind,
            state=self.state,
            mailbox_depth=mailbox.depth,
            mailbox_capacity=mailbox.capacity,
            restarts=self._record.restarts,
            age_seconds=now - self._born_at,
            resumes_in=None if self._resumes_at is None else max(0.0, self._resumes_at - now),
            last_error=None if self._last_error is None else repr(self._last_error),
        )
