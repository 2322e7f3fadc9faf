"""Scope: an op of one guild reaches that guild alone.

Channels are looked up in the gateway's cache first, then in the shared cache, and at Discord only when
neither knows them; webhooks likewise. What belongs to which guild never changes, so it may be remembered.
Interaction tokens count for the guild that received them, for the 15 minutes that Discord honours them;
Discord is asked for those that came before a restart.
Source: Discord Developer Docs, "Receiving and Responding to Interactions".
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec
import trio

from flora.engine.api import OpError
from flora.gateway.errors import DiscordHttpError
from flora.gateway.guilds import GuildCache
from flora.gateway.rest import DiscordRest
from flora.gateway.routes import Route
from flora.ids import GuildId, Snowflake
from flora.ops.arguments import snowflake
from flora.ops.errors import scope_forbidden
from flora.storage.cache import Cache

INTERACTION_LIFETIME_SECS: Final = 15 * 60.0
UNKNOWN_INTERACTION: Final = "interaction is unknown to this guild or older than 15 minutes"
MAX_INTERACTIONS: Final = 10_000  # of one guild; the oldest go first
REMEMBERED_SECS: Final = 21_600.0
"""How long an answer of Discord's is kept in the shared cache, under the original's keys."""

MAX_FOREIGN: Final = 1_000
_TOKEN: Final = re.compile(r"[\w.\-]{10,512}", re.ASCII)
_UNKNOWN: Final = frozenset({401, 403, 404})


class _Owned(msgspec.Struct):
    guild_id: str | None = None


class _Posted(msgspec.Struct):
    channel_id: str


class _GuildHead(msgspec.Struct):
    id: str


class _Invite(msgspec.Struct):
    guild: _GuildHead | None = None


class ChannelScope:
    """Answers whether a channel, thread, webhook or invite belongs to a guild.

    Its methods raise OpError when it does not, and RestError when Discord cannot say. `store` is the cache
    that other hosts share; without it each look-up of what the gateway does not tell costs a request.
    """

    def __init__(self, guilds: GuildCache, rest: DiscordRest, store: Cache | None = None) -> None:
        self.guilds: Final = guilds
        self._rest = rest
        self._store = store

    async def check(self, guild_id: GuildId, channel_id: str) -> Snowflake:
        """The id of the channel or thread, when it is the guild's."""
        channel = snowflake(channel_id, "channel_id")
        owner = self.guilds.guild_of_channel(channel)
        if owner is None:
            key = f"flora:scope:ch:{channel}"
            owner = await self._recall(key)
            if owner is None:
                route = Route("GET", "/channels/{channel_id}", channel_id=channel)
                owner = await self._ask(guild_id, route, "channel is outside runtime scope")
                if owner is None:
                    raise scope_forbidden("channel is not a guild channel")
                await self._remember(key, owner)
            self.guilds.learn_channel(channel, owner)
        if owner != guild_id:
            raise scope_forbidden("channel is outside runtime scope")
        return channel

    async def webhook(self, guild_id: GuildId, webhook_id: str, token: str | None = None) -> Snowflake:
        """The webhook's id, when it is the guild's. With its token Discord tells of it in any case."""
        webhook = snowflake(webhook_id, "webhook_id")
        key = f"flora:scope:wh:{webhook}"
        owner = await self._recall(key)
        if owner is None:
            if token is not None:
                route = Route(
                    "GET",
                    "/webhooks/{webhook_id}/{webhook_token}",
                    webhook_id=webhook,
                    webhook_token=token,
                )
            else:
                route = Route("GET", "/webhooks/{webhook_id}", webhook_id=webhook)
            owner = await self._ask(guild_id, route, "webhook is outside runtime scope")
            if owner is None:
                raise scope_forbidden("webhook is not owned by a guild")
            await self._remember(key, owner)
        if owner != guild_id:
            raise scope_forbidden("webhook is outside runtime scope")
        return webhook

    async def invite(self, guild_id: GuildId, code: str) -> str:
        """The code, when it invites into the guild. Asked each time: codes end and may be given anew."""
        route = Route("GET", "/invites/{code}", code=code)
        try:
            response = await self._rest.request(route, guild_id=guild_id)
        except DiscordHttpError as error:
            if error.status in _UNKNOWN:
                raise scope_forbidden("invite is outside runtime scope") from error
            raise
        guild = msgspec.json.decode(response.body, type=_Invite).guild
        if guild is None or guild.id != guild_id:
            raise scope_forbidden("invite is outside runtime scope")
        return code

    async def interaction(self, guild_id: GuildId, application_id: str, token: str) -> None:
        """Returns when the interaction of this token was answered in a channel of the guild."""
        route = Route(
            "GET",
            "/webhooks/{application_id}/{interaction_token}/messages/@original",
            application_id=application_id,
            interaction_token=token,
        )
        try:
            response = await self._rest.request(route, guild_id=guild_id)
        except DiscordHttpError as error:
            if error.status in _UNKNOWN:
                raise scope_forbidden(UNKNOWN_INTERACTION) from error
            raise
        await self.check(guild_id, msgspec.json.decode(response.body, type=_Posted).channel_id)

    async def _ask(self, asking: GuildId, route: Route, refusal: str) -> GuildId | None:
        try:
            response = await self._rest.request(route, guild_id=asking)
        except DiscordHttpError as error:
            if error.status in _UNKNOWN:
                raise scope_forbidden(refusal) from error
            raise
        found = msgspec.json.decode(response.body, type=_Owned).guild_id
        return None if found is None else GuildId(found)

    async def _recall(self, key: str) -> GuildId | None:
        value = None if self._store is None else await self._store.get(key)
        return None if value is None else GuildId(value.decode("ascii", "replace"))

    async def _remember(self, key: str, owner: GuildId) -> None:
        if self._store is not None:
            await self._store.set(key, owner.encode(), ttl=REMEMBERED_SECS)


