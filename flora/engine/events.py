"""The events of one guild process: open until they have an outcome, remembered for a while after it."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import trio

from flora.engine.api import EngineError

_REMEMBERED: Final = 1024  # ended events whose late ops and log lines are still attributed to them


class Event:
    """One dispatch. One task waits for its outcome."""

    __slots__ = ("_task", "calls", "error", "event_id", "settled")

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id
        self.calls = 0  # ops so far
        self.settled = False
        self.error: EngineError | None = None
        self._task: trio.lowlevel.Task | None = None

    def settle(self, error: EngineError | None = None) -> None:
        """Its outcome; only the first one counts."""
        if self.settled:
            return
        self.settled = True
        self.error = error
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    async def wait(self) -> None:
        """Until it is settled. A checkpoint in any case."""
        if self.settled:
            await trio.lowlevel.checkpoint()
            return
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._leave)

    def _leave(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Events:
    """Every event of a process by its number.

    `expire` is called with the number of an event that is still open at its deadline; `run` is the one task
    that waits for all deadlines, since a cancel scope for each event costs more than the rest of its way
    through the host.
    """

    def __init__(self, expire: Callable[[int], None]) -> None:
        self._expire = expire
        self._open: dict[int, Event] = {}
        self._closed: OrderedDict[int, Event] = OrderedDict()
        self._deadlines: list[tuple[float, int]] = []
        self._nap = trio.CancelScope()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def open(self, number: int, event_id: str, wall_secs: float) -> Event:
        """`wall_secs` from now is its deadline; 0 means none."""
        event = self._open[number] = Event(event_id)
        if wall_secs > 0:
            deadlines = self._deadlines
            while deadlines and deadlines[0][1] not in self._open:
                heapq.heappop(deadlines)
            deadline = trio.current_time() + wall_secs
            heapq.heappush(deadlines, (deadline, number))
            if deadline < self._nap.deadline:  # noqa: PLR1730 - a deadline that is set costs more
                self._nap.deadline = deadline
        return event

    def close(self, number: int) -> Event | None:
        """Take it from the open ones, None if it is none of them. The caller settles it."""
        event = self._open.pop(number, None)
        if event is not None:
            self._closed[number] = event
            if len(self._closed) > _REMEMBERED:
                self._closed.popitem(last=False)
        return event

    def find(self, number: int) -> Event | None:
        """An open one, or one that ended not long ago."""
        return self._open.get(number) or self._closed.get(number)

    def fail_all(self, error: EngineError) -> None:
        for event in self._open.values():
            event.settle(error)
        self._open.clear()

    async def run(self) -> None:
        """Watch the deadlines until cancelled."""
        while True:
            if self._deadlines:
                self._nap.deadline = self._deadlines[0][0]
            with self._nap:
                await trio.sleep_forever()
            self._nap = trio.CancelScope()
            now = trio.current_time()
            while self._deadlines and self._deadlines[0][0] <= now:
                _, number = heapq.heappop(self._deadlines)
                if number in self._open:
                    self._expire(number)
