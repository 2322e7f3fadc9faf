"""HTTP/1.1 for the playground: h11 on Trio, the APIs by a straight call, the pages through ASGI.

A framework and a general server cost each request more than a millisecond, which is what a load test would
then measure. Requests are read whole before they are answered; one connection answers one at a time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import h11
import structlog
import trio
from quart_trio import QuartTrio

from flora.playground import entry
from flora.playground.state import Playground
from flora.playground.web import Answer, Call

log = structlog.get_logger("flora.playground")

GRACEFUL: Final = 1.0  # seconds for requests in flight when it stops
IDLE: Final = 90.0  # seconds for the next request: longer than clients keep connections
LINGER: Final = 2.0  # seconds in which the rest of a refused body is thrown away, so that its answer is read
MAX_HEAD: Final = 64 * 1024
_READ: Final = 64 * 1024
_ENDS: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


@dataclass(slots=True)
class HttpServer:
    """All connections of the page's port."""

    state: Playground
    app: QuartTrio
    _connections: set[_Connection] = field(default_factory=set)

    async def serve(self, listener: trio.SocketListener, stopping: trio.Event) -> None:
        """Serve until `stopping`; requests in flight then have a moment."""
        async with trio.open_nursery() as nursery:
            async with listener, trio.open_nursery() as accepting:
                accepting.start_soon(
                    partial(trio.serve_listeners, self._accept, [listener], handler_nursery=nursery)
                )
                await stopping.wait()
                accepting.cancel_scope.cancel()
            nursery.cancel_scope.deadline = trio.current_time() + GRACEFUL
            for connection in tuple(self._connections):
                connection.stop()

    async def _accept(self, stream: trio.SocketStream) -> None:
        connection = _Connection(self.state, self.app, stream)
        self._connections.add(connection)
        try:
            await connection.run()
        except _ENDS:
            log.debug("connection ended")
        except Exception as error:
            log.error("connection failed", exc_info=error)
        finally:
            self._connections.discard(connection)
            await trio.aclose_forcefully(stream)


class _TooLargeError(Exception):
    """The body is longer than any that the playground takes."""


class _Connection:
    def __init__(self, state: Playground, app: QuartTrio, stream: trio.SocketStream) -> None:
        self._state = state
        self._app = app
        self._stream = stream
        self._peer = ""
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._waiting: trio.CancelScope | None = None
        self._stopped = False

    def stop(self) -> None:
        """Take no further request."""
        self._stopped = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def run(self) -> None:
        """Answer request after request, until either side has enough. Raises what `_ENDS` names."""
        try:
            self._peer = str(self._stream.socket.getpeername()[0])
        except OSError:
            return
        while not self._stopped:
            try:
                request = await self._next_request()
                if request is None:
                    return
                body = await self._body()
                if body is None:
                    return
            except h11.RemoteProtocolError as error:
                await self._refuse(Answer(str(error).encode(), error.error_status_hint))
                return
            except _TooLargeError:
                await self._refuse(entry.too_large())
                return
            await self._answer(request, body)
            if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
                return
            self._h11.start_next_cycle()

    async def _answer(self, request: h11.Request, body: bytes) -> None:
        path, _, query = request.target.partition(b"?")
        if not entry.is_api(path.decode("ascii")):
            await self._run_app(request, path, query, body)
            return
        call = Call(
            playground=self._state,
            method=request.method.decode("ascii"),
            path=path.decode("ascii"),
            query=query.decode("ascii"),
            headers=list(request.headers),
            body=body,
            address=self._peer,
        )
        await self._send(await entry.answer(call), head=call.method == "HEAD")

    async def _next_request(self) -> h11.Request | None:
        """The head of the next request, None where none comes."""
        with trio.move_on_after(IDLE) as self._waiting:
            event = await self._event()
            return event if isinstance(event, h11.Request) else None
        return None

    async def _body(self) -> bytes | None:
        """The whole body of the request; None when its client is gone."""
        parts: list[bytes] = []
        size = 0
        while True:
            with trio.move_on_after(IDLE) as slow:
                event = await self._event()
            if slow.cancelled_caught or isinstance(event, h11.ConnectionClosed):
                return None
            if isinstance(event, h11.EndOfMessage):
                return parts[0] if len(parts) == 1 else b"".join(parts)
            if isinstance(event, h11.Data):
                size += len(event.data)
                if size > entry.MAX_BODY:
                    raise _TooLargeError
                parts.append(bytes(event.data))

    async def _event(self) -> Any:
        while True:
            event = self._h11.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._h11.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                await self._stream.send_all(self._h11.send(go_on) or b"")
            self._h11.receive_data(await self._stream.receive_some(_READ))

    async def _send(self, answer: Answer, *, head: bool = False) -> None:
        fields = [("Date", _date()), *answer.headers]
        if answer.status != 204:
            fields.append(("Content-Length", str(len(answer.body))))
        out = self._h11.send(h11.Response(status_code=answer.status, headers=fields)) or b""
        if answer.body and not head:
            out += self._h11.send(h11.Data(data=answer.body)) or b""
        out += self._h11.send(h11.EndOfMessage()) or b""
        await self._stream.send_all(out)

    async def _refuse(self, answer: Answer) -> None:
        """Answer what was not read to its end: closing at once would take the answer from the client."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer.headers.append(("Connection", "close"))
            await self._send(answer)
            await self._stream.send_eof()
            with trio.move_on_after(LINGER):
                while await self._stream.receive_some(_READ):
                    pass

    # the pages

    async def _run_app(self, request: h11.Request, path: bytes, query: bytes, body: bytes) -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": request.http_version.decode("ascii"),
            "method": request.method.decode("ascii"),
            "scheme": "http",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": list(request.headers),
            "client": (self._peer, 0),
            "server": None,
            "extensions": {},
        }
        unread = [{"type": "http.request", "body": body, "more_body": False}]
        head = scope["method"] == "HEAD"

        async def receive() -> dict[str, Any]:
            if unread:
                return unread.pop()
            await self._disconnected()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                fields = [(b"date", _date().encode()), *message["headers"]]
                out = self._h11.send(h11.Response(status_code=message["status"], headers=fields)) or b""
            else:
                data = b"" if head else bytes(message.get("body", b""))
                out = (self._h11.send(h11.Data(data=data)) or b"") if data else b""
                if not message.get("more_body", False):
                    out += self._h11.send(h11.EndOfMessage()) or b""
            if out:
                await self._stream.send_all(out)

        await self._app(scope, receive, send)  # type: ignore[arg-type]

    async def _disconnected(self) -> None:
        """Return when the client has gone; what it sends meanwhile is its next request."""
        try:
            while data := await self._stream.receive_some(_READ):
                self._h11.receive_data(data)
                if len(self._h11.trailing_data[0]) > MAX_HEAD:
                    await trio.sleep_forever()
        except _ENDS:
            return


_stamp: tuple[int, str] = (0, "")


def _date() -> str:
    """The Date header of this second."""
    global _stamp  # noqa: PLW0603 - formatting it anew costs more than the rest of an answer
    now = int(time.time())
    if now != _stamp[0]:
        _stamp = now, formatdate(now, usegmt=True)
    return _stamp[1]
