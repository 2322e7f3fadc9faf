"""The gateway's sockets: trio-websocket on loopback, driving one sans-I/O machine per connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import parse_qs, urlsplit

import structlog
import trio
import wsproto.utilities
from trio_websocket import (
    ConnectionClosed,
    HandshakeError,
    WebSocketConnection,
    WebSocketRequest,
    wrap_server_stream,
)

from flora.playground.gateway.compression import Encoder, PayloadEncoder, PlainEncoder, transport_encoder
from flora.playground.gateway.connection import GatewayConnection
from flora.playground.gateway.hub import Hub
from flora.playground.loopback import is_loopback_origin

log = structlog.get_logger("flora.playground")

VERSIONS: Final = frozenset({"9", "10"})
HANDSHAKE_DEADLINE: Final = 10.0
CLOSE_DEADLINE: Final = 1.0  # for the client's half of the closing handshake
MAX_CLIENT_FRAME: Final = 64 * 1024  # above Discord's 4096, so that the protocol can answer 4002
GOING_AWAY: Final = 1001
BATCH: Final = 64 * 1024  # bytes of frames that are sent at once


class _BatchedStream(trio.abc.Stream):
    """A socket that may hold back what is sent, so that many small frames are one system call."""

    def __init__(self, socket: trio.SocketStream) -> None:
        self._socket = socket
        self._held: bytearray | None = None

    def hold(self) -> None:
        """Keep what is sent from now on until `release`; only one task may."""
        self._held = bytearray()

    async def flush(self) -> None:
        """Send what is held, and go on holding. Raises as `send_all`."""
        while self._held:
            data, self._held = self._held, bytearray()
            await self._socket.send_all(data)

    async def release(self) -> None:
        await self.flush()
        self._held = None

    @property
    def held_bytes(self) -> int:
        return len(self._held or b"")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._held is None:
            await self._socket.send_all(data)
        else:
            self._held += data
            await trio.lowlevel.checkpoint_if_cancelled()

    async def wait_send_all_might_not_block(self) -> None:
        await self._socket.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._socket.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._socket.aclose()


class _Link:
    """One open connection: a reader, a writer and a watch over the client's heartbeats."""

    def __init__(
        self, hub: Hub, socket: WebSocketConnection, stream: _BatchedStream, encoder: Encoder
    ) -> None:
        self.done = trio.Event()
        self._something = trio.Event()
        self._socket = socket
        self._stream = stream
        self._encoder = encoder
        self._wake = self._notice  # one bound method, so that its identity names this connection
        self.machine = GatewayConnection(hub, self._wake)

    def _notice(self) -> None:
        self._something.set()

    async def run(self) -> None:
        """Serve until either side closes. Cancellation cuts the connection; the session stays resumable."""
        self.machine.start(trio.current_time())
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, nursery.cancel_scope)
                nursery.start_soon(self._watch, nursery.cancel_scope)
                await self._write()
                nursery.cancel_scope.cancel()
        finally:
            closed = self._socket.closed
            by_client = self.machine.closing is None and not self.machine.drop
            self.machine.ended(closed.code if closed is not None and by_client else None)

    async def _read(self, scope: trio.CancelScope) -> None:
        try:
            while True:
                self.machine.receive(await self._socket.get_message(), trio.current_time())
        except ConnectionClosed:
            if self.machine.closing is None:
                scope.cancel()

    async def _watch(self, scope: trio.CancelScope) -> None:
        while self.machine.closing is None:
            await trio.sleep_until(self.machine.heartbeat_deadline)
            self.machine.check_heartbeat(trio.current_time())
        await trio.sleep(2 * CLOSE_DEADLINE)
        scope.cancel()  # the writer is stuck in a socket that nobody reads

    async def _write(self) -> None:
        machine = self.machine
        try:
            while True:
                if machine.drop:
                    await trio.aclose_forcefully(self._stream)
                    return
                if not machine.faults.stalled:
                    await self._send_all()
                if machine.closing is not None:
                    with trio.move_on_after(CLOSE_DEADLINE):
                        await self._socket.aclose(machine.closing.close_code, machine.closing.reason)
                    return
                await self._something.wait()
                self._something = trio.Event()
        except ConnectionClosed:
            return

    async def _send_all(self) -> None:
        while frames := self.machine.take():
            self._stream.hold()
            if self.machine.compress_payloads and isinstance(self._encoder, PlainEncoder):
                self._encoder = PayloadEncoder()
            for sent, frame in enumerate(frames):
                self.machine.in_hand = len(frames) - sent
                if self.machine.faults.delay:
                    await self._stream.flush()
                    await trio.sleep(self.machine.faults.delay)
                if self.machine.drop:
                    return
                await self._socket.send_message(self._encoder.encode(frame))
                if self._stream.held_bytes > BATCH:
                    await self._stream.flush()
            await self._stream.release()
            self.machine.in_hand = 0


