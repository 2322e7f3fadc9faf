"""Servers on loopback that speak HTTP/1.1 (h11) well, or badly in the way a test asks for."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import h11
import trio

CERTIFICATE = (
    Path(__file__).parent / "localhost.pem"
)  # self-signed for localhost, with its key, for tests only

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def trusting_tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATE))


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Server:
    port: int = 0
    tls: bool = False
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    requests: list[Request] = field(default_factory=list)

    def url(self, path: str = "/") -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}{path}"


Handler = Callable[[Request], Awaitable[Answer | None]]
"""Answers a request; None closes the connection without an answer."""


async def read_request(stream: Stream, protocol: h11.Connection, number: int) -> Request | None:
    head: h11.Request | None = None
    body = b""
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            protocol.receive_data(bytes(await stream.receive_some(65536)))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            headers = {name.decode(): value.decode() for name, value in head.headers}
            return Request(head.method.decode(), head.target.decode(), headers, body, number)
        else:
            return None


@asynccontextmanager
async def http_server(handler: Handler, *, tls: bool = False) -> AsyncIterator[Server]:
    """Keep-alive connections, each request given to `handler`."""
    server = Server(tls=tls)

    async def connection(stream: Stream) -> None:
        server.connections += 1
        number = server.connections
        server.open_now += 1
        server.most_open = max(server.most_open, server.open_now)
        protocol = h11.Connection(h11.SERVER)
        try:
            while (request := await read_request(stream, protocol, number)) is not None:
                server.requests.append(request)
                answer = await handler(request)
                if answer is None:
                    return
                headers = [("Content-Length", str(len(answer.body))), *answer.headers]
                out = protocol.send(h11.Response(status_code=answer.status, headers=headers)) or b""
                if request.method != "HEAD":
                    out += protocol.send(h11.Data(data=answer.body)) or b""
                out += protocol.send(h11.EndOfMessage()) or b""
                await stream.send_all(out)
                if protocol.our_state is h11.MUST_CLOSE:
                    return
                protocol.start_next_cycle()
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
            pass  # the client left, as some tests mean it to
        finally:
            server.open_now -= 1

    async with raw_server(connection, tls=tls) as port:
        server.port = port
        yield server


@asynccontextmanager
async def raw_server(
    connection: Callable[[Stream], Awaitable[None]], *, tls: bool = False
) -> AsyncIterator[int]:
    """The port of a server whose connections `connection` handles, byte by byte."""

    async def guarded(stream: Stream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await connection(stream)

    async with trio.open_nursery() as nursery:
        if tls:
            serve = partial(trio.serve_ssl_over_tcp, guarded, 0, server_tls(), host="127.0.0.1")
        else:
            serve = partial(trio.serve_tcp, guarded, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        listener = listeners[0].transport_listener if tls else listeners[0]
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()
