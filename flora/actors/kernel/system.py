"""The root of the tree: the one place where an actor system begins and ends."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from flora.actors.kernel.cell import ActorInfo, Supervisor
from flora.actors.kernel.errors import EscalatedError, root_cause
from flora.actors.kernel.ref import ActorRef
from flora.actors.kernel.supervision import ChildSpec

M = TypeVar("M")


class ActorSystem:
    """Spawns the top-level actors and lists all of them.

    async with ActorSystem.open("flora") as system:
        greeter = await system.spawn(ChildSpec("greeter", Greeter))
        print(await greeter.ask(Greet("Ann"), deadline=1))
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, *, rng: random.Random | None = None) -> AsyncIterator[ActorSystem]:
        """On leaving, stops the actors in order, the youngest first; when cancelled or failing, all at once.

        Raises EscalatedError when a top-level actor keeps failing.
        """
        try:
            async with trio.open_nursery() as nursery:
                system = cls(Supervisor(f"/{name}", nursery, rng or random.Random()))
                yield system
                await system.stop()
        except BaseExceptionGroup as group:
            cause = root_cause(group)
            if isinstance(cause, EscalatedError) or not isinstance(cause, BaseExceptionGroup):
                raise cause from cause.__cause__
            raise

    async def spawn(self, spec: ChildSpec[M]) -> ActorRef[M]:
        """Start a top-level actor; returns when its `started` has. Raises what that raised."""
        return await self._supervisor.spawn(spec)

    async def stop_actor(self, ref: ActorRef[M]) -> None:
        """Stop one top-level actor in order, within its stop deadline."""
        await self._supervisor.stop(ref.path)

    async def stop(self) -> None:
        """Stop every actor in order, the youngest first, each within its stop deadline."""
        await self._supervisor.stop_all()

    def snapshot(self) -> list[ActorInfo]:
        """Every actor alive, parents before their children."""
        return [cell.info() for cell in self._supervisor.walk()]