@dataclass(slots=True)
class GatewayServer:
    """All connections of the gateway's port."""

    hub: Hub
    refuse_upgrades: int = 0  # HTTP status to refuse new connections with, 0 for none
    _links: set[_Link] = field(default_factory=set)

    def backlog(self) -> int:
        """Frames that the slowest client lacks."""
        return max((each.backlog for each in self.connections()), default=0)

    def connections(self) -> Iterator[GatewayConnection]:
        return (link.machine for link in self._links)

    async def serve(self, listener: trio.SocketListener, stopping: trio.Event) -> None:
        """Serve until `stopping`, then close every connection with 1001 and return within two seconds."""
        async with trio.open_nursery() as nursery:
            async with listener, trio.open_nursery() as accepting:
                accepting.start_soon(
                    partial(trio.serve_listeners, self._accept, [listener], handler_nursery=nursery)
                )
                await stopping.wait()
                accepting.cancel_scope.cancel()
            for link in tuple(self._links):
                link.machine.close(GOING_AWAY, "The playground is shutting down.")
            with trio.move_on_after(CLOSE_DEADLINE):
                for link in tuple(self._links):
                    await link.done.wait()
            nursery.cancel_scope.cancel()

    async def _accept(self, socket: trio.SocketStream) -> None:
        stream = _BatchedStream(socket)
        try:
            async with trio.open_nursery() as nursery:
                request: WebSocketRequest | None = None
                with trio.move_on_after(HANDSHAKE_DEADLINE):
                    request = await wrap_server_stream(
                        nursery, stream, message_queue_size=64, max_message_size=MAX_CLIENT_FRAME
                    )
                if request is not None:
                    await self._serve_request(request, stream)
                nursery.cancel_scope.cancel()
        except* (
            ConnectionClosed,
            HandshakeError,
            OSError,
            trio.BrokenResourceError,
            trio.ClosedResourceError,
            wsproto.utilities.ProtocolError,
        ) as problems:
            log.debug("connection failed", errors=[repr(each) for each in problems.exceptions])
        finally:
            await trio.aclose_forcefully(stream)

    async def _serve_request(self, request: WebSocketRequest, stream: _BatchedStream) -> None:
        # A browser always names the page's Origin, so this keeps other sites out, also by DNS rebinding.
        headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        if not is_loopback_origin(headers.get("origin")):
            await request.reject(403, body=b"The playground answers to loopback addresses only.")
            return
        if self.refuse_upgrades:
            await request.reject(self.refuse_upgrades, body=b"Refused by fault injection.")
            return
        query = parse_qs(urlsplit(request.path).query)
        socket = await request.accept()
        encoder = transport_encoder(query.get("compress", [""])[0])
        link = _Link(self.hub, socket, stream, encoder or PlainEncoder())
        if query.get("v", ["10"])[0] not in VERSIONS:
            link.machine.close(4012, "Invalid API version.")
        elif encoder is None or query.get("encoding", ["json"])[0] != "json":
            link.machine.close(
                4002, "The playground speaks encoding=json, plain, zlib-stream or zstd-stream."
            )
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)
            link.done.set()
