"""What the host sends to a guild process: at once where the socket takes it, else from a bounded backlog."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

import trio

_FRAMES_AT_ONCE: Final = 64


class Outbox:
    """Frames leave in the order of `post`. `overflow` is called once more than `max_bytes` wait."""

    def __init__(self, link: socket.socket, *, max_bytes: int, overflow: Callable[[], None]) -> None:
        self._link = link
        self._max_bytes = max_bytes
        self._overflow = overflow
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._gone = 0  # bytes of the first of the backlog that have been sent
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
            self._gone = sent
        self._backlog.append(frame)
        self._backlog_bytes += len(frame) - sent
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
                first, *others = islice(self._backlog, _FRAMES_AT_ONCE)
                try:
                    sent = self._link.sendmsg([memoryview(first)[self._gone :], *others])
                except BlockingIOError:
                    continue
                except OSError:
                    return
                self._forget(sent)

    def drop(self) -> None:
        """Nobody will read it any more: the memory is free now, not when the garbage collector comes by."""
        self._backlog.clear()
        self._backlog_bytes = self._gone = 0

    def _forget(self, sent: int) -> None:
        self._backlog_bytes -= sent
        self._gone += sent
        while self._backlog and self._gone >= len(self._backlog[0]):
            self._gone -= len(self._backlog.popleft())
