"""A full disk: clear errors, nothing damaged, and it goes on when there is space again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from flora.ids import GuildId
from flora.storage.aio import open_aio
from flora.storage.embedded import EmbeddedPostgres
from flora.storage.kv import GuildKv
from flora.storage.kv.errors import KvStorageFullError
from flora.storage.kv.operations import Count, Get, Set
from flora.storage.postgres import Database, DatabaseError, DatabaseFullError

GUILD, NEW = GuildId("1"), GuildId("2")


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of some MiB of its own."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    size = request.param
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=0777", "tmpfs", str(mount)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def fill(folder: Path) -> Path:
    """Take all the space that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    return ballast


@pytest.mark.parametrize("small_disk", [8], indirect=True)
async def test_kv(small_disk: Path) -> None:
    with trio.fail_after(60):
        async with GuildKv.open(small_disk / "kv") as kv:
            acknowledged = []
            for number in range(50):
                await kv.run(GUILD, Set("s", f"k{number}", "x" * 2000))
                acknowledged.append(f"k{number}")
            ballast = fill(small_disk)
            refused = 0
            for number in range(50, 250):
                try:
                    await kv.run(GUILD, Set("s", f"k{number}", "x" * 20_000))
                    acknowledged.append(f"k{number}")
                except KvStorageFullError:
                    refused += 1
            assert refused > 100
            with pytest.raises(KvStorageFullError, match="Free disk space"):
                await kv.run(NEW, Set("s", "k", "v"))
            assert await kv.run(GUILD, Get("s", "k7")) is not None, "reading goes on"
            ballast.unlink()
            await kv.run(GUILD, Set("s", "after", "v"))
            await kv.run(NEW, Set("s", "k", "v"))
            acknowledged.append("after")
        async with GuildKv.open(small_disk / "kv") as kv:
            for key in acknowledged:
                assert await kv.run(GUILD, Get("s", key)) is not None
            assert await kv.run(GUILD, Count("s")) == len(acknowledged)


@pytest.mark.slow
@pytest.mark.parametrize("small_disk", [160], indirect=True)
async def test_postgres(small_disk: Path) -> None:
    with trio.fail_after(120):
        server = EmbeddedPostgres(small_disk)
        async with open_aio(), trio.open_nursery() as nursery:
            await nursery.start(server.run)
            async with Database.open(server.url, deadline=30) as db:
                await db.run(lambda con: con.execute("create table t (i int primary key, x text)"))
                acknowledged = []

                async def insert(number: int) -> None:
                    text = os.urandom(20_000).hex()
                    await db.run(lambda con: con.execute("insert into t values ($1, $2)", number, text))
                    acknowledged.append(number)

                for number in range(20):
                    await insert(number)
                ballast = fill(small_disk)
                failures: list[DatabaseError] = []
                for number in range(20, 2000):
                    try:
                        await insert(number)
                    except DatabaseError as error:
                        failures.append(error)
                        if len(failures) >= 5:
                            break
                assert any(isinstance(error, DatabaseFullError) for error in failures), failures
                ballast.unlink()
                with trio.fail_after(60):
                    while True:  # a server that could not write its log starts again
                        try:
                            await insert(5000)
                            break
                        except DatabaseError:
                            await trio.sleep(0.2)
                stored = {row["i"] for row in await db.run(lambda con: con.fetch("select i from t"))}
                assert set(acknowledged) <= stored
            nursery.cancel_scope.cancel()
