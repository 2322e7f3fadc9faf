"""The KV of all guilds: many tasks at once, cancellation, limits of what waits, backups, restore."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio

from flora.ids import GuildId
from flora.storage.kv import GuildKv, KvError, KvLimits
from flora.storage.kv import backups as backups_module
from flora.storage.kv.errors import (
    KvBackupNotFoundError,
    KvBusyError,
    KvCorruptError,
    KvInvalidInputError,
    KvRateLimitedError,
    KvStoreNotFoundError,
    KvTooLargeError,
    KvUnavailableError,
)
from flora.storage.kv.operations import (
    Check,
    Count,
    Delete,
    DropStore,
    Get,
    Increment,
    List,
    Operation,
    Set,
    Transaction,
    UpdateMetadata,
)
from flora.storage.kv.shard import MAX_PENDING

GUILD, OTHER = GuildId("100"), GuildId("200")
CANCELLATIONS = int(os.environ.get("FLORA_TEST_CANCELLATIONS", "2000"))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def kv(tmp_path: Path) -> AsyncIterator[GuildKv]:
    with trio.fail_after(60):
        async with GuildKv.open(tmp_path / "kv") as kv:
            yield kv


@asynccontextmanager
async def timed(tmp_path: Path, **limits: Any) -> AsyncIterator[tuple[GuildKv, Clock]]:
    clock = Clock()
    async with GuildKv.open(tmp_path / "kv", clock=clock, limits=KvLimits(**limits)) as kv:
        yield kv, clock


# ------------------------------------------------------------------------------------------ many at once


async def test_guilds_and_stores_are_apart(kv: GuildKv) -> None:
    await kv.run(GUILD, Set("s", "k", "mine"))
    assert await kv.run(OTHER, Get("s", "k")) is None
    assert await kv.run(GUILD, Get("t", "k")) is None
    assert (await kv.run(GUILD, List("s"))).keys[0].name == "k"


async def test_increments_of_many_tasks_add_up(kv: GuildKv) -> None:
    seen: list[int] = []

    async def add() -> None:
        for _ in range(20):
            seen.append((await kv.run(GUILD, Increment("s", "n"))).value)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(add)
    assert sorted(seen) == list(range(1, 401))
    statistics = kv.statistics()
    assert statistics.batches < statistics.operations, "writes that come together share a transaction"


async def test_one_refused_operation_does_not_spoil_its_batch(kv: GuildKv) -> None:
    await kv.run(GUILD, Set("s", "word", "word"))
    outcomes: list[str] = []

    async def attempt(operation: Any) -> None:
        try:
            outcomes.append(str(await kv.run(GUILD, operation)))
        except KvError as error:
            outcomes.append(error.code)

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(attempt, Set("s", f"k{number}", "v"))
            nursery.start_soon(attempt, Increment("s", "word"))
    assert outcomes.count("KV_NOT_A_NUMBER") == 10
    assert await kv.run(GUILD, Count("s")) == 11


async def test_a_compare_and_set_has_one_winner(kv: GuildKv) -> None:
    version = await kv.run(GUILD, Set("s", "k", "0"))
    wins: list[int | None] = []

    async def contend(number: int) -> None:
        wins.append(await kv.run(GUILD, Set("s", "k", str(number), if_version=version)))

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(contend, number)
    assert len([win for win in wins if win is not None]) == 1


async def test_a_guild_may_not_queue_without_bound(kv: GuildKv) -> None:
    refused = 0

    async def one() -> None:
        nonlocal refused
        try:
            await kv.run(GUILD, Set("s", "k", "v"))
        except KvBusyError:
            refused += 1

    async with trio.open_nursery() as nursery:
        for _ in range(MAX_PENDING + 50):
            nursery.start_soon(one)
    assert refused == 50
    assert await kv.run(GUILD, Get("s", "k")) is not None


async def test_two_thousand_cancelled_operations_leave_it_healthy(kv: GuildKv) -> None:
    dice = random.Random(1)
    made: list[Operation] = [
        Set("s", "a", "x" * 5000),
        Increment("s", "n"),
        Get("s", "a"),
        List("s"),
        Delete("s", "a"),
        Transaction((Increment("s", "n"), Check("s", "none", None), Set("s", "b", "1"))),
    ]
    acknowledged = 0

    async def cancelled() -> None:
        nonlocal acknowledged
        operation = dice.choice(made)
        with trio.move_on_after(dice.choice([0, 0, 0.0002, 0.002, 0.05])):
            await kv.run(GuildId(str(dice.randrange(1, 6))), operation)
            acknowledged += isinstance(operation, (Increment, Transaction))

    async with trio.open_nursery() as nursery:
        for number in range(CANCELLATIONS):
            nursery.start_soon(cancelled)
            if number % 100 == 0:
                await trio.sleep(0.002)
    total = 0
    for guild in map(str, range(1, 6)):
        entry = await kv.run(GuildId(guild), Get("s", "n"))
        total += int(entry.value) if entry else 0
    assert total >= acknowledged > 0
    assert all(not shard._pending for shard in kv._shards)


async def test_files_beyond_the_bound_are_closed_and_come_back(tmp_path: Path) -> None:
    async with GuildKv.open(tmp_path / "kv", max_open=8, shards=2) as kv:
        for round_ in range(2):
            for number in range(1, 41):
                counted = await kv.run(GuildId(str(number)), Increment("s", "n"))
                assert counted.value == round_ + 1
        assert kv.statistics().open_files <= 8


async def test_closing_carries_out_what_waits_and_refuses_the_rest(tmp_path: Path) -> None:
    async with GuildKv.open(tmp_path / "kv") as kv, trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(kv.run, GUILD, Set("s", str(number), "v"))
    with pytest.raises(KvUnavailableError):
        await kv.run(GUILD, Get("s", "0"))
    async with GuildKv.open(tmp_path / "kv") as kv:
        assert await kv.run(GUILD, Count("s")) == 50


# ------------------------------------------------------------------------------------------ time and limits


async def test_expiry_is_exact_and_swept_behind(tmp_path: Path) -> None:
    async with timed(tmp_path) as (kv, clock):
        await kv.run(GUILD, Set("s", "k", "v", ttl=10))
        clock.now += 9.999
        assert await kv.run(GUILD, Get("s", "k")) is not None
        clock.now += 0.001
        assert await kv.run(GUILD, Get("s", "k")) is None
        assert await kv.run(GUILD, Count("s")) == 0
        assert await kv.run(GUILD, Set("s", "k", "again", if_absent=True)) is not None
        await kv.run(GUILD, Set("s", "gone", "v", ttl=1))
        clock.now += 1
        assert (await kv.stores(GUILD))[0].keys == 2
        await kv.sweep()
        assert (await kv.stores(GUILD))[0].keys == 1


async def test_guilds_that_nobody_uses_are_swept_too(tmp_path: Path) -> None:
    async with timed(tmp_path) as (kv, clock):
        for number in range(1, 31):
            await kv.run(GuildId(str(number)), Set("s", "k", "v", ttl=1))
    async with timed(tmp_path) as (kv, clock):
        clock.now += 100
        for _ in range(3):
            await kv.sweep()
        with trio.fail_after(30):
            while kv.statistics().swept < 30:
                await trio.sleep(0.01)


async def test_writes_of_a_script_are_limited_per_store(tmp_path: Path) -> None:
    async with timed(tmp_path, writes_per_minute=3) as (kv, clock):
        for _ in range(3):
            await kv.run(GUILD, Set("s", "k", "v"), throttled=True)
        for refused in (Set("s", "k", "v"), Delete("s", "k"), UpdateMetadata("s", "k", "1")):
            with pytest.raises(KvRateLimitedError, match="kv write rate limit exceeded; retry later"):
                await kv.run(GUILD, refused, throttled=True)
        await kv.run(GUILD, Set("t", "k", "v"), throttled=True)
        await kv.run(GUILD, Set("s", "k", "operator"))
        steps = tuple(Set("u", str(number), "v") for number in range(4))
        with pytest.raises(KvRateLimitedError):
            await kv.run(GUILD, Transaction(steps), throttled=True)
        clock.now += 60
        await kv.run(GUILD, Set("s", "k", "v"), throttled=True)


async def test_what_counts_is_the_last_minute_not_the_clock(tmp_path: Path) -> None:
    async with timed(tmp_path, writes_per_minute=100) as (kv, clock):
        clock.now = 1000.9
        await kv.run(GUILD, Transaction(tuple(Set("s", str(n), "v") for n in range(60))), throttled=True)
        clock.now = 1001.1
        await kv.run(GUILD, Transaction(tuple(Set("s", str(n), "v") for n in range(40))), throttled=True)
        clock.now = 1060.8
        with pytest.raises(KvRateLimitedError):
            await kv.run(GUILD, Set("s", "k", "v"), throttled=True)
        clock.now = 1060.95
        await kv.run(GUILD, Transaction(tuple(Set("s", str(n), "v") for n in range(60))), throttled=True)
        with pytest.raises(KvRateLimitedError):
            await kv.run(GUILD, Set("s", "k", "v"), throttled=True)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (Get("", "k"), "store_name cannot be empty"),
        (Get("x" * 65, "k"), "store_name exceeds maximum size of 64 characters"),
        (Get("a/b", "k"), "store_name contains invalid characters"),
        (Get("a.b", "k"), "store_name contains invalid characters"),
        (Get("s", ""), "key cannot be empty"),
        (Get("s", "ä" * 257), "key exceeds maximum size of 512 characters"),
        (Get("s", "a\0"), "key contains null character"),
        (Get("s", "\ud800"), "key is not valid Unicode"),
        (List("s", prefix="\0"), "prefix contains null character"),
        (List("s", limit=-1), "limit cannot be negative"),
        (Set("s", "k", "\udc00"), "value is not valid Unicode"),
        (Set("s", "k", "v", ttl=0), "ttl is not a positive"),
        (Set("s", "k", "v", ttl=float("nan")), "ttl is not a positive"),
        (Set("s", "k", "v", expires_at=-1), "expiration is not"),
        (Set("s", "k", "v", expires_at=1, ttl=1), "exclude each other"),
        (Set("s", "k", "v", if_absent=True, if_version=1), "exclude each other"),
        (Increment("s", "k", 2**53), "not a safe integer"),
        (Transaction(()), "at least one step"),
    ],
)
async def test_what_no_store_takes(kv: GuildKv, operation: Any, message: str) -> None:
    with pytest.raises(KvInvalidInputError, match=message):
        await kv.run(GUILD, operation)


async def test_sizes(kv: GuildKv) -> None:
    await kv.run(GUILD, Set("s", "k", "x" * 2**20))
    for too_large in (
        Set("s", "k", "x" * (2**20 + 1)),
        Set("s", "k", "ä" * (2**19 + 1)),
        Set("s", "k", "x" * 2**20, metadata='"' + "m" * 2**20 + '"'),
    ):
        with pytest.raises(KvTooLargeError):
            await kv.run(GUILD, too_large)
    await kv.run(GUILD, Set("s", "k", "x" * 2**20, metadata='"m"'))
    await kv.run(GUILD, UpdateMetadata("s", "k", '"' + "m" * 2**19 + '"'))
    with pytest.raises(KvTooLargeError):
        await kv.run(GUILD, UpdateMetadata("s", "k", '"' + "m" * 2**20 + '"'))


# ------------------------------------------------------------------------------------------ backups


async def test_a_backup_in_use_restores_and_opens_with_any_sqlite(kv: GuildKv) -> None:
    for number in range(200):
        await kv.run(GUILD, Set("s", f"k{number}", "before"))
    async with trio.open_nursery() as nursery:

        async def keep_writing() -> None:
            for number in range(1000):
                await kv.run(GUILD, Set("s", f"w{number}", "x" * 500))

        nursery.start_soon(keep_writing)
        backup = await kv.export(GUILD)
        nursery.cancel_scope.cancel()

    file = await kv.backup_file(GUILD, backup.id)
    assert sorted(item.name for item in file.parent.iterdir()) == ["kv.sqlite3"], "one file by itself"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with closing(sqlite3.connect(file)) as shell:
        assert shell.execute("pragma integrity_check").fetchone() == ("ok",)
        count = shell.execute("select count(*) from entries where key like 'k%'").fetchone()[0]
        keys, counted = shell.execute("select keys, (select count(*) from entries) from stores").fetchone()
    assert count == 200
    assert keys == counted, "a moment, not a mixture"

    newest = await kv.run(GUILD, Set("s", "later", "v"))
    await kv.run(GUILD, DropStore("s"))
    await kv.restore(GUILD, backup.id)
    assert (await kv.run(GUILD, Get("s", "k7"))) is not None
    assert await kv.run(GUILD, Get("s", "later")) is None
    again = await kv.run(GUILD, Set("s", "later", "v"))
    assert newest is not None
    assert again is not None
    assert again > newest, "no version is given twice"


async def test_operations_wait_while_a_restore_runs(kv: GuildKv, monkeypatch: pytest.MonkeyPatch) -> None:
    await kv.run(GUILD, Set("s", "k", "old"))
    backup = await kv.export(GUILD)
    await kv.run(GUILD, Set("s", "k", "new"))
    held, go = trio.Event(), trio.Event()
    really = backups_module.restore

    def slowly(*args: Any) -> None:
        trio.from_thread.run_sync(held.set)
        trio.from_thread.run(go.wait)
        really(*args)

    monkeypatch.setattr(backups_module, "restore", slowly)
    seen: list[Any] = []

    async def read() -> None:
        seen.append(await kv.run(GUILD, Get("s", "k")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(kv.restore, GUILD, backup.id)
        await held.wait()
        nursery.start_soon(read)
        await kv.run(OTHER, Set("s", "k", "v"))
        assert seen == []
        go.set()
    assert seen[0].value == "old"


async def test_the_newest_five_backups_are_kept(kv: GuildKv) -> None:
    await kv.run(GUILD, Set("s", "k", "v"))
    made = [(await kv.export(GUILD)).id for _ in range(7)]
    assert [backup.id for backup in await kv.backups(GUILD)] == made[:1:-1]
    for unknown in (made[0], "..", "../../x", "", "0" * 36):
        with pytest.raises(KvBackupNotFoundError):
            await kv.restore(GUILD, unknown)
    with pytest.raises(KvStoreNotFoundError):
        await kv.export(OTHER)
    assert await kv.backups(OTHER) == []


async def test_a_guild_is_exported_once_a_minute(tmp_path: Path) -> None:
    async with timed(tmp_path) as (kv, clock):
        for guild in (GUILD, OTHER):
            await kv.run(guild, Set("s", "k", "v"))
            await kv.export(guild, throttled=True)
        clock.now += 59.5
        with pytest.raises(KvRateLimitedError, match="kv export rate limit exceeded; retry in 500ms"):
            await kv.export(GUILD, throttled=True)
        await kv.export(OTHER)
        clock.now += 0.5
        await kv.export(GUILD, throttled=True)
        assert len(await kv.backups(GUILD)) == 2


async def test_a_damaged_file_says_so_and_a_backup_mends_it(tmp_path: Path) -> None:
    folder = tmp_path / "kv"
    async with GuildKv.open(folder) as kv:
        await kv.run(GUILD, Set("s", "k", "v"))
        backup = await kv.export(GUILD)
    file = folder / GUILD / "kv.sqlite3"
    file.write_bytes(b"this is no database" * 1000)
    async with GuildKv.open(folder) as kv:
        for _ in range(2):
            with pytest.raises(KvCorruptError, match="Restore a backup"):
                await kv.run(GUILD, Get("s", "k"))
        await kv.run(OTHER, Set("s", "k", "the others go on"))
        await kv.restore(GUILD, backup.id)
        assert await kv.run(GUILD, Get("s", "k")) is not None
        assert file.with_name("kv.sqlite3.damaged").exists()


async def test_a_damaged_backup_changes_nothing(kv: GuildKv) -> None:
    await kv.run(GUILD, Set("s", "k", "v"))
    backup = await kv.export(GUILD)
    file = await kv.backup_file(GUILD, backup.id)
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)
    await kv.run(GUILD, Set("s", "k", "newer"))
    with pytest.raises(KvCorruptError):
        await kv.restore(GUILD, backup.id)
    entry = await kv.run(GUILD, Get("s", "k"))
    assert entry is not None
    assert entry.value == "newer"


async def test_forgetting_a_guild_leaves_nothing(kv: GuildKv, tmp_path: Path) -> None:
    await kv.run(GUILD, Set("s", "k", "v"))
    await kv.export(GUILD)
    await kv.forget(GUILD)
    await kv.forget(GUILD)
    assert not (tmp_path / "kv" / GUILD).exists()
    assert await kv.run(GUILD, Get("s", "k")) is None
    await kv.run(GUILD, Set("s", "k", "anew"))


async def test_folders_are_private(kv: GuildKv, tmp_path: Path) -> None:
    await kv.run(GUILD, Set("s", "k", "v"))
    for path, mode in (("kv", 0o700), (f"kv/{GUILD}", 0o700), (f"kv/{GUILD}/kv.sqlite3", 0o600)):
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == mode
