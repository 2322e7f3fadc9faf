"""A guild's KV file as it lies on the disk: its tables, how it is opened, and what its failures mean.

The tables are meant to be read by people, too:

    sqlite3 kv.sqlite3 "select s.name, key, value from entries join stores s on s.id = store"
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final, Literal

from flora.storage.kv.errors import KvCorruptError, KvError, KvStorageFullError, KvUnavailableError

Synchronous = Literal["full", "normal"]

FILE_NAME: Final = "kv.sqlite3"
APPLICATION_ID: Final = 0x666C6B76
"""Marks the file as ours: the bytes of "flkv"."""
SCHEMA_VERSION: Final = 1
CACHE_KIB: Final = 512
"""SQLite's page cache of one open file; hundreds are open at once."""
WAL_KEPT_BYTES: Final = 4 * 2**20
"""A WAL that a burst of writes made longer is cut back to this."""

_SCHEMA: Final = f"""
    create table stores (
        id         integer primary key,
        name       text not null unique,
        created_at real not null,
        keys       integer not null default 0,
        bytes      integer not null default 0
    );
    create table entries (
        store      integer not null references stores (id),
        key        text not null,
        expires_at real,             -- unix seconds
        version    integer not null,
        size       integer not null, -- what it counts in stores.bytes
        metadata   text,             -- JSON
        value      text not null,
        unique (store, key)
    );
    create index entries_expiry on entries (expires_at) where expires_at is not null;
    create table counters (last_version integer not null);
    insert into counters values (0);
    pragma application_id = {APPLICATION_ID};
    pragma user_version = {SCHEMA_VERSION};
"""

_FULL: Final = 13
DAMAGED: Final = frozenset({11, 26})
"""SQLITEDAMAGED and SQLITE_NOTADB."""
_DISK: Final = frozenset({8, 10, 14})  # read-only, I/O error, cannot open
_LEFT_BYTES: Final = 256 * 1024
"""With less than this left on the disk, an I/O error is taken for the full disk it most likely is."""


def prepare(con: sqlite3.Connection, path: Path, synchronous: Synchronous) -> None:
    """Set the connection up, and make the tables in a new file. Raises KvCorruptError, KvUnavailableError."""
    con.execute(f"pragma synchronous = {synchronous}")
    con.execute(f"pragma cache_size = -{CACHE_KIB}")
    con.execute(f"pragma journal_size_limit = {WAL_KEPT_BYTES}")
    found = con.execute("pragma user_version").fetchone()[0]
    if found == 0:
        con.execute("pragma journal_mode = wal")
        con.executescript(f"begin immediate; {_SCHEMA} commit;")
        path.chmod(0o600)
    elif con.execute("pragma application_id").fetchone()[0] != APPLICATION_ID:
        raise KvCorruptError(f"{path} is not a flora KV file.")
    elif found > SCHEMA_VERSION:
        raise KvUnavailableError(
            f"{path} was written by a newer flora.", hint="Upgrade flora, or restore a backup."
        )


def translate(error: sqlite3.Error | OSError, path: Path) -> KvError:
    """What a failure of SQLite or of the file system means to whoever asked."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary in DAMAGED:
        return KvCorruptError(
            f"the kv file of guild {path.parent.name} is damaged: {error}.", hint="Restore a backup of it."
        )
    if primary == _FULL or ((primary in _DISK or isinstance(error, OSError)) and _nearly_full(path)):
        return KvStorageFullError("the disk of the kv store is full", hint="Free disk space.")
    return KvUnavailableError(f"the kv store of guild {path.parent.name} failed: {error}.")


def _nearly_full(path: Path) -> bool:
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free < _LEFT_BYTES


def make_folder(folder: Path) -> None:
    """Make the guild's folder so that it is still there after a power loss."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
