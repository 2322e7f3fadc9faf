"""A websocket client (RFC 6455) on the sans-I/O core of `websockets` and a Trio stream.

There is no hidden task and no queue: `recv` reads the socket itself, so back-pressure is TCP's own, and what
is not read is not answered. Leaving the block closes with 4000 by default, also on an error or when
cancelled, because 1000 or no close frame at all would end a Discord session that could have been resumed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

import trio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import BINARY, CONT, TEXT, Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from flora.errors import FloraError
from flora.net.connector import ByteStream, Connector, Endpoint, abort

RESUMABLE_CLOSE: Final = 4000
"""Any code but 1000 and 1001 keeps a Discord session alive for a resume."""

ABNORMAL_CLOSE: Final = 1006
"""Stands for a connection that ended without a close frame (RFC 6455, 7.1.5)."""

MAX_MESSAGE: Final = 64 * 2**20
"""Cap of one message as it arrives, in bytes: uncompressed, a GUILD_CREATE has many megabytes."""

CLOSE_DEADLINE: Final = 2.0
"""Seconds for the closing handshake, since it runs shielded from cancellation."""

_READ_SIZE: Final = 65536
_QUIET: Final = logging.getLogger("flora.net.websocket")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False  # at debug level the library would log frames, and with them the token


class WebSocketClosedError(FloraError):
    """The connection is over. `close_code` is the peer's, or ours, or 1006 when there was no close frame."""

    code = "WEBSOCKET_CLOSED"

    def __init__(self, close_code: int, reason: str = "") -> None:
        super().__init__(f"the websocket was closed with {close_code}{f': {reason}' if reason else ''}.")
        self.close_code = close_code
        self.reason = reason


class WebSocketHandshakeError(FloraError):
    """The server did not upgrade the connection; `status` is its HTTP status when it gave one."""

    code = "WEBSOCKET_HANDSHAKE_FAILED"

    def __init__(self, message: str, *, status: int | None = None, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class WebSocket:
    """An open connection: one task receives, any task sends. Made by `connect`."""

    def __init__(self, stream: ByteStream, protocol: ClientProtocol) -> None:
        self._stream = stream
        self._protocol = protocol
        self._write_lock = trio.Lock()
        self._torn = False
        self._frames: deque[Frame] = deque()
        self._fragments: list[bytes] = []
        self._receiving = False

    async def recv(self) -> bytes:
        """The next message; text comes as UTF-8.

        Raises WebSocketClosedError, after everything that came before the close. Cancellation loses nothing.
        Not a checkpoint when a message is here already.
        """
        while True:
            while self._frames:
                message = self._assemble(self._frames.popleft())
                if message is not None:
                    return message
            if self._protocol.writes:
                # A pong or the echo of a close. Failing tells nothing yet: the peer may have said why it
                # left before it did, and that is still to be read.
                with suppress(WebSocketClosedError):
                    await self._flush()
            if self._protocol.state is not State.OPEN:
                raise self._closed()
            self._receiving = True
            try:
                data = await self._stream.receive_some(_READ_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            finally:
                self._receiving = False
            self._feed(data)

    async def send(self, message: str | bytes) -> None:
        """Send one text or binary message.

        Raises WebSocketClosedError. When cancelled within a frame, the connection is torn: the peer could
        read nothing after it, so every later send raises.
        """
        if self._protocol.state is not State.OPEN:
            raise self._closed()
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        await self._flush()

    async def close(self, code: int = RESUMABLE_CLOSE, reason: str = "") -> None:
        """Close with `code`, wait at most CLOSE_DEADLINE seconds for the peer, then drop the connection.

        Never raises and may be called again. Shielded from cancellation, which is why it is bounded. While
        another task is in `recv`, only the close frame is sent: that task sees the connection end.
        """
        with trio.move_on_after(CLOSE_DEADLINE, shield=True):
            try:
                if self._protocol.state is State.OPEN:
                    self._protocol.send_close(code, reason)
                await self._flush()
                if self._receiving:
                    return
                while self._protocol.state is not State.CLOSED:
                    self._feed(await self._stream.receive_some(_READ_SIZE))
            except (WebSocketClosedError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # there is nobody left to say farewell to
        abort(self._stream)

    def _assemble(self, frame: Frame) -> bytes | None:
        opcode = frame.opcode
        if opcode is not TEXT and opcode is not BINARY and opcode is not CONT:
            return None
        if frame.fin and not self._fragments:
            return bytes(frame.data)
        self._fragments.append(bytes(frame.data))
        if not frame.fin:
            return None
        message = b"".join(self._fragments)
        self._fragments.clear()
        return message

    def _feed(self, data: bytes | bytearray) -> None:
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frames.append(event)

    async def _flush(self) -> None:
        async with self._write_lock:
            if self._torn:
                raise WebSocketClosedError(ABNORMAL_CLOSE, "a frame was cut off")
            data = b"".join(self._protocol.data_to_send())
            if not data:
                return
            self._torn = True  # stays so when the send is cancelled half-way through a frame
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise self._closed() from None
            self._torn = False

    def _closed(self) -> WebSocketClosedError:
        close = self._protocol.close_rcvd or self._protocol.close_sent
        return (
            WebSocketClosedError(int(close.code), close.reason)
            if close
            else WebSocketClosedError(ABNORMAL_CLOSE)
        )


@asynccontextmanager
async def connect(
    url: str,
    *,
    connector: Connector | None = None,
    headers: Iterable[tuple[str, str]] = (),
    deadline: float = 15.0,
    max_message: int = MAX_MESSAGE,
    close_code: int = RESUMABLE_CLOSE,
) -> AsyncIterator[WebSocket]:
    """Open a websocket to a ws or wss `url` within `deadline` seconds and close it with `close_code` after.

    Raises ConnectError and WebSocketHandshakeError. Errors of the block come out as they are.
    """
    try:
        uri = parse_uri(url)
    except InvalidURI as error:
        raise WebSocketHandshakeError(f"not a websocket URL: {error}.") from error
    socket: WebSocket | None = None
    with trio.move_on_after(deadline):
        stream = await (connector or Connector()).connect(Endpoint(uri.host, uri.port, uri.secure))
        try:
            protocol = ClientProtocol(uri, max_size=max_message, logger=_QUIET)
            candidate = WebSocket(stream, protocol)
            await _handshake(candidate, stream, protocol, headers)
        except BaseException:
            abort(stream)
            raise
        socket = candidate
    if socket is None:
        raise WebSocketHandshakeError(f"{uri.host} did not open the websocket within {deadline:g} s.")
    try:
        yield socket
    finally:
        await socket.close(close_code)


async def _handshake(
    socket: WebSocket, stream: ByteStream, protocol: ClientProtocol, headers: Iterable[tuple[str, str]]
) -> None:
    request = protocol.connect()
    for name, value in headers:
        request.headers[name] = value
    protocol.send_request(request)
    try:
        await socket._flush()
        while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
            socket._feed(await stream.receive_some(_READ_SIZE))
    except (WebSocketClosedError, trio.BrokenResourceError) as error:
        raise WebSocketHandshakeError("the connection ended during the websocket handshake.") from error
    failure = protocol.handshake_exc
    if isinstance(failure, InvalidStatus):
        response = failure.response
        raise WebSocketHandshakeError(
            f"the server answered the websocket handshake with HTTP {response.status_code}.",
            status=response.status_code,
            retry_after=response.headers.get("Retry-After"),
        ) from failure
    if failure is not None:
        kind = "refused" if isinstance(failure, InvalidHandshake) else "failed"
        raise WebSocketHandshakeError(f"the websocket handshake {kind}: {failure}.") from failure
