"""The rate limiter against the playground's limits, as a state machine under virtual time.

Scripts ask for what they like, answers come late or never, others use the same token: nothing is sent that
Discord must refuse, and nothing waits that Discord would take.
"""

from __future__ import annotations

import functools
import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flora.gateway.buckets import RESET_MARGIN, read_bucket_state
from flora.gateway.limiter import GLOBAL_WAY, GUILD_CONCURRENCY, RateLimiter, Ticket
from flora.gateway.routes import Route
from flora.ids import GuildId
from flora.playground import limits as discord

BOT: Final = "bot"
CLOCK_OFFSET: Final = 1_700_000_000.123  # of Discord's clock against ours
WAY: Final = 0.2
"""The longest way of a request or of its answer, in seconds; connecting is a part of it."""

SLACK: Final = 2 * WAY + RESET_MARGIN + 0.002
"""For how long the limiter may not know yet what Discord knows."""

MESSAGES: Final = "/channels/{channel_id}/messages"
MEMBER: Final = "/guilds/{guild_id}/members/{user_id}"
# Several routes of one bucket, several buckets of one channel, and both kinds that pass by the global limit.
ROUTES: Final = (
    ("POST", MESSAGES),
    ("PATCH", MESSAGES + "/{message_id}"),
    ("DELETE", MESSAGES + "/{message_id}"),
    ("POST", MESSAGES + "/bulk-delete"),
    ("PUT", MESSAGES + "/{message_id}/reactions/{emoji}/@me"),
    ("DELETE", MESSAGES + "/{message_id}/reactions/{emoji}/@me"),
    ("PATCH", "/channels/{channel_id}"),
    ("DELETE", "/channels/{channel_id}"),
    ("GET", "/channels/{channel_id}"),
    ("PATCH", MEMBER),
    ("PUT", "/guilds/{guild_id}/bans/{user_id}"),
    ("GET", "/guilds/{guild_id}/roles"),
    ("POST", "/webhooks/{webhook_id}/{webhook_token}"),
    ("PATCH", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"),
)
Turn = tuple[tuple[str, str], GuildId | None]  # what waits in one lane for one guild
_MAJOR: Final = ("channel_id", "guild_id", "webhook_id")


def route_of(number: int, major: str) -> Route:
    method, template = ROUTES[number]
    names = [part[1:-1] for part in template.split("/") if part.startswith("{")]
    return Route(method, template, **{name: major if name in _MAJOR else "7" for name in names})


@functools.cache
def rule_of(method: str, path: str) -> tuple[discord.Rule, str]:
    """The playground's rule for a request, and what its limits call the major parameter."""
    found = next(each for each in discord._RULES if method in each.methods and each.pattern.search(path))
    major = discord._MAJOR.match(path)
    return found, major[0] if major else ""


@dataclass(frozen=True)
class Way:
    """How a request travels."""

    there: float
    back: float
    lost: bool
    """Its answer never comes."""


WAYS: Final = st.builds(Way, st.floats(0, WAY), st.floats(0, WAY), st.sampled_from([False] * 9 + [True]))


class Limits(RuleBasedStateMachine):
    """The driver, as `rest.py` is one, with Discord at the other end."""

    @initialize()
    def start(self) -> None:
        self.now = 0.0
        self.limiter = RateLimiter()
        self.discord = discord.RateLimiter()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.ways: dict[Ticket, Way] = {}
        self.waiting: dict[Ticket, None] = {}
        self.under_way: dict[Ticket, None] = {}
        self.sent_at: dict[Ticket, float] = {}
        self.learned: set[str] = set()  # routes whose bucket an answer has told
        self.knowing: set[Ticket] = set()  # that were sent after it
        self.held: dict[str, tuple[float, float]] = {}  # bucket or "global" -> told when, to wait until when
        self.strange: dict[str, float] = {}  # the same -> used by others, or unknowingly, until then
        self.doubtful: dict[str, float] = {}  # buckets that the limiter may think fuller until then
        self.grants: list[float] = []
        self.idle_since: dict[Turn, float] = {}

    # Discord.

    def look(self, route: Route) -> tuple[str, int]:
        """The bucket of a route and how many more requests it would take now."""
        rule_, major = rule_of(route.method, route.path)
        window = self.discord._windows.get((BOT, rule_.name, major))
        fresh = window is None or window.ends <= self.now + CLOCK_OFFSET
        return f"{rule_.name} {major}", rule_.limit - (0 if fresh or window is None else window.used)

    def arrive(self, ticket: Ticket) -> None:
        route, way = ticket.route, self.ways[ticket]
        bucket, _ = self.look(route)
        verdict = self.discord.check(BOT, route.method, route.path, self.now + CLOCK_OFFSET)
        assert verdict is not None
        where = "global" if verdict.is_global else bucket
        known = ticket in self.knowing
        if not verdict.allowed and (known or verdict.is_global):
            assert self.strange.get(where, 0.0) > self.now, f"over the limit of {where}"
            told, until = self.held.get(where, (0.0, 0.0))
            assert not told < self.sent_at[ticket] < until, f"{where} was told to wait"
        if way.lost or verdict.is_global or not known:
            # Its bucket was not known, or it is not known whether that has counted it.
            window = rule_of(route.method, route.path)[0].per
            self.strange[bucket] = max(self.strange.get(bucket, 0.0), self.now + window)
            # Discord's window may begin with a later request, and the limiter counts this one in it, too.
            self.doubtful[bucket] = self.now + 2 * window
        headers = {name.lower(): value for name, value in verdict.headers()}
        if way.lost:
            self.at(way.back, lambda: self.fail(ticket))
        else:
            after = None if verdict.allowed else round(verdict.reset_after, 3)
            self.at(way.back, lambda: self.answer(ticket, headers, after, where))

    # The driver.

    def at(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now + delay, next(self.order), action))

    def submit(self, number: int, major: str, guild: str | None, way: Way) -> None:
        ticket = Ticket(route_of(number, major), None if guild is None else GuildId(guild))
        self.ways[ticket] = way
        self.waiting[ticket] = None
        self.limiter.submit(ticket)

    def fail(self, ticket: Ticket) -> None:
        del self.under_way[ticket]
        self.limiter.fail(ticket, self.now)

    def answer(self, ticket: Ticket, headers: dict[str, str], after: float | None, where: str) -> None:
        del self.under_way[ticket]
        state = read_bucket_state(headers.get)
        assert (state is None) is (where == "global")
        self.limiter.complete(ticket, state, self.now, conclusive=after is None)
        if state is not None:
            self.learned.add(ticket.route.key)
        if after is not None:
            self.held[where] = (self.now, self.now + after)
            if where == "global":
                self.limiter.overall.block(self.now + after)
            else:
                self.limiter.block(ticket.route, self.now + after)
            again = Ticket(ticket.route, ticket.guild)
            self.ways[again] = self.ways[ticket]
            self.waiting[again] = None
            self.limiter.submit(again)

    def poll(self) -> float:
        granted, wake = self.limiter.poll(self.now)
        for ticket in granted:
            del self.waiting[ticket]
            self.under_way[ticket] = None
            self.sent_at[ticket] = self.now
            if ticket.route.key in self.learned:
                self.knowing.add(ticket)
            if ticket.route.global_limited:
                self.grants.append(self.now)
            self.at(self.ways[ticket].there, lambda ticket=ticket: self.arrive(ticket))  # type: ignore[misc]
        self.never_idle()
        return wake

    def run_until(self, end: float) -> None:
        while True:
            wake = self.poll()
            upcoming = min(wake, self.events[0][0] if self.events else float("inf"))
            if upcoming > end:
                self.now = end
                return
            assert upcoming > self.now or self.events, "the limiter wakes for nothing"
            self.now = max(self.now, upcoming)
            while self.events and self.events[0][0] <= self.now:
                heapq.heappop(self.events)[2]()

    def never_idle(self) -> None:
        self.grants = [at for at in self.grants if at > self.now - 1.0 - GLOBAL_WAY]
        busy = Counter(ticket.guild for ticket in self.under_way)
        travelling = Counter(self.look(ticket.route)[0] for ticket in self.under_way)
        turns: dict[Turn, Ticket] = {(ticket.route.lane, ticket.guild): ticket for ticket in self.waiting}
        self.idle_since = {turn: since for turn, since in self.idle_since.items() if turn in turns}
        for turn, ticket in turns.items():
            route = ticket.route
            bucket, left = self.look(route)
            names = (bucket, "global") if route.global_limited else (bucket,)
            allowed = (
                left - travelling[bucket] > 0
                and (len(self.grants) < discord.GLOBAL_LIMIT or not route.global_limited)
                and (ticket.guild is None or busy[ticket.guild] < GUILD_CONCURRENCY)
                and (route.key in self.learned or not travelling[bucket])
                # Where strangers were or answers were lost, caution may wait for longer: for one window.
                and all(self.strange.get(name, 0.0) <= self.now for name in names)
                and self.doubtful.get(bucket, 0.0) <= self.now
                and all(self.held.get(name, (0.0, 0.0))[1] <= self.now for name in names)
            )
            if not allowed:
                self.idle_since.pop(turn, None)
                continue
            since = self.idle_since.setdefault(turn, self.now)
            assert self.now - since <= SLACK, f"{route} is idle although it is allowed"

    # What may happen.

    @rule(
        count=st.integers(1, 30),
        number=st.integers(0, len(ROUTES) - 1),
        major=st.sampled_from(["1", "2", "3"]),
        guild=st.sampled_from(["1", "2", None]),
        way=WAYS,
    )
    def a_script_asks(self, count: int, number: int, major: str, guild: str | None, way: Way) -> None:
        for _ in range(count):
            self.submit(number, major, guild, way)
        self.poll()

    @rule(majors=st.integers(10, 60), there=st.lists(st.floats(0, WAY), min_size=3, max_size=3))
    def many_guilds_ask_at_once(self, majors: int, there: list[float]) -> None:
        for major in range(100, 100 + majors):
            self.submit(0, str(major), str(major), Way(there[major % 3], 0.01, False))
        self.poll()

    @rule(seconds=st.sampled_from([0.001, 0.05, 0.3, 1.0, 2.5, 6.0, 21.0]))
    def time_passes(self, seconds: float) -> None:
        self.run_until(self.now + seconds)

    @precondition(lambda self: getattr(self, "waiting", None))
    @rule(data=st.data())
    def a_script_gives_up(self, data: st.DataObject) -> None:
        ticket = list(self.waiting)[data.draw(st.integers(0, len(self.waiting) - 1))]
        del self.waiting[ticket]
        self.limiter.withdraw(ticket)
        self.poll()

    @rule(number=st.integers(0, len(ROUTES) - 1), major=st.sampled_from(["1", "2"]), count=st.integers(1, 8))
    def someone_else_uses_the_token(self, number: int, major: str, count: int) -> None:
        route = route_of(number, major)
        bucket, _ = self.look(route)
        for _ in range(count):
            verdict = self.discord.check(BOT, route.method, route.path, self.now + CLOCK_OFFSET)
            assert verdict is not None
            if verdict.is_global:
                break
            self.strange[bucket] = max(self.strange.get(bucket, 0.0), verdict.reset_at - CLOCK_OFFSET)
        if route.global_limited:
            self.strange["global"] = max(self.strange.get("global", 0.0), self.now + 1.0)

    # What holds.

    @invariant()
    def a_guild_has_its_share_and_no_more(self) -> None:
        busy = Counter(ticket.guild for ticket in getattr(self, "under_way", ()))
        assert all(count <= GUILD_CONCURRENCY for guild, count in busy.items() if guild is not None)

    def teardown(self) -> None:
        if not hasattr(self, "limiter"):
            return
        self.run_until(self.now + 3600.0)
        assert not self.waiting, "a request is forgotten"
        assert not self.under_way
        assert self.limiter.poll(self.now + 100.0) == ([], float("inf"))
        assert self.limiter.buckets == 0


Limits.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLimits = Limits.TestCase
