"""Serves the application with Hypercorn on Trio.

Hypercorn's own loop is used piece by piece, since four things must be otherwise: a port that is taken is one
clear line; a client that does not read cannot hold an answer, or the shutdown, for longer than a deadline;
an answer that comes before the whole request was read still reaches its client; and a request costs one task
and one write, where Hypercorn has a task more for each idle phase, and a write for head and body each.
"""

from __future__ import annotations

import errno
import logging
import math
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import h11
import structlog
import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol import ProtocolWrapper
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import (
    AppWrapper,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    ConnectionState,
    Scope,
)
from hypercorn.utils import parse_socket_addr, wrap_app
from quart_trio import QuartTrio

from flora.api.exchange import CLIENT
from flora.config import ApiConfig
from flora.errors import StartupError

log = structlog.get_logger("flora.api")

# A client that takes nothing for so long is gone.
WRITE_TIMEOUT: Final = 20.0
# Idle keep-alive connections, and headers that do not arrive.
IDLE_TIMEOUT: Final = 10.0
# How long a request that was answered early may go on sending, so that its answer is not lost in a reset.
LINGER_TIMEOUT: Final = 2.0
# Requests in flight at a shutdown.
GRACE: Final = 2.0
# Beyond this, connections wait in the kernel's backlog.
MAX_CONNECTIONS: Final = 2_048


async def serve_api(
    app: QuartTrio,
    config: ApiConfig,
    *,
    shutdown: trio.Event,
    grace_secs: float = GRACE,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `shutdown` is set; `started` with the base URL once connections are accepted.

    After `shutdown` no connection is accepted and requests in flight have `grace_secs` seconds to end; event
    streams end by themselves when they were made with the same event. Raises StartupError when the address
    cannot be bound. Cancelling closes all connections at once.
    """
    listener = _listen(config.address, config.port)
    hypercorn = _hypercorn_config()
    wrapped = wrap_app(app, hypercorn.wsgi_max_body_size, "asgi")
    context = WorkerContext(None)
    state: dict[str, Any] = {}
    lifespan = Lifespan(wrapped, hypercorn, state)
    connections = _Connections()
    slots = trio.CapacityLimiter(MAX_CONNECTIONS)

    async def handle(stream: trio.SocketStream) -> None:
        async with slots:
            connection = _Connection(wrapped, hypercorn, context, ConnectionState(state.copy()), stream)
            with connections.holding(connection):
                await connection.run()

    with listener.socket:
        async with trio.open_nursery() as lifespan_nursery:
            await lifespan_nursery.start(lifespan.handle_lifespan)
            await lifespan.wait_for_startup()
            async with trio.open_nursery() as connection_nursery:
                async with trio.open_nursery() as accept_nursery:
                    await accept_nursery.start(
                        partial(trio.serve_listeners, handle, [listener], handler_nursery=connection_nursery)
                    )
                    task_status.started(_url(listener.socket))
                    await shutdown.wait()
                    accept_nursery.cancel_scope.cancel()
                await context.terminated.set()
                connections.end_idle()
                with trio.move_on_after(grace_secs):
                    await connections.none_left()
                connections.abort()
                connection_nursery.cancel_scope.cancel()
            await lifespan.wait_for_shutdown()
            lifespan_nursery.cancel_scope.cancel()


class _Connections:
    """The open connections, to wait for their end or to force it."""

    def __init__(self) -> None:
        self._open: set[_Connection] = set()
        self._changed = trio.Event()

    @contextmanager
    def holding(self, connection: _Connection) -> Iterator[None]:
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)
            self._changed.set()

    async def none_left(self) -> None:
        while self._open:
            self._changed = trio.Event()
            await self._changed.wait()

    def end_idle(self) -> None:
        for connection in self._open:
            connection.end_if_idle()

    def abort(self) -> None:
        for connection in self._open:
            connection.abort()


class _Connection(TCPServer):
    """One client's connection, with a deadline for each write and a patient end.

    The reading task also keeps the idle time, as the deadline of what it does.
    """

    def __init__(
        self,
        app: AppWrapper,
        config: HypercornConfig,
        context: WorkerContext,
        state: ConnectionState,
        stream: trio.SocketStream,
    ) -> None:
        super().__init__(_WholeAnswers(app, self), config, context, state, stream)  # type: ignore[arg-type]
        self._ending = False
        self._idle = True
        self._reading = trio.CancelScope()
        self._holding = False
        self._held = b""

    async def run(self) -> None:
        """Until one of both sides ends it. As TCPServer's, without TLS and with tasks of our own."""
        try:
            sock = self.stream.socket
            client = parse_socket_addr(sock.family, sock.getpeername())
            server = parse_socket_addr(sock.family, sock.getsockname())
            async with _Exchanges() as exchanges:
                self._task_group = exchanges
                self.protocol = ProtocolWrapper(
                    self.app,
                    self.config,
                    self.context,
                    exchanges,
                    ConnectionState(self.state),
                    False,
                    client,
                    server,
                    self.protocol_send,
                    "http/1.1",
                )
                await self.protocol.initiate()
                self._wait_for_request()
                await self._read_data()
        except OSError:
            pass  # it is gone
        finally:
            await self._close()

    def abort(self) -> None:
        """Close at once, whatever is being written."""
        self.stream.socket.close()

    def end_if_idle(self) -> None:
        if self._idle:
            self._reading.cancel()

    def hold(self) -> None:
        """What is sent from now on waits, to go out in one write with what comes after `release`."""
        self._holding = True

    def release(self) -> None:
        self._holding = False

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData):
            self._held += event.data
            if not self._holding:
                await self._write()
        elif isinstance(event, Closed):
            await self._write()
            await self._end()
            await self.protocol.handle(Closed())
        elif isinstance(event, Updated):
            self._idle = event.idle
            if self._ending:
                return
            if event.idle:
                self._wait_for_request()
            else:
                self._reading.deadline = math.inf

    def _wait_for_request(self) -> None:
        terminated = self.context.terminated.is_set()
        patience = 0.0 if terminated else self.config.keep_alive_timeout
        self._reading.deadline = trio.current_time() + patience

    async def _write(self) -> None:
        data, self._held = self._held, b""
        if not data:
            return
        try:
            self.send_lock.acquire_nowait()
        except trio.WouldBlock:
            await self.send_lock.acquire()
        try:
            # Shielded, since half an answer would be taken for a whole one by what follows it.
            with trio.CancelScope(shield=True, deadline=trio.current_time() + WRITE_TIMEOUT) as scope:
                try:
                    await self.stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    await self.protocol.handle(Closed())
        finally:
            self.send_lock.release()
        if scope.cancelled_caught:
            log.info("client does not read", seconds=WRITE_TIMEOUT)
            self.abort()
            await self.protocol.handle(Closed())

    async def _end(self) -> None:
        """Say that nothing more comes. What a client still sends is thrown away for a moment: closing at once
        would answer it with a reset, and a reset destroys an answer that was not read yet.
        """
        self._ending = True
        try:
            await self.stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            self.abort()
        # Last, since this may be the reading task itself.
        patience = 0.0 if self._request_is_read() else LINGER_TIMEOUT
        self._reading.deadline = trio.current_time() + patience

    def _request_is_read(self) -> bool:
        connection = getattr(self.protocol.protocol, "connection", None)
        return isinstance(connection, h11.Connection) and connection.their_state is not h11.SEND_BODY

    async def _read_data(self) -> None:
        with self._reading:
            while True:
                try:
                    data = await self.stream.receive_some(MAX_RECV)
                except (trio.ClosedResourceError, trio.BrokenResourceError):
                    break
                if not self._ending:
                    await self.protocol.handle(RawData(bytes(data)))
                if data == b"":
                    break
        await self.protocol.handle(Closed())


