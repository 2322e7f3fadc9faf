"""A host for the crash tests: data directory, embedded PostgreSQL, and a writer that says what was
acknowledged.

Run as `python -m tests.storage.host DATA_DIR [write]`. Prints `ready POSTMASTER_PID`, then each acknowledged
number.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import trio

from flora.errors import FloraError
from flora.storage.aio import open_aio
from flora.storage.datadir import DataDirectory
from flora.storage.embedded import EmbeddedPostgres
from flora.storage.postgres import Database, DatabaseUnavailableError


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def write(db: Database, first: int, stride: int) -> None:
    number = first
    while True:
        try:
            await db.run(lambda con, n=number: con.execute("insert into t values ($1)", n))
            say(str(number))
        except DatabaseUnavailableError:
            pass  # its outcome is unknown: not acknowledged, never used again
        number += stride


async def until_interrupted(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()


async def main(directory: Path, writing: bool) -> None:
    server = EmbeddedPostgres(directory)
    async with open_aio(), trio.open_nursery() as nursery:
        nursery.start_soon(until_interrupted, nursery.cancel_scope)
        await nursery.start(server.run)
        async with Database.open(server.url, deadline=30) as db:
            await db.run(lambda con: con.execute("create table if not exists t (i bigint primary key)"))
            start = await db.run(lambda con: con.fetchval("select coalesce(max(i), 0) from t"))
            say(f"ready {server.pid}")
            async with trio.open_nursery() as writers:
                for worker in range(4 if writing else 0):
                    writers.start_soon(write, db, start + 1000 + worker, 4)
                await trio.sleep_forever()


if __name__ == "__main__":
    try:
        with DataDirectory.open(Path(sys.argv[1])) as data:
            data.announce({"api": "http://127.0.0.1:3000"})
            trio.run(main, data.path, "write" in sys.argv)
    except FloraError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(getattr(error, "exit_code", 1))
