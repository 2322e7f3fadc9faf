"""The top-level actors in the order of their start, and stopped in the opposite one, with a line for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

import structlog
import trio

from flora.actors.kernel import Actor, ActorRef, ActorSystem, ChildSpec, Intensity
from flora.actors.resource import Background, Resource

log = structlog.get_logger("flora")

M = TypeVar("M")
T = TypeVar("T")

OWN_DEADLINES: Final = 3600.0
"""A start deadline for what has its own, which say more clearly what was waited for."""

STOP_SECS: Final = 5.0
BACKGROUND_STOP_SECS: Final = 10.0
"""PostgreSQL writes a checkpoint at its end."""


class Stages:
    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._running: list[tuple[str, ActorRef[Any]]] = []

    async def spawn(
        self, name: str, actor: Actor[M], *, stop_secs: float = STOP_SECS, restarts: int = 0
    ) -> ActorRef[M]:
        """Start a top-level actor. One without restarts takes flora down when it fails."""
        spec = ChildSpec(
            name,
            lambda: actor,
            intensity=Intensity(restarts=restarts, within=60.0),
            start_deadline=OWN_DEADLINES,
            stop_deadline=stop_secs,
        )
        return await self.spawn_spec(spec)

    async def spawn_spec(self, spec: ChildSpec[M]) -> ActorRef[M]:
        """Start an actor that is made anew for each of its restarts."""
        ref = await self._system.spawn(spec)
        self._running.append((spec.name, ref))
        return ref

    async def resource(self, name: str, open_: Callable[[], AbstractAsyncContextManager[T]]) -> T:
        """Open something and keep it open until its turn to be closed; returns what it gives."""
        resource: Resource[T] = Resource(open_)
        await self.spawn(name, resource)
        return resource.value

    async def background(
        self,
        name: str,
        task: Callable[[trio.TaskStatus[T]], Awaitable[None]],
        *,
        shutdown: trio.Event | None = None,
    ) -> T:
        """Run a task until its turn to stop; returns what it said when it was ready."""
        background: Background[T] = Background(task, shutdown=shutdown)
        await self.spawn(name, background, stop_secs=BACKGROUND_STOP_SECS)
        return background.value

    async def stop(self) -> None:
        """Stop them one after another, the youngest first."""
        for name, ref in reversed(self._running):
            began = trio.current_time()
            await self._system.stop_actor(ref)
            log.info("stage stopped", stage=name, ms=round((trio.current_time() - began) * 1000))
