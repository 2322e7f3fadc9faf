"""The KV of all guilds: which shard has which guild, background sweeps, and what concerns a whole guild.

async with GuildKv.open(data / "kv", synchronous="full") as kv:
    await kv.run(guild_id, Set("counters", "main", "1"))
"""

from __future__ import annotations

import math
import shutil
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

import structlog
import trio

from flora.ids import GuildId, InvalidSnowflakeError, parse_guild_id
from flora.storage.kv import backups
from flora.storage.kv.backups import Backup
from flora.storage.kv.disk import FILE_NAME, Synchronous, translate
from flora.storage.kv.errors import KvRateLimitedError, KvStoreNotFoundError, KvUnavailableError
from flora.storage.kv.limits import KvLimits, check
from flora.storage.kv.operations import (
    Committed,
    Count,
    Counted,
    CreateStore,
    Delete,
    DropStore,
    Entry,
    Get,
    Increment,
    List,
    Operation,
    Page,
    Result,
    Set,
    StoreInfo,
    Stores,
    Transaction,
    UpdateMetadata,
)
from flora.storage.kv.shard import Shard, ShardOptions

log = structlog.get_logger("flora.kv")

SHARDS: Final = 8
"""Threads. They spend their time in fsync, and a disk serves several of these at once, so more than there are
processors serve well; with many more they only get into each other's way."""
MAX_OPEN: Final = 256
SWEEP_SECS: Final = 30.0
EXPORT_SECS: Final = 60.0
"""Between two backups of a guild that are asked for from outside: each reads and writes all that it has."""
SWEEP_CLOSED: Final = 20
"""Files of guilds that nobody uses, looked at in each sweep."""


@dataclass(frozen=True, slots=True)
class KvStatistics:
    open_files: int
    batches: int
    operations: int
    opened: int
    swept: int


