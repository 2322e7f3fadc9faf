"""Actors: state that one task owns, changed only by the messages it receives, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import trio

from flora.actors.kernel.errors import ActorCrashedError, ActorStoppedError
from flora.actors.kernel.mailbox import Mailbox
from flora.actors.kernel.message import Request
from flora.actors.kernel.ref import ActorRef
from flora.actors.kernel.supervision import ChildSpec

if TYPE_CHECKING:
    from flora.actors.kernel.cell import Supervisor

M = TypeVar("M")
N = TypeVar("N")


class Context(Generic[M]):
    """What an actor knows of its place in the tree. Made anew for every start."""

    __slots__ = ("_supervisor", "mailbox", "nursery", "path", "ref", "rng")

    def __init__(
        self, ref: ActorRef[M], mailbox: Mailbox[M], nursery: trio.Nursery, supervisor: Supervisor
    ) -> None:
        self.ref = ref
        self.path = ref.path
        self.mailbox = mailbox
        self.nursery = nursery
        """The actor's own: tasks started here end with it, and their failure is its failure."""
        self.rng = supervisor.rng
        """For jitter; seeded in tests."""
        self._supervisor = supervisor

    async def spawn(self, spec: ChildSpec[N]) -> ActorRef[N]:
        """Start a child and return when its `started` has. Raises what that raised, DuplicateActorError."""
        return await self._supervisor.spawn(spec)

    async def stop(self, child: ActorRef[N]) -> None:
        """Stop a child in order; returns when it has ended, at the latest at its stop deadline."""
        await self._supervisor.stop(child.path)


class Actor(Generic[M]):
    """Override `receive`, and the hooks as needed. An exception from any of them is the actor's failure."""

    async def started(self, ctx: Context[M]) -> None:
        """Before the first message, after each restart as well."""

    async def receive(self, message: M) -> None:
        """Handle one message. The next one waits until this returns."""
        raise NotImplementedError

    async def stopping(self) -> None:
        """At an orderly stop, after the last message, while children still run; within the stop deadline."""

    async def run(self, ctx: Context[M]) -> None:
        """The actor's life between `started` and `stopping`: by default, its messages in order."""
        receive = self.receive
        async for message in ctx.mailbox:
            try:
                await receive(message)
            except Exception as error:
                if isinstance(message, Request):
                    crash = ActorCrashedError(f"{ctx.path} failed: {error}")
                    crash.__cause__ = error
                    message.reply.fail(crash)
                raise
            except trio.Cancelled:
                if isinstance(message, Request):
                    message.reply.fail(ActorStoppedError(f"{ctx.path} was stopped before it answered"))
                raise


class Service(Actor[M]):
    """An actor whose life is a loop of its own (a server, a connection) rather than its mailbox.

    At an orderly stop `run` is cancelled; what must happen in order on the way out belongs into `stopping`,
    which is called first, while `run` still runs.
    """

    async def run(self, ctx: Context[M]) -> None:
        raise NotImplementedError
