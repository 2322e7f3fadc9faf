"""Migrations: in order, once, in a transaction each; and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from flora.storage.aio import open_aio
from flora.storage.migrations import (
    LOCK_KEY,
    Migration,
    MigrationError,
    Migrator,
    load_migrations,
    packaged_migrations,
)
from flora.storage.postgres import Connection, Database

ONE = Migration(1, "one", "create table one (i int); insert into one values (1);")
TWO = Migration(2, "two", "create table two (i int)")
BROKEN = Migration(2, "two", "create table two (i int); select no_such_function()")


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[Database]:
    async with open_aio(), Database.open(database_url) as db:
        yield db


async def tables(db: Database) -> set[str]:
    rows = await db.run(
        lambda con: con.fetch("select tablename from pg_tables where schemaname = current_schema()")
    )
    return {row["tablename"] for row in rows} - {"flora_migrations"}


def test_the_packaged_migrations_are_found_and_well_formed() -> None:
    assert packaged_migrations().is_dir()
    assert [migration.number for migration in load_migrations()][:1] == [1]


async def test_the_schema_is_made_once(empty: Database) -> None:
    labels = [migration.label for migration in load_migrations()]
    assert await empty.migrate() == labels
    assert await empty.migrate() == []
    assert "deployments" in await tables(empty)


async def test_only_what_is_pending_is_applied(empty: Database) -> None:
    assert await Migrator(empty, [ONE]).apply() == ["0001_one"]
    status = await Migrator(empty, [ONE, TWO]).status()
    assert (status.applied, status.pending) == (("0001_one",), ("0002_two",))
    assert await Migrator(empty, [ONE, TWO]).apply() == ["0002_two"]
    assert await empty.run(lambda con: con.fetchval("select count(*) from one")) == 1


async def test_a_failed_migration_leaves_nothing_and_those_before_it_stay(empty: Database) -> None:
    with pytest.raises(MigrationError, match="0002_two failed"):
        await Migrator(empty, [ONE, BROKEN]).apply()
    assert await tables(empty) == {"one"}
    assert await Migrator(empty, [ONE, TWO]).apply() == ["0002_two"]


async def test_a_database_of_a_newer_flora_is_refused(empty: Database) -> None:
    await Migrator(empty, [ONE, TWO]).apply()
    for refused in (Migrator(empty, [ONE]).apply, Migrator(empty, [ONE]).status):
        with pytest.raises(MigrationError, match="newer than this flora"):
            await refused()


@pytest.mark.parametrize(
    "changed",
    [Migration(1, "one", ONE.sql + " "), Migration(1, "eins", ONE.sql)],
)
async def test_a_migration_changed_after_it_was_applied_is_refused(
    empty: Database, changed: Migration
) -> None:
    await Migrator(empty, [ONE]).apply()
    with pytest.raises(MigrationError, match="checksum differs"):
        await Migrator(empty, [changed, TWO]).apply()
    assert await tables(empty) == {"one"}


async def test_hosts_that_start_together_apply_each_migration_once(empty: Database) -> None:
    applied: list[str] = []

    async def host() -> None:
        applied.extend(await Migrator(empty, [ONE, TWO]).apply())

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(host)
    assert sorted(applied) == ["0001_one", "0002_two"]


async def test_a_host_waits_while_another_migrates(empty: Database) -> None:
    state = {"held": False, "release": False}
    applied: list[str] = []

    async def holder() -> None:
        async def unit(con: Connection) -> None:
            await con.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)
            state["held"] = True
            while not state["release"]:
                await con.execute("select pg_sleep(0.01)")

        await empty.transact(unit, deadline=60)

    async def migrate() -> None:
        applied.extend(await Migrator(empty, [ONE]).apply())

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(holder)
            while not state["held"]:
                await trio.sleep(0.01)
            nursery.start_soon(migrate)
            await trio.sleep(0.2)  # long enough to go wrong; right it is however long it takes
            assert applied == []
            assert await tables(empty) == set()
            state["release"] = True
    assert applied == ["0001_one"]


async def test_a_cancelled_migration_is_rolled_back(empty: Database) -> None:
    slow = Migration(1, "slow", "create table slow (i int); select pg_sleep(30)")
    with trio.move_on_after(0.3):
        await Migrator(empty, [slow]).apply()
    assert await tables(empty) == set()
    assert await Migrator(empty, [ONE]).apply() == ["0001_one"]


def test_files_are_numbered_without_gaps_and_named_well(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_bytes(b"select 1;\r\n")
    (tmp_path / "README").write_text("not a migration")
    [migration] = load_migrations(tmp_path)
    assert migration.checksum == Migration(1, "a", "select 1;\n").checksum, "line ends do not count"
    (tmp_path / "0003_c.sql").write_text("")
    with pytest.raises(MigrationError, match="without gaps, found 0001, 0003"):
        load_migrations(tmp_path)
    (tmp_path / "0003_c.sql").rename(tmp_path / "0001_c.sql")
    with pytest.raises(MigrationError, match="without gaps"):
        load_migrations(tmp_path)
    (tmp_path / "0001_c.sql").rename(tmp_path / "2-c.sql")
    with pytest.raises(MigrationError, match=r"2-c\.sql is not named"):
        load_migrations(tmp_path)
