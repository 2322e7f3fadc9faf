"""The pool: whole units, deadlines, typed errors, and health after cancellations and restarts."""

from __future__ import annotations

import math
import os
import random
import signal
from pathlib import Path

import asyncpg
import pytest
import trio
import trio.testing

from flora.errors import StartupError
from flora.storage.aio import open_aio
from flora.storage.embedded import EmbeddedPostgres
from flora.storage.postgres import (
    Connection,
    Database,
    DatabaseError,
    DatabaseFullError,
    DatabaseTimeoutError,
    DatabaseUnavailableError,
    _translate,
)

from .conftest import LOSE_FIRST_COMMIT

STORM = int(os.environ.get("FLORA_TEST_STORM", "2000"))


async def healthy(db: Database) -> None:
    """Every connection of the pool answers, and none is stuck in a transaction."""
    size = db.statistics().max_connections
    answers: list[int] = []

    async def ask(number: int) -> None:
        answers.append(await db.run(lambda con: con.fetchval("select $1::int", number), idempotent=True))

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for number in range(size * 10):
                nursery.start_soon(ask, number)
    assert sorted(answers) == list(range(size * 10))
    statistics = db.statistics()
    assert (statistics.in_use, statistics.units_running) == (0, 0)
    stuck = await db.run(
        lambda con: con.fetchval(
            """select count(*) from pg_stat_activity
               where datname = current_database() and state like 'idle in transaction%'"""
        )
    )
    assert stuck == 0


async def test_a_transaction_is_applied_as_a_whole_or_not_at_all(db: Database) -> None:
    await db.run(lambda con: con.execute("create table t (i int)"))

    async def half(con: Connection) -> None:
        await con.execute("insert into t values (1)")
        raise LookupError("changed my mind")

    async def whole(con: Connection) -> None:
        await con.execute("insert into t values (2)")

    with pytest.raises(LookupError, match="changed my mind"):
        await db.transact(half)
    await db.transact(whole)
    assert await db.run(lambda con: con.fetch("select i from t")) == [(2,)]


async def test_a_storm_of_cancellations_leaves_the_pool_healthy(db: Database) -> None:
    await db.run(lambda con: con.execute("create table t (i int)"))
    dice = random.Random(1)
    outcomes = {"done": 0, "cancelled": 0}

    async def victim(number: int, patience: float) -> None:
        async def unit(con: Connection) -> int:
            await con.execute("insert into t values ($1)", number)
            await con.execute("select pg_sleep($1)", dice.random() * 0.01)
            return number

        with trio.move_on_after(patience) as scope:
            assert await db.transact(unit, deadline=60) == number, "an answer of another's question"
            outcomes["done"] += 1
        outcomes["cancelled"] += scope.cancelled_caught

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            for number in range(STORM):
                # Every tenth may take its time, so that there are both outcomes on any machine.
                nursery.start_soon(victim, number, dice.random() * 2 if number % 10 else math.inf)
    assert outcomes["cancelled"] > STORM // 20
    assert outcomes["done"] >= STORM // 10
    await healthy(db)
    stored = await db.run(lambda con: con.fetchval("select count(distinct i) from t"))
    assert outcomes["done"] <= stored <= STORM, "what was acknowledged is there"


async def test_a_unit_past_its_deadline_is_cancelled_on_the_server(db: Database) -> None:
    with trio.fail_after(30), pytest.raises(DatabaseTimeoutError, match=r"within 0\.1 s"):
        await db.run(lambda con: con.execute("select pg_sleep(30)"), deadline=0.1)
    sleeping = await db.run(
        lambda con: con.fetchval(
            "select count(*) from pg_stat_activity where query = 'select pg_sleep(30)' "
            "and state = 'active' and datname = current_database()"
        )
    )
    assert sleeping == 0
    assert db.statistics().timeouts == 1
    await healthy(db)


