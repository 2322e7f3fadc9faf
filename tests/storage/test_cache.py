"""One contract for the cache in this process, the one in Redis, and the one whose Redis is away."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from flora.errors import StartupError
from flora.storage.aio import open_aio
from flora.storage.cache import Cache, CacheValueError, MemoryCache
from flora.storage.redis_cache import RedisCache
from tests.storage.conftest import REDIS_URL, need_server

NOWHERE = "redis://127.0.0.1:1/0"


def have_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine under load a command may take longer than one should."""
    monkeypatch.setattr("flora.storage.redis_cache.COMMAND_SECONDS", 30.0)
    monkeypatch.setattr("flora.storage.redis_cache.CONNECT_SECONDS", 30.0)


@pytest.fixture(params=["memory", "redis", "degraded"])
async def cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cache]:
    if request.param == "memory":
        yield MemoryCache()
        return
    have_patience(monkeypatch)
    url = need_server(REDIS_URL, 6379) if request.param == "redis" else NOWHERE
    async with open_aio(), RedisCache.open(url, prefix=f"flora-test:{uuid4().hex}:") as redis:
        assert redis.status().degraded == (request.param == "degraded")
        yield redis


async def test_a_value_is_there_until_it_is_removed(cache: Cache) -> None:
    assert await cache.get("k") is None
    await cache.set("k", b"\x00\xff", ttl=60)
    await cache.set("other", b"", ttl=60)
    assert await cache.get("k") == b"\x00\xff"
    assert await cache.get("other") == b""
    assert await cache.delete("k")
    assert not await cache.delete("k")
    assert await cache.get("k") is None
    assert (cache.status().hits, cache.status().misses) == (2, 2)


async def test_a_value_is_gone_when_its_time_is_over(cache: Cache) -> None:
    await cache.set("k", b"v", ttl=0.05)
    await cache.add("a", b"v", ttl=0.05)
    await cache.increment("n", ttl=0.05)
    await trio.sleep(0.08)
    assert [await cache.get(key) for key in ("k", "a", "n")] == [None, None, None]
    assert await cache.take("k") is None
    assert not await cache.delete("k")


async def test_a_new_value_brings_its_own_time(cache: Cache) -> None:
    await cache.set("k", b"short", ttl=0.05)
    await cache.set("k", b"long", ttl=60)
    await trio.sleep(0.08)
    assert await cache.get("k") == b"long"


async def test_add_is_won_once(cache: Cache) -> None:
    winners: list[int] = []

    async def contender(number: int) -> None:
        if await cache.add("k", b"%d" % number, ttl=60):
            winners.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(contender, number)
    assert len(winners) == 1
    assert await cache.get("k") == b"%d" % winners[0]


async def test_take_is_won_once(cache: Cache) -> None:
    await cache.set("state", b"1", ttl=60)
    taken: list[bytes] = []

    async def contender() -> None:
        if (value := await cache.take("state")) is not None:
            taken.append(value)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(contender)
    assert taken == [b"1"]


async def test_a_counter_counts_and_keeps_its_first_time(cache: Cache) -> None:
    assert await cache.increment("n", ttl=1) == 1
    assert await cache.increment("n", 5, ttl=60) == 6
    assert await cache.increment("n", -10, ttl=60) == -4
    assert await cache.get("n") == b"-4"
    await trio.sleep(1.1)
    assert await cache.increment("n", ttl=60) == 1


async def test_a_text_cannot_be_counted(cache: Cache) -> None:
    await cache.set("k", b"text", ttl=60)
    with pytest.raises(CacheValueError):
        await cache.increment("k", ttl=60)


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
async def test_everything_expires(cache: Cache, ttl: float) -> None:
    writes: list[Callable[[], Awaitable[object]]] = [
        lambda: cache.set("k", b"", ttl=ttl),
        lambda: cache.add("k", b"", ttl=ttl),
        lambda: cache.increment("k", ttl=ttl),
    ]
    for write in writes:
        with pytest.raises(ValueError, match="above zero"):
            await write()


async def test_a_storm_of_cancellations_leaves_it_healthy(cache: Cache) -> None:
    dice = random.Random(1)

    async def victim(number: int) -> None:
        with trio.move_on_after(dice.random() * 0.5):
            await cache.set(f"k{number}", b"%d" % number, ttl=60)
            assert await cache.get(f"k{number}") == b"%d" % number, "an answer to another's question"

    degraded = cache.status().degraded
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for number in range(2000):
                nursery.start_soon(victim, number)
        for number in range(100):
            await cache.set("after", b"%d" % number, ttl=60)
            assert await cache.get("after") == b"%d" % number
    assert cache.status().degraded == degraded


# The cache in this process.


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(max_entries=3)
    for key in "abc":
        await cache.set(key, b"", ttl=60)
    await cache.get("a")
    await cache.set("d", b"", ttl=60)
    assert set(cache) == {"a", "c", "d"}


async def test_what_nobody_asks_for_again_does_not_stay() -> None:
    clock = Clock()
    cache = MemoryCache(max_entries=1000, clock=clock)
    for number in range(500):
        await cache.set(f"old {number}", b"", ttl=1)
    clock.now = 2
    for number in range(500):
        await cache.set(f"new {number}", b"", ttl=1)
    assert len(cache) == 500


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["get", "set", "add", "take", "delete", "increment", "wait"]),
        st.sampled_from("abc"),
        st.integers(1, 9),
    ),
    max_size=60,
)


