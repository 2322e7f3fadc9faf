"""The cache in Redis (or Valkey), by redis-py through the bridge, and what happens while it is away.

A server that does not answer never fails a caller. The cache is then *degraded*: it works in this process,
beginning empty, and notes which keys were written or removed. Meanwhile it reconnects with back-off (100 ms
to 30 s); back again, it first carries those changes over, so that nothing removed in between (a session,
say) is alive once more.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

import redis.asyncio as redis
import structlog
import trio
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.retry import Retry

from flora.errors import StartupError
from flora.storage.aio import Bridge, current_bridge
from flora.storage.cache import CacheStatus, CacheValueError, MemoryCache, check_ttl

T = TypeVar("T")
log = structlog.get_logger("flora.storage.cache")

COMMAND_SECONDS: Final = 1.0
"""A cache slower than this is worth less than none."""
CONNECT_SECONDS: Final = 2.0
CLOSE_SECONDS: Final = 2.0
BACKOFF_INITIAL: Final = 0.1
BACKOFF_MAXIMUM: Final = 30.0
REPLAY_BATCH: Final = 500
MAX_CHANGES: Final = 1_000_000
"""Keys noted while degraded. Beyond it the oldest are forgotten, whose old values in Redis then live on
until they expire.
"""

_INCREMENT: Final = """
local value = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return value
"""


class RedisCache:
    """`Cache` in Redis; made by `RedisCache.open`."""

    def __init__(
        self, client: redis.Redis, bridge: Bridge, prefix: str, max_entries: int, where: str
    ) -> None:
        self._client: Any = client
        self._bridge = bridge
        self._prefix = prefix
        self._where = where
        self._local = MemoryCache(max_entries=max_entries)
        self._changed: dict[str, None] = {}
        self._reason: str | None = None
        self._lost = trio.Event()
        self._gate: trio.Event | None = None
        self._hits = 0
        self._misses = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, pool_size: int = 10, prefix: str = "", max_entries: int = 100_000
    ) -> AsyncIterator[RedisCache]:
        """Yield the cache, degraded if the server does not answer now. Needs an open bridge (`open_aio`).

        `prefix` is put before every key; `max_entries` bounds what is kept here while degraded.
        Raises StartupError when `url` is not a Redis URL.
        """
        bridge = current_bridge()
        client = _client(url, pool_size)
        cache = cls(client, bridge, prefix, max_entries, _where(url))
        try:
            await cache._command(cache._client.ping, _nothing)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cache._keep_connected)
                yield cache
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_SECONDS):
                await bridge.run(cache._client.aclose)

    async def get(self, key: str) -> bytes | None:
        value: bytes | None = await self._command(
            lambda: self._client.get(self._prefix + key), lambda: self._local.get(key)
        )
        if value is None:
            self._misses += 1
        else:
            self._hits += 1
        return value

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        milliseconds = _milliseconds(ttl)

        async def local() -> None:
            self._note(key)
            await self._local.set(key, value, ttl=ttl)

        await self._command(lambda: self._client.set(self._prefix + key, value, px=milliseconds), local)

    async def add(self, key: str, value: bytes, *, ttl: float) -> bool:
        milliseconds = _milliseconds(ttl)

        async def local() -> bool:
            self._note(key)
            return await self._local.add(key, value, ttl=ttl)

        done = await self._command(
            lambda: self._client.set(self._prefix + key, value, px=milliseconds, nx=True), local
        )
        return bool(done)

    async def take(self, key: str) -> bytes | None:
        async def local() -> bytes | None:
            self._note(key)
            return await self._local.take(key)

        return cast(
            "bytes | None", await self._command(lambda: self._client.getdel(self._prefix + key), local)
        )

    async def delete(self, key: str) -> bool:
        async def local() -> bool:
            self._note(key)
            return await self._local.delete(key)

        return bool(await self._command(lambda: self._client.delete(self._prefix + key), local))

    async def increment(self, key: str, by: int = 1, *, ttl: float) -> int:
        milliseconds = _milliseconds(ttl)

        async def local() -> int:
            self._note(key)
            return await self._local.increment(key, by, ttl=ttl)

        try:
            return int(
                await self._command(
                    lambda: self._client.eval(_INCREMENT, 1, self._prefix + key, by, milliseconds), local
                )
            )
        except ResponseError as error:
            raise CacheValueError(f"the cache's {key} is not a number.") from error

    def status(self) -> CacheStatus:
        return CacheStatus(
            "redis", self._reason is not None, self._reason, len(self._local), self._hits, self._misses
        )

    async def _command(self, command: Callable[[], Awaitable[Any]], local: Callable[[], Awaitable[T]]) -> Any:
        """Run one command on Redis; while it is away, or when it fails now, do it here."""
        while self._gate is not None:
            await self._gate.wait()
        if self._reason is not None:
            return await local()
        try:
            with trio.fail_after(COMMAND_SECONDS):
                return await self._bridge.run(command)
        except trio.TooSlowError:
            self._degrade(f"no answer within {COMMAND_SECONDS:g} s")
        except OutOfMemoryError as error:
            # It forgets what it cannot hold, as every cache may; reads and removals still work there.
            log.warning("redis is full", error=str(error))
            return None
        except ResponseError:
            raise
        except (RedisError, OSError) as error:
            self._degrade(str(error) or type(error).__name__)
        return await local()

    def _note(self, key: str) -> None:
        self._changed.pop(key, None)
        self._changed[key] = None
        if len(self._changed) > MAX_CHANGES:
            del self._changed[next(iter(self._changed))]

    def _degrade(self, reason: str) -> None:
        if self._reason is None:
            log.warning("cache degraded", server=self._where, reason=reason)
            self._lost.set()
        self._reason = reason

    async def _keep_connected(self) -> None:
        while True:
            await self._lost.wait()
            pause = BACKOFF_INITIAL
            while self._reason is not None:
                await trio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, BACKOFF_MAXIMUM)
                try:
                    with trio.fail_after(CONNECT_SECONDS):
                        await self._bridge.run(self._client.ping)
                    await self._replay()
                except (trio.TooSlowError, RedisError, OSError) as error:
                    self._reason = str(error) or "no answer"

    async def _replay(self) -> None:
        """Carry over what changed while Redis was away, then count as connected.

        The last batch is carried with callers held back (CONNECT_SECONDS at most), or a busy cache would
        never get to an end of its changes.
        """
        carried = 0
        try:
            while self._changed:
                if len(self._changed) <= REPLAY_BATCH and self._gate is None:
                    self._gate = trio.Event()
                keys = list(self._changed)[:REPLAY_BATCH]
                for key in keys:
                    del self._changed[key]  # a change from now on notes it anew
                try:
                    with trio.fail_after(CONNECT_SECONDS):
                        await self._bridge.run(lambda batch=keys: self._carry(batch))  # type: ignore[misc]
                except BaseException:
                    self._changed = dict.fromkeys(keys) | self._changed
                    raise
                carried += len(keys)
            self._reason = None
            self._lost = trio.Event()
            self._local.clear()
        finally:
            if self._gate is not None:
                self._gate.set()
                self._gate = None
        log.info("cache connected again", server=self._where, carried=carried)

    async def _carry(self, keys: list[str]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            entry = self._local.peek(key)
            if entry is None:
                pipeline.delete(self._prefix + key)
            else:
                pipeline.set(self._prefix + key, entry[0], px=_milliseconds(entry[1]))
        await pipeline.execute(raise_on_error=True)


def _client(url: str, pool_size: int) -> redis.Redis:
    try:
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=pool_size,
            timeout=COMMAND_SECONDS,
            socket_timeout=CONNECT_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),  # this module's business
            protocol=2,
        )
    except ValueError as error:
        raise StartupError(f"CACHE_URL is not valid: {error}.", exit_code=2) from error
    return redis.Redis.from_pool(pool)


def _where(url: str) -> str:
    """The server as a person may see it: no user, no password."""
    parts = urlsplit(url)
    return f"{parts.hostname or parts.path}:{parts.port or 6379}"


def _milliseconds(ttl: float) -> int:
    return max(1, round(check_ttl(ttl) * 1000))


async def _nothing() -> None:
    return None
