"""The gateway's send limit: 120 payloads in 60 seconds for each connection, else close code 4008.

Source: Discord, Gateway, "Rate Limiting". Sans-I/O: times are the caller's clock, in seconds.
"""

from __future__ import annotations

from collections import deque
from typing import Final

SEND_LIMIT: Final = 120
SEND_WINDOW: Final = 60.0
SEND_RESERVE: Final = 10
"""Kept for heartbeats: two in a window at Discord's usual interval, the rest for heartbeats it demands."""


class SendLimit:
    """A log of the last sends: in no window of 60 s are more than 120, wherever the window starts."""

    __slots__ = ("_limit", "_reserve", "_sent", "_window")

    def __init__(
        self, limit: int = SEND_LIMIT, window: float = SEND_WINDOW, reserve: int = SEND_RESERVE
    ) -> None:
        self._limit = limit
        self._window = window
        self._reserve = reserve
        self._sent: deque[float] = deque()

    def ready_at(self, now: float, *, urgent: bool = False) -> float:
        """The earliest time, from `now` on, at which one more may be sent; `urgent` may use the reserve."""
        while self._sent and self._sent[0] + self._window <= now:
            self._sent.popleft()
        allowed = self._limit if urgent else self._limit - self._reserve
        excess = len(self._sent) - allowed
        return now if excess < 0 else self._sent[excess] + self._window

    def record(self, now: float) -> None:
        self._sent.append(now)
