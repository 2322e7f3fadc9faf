"""Server-sent events (WHATWG HTML, 9.2): framing, keep-alive, and an end at shutdown.

A stream ends when the client leaves (Hypercorn cancels it), when its source is complete, when flora shuts
down, or when the caller may not read it any more; the last thing it then says is the event `end`, so that a
client can tell an end from a drop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
import trio
from quart import Response, current_app
from quart_trio import QuartTrio

from flora.api.auth import standing

# What a client waits before it connects again after a drop, in milliseconds.
RETRY_MS: Final = 1000
WAITS: Final = "FLORA_STREAM_WAITS"


DONE: Final = "done"
"""The name of the event after which a stream of something that ends is complete."""


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    data: Any
    id: str | None = None

    def encode(self) -> bytes:
        # JSON on one line, so `data` needs no splitting.
        head = f"id: {self.id}\nevent: {self.name}\ndata: " if self.id else f"event: {self.name}\ndata: "
        return head.encode() + msgspec.json.encode(self.data) + b"\n\n"


class Source(Protocol):
    """Where a stream's events come from: `take` never waits, `wait` is until there may be something."""

    def take(self) -> Sequence[Event]: ...

    async def wait(self) -> None: ...

    def close(self) -> None: ...


class _Waits:
    """The streams of one application that wait for something; a shutdown wakes all of them at once.

    So a stream that waits is no more than its own task: thousands of them cost no tasks for the shutdown.
    """

    def __init__(self) -> None:
        self._scopes: set[trio.CancelScope] = set()

    async def end_at(self, shutdown: trio.Event) -> None:
        await shutdown.wait()
        for scope in self._scopes:
            scope.cancel()

    async def wait(self, source: Source, seconds: float) -> bool:
        """Until there may be something or flora shuts down. False when nothing was for so many seconds."""
        with trio.move_on_after(seconds) as scope:
            self._scopes.add(scope)
            try:
                await source.wait()
            finally:
                self._scopes.discard(scope)
            return True
        return False


def install_streams(app: QuartTrio, shutdown: trio.Event) -> None:
    """Let `shutdown` end the streams of this application."""
    waits = app.extensions[WAITS] = _Waits()

    @app.before_serving
    async def watch() -> None:
        app.nursery.start_soon(waits.end_at, shutdown)


def event_stream(source: Source, *, shutdown: trio.Event, keepalive_secs: float) -> Response:
    """The answer that carries `source` and closes it in the end; it has no deadline.

    The guild is that of the request; whether the caller may read it is asked again every `keepalive_secs`.
    """
    response = Response(
        _frames(source, current_app.extensions[WAITS], shutdown, keepalive_secs, standing()),
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
    response.timeout = None
    return response


async def _frames(
    source: Source,
    waits: _Waits,
    shutdown: trio.Event,
    keepalive_secs: float,
    may_still: Callable[[], Awaitable[bool]],
) -> AsyncIterator[bytes]:
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        asked_at = trio.current_time()
        while not shutdown.is_set():
            if trio.current_time() - asked_at >= keepalive_secs:
                if not await may_still():
                    yield Event("end", {"reason": "forbidden"}).encode()
                    return
                asked_at = trio.current_time()
            if events := source.take():
                yield b"".join(event.encode() for event in events)
                if events[-1].name == DONE:
                    return
            elif not await waits.wait(source, keepalive_secs) and not shutdown.is_set():
                # Also finds out that a client has vanished without a word.
                yield b": keep-alive\n\n"
        yield Event("end", {"reason": "shutdown"}).encode()
    finally:
        source.close()
