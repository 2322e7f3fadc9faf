"""Real servers for the storage tests: an embedded PostgreSQL of our own, and the machine's PostgreSQL and
Redis.

On a developer's machine the tests that need a server which is not there are skipped; under CI that is a
failure.
"""

from __future__ import annotations

import asyncio
import os
import queue
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
import trio

from flora.storage.aio import open_aio
from flora.storage.embedded import EmbeddedPostgres
from flora.storage.postgres import Database

POSTGRES_URL = os.environ.get("FLORA_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("FLORA_TEST_CACHE_URL", "redis://127.0.0.1:6379/0")


def need_server(url: str, standard_port: int) -> str:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or standard_port), 2).close()
    except OSError:
        message = f"no server at {parts.hostname}:{parts.port or standard_port}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return url


@pytest.fixture(scope="session")
def embedded_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One embedded server for all tests, supervised by a thread that lives as long as they do."""
    started: queue.Queue[str | BaseException] = queue.Queue()
    stop = trio.Event()
    tokens: list[trio.lowlevel.TrioToken] = []

    async def main() -> None:
        server = EmbeddedPostgres(tmp_path_factory.mktemp("embedded"), max_connections=60)
        tokens.append(trio.lowlevel.current_trio_token())
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            started.put(server.url)
            await stop.wait()
            nursery.cancel_scope.cancel()

    def thread() -> None:
        try:
            trio.run(main)
        except BaseException as error:  # noqa: BLE001 - carried to the waiting fixture
            started.put(error)

    supervisor = threading.Thread(target=thread)
    supervisor.start()
    try:
        outcome = started.get(timeout=60)
        if isinstance(outcome, BaseException):
            raise outcome
        yield outcome
    finally:
        if tokens and supervisor.is_alive():
            tokens[0].run_sync_soon(stop.set)
        supervisor.join(timeout=30)
    assert not supervisor.is_alive()


@pytest.fixture(scope="session")
def embedded_database(embedded_url: str) -> Iterator[str]:
    yield from fresh_database(embedded_url)


@pytest.fixture(scope="session")
def server_database() -> Iterator[str]:
    yield from fresh_database(need_server(POSTGRES_URL, 5432))


def fresh_database(server: str) -> Iterator[str]:
    name = f"flora_test_{uuid4().hex[:12]}"
    execute(server, f"create database {name}")
    parts = urlsplit(server)
    # urlunsplit loses the empty host of a URL whose socket is in its query.
    yield f"{parts.scheme}://{parts.netloc}/{name}?application_name=flora-test&{parts.query}".rstrip("&")
    execute(server, f"drop database {name} with (force)")


@pytest.fixture(params=["embedded", "server"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty schema of the test's own, once on the embedded server and once on the machine's."""
    database = request.getfixturevalue(f"{request.param}_database")
    schema = f"test_{uuid4().hex[:12]}"
    execute(database, f"create schema {schema}")
    yield f"{database}&search_path={schema}"
    execute(database, f"drop schema {schema} cascade")


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A migrated database."""
    async with open_aio(), Database.open(database_url, max_connections=10) as database:
        await database.migrate()
        yield database


LOSE_FIRST_COMMIT = """
create sequence lost;
create function lose() returns trigger language plpgsql as $$ begin
    if nextval('lost') = 1 then perform pg_terminate_backend(pg_backend_pid()); end if;
    return null;
end $$;
create constraint trigger lose after insert or delete on {table} deferrable initially deferred
    for each row execute function lose();
"""
"""The first commit that touches a row of `table` loses its connection and is not applied."""


def execute(url: str, statement: str) -> None:
    """Run one statement from outside flora's own way to the database."""

    async def main() -> None:
        con = await asyncpg.connect(url, timeout=10)
        try:
            await con.execute(statement)
        finally:
            await con.close()

    asyncio.run(main())


@pytest.fixture
def private_dir() -> Iterator[Path]:
    """A directory that nobody but its owner can enter, as a clone in a home directory is."""
    path = Path(tempfile.mkdtemp(prefix="flora-test-"))
    assert path.stat().st_mode & 0o777 == 0o700
    yield path
    shutil.rmtree(path)
