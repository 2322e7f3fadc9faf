from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flora.actors.loghub import Dropped, Follower, LogEntry, LogHub
from flora.engine.api import LogLevel
from flora.ids import GuildId

GARDEN, GREENHOUSE, FIELD = GuildId("1"), GuildId("2"), GuildId("3")
GUILDS = st.sampled_from([GARDEN, GREENHOUSE, FIELD])
LEVELS = st.sampled_from(list(LogLevel))


def say(hub: LogHub, guild: GuildId, count: int, text: str = "line") -> None:
    for number in range(count):
        hub.append(guild, LogLevel.INFO, f"{text} {number}")


def texts(entries: list[LogEntry]) -> list[str]:
    return [entry.message for entry in entries]


def test_the_newest_lines_come_oldest_first() -> None:
    hub = LogHub()
    say(hub, GARDEN, 5)
    assert texts(hub.recent(GARDEN, limit=2)) == ["line 3", "line 4"]


def test_a_level_hides_what_is_below_it() -> None:
    hub = LogHub()
    for level in LogLevel:
        hub.append(GARDEN, level, level)
    assert texts(hub.recent(GARDEN, level=LogLevel.WARN)) == ["warn", "error"]


def test_since_hides_what_is_older() -> None:
    now = [1_000_000_000]
    hub = LogHub(clock_ns=lambda: now[0])
    hub.append(GARDEN, LogLevel.INFO, "before")
    now[0] += 5_000_000_000
    hub.append(GARDEN, LogLevel.INFO, "after")
    assert texts(hub.recent(GARDEN, since=6_000)) == ["after"]


def test_a_noisy_guild_pushes_out_only_its_own_lines() -> None:
    hub = LogHub(max_lines=100)
    say(hub, GREENHOUSE, 3, "quiet")
    say(hub, GARDEN, 10_000, "noise")
    assert texts(hub.recent(GREENHOUSE)) == ["quiet 0", "quiet 1", "quiet 2"]
    assert len(hub.recent(GARDEN, limit=1000)) == 100


def test_when_the_sum_is_reached_the_largest_buffer_gives_way() -> None:
    hub = LogHub(max_total_bytes=100_000, max_guild_bytes=10**9)
    say(hub, GREENHOUSE, 3, "quiet")
    say(hub, GARDEN, 2_000, "noise")
    say(hub, FIELD, 10, "small")
    assert hub.statistics().bytes <= 100_000
    assert len(hub.recent(GREENHOUSE)) == 3
    assert len(hub.recent(FIELD)) == 10


def test_a_huge_line_is_cut_and_says_so() -> None:
    hub = LogHub(max_line_chars=10)
    hub.append(GARDEN, LogLevel.INFO, "x" * 25)
    assert texts(hub.recent(GARDEN)) == ["xxxxxxxxxx… (15 more characters)"]


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    hub = LogHub()
    hub.append(GARDEN, LogLevel.INFO, "a\ud83cb \ud83c\udf3f")
    assert texts(hub.recent(GARDEN)) == ["a\ufffdb 🌿"]


def test_ids_grow_over_a_restart() -> None:
    first = LogHub()
    say(first, GARDEN, 1000)
    last = first.recent(GARDEN, limit=1)[0].id
    assert LogHub(clock_ns=lambda: (last + 1) * 1000).append(GARDEN, LogLevel.INFO, "x").id > last


async def test_a_follower_gets_what_comes_after_its_position() -> None:
    hub = LogHub()
    say(hub, GARDEN, 3)
    second = hub.recent(GARDEN)[1]
    with hub.follow(GARDEN, second.id) as follower, trio.fail_after(5):
        assert (await anext(follower)) == hub.recent(GARDEN)[2]
        late = hub.append(GARDEN, LogLevel.WARN, "late")
        assert (await anext(follower)) is late