async def test_the_wait_for_a_connection_counts_toward_the_deadline(db: Database) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(db.statistics().max_connections):
            nursery.start_soon(lambda: db.run(lambda con: con.execute("select pg_sleep(60)"), deadline=90))
        await trio.testing.wait_all_tasks_blocked(0.05)
        with trio.fail_after(30), pytest.raises(DatabaseTimeoutError):
            await db.run(lambda con: con.fetchval("select 1"), deadline=0.1)
        nursery.cancel_scope.cancel()
    await healthy(db)


async def test_connections_ended_by_the_server_are_replaced(db: Database) -> None:
    await healthy(db)
    await db.run(
        lambda con: con.execute(
            """select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()"""
        )
    )
    await healthy(db)


async def test_a_connection_lost_in_the_middle_says_that_the_outcome_is_unknown(db: Database) -> None:
    async def unit(con: Connection) -> None:
        await con.execute("select pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(DatabaseUnavailableError) as caught:
        await db.run(unit)
    assert caught.value.outcome_unknown
    await healthy(db)


async def test_an_idempotent_unit_is_run_again_after_a_lost_connection(db: Database) -> None:
    runs = 0

    async def unit(con: Connection) -> int:
        nonlocal runs
        runs += 1
        if runs == 1:
            await con.execute("select pg_terminate_backend(pg_backend_pid())")
        return runs

    assert await db.run(unit, idempotent=True) == 2


async def test_a_transaction_whose_connection_is_lost_before_its_commit_is_run_again(db: Database) -> None:
    await db.run(lambda con: con.execute("create table t (i int)"))
    runs = 0

    async def unit(con: Connection) -> None:
        nonlocal runs
        runs += 1
        await con.execute("insert into t values (1)")
        if runs == 1:
            await con.execute("select pg_terminate_backend(pg_backend_pid())")

    await db.transact(unit)
    assert runs == 2
    assert await db.run(lambda con: con.fetchval("select count(*) from t")) == 1


async def test_a_transaction_lost_in_its_commit_is_run_again_only_if_it_is_idempotent(db: Database) -> None:
    await db.run(lambda con: con.execute("create table t (i int)"))
    await db.run(lambda con: con.execute(LOSE_FIRST_COMMIT.format(table="t")))

    async def unit(con: Connection) -> None:
        await con.execute("insert into t values (1)")

    with pytest.raises(DatabaseUnavailableError) as caught:
        await db.transact(unit)
    assert caught.value.outcome_unknown
    await db.run(lambda con: con.execute("alter sequence lost restart"))
    await db.transact(unit, idempotent=True)
    assert await db.run(lambda con: con.fetchval("select count(*) from t")) == 1
    assert await db.run(lambda con: con.fetchval("select last_value from lost")) == 2


async def test_a_refused_statement_is_a_typed_error_with_its_state(db: Database) -> None:
    with pytest.raises(DatabaseError) as caught:
        await db.run(lambda con: con.execute("select * from no_such_table"))
    assert caught.value.sqlstate == "42P01"
    assert db.statistics().failures == 1


def test_a_full_disk_has_an_error_of_its_own() -> None:
    error = asyncpg.exceptions.DiskFullError("could not extend file")
    assert isinstance(_translate(error), DatabaseFullError)


async def test_an_own_error_of_a_unit_passes_through(db: Database) -> None:
    async def unit(con: Connection) -> None:
        raise FileNotFoundError("not the database's")

    with pytest.raises(FileNotFoundError):
        await db.run(unit)
    await healthy(db)


async def test_leaving_the_block_ends_the_units_that_still_run(database_url: str) -> None:
    ended: list[DatabaseUnavailableError] = []

    async def sleeper(db: Database) -> None:
        with pytest.raises(DatabaseUnavailableError, match="being closed") as caught:
            await db.run(lambda con: con.execute("select pg_sleep(61)"), deadline=90)
        ended.append(caught.value)

    with trio.fail_after(20):
        async with open_aio(), trio.open_nursery() as nursery:
            async with Database.open(database_url, max_connections=2) as db:
                for _ in range(3):
                    nursery.start_soon(sleeper, db)
                await trio.testing.wait_all_tasks_blocked(0.05)
            with pytest.raises(DatabaseUnavailableError, match="has been closed"):
                await db.run(lambda con: con.fetchval("select 1"))
        assert len(ended) == 3
        async with open_aio(), Database.open(database_url) as db:
            asleep = "select count(*) from pg_stat_activity where query = 'select pg_sleep(61)'"
            while await db.run(lambda con: con.fetchval(asleep)):
                await trio.sleep(0.01)


async def test_a_cancelled_host_closes_its_connections(database_url: str) -> None:
    mine: list[int] = []
    with trio.fail_after(20):
        async with open_aio():
            with trio.CancelScope() as scope:
                async with Database.open(database_url, max_connections=3) as db:
                    mine.append(await db.run(lambda con: con.fetchval("select pg_backend_pid()")))
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
            async with Database.open(database_url, max_connections=2) as db:
                left = "select count(*) from pg_stat_activity where pid = any($1)"
                while await db.run(lambda con: con.fetchval(left, mine)):
                    await trio.sleep(0.01)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://flora:hunter2@127.0.0.1:1/flora", "127.0.0.1:1/flora"),
        ("postgresql://flora:hunter2@/flora?host=/nonexistent", "a local socket"),
        ("mysql://flora:hunter2@localhost/flora", "not valid"),
    ],
)
async def test_no_server_is_one_line_without_the_password(url: str, says: str) -> None:
    async with open_aio():
        with trio.fail_after(20), pytest.raises(StartupError) as caught:
            async with Database.open(url, connect_deadline=0.3):
                pass
    text = str(caught.value)
    assert says in text
    assert "\n" not in text
    assert "hunter2" not in text


