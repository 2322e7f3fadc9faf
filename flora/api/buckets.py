"""Token buckets, one for each caller: how often somebody may do something. Sans-I/O; the clock is given.

A bucket holds up to `burst` tokens and gains `per_second`; each request takes one. Only buckets that are not
full are remembered, at most `max_keys`: beyond, the one that was used longest ago is forgotten, which is to
its owner's advantage, and to make that happen costs an attacker one address for each.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MAX_KEYS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` requests at once, and `per_second` of them in the long run."""

    burst: int
    per_second: float

    def __post_init__(self) -> None:
        if self.burst < 1 or self.per_second <= 0:
            raise ValueError(f"a rate allows something: {self}")


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How often somebody may ask."""

    auth: Rate
    """Per address: everything below /auth/."""
    stranger: Rate
    """Per address: credentials that are none."""
    write: Rate
    """Per identity: what is not GET. A person, or a script of theirs."""
    operator_write: Rate
    """The operator's tools."""
    address_write: Rate
    """Per address: writes before it is known whose."""


RATES: Final = RateLimits(
    auth=Rate(burst=30, per_second=1.0),
    stranger=Rate(burst=20, per_second=0.5),
    write=Rate(burst=60, per_second=5.0),
    operator_write=Rate(burst=2_000, per_second=500.0),
    address_write=Rate(burst=2_000, per_second=500.0),
)


class Buckets:
    """One bucket for each key, all of one `Rate`. Every method is O(1). Times are in seconds."""

    def __init__(self, rate: Rate, *, max_keys: int = MAX_KEYS) -> None:
        self.rate = rate
        self._max_keys = max_keys
        self._states: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key -> (tokens, as of when)

    def take(self, key: str, now: float) -> float:
        """Take a token. Returns 0.0 when there was one, else the seconds until there will be."""
        tokens = self._tokens(key, now)
        if tokens < 1.0:
            return (1.0 - tokens) / self.rate.per_second
        self._put(key, tokens - 1.0, now)
        return 0.0

    def wait(self, key: str, now: float) -> float:
        """Seconds until there is a token to take; takes none."""
        return max(0.0, (1.0 - self._tokens(key, now)) / self.rate.per_second)

    def _tokens(self, key: str, now: float) -> float:
        tokens, since = self._states.get(key, (float(self.rate.burst), now))
        return min(float(self.rate.burst), tokens + max(0.0, now - since) * self.rate.per_second)

    def _put(self, key: str, tokens: float, now: float) -> None:
        self._states[key] = (tokens, now)
        self._states.move_to_end(key)
        if len(self._states) > self._max_keys:
            self._states.popitem(last=False)

    def __len__(self) -> int:
        return len(self._states)
