"""One rate-limit bucket of Discord's REST API, followed from its response headers. Sans-I/O.

A bucket allows `limit` requests in a window. The server opens a window with the first request after the
last one ended, and tells its end with every response: X-RateLimit-Reset (absolute, so the same number means
the same window) and X-RateLimit-Reset-After (relative, so no clocks need to agree).

A request is charged to the window it is sent in. When a window ends while requests are under way, the server
may count them in the old window or in the new one; they are charged to the new one, and given back when
their response names the old. So what is charged is never less than what the server counts, and the bucket is
never exceeded by us.

Source: Discord, Rate Limits, "Header Format" and "Exceeding a Rate Limit".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

RESET_MARGIN: Final = 0.005
"""Seconds added to a window's end: Discord rounds it to milliseconds."""

SAME_WINDOW: Final = 0.05
"""Two X-RateLimit-Reset nearer than this, in seconds, name one window."""

_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class BucketState:
    """What the headers of one response say."""

    hash: str
    limit: int
    remaining: int
    reset: float
    """Server clock, seconds since 1970: names the window."""
    reset_after: float
    """Seconds."""


def read_bucket_state(header: Callable[[str], str | None]) -> BucketState | None:
    """Read X-RateLimit-*; None when they are absent or make no sense."""
    name = header("x-ratelimit-bucket")
    if name is None:
        return None
    try:
        limit = int(header("x-ratelimit-limit") or "")
        remaining = int(header("x-ratelimit-remaining") or "")
        reset = float(header("x-ratelimit-reset") or "")
        reset_after = float(header("x-ratelimit-reset-after") or "")
    except ValueError:
        return None
    if limit < 1 or not 0 <= remaining <= limit or not 0 <= reset_after < 1e6 or not 0 <= reset < 1e12:
        return None
    return BucketState(name, limit, remaining, reset, reset_after)


class Permit:
    """A request that was let through; to be given to exactly one of `complete` and `fail`."""

    __slots__ = ("bucket",)

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket


class Bucket:
    """Times are seconds of the caller's monotonic clock. A fresh bucket has its full limit."""

    __slots__ = (
        "_last_reset",
        "_length",
        "_limit",
        "_remaining",
        "_reset",
        "_reset_at",
        "blocked_until",
        "in_flight",
    )

    def __init__(self, limit: int, length: float = 0.0) -> None:
        self._limit = limit
        self._remaining = limit
        self._length = length
        self._reset: float | None = None  # names the current window, once a response has
        self._last_reset: float | None = None  # names the one before
        self._reset_at: float | None = None
        self.blocked_until = 0.0
        self.in_flight = 0

    def ready_at(self, now: float) -> float:
        """The earliest time from `now` on for one more request; infinity when only a response can tell."""
        if now < self.blocked_until:
            return self.blocked_until
        if self._reset_at is not None and now >= self._reset_at:
            self._turn(None)
            self._remaining = max(0, self._limit - self.in_flight)
        if self._remaining > 0:
            return now
        return _NEVER if self._reset_at is None else self._reset_at

    def is_idle(self, now: float) -> bool:
        """True when nothing would be lost by forgetting this bucket."""
        ended = self._reset_at is not None and now >= self._reset_at
        untouched = self._reset_at is None and self._remaining == self._limit
        return self.in_flight == 0 and now >= self.blocked_until and (ended or untouched)

    def take(self) -> Permit:
        """Charge one request: when `ready_at(now) <= now`, or for one that is under way already."""
        self._remaining = max(0, self._remaining - 1)
        self.in_flight += 1
        return Permit(self)

    def complete(self, state: BucketState, now: float, *, charged: bool = True) -> None:
        """A response came. `charged` is False for a request that was let through as another bucket's."""
        if charged:
            self.in_flight -= 1
        self._limit = state.limit
        self._length = max(self._length, state.reset_after)
        reset_at = now + state.reset_after + RESET_MARGIN
        known = self._reset if self._reset is not None else self._last_reset
        if known is not None and state.reset < known - SAME_WINDOW:
            self._give_back(charged)
        elif known is None or state.reset > known + SAME_WINDOW:
            if self._reset is not None:
                # The server has opened a window that we did not expect yet: of the requests that it
                # counts there, only this one is surely known; those under way may be.
                self._turn(state.reset)
                self._remaining = max(0, min(state.remaining, state.limit - 1 - self.in_flight))
            else:
                self._reset = state.reset
                self._lower(state.remaining)
            self._reset_at = reset_at
        elif self._reset is None:
            self._give_back(charged)  # the old window, after we have turned to the new one
        else:
            # Each estimate is late by the response's way here, none is early: the least is the best.
            self._reset_at = reset_at if self._reset_at is None else min(self._reset_at, reset_at)
            self._lower(state.remaining)
        self._settle(now)

    def fail(self, now: float) -> None:
        """No response, or one without headers: the server may have counted the request."""
        self.in_flight -= 1
        self._settle(now)

    def block(self, until: float) -> None:
        """A 429 said so: nothing before `until`."""
        self.blocked_until = max(self.blocked_until, until)

    def _turn(self, reset: float | None) -> None:
        if self._reset is not None:
            self._last_reset = self._reset
        self._reset = reset
        self._reset_at = None

    def _give_back(self, charged: bool) -> None:
        if charged:
            self._remaining = min(self._limit, self._remaining + 1)

    def _lower(self, remaining: int) -> None:
        """Someone else uses the bucket too when the server has less left than we have charged."""
        if remaining < self._remaining:
            self._remaining = max(0, remaining - self.in_flight)

    def _settle(self, now: float) -> None:
        """With nothing under way no response will tell the window's end: assume a whole window."""
        if self._reset_at is None and self.in_flight == 0 and self._remaining < self._limit:
            self._reset_at = now + self._length + RESET_MARGIN
