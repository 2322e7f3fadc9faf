"""A resource is open while its actor runs, and closed in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from flora.actors.kernel import ActorSystem, ChildSpec, EscalatedError, Intensity
from flora.actors.resource import Resource


async def test_open_while_it_runs_and_closed_in_order() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def thing(name: str) -> AsyncIterator[str]:
        steps.append(f"open {name}")
        yield name
        await trio.lowlevel.checkpoint()  # an orderly end may wait: it is not cancelled
        steps.append(f"closed {name}")

    async with ActorSystem.open("test") as system:
        first: Resource[str] = Resource(lambda: thing("a"))
        await system.spawn(ChildSpec("first", lambda: first))
        assert first.value == "a"
        await system.spawn(ChildSpec("second", lambda: Resource(lambda: thing("b"))))
    assert steps == ["open a", "open b", "closed b", "closed a"]


async def test_one_that_breaks_takes_its_dependents_with_it() -> None:
    @asynccontextmanager
    async def breaking() -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def fail() -> None:
                await trio.sleep(0.01)
                raise OSError("gone")

            yield

    with pytest.raises(EscalatedError, match="gone"):
        async with ActorSystem.open("test") as system:
            await system.spawn(ChildSpec("it", lambda: Resource(breaking), intensity=Intensity(restarts=0)))
            await trio.sleep(5)
