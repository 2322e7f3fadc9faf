"""Opening byte streams: TCP with happy eyeballs, then TLS where asked, all within one deadline.

Every client of flora (HTTP, websocket) opens its connections here, so that what a connection may reach is
decided in one place.
"""

from __future__ import annotations

import select
import ssl
from dataclasses import dataclass
from typing import Final

import trio

from flora.errors import FloraError

ByteStream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

CONNECT_DEADLINE: Final = 10.0
"""Seconds for name resolution, TCP and TLS together: three retransmitted SYNs take seven."""


class ConnectError(FloraError):
    """No connection could be opened; nothing of a request has left the machine."""

    code = "NET_CONNECT_FAILED"


class ConnectTimeoutError(ConnectError):
    code = "NET_CONNECT_TIMEOUT"


class TlsError(ConnectError):
    """The peer's certificate or its TLS is not acceptable."""

    code = "NET_TLS_FAILED"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a connection goes; equal endpoints may share pooled connections."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Connector:
    """Opens connections. Certificates are verified against `ssl_context`, by default the system's store."""

    def __init__(
        self, *, ssl_context: ssl.SSLContext | None = None, deadline: float = CONNECT_DEADLINE
    ) -> None:
        self._ssl_context = ssl_context
        self._deadline = deadline

    async def connect(self, endpoint: Endpoint) -> ByteStream:
        """Open a stream to `endpoint`.

        Raises ConnectError, ConnectTimeoutError or TlsError. When cancelled, what was opened is closed.
        """
        with trio.move_on_after(self._deadline):
            stream = await self._open(endpoint)
            if not endpoint.tls:
                return stream
            return await self._secure(stream, endpoint)
        raise ConnectTimeoutError(f"no connection to {endpoint} within {self._deadline:g} s.")

    async def _open(self, endpoint: Endpoint) -> trio.SocketStream:
        try:
            return await trio.open_tcp_stream(endpoint.host, endpoint.port)
        except (OSError, UnicodeError) as error:
            raise ConnectError(f"cannot connect to {endpoint}: {error}.") from error

    async def _secure(self, stream: trio.SocketStream, endpoint: Endpoint) -> ByteStream:
        if self._ssl_context is None:
            # Reads the certificate store from disk once, a few milliseconds; every connection shares it.
            self._ssl_context = ssl.create_default_context()
        # https_compatible: many servers close without close_notify, which framing above TLS notices anyway.
        secure = trio.SSLStream(
            stream, self._ssl_context, server_hostname=endpoint.host, https_compatible=True
        )
        try:
            await secure.do_handshake()
        except (trio.BrokenResourceError, ssl.SSLError) as error:
            abort(secure)
            raise TlsError(f"TLS with {endpoint} failed: {error.__cause__ or error}.") from error
        except BaseException:
            abort(secure)
            raise
        return secure


def abort(stream: ByteStream) -> None:
    """Close the socket at once, without farewell and without a checkpoint, so also safe when cancelled."""
    _socket(stream).close()


def is_readable(stream: ByteStream) -> bool:
    """True when bytes or the end of the stream wait in the socket: an idle connection is then unusable."""
    sock = _socket(stream)
    if sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _socket(stream: ByteStream) -> trio.socket.SocketType:
    return stream.transport_stream.socket if isinstance(stream, trio.SSLStream) else stream.socket