async def test_a_missing_database_is_told_at_once(database_url: str) -> None:
    async with open_aio():
        with trio.fail_after(30), pytest.raises(StartupError, match="does not exist"):
            async with Database.open(database_url.replace("flora_test_", "flora_none_"), connect_deadline=60):
                pass


async def test_units_wait_out_a_restart_of_the_server(tmp_path: Path) -> None:
    """The embedded server, killed: its supervisor brings it back, and units that wait meanwhile succeed."""
    server = EmbeddedPostgres(tmp_path)
    with trio.fail_after(60):
        async with open_aio(), trio.open_nursery() as nursery:
            await nursery.start(server.run)
            async with Database.open(server.url, deadline=30) as db:
                await healthy(db)
                assert server.pid is not None
                os.kill(server.pid, signal.SIGKILL)
                while server.restarts == 0:  # its sessions live on for a moment, and may answer
                    await db.run(lambda con: con.fetchval("select 1"), idempotent=True)
                await healthy(db)
                assert server.restarts == 1
            nursery.cancel_scope.cancel()


async def test_a_server_that_hangs_costs_its_deadline_and_little_more(tmp_path: Path) -> None:
    """Stopped in its tracks, the server answers neither the statement nor its cancellation."""
    server = EmbeddedPostgres(tmp_path)
    with trio.fail_after(60):
        async with open_aio(), trio.open_nursery() as nursery:
            await nursery.start(server.run)
            async with Database.open(server.url, max_connections=2) as db:
                backend = await db.run(lambda con: con.fetchval("select pg_backend_pid()"))
                for pid in (backend, server.pid):
                    os.kill(pid, signal.SIGSTOP)
                try:
                    with trio.fail_after(30), pytest.raises(DatabaseTimeoutError):
                        await db.run(lambda con: con.fetchval("select 1"), deadline=0.3)
                finally:
                    for pid in (backend, server.pid):
                        os.kill(pid, signal.SIGCONT)
                await healthy(db)
            nursery.cancel_scope.cancel()
