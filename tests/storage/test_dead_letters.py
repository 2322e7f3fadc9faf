"""Events that a guild's script could not handle."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import trio

from flora.ids import GuildId
from flora.storage.cursors import InvalidCursorError
from flora.storage.dead_letters import DeadLetterStore, NewDeadLetter
from flora.storage.postgres import Database

GUILD, OTHER = GuildId("10"), GuildId("20")
LETTER = NewDeadLetter(GUILD, "0:s:1", "MESSAGE_CREATE", b'{"content":"\\u0000"}', 3, "TypeError \0")


async def test_a_letter_comes_back_as_it_was_sent(db: Database) -> None:
    store = DeadLetterStore(db)
    await store.add([LETTER])
    [letter] = (await store.page(GUILD)).letters
    assert (letter.event_id, letter.name, letter.payload) == ("0:s:1", "MESSAGE_CREATE", LETTER.payload)
    assert letter.reason == "TypeError \N{REPLACEMENT CHARACTER}"
    assert (await store.page(OTHER)).letters == ()


async def test_an_event_that_fails_again_is_one_letter(db: Database) -> None:
    store = DeadLetterStore(db)
    await store.add([LETTER, LETTER])
    await store.add([replace(LETTER, attempts=1, reason="again")])
    [letter] = (await store.page(GUILD)).letters
    assert (letter.attempts, letter.reason) == (4, "again")


async def test_pages_are_newest_first(db: Database) -> None:
    store = DeadLetterStore(db)
    for number in range(5):
        await store.add([replace(LETTER, event_id=f"e{number}")])
    page = await store.page(GUILD, limit=2)
    seen = list(page.letters)
    while page.cursor is not None:
        page = await store.page(GUILD, limit=2, cursor=page.cursor)
        seen += page.letters
    assert [letter.event_id for letter in seen] == ["e4", "e3", "e2", "e1", "e0"]
    with pytest.raises(InvalidCursorError):
        await store.page(GUILD, cursor="x")


async def test_a_guild_has_its_share_and_the_oldest_go(db: Database) -> None:
    store = DeadLetterStore(db, max_per_guild=3)
    await store.add([replace(LETTER, guild_id=OTHER, event_id="theirs")])
    for number in range(6):
        await store.add([replace(LETTER, event_id=f"e{number}")])
    assert [letter.event_id for letter in (await store.page(GUILD)).letters] == ["e5", "e4", "e3"]
    assert len((await store.page(OTHER)).letters) == 1


async def test_a_letter_is_taken_once(db: Database) -> None:
    store = DeadLetterStore(db)
    await store.add([LETTER])
    [letter] = (await store.page(GUILD)).letters
    assert await store.take(OTHER, letter.id) is None
    taken = []

    async def contender() -> None:
        taken.append(await store.take(GUILD, letter.id))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(contender)
    assert [found for found in taken if found] == [letter]


async def test_concurrent_writers_do_not_deadlock(db: Database) -> None:
    store = DeadLetterStore(db, max_per_guild=20)

    async def writer(order: int) -> None:
        batch = [
            replace(LETTER, guild_id=guild, event_id=f"e{number}")
            for number in range(30)[::order]
            for guild in (GUILD, OTHER)[::order]
        ]
        for _ in range(5):
            await store.add(batch)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for order in (1, -1, 1, -1):
                nursery.start_soon(writer, order)
    assert len((await store.page(GUILD, limit=100)).letters) == 20


async def test_clear_and_sweep(db: Database) -> None:
    store = DeadLetterStore(db)
    await store.add([LETTER, replace(LETTER, guild_id=OTHER)])
    assert await store.clear(GUILD) == 1
    assert await store.sweep() == 0
    await db.run(lambda con: con.execute("update dead_letters set at = now() - interval '2 days'"))
    assert await store.sweep(timedelta(days=1)) == 1
