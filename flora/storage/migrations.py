"""Schema migrations: numbered SQL files, applied in order, each in a transaction of its own, never twice.

Files are `NNNN_name.sql`, numbered from 0001 without gaps, in `schema/migrations`. What was applied is in
the table `flora_migrations` with a checksum of its text: a file that changed after it was applied, and a
database that a newer flora has written, are refused. Hosts that start together take turns by an advisory
lock.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog
import trio

from flora.errors import StartupError

if TYPE_CHECKING:
    from flora.storage.postgres import Connection, Database

log = structlog.get_logger("flora.storage.migrations")

LOCK_KEY: Final = 0x666C6F7261
"""The advisory lock of all flora hosts on one database: the bytes of "flora"."""
LOCK_SECONDS: Final = 60.0
"""How long to wait for another host's migrations."""
LOCK_POLL_SECONDS: Final = 0.1
APPLY_SECONDS: Final = 600.0
"""One migration; a big table may take minutes to rewrite."""
_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class MigrationError(StartupError):
    """The schema cannot be brought to the state that this flora needs; nothing was changed by the failed
    step.
    """

    code = "MIGRATION_FAILED"


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def label(self) -> str:
        return f"{self.number:04}_{self.name}"

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def packaged_migrations() -> Traversable:
    """The folder of SQL files: inside an installed package, else beside it in a source tree."""
    installed = resources.files("flora") / "_schema" / "migrations"
    if installed.is_dir():
        return installed
    return Path(__file__).resolve().parents[2] / "schema" / "migrations"


def load_migrations(folder: Traversable | None = None) -> list[Migration]:
    """Read and check the SQL files. Raises MigrationError for a bad name, a gap or a number used twice."""
    found = []
    for file in (folder or packaged_migrations()).iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = _NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"migration {file.name} is not named NNNN_name.sql.")
        # A checkout with CRLF line ends is the same migration.
        text = file.read_text(encoding="utf-8").replace("\r\n", "\n")
        found.append(Migration(int(match[1]), match[2], text))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        numbers = ", ".join(f"{migration.number:04}" for migration in found)
        raise MigrationError(
            f"migrations must be numbered from 0001 without gaps, found {numbers or 'none'}."
        )
    return found


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    applied: tuple[str, ...]
    pending: tuple[str, ...]


class Migrator:
    def __init__(self, db: Database, migrations: Sequence[Migration] | None = None) -> None:
        self._db = db
        self._migrations = load_migrations() if migrations is None else list(migrations)

    async def status(self) -> MigrationStatus:
        """What is applied and what is pending; raises MigrationError where `apply` would refuse."""

        async def unit(con: Connection) -> MigrationStatus:
            pending = self._pending(await _applied(con))
            done = self._migrations[: len(self._migrations) - len(pending)]
            return MigrationStatus(tuple(m.label for m in done), tuple(m.label for m in pending))

        return await self._db.run(unit)

    async def apply(self) -> list[str]:
        """Apply what is pending and return the labels of what was applied. Raises MigrationError.

        Cancellation rolls back the migration under way; those before it stay applied.
        """
        applied: list[str] = []
        patience = trio.current_time() + LOCK_SECONDS
        while (step := await self._db.transact(self._step, deadline=APPLY_SECONDS)) is not None:
            if step != _BUSY:
                log.info("migration applied", migration=step)
                applied.append(step)
                patience = trio.current_time() + LOCK_SECONDS
            elif trio.current_time() > patience:
                raise MigrationError(
                    "another flora host is migrating this database and does not finish.",
                    hint="Wait for it, or look in pg_locks for who holds the advisory lock.",
                )
            else:
                await trio.sleep(LOCK_POLL_SECONDS)
        return applied

    async def _step(self, con: Connection) -> str | None:
        """Apply the next pending migration inside the caller's transaction.

        The lock is the transaction's, so it cannot outlive it, whatever becomes of this host.
        """
        if not await con.fetchval("select pg_try_advisory_xact_lock($1)", LOCK_KEY):
            return _BUSY
        pending = self._pending(await _applied(con))
        if not pending:
            return None
        migration = pending[0]
        try:
            await con.execute(migration.sql)
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "")[:2] in {"53", "57", "08"}:
                raise  # the server's trouble, not the migration's
            raise MigrationError(f"migration {migration.label} failed: {error}.") from error
        await con.execute(
            "insert into flora_migrations (number, name, checksum) values ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.checksum,
        )
        return migration.label

    def _pending(self, applied: Sequence[_Applied]) -> list[Migration]:
        """The migrations after those `applied`; raises when the two histories differ."""
        known = len(self._migrations)
        if len(applied) > known:
            newest = applied[-1]
            raise MigrationError(
                f"the database is newer than this flora: it has migration {newest.number:04}_{newest.name}, "
                f"this flora knows {known}.",
                hint="Upgrade flora, or restore a backup made by this version.",
            )
        for row, migration in zip(applied, self._migrations, strict=False):
            if row != _Applied(migration.number, migration.name, migration.checksum):
                raise MigrationError(
                    f"migration {migration.label} is not the one that was applied as "
                    f"{row.number:04}_{row.name}: its checksum differs.",
                    hint="Restore the original file; a change of the schema needs a new migration.",
                )
        return self._migrations[len(applied) :]


@dataclass(frozen=True, slots=True)
class _Applied:
    number: int
    name: str
    checksum: str


_BUSY: Final = "busy"
"""Another host holds the lock."""


async def _applied(con: Connection) -> list[_Applied]:
    # Asked first: "if not exists" alone needs the right to create even where the table is there.
    if await con.fetchval("select to_regclass('flora_migrations')") is None:
        await con.execute(
            """create table if not exists flora_migrations (
                   number     integer primary key,
                   name       text not null,
                   checksum   text not null,
                   applied_at timestamptz not null default now()
               )"""
        )
    rows = await con.fetch("select number, name, checksum from flora_migrations order by number")
    return [_Applied(row["number"], row["name"], row["checksum"]) for row in rows]