class GuildKv:
    """Usable from every task of the process; made by `GuildKv.open`."""

    def __init__(
        self, folder: Path, shards: list[Shard], limits: KvLimits, clock: Callable[[], float]
    ) -> None:
        self.limits = limits
        self._folder = folder
        self._shards = shards
        self._locks: dict[GuildId, trio.Lock] = {}  # of backups, restores and removals
        self._unswept: list[GuildId] = []
        self._exported: dict[GuildId, float] = {}
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        folder: Path,
        *,
        synchronous: Synchronous = "full",
        limits: KvLimits | None = None,
        shards: int = SHARDS,
        max_open: int = MAX_OPEN,
        clock: Callable[[], float] = time.time,
    ) -> AsyncIterator[GuildKv]:
        """Serve the files under `folder` (made with mode 0700), at most `max_open` of them open at once.

        On exit what is queued is carried out and the files are closed. Raises KvError when the folder cannot
        be made.
        """
        limits = limits or KvLimits()
        try:
            await trio.to_thread.run_sync(_make_private, folder)
        except OSError as error:
            raise KvUnavailableError(f"cannot make {folder}: {error.strerror}.") from error
        options = ShardOptions(folder, limits, synchronous, max(1, max_open // shards), clock)
        kv = cls(folder, [Shard(f"kv-{index}", options) for index in range(shards)], limits, clock)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kv._sweep_for_ever)
                yield kv
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                for shard in kv._shards:
                    await shard.close()

    # One signature for each kind of operation, so that callers get what they asked for.
    @overload
    async def run(self, guild_id: GuildId, operation: Get, *, throttled: bool = ...) -> Entry | None: ...
    @overload
    async def run(self, guild_id: GuildId, operation: Set, *, throttled: bool = ...) -> int | None: ...
    @overload
    async def run(self, guild_id: GuildId, operation: UpdateMetadata, *, throttled: bool = ...) -> int: ...
    @overload
    async def run(self, guild_id: GuildId, operation: Delete, *, throttled: bool = ...) -> bool | None: ...
    @overload
    async def run(self, guild_id: GuildId, operation: Increment, *, throttled: bool = ...) -> Counted: ...
    @overload
    async def run(
        self, guild_id: GuildId, operation: Transaction, *, throttled: bool = ...
    ) -> Committed | None: ...
    @overload
    async def run(self, guild_id: GuildId, operation: List, *, throttled: bool = ...) -> Page: ...
    @overload
    async def run(self, guild_id: GuildId, operation: Count, *, throttled: bool = ...) -> int: ...
    @overload
    async def run(
        self, guild_id: GuildId, operation: Stores, *, throttled: bool = ...
    ) -> tuple[StoreInfo, ...]: ...
    @overload
    async def run(self, guild_id: GuildId, operation: CreateStore, *, throttled: bool = ...) -> StoreInfo: ...
    @overload
    async def run(self, guild_id: GuildId, operation: DropStore, *, throttled: bool = ...) -> None: ...

    async def run(self, guild_id: GuildId, operation: Operation, *, throttled: bool = False) -> Result:
        """Carry out one operation. What a write answers is on the disk (with `synchronous="full"`).

        `throttled` writes count against `KvLimits.writes_per_minute`. Raises KvError. When cancelled before
        its turn the operation is not carried out; after that it may have been.
        """
        check(operation)
        result: Result = await self._shard(guild_id).submit(guild_id, operation, throttled=throttled)
        return result

    async def stores(self, guild_id: GuildId) -> tuple[StoreInfo, ...]:
        return await self.run(guild_id, Stores())

    def statistics(self) -> KvStatistics:
        each = [shard.statistics for shard in self._shards]
        return KvStatistics(
            open_files=sum(one.open_files for one in each),
            batches=sum(one.batches for one in each),
            operations=sum(one.operations for one in each),
            opened=sum(one.opened for one in each),
            swept=sum(one.swept for one in each),
        )

    # ------------------------------------------------------------------ whole guilds

    async def export(self, guild_id: GuildId, *, throttled: bool = False) -> Backup:
        """Copy the guild's KV as it is now into a new backup, while it is in use; the oldest backups beyond
        the retention are removed.

        A `throttled` one is refused within EXPORT_SECS of the one before. Raises KvStoreNotFoundError when
        the guild has none, KvRateLimitedError, KvError. Cancelled, no half backup is left.
        """
        async with self._lock(guild_id):
            file = self._folder / guild_id / FILE_NAME
            if not file.exists():
                raise KvStoreNotFoundError("no stores found for guild")
            if throttled:
                self._throttle_export(guild_id)
            backup = await trio.to_thread.run_sync(backups.create, file)
            self._exported[guild_id] = self._clock()
            return backup

    def _throttle_export(self, guild_id: GuildId) -> None:
        now = self._clock()
        self._exported = {guild: at for guild, at in self._exported.items() if at + EXPORT_SECS > now}
        if (last := self._exported.get(guild_id)) is not None:
            left_ms = math.ceil((last + EXPORT_SECS - now) * 1000)
            raise KvRateLimitedError(f"kv export rate limit exceeded; retry in {left_ms}ms")

    async def backups(self, guild_id: GuildId) -> list[Backup]:
        """Newest first."""
        return await trio.to_thread.run_sync(backups.found, self._folder / guild_id)

    async def backup_file(self, guild_id: GuildId, backup_id: str) -> Path:
        """The SQLite file of a backup, to be read by anybody. Raises KvBackupNotFoundError."""
        return await trio.to_thread.run_sync(backups.file_of, self._folder / guild_id, backup_id)

    async def restore(self, guild_id: GuildId, backup_id: str) -> None:
        """Make the guild's KV what it was at a backup, all of it or nothing.

        Its operations wait meanwhile. Versions go on from the highest that was ever given. Raises
        KvBackupNotFoundError, KvCorruptError, KvError. Cannot be cancelled once it has begun.
        """
        folder = self._folder / guild_id
        source = await self.backup_file(guild_id, backup_id)
        async with self._lock(guild_id):
            shard = self._shard(guild_id)
            version = await shard.hold(guild_id)
            try:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(backups.restore, source, folder / FILE_NAME, version)
            finally:
                shard.release(guild_id)
        log.info("kv restored", guild=guild_id, backup=backup_id)

    async def forget(self, guild_id: GuildId) -> None:
        """Remove all that is stored for the guild, backups too. To do it twice is no error."""
        folder = self._folder / guild_id
        async with self._lock(guild_id):
            shard = self._shard(guild_id)
            await shard.hold(guild_id)
            try:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(_remove, folder)
            finally:
                shard.release(guild_id)

    # ------------------------------------------------------------------ sweeping

    async def _sweep_for_ever(self) -> None:
        while True:
            await trio.sleep(SWEEP_SECS)
            await self.sweep()

    async def sweep(self) -> None:
        """Have expired entries removed: those of the open files, and of the next few of all others."""
        if not self._unswept:
            self._unswept = await trio.to_thread.run_sync(_guilds, self._folder)
        turn, self._unswept = self._unswept[:SWEEP_CLOSED], self._unswept[SWEEP_CLOSED:]
        for shard in self._shards:
            shard.sweep([guild for guild in turn if self._shard(guild) is shard])

    def _shard(self, guild_id: GuildId) -> Shard:
        return self._shards[zlib.crc32(guild_id.encode()) % len(self._shards)]

    @asynccontextmanager
    async def _lock(self, guild_id: GuildId) -> AsyncIterator[None]:
        """One backup, restore or removal of a guild at a time."""
        lock = self._locks.setdefault(guild_id, trio.Lock())
        async with lock:
            yield
        if not lock.statistics().tasks_waiting and not lock.locked():
            self._locks.pop(guild_id, None)


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def _guilds(folder: Path) -> list[GuildId]:
    found = []
    for item in folder.iterdir():
        try:
            found.append(parse_guild_id(item.name))
        except InvalidSnowflakeError:
            continue
    return found


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise translate(error, folder / FILE_NAME) from error
