"""Who may send a REST request next: all of Discord's limits at once, and a fair share for each guild.

Sans-I/O. A request waits as a ticket in a lane (route and major parameter) of its guild. `poll` grants what
may go now: guilds take turns, within a guild lanes take turns, within a lane tickets go in order. A ticket is
granted when its bucket, the global limit and its guild's concurrency all have room; what waits for one bucket
never stands in the way of another.

A route whose bucket is unknown is probed with one request at a time for each major parameter, because only a
response tells the bucket. Source: Discord, Rate Limits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict, deque
from typing import Final

from flora.gateway.buckets import Bucket, BucketState, Permit
from flora.gateway.routes import Route
from flora.ids import GuildId

GLOBAL_LIMIT: Final = 50
"""Requests per second for each bot (Discord, Rate Limits, "Global Rate Limit")."""

GLOBAL_WINDOW: Final = 1.0
GLOBAL_WAY: Final = 0.25
"""Seconds that a request may be under way to Discord, with a new connection, unless its answer is sooner."""

GUILD_CONCURRENCY: Final = 4
PRUNE_INTERVAL: Final = 60.0
"""Seconds between sweeps of buckets that nobody needs any more."""

_NEVER: Final = float("inf")


class GlobalLimit:
    """At most `limit` requests reach Discord in any `window` seconds, wherever it starts.

    When a request arrives is not known: at its answer at the latest, or GLOBAL_WAY after it left. To count it
    from when it left would put the first of one second behind a slow way and the first of the next before it.
    """

    __slots__ = ("_blocked_until", "_counted", "_limit", "_window")

    def __init__(self, limit: int = GLOBAL_LIMIT, window: float = GLOBAL_WINDOW) -> None:
        self._limit = limit
        self._window = window
        self._counted: list[float] = []  # until when each request counts, the earliest first
        self._blocked_until = 0.0

    def ready_at(self, now: float) -> float:
        counted = self._counted
        if counted and counted[0] <= now:
            del counted[: bisect_right(counted, now)]
        slot = now if len(counted) < self._limit else counted[len(counted) - self._limit]
        return max(slot, self._blocked_until)

    def record(self, now: float) -> float:
        """A request leaves; for `answered`: until when it counts as long as nothing is heard."""
        until = now + GLOBAL_WAY + self._window
        insort(self._counted, until)
        return until

    def answered(self, until: float, now: float) -> None:
        """The request of which `record` said `until` was answered."""
        sooner = now + self._window
        if sooner < until:
            index = bisect_left(self._counted, until)
            if index < len(self._counted) and self._counted[index] == until:
                del self._counted[index]
                insort(self._counted, sooner)

    def block(self, until: float) -> None:
        self._blocked_until = max(self._blocked_until, until)


class Ticket:
    """A request that waits, then (`permit`) is under way."""

    __slots__ = ("bucket_key", "counts_until", "guild", "permit", "route")

    def __init__(self, route: Route, guild: GuildId | None) -> None:
        self.route = route
        self.guild = guild
        self.permit: Permit | None = None
        self.counts_until: float | None = None  # in the global limit
        self.bucket_key: tuple[str, str] | None = None


class _Guild:
    __slots__ = ("in_flight", "lanes", "next_at", "spacing")

    def __init__(self) -> None:
        self.in_flight = 0
        self.lanes: OrderedDict[tuple[str, str], deque[Ticket]] = OrderedDict()
        self.spacing = 0.0
        self.next_at = 0.0


class RateLimiter:
    """See the module. `guild=None` are flora's own requests: one more party, without a concurrency limit."""

    def __init__(
        self, *, guild_concurrency: int = GUILD_CONCURRENCY, global_limit: GlobalLimit | None = None
    ) -> None:
        self._guild_concurrency = guild_concurrency
        self.overall = global_limit or GlobalLimit()
        self._guilds: dict[GuildId | None, _Guild] = {}
        self._turns: OrderedDict[GuildId | None, None] = (
            OrderedDict()
        )  # guilds with tickets, the next one first
        self._hashes: dict[str, str] = {}  # route key -> bucket hash
        self._unlimited: set[str] = set()  # route keys that answer without a bucket
        self._limits: dict[str, tuple[int, float]] = {}  # bucket hash -> its limit and window
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._under_way: dict[str, set[Ticket]] = {}  # by route key: granted, in a bucket
        self._prune_at = 0.0

    @property
    def buckets(self) -> int:
        return len(self._buckets)

    def waiting(self, guild: GuildId | None) -> int:
        """Tickets of `guild` that wait."""
        state = self._guilds.get(guild)
        return sum(map(len, state.lanes.values())) if state else 0

    def in_flight(self, guild: GuildId | None) -> int:
        state = self._guilds.get(guild)
        return state.in_flight if state else 0

    def submit(self, ticket: Ticket) -> None:
        """Queue `ticket`; a later `poll` grants it."""
        guild = self._guilds.get(ticket.guild)
        if guild is None:
            guild = self._guilds[ticket.guild] = _Guild()
        lane = guild.lanes.get(ticket.route.lane)
        if lane is None:
            lane = guild.lanes[ticket.route.lane] = deque()
        lane.append(ticket)
        self._turns.setdefault(ticket.guild)

    def withdraw(self, ticket: Ticket) -> None:
        """Take back a ticket that waits; one under way is not affected."""
        guild = self._guilds.get(ticket.guild)
        lane = guild.lanes.get(ticket.route.lane) if guild else None
        if guild is None or lane is None or ticket.permit is not None or ticket not in lane:
            return
        lane.remove(ticket)
        if not lane:
            del guild.lanes[ticket.route.lane]
        self._tidy(ticket.guild, guild)

    def poll(self, now: float) -> tuple[list[Ticket], float]:
        """Grant what may go now; also the time of the next `poll` if nothing happens until then."""
        self._prune(now)
        granted: list[Ticket] = []
        wake = _NEVER
        blocked = 0
        while blocked < len(self._turns):
            key = next(iter(self._turns))
            self._turns.move_to_end(key)
            guild = self._guilds[key]
            ticket, at = self._next(key, guild, now)
            if ticket is None:
                wake = min(wake, at)
                blocked += 1
                continue
            blocked = 0
            wake = _NEVER
            granted.append(ticket)
            if not guild.lanes:
                del self._turns[key]
        return granted, wake

    def estimate(self, ticket: Ticket, now: float) -> float:
        """The earliest time at which `ticket` could be granted, as far as is known: never too late."""
        at = self._bucket_ready(ticket.route, now)
        if ticket.route.global_limited:
            at = max(at, self.overall.ready_at(now))
        return now if at == _NEVER else at

    def complete(
        self, ticket: Ticket, state: BucketState | None, now: float, *, conclusive: bool = True
    ) -> None:
        """A granted ticket was answered, with the bucket's `state` if the response had one.

        `conclusive` when the response is the API's own, so that the absence of a bucket means that the route
        has none; a proxy's error says nothing.
        """
        permit = self._end(ticket)
        route = ticket.route
        if ticket.counts_until is not None:
            self.overall.answered(ticket.counts_until, now)
        if state is None:
            if conclusive and route.key not in self._hashes:
                self._unlimited.add(route.key)
            if permit is not None:
                permit.bucket.fail(now)
            return
        self._unlimited.discard(route.key)
        _, length = self._limits.get(state.hash, (0, 0.0))
        self._limits[state.hash] = (state.limit, max(length, state.reset_after))
        key = (state.hash, route.major)
        if self._hashes.get(route.key) != state.hash:
            self._learn(route.key, state.hash, now)
        charged = permit is not None and ticket.bucket_key == key
        if permit is not None and not charged:
            permit.bucket.fail(now)
        self._bucket(key).complete(state, now, charged=charged)

    def _learn(self, route_key: str, name: str, now: float) -> None:
        """The route's bucket is `name` from now on: what is under way is counted there."""
        self._hashes[route_key] = name
        for other in self._under_way.get(route_key, ()):
            if other.permit is not None:
                other.permit.bucket.fail(now)
                other.bucket_key = (name, other.route.major)
                other.permit = self._bucket(other.bucket_key).take()

    def fail(self, ticket: Ticket, now: float) -> None:
        """A granted ticket got no response."""
        permit = self._end(ticket)
        if permit is not None:
            permit.bucket.fail(now)

    def block(self, route: Route, until: float) -> None:
        """A 429 of the route's bucket: nothing of it before `until`."""
        name = self._hashes.get(route.key)
        self._bucket((name, route.major) if name else route.lane).block(until)

    def space(self, guild: GuildId | None, seconds: float, now: float) -> None:
        """Let `guild` send one request at a time, `seconds` apart; 0 ends it."""
        state = self._guilds.get(guild)
        if state is None and seconds > 0:
            state = self._guilds[guild] = _Guild()
        if state is not None:
            state.next_at = max(state.next_at, now + seconds) if seconds else 0.0
            state.spacing = seconds
            self._tidy(guild, state)

    def _next(self, key: GuildId | None, guild: _Guild, now: float) -> tuple[Ticket | None, float]:
        """The guild's next ticket, granted; or the earliest time at which it might have one."""
        if key is not None and guild.in_flight >= (1 if guild.spacing else self._guild_concurrency):
            return None, _NEVER
        if now < guild.next_at:
            return None, guild.next_at
        wake = _NEVER
        for lane_key, lane in guild.lanes.items():
            ticket = lane[0]
            at = self._bucket_ready(ticket.route, now)
            if ticket.route.global_limited:
                at = max(at, self.overall.ready_at(now))
            if at > now:
                wake = min(wake, at)
                continue
            lane.popleft()
            if lane:
                guild.lanes.move_to_end(lane_key)
            else:
                del guild.lanes[lane_key]
            self._grant(ticket, guild, now)
            return ticket, now
        return None, wake

    def _grant(self, ticket: Ticket, guild: _Guild, now: float) -> None:
        guild.in_flight += 1
        guild.next_at = now + guild.spacing
        if ticket.route.global_limited:
            ticket.counts_until = self.overall.record(now)
        if ticket.route.key not in self._unlimited:
            ticket.bucket_key = self._bucket_key(ticket.route)
            ticket.permit = self._bucket(ticket.bucket_key).take()
            self._under_way.setdefault(ticket.route.key, set()).add(ticket)

    def _end(self, ticket: Ticket) -> Permit | None:
        guild = self._guilds[ticket.guild]
        guild.in_flight -= 1
        self._tidy(ticket.guild, guild)
        permit, ticket.permit = ticket.permit, None
        tickets = self._under_way.get(ticket.route.key)
        if tickets is not None:
            tickets.discard(ticket)
            if not tickets:
                del self._under_way[ticket.route.key]
        return permit

    def _tidy(self, key: GuildId | None, guild: _Guild) -> None:
        if not guild.lanes:
            self._turns.pop(key, None)
            if guild.in_flight == 0 and not guild.spacing:
                self._guilds.pop(key, None)

    def _bucket_key(self, route: Route) -> tuple[str, str]:
        name = self._hashes.get(route.key)
        return (name, route.major) if name is not None else route.lane

    def _bucket_ready(self, route: Route, now: float) -> float:
        if route.key in self._unlimited:
            bucket = self._buckets.get(route.lane)  # blocked by a 429, perhaps
            return max(now, bucket.blocked_until) if bucket is not None else now
        return self._bucket(self._bucket_key(route)).ready_at(now)

    def _bucket(self, key: tuple[str, str]) -> Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            limit, length = self._limits.get(key[0], (1, 0.0))
            bucket = self._buckets[key] = Bucket(limit, length)
        return bucket

    def _prune(self, now: float) -> None:
        if now >= self._prune_at:
            self._prune_at = now + PRUNE_INTERVAL
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if not bucket.is_idle(now)}
            current = set(self._hashes.values())
            self._limits = {name: limit for name, limit in self._limits.items() if name in current}