@given(ACTIONS)
async def test_it_behaves_as_a_plain_dict_with_times(actions: list[tuple[str, str, int]]) -> None:
    clock = Clock()
    cache = MemoryCache(clock=clock)
    model: dict[str, tuple[bytes, float]] = {}
    for action, key, number in actions:
        model = {name: entry for name, entry in model.items() if entry[1] > clock.now}
        value = b"%d" % number
        match action:
            case "wait":
                clock.now += number
            case "get":
                assert await cache.get(key) == model.get(key, (None,))[0]
            case "set":
                await cache.set(key, value, ttl=number)
                model[key] = (value, clock.now + number)
            case "add":
                assert await cache.add(key, value, ttl=number) == (key not in model)
                model.setdefault(key, (value, clock.now + number))
            case "take":
                assert await cache.take(key) == model.pop(key, (None,))[0]
            case "delete":
                assert await cache.delete(key) == (model.pop(key, None) is not None)
            case "increment":
                old, expires = model.get(key, (b"0", clock.now + number))
                model[key] = (b"%d" % (int(old) + number), expires)
                assert await cache.increment(key, number, ttl=number) == int(model[key][0])


# Redis, away and back.


class Proxy:
    """A wire to the real Redis that can be cut and held."""

    def __init__(self) -> None:
        self.port = 0
        self.open = True
        self.held = False
        self._streams: set[trio.SocketStream] = set()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, self._serve, 0)
            self.port = listeners[0].socket.getsockname()[1]
            task_status.started()

    async def cut(self) -> None:
        self.open = False
        for stream in list(self._streams):
            await trio.aclose_forcefully(stream)

    async def _serve(self, client: trio.SocketStream) -> None:
        if not self.open:
            return
        server = await trio.open_tcp_stream("127.0.0.1", 6379)
        self._streams |= {client, server}
        try:
            async with server, trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, client, server, nursery.cancel_scope)
                nursery.start_soon(self._pump, server, client, nursery.cancel_scope)
        finally:
            self._streams -= {client, server}

    async def _pump(
        self, source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope
    ) -> None:
        try:
            async for data in source:
                while self.held:
                    await trio.sleep(0.01)
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        scope.cancel()


async def until_connected(cache: RedisCache) -> None:
    with trio.fail_after(60):
        while cache.status().degraded:
            await trio.sleep(0.01)


async def test_while_redis_is_away_it_works_here_and_then_carries_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need_server(REDIS_URL, 6379)
    have_patience(monkeypatch)
    prefix = f"flora-test:{uuid4().hex}:"
    proxy = Proxy()
    async with open_aio(), trio.open_nursery() as nursery:
        await nursery.start(proxy.run)
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with (
            RedisCache.open(url, prefix=prefix) as cache,
            RedisCache.open(REDIS_URL, prefix=prefix) as witness,
        ):
            await cache.set("kept", b"1", ttl=60)
            await cache.set("session", b"alice", ttl=60)
            await cache.set("changed", b"old", ttl=60)
            await proxy.cut()
            assert await cache.get("session") is None, "unknown here, not an error"
            assert cache.status().degraded
            assert cache.status().reason
            assert not await cache.delete("session")
            await cache.set("changed", b"new", ttl=60)
            await cache.set("made", b"2", ttl=60)
            await cache.set("brief", b"3", ttl=0.01)
            assert await cache.get("made") == b"2"
            assert await witness.get("session") == b"alice"
            proxy.open = True
            await until_connected(cache)
            expected = {"kept": b"1", "session": None, "changed": b"new", "made": b"2", "brief": None}
            for key, value in expected.items():
                assert await witness.get(key) == value
                assert await cache.get(key) == value
            assert cache.status().local_entries == 0
            for key in expected:
                await cache.delete(key)
        nursery.cancel_scope.cancel()


async def test_a_redis_that_hangs_is_treated_as_away(monkeypatch: pytest.MonkeyPatch) -> None:
    need_server(REDIS_URL, 6379)
    monkeypatch.setattr("flora.storage.redis_cache.COMMAND_SECONDS", 0.2)
    proxy = Proxy()
    async with open_aio(), trio.open_nursery() as nursery:
        await nursery.start(proxy.run)
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with RedisCache.open(url, prefix=f"flora-test:{uuid4().hex}:") as cache:
            await cache.set("k", b"1", ttl=60)
            proxy.held = True
            with trio.fail_after(30):
                await cache.set("k", b"2", ttl=60)
                assert await cache.get("k") == b"2"
            assert cache.status().degraded
            proxy.held = False
            await until_connected(cache)
            assert await cache.get("k") == b"2"
            await cache.delete("k")
        nursery.cancel_scope.cancel()


async def test_changes_during_the_carrying_over_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    need_server(REDIS_URL, 6379)
    monkeypatch.setattr("flora.storage.redis_cache.REPLAY_BATCH", 50)
    prefix = f"flora-test:{uuid4().hex}:"
    proxy = Proxy()
    proxy.open = False
    async with open_aio(), trio.open_nursery() as nursery:
        await nursery.start(proxy.run)
        async with RedisCache.open(f"redis://127.0.0.1:{proxy.port}/0", prefix=prefix) as cache:
            for number in range(400):
                await cache.set(f"k{number}", b"before", ttl=60)
            proxy.open = True
            with trio.fail_after(60):
                while cache.status().degraded:
                    for number in range(0, 400, 20):
                        await cache.set(f"k{number}", b"during", ttl=60)
                    await trio.lowlevel.checkpoint()
            for number in range(400):
                expected = b"before" if number % 20 else b"during"
                assert await cache.get(f"k{number}") == expected
                await cache.delete(f"k{number}")
        nursery.cancel_scope.cancel()


async def test_a_bad_url_is_one_line() -> None:
    async with open_aio():
        with pytest.raises(StartupError, match="CACHE_URL is not valid"):
            async with RedisCache.open("http://localhost"):
                pass
