"""One guild's KV: one SQLite file in WAL mode, used by one thread at a time.

A batch of operations is one transaction: all that is acknowledged from it is on the disk, by one fsync. Each
operation checks everything before it writes, so one that is refused leaves nothing and the others of its
batch are committed. When SQLite itself fails, the batch is rolled back and repeated one by one.

How many bytes and keys a store has is kept beside it and changed in the same transaction, so that no quota
ever needs a scan.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from flora.storage.kv.disk import Synchronous, make_folder, prepare, translate
from flora.storage.kv.errors import (
    KvError,
    KvKeyNotFoundError,
    KvNumberError,
    KvQuotaError,
    KvStoreExistsError,
    KvStoreNotFoundError,
)
from flora.storage.kv.limits import MAX_SAFE_INTEGER, KvLimits, entry_size
from flora.storage.kv.operations import (
    MAX_PAGE,
    WRITES,
    Check,
    Committed,
    Count,
    Counted,
    CreateStore,
    Delete,
    DropStore,
    Entry,
    Get,
    Increment,
    KeyInfo,
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
from flora.storage.kv.throttle import WriteThrottle

SWEEP_ROWS: Final = 500
"""Expired entries removed in one transaction, so that a sweep never holds up a guild for long."""
_NUMBER: Final = re.compile(r"0|-?[1-9]\d{0,15}", re.ASCII)


class GuildFileMissingError(Exception):
    """There is no file, and what was asked needs none."""


@dataclass(slots=True)
class _Store:
    id: int
    name: str
    created_at: float
    keys: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Old:
    """The row that a write finds. One that has expired is there and counts, but is not seen."""

    rowid: int
    version: int
    expires_at: float | None
    size: int


class _Refused(Exception):
    """A condition of a transaction does not hold."""


class GuildFile:
    """Made by `open`. Not safe for use from two threads at once."""

    def __init__(
        self, con: sqlite3.Connection, path: Path, limits: KvLimits, clock: Callable[[], float]
    ) -> None:
        self._con = con
        self._path = path
        self._limits = limits
        self._clock = clock
        self._stores: dict[str, _Store] = {}
        self._bytes = 0
        self._version = 0
        self._changed: set[str] = set()
        self._throttle = WriteThrottle(limits.writes_per_minute, clock)
        self.broken = False
        """True after a failure that this connection cannot recover from: close it and open another."""
        self._run: dict[type, Callable[[Any, float], Result]] = {
            Get: self._get,
            List: self._list,
            Count: self._count,
            Stores: self._list_stores,
            CreateStore: self._create_store,
            DropStore: self._drop_store,
            Set: lambda op, now: self._set(op, now, self._next_version()),
            UpdateMetadata: lambda op, now: self._update_metadata(op, now, self._next_version()),
            Delete: self._delete,
            Increment: lambda op, now: self._increment(op, now, self._next_version()),
            Transaction: self._transaction,
        }

    @classmethod
    def open(
        cls,
        path: Path,
        limits: KvLimits,
        *,
        synchronous: Synchronous,
        clock: Callable[[], float],
        create: bool,
    ) -> GuildFile:
        """Open the file at `path`, or make it with its folder (mode 0700) when `create` is set.

        Blocks. Raises GuildFileMissingError, KvCorruptError, KvStorageFullError, KvUnavailableError.
        """
        try:
            if not path.exists():
                if not create:
                    raise GuildFileMissingError
                make_folder(path.parent)
            con = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        except (sqlite3.Error, OSError) as error:
            raise translate(error, path) from error
        file = cls(con, path, limits, clock)
        try:
            prepare(con, path, synchronous)
            file._load()
        except sqlite3.Error as error:
            file._discard()
            raise translate(error, path) from error
        except BaseException:
            file._discard()
            raise
        return file

    def close(self) -> None:
        """Blocks for the checkpoint of the WAL into the file."""
        try:
            self._con.close()
        except sqlite3.Error:
            self.broken = True  # what was committed is in the WAL, and will be found there

    # ------------------------------------------------------------------ batches

    def run(self, batch: Sequence[tuple[Operation, bool]]) -> list[Result | KvError]:
        """Carry out a batch of (operation, whether its writes count against the rate) in order.

        Returns one result or error for each. When this returns, what it says was written is on the disk.
        """
        now = self._clock()
        try:
            if not any(isinstance(operation, WRITES) for operation, _ in batch):
                return [self._one(operation, now, False) for operation, _ in batch]
            self._con.execute("begin immediate")
            results = [self._one(operation, now, throttled) for operation, throttled in batch]
            self._flush()
            self._con.execute("commit")
        except sqlite3.Error as error:
            self._roll_back()
            if len(batch) == 1 or self.broken:
                return [translate(error, self._path)] * len(batch)
            return [self.run([item])[0] for item in batch]
        return results

    def sweep(self) -> int:
        """Remove some expired entries for good; how many. Errors are left to whoever uses the file next."""
        try:
            self._con.execute("begin immediate")
            removed = self._sweep(self._clock())
            self._flush()
            self._con.execute("commit")
        except sqlite3.Error:
            self._roll_back()
            return 0
        return removed

    def has_expired(self) -> bool:
        try:
            row = self._con.execute(
                "select 1 from entries where expires_at <= ? limit 1", (self._clock(),)
            ).fetchone()
        except sqlite3.Error:
            return False
        return row is not None

    def raise_version(self, least: int) -> None:
        """Let no version up to `least` be given from now on."""
        self._con.execute("update counters set last_version = max(last_version, ?)", (least,))
        self._load()

    @property
    def last_version(self) -> int:
        return self._version

    def _one(self, operation: Operation, now: float, throttled: bool) -> Result | KvError:
        try:
            if throttled:
                self._throttle.count(operation)
            return self._run[type(operation)](operation, now)
        except KvError as error:
            return error

    def _flush(self) -> None:
        """Write what is kept in memory during a batch: the counters."""
        if not self._changed:
            return
        stores = [self._stores[name] for name in self._changed if name in self._stores]
        for store in stores:
            self._con.execute(
                "update stores set keys = ?, bytes = ? where id = ?", (store.keys, store.bytes, store.id)
            )
        self._con.execute("update counters set last_version = ?", (self._version,))
        self._changed.clear()

    def _roll_back(self) -> None:
        try:
            if self._con.in_transaction:
                self._con.execute("rollback")
            self._load()
        except sqlite3.Error:
            self.broken = True

    # ------------------------------------------------------------------ reading

    def _get(self, op: Get, now: float) -> Entry | None:
        store = self._stores.get(op.store)
        if store is None:
            return None
        row = self._con.execute(
            "select value, metadata, expires_at, version from entries where store = ? and key = ?",
            (store.id, op.key),
        ).fetchone()
        if row is None or (row[2] is not None and row[2] <= now):
            return None
        return Entry(*row)

    def _list(self, op: List, now: float) -> Page:
        store = self._stores.get(op.store)
        if store is None or op.limit == 0:
            return Page((), None)
        low, high = _range(op.prefix)
        where = "store = ? and key >= ? and (expires_at is null or expires_at > ?)"
        values: list[Any] = [store.id, low, now]
        if high is not None:
            where += " and key < ?"
            values.append(high)
        if op.cursor is not None:
            where += " and key < ?" if op.reverse else " and key > ?"
            values.append(op.cursor)
        limit = min(op.limit, MAX_PAGE)
        rows = self._con.execute(
            f"select key, metadata, expires_at, version from entries where {where} "
            f"order by key {'desc' if op.reverse else 'asc'} limit ?",
            (*values, limit + 1),
        )
        keys: list[KeyInfo] = []
        size = 0
        for row in rows:
            info = KeyInfo(*row)
            if len(keys) == limit or (keys and size + len(info.metadata or "") > self._limits.page_bytes):
                rows.close()
                return Page(tuple(keys), keys[-1].name)
            keys.append(info)
            size += len(info.name) + len(info.metadata or "")
        return Page(tuple(keys), None)

    def _count(self, op: Count, now: float) -> int:
        store = self._stores.get(op.store)
        if store is None:
            return 0
        low, high = _range(op.prefix)
        where, values = "store = ? and key >= ?", [store.id, low]
        if high is not None:
            where += " and key < ?"
            values.append(high)
        expired = self._con.execute(
            f"select count(*) from entries indexed by entries_expiry where expires_at <= ? and {where}",
            (now, *values),
        ).fetchone()[0]
        if not op.prefix:
            return store.keys - int(expired)
        # The index alone answers this; expired entries, few at any time, are counted apart.
        everything = self._con.execute(f"select count(*) from entries where {where}", values).fetchone()[0]
        return int(everything) - int(expired)

    def _list_stores(self, _: Stores, __: float) -> tuple[StoreInfo, ...]:
        return tuple(_info(self._stores[name]) for name in sorted(self._stores))

    # ------------------------------------------------------------------ writing

    def _create_store(self, op: CreateStore, now: float) -> StoreInfo:
        if op.store in self._stores:
            raise KvStoreExistsError(f"store {op.store!r} exists already")
        return _info(self._store(op.store, now))

    def _drop_store(self, op: DropStore, _: float) -> None:
        store = self._stores.get(op.store)
        if store is None:
            raise KvStoreNotFoundError("store not found")
        self._con.execute("delete from entries where store = ?", (store.id,))
        self._con.execute("delete from stores where id = ?", (store.id,))
        del self._stores[op.store]
        self._bytes -= store.bytes
        self._changed.add(op.store)

    def _set(self, op: Set, now: float, version: int) -> int | None:
        old = self._find(op.store, op.key)
        seen = _seen(old, now)
        if op.if_absent and seen is not None:
            return None
        if op.if_version is not None and (seen.version if seen else 0) != op.if_version:
            return None
        self._write(op.store, op.key, op.value, op.metadata, _expiry(op, now), old, version, now)
        return version

    def _update_metadata(self, op: UpdateMetadata, now: float, version: int) -> int:
        entry = self._get(Get(op.store, op.key), now)
        if entry is None:
            raise KvKeyNotFoundError("key not found")
        old = self._find(op.store, op.key)
        self._write(op.store, op.key, entry.value, op.metadata, entry.expires_at, old, version, now)
        return version

    def _increment(self, op: Increment, now: float, version: int) -> Counted:
        entry = self._get(Get(op.store, op.key), now)
        if entry is not None and not _NUMBER.fullmatch(entry.value):
            raise KvNumberError("the value is not a whole number, so it cannot be incremented")
        value = (int(entry.value) if entry else 0) + op.by
        if abs(value) > MAX_SAFE_INTEGER:
            raise KvNumberError("the number would leave the safe integers")
        expires_at = _expiry(op, now)
        if expires_at is None and entry is not None:
            expires_at = entry.expires_at
        metadata = entry.metadata if entry else None
        old = self._find(op.store, op.key)
        self._write(op.store, op.key, str(value), metadata, expires_at, old, version, now)
        return Counted(value, version)

    def _delete(self, op: Delete, now: float) -> bool | None:
        old = self._find(op.store, op.key)
        seen = _seen(old, now)
        if op.if_version is not None and (seen.version if seen else 0) != op.if_version:
            return None
        if old is not None:
            store = self._stores[op.store]
            self._con.execute("delete from entries where rowid = ?", (old.rowid,))
            self._account(store, -1, -old.size)
        return seen is not None

    def _transaction(self, op: Transaction, now: float) -> Committed | None:
        kept = {name: replace(store) for name, store in self._stores.items()}
        bytes_, last, changed = self._bytes, self._version, set(self._changed)
        self._con.execute("savepoint steps")
        try:
            version = self._next_version()
            results: list[int | bool | None] = []
            for step in op.steps:
                if isinstance(step, Check):
                    seen = _seen(self._find(step.store, step.key), now)
                    if (seen.version if seen else None) != (step.version or None):
                        raise _Refused
                else:
                    results.append(self._step(step, now, version))
        except (KvError, _Refused) as refusal:
            self._con.execute("rollback to steps")
            self._con.execute("release steps")
            self._stores, self._bytes, self._version, self._changed = kept, bytes_, last, changed
            if isinstance(refusal, _Refused):
                return None
            raise
        self._con.execute("release steps")
        return Committed(version, tuple(results))

    def _step(
        self, step: Set | UpdateMetadata | Delete | Increment, now: float, version: int
    ) -> int | bool | None:
        match step:
            case Set():
                if self._set(step, now, version) is None:
                    raise _Refused
                return None
            case UpdateMetadata():
                self._update_metadata(step, now, version)
                return None
            case Increment():
                return self._increment(step, now, version).value
            case Delete():
                there = self._delete(step, now)
                if there is None:
                    raise _Refused
                return there

    # ------------------------------------------------------------------ rows and counters

    def _find(self, store_name: str, key: str) -> _Old | None:
        store = self._stores.get(store_name)
        if store is None:
            return None
        row = self._con.execute(
            "select rowid, version, expires_at, size from entries where store = ? and key = ?",
            (store.id, key),
        ).fetchone()
        return _Old(*row) if row else None

    def _write(
        self,
        store_name: str,
        key: str,
        value: str,
        metadata: str | None,
        expires_at: float | None,
        old: _Old | None,
        version: int,
        now: float,
    ) -> None:
        size = entry_size(key, value, metadata)
        if self._too_much(store_name, size - (old.size if old else 0)) and self._sweep(now):
            old = self._find(store_name, key)
        refusal = self._too_much(store_name, size - (old.size if old else 0))
        if refusal is not None:
            raise refusal
        store = self._store(store_name, now)
        if old is None:
            self._con.execute(
                "insert into entries (store, key, expires_at, version, size, metadata, value) "
                "values (?, ?, ?, ?, ?, ?, ?)",
                (store.id, key, expires_at, version, size, metadata, value),
            )
            self._account(store, 1, size)
        else:
            self._con.execute(
                "update entries set expires_at = ?, version = ?, size = ?, metadata = ?, value = ? "
                "where rowid = ?",
                (expires_at, version, size, metadata, value, old.rowid),
            )
            self._account(store, 0, size - old.size)

    def _too_much(self, store_name: str, more: int) -> KvQuotaError | None:
        if more <= 0:
            return None
        store = self._stores.get(store_name)
        if (store.bytes if store else 0) + more > self._limits.store_bytes:
            return KvQuotaError("kv store storage quota exceeded")
        if self._bytes + more > self._limits.guild_bytes:
            return KvQuotaError("kv guild storage quota exceeded")
        return None

    def _store(self, name: str, now: float) -> _Store:
        """The store of that name, made if need be."""
        store = self._stores.get(name)
        if store is None:
            if len(self._stores) >= self._limits.stores:
                raise KvQuotaError(f"a guild has at most {self._limits.stores} kv stores")
            row = self._con.execute("insert into stores (name, created_at) values (?, ?)", (name, now))
            assert row.lastrowid is not None
            store = self._stores[name] = _Store(row.lastrowid, name, now, 0, 0)
            self._changed.add(name)
        return store

    def _account(self, store: _Store, keys: int, bytes_: int) -> None:
        store.keys += keys
        store.bytes += bytes_
        self._bytes += bytes_
        self._changed.add(store.name)

    def _sweep(self, now: float) -> int:
        rows = self._con.execute(
            "select rowid, store, size from entries where expires_at <= ? limit ?", (now, SWEEP_ROWS)
        ).fetchall()
        if rows:
            stores = {store.id: store for store in self._stores.values()}
            self._con.executemany("delete from entries where rowid = ?", [(row[0],) for row in rows])
            for _, store_id, size in rows:
                self._account(stores[store_id], -1, -size)
        return len(rows)

    def _next_version(self) -> int:
        self._version += 1
        return self._version

    def _load(self) -> None:
        self._changed.clear()
        self._version = self._con.execute("select last_version from counters").fetchone()[0]
        rows = self._con.execute("select id, name, created_at, keys, bytes from stores").fetchall()
        self._stores = {row[1]: _Store(*row) for row in rows}
        self._bytes = sum(store.bytes for store in self._stores.values())

    def _discard(self) -> None:
        self.broken = True
        self.close()


def _info(store: _Store) -> StoreInfo:
    return StoreInfo(store.name, store.keys, store.bytes, store.created_at)


def _seen(old: _Old | None, now: float) -> _Old | None:
    if old is None or (old.expires_at is not None and old.expires_at <= now):
        return None
    return old


def _expiry(op: Set | Increment, now: float) -> float | None:
    return now + op.ttl if op.ttl is not None else op.expires_at


def _range(prefix: str) -> tuple[str, str | None]:
    """From the first text with `prefix` up to the first beyond them, None when nothing is beyond.

    SQLite compares UTF-8 bytes, whose order is that of the code points.
    """
    head = prefix.rstrip("\U0010ffff")
    if not head:
        return prefix, None
    following = ord(head[-1]) + 1
    if 0xD800 <= following <= 0xDFFF:
        following = 0xE000
    return prefix, head[:-1] + chr(following)
