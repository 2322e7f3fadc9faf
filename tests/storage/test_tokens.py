"""API tokens: made once, shown once, kept as a hash."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio

from flora.ids import GuildId, Snowflake
from flora.storage.postgres import Database
from flora.storage.tokens import MAX_TOKENS, TokenLimitError, TokenStore, hash_token

ALICE, BOB = Snowflake("1"), Snowflake("2")
GUILD, OTHER = GuildId("10"), GuildId("20")


def test_the_hash_is_the_original_systems() -> None:
    assert hash_token("AAAAAAAAAAAA." + "B" * 32).hex() == (
        "b7e35977866bf03c1b302e6bb15e4e7949e99f2b631d166c527c807ae16bb629"
    )


async def test_a_token_is_known_by_its_text_and_nothing_else(db: Database) -> None:
    store = TokenStore(db)
    token, text = await store.create(ALICE, label="laptop")
    assert (len(text), text.split(".")[0]) == (45, token.id)
    found = await store.verify(text)
    assert found == token
    for wrong in (
        "",
        ".",
        token.id,
        text[:-1],
        text + "x",
        text.swapcase(),
        f"{text[:12]}.{'٣' * 32}",
        "\0" * 45,
    ):
        assert await store.verify(wrong) is None
    stored = await db.run(lambda con: con.fetchval("select t::text from api_tokens t"))
    assert text.split(".")[1] not in stored


async def test_an_expired_token_is_refused_and_swept_later(db: Database) -> None:
    store = TokenStore(db)
    token, text = await store.create(ALICE, lifetime=timedelta(hours=1))
    assert await store.verify(text) is not None
    await db.run(lambda con: con.execute("update api_tokens set expires_at = now() - interval '1 second'"))
    assert await store.verify(text) is None
    assert await store.sweep() == 0
    assert [listed.id for listed in await store.list(ALICE)] == [token.id]
    await db.run(lambda con: con.execute("update api_tokens set expires_at = now() - interval '31 days'"))
    assert await store.sweep() == 1


async def test_its_last_use_is_noted_at_most_once_a_minute(db: Database) -> None:
    store = TokenStore(db)
    _, text = await store.create(ALICE)
    assert (await store.list(ALICE))[0].last_used_at is None
    await store.verify(text)
    first = (await store.list(ALICE))[0].last_used_at
    assert first is not None
    await store.verify(text)
    assert (await store.list(ALICE))[0].last_used_at == first
    await db.run(lambda con: con.execute("update api_tokens set last_used_at = now() - interval '2 minutes'"))
    await store.verify(text)
    last = (await store.list(ALICE))[0].last_used_at
    assert last is not None
    assert last >= first


async def test_a_token_reaches_as_far_as_its_scope(db: Database) -> None:
    store = TokenStore(db)
    narrow, text = await store.create(ALICE, rights="deploy", guild_ids=[GUILD])
    found = await store.verify(text)
    assert found == narrow
    assert narrow.allows("read", GUILD)
    assert narrow.allows("deploy", GUILD)
    assert not narrow.allows("admin", GUILD)
    assert not narrow.allows("read", OTHER)
    wide, _ = await store.create(ALICE, rights="read")
    assert wide.allows("read", OTHER)
    assert not wide.allows("deploy", OTHER)
    none, _ = await store.create(ALICE, guild_ids=[])
    assert none.guild_ids == ()
    assert not none.allows("read", GUILD)


async def test_only_its_owner_sees_and_revokes_a_token(db: Database) -> None:
    store = TokenStore(db)
    token, text = await store.create(ALICE)
    assert await store.list(BOB) == []
    assert not await store.revoke(BOB, token.id)
    assert not await store.revoke(ALICE, "no\0such")
    assert await store.verify(text) is not None
    assert await store.revoke(ALICE, token.id)
    assert await store.verify(text) is None


async def test_a_user_has_a_limited_number_even_when_asking_all_at_once(db: Database) -> None:
    store = TokenStore(db)
    refused = 0

    async def ask() -> None:
        nonlocal refused
        try:
            await store.create(ALICE, label="\0" + "x" * 500)
        except TokenLimitError:
            refused += 1

    async with trio.open_nursery() as nursery:
        for _ in range(MAX_TOKENS + 5):
            nursery.start_soon(ask)
    assert refused == 5
    assert len(await store.list(ALICE)) == MAX_TOKENS
    with pytest.raises(TokenLimitError):
        await store.create(ALICE)
    await store.create(BOB)
