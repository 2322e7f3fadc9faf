"""Everything that outlives a run: database, cache, the guilds' stores and secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial

import structlog
import trio

from flora.actors.secrets import master_keys
from flora.config import CacheConfig, Config
from flora.host.stages import Stages
from flora.storage.aio import open_aio
from flora.storage.cache import Cache, MemoryCache
from flora.storage.datadir import DataDirectory
from flora.storage.embedded import EmbeddedPostgres
from flora.storage.kv import GuildKv, KvLimits
from flora.storage.postgres import Database
from flora.storage.redis_cache import RedisCache
from flora.storage.secrets import SecretVault

log = structlog.get_logger("flora")

SPARE_CONNECTIONS = 10
"""Of the embedded server, beside flora's own: for `flora db` and whoever looks in."""


@dataclass(frozen=True, slots=True)
class Storage:
    db: Database
    cache: Cache
    kv: GuildKv
    secrets: SecretVault


async def open_storage(stages: Stages, config: Config, data: DataDirectory) -> Storage:
    """Start and open it all, migrations applied. Raises StartupError."""
    url = await _find_database(stages, config, data)

    @asynccontextmanager
    async def connect() -> AsyncIterator[tuple[Database, Cache]]:
        async with open_aio(), AsyncExitStack() as stack:
            db = await stack.enter_async_context(
                Database.open(
                    url,
                    max_connections=config.database.max_connections,
                    deadline=config.database.statement_timeout_secs,
                )
            )
            yield db, await _open_cache(stack, config.cache)

    db, cache = await stages.resource("storage", connect)
    applied = await db.migrate()
    log.info("database ready", migrations=applied or None)
    log.info("cache ready", **asdict(cache.status()))
    kv = await stages.resource(
        "kv",
        partial(
            GuildKv.open,
            data.path / "kv",
            synchronous=config.kv.synchronous,
            limits=KvLimits(writes_per_minute=config.kv.writes_per_minute),
            max_open=config.kv.max_open_guilds,
        ),
    )
    return Storage(db, cache, kv, await SecretVault.open(db, master_keys(config.secrets, data)))


async def _find_database(stages: Stages, config: Config, data: DataDirectory) -> str:
    if config.database.url is not None:
        return config.database.url.get_secret_value()
    connections = config.database.max_connections + SPARE_CONNECTIONS
    server = EmbeddedPostgres(data.path, max_connections=connections)

    async def run(status: trio.TaskStatus[None]) -> None:
        await server.run(task_status=status)

    await stages.background("postgres", run)
    return server.url


async def _open_cache(stack: AsyncExitStack, config: CacheConfig) -> Cache:
    if config.url is None:
        return MemoryCache(max_entries=config.max_entries)
    url = config.url.get_secret_value()
    return await stack.enter_async_context(
        RedisCache.open(url, pool_size=config.pool_size, max_entries=config.max_entries)
    )
