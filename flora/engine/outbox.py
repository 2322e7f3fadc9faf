"""What the host sends to a guild process: at once where the socket takes it, else from a bounded backlog."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable

import trio


class Outbox:
    """Frames leave in the order of `post`. `overflow` is called once more than `max_bytes` wait."""

    def __init__(self, link: socket.socket, *, max_bytes: int, overflow: Callable[[], None]) -> None:
        self._link = link
        self._max_bytes = max_bytes
        self._overflow = overflow
        self._backlog: deque[memoryview] = deque()
        self._backlog_bytes = 0
        self._grew = trio.Event()

    def post(self, frame: bytes) -> None:
        """A link that is broken swallows it: its reader sees the end too, and reports it."""
        sent = 0
        if not self._backlog:
            try:
                sent = self._link.send(frame)
            except BlockingIOError:
                pass
            except OSError:
                return
            if sent == len(frame):
                return
        rest = memoryview(frame)[sent:]
        self._backlog.append(rest)
        self._backlog_bytes += len(rest)
        self._grew.set()
        if self._backlog_bytes > self._max_bytes:
            self._overflow()

    async def run(self) -> None:
        """Send the backlog, until cancelled or the link is broken."""
        while True:
            await self._grew.wait()
            self._grew = trio.Event()
            while self._backlog:
                await trio.lowlevel.wait_writable(self._link)
                try:
                    sent = self._link.send(self._backlog[0])
                except BlockingIOError:
                    continue
                except OSError:
                    return
                self._backlog_bytes -= sent
                if sent == len(self._backlog[0]):
                    self._backlog.popleft()
                else:
                    self._backlog[0] = self._backlog[0][sent:]
