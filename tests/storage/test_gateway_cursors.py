"""Where a gateway shard goes on reading after a restart."""

from __future__ import annotations

from dataclasses import replace

from flora.storage.gateway_cursors import GatewayCursor, GatewayCursorStore
from flora.storage.postgres import Database

CURSOR = GatewayCursor("7", 0, 2, "session", "wss://gateway.example", 10)


async def test_a_cursor_is_found_by_bot_and_shard(db: Database) -> None:
    store = GatewayCursorStore(db)
    second = replace(CURSOR, shard_id=1, session_id="other", seq=2**40)
    await store.save(CURSOR)
    await store.save(second)
    assert await store.load("7", shard_count=2) == {0: CURSOR, 1: second}
    assert await store.load("8", shard_count=2) == {}


async def test_a_session_of_another_shard_count_cannot_be_resumed(db: Database) -> None:
    store = GatewayCursorStore(db)
    await store.save(CURSOR)
    assert await store.load("7", shard_count=1) == {}
    await store.save(replace(CURSOR, shard_count=1, session_id="new", seq=1))
    assert (await store.load("7", shard_count=1))[0].session_id == "new"


async def test_within_a_session_the_mark_never_goes_back(db: Database) -> None:
    store = GatewayCursorStore(db)
    for seq in (10, 12, 11):
        await store.save(replace(CURSOR, seq=seq))
    assert (await store.load("7", shard_count=2))[0].seq == 12
    await store.save(replace(CURSOR, session_id="fresh", seq=1))
    assert (await store.load("7", shard_count=2))[0] == replace(CURSOR, session_id="fresh", seq=1)


async def test_an_ended_session_is_forgotten_and_a_newer_one_is_not(db: Database) -> None:
    store = GatewayCursorStore(db)
    await store.save(CURSOR)
    await store.forget("7", 0, session_id="older")
    assert await store.load("7", shard_count=2) == {0: CURSOR}
    await store.forget("7", 0, session_id="session")
    assert await store.load("7", shard_count=2) == {}
