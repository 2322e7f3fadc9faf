"""A small Discord gateway on loopback: it keeps sessions, replays, and misbehaves as a test asks for."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import trio
import zstandard
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket


class Deflater:
    def __init__(self, kind: str | None) -> None:
        self.kind = kind
        self.zlib = zlib.compressobj()
        self.zstd = zstandard.ZstdCompressor().compressobj()

    def message(self, payload: bytes) -> str | bytes:
        if self.kind == "zlib-stream":
            return self.zlib.compress(payload) + self.zlib.flush(zlib.Z_SYNC_FLUSH)
        if self.kind == "zstd-stream":
            return self.zstd.compress(payload) + self.zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        return payload.decode()


@dataclass
class Session:
    id: str
    sent: list[dict[str, Any]] = field(default_factory=list)  # dispatches, for the replay
    link: Link | None = None

    @property
    def seq(self) -> int:
        return len(self.sent)


class Link:
    """One connection of a client."""

    def __init__(self, gateway: FakeGateway, ws: WebSocketConnection, compress: str | None) -> None:
        self.gateway = gateway
        self.ws = ws
        self.deflater = Deflater(compress)
        self.session: Session | None = None
        self.received: list[dict[str, Any]] = []
        self.closing = False

    async def send(self, op: int, d: Any = None, **more: Any) -> None:
        await self.ws.send_message(
            self.deflater.message(json.dumps({"op": op, "d": d, "s": None, "t": None, **more}).encode())
        )

    async def close(self, code: int, reason: str = "") -> None:
        self.closing = True
        await self.ws.aclose(code, reason)

    async def cut(self) -> None:
        """End the TCP connection without a word."""
        await trio.aclose_forcefully(self.ws._stream)


class FakeGateway:
    def __init__(self) -> None:
        self.url = ""
        self.sessions: dict[str, Session] = {}
        self.links: list[Link] = []
        self.identifies: list[dict[str, Any]] = []
        self.resumes: list[dict[str, Any]] = []
        self.closes: list[int | None] = []  # the codes with which clients left
        self.heartbeat_interval = 10_000
        self.acknowledge = True
        self.refuse_resume = False
        self.on_hello: Callable[[Link], Awaitable[None]] | None = None
        self.on_identify: Callable[[Link], Awaitable[bool]] | None = None
        self._changed = trio.Event()

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        with trio.fail_after(seconds):
            while not condition():
                await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def dispatch(self, session: Session, name: str, data: Any) -> None:
        """Record an event; send it when a client is there."""
        message = {"op": 0, "t": name, "s": session.seq + 1, "d": data}
        session.sent.append(message)
        if session.link is not None:
            await self.push(session.link, message)

    async def push(self, link: Link, message: dict[str, Any]) -> None:
        with suppress(ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            await link.ws.send_message(link.deflater.message(json.dumps(message).encode()))

    async def handle(self, request: WebSocketRequest) -> None:
        query = dict(pair.split("=") for pair in request.path.partition("?")[2].split("&"))
        assert query["v"] == "10"
        assert query["encoding"] == "json"
        ws = await request.accept()
        link = Link(self, ws, query.get("compress"))
        self.links.append(link)
        self._tell()
        try:
            if self.on_hello is not None:
                await self.on_hello(link)
            await link.send(10, {"heartbeat_interval": self.heartbeat_interval})
            while True:
                message = json.loads(await ws.get_message())
                link.received.append(message)
                await self.take(link, message)
                self._tell()
        except (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            if link.session is not None and link.session.link is link:
                link.session.link = None
            self.closes.append(ws.closed.code if ws.closed and not link.closing else None)
            self._tell()

    async def take(self, link: Link, message: dict[str, Any]) -> None:
        op, data = message["op"], message["d"]
        if op == 1 and self.acknowledge:
            await link.send(11)
        elif op == 2:
            self.identifies.append(data)
            if self.on_identify is not None and await self.on_identify(link):
                return
            session = Session(f"session-{len(self.sessions)}")
            self.sessions[session.id] = session
            link.session, session.link = session, link
            await self.dispatch(
                session,
                "READY",
                {
                    "v": 10,
                    "session_id": session.id,
                    "resume_gateway_url": self.url,
                    "user": {"id": "1", "username": "flora"},
                    "application": {"id": "2", "flags": 0},
                    "guilds": [{"id": "100", "unavailable": True}],
                    "shard": data["shard"],
                },
            )
        elif op == 6:
            self.resumes.append(data)
            session = self.sessions.get(data["session_id"])
            if session is None or self.refuse_resume:
                await link.send(9, False)
                return
            link.session, session.link = session, link
            for past in session.sent[data["seq"] :]:
                await self.push(link, past)
            await self.dispatch(session, "RESUMED", {})


@asynccontextmanager
async def fake_gateway() -> AsyncIterator[FakeGateway]:
    gateway = FakeGateway()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            lambda task_status: serve_websocket(
                gateway.handle, "127.0.0.1", 0, None, handler_nursery=nursery, task_status=task_status
            )
        )
        gateway.url = f"ws://127.0.0.1:{server.port}"
        yield gateway
        nursery.cancel_scope.cancel()
