"""A bare gateway client: every frame is the test's own, nothing is answered by itself."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
import trio
import zstandard
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

ALL_INTENTS = (1 << 17) - 1 | 1 << 20 | 1 << 21 | 1 << 24 | 1 << 25
DEADLINE = 30.0


class Gateway:
    def __init__(self, socket: WebSocketConnection, compress: str) -> None:
        self.socket = socket
        self.seq = 0
        self.session_id = ""
        self.ready: dict[str, Any] = {}
        self._inflate = zlib.decompressobj() if compress == "zlib-stream" else None
        self._zstd = zstandard.ZstdDecompressor().decompressobj() if compress == "zstd-stream" else None

    async def receive(self) -> dict[str, Any]:
        """The next frame, whatever it is."""
        with trio.fail_after(DEADLINE):
            message = await self.socket.get_message()
        if isinstance(message, bytes):
            if self._inflate is not None:
                assert message.endswith(b"\x00\x00\xff\xff")
                message = self._inflate.decompress(message)
            elif self._zstd is not None:
                message = self._zstd.decompress(message)
            else:
                message = zlib.decompress(message)
        frame: dict[str, Any] = json.loads(message)
        if frame["op"] == 0:
            self.seq = frame["s"]
        return frame

    async def event(self, name: str | None = None) -> dict[str, Any]:
        """The data of the next dispatch, or of the next one called `name`."""
        while True:
            frame = await self.receive()
            if frame["op"] == 0 and name in (None, frame["t"]):
                data: dict[str, Any] = frame["d"]
                return data

    async def send(self, opcode: int, data: Any) -> None:
        await self.socket.send_message(json.dumps({"op": opcode, "d": data}))

    async def identify(self, token: str, *, intents: int = ALL_INTENTS, **more: Any) -> dict[str, Any]:
        """Identify and return READY."""
        await self.send_identify(token, intents=intents, **more)
        frame = await self.receive()
        assert frame["t"] == "READY", frame
        self.ready = frame["d"]
        self.session_id = frame["d"]["session_id"]
        return self.ready

    async def send_identify(self, token: str, *, intents: int | None = ALL_INTENTS, **more: Any) -> None:
        data = {"token": token, "properties": {"os": "linux", "browser": "test", "device": "test"}, **more}
        if intents is not None:
            data["intents"] = intents
        await self.send(2, data)

    async def resume(self, token: str, session_id: str, seq: int) -> None:
        await self.send(6, {"token": token, "session_id": session_id, "seq": seq})

    async def close_code(self) -> int:
        """Read until the server closes; returns its code."""
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await self.receive()
        reason = closed.value.reason
        assert reason is not None
        return reason.code

    async def quiet(self, seconds: float = 0.2) -> None:
        """Nothing comes for a moment."""
        with trio.move_on_after(seconds):
            raise AssertionError(f"unexpected: {await self.receive()}")


@asynccontextmanager
async def open_gateway(
    url: str, *, compress: str = "", version: str = "10", hello: bool = True
) -> AsyncIterator[Gateway]:
    """Connect and read HELLO."""
    host = url.removeprefix("ws://")
    path = f"/?v={version}&encoding=json" + (f"&compress={compress}" if compress else "")
    address, _, port = host.rpartition(":")
    async with await trio.open_tcp_stream(address, int(port)) as stream, trio.open_nursery() as nursery:
        socket = await wrap_client_stream(nursery, stream, host, path, message_queue_size=1000)
        gateway = Gateway(socket, compress)
        if hello:
            assert (await gateway.receive())["op"] == 10
        try:
            yield gateway
        finally:
            with trio.move_on_after(1, shield=True):
                await socket.aclose(4000)
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_events(
    page_url: str, user: str = "ann"
) -> AsyncIterator[AsyncGenerator[tuple[str, dict[str, Any]], None]]:
    """The page's event stream as (name, data), on a bare connection, until the server ends it."""
    host = page_url.removeprefix("http://")
    address, _, port = host.rpartition(":")

    async def read() -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        buffer = b""
        async for chunk in stream:
            *blocks, buffer = (buffer + chunk).split(b"\n\n")
            for block in blocks:
                lines = [line.decode() for line in block.split(b"\n")]
                fields = dict(line.split(": ", 1) for line in lines if line.startswith(("event", "data")))
                if "event" in fields:
                    yield fields["event"], json.loads(fields["data"])

    async with await trio.open_tcp_stream(address, int(port)) as stream:
        path = f"/playground/api/events?user={user}"
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        async with aclosing(read()) as events:
            yield events
