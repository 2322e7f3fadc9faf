"""Application commands: Discord has what the script declares, asked once per change, across restarts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio

from flora.actors import commands
from flora.actors.commands import CommandRegistry, CommandsDeclared
from flora.actors.kernel import ActorRef, ActorSystem, Backoff, ChildSpec
from flora.actors.loghub import LogHub
from flora.gateway.rest import DiscordRest
from flora.ids import GuildId
from flora.net.http import HttpClient
from flora.storage.aio import open_aio
from flora.storage.commands import CommandStore
from flora.storage.postgres import Database
from tests.net.loopback import Answer, Request, http_server
from tests.storage.conftest import POSTGRES_URL, fresh_database, need_server

GARDEN, GREENHOUSE = GuildId("100"), GuildId("200")
PING = {"type": 1, "name": "ping", "description": "d"}
POLL = {"type": 1, "name": "poll", "description": "d"}


@pytest.fixture
def database_url() -> Iterator[str]:
    yield from fresh_database(need_server(POSTGRES_URL, 5432))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async with open_aio(), Database.open(database_url, max_connections=4) as database:
        await database.migrate()
        yield database


@dataclass
class Discord:
    """Keeps the commands of each guild as a bulk overwrite leaves them, and all that it was asked."""

    commands: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refusals: list[Answer] = field(default_factory=list)
    """Answers to give first."""

    async def answer(self, request: Request) -> Answer:
        _, _, guild_id = request.target.rpartition("/commands")[0].rpartition("/")
        self.asked.append(f"{request.method} {request.target}")
        if self.refusals:
            return self.refusals.pop(0)
        self.commands[guild_id] = [command["name"] for command in json.loads(request.body)]
        return Answer(200, b"[]")


class Registry(CommandRegistry):
    """Knows when it has done all that it was told."""

    received = 0

    async def receive(self, message: CommandsDeclared) -> None:
        await super().receive(message)
        self.received += 1

    @property
    def idle(self) -> bool:
        return not self._wanted


@dataclass
class Life:
    """One life of a host."""

    registry: Registry
    ref: ActorRef[CommandsDeclared]
    logs: LogHub

    async def declare(self, guild_id: GuildId, *declarations: list[dict[str, Any]] | None) -> None:
        """A script says what it wants, once or in quick succession; returns when all is done about it."""
        wanted = self.registry.received + len(declarations)
        for declared in declarations:
            text = None if declared is None else json.dumps(declared).encode()
            self.ref.tell(CommandsDeclared(guild_id, text))
        with trio.fail_after(30):
            while self.registry.received < wanted or not self.registry.idle:
                await trio.sleep(0.005)


@asynccontextmanager
async def life(db: Database, discord: Discord) -> AsyncIterator[Life]:
    logs = LogHub()
    async with (
        http_server(discord.answer) as server,
        HttpClient() as http,
        ActorSystem.open("test") as system,
    ):
        rest = DiscordRest(http, base_url=server.url("").rstrip("/"), token="bot-token")
        registry = Registry(rest, CommandStore(db), logs, "10")
        yield Life(registry, await system.spawn(ChildSpec("commands", lambda: registry)), logs)


async def test_what_is_created_changed_and_removed_is_registered_once_per_change(db: Database) -> None:
    discord = Discord()
    async with life(db, discord) as host:
        await host.declare(GARDEN, None)
        assert discord.asked == []  # nothing was there and nothing is wanted
        for wanted in ([PING], [PING, POLL], [{**PING, "description": "new"}], []):
            for _ in range(3):
                await host.declare(GARDEN, wanted)
            assert discord.commands[GARDEN] == [command["name"] for command in wanted]
        assert discord.asked == ["PUT /applications/10/guilds/100/commands"] * 4
        await host.declare(GREENHOUSE, [PING])
        assert discord.commands == {GARDEN: [], GREENHOUSE: ["ping"]}


async def test_a_restart_asks_for_changes_only(db: Database) -> None:
    discord = Discord()
    async with life(db, discord) as host:
        await host.declare(GARDEN, [PING])
        await host.declare(GREENHOUSE, [PING])
    discord.asked.clear()
    async with life(db, discord) as host:
        await host.declare(GARDEN, [PING])
        assert discord.asked == []
        await host.declare(GREENHOUSE, None)  # its script has none any more
        assert discord.commands == {GARDEN: ["ping"], GREENHOUSE: []}
        assert len(discord.asked) == 1


async def test_of_changes_in_quick_succession_the_last_counts(db: Database) -> None:
    discord = Discord()
    async with life(db, discord) as host:
        await host.declare(GARDEN, [PING], [POLL], [PING, POLL], [POLL])
    assert discord.commands[GARDEN] == ["poll"]


async def test_a_refusal_is_a_line_in_the_guild_s_log_and_ends_there(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after failures of Discord's own, which are tried again."""
    monkeypatch.setattr(commands, "RETRY", Backoff(initial=0.01, factor=1.0, maximum=0.01))
    refused = Answer(400, json.dumps({"message": "Invalid Form Body", "code": 50035}).encode())
    discord = Discord(refusals=[*[Answer(500, b"{}")] * 3, refused])
    async with life(db, discord) as host:
        await host.declare(GARDEN, [PING])
        lines = [entry.message for entry in host.logs.recent(GARDEN)]
        assert len(lines) == 1
        assert "refused" in lines[0]
        assert "Invalid Form Body" in lines[0]
        assert GARDEN not in discord.commands
        await host.declare(GARDEN, [POLL])
        assert discord.commands[GARDEN] == ["poll"]


async def test_what_discord_could_not_take_is_tried_again(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "RETRY", Backoff(initial=0.01, factor=1.0, maximum=0.01))
    discord = Discord(refusals=[Answer(500, b"{}")] * 4)
    async with life(db, discord) as host:
        await host.declare(GARDEN, [PING])
        assert host.logs.recent(GARDEN) == []
    assert discord.commands[GARDEN] == ["ping"]