async def test_a_follower_waits_and_is_woken_only_by_its_own_guild() -> None:
    hub = LogHub()
    with hub.follow(GARDEN) as follower:
        with trio.move_on_after(0.05) as patience:
            hub.append(GREENHOUSE, LogLevel.INFO, "not yours")
            await anext(follower)
        assert patience.cancelled_caught
        mine = hub.append(GARDEN, LogLevel.INFO, "yours")
        with trio.fail_after(5):
            assert (await anext(follower)) is mine


async def test_a_cancelled_follower_loses_nothing() -> None:
    hub = LogHub()
    with hub.follow(GARDEN) as follower:
        for number in range(20):
            with trio.CancelScope() as scope:
                scope.cancel()
                await anext(follower)
            hub.append(GARDEN, LogLevel.INFO, str(number))
        with trio.fail_after(5):
            assert [(await anext(follower)).message for _ in range(20)] == [str(n) for n in range(20)]


async def test_a_follower_from_an_earlier_life_of_flora_learns_that_lines_may_be_missing() -> None:
    hub = LogHub()
    say(hub, GARDEN, 2)
    with hub.follow(GARDEN, 12345) as follower:
        assert follower.take()[0] == Dropped(None)
        assert len(follower.take()) == 0


def test_a_position_in_the_future_means_now() -> None:
    hub = LogHub()
    say(hub, GARDEN, 2)
    with hub.follow(GARDEN, 2**60) as follower:
        assert follower.take() == []
        line = hub.append(GARDEN, LogLevel.INFO, "next")
        assert follower.take() == [line]


def test_a_closed_follower_leaves_nothing_behind() -> None:
    hub = LogHub()
    follower = hub.follow(GARDEN, 0)
    assert hub.statistics().followers == 1
    follower.close()
    follower.close()
    assert hub.statistics().followers == 0
    assert hub.statistics().guilds == 0


def test_a_guild_that_left_is_forgotten_but_its_followers_go_on() -> None:
    hub = LogHub()
    say(hub, GARDEN, 5)
    with hub.follow(GARDEN) as follower:
        hub.forget(GARDEN)
        assert hub.recent(GARDEN) == []
        line = hub.append(GARDEN, LogLevel.INFO, "again")
        assert follower.take() == [line]
    assert hub.statistics().lines == 1


@given(st.lists(st.tuples(GUILDS, LEVELS, st.text(max_size=30)), max_size=200), st.integers(1, 40))
def test_each_guild_keeps_exactly_its_newest_lines(
    lines: list[tuple[GuildId, LogLevel, str]], max_lines: int
) -> None:
    hub = LogHub(max_lines=max_lines)
    for guild, level, text in lines:
        hub.append(guild, level, text)
    for guild in (GARDEN, GREENHOUSE, FIELD):
        said = [text for who, _, text in lines if who == guild]
        assert texts(hub.recent(guild, limit=1000)) == said[-max_lines:]


class FollowersSeeEverythingOrSayWhatTheyMissed(RuleBasedStateMachine):
    """However appends, evictions and reads fall together: read + reported missing = said."""

    def __init__(self) -> None:
        super().__init__()
        self.hub = LogHub(max_lines=20, max_guild_bytes=8_000, max_total_bytes=15_000)
        self.followers = {guild: self.hub.follow(guild, 0) for guild in (GARDEN, GREENHOUSE, FIELD)}
        self.said = dict.fromkeys(self.followers, 0)
        self.accounted = dict.fromkeys(self.followers, 0)
        self.last_id = dict.fromkeys(self.followers, 0)

    @rule(guild=GUILDS, count=st.integers(1, 60), size=st.integers(0, 400))
    def append(self, guild: GuildId, count: int, size: int) -> None:
        for _ in range(count):
            self.hub.append(guild, LogLevel.INFO, "x" * size)
        self.said[guild] += count

    @rule(guild=GUILDS, limit=st.integers(1, 30))
    def read(self, guild: GuildId, limit: int) -> None:
        for item in self.followers[guild].take(limit):
            if isinstance(item, Dropped):
                assert item.count is not None
                self.accounted[guild] += item.count
            else:
                assert item.id > self.last_id[guild]
                self.last_id[guild] = item.id
                self.accounted[guild] += 1

    @invariant()
    def bounds_hold(self) -> None:
        statistics = self.hub.statistics()
        assert statistics.bytes <= 15_000
        assert statistics.lines == sum(
            len(self.hub.recent(guild, limit=1000)) for guild in (GARDEN, GREENHOUSE, FIELD)
        )
        assert statistics.lines_accepted == statistics.lines + statistics.lines_evicted

    def teardown(self) -> None:
        for guild in self.followers:
            while self.accounted[guild] < self.said[guild]:
                self.read(guild, 30)
            assert self.accounted[guild] == self.said[guild]
            assert self.followers[guild].take() == []


