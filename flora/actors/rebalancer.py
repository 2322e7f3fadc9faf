"""Moves a guild away from a worker on which events wait longer than elsewhere.

`Balance` decides and is pure: samples in, at most one move out. `Rebalancer` takes the samples and makes the
moves, one after the other.

A worker is overloaded while its queue delay (see `WorkerStatus`) is `MIN_DELAY_SECS` at least, and `RATIO`
times that of the least busy worker. When the same one has been so for `HOLD_SECS`, its busiest guild goes to
the least busy worker, provided that this makes the two more equal: what the guild brings must not make the
target busier than the source is now. So with a steady load no guild ever comes back, and a guild that is the
whole load of its worker stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from flora.actors.core import MoveDone, RouterError
from flora.actors.kernel import Context, Service
from flora.ids import GuildId

log = structlog.get_logger("flora.runtime")

INTERVAL_SECS: Final = 1.0
"""Between two looks; a look visits every guild once."""

MIN_DELAY_SECS: Final = 0.25
"""Less than what a person notices is no reason to move anybody."""

RATIO: Final = 2.0
"""Two workers that are both busy have delays that differ by some tens of percent all the time."""

HOLD_SECS: Final = 5.0
"""Longer than a burst (a raid of joins, a popular command) takes to be worked off."""

COOLDOWN_SECS: Final = 15.0
"""After a move: the delay needs some seconds to show what the move has brought."""

GUILD_REST_SECS: Final = 300.0
"""A guild that was moved stays for this long, however the load swings."""


@dataclass(frozen=True, slots=True)
class Load:
    """One worker that takes guilds. `guilds`: the events of each that wait or run."""

    worker: int
    queue_delay: float
    guilds: Mapping[GuildId, int]

    @property
    def events(self) -> int:
        return sum(self.guilds.values())


@dataclass(frozen=True, slots=True)
class Proposal:
    guild_id: GuildId
    source: int
    target: int


class Balance:
    """Feed it a sample every second or so. `now` is in seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}  # overloaded workers, and since when
        self._quiet_until = -math.inf
        self._resting: dict[GuildId, float] = {}  # until when

    def decide(self, now: float, loads: Sequence[Load]) -> Proposal | None:
        """The move to make now. It counts as made."""
        self._resting = {guild: until for guild, until in self._resting.items() if until > now}
        overloaded = _overloaded(loads)
        self._since = {load.worker: self._since.get(load.worker, now) for load in overloaded}
        if now < self._quiet_until:
            return None
        target = min(loads, key=lambda load: (load.queue_delay, load.events), default=None)
        for source in overloaded:
            if target is None or now - self._since[source.worker] < HOLD_SECS:
                continue
            guild_id = self._busiest(source, room=source.events - target.events)
            if guild_id is not None:
                self._since.clear()
                self._quiet_until = now + COOLDOWN_SECS
                self._resting[guild_id] = now + GUILD_REST_SECS
                return Proposal(guild_id, source.worker, target.worker)
        return None

    def _busiest(self, source: Load, *, room: int) -> GuildId | None:
        movable = [
            (events, guild_id)
            for guild_id, events in source.guilds.items()
            if 0 < events < room and guild_id not in self._resting
        ]
        return max(movable)[1] if movable else None


def _overloaded(loads: Sequence[Load]) -> list[Load]:
    """The workers with a delay that is long by itself and compared with the shortest, longest first."""
    if len(loads) < 2:
        return []
    limit = max(MIN_DELAY_SECS, RATIO * min(load.queue_delay for load in loads))
    found = [load for load in loads if load.queue_delay >= limit]
    return sorted(found, key=lambda load: load.queue_delay, reverse=True)


class Rebalancer(Service[None]):
    def __init__(
        self,
        sample: Callable[[], Sequence[Load]],
        move: Callable[[GuildId, int], Awaitable[MoveDone | None]],
    ) -> None:
        """`sample` gives the workers that take guilds; `move` moves one and raises RouterError."""
        self._sample = sample
        self._move = move
        self._balance = Balance()

    async def run(self, ctx: Context[None]) -> None:
        while True:
            await trio.sleep(INTERVAL_SECS)
            proposal = self._balance.decide(trio.current_time(), self._sample())
            if proposal is None:
                continue
            log.info("rebalancing", guild=proposal.guild_id, source=proposal.source, target=proposal.target)
            try:
                await self._move(proposal.guild_id, proposal.target)
            except RouterError as error:  # undeployed, moved by somebody else, or the target has just ended
                log.info("not rebalanced", guild=proposal.guild_id, reason=error.message)
