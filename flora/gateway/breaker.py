"""Stops invalid requests before Discord bans this machine's address.

Discord bans an address for a while after 10,000 answers of 401, 403 or 429 (but not 429 of scope "shared")
within ten minutes (Rate Limits, "Invalid Request Limit"). One script can earn them by the second, so each
guild is first slowed, then suspended; should all together still come near, everything stops. Sans-I/O.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from flora.ids import GuildId

WINDOW: Final = 600.0
SLOT: Final = 10.0
"""Counts are kept per ten seconds: exact enough, and a flood costs no memory."""

GUILD_SLOW: Final = 50
"""Invalid requests of one guild in the window from which on it is slowed: a handler has an error."""

GUILD_SUSPEND: Final = 250
GLOBAL_SUSPEND: Final = 4000
"""Under half of Discord's limit, which other programs at this address may use up too."""

SLOW_SPACING: Final = 2.0
"""Seconds between the requests of a slowed guild."""


class Verdict(Enum):
    CLOSED = "closed"
    """Requests pass."""
    SLOWED = "slowed"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Suspension:
    """Nothing may be sent for `retry_after` seconds; by `guild` alone, or by anyone."""

    guild: bool
    retry_after: float
    count: int


class _Count:
    """Events in the last WINDOW seconds."""

    __slots__ = ("slots", "total")

    def __init__(self) -> None:
        self.slots: deque[tuple[int, int]] = deque()
        self.total = 0

    def add(self, now: float) -> None:
        slot = int(now // SLOT)
        if self.slots and self.slots[-1][0] == slot:
            self.slots[-1] = (slot, self.slots[-1][1] + 1)
        else:
            self.slots.append((slot, 1))
        self.total += 1

    def now(self, now: float) -> int:
        while self.slots and (self.slots[0][0] + 1) * SLOT + WINDOW <= now:
            self.total -= self.slots.popleft()[1]
        return self.total

    def below(self, limit: int) -> float:
        """The time at which fewer than `limit` will be left."""
        left = self.total
        for slot, count in self.slots:
            left -= count
            if left < limit:
                return (slot + 1) * SLOT + WINDOW
        return 0.0


class InvalidRequestBreaker:
    """Counts invalid requests by guild and in sum."""

    def __init__(self) -> None:
        self._all = _Count()
        self._guilds: dict[GuildId, _Count] = {}
        self._prune_at = 0.0

    def record(self, guild: GuildId | None, now: float) -> None:
        """One invalid request, of `guild` or (None) of flora itself."""
        self._all.add(now)
        if guild is not None:
            self._guilds.setdefault(guild, _Count()).add(now)
        if now >= self._prune_at:
            self._prune_at = now + WINDOW
            self._guilds = {key: count for key, count in self._guilds.items() if count.now(now)}

    def verdict(self, guild: GuildId | None, now: float) -> Verdict:
        """How `guild` stands."""
        count = self._guilds.get(guild) if guild is not None else None
        invalid = count.now(now) if count else 0
        if invalid >= GUILD_SUSPEND:
            return Verdict.SUSPENDED
        return Verdict.SLOWED if invalid >= GUILD_SLOW else Verdict.CLOSED

    def suspension(self, guild: GuildId | None, now: float) -> Suspension | None:
        """Why `guild` may send nothing now, or None when it may."""
        total = self._all.now(now)
        if total >= GLOBAL_SUSPEND:
            return Suspension(False, self._all.below(GLOBAL_SUSPEND) - now, total)
        count = self._guilds.get(guild) if guild is not None else None
        if count is not None and (invalid := count.now(now)) >= GUILD_SUSPEND:
            return Suspension(True, count.below(GUILD_SUSPEND) - now, invalid)
        return None