FollowersSeeEverythingOrSayWhatTheyMissed.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None
)
TestFollowers = FollowersSeeEverythingOrSayWhatTheyMissed.TestCase


@pytest.mark.parametrize("limit", [0, -1])
def test_no_lines_are_no_lines(limit: int) -> None:
    hub = LogHub()
    say(hub, GARDEN, 1)
    assert hub.recent(GARDEN, limit=limit) == []


def calls_of(work: Callable[[], object]) -> int:
    """How many calls, of Python and of C, `work` comes to: a measure of work that no busy machine changes."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    gc.disable()  # what it calls back is not this work
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return calls


@pytest.mark.parametrize("total", [64 * 2**20, 256 * 1024], ids=["room", "full"])
def test_a_line_costs_the_same_beside_a_noisy_guild(total: int) -> None:
    """10,000 lines are a second of the noisiest guild; `full`: the hub has no room left for anybody."""

    def line(hub: LogHub, follower: Follower) -> list[str]:
        hub.append(GREENHOUSE, LogLevel.INFO, "quiet")
        found = [item.message for item in follower.take() if isinstance(item, LogEntry)]
        return found + texts(hub.recent(GREENHOUSE, limit=1))

    def beside(noise: int) -> tuple[int, int]:
        hub = LogHub(max_total_bytes=total)
        with hub.follow(GARDEN) as noisy, hub.follow(GREENHOUSE) as follower:
            say(hub, GARDEN, noise, "noise")
            lost = hub.statistics().lines_evicted
            heard: list[str] = []
            calls = calls_of(lambda: heard.extend(line(hub, follower)))
            assert heard == ["quiet", "quiet"]
            assert noise == 0 or len(noisy.take()) > 1, "the noise was still to be read"
            return calls, hub.statistics().lines_evicted - lost

    alone, _ = beside(0)
    calls, evicted = beside(10_000)
    assert evicted <= 2, "of the noisy guild, to make room"
    assert calls <= alone + 40 * evicted
    assert beside(40_000) == (calls, evicted), "more noise, no more work"


async def test_a_neighbours_line_is_heard_before_the_noise_is_worked_off() -> None:
    """A round is one turn of the event loop: the neighbour is never more than three of them behind."""
    hub, rounds, burst = LogHub(), 40, 2_500
    noise, quiet = 0, 0

    async def follow_noise() -> None:
        nonlocal noise
        with hub.follow(GARDEN) as follower:
            async for _ in follower:
                noise += 1

    async def follow_quiet() -> None:
        nonlocal quiet
        with hub.follow(GREENHOUSE) as follower:
            async for item in follower:
                assert isinstance(item, LogEntry)
                assert item.message == f"quiet {quiet}", "none is lost, and they are in order"
                quiet += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow_noise)
        nursery.start_soon(follow_quiet)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(rounds):
            say(hub, GARDEN, burst)
            hub.append(GREENHOUSE, LogLevel.INFO, f"quiet {number}")
            await trio.lowlevel.checkpoint()
            assert quiet >= number - 2
        assert noise < rounds * burst / 2, "the noise is not worked off"
        await trio.testing.wait_all_tasks_blocked()
        assert quiet == rounds
        nursery.cancel_scope.cancel()
