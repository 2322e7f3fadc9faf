"""The one bridge from Trio to asyncio libraries (asyncpg, redis-py), on trio-asyncio.

A *unit of work* is an asyncio coroutine function that does everything: takes a connection, uses it and gives
it back. Only whole units cross the bridge. To bridge a half (`pool.acquire()` by itself) is the trap that
kills a pool for good: when the Trio scope around it is cancelled, the asyncio side of the release is
cancelled before its first step and the connection is never given back. `tests/storage/test_aio.py` forbids
both asyncio outside this file and a bridged acquire.

Cancellation. When a Trio scope around `aio` is cancelled, the asyncio task of the unit is cancelled
(`CancelledError` inside it) and `aio` waits until the unit has finished its clean-up; only then
`trio.Cancelled` is raised. A unit that ends in spite of it has its result returned, as everywhere in Trio.
So a cancelled unit may have taken effect or not, but it never runs on behind the caller's back. The unit must
bound its own clean-up, since no scope can cut it short.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import structlog

from flora.errors import FloraError

with warnings.catch_warnings():
    # trio-asyncio subclasses AbstractChildWatcher, which Python 3.12 and 3.13 announce to remove.
    warnings.simplefilter("ignore", DeprecationWarning)
    import trio_asyncio

T = TypeVar("T")
log = structlog.get_logger("flora.storage.aio")


class BridgeClosedError(FloraError):
    """A unit was started outside `open_aio()`, or the bridge closed while it ran."""

    code = "BRIDGE_CLOSED"


class Bridge:
    """An open asyncio loop inside Trio. Objects that outlive one task keep it and run their units by it."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._closed = False

    async def run(self, unit: Callable[[], Awaitable[T]]) -> T:
        """Run one whole unit of work; see the module's text for cancellation.

        Raises what the unit raises, and BridgeClosedError when the bridge is closed or closes meanwhile.
        """
        if self._closed:
            raise BridgeClosedError("the bridge to asyncio is closed.")
        try:
            return cast(T, await trio_asyncio.aio_as_trio(unit, loop=self._loop)())
        except asyncio.CancelledError:
            # Not our scope's doing (that arrives as trio.Cancelled): the loop ended under the unit.
            raise BridgeClosedError("the bridge to asyncio closed while a unit of work ran.") from None

    def _close(self) -> None:
        self._closed = True


_current: ContextVar[Bridge | None] = ContextVar("flora_bridge", default=None)


@asynccontextmanager
async def open_aio() -> AsyncIterator[Bridge]:
    """Open the bridge for the tasks started inside this block. One per process, near the root of the tree."""
    async with trio_asyncio.open_loop() as loop:
        # Without a handler trio-asyncio turns every warning of a library ("Resetting connection with an
        # active transaction") into a crash of the whole tree.
        loop.set_exception_handler(_log_problem)
        bridge = Bridge(loop)
        token = _current.set(bridge)
        try:
            yield bridge
        finally:
            bridge._close()
            _current.reset(token)


def current_bridge() -> Bridge:
    """The bridge of the calling task. Raises BridgeClosedError outside `open_aio()`."""
    bridge = _current.get()
    if bridge is None:
        raise BridgeClosedError("no bridge to asyncio is open.", hint="Run inside `async with open_aio():`.")
    return bridge


async def aio(unit: Callable[[], Awaitable[T]]) -> T:
    """Run one whole unit of work on the calling task's bridge."""
    return await current_bridge().run(unit)


def _log_problem(_: Any, context: dict[str, Any]) -> None:
    error = context.get("exception")
    # A connection attempt that was cancelled ends in asyncpg as an error that nobody asks for.
    report = log.debug if isinstance(error, ConnectionError) else log.warning
    report("asyncio problem", message=context.get("message"), error=repr(error) if error else None)
