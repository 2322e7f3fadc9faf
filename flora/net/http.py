"""An HTTP/1.1 client on h11 and Trio streams: keep-alive pool, one deadline per request, capped bodies.

It has no background task: a connection belongs to the request that uses it, and is put back only when both
sides are done with it (RFC 9112, 9.3). A cancelled or failed request closes its connection, so an answer can
never reach another request. Redirects, cookies and content codings are the caller's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import h11
import trio

from flora.errors import FloraError
from flora.net.connector import ByteStream, ConnectError, Connector, Endpoint, abort, is_readable

MAX_BODY: Final = 16 * 2**20
"""Default cap of a response body, in bytes: well above the largest answer of Discord's REST API."""

MAX_CONNECTIONS: Final = 100
IDLE_EXPIRY: Final = 30.0
"""Seconds an idle connection is kept: below the keep-alive time of common servers and proxies."""

_READ_SIZE: Final = 65536
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110, 9.2.2


class HttpError(FloraError):
    """A request got no usable response.

    `sent` is False when it is certain that the server did not act on the request, so that repeating any
    request is safe.
    """

    code = "HTTP_FAILED"

    def __init__(self, message: str, *, sent: bool, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


class HttpConnectError(HttpError):
    code = "HTTP_CONNECT_FAILED"


class HttpTimeoutError(HttpError):
    """The deadline passed; `phase` is what it passed in: waiting, connecting, sending or receiving."""

    code = "HTTP_TIMEOUT"

    def __init__(self, message: str, *, phase: str, sent: bool) -> None:
        super().__init__(message, sent=sent)
        self.phase = phase


class HttpConnectionLostError(HttpError):
    """The connection ended before the response was complete."""

    code = "HTTP_CONNECTION_LOST"


class HttpProtocolError(HttpError):
    """The server does not speak HTTP/1.1 as RFC 9112 has it."""

    code = "HTTP_PROTOCOL_ERROR"


class HttpBodyTooLargeError(HttpError):
    code = "HTTP_BODY_TOO_LARGE"


class InvalidRequestError(HttpError):
    """The URL, the method or a header cannot be sent."""

    code = "HTTP_INVALID_REQUEST"


class HttpResponse:
    """A complete response. Header names are lower case."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name: str) -> str | None:
        """The first header `name` (lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def __repr__(self) -> str:
        return f"<HttpResponse {self.status}, {len(self.body)} bytes>"


class _Connection:
    __slots__ = ("answered", "endpoint", "h11", "idle_since", "reused", "stream")

    def __init__(self, endpoint: Endpoint, stream: ByteStream) -> None:
        self.endpoint = endpoint
        self.stream = stream
        self.h11 = h11.Connection(h11.CLIENT)
        self.reused = False
        self.answered = False
        self.idle_since = 0.0


class _Progress:
    """How far a request came, for its errors."""

    __slots__ = ("phase", "sent")

    def __init__(self) -> None:
        self.phase = "waiting"
        self.sent = False


class HttpClient:
    """`async with HttpClient() as client: response = await client.request("GET", url, deadline=5)`.

    May be used from many tasks. Leaving the block closes idle connections; the requests under way belong to
    the tasks that made them.
    """

    def __init__(
        self,
        *,
        connector: Connector | None = None,
        max_connections: int = MAX_CONNECTIONS,
        idle_expiry: float = IDLE_EXPIRY,
    ) -> None:
        self._connector = connector or Connector()
        self._slots = trio.CapacityLimiter(max_connections)
        self._max_idle = max_connections
        self._idle_expiry = idle_expiry
        self._idle: list[_Connection] = []  # the longest idle first
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections and refuse new requests; may be called more than once."""
        self._closed = True
        for connection in self._idle:
            abort(connection.stream)
        self._idle.clear()

    @property
    def idle_connections(self) -> int:
        return len(self._idle)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | Sequence[bytes] = b"",
        deadline: float,
        max_body: int = MAX_BODY,
    ) -> HttpResponse:
        """Send one request and read its whole response, within `deadline` seconds for everything.

        Any status is a response, never an error. Raises a subclass of HttpError. A connection that the
        server closed while it was idle is replaced silently, by a second attempt only if the method is
        idempotent. Cancellation closes the connection.
        """
        if self._closed:
            raise InvalidRequestError("this HTTP client is closed.", sent=False)
        endpoint, host, target = _split(url)
        chunks = [body] if isinstance(body, bytes) else list(body)
        size = sum(map(len, chunks))
        fields = [("Host", host), *headers]
        if size or method in {"POST", "PUT", "PATCH"}:
            fields.append(("Content-Length", str(size)))
        try:
            head = h11.Request(method=method, target=target, headers=fields)
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise InvalidRequestError(f"the request cannot be sent: {error}.", sent=False) from error

        progress = _Progress()
        with trio.move_on_after(deadline):
            async with self._slots:
                return await self._attempt(endpoint, head, chunks, max_body, progress)
        raise HttpTimeoutError(
            f"{endpoint.host} gave no complete answer within {deadline:g} s (while {progress.phase}).",
            phase=progress.phase,
            sent=progress.sent,
        )

    async def _attempt(
        self,
        endpoint: Endpoint,
        head: h11.Request,
        chunks: list[bytes],
        max_body: int,
        progress: _Progress,
    ) -> HttpResponse:
        idempotent = head.method.decode() in _IDEMPOTENT
        while True:
            connection = self._take(endpoint)
            if connection is None:
                progress.phase = "connecting"
                try:
                    connection = _Connection(endpoint, await self._connector.connect(endpoint))
                except ConnectError as error:
                    raise HttpConnectError(error.message, sent=False) from error
            try:
                return await self._exchange(connection, head, chunks, max_body, progress)
            except HttpConnectionLostError:
                # The server closed the idle connection while the request was on its way (RFC 9112, 9.3.1).
                if not (connection.reused and idempotent and not connection.answered):
                    raise

    def _take(self, endpoint: Endpoint) -> _Connection | None:
        self._expire()
        for index in range(len(self._idle) - 1, -1, -1):  # the freshest is the least likely to be stale
            if self._idle[index].endpoint == endpoint:
                connection = self._idle.pop(index)
                if not is_readable(connection.stream):
                    connection.reused = True
                    connection.answered = False
                    return connection
                abort(connection.stream)
        return None

    def _put(self, connection: _Connection) -> None:
        connection.idle_since = trio.current_time()
        self._idle.append(connection)
        self._expire()

    def _expire(self) -> None:
        oldest = trio.current_time() - self._idle_expiry
        while self._idle and (len(self._idle) > self._max_idle or self._idle[0].idle_since <= oldest):
            abort(self._idle.pop(0).stream)

    async def _exchange(
        self,
        connection: _Connection,
        head: h11.Request,
        chunks: list[bytes],
        max_body: int,
        progress: _Progress,
    ) -> HttpResponse:
        keep = False
        try:
            progress.phase = "sending"
            progress.sent = True
            try:
                await _send(connection, head, chunks)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # A server may refuse a large body by answering early and closing: read what it said.
                connection.h11.send_failed()
            progress.phase = "receiving"
            try:
                response = await _receive(connection, max_body)
            except (trio.BrokenResourceError, trio.ClosedResourceError, EOFError) as error:
                raise HttpConnectionLostError(
                    f"{connection.endpoint.host} closed the connection before its answer was complete.",
                    sent=True,
                ) from error
            except h11.RemoteProtocolError as error:
                raise HttpProtocolError(
                    f"{connection.endpoint.host} sent something that is not HTTP: {error}.", sent=True
                ) from error
            done = connection.h11.our_state is h11.DONE and connection.h11.their_state is h11.DONE
            if done and not self._closed:
                connection.h11.start_next_cycle()
                self._put(connection)
                keep = True
            return response
        finally:
            if not keep:
                abort(connection.stream)


async def _send(connection: _Connection, head: h11.Request, chunks: list[bytes]) -> None:
    protocol = connection.h11
    out = protocol.send(head) or b""
    for chunk in chunks:
        if chunk:
            out += protocol.send(h11.Data(data=chunk)) or b""
            if len(out) > _READ_SIZE:
                await connection.stream.send_all(out)
                out = b""
    out += protocol.send(h11.EndOfMessage()) or b""
    if out:
        await connection.stream.send_all(out)


async def _receive(connection: _Connection, max_body: int) -> HttpResponse:
    protocol = connection.h11
    status = 0
    headers: tuple[tuple[str, str], ...] = ()
    parts: list[bytes] = []
    size = 0
    ended = False
    while True:
        try:
            event = protocol.next_event()
        except h11.RemoteProtocolError as error:
            if ended:
                raise EOFError from error
            raise
        if event is h11.NEED_DATA:
            data = bytes(await connection.stream.receive_some(_READ_SIZE))
            connection.answered |= bool(data)
            ended = not data  # the end of a body without a length, or of the connection: h11 knows which
            protocol.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers
            )
        elif isinstance(event, h11.Data):
            size += len(event.data)
            if size > max_body:
                raise HttpBodyTooLargeError(
                    f"{connection.endpoint.host} answered with more than {max_body} bytes.", sent=True
                )
            parts.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            return HttpResponse(status, headers, b"".join(parts))
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            raise EOFError


def _split(url: str) -> tuple[Endpoint, str, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidRequestError(f"not a URL: {error}.", sent=False) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise InvalidRequestError("only http and https URLs with a host can be requested.", sent=False)
    tls = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    endpoint = Endpoint(parts.hostname, port or (443 if tls else 80), tls)
    return endpoint, parts.netloc, target