class _InteractionHead(msgspec.Struct):
    id: str
    token: str


class InteractionBook:
    """The interactions that one guild received and may still answer."""

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._tokens: OrderedDict[str, tuple[str, float]] = OrderedDict()  # token -> (id, until)
        self._foreign: OrderedDict[str, None] = OrderedDict()  # tokens that Discord would not own up to

    def remember(self, payload: bytes) -> None:
        """Take note of an INTERACTION_CREATE payload; one without id and token is ignored."""
        try:
            head = msgspec.json.decode(payload, type=_InteractionHead)
        except msgspec.DecodeError:
            return
        self._keep(head.token, head.id)

    def _keep(self, token: str, interaction_id: str) -> None:
        now = self._clock()
        self._tokens[token] = (interaction_id, now + INTERACTION_LIFETIME_SECS)
        while self._tokens:
            oldest = next(iter(self._tokens))
            if self._tokens[oldest][1] > now and len(self._tokens) <= MAX_INTERACTIONS:
                break
            del self._tokens[oldest]

    async def admit(self, token: str, channels: ChannelScope, guild_id: GuildId, application_id: str) -> None:
        """For what follows the first answer. Raises OpError unless the guild may.

        What is not in the book may have come before a restart: a task or the store can have kept its token.
        Then Discord is asked where the first answer is, once for each token; its lifetime is Discord's.
        """
        known = self._tokens.get(token)
        if known is None:
            if token in self._foreign or not _TOKEN.fullmatch(token):
                raise scope_forbidden(UNKNOWN_INTERACTION)
            try:
                await channels.interaction(guild_id, application_id, token)
            except OpError:
                self._foreign[token] = None
                while len(self._foreign) > MAX_FOREIGN:
                    self._foreign.popitem(last=False)
                raise
            self._keep(token, "")
        self.check(token)

    def check(self, token: str, interaction_id: str | None = None) -> None:
        """Raises OpError unless this guild received the interaction and may still answer it."""
        known = self._tokens.get(token)
        if known is None or known[1] <= self._clock():
            raise scope_forbidden(UNKNOWN_INTERACTION)
        if interaction_id is not None and known[0] != interaction_id:
            raise scope_forbidden("interaction id and token do not belong together")
