"""A Discord on loopback for ops: two guilds, a bot in both, and all that is asked of it written down."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from flora.engine.api import OpCall
from flora.gateway.guilds import GuildCache
from flora.gateway.rest import DiscordRest
from flora.ids import GuildId
from flora.net.http import HttpClient
from flora.ops import OpContext, run_op
from flora.ops.scope import ChannelScope, InteractionBook
from flora.storage.cache import MemoryCache
from flora.storage.kv import GuildKv
from tests.net.loopback import Answer, Request, http_server

GUILD, FOREIGN = GuildId("100"), GuildId("900")
APPLICATION, BOT = "10", "11"
CHANNEL, OTHER_CHANNEL, THREAD, FOREIGN_CHANNEL, DM = "120", "121", "122", "920", "930"
WEBHOOK, FOREIGN_WEBHOOK = "140", "940"
INVITE, FOREIGN_INVITE = "garden", "elsewhere"
INTERACTION, TOKEN = "150", "token-of-garden"
FOREIGN_INTERACTION, FOREIGN_TOKEN = "950", "token-of-elsewhere"
MEMBER = "160"

CHANNELS: dict[str, dict[str, Any]] = {
    CHANNEL: {"type": 0, "guild_id": GUILD},
    OTHER_CHANNEL: {"type": 5, "guild_id": GUILD},
    THREAD: {"type": 11, "guild_id": GUILD, "parent_id": CHANNEL},
    FOREIGN_CHANNEL: {"type": 0, "guild_id": FOREIGN},
    DM: {"type": 1},
}
WEBHOOKS = {WEBHOOK: GUILD, FOREIGN_WEBHOOK: FOREIGN}
INVITES = {INVITE: GUILD, FOREIGN_INVITE: FOREIGN}

FOREIGN_IDS = (FOREIGN, FOREIGN_CHANNEL, DM, FOREIGN_WEBHOOK, FOREIGN_INVITE, FOREIGN_TOKEN)
ANSWERED = {"token-before-restart": CHANNEL, FOREIGN_TOKEN: FOREIGN_CHANNEL}
"""The channel of the first answer to interactions that this life of flora did not see."""
LOOK_UP = re.compile(
    r"GET /(channels/\d+|webhooks/\d+(/[^/]+)?|invites/[^/]+"
    rf"|webhooks/\d+/(?!{TOKEN}/)[^/]+/messages/@original)"
)


@dataclass(frozen=True)
class Asked:
    """One request as Discord got it."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def reason(self) -> str | None:
        reason = self.headers.get("x-audit-log-reason")
        return None if reason is None else unquote(reason)


@dataclass
class World:
    ctx: OpContext
    guilds: GuildCache
    store: MemoryCache
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    """By request line; a bare {} for what is not listed."""

    async def op(self, name: str, args: Any, *, event: str | None = "event", index: int = 0) -> Any:
        """Raises OpError."""
        text = args if isinstance(args, bytes) else json.dumps(args).encode()
        return json.loads(await run_op(self.ctx, OpCall(name, text, event, index)))

    @property
    def deeds(self) -> list[Asked]:
        """What was asked besides whose something is."""
        return [each for each in self.asked if not LOOK_UP.fullmatch(each.line)]

    def give(self, line: str, value: Any, status: int = 200) -> None:
        self.answers[line] = Answer(status, json.dumps(value).encode())

    async def answer(self, request: Request) -> Answer:
        url = urlsplit(request.target)
        asked = Asked(request.method, unquote(url.path), parse_qs(url.query), request.headers, request.body)
        self.asked.append(asked)
        if (given := self.answers.get(asked.line)) is not None:
            return given
        match asked.line.replace("GET /", "").split("/"):
            case ["channels", id_]:
                return _found(CHANNELS, id_, {"id": id_, **CHANNELS.get(id_, {})})
            case ["webhooks", id_] | ["webhooks", id_, _]:
                return _found(WEBHOOKS, id_, {"id": id_, "guild_id": WEBHOOKS.get(id_)})
            case ["webhooks", _, token, "messages", "@original"] if token != TOKEN:
                return _found(ANSWERED, token, {"id": "1", "channel_id": ANSWERED.get(token)})
            case ["invites", code]:
                return _found(INVITES, code, {"code": code, "guild": {"id": INVITES.get(code)}})
        return Answer(200, b"{}")


def _found(where: dict[str, Any], key: str, value: Any) -> Answer:
    if key in where:
        return Answer(200, json.dumps(value).encode())
    return Answer(404, b'{"message": "Unknown", "code": 10003}')


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """The script of GUILD, which has one interaction open; the gateway has told nothing of its channels."""
    made: list[World] = []

    async def handle(request: Request) -> Answer:
        return await made[0].answer(request)

    guilds, store = GuildCache(), MemoryCache()
    interactions = InteractionBook()
    interactions.remember(json.dumps({"id": INTERACTION, "token": TOKEN}).encode())
    with tempfile.TemporaryDirectory() as folder:
        async with (
            http_server(handle) as server,
            HttpClient() as http,
            GuildKv.open(Path(folder)) as kv,
        ):
            rest = DiscordRest(http, base_url=server.url("").rstrip("/"), token="bot-token")
            ctx = OpContext(
                guild_id=GUILD,
                application_id=APPLICATION,
                rest=rest,
                channels=ChannelScope(guilds, rest, store),
                interactions=interactions,
                kv=kv,
            )
            made.append(World(ctx, guilds, store))
            yield made[0]
