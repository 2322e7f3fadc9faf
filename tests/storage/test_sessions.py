"""Browser sessions and the audit log in PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import trio

from flora.actors.audit import AuditLog
from flora.actors.kernel import ActorSystem, ChildSpec
from flora.ids import GuildId
from flora.storage.audit import AuditStore, NewAuditEntry
from flora.storage.deployments import Actor
from flora.storage.pauses import GuildPauses
from flora.storage.postgres import Database
from flora.storage.sessions import MAX_SESSIONS, DiscordTokens, SessionStore, User, hash_id

ANN, BOB = User("1", "ann", "Ann\0", "abc"), User("2", "bob")
TOKENS = DiscordTokens("access-token-of-discord", "refresh-token-of-discord", 2_000_000_000.0)
DAY = timedelta(days=1)
GARDEN, ORCHARD = GuildId("10"), GuildId("20")


async def test_a_session_is_found_by_its_id_until_it_ends(db: Database) -> None:
    store = SessionStore(db, "x" * 32)
    session_id, session = await store.create(ANN, TOKENS, DAY)
    assert len(session_id) == 24
    assert session.user.global_name == "Ann\N{REPLACEMENT CHARACTER}"
    assert await store.find(session_id) == session
    assert await store.find("a" * 24) is None
    assert await store.tokens(session.sha256) == TOKENS
    fresh = DiscordTokens("new", None, 1.0)
    await store.renew(session.sha256, fresh)
    assert await store.tokens(session.sha256) == fresh
    await store.end(session.sha256)
    await store.end(session.sha256)
    assert await store.find(session_id) is None
    assert await store.tokens(session.sha256) is None


async def test_nothing_of_it_can_be_read_in_the_database(db: Database) -> None:
    store = SessionStore(db, "x" * 32)
    session_id, session = await store.create(ANN, TOKENS, DAY)
    row = await db.run(lambda con: con.fetchrow("select * from sessions"))
    assert row is not None
    said = repr(dict(row)) + bytes(row["discord"]).decode("latin-1")
    for secret in (session_id, TOKENS.access_token, TOKENS.refresh_token):
        assert str(secret) not in said
    # another secret, or another session's row, opens nothing
    assert await SessionStore(db, "y" * 32).tokens(session.sha256) is None
    _, other = await store.create(BOB, TOKENS, DAY)
    await db.run(
        lambda con: con.execute(
            "update sessions set discord = $1 where sha256 = $2", row["discord"], other.sha256
        )
    )
    assert await store.tokens(other.sha256) is None
    assert "access" not in repr(TOKENS)


async def test_sessions_expire_and_are_swept_and_the_oldest_give_way(db: Database) -> None:
    store = SessionStore(db, "x" * 32)
    expired, _ = await store.create(ANN, TOKENS, timedelta(seconds=-1))
    kept, _ = await store.create(BOB, TOKENS, DAY)
    assert await store.find(expired) is None
    assert await store.sweep() == 1
    first = kept
    for _ in range(MAX_SESSIONS):
        newest, _ = await store.create(BOB, TOKENS, DAY)
    assert await store.find(first) is None
    assert await store.find(newest) is not None
    assert await store.end_all(BOB.id) == MAX_SESSIONS
    assert hash_id("a") != hash_id("b")


def entry(number: int, guild_id: GuildId | None = None, user_id: str | None = None) -> NewAuditEntry:
    kind = "session" if user_id else "operator"
    return NewAuditEntry(
        kind, user_id, None, None, "127.0.0.1", f"request-{number}", guild_id, "a.b", "POST", "/x\0", 200
    )


async def test_the_audit_log_is_read_in_pages(db: Database) -> None:
    store = AuditStore(db)
    await store.add([entry(n, (GARDEN, ORCHARD)[n % 2], "1" if n % 3 == 0 else None) for n in range(12)])
    first = await store.page(limit=5)
    assert [each.request_id for each in first.entries] == [f"request-{n}" for n in range(11, 6, -1)]
    rest = await store.page(limit=100, cursor=first.cursor)
    assert ([each.request_id for each in rest.entries][-1], rest.cursor) == ("request-0", None)
    assert {each.guild_id for each in (await store.page(guild_id=GARDEN)).entries} == {GARDEN}
    assert len((await store.page(user_id="1")).entries) == 4
    assert first.entries[0].path == "/x\N{REPLACEMENT CHARACTER}"
    assert await store.sweep(timedelta(days=1)) == 0
    assert await store.sweep(timedelta(seconds=-1)) == 12


async def test_audit_entries_wait_out_a_database_that_is_away(db: Database) -> None:
    log = AuditLog(AuditStore(db), retention=timedelta(days=1))
    async with ActorSystem.open("test") as system:
        ref = await system.spawn(ChildSpec("audit", lambda: log))
        await log.record(entry(1))
        assert log.waiting == 0
        await db.run(lambda con: con.execute("alter table audit_log rename to elsewhere"))
        log.note(entry(2))
        log.note(entry(3))
        with trio.move_on_after(0.3):
            await trio.sleep_forever()
        assert log.waiting == 2
        await db.run(lambda con: con.execute("alter table elsewhere rename to audit_log"))
        await system.stop_actor(ref)
    page = await AuditStore(db).page()
    assert [each.request_id for each in page.entries] == ["request-3", "request-2", "request-1"]


async def test_pauses_are_remembered(db: Database) -> None:
    pauses = await GuildPauses.load(db)
    await pauses.add(GARDEN, Actor("operator"))
    await pauses.add(GARDEN, Actor("session", "1", "ann"))
    await pauses.add(ORCHARD, Actor("token", "1"))
    await pauses.remove(ORCHARD)
    assert pauses.guilds == {GARDEN}
    assert (await GuildPauses.load(db)).guilds == {GARDEN}
