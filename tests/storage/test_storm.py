"""Two thousand cancelled operations over all stores of the database: none of them, nor the pool, is hurt."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable

import trio

from flora.build.types import Bundle
from flora.ids import GuildId, Snowflake
from flora.storage.commands import CommandStore
from flora.storage.dead_letters import DeadLetterStore, NewDeadLetter
from flora.storage.departures import DepartureStore
from flora.storage.deployments import Actor, DeploymentStore, NewRevision
from flora.storage.gateway_cursors import GatewayCursor, GatewayCursorStore
from flora.storage.postgres import Database
from flora.storage.secrets import KeyRing, MasterKey, SecretVault
from flora.storage.tokens import TokenLimitError, TokenStore
from tests.storage.test_postgres import STORM, healthy

GUILDS = [GuildId(str(number)) for number in range(1, 6)]
ALICE = Snowflake("1")
KEYS = KeyRing(MasterKey(bytes(32)))


async def test_a_storm_over_all_stores_leaves_them_healthy(db: Database) -> None:
    dice = random.Random(1)
    deployments, letters, tokens = DeploymentStore(db), DeadLetterStore(db), TokenStore(db)
    cursors, commands, departures = GatewayCursorStore(db), CommandStore(db), DepartureStore(db, "7")
    vault = await SecretVault.open(db, KEYS)
    done = {"acknowledged": 0, "cancelled": 0}

    async def deploy(guild: GuildId, number: int) -> None:
        bundle = Bundle("src/main.ts", f"version {number % 7}", "{}", ())
        await deployments.record_success(NewRevision(guild, bundle, "cli", Actor("system")))

    async def letter(guild: GuildId, number: int) -> None:
        await letters.add([NewDeadLetter(guild, f"e{number % 50}", "X", b"{}", 1, "why")])

    async def token(guild: GuildId, number: int) -> None:
        try:
            made, text = await tokens.create(ALICE, label="x")
        except TokenLimitError:
            for old in await tokens.list(ALICE):
                await tokens.revoke(ALICE, old.id)
        else:
            found = await tokens.verify(text)
            assert found is None or found.id == made.id, "an answer to another's question"

    async def secret(guild: GuildId, number: int) -> None:
        await vault.put(guild, f"s{number % 5}", str(number))

    async def unsecret(guild: GuildId, number: int) -> None:
        await vault.delete(guild, f"s{number % 5}")

    async def cursor(guild: GuildId, number: int) -> None:
        await cursors.save(GatewayCursor("7", 0, 1, "session", "wss://gateway.example", number + 1))

    async def command(guild: GuildId, number: int) -> None:
        await commands.record(guild, number.to_bytes(32, "big"))

    async def departure(guild: GuildId, number: int) -> None:
        await (departures.left if number % 2 else departures.returned)(guild)

    made: list[Callable[[GuildId, int], Awaitable[None]]] = [
        deploy,
        letter,
        token,
        secret,
        unsecret,
        cursor,
        command,
        departure,
    ]

    async def victim(number: int, patience: float) -> None:
        with trio.move_on_after(patience) as scope:
            await made[number % len(made)](dice.choice(GUILDS), number)
            done["acknowledged"] += 1
        done["cancelled"] += scope.cancelled_caught

    async def some() -> None:
        """Forty at a time, so that most are cancelled at work and not in the queue for a connection."""
        while numbers:
            number = numbers.pop()
            await victim(number, dice.random() * 0.05 if number % 16 < 14 else math.inf)

    numbers = list(range(STORM))
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(some)
    assert done["acknowledged"] + done["cancelled"] == STORM
    assert done["acknowledged"] >= STORM // 10
    await healthy(db)

    for guild in GUILDS:
        await deploy(guild, 1)
    again = await SecretVault.open(db, KEYS)
    assert [d.revision_id for d in await deployments.active()] == [
        (await deployments.history(guild, limit=1)).revisions[0].id for guild in GUILDS
    ]
    for guild in GUILDS:
        assert again.of(guild).placeholders() == vault.of(guild).placeholders(), "memory and database agree"
        page = await letters.page(guild, limit=100)
        assert len({kept.event_id for kept in page.letters}) == len(page.letters)
    unused = """select count(*) from bundles b
                where not exists (select from revisions r where r.bundle_sha256 = b.sha256)"""
    await deployments.sweep()
    assert await db.run(lambda con: con.fetchval(unused)) == 0
