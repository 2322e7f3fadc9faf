"""What is started again when flora starts, and what sleeps: with a real database and real guild processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from flora.actors.core import State
from flora.actors.restorer import GUILD_BYTES, Manifests, plan, restore
from flora.build.types import Bundle
from flora.config import RuntimeConfig
from flora.engine.api import Manifest
from flora.ids import GuildId
from flora.storage.aio import open_aio
from flora.storage.deployments import Actor, Deployment, DeploymentStore, NewRevision
from flora.storage.manifests import ManifestStore, StoredManifest
from flora.storage.postgres import Database
from tests.actors.rig import COUNTING, rig
from tests.storage.conftest import POSTGRES_URL, fresh_database, need_server

ANN = Actor("operator")
SDK = bytes(32)
QUIET = StoredManifest(frozenset({"MESSAGE_CREATE"}), None, timers=False)
RESTLESS = replace(QUIET, timers=True)
TICKING = COUNTING + "setInterval(() => {}, 3600000);"
BROKEN = 'throw new Error("no");'


@pytest.fixture
def database_url() -> Iterator[str]:
    yield from fresh_database(need_server(POSTGRES_URL, 5432))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async with open_aio(), Database.open(database_url, max_connections=4) as database:
        await database.migrate()
        yield database


def deployment(number: int) -> Deployment:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    return Deployment(
        guild_id=GuildId(str(number)),
        entry_point="src/main.ts",
        code="",
        source_map="",
        revision_id=uuid4(),
        created_at=at,
        updated_at=at,
    )


def names(deployments: Sequence[Deployment]) -> list[str]:
    return [each.guild_id for each in deployments]


def test_all_start_where_all_fit() -> None:
    found = plan([deployment(1), deployment(2)], {}, room=2)
    assert (names(found.start), names(found.learn), names(found.asleep)) == (["2", "1"], [], [])


def test_what_was_deployed_last_starts_and_what_is_not_known_is_learned() -> None:
    manifests = {GuildId(str(number)): QUIET for number in (1, 3, 5)}
    found = plan([deployment(number) for number in range(1, 6)], manifests, room=2)
    assert (names(found.start), names(found.learn), names(found.asleep)) == (["5", "4"], ["2"], ["3", "1"])


def test_what_has_timers_starts_even_where_it_does_not_fit() -> None:
    manifests = {GuildId("1"): RESTLESS, GuildId("2"): RESTLESS, GuildId("3"): QUIET}
    found = plan([deployment(number) for number in range(1, 4)], manifests, room=1)
    assert (names(found.start), names(found.asleep)) == (["2", "1"], ["3"])


async def deploy(db: Database, codes: dict[str, str]) -> list[Deployment]:
    """As the deployment service leaves it, with nothing known of what the scripts declare."""
    store = DeploymentStore(db)
    for guild, code in codes.items():
        bundle = Bundle("src/main.ts", code, "", ())
        await store.record_success(NewRevision(GuildId(guild), bundle, "cli", ANN))
    return await store.active()


@pytest.fixture
def small() -> RuntimeConfig:
    """Memory for 19 guilds."""
    config = RuntimeConfig(max_workers=2, memory_budget_mb=64)
    assert 64 * 2**20 * 9 // 10 // GUILD_BYTES == 19
    return config


async def test_what_does_not_fit_is_learned_once_and_sleeps_from_then_on(
    db: Database, small: RuntimeConfig
) -> None:
    found = await deploy(db, {str(100 + number): COUNTING for number in range(22)})
    store = ManifestStore(db, SDK)
    async with rig(small) as it:
        manifests = Manifests(store, it.runtime)
        assert await restore(found, it.runtime, manifests) == 22
        for guild in ("100", "101", "102"):
            await it.until_state(State.ASLEEP, GuildId(guild))
        known = await manifests.known()
        assert {name: each.timers for name, each in known.items()} == {each.guild_id: False for each in found}
        assert known[GuildId("100")].listens == {"MESSAGE_CREATE"}
        it.send("hello", GuildId("100"))
        assert await it.until_lines(1, GuildId("100")) == ["1 hello"]
        starts = it.engine.report().starts
        assert starts == 22 + 1
    async with rig(small) as it:
        assert await restore(found, it.runtime, Manifests(store, it.runtime)) == 22
        assert it.engine.report().starts == 19, "the others were not started"
        assert dict(it.board.core.listened())[GuildId("100")] == {"MESSAGE_CREATE"}
        it.send("hello", GuildId("100"))
        assert await it.until_lines(1, GuildId("100")) == ["1 hello"]


async def test_timers_are_learned_and_a_broken_script_harms_nobody(db: Database) -> None:
    found = await deploy(db, {"1": TICKING, "2": BROKEN, "3": COUNTING})
    async with rig() as it:
        manifests = Manifests(ManifestStore(db, SDK), it.runtime)
        assert await restore(found, it.runtime, manifests) == 2
        known = await manifests.known()
        assert {name: each.timers for name, each in known.items()} == {"1": True, "3": False}


async def test_a_manifest_counts_for_its_revision_and_its_sdk(db: Database) -> None:
    (found,) = await deploy(db, {"1": COUNTING})
    store = ManifestStore(db, SDK)
    await store.record(found.guild_id, found.revision_id, replace(QUIET, commands=b'[{"name":"hi"}]'))
    assert await store.current() == {"1": StoredManifest(QUIET.listens, b'[{"name":"hi"}]', timers=False)}
    assert await ManifestStore(db, bytes([1] * 32)).current() == {}
    (after,) = await deploy(db, {"1": COUNTING + "//"})
    assert await store.current() == {}
    await store.record(after.guild_id, after.revision_id, RESTLESS)
    assert await store.current() == {"1": RESTLESS}
    await DeploymentStore(db).remove(after.guild_id)
    await store.record(after.guild_id, after.revision_id, RESTLESS)
    assert await store.current() == {}, "undeployed meanwhile"


async def test_what_is_not_there_any_more_is_not_learned(db: Database) -> None:
    (found,) = await deploy(db, {"1": COUNTING})
    async with rig() as it:
        manifests = Manifests(ManifestStore(db, SDK), it.runtime)
        await manifests.learn(found.guild_id, found.revision_id, Manifest(frozenset()))
        assert await manifests.known() == {}
