"""Deployments: what a guild runs, and its history."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from flora.build.types import Bundle, SourceFile
from flora.ids import GuildId
from flora.storage.cursors import InvalidCursorError
from flora.storage.deployments import (
    Actor,
    ChangeSummary,
    DeploymentHead,
    DeploymentStore,
    InvalidBundleError,
    NewRevision,
    Retention,
    RevisionNotFoundError,
    _digest,
    _summary,
)
from flora.storage.postgres import Connection, Database

from .conftest import LOSE_FIRST_COMMIT

GUILD = GuildId("81384788765712384")
OTHER = GuildId("999000000000000000")
ALICE = Actor("token", "42", "alice")


def bundle(code: str = "on()", **files: str) -> Bundle:
    sources = tuple(SourceFile(f"src/{name}.ts", text) for name, text in files.items())
    return Bundle("src/main.ts", code, '{"version":3}', sources)


def new(code: str = "on()", guild: GuildId = GUILD, **files: str) -> NewRevision:
    return NewRevision(guild, bundle(code, **files), "cli", ALICE)


async def count(db: Database, table: str) -> int:
    return await db.run(lambda con: con.fetchval(f"select count(*) from {table}"))


async def test_a_deploy_survives_that_the_database_is_lost_in_its_commit(db: Database) -> None:
    store = DeploymentStore(db)
    await db.run(lambda con: con.execute(LOSE_FIRST_COMMIT.format(table="revisions")))
    revision = await store.record_success(new("one"))
    deployment = await store.get(GUILD)
    assert deployment is not None
    assert deployment.revision_id == revision.id
    assert await count(db, "revisions") == 1


async def test_a_deploy_whose_commit_was_applied_but_not_acknowledged_is_recorded_once(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    transact, applied_before = db.transact, []

    async def again(unit: Callable[[Connection], Awaitable[object]], *, idempotent: bool = False) -> object:
        if idempotent:
            await transact(unit)
            applied_before.append(unit)
        return await transact(unit)

    store = DeploymentStore(db)
    base = await store.record_success(new("one"))
    monkeypatch.setattr(db, "transact", again)
    revision = await store.record_success(new("two"))
    assert len(applied_before) == 1
    assert (revision.base_revision_id, await count(db, "revisions")) == (base.id, 2)
    deployment = await store.get(GUILD)
    assert deployment is not None
    assert deployment.revision_id == revision.id


async def test_what_was_deployed_last_is_what_runs(db: Database) -> None:
    store = DeploymentStore(db)
    assert await store.get(GUILD) is None
    first = await store.record_success(new("one"))
    second = await store.record_success(new("two"))
    deployment = await store.get(GUILD)
    assert deployment is not None
    assert (deployment.code, deployment.revision_id) == ("two", second.id)
    assert deployment.source_map == '{"version":3}'
    assert deployment.created_at < deployment.updated_at
    assert (first.base_revision_id, second.base_revision_id) == (None, first.id)
    assert first.actor == ALICE


async def test_a_refused_script_is_history_and_the_previous_one_stays(db: Database) -> None:
    store = DeploymentStore(db)
    good = await store.record_success(new("good"))
    bad = await store.record_failure(new("bad"), "TypeError: x is not a function")
    assert (bad.status, bad.error, bad.base_revision_id) == (
        "failed",
        "TypeError: x is not a function",
        good.id,
    )
    deployment = await store.get(GUILD)
    assert deployment is not None
    assert deployment.revision_id == good.id
    assert (await store.bundle(GUILD, bad.id)).code == "bad"


async def test_active_gives_every_guild_in_order(db: Database) -> None:
    store = DeploymentStore(db)
    await store.record_success(new("same", OTHER))
    await store.record_success(new("same", GUILD))
    await store.record_failure(new("never", GuildId("7")), "no")
    deployments = await store.active()
    assert [deployment.guild_id for deployment in deployments] == [GUILD, OTHER]
    assert deployments[0].code is deployments[1].code, "one bundle, one text in memory"


async def test_what_runs_comes_in_pages_in_the_order_of_ids(db: Database) -> None:
    store = DeploymentStore(db)
    for number in ("9", "10", "81384788765712384", "999"):
        await store.record_success(new("same", GuildId(number)))
    first = await store.page(after=0, limit=3)
    assert [each.guild_id for each in first] == ["9", "10", "999"]
    assert (first[0].entry_point, type(first[0])) == ("src/main.ts", DeploymentHead)
    assert [each.guild_id for each in await store.page(after=999, limit=3)] == [GUILD]
    some = await store.page(after=9, limit=9, among=[GuildId("9"), GUILD, OTHER])
    assert [each.guild_id for each in some] == [GUILD]
    assert await store.page(after=0, limit=9, among=[]) == []


async def test_a_hundred_deploys_of_one_project_are_stored_once(db: Database) -> None:
    store = DeploymentStore(db)
    for _ in range(100):
        await store.record_success(new("same", main="x" * 1000))
    assert await count(db, "revisions") == 100
    assert await count(db, "bundles") == 1


async def test_rollback_is_a_deploy_of_an_earlier_bundle(db: Database) -> None:
    store = DeploymentStore(db)
    first = await store.record_success(new("one", main="1", old="o"))
    await store.record_success(new("two", main="2"))
    back = await store.bundle(GUILD, first.id)
    assert back == bundle("one", main="1", old="o")
    rolled = await store.record_success(NewRevision(GUILD, back, "api", ALICE))
    assert rolled.change_summary == ChangeSummary(added_files=1, removed_files=0, modified_files=1)
    assert await store.files(GUILD, rolled.id) == back.files


async def test_history_is_newest_first_and_pages_hold_still(db: Database) -> None:
    store = DeploymentStore(db)
    made = [(await store.record_success(new(str(i)))).id for i in range(5)]
    await store.record_success(new("elsewhere", OTHER))
    page = await store.history(GUILD, limit=2)
    seen = [revision.id for revision in page.revisions]
    await store.record_success(new("later"))
    while page.cursor is not None:
        page = await store.history(GUILD, limit=2, cursor=page.cursor)
        seen += [revision.id for revision in page.revisions]
    assert seen == made[::-1]


@pytest.mark.parametrize("cursor", ["", "-1", "1; drop table revisions", "9" * 30, "٣"])
async def test_a_foreign_cursor_is_refused(db: Database, cursor: str) -> None:
    with pytest.raises(InvalidCursorError):
        await DeploymentStore(db).history(GUILD, cursor=cursor)


async def test_a_guild_cannot_read_another_guilds_revision(db: Database) -> None:
    store = DeploymentStore(db)
    theirs = await store.record_success(new("secret", OTHER))
    for read in (store.revision, store.bundle, store.files):
        with pytest.raises(RevisionNotFoundError):
            await read(GUILD, theirs.id)
        with pytest.raises(RevisionNotFoundError):
            await read(OTHER, uuid4())


async def test_retention_by_count_keeps_what_runs_and_drops_bundles(db: Database) -> None:
    store = DeploymentStore(db, retention=Retention(max_revisions=3))
    current = await store.record_success(new("current"))
    for i in range(6):
        await store.record_failure(new(f"bad {i}"), "no")
    ids = {revision.id for revision in (await store.history(GUILD)).revisions}
    assert len(ids) == 4, "three failures, and what runs"
    assert current.id in ids
    for i in range(6):
        await store.record_success(new(f"good {i}"))
    assert await count(db, "revisions") == 6
    assert await count(db, "bundles") == 6


async def test_retention_by_age_keeps_what_runs(db: Database) -> None:
    store = DeploymentStore(db)
    for code in ("one", "two", "three"):
        await store.record_success(new(code))
    await db.run(lambda con: con.execute("update revisions set deployed_at = now() - interval '40 days'"))
    strict = DeploymentStore(db, retention=Retention(max_age=timedelta(days=30)))
    assert await strict.prune(GUILD) == 2
    assert [d.code for d in await store.active()] == ["three"]


async def test_remove_keeps_history_and_forget_does_not(db: Database) -> None:
    store = DeploymentStore(db)
    await store.record_success(new("shared", OTHER))
    await store.record_success(new("shared"))
    await store.record_success(new("mine"))
    assert await store.remove(GUILD)
    assert not await store.remove(GUILD)
    assert await store.get(GUILD) is None
    assert len((await store.history(GUILD)).revisions) == 2
    await store.forget(GUILD)
    assert (await store.history(GUILD)).revisions == ()
    assert await count(db, "bundles") == 1, "the other guild's is untouched"
    assert (await store.active())[0].code == "shared"


async def test_sweep_removes_what_a_crash_left(db: Database) -> None:
    store = DeploymentStore(db)
    await store.record_success(new("kept"))
    await db.run(
        lambda con: con.execute(
            "insert into bundles values (sha256('orphan'), 'a', 'b', 'c', '[]')",
        )
    )
    await store.sweep()
    assert [d.code for d in await store.active()] == ["kept"]
    assert await count(db, "bundles") == 1


async def test_concurrent_deploys_and_collections_of_one_bundle_do_not_collide(db: Database) -> None:
    store = DeploymentStore(db, retention=Retention(max_revisions=1))

    async def guild(number: int) -> None:
        me = GuildId(str(number))
        for i in range(8):
            await store.record_success(new(f"shared {i % 2}", me))
            if i % 3 == 2:
                await store.forget(me)
        await store.record_success(new("shared 0", me))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for number in range(1, 9):
                nursery.start_soon(guild, number)
    assert {d.code for d in await store.active()} == {"shared 0"}
    assert await count(db, "bundles") == 1


async def test_any_text_that_is_unicode_comes_back_as_it_was(db: Database) -> None:
    store = DeploymentStore(db)
    odd = Bundle("src/\0.ts", "a\0b \U0001f33a \u2028", "{}", (SourceFile("a\0", "\0\ufeff\r\n"),))
    revision = await store.record_success(
        NewRevision(GUILD, odd, "unknown", Actor("session", "1", "n\0me"), build_id="b\0")
    )
    assert (
        revision.build_id == (await store.page(after=0, limit=1))[0].build_id == "b\N{REPLACEMENT CHARACTER}"
    )
    stored = await store.bundle(GUILD, revision.id)
    assert (stored.code, stored.files) == (odd.code, odd.files)
    failed = await store.record_failure(new("x"), "bad \0 \ud800 text")
    assert failed.error == "bad \N{REPLACEMENT CHARACTER} ? text"


@pytest.mark.parametrize(
    "bad",
    [
        Bundle("a", "\ud800", "{}", ()),
        Bundle("a", "", "\udfff", ()),
        Bundle("a", "", "{}", (SourceFile("\ud800", ""),)),
        Bundle("\ud800", "", "{}", ()),
    ],
)
async def test_a_text_that_is_not_unicode_is_refused(db: Database, bad: Bundle) -> None:
    with pytest.raises(InvalidBundleError):
        await DeploymentStore(db).record_success(NewRevision(GUILD, bad, "cli", ALICE))
    assert await count(db, "revisions") == 0


FILES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["", "x", "y"]))


@given(FILES, FILES)
def test_the_change_summary_counts_every_path_once(before: dict[str, str], after: dict[str, str]) -> None:
    def files(tree: dict[str, str]) -> list[SourceFile]:
        return [SourceFile(path, text) for path, text in tree.items()]

    summary = _summary(files(before), files(after))
    if summary is None:
        assert not before
        assert not after
        return
    same = sum(1 for path, text in before.items() if after.get(path) == text)
    assert summary.added_files + summary.modified_files + same == len(after)
    assert summary.removed_files + summary.modified_files + same == len(before)


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_different_parts_never_share_an_address(one: list[bytes], two: list[bytes]) -> None:
    assert (_digest(*one) == _digest(*two)) == (one == two)
