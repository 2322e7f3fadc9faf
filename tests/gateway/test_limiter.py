"""The rate limiter against a model of Discord's limits, under virtual time: never above, never idle."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flora.gateway.buckets import RESET_MARGIN, Bucket, BucketState, read_bucket_state
from flora.gateway.limiter import GlobalLimit, RateLimiter, Ticket
from flora.gateway.routes import Route
from flora.ids import GuildId

LATENCY = 0.3
"""The longest way of a request or of its response, in seconds."""

CLOCK_OFFSET = 1_700_000_000.123  # of the server's clock against ours


@dataclass
class ServerBucket:
    """As Discord has it: a window opens with the first request after the last one ended."""

    hash: str
    limit: int
    window: float
    ends: float = 0.0
    used: int = 0

    def take(self, now: float) -> BucketState | None:
        if now >= self.ends:
            self.ends, self.used = now + self.window, 0
        if self.used >= self.limit:
            return None
        self.used += 1
        after = round(self.ends - now, 3)
        return BucketState(
            self.hash, self.limit, self.limit - self.used, round(self.ends + CLOCK_OFFSET, 3), after
        )

    def left(self, now: float) -> int:
        return self.limit if now >= self.ends else self.limit - self.used


@dataclass(frozen=True)
class Shape:
    """One bucket of the model: which routes share it, and its numbers."""

    routes: int
    limit: int
    window: float


@dataclass
class World:
    """Requests on their way to the model and back."""

    limiter: RateLimiter
    shapes: list[Shape]
    now: float = 0.0
    buckets: dict[tuple[int, str], ServerBucket] = field(default_factory=dict)
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    count: itertools.count[int] = field(default_factory=itertools.count)
    waiting: dict[Ticket, int] = field(default_factory=dict)
    under_way: dict[Ticket, int] = field(default_factory=dict)
    to_server: Counter[tuple[int, str]] = field(default_factory=Counter)
    allowed_since: dict[tuple[str, str], float] = field(default_factory=dict)
    grants: list[float] = field(default_factory=list)
    granted_by: list[GuildId | None] = field(default_factory=list)
    slack: float | None = 2 * LATENCY + RESET_MARGIN + 0.002

    def bucket(self, ticket: Ticket) -> tuple[tuple[int, str], ServerBucket]:
        number = self.waiting.get(ticket, self.under_way.get(ticket))
        assert number is not None
        shape = self.shapes[number]
        key = (number, ticket.route.major)
        if key not in self.buckets:
            self.buckets[key] = ServerBucket(f"hash-{number}", shape.limit, shape.window)
        return key, self.buckets[key]

    def at(self, time: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.events, (time, next(self.count), action))

    def submit(
        self,
        shape: int,
        route: int,
        major: str,
        guild: GuildId | None,
        ways: tuple[float, float],
        lost: bool = False,
    ) -> None:
        path = f"/channels/{{channel_id}}/{shape}-{route % self.shapes[shape].routes}"
        ticket = Ticket(Route("POST", path, channel_id=major), guild)
        self.waiting[ticket] = shape
        self.limiter.submit(ticket)
        self.ways[ticket] = (*ways, lost)

    ways: dict[Ticket, tuple[float, float, bool]] = field(default_factory=dict)

    def run(self, until: float) -> None:
        while True:
            wake = self.poll()
            upcoming = min(wake, self.events[0][0] if self.events else float("inf"))
            if upcoming > until:
                self.now = until
                return
            assert upcoming > self.now or self.events, "the limiter wakes for nothing"
            self.now = max(self.now, upcoming)
            while self.events and self.events[0][0] <= self.now:
                heapq.heappop(self.events)[2]()

    def poll(self) -> float:
        granted, wake = self.limiter.poll(self.now)
        for ticket in granted:
            self.under_way[ticket] = self.waiting.pop(ticket)
            self.grants.append(self.now)
            self.granted_by.append(ticket.guild)
            key, _ = self.bucket(ticket)
            self.to_server[key] += 1
            self.at(self.now + self.ways[ticket][0], lambda ticket=ticket: self.arrive(ticket))
        self.check()
        return wake

    def arrive(self, ticket: Ticket) -> None:
        key, bucket = self.bucket(ticket)
        self.to_server[key] -= 1
        _, back, lost = self.ways[ticket]
        state = bucket.take(self.now)
        assert state is not None, "over the limit of a bucket"
        self.at(self.now + back, lambda: self.answer(ticket, None if lost else state))

    def answer(self, ticket: Ticket, state: BucketState | None) -> None:
        del self.under_way[ticket]
        if state is None:
            self.limiter.fail(ticket, self.now)
        else:
            self.limiter.complete(ticket, state, self.now)

    def check(self) -> None:
        recent = [time for time in self.grants[-60:] if time > self.now - 1.0]
        assert len(recent) <= 50, "over the global limit"
        busy = Counter(ticket.guild for ticket in self.under_way)
        assert all(number <= 4 for guild, number in busy.items() if guild is not None), "over a guild's share"
        if self.slack is None:
            return
        lanes = {ticket.route.lane for ticket in self.waiting}
        self.allowed_since = {lane: since for lane, since in self.allowed_since.items() if lane in lanes}
        for ticket in self.waiting:
            key, bucket = self.bucket(ticket)
            allowed = (
                bucket.left(self.now) - self.to_server[key] > 0
                and len(recent) < 50
                and (ticket.guild is None or busy[ticket.guild] < 4)
            )
            lane = ticket.route.lane
            if not allowed:
                self.allowed_since.pop(lane, None)
                continue
            since = self.allowed_since.setdefault(lane, self.now)
            assert self.now - since <= self.slack, "idle although a request is allowed"


SHAPES = st.lists(
    st.builds(Shape, routes=st.integers(1, 2), limit=st.integers(1, 6), window=st.floats(0.25, 8.0)),
    min_size=1,
    max_size=3,
)
REQUESTS = st.lists(
    st.fixed_dictionaries(
        {
            "pause": st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.5, 3.0]),
            "shape": st.integers(0, 2),
            "route": st.integers(0, 1),
            "major": st.sampled_from(["1", "2"]),
            "ways": st.tuples(st.floats(0, LATENCY), st.floats(0, LATENCY)),
            "lost": st.booleans(),
        }
    ),
    max_size=80,
)


def learned(shapes: list[Shape]) -> World:
    """A world in which every route has been used once, so that its bucket is known."""
    world = World(RateLimiter(), shapes)
    for number, shape in enumerate(shapes):
        for route in range(shape.routes):
            world.submit(number, route, "warm", None, (0.0, 0.0))
            world.run(world.now + 20.0)
    assert not world.waiting
    return world


def play(world: World, requests: list[dict[str, Any]], *, losses: bool) -> None:
    for request in requests:
        world.run(world.now + request["pause"])
        shape = request["shape"] % len(world.shapes)
        guild = GuildId(request["major"])
        lost = request["lost"] and losses
        world.submit(shape, request["route"], request["major"], guild, request["ways"], lost)
    world.run(world.now + 2000.0)
    assert not world.waiting, "a request is forgotten"
    assert not world.under_way


@settings(max_examples=200, deadline=None)
@given(SHAPES, REQUESTS)
def test_never_above_a_limit_and_never_idle_when_allowed(
    shapes: list[Shape], requests: list[dict[str, Any]]
) -> None:
    play(learned(shapes), requests, losses=False)


@settings(max_examples=100, deadline=None)
@given(SHAPES, REQUESTS)
def test_never_above_a_limit_when_responses_are_lost(
    shapes: list[Shape], requests: list[dict[str, Any]]
) -> None:
    world = learned(shapes)
    world.slack = None  # what the server counted of a lost request is not known, so caution may wait
    play(world, requests, losses=True)


@settings(max_examples=100, deadline=None)
@given(SHAPES, REQUESTS)
def test_never_above_a_limit_while_buckets_are_learned(
    shapes: list[Shape], requests: list[dict[str, Any]]
) -> None:
    # That two routes share a bucket cannot be known before both have answered, so here none do.
    world = World(RateLimiter(), [Shape(1, shape.limit, shape.window) for shape in shapes])
    world.slack = None
    play(world, requests, losses=False)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 6), st.floats(0.25, 1.5))
def test_requests_under_way_at_the_end_of_a_window_are_counted_right(
    seed: int, limit: int, window: float
) -> None:
    chance = random.Random(seed)
    world = learned([Shape(1, limit, window)])
    for _ in range(120):
        world.run(world.now + chance.expovariate(0.9 * limit / window))
        world.submit(0, 0, "1", None, (chance.random() * LATENCY, chance.random() * LATENCY))
    world.run(world.now + 2000.0)
    assert not world.waiting


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12))
def test_the_global_limit_is_shared_by_guilds_in_turn(guilds: int) -> None:
    world = World(RateLimiter(), [Shape(1, 1000, 1.0)])
    world.submit(0, 0, "0", None, (0.0, 0.0))
    world.run(5.0)
    world.granted_by.clear()
    for number in range(400):  # the first guild asks for far more, and asks first
        world.submit(0, 0, "1", GuildId("1"), (0.0, 0.001)) if number else None
    for guild in range(2, guilds + 1):
        for _ in range(60):
            world.submit(0, 0, str(guild), GuildId(str(guild)), (0.0, 0.001))
    world.run(5.999)
    share = Counter(world.granted_by)
    assert sum(share.values()) == 50
    assert max(share.values()) - min(share[GuildId(str(g))] for g in range(1, guilds + 1)) <= 4


def test_a_request_of_another_channel_does_not_wait_behind_a_full_bucket() -> None:
    world = World(RateLimiter(), [Shape(1, 1, 5.0)])
    world.submit(0, 0, "1", GuildId("9"), (0.0, 0.0))
    world.run(0.1)
    world.submit(0, 0, "1", GuildId("9"), (0.0, 0.0))
    world.submit(0, 0, "2", GuildId("9"), (0.0, 0.0))
    world.run(0.2)
    assert [ticket.route.major for ticket in world.waiting] == ["1"]


def test_requests_of_one_lane_go_in_order() -> None:
    limiter = RateLimiter(guild_concurrency=1)
    tickets = [
        Ticket(Route("POST", "/channels/{channel_id}/messages", channel_id=1), GuildId("9")) for _ in range(5)
    ]
    for ticket in tickets:
        limiter.submit(ticket)
    order = []
    now = 0.0
    while limiter.waiting(GuildId("9")):
        (granted,), _ = limiter.poll(now)
        order.append(granted)
        limiter.complete(granted, None, now)
    assert order == tickets


def test_an_unknown_bucket_is_probed_with_one_request() -> None:
    limiter = RateLimiter()
    route = Route("POST", "/channels/{channel_id}/messages", channel_id=1)
    tickets = [Ticket(route, GuildId("9")) for _ in range(4)]
    for ticket in tickets:
        limiter.submit(ticket)
    granted, wake = limiter.poll(0.0)
    assert granted == tickets[:1]
    assert wake == float("inf")
    limiter.complete(tickets[0], BucketState("h", 3, 2, 100.0, 1.0), 0.1)
    granted, wake = limiter.poll(0.1)
    assert granted == tickets[1:3]
    assert wake == pytest.approx(1.1 + RESET_MARGIN)


def test_a_route_without_a_bucket_is_not_held_back() -> None:
    limiter = RateLimiter()
    route = Route(
        "POST",
        "/interactions/{interaction_id}/{interaction_token}/callback",
        interaction_id=1,
        interaction_token="t",
    )
    first = Ticket(route, GuildId("9"))
    limiter.submit(first)
    limiter.poll(0.0)
    limiter.complete(first, None, 0.0)
    tickets = [Ticket(route, GuildId("9")) for _ in range(4)]
    for ticket in tickets:
        limiter.submit(ticket)
    assert limiter.poll(0.0)[0] == tickets


def test_interactions_pass_by_the_global_limit() -> None:
    limiter = RateLimiter(global_limit=GlobalLimit(limit=1))
    limiter.overall.block(100.0)
    callback = Route(
        "POST",
        "/interactions/{interaction_id}/{interaction_token}/callback",
        interaction_id=1,
        interaction_token="t",
    )
    followup = Route("POST", "/webhooks/{webhook_id}/{webhook_token}", webhook_id=1, webhook_token="t")
    webhook = Route("GET", "/webhooks/{webhook_id}", webhook_id=1)
    tickets = [Ticket(route, None) for route in (callback, followup, webhook)]
    for ticket in tickets:
        limiter.submit(ticket)
    granted, wake = limiter.poll(0.0)
    assert granted == tickets[:2]
    assert wake == 100.0


def test_a_blocked_route_waits_as_long_as_discord_said() -> None:
    limiter = RateLimiter()
    route = Route("POST", "/channels/{channel_id}/messages", channel_id=1)
    first, second = Ticket(route, None), Ticket(route, None)
    limiter.submit(first)
    limiter.poll(0.0)
    limiter.complete(first, BucketState("h", 5, 0, 100.0, 1.0), 0.0)
    limiter.block(route, 30.0)
    limiter.submit(second)
    assert limiter.poll(0.0) == ([], 30.0)
    assert limiter.estimate(second, 0.0) == 30.0
    assert limiter.poll(30.0)[0] == [second]


def test_a_ticket_that_is_withdrawn_leaves_no_trace() -> None:
    limiter = RateLimiter()
    ticket = Ticket(Route("GET", "/channels/{channel_id}", channel_id=1), GuildId("9"))
    limiter.submit(ticket)
    limiter.withdraw(ticket)
    limiter.withdraw(ticket)
    assert limiter.poll(0.0) == ([], float("inf"))
    assert limiter.waiting(GuildId("9")) == 0


def test_buckets_that_nobody_needs_are_forgotten() -> None:
    limiter = RateLimiter()
    for number in range(1000):
        route = Route("POST", "/channels/{channel_id}/messages", channel_id=number)
        ticket = Ticket(route, GuildId(str(number)))
        limiter.submit(ticket)
        now = number * 0.1
        limiter.poll(now)
        limiter.complete(ticket, BucketState("h", 5, 4, now + 5, 5.0), now)
    limiter.poll(1000.0)
    assert limiter.buckets == 0


def test_someone_else_using_the_bucket_is_noticed() -> None:
    bucket = Bucket(5)
    bucket.take()
    bucket.complete(BucketState("h", 5, 1, 100.0, 10.0), 0.0)
    assert bucket.ready_at(0.0) == 0.0
    bucket.take()
    assert bucket.ready_at(0.0) == pytest.approx(10.0 + RESET_MARGIN)


HEADERS = {
    "x-ratelimit-bucket": "h",
    "x-ratelimit-limit": "5",
    "x-ratelimit-remaining": "4",
    "x-ratelimit-reset": "1700000000.5",
    "x-ratelimit-reset-after": "1.25",
}


def test_the_headers_of_a_bucket() -> None:
    assert read_bucket_state(HEADERS.get) == BucketState("h", 5, 4, 1700000000.5, 1.25)


@given(
    st.sampled_from(sorted(HEADERS)),
    st.sampled_from([None, "", "x", "-1", "nan", "inf", "1e400", "0x5", "99999999999999"]),
)
def test_headers_that_make_no_sense_are_no_bucket(name: str, value: str | None) -> None:
    state = read_bucket_state({**HEADERS, name: value}.get)
    assert state is None or (
        state.limit >= 1 and 0 <= state.remaining <= state.limit and 0 <= state.reset_after < 1e6
    )


def test_the_global_limit_holds_in_every_window() -> None:
    limit = GlobalLimit(limit=3, window=1.0)
    sent: list[float] = []
    now = 0.0
    for step in range(200):
        now = max(now, limit.ready_at(now)) + (0.01 * (step % 7))
        if limit.ready_at(now) <= now:
            limit.record(now)
            sent.append(now)
    assert all(later - earlier >= 1.0 for earlier, later in zip(sent, sent[3:], strict=False))
