"""Actors without messages: one that holds something open, one that runs a task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

import trio

from flora.actors.kernel import Context, Service

T = TypeVar("T")


class Resource(Service[None], Generic[T]):
    """Keeps an asynchronous context manager open from its start to its stop.

    `value` is there once the actor has started. What the context manager raises is the actor's failure.
    Others hold `value` itself, so such an actor is spawned without restarts: when it fails, those who
    depend on it have to go with it.
    """

    def __init__(self, open_: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._open = open_
        self._release = trio.Event()
        self._released = trio.Event()
        self.value: T

    async def started(self, ctx: Context[None]) -> None:
        await ctx.nursery.start(self._hold)

    async def _hold(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with self._open() as self.value:
            task_status.started()
            await self._release.wait()
        self._released.set()

    async def run(self, ctx: Context[None]) -> None:
        await trio.sleep_forever()

    async def stopping(self) -> None:
        """Close it in order, within the stop deadline."""
        self._release.set()
        await self._released.wait()


class Background(Service[None], Generic[T]):
    """Runs a task that says when it is ready (`task_status.started(value)`), from its start to its stop.

    `value` is there once the actor has started. With `shutdown`, an orderly stop sets that event and waits
    for the task to end by itself; without, and past the stop deadline, the task is cancelled.
    """

    def __init__(
        self, task: Callable[[trio.TaskStatus[T]], Awaitable[None]], *, shutdown: trio.Event | None = None
    ) -> None:
        self._task = task
        self._shutdown = shutdown
        self._ended = trio.Event()
        self.value: T

    async def started(self, ctx: Context[None]) -> None:
        self.value = await ctx.nursery.start(self._run)

    async def _run(self, *, task_status: trio.TaskStatus[T]) -> None:
        await self._task(task_status)
        self._ended.set()

    async def run(self, ctx: Context[None]) -> None:
        await self._ended.wait()

    async def stopping(self) -> None:
        if self._shutdown is not None:
            self._shutdown.set()
            await self._ended.wait()
