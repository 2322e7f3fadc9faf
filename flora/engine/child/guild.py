"""The loop of a guild process: frames in, turns of JavaScript, frames out.

Frames from the host (trusted): u32 length (little endian), then a letter, a header up to the first line
break, a payload, all UTF-8. `L` load, `P` ping, `Q` quit are for this loop; `D` dispatch, `R` op result,
`X` op error and
`A` abandon go to the realm unparsed. Frames to the host: u32 length, then one JSON object (see
`protocol.py`).
"""

from __future__ import annotations

import heapq
import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

from .realm import Realm, ScriptError
from .watchdog import Watchdog

EXIT_OUT_OF_MEMORY: Final = 77
EXIT_BROKEN: Final = 78
_RECEIVE_BYTES: Final = 64 << 10  # below malloc's threshold for a mapping of its own
_FORGET_CANCELLED_AT: Final = 1000
_LENGTH = struct.Struct("<I")


class Guild:
    """One script in one process. `serve` never returns: the process ends when the host hangs up or says
    so.
    """

    def __init__(
        self, link: socket.socket, realm: Realm, watchdog: Watchdog, *, cpu: float, hard: float
    ) -> None:
        self._link = link
        self._realm = realm
        self._watchdog = watchdog
        self._cpu = cpu  # seconds of CPU per turn
        self._hard = hard  # seconds of CPU that a turn has to end after the soft limit
        self._timers: list[tuple[float, int]] = []
        self._cancelled: set[int] = set()
        self._timers_from = 0.0
        self._incoming = bytearray()
        self._readable = select.poll()
        self._readable.register(link, select.POLLIN)

    def announce(self, facts: str) -> None:
        """The first frame, before any code of the guild's: what this process is."""
        self._send(facts)

    def serve(self) -> NoReturn:
        receive = self._link.recv
        while True:
            if self._timers:
                self._run_due_timers()
                wait = self._until_next_timer()
                if wait is not None and not self._readable.poll(wait):
                    continue
            chunk = receive(_RECEIVE_BYTES)
            if not chunk:
                os._exit(0)
            self._take(chunk)

    def rehearse(self, data: bytes) -> None:
        """As if the host had sent `data`."""
        self._take(data)

    def rehearse_timers(self) -> None:
        """As if all timers were due, once."""
        self._timers = [(0.0, timer) for _, timer in self._timers]
        for _ in range(len(self._timers)):
            self._timers_from = 0.0
            self._run_due_timers()

    def _take(self, chunk: bytes) -> None:
        buffer = self._incoming
        if not buffer and len(chunk) > _LENGTH.size:
            (size,) = _LENGTH.unpack_from(chunk)
            if len(chunk) == _LENGTH.size + size:  # the rule: one frame, and nothing else
                self._handle(chunk[_LENGTH.size :].decode("utf-8", "replace"))
                return
        buffer += chunk
        for frame in self._frames():
            self._handle(frame)

    def _frames(self) -> list[str]:
        frames = []
        buffer, at = self._incoming, 0
        while len(buffer) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(buffer, at)
            if len(buffer) - at - _LENGTH.size < size:
                break
            at += _LENGTH.size
            frames.append(buffer[at : at + size].decode("utf-8", "replace"))
            at += size
        if at == len(buffer):
            self._incoming = bytearray()  # gives back at once what a long frame took
        else:
            del buffer[:at]
        return frames

    def _handle(self, frame: str) -> None:
        kind = frame[:1]
        if kind in "DRXA":
            self._turn(self._cpu, self._realm.deliver, frame)
        elif kind == "L":
            self._load(frame)
        elif kind == "P":
            due = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            timers = len(self._timers) - len(self._cancelled)
            self._send(json.dumps({"t": "pong", "n": int(frame[1:]), "timers": timers, "due": due}))
        elif kind == "Q":
            os._exit(0)

    def _load(self, frame: str) -> None:
        head, _, source = frame[1:].partition("\n")
        request = json.loads(head)
        try:
            self._turn(request["cpu"], self._realm.load, request["name"], source)
        except ScriptError as error:
            fault = {"name": error.name, "message": str(error), "stack": error.stack, "code": ""}
            self._send(json.dumps({"t": "load_failed", "error": fault}))
        self._realm.trim()

    def _turn(self, cpu: float, begin: Callable[..., None], *arguments: Any) -> None:
        """Call `begin` and run all promise jobs that follow, within `cpu` seconds, then send what they said.

        Raises ScriptError from `begin`.
        """
        realm, watchdog = self._realm, self._watchdog
        watchdog.arm(cpu, self._hard)
        try:
            begin(*arguments)
            realm.run_jobs()
        except ScriptError:
            if not watchdog.fired:
                raise
        except Exception as error:  # noqa: BLE001 - PythonMonkey raises plain exceptions
            if not watchdog.fired:
                # The prelude lets no exception of a script through: what is left is the engine's own
                # distress.
                raise MemoryError(str(error)) if "out of memory" in str(error) else error from None
            realm.run_jobs()
        finally:
            watchdog.rest()
        if watchdog.fired:
            realm.interrupted(round(cpu * 1000))
        if realm.has_rejections():
            watchdog.arm(cpu, self._hard)
            realm.report_rejections()
            realm.run_jobs()
            watchdog.rest()
        self._flush()
        realm.tidy()

    def _flush(self) -> None:
        realm = self._realm
        realm.end_turn()
        for piece in realm.frames():
            self._link.sendall(piece)
        for order in realm.timer_orders():
            timer, _, delay = order[1:].partition(b" ")
            if order[:1] == b"T":
                heapq.heappush(self._timers, (time.monotonic() + float(delay) / 1000, int(timer)))
            else:
                self._cancelled.add(int(timer))
        if len(self._cancelled) > _FORGET_CANCELLED_AT:
            self._timers = [entry for entry in self._timers if entry[1] not in self._cancelled]
            heapq.heapify(self._timers)
            self._cancelled.clear()

    def _send(self, frame: str) -> None:
        body = frame.encode("utf-8", "replace")
        self._link.sendall(_LENGTH.pack(len(body)) + body)

    def _until_next_timer(self) -> float | None:
        """Milliseconds until the next timer may run, None when there is none."""
        while self._timers and self._timers[0][1] in self._cancelled:
            self._cancelled.discard(heapq.heappop(self._timers)[1])
        if not self._timers:
            return None
        return max(0.0, max(self._timers[0][0], self._timers_from) - time.monotonic()) * 1000

    def _run_due_timers(self) -> None:
        """Run one due timer. Timers then rest for as long as it ran: they get half of one core at most."""
        if self._until_next_timer() != 0.0:
            return
        _, timer = heapq.heappop(self._timers)
        started = time.monotonic()
        self._turn(self._cpu, self._realm.fire, timer)
        ended = time.monotonic()
        self._timers_from = ended + (ended - started)
