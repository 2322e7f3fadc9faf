"""Backups of one guild's KV: each a folder with one SQLite file that any SQLite shell opens.

    data/kv/<guild_id>/backups/<backup_id>/kv.sqlite3

A backup is complete or not there: it is written under a hidden name and renamed. All functions block.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from flora.storage.kv.disk import (
    APPLICATION_ID,
    DAMAGED,
    FILE_NAME,
    SCHEMA_VERSION,
    sync_folder,
    translate,
)
from flora.storage.kv.errors import KvBackupNotFoundError, KvCorruptError

RETENTION: Final = 5
FOLDER: Final = "backups"
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Backup:
    """`created_at` is a unix time, `bytes` the size of the file."""

    id: str
    created_at: float
    bytes: int


def create(file: Path) -> Backup:
    """Copy the KV `file`, which may be in use, as it is at one moment. Raises KvError."""
    folder = file.parent / FOLDER
    backup_id = str(uuid4())
    unfinished = folder / f".{backup_id}"
    try:
        unfinished.mkdir(mode=0o700, parents=True)
        try:
            copy = unfinished / FILE_NAME
            with closing(_connect(file)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
                # One file by itself, without a WAL beside it.
                target.execute("pragma journal_mode = delete")
            copy.chmod(0o600)
            _sync_file(copy)
            sync_folder(unfinished)
            unfinished.rename(folder / backup_id)
            sync_folder(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except (sqlite3.Error, OSError) as error:
        raise translate(error, file) from error
    _prune(folder)
    return _describe(folder / backup_id)


def found(guild_folder: Path) -> list[Backup]:
    """Newest first."""
    folder = guild_folder / FOLDER
    if not folder.is_dir():
        return []
    items = [_describe(item) for item in folder.iterdir() if _ID.fullmatch(item.name)]
    return sorted(items, key=lambda item: item.created_at, reverse=True)


def file_of(guild_folder: Path, backup_id: str) -> Path:
    """Raises KvBackupNotFoundError, also for what is no backup's id."""
    file = guild_folder / FOLDER / backup_id / FILE_NAME
    if not _ID.fullmatch(backup_id) or not file.is_file():
        raise KvBackupNotFoundError(f"there is no backup {backup_id[:64]!r} of this guild.")
    return file


def restore(source: Path, file: Path, least_version: int) -> None:
    """Put the backup `source` in the place of the KV `file`, which nobody may have open.

    One transaction of SQLite: a crash in the middle leaves what was there. Versions up to `least_version`
    are not given again. Raises KvError.
    """
    try:
        with closing(_connect(source)) as backup:
            _check(backup, source)
            _set_aside_if_damaged(file)
            with closing(sqlite3.connect(file, isolation_level=None)) as target:
                target.execute("pragma synchronous = full")
                backup.backup(target)
                target.execute("pragma journal_mode = wal")
                target.execute("update counters set last_version = max(last_version, ?)", (least_version,))
            file.chmod(0o600)
    except (sqlite3.Error, OSError) as error:
        raise translate(error, file) from error


def _connect(file: Path) -> sqlite3.Connection:
    """For reading. Not `mode=ro`, with which SQLite cannot use the WAL of a file that nobody has open."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=30.0)


def _check(backup: sqlite3.Connection, source: Path) -> None:
    if backup.execute("pragma application_id").fetchone()[0] != APPLICATION_ID:
        raise KvCorruptError(f"{source} is not a flora KV file.")
    if backup.execute("pragma user_version").fetchone()[0] > SCHEMA_VERSION:
        raise KvCorruptError(f"{source} was written by a newer flora.", hint="Upgrade flora.")
    problem = backup.execute("pragma quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise KvCorruptError(f"{source} is damaged: {problem}.")


def _set_aside_if_damaged(file: Path) -> None:
    """What is no database cannot be written over as one; it is kept beside, for whoever wants to look."""
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as target:
            target.execute("select count(*) from sqlite_master").fetchone()
            return
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in DAMAGED:
            raise
    file.rename(file.with_name(f"{file.name}.damaged"))
    for part in ("-wal", "-shm"):
        file.with_name(file.name + part).unlink(missing_ok=True)


def _describe(folder: Path) -> Backup:
    status = (folder / FILE_NAME).stat()
    return Backup(folder.name, status.st_mtime, status.st_size)


def _prune(folder: Path) -> None:
    for old in found(folder.parent)[RETENTION:]:
        shutil.rmtree(folder / old.id, ignore_errors=True)


def _sync_file(file: Path) -> None:
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
