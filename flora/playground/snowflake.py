"""Ids, tokens and time of the playground, live or deterministic.

Source: Discord API Reference, "Snowflakes": 42 bits of milliseconds since 2015, 5 bits of worker,
5 bits of process, 12 bits of sequence.
"""

from __future__ import annotations

import base64
import random
import time
from datetime import UTC, datetime
from typing import Final, Protocol

from flora.ids import Snowflake

DISCORD_EPOCH_MS: Final = 1_420_070_400_000
DETERMINISTIC_START: Final = 1_767_225_600.0  # 2026-01-01T00:00:00Z, younger than all demo ids
_SEQUENCES: Final = 1 << 12


class Clock(Protocol):
    """Where the playground's time comes from, in seconds since 1970."""

    def now(self) -> float: ...


class WorldClock:
    """The time of day, until somebody makes it stand still or turns it on."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._stands_at: float | None = None

    def now(self) -> float:
        return time.time() + self._ahead if self._stands_at is None else self._stands_at

    @property
    def stands(self) -> bool:
        return self._stands_at is not None

    def stand(self, at: float) -> None:
        """Stand still at this time."""
        self._stands_at = at

    def run(self) -> None:
        """Go on from the time that it shows."""
        self._ahead, self._stands_at = self.now() - time.time(), None

    def advance(self, seconds: float) -> None:
        if self._stands_at is None:
            self._ahead += seconds
        else:
            self._stands_at += seconds


class ManualClock:
    """A clock that stands still until it is told to move: the same run gives the same ids and timestamps."""

    def __init__(self, start: float = DETERMINISTIC_START) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class Tokens:
    """Session ids, tokens and codes: secret, or with a seed the same in every run."""

    def __init__(self) -> None:
        self._chance: random.Random = random.SystemRandom()

    def seed(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def next(self, size: int) -> str:
        """Text for a URL, made of so many random bytes."""
        return base64.urlsafe_b64encode(self._chance.randbytes(size)).decode().rstrip("=")


class SnowflakeFactory:
    """Strictly increasing ids: creation order is id order, also when the clock stands still or steps back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = -1

    def next(self) -> Snowflake:
        stamp = int(self._clock.now() * 1000) - DISCORD_EPOCH_MS
        self._last = max(self._last + 1, stamp << 22)
        if self._last & 0x3FFFFF >= _SEQUENCES:  # the millisecond is used up: borrow the next one
            self._last = ((self._last >> 22) + 1) << 22
        return Snowflake(str(self._last))


def isoformat(seconds: float) -> str:
    """A timestamp as Discord writes it: ISO 8601 with microseconds and offset."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def created_at(snowflake: str) -> float:
    """When the thing with this id was made, in seconds since 1970."""
    return ((int(snowflake) >> 22) + DISCORD_EPOCH_MS) / 1000