class _Exchanges(TaskGroup):
    """The tasks of one connection: one for each request, which ends when its client is gone."""

    async def spawn_app(
        self,
        app: AppWrapper,
        config: HypercornConfig,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        put = await super().spawn_app(app, config, scope, send)
        if scope["type"] != "http":
            return put
        client = trio.CancelScope()
        extensions: dict[str, Any] = scope["extensions"]
        extensions[CLIENT] = client

        async def tell(message: ASGIReceiveEvent) -> None:
            if message["type"] == "http.disconnect":
                client.cancel()
            await put(message)

        return tell


class _WholeAnswers:
    """The application, whose last word is always carried out, and whose first is not sent alone.

    When an answer is complete Hypercorn tells the application that the exchange is over, which cancels the
    task that is still in the middle of ending or recycling the connection; without this shield the
    connection would be left open and deaf. Each write in it has a deadline. An answer of known length is
    about to follow its head, so the head waits for it.
    """

    def __init__(self, app: AppWrapper, connection: _Connection) -> None:
        self._app = app
        self._connection = connection

    async def __call__(
        self,
        scope: Scope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        sync_spawn: Callable[..., Any],
        call_soon: Callable[..., Any],
    ) -> None:
        connection = self._connection

        async def send_whole(message: ASGISendEvent) -> None:
            if message["type"] == "http.response.start":
                if any(name == b"content-length" for name, _ in message["headers"]):
                    connection.hold()
                await send(message)
                return
            connection.release()
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                with trio.CancelScope(shield=True):
                    await send(message)
            else:
                await send(message)

        await self._app(scope, receive, send_whole, sync_spawn, call_soon)


def _listen(address: str, port: int) -> trio.SocketListener:
    try:
        family, kind, protocol, _, sockaddr = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartupError(f"the API cannot listen on {address!r}: {error.strerror or error}.") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind(sockaddr)
        sock.listen(1024)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise StartupError(
                f"port {port} on {address} is taken, so the API cannot start.",
                hint="Stop what runs there, or choose another with API_PORT (0 takes any).",
            ) from error
        raise StartupError(f"the API cannot listen on {address}:{port}: {error.strerror}.") from error
    sock.setblocking(False)
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock))


def _hypercorn_config() -> HypercornConfig:
    config = HypercornConfig()
    config.accesslog = None  # flora logs its requests itself
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.keep_alive_timeout = IDLE_TIMEOUT
    config.h11_max_incomplete_size = 32 * 1024
    config.alpn_protocols = ["http/1.1"]
    return config


def _url(sock: trio.socket.SocketType) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
