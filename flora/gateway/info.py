"""What Discord says about connecting: where, with how many shards, and how often the bot may identify.

Source: Discord, Gateway, "Get Gateway Bot" and "Sharding".
"""

from __future__ import annotations

from typing import Final

import msgspec

from flora.gateway.envelope import EnvelopeError
from flora.gateway.identify import IdentifyGate
from flora.gateway.rest import DiscordRest
from flora.gateway.routes import Route
from flora.ids import GuildId

GET_GATEWAY_BOT: Final = Route("GET", "/gateway/bot")
GET_APPLICATION: Final = Route("GET", "/applications/@me")


class SessionStartLimit(msgspec.Struct, frozen=True):
    total: int
    remaining: int
    reset_after: int
    """Milliseconds."""
    max_concurrency: int = 1


class GatewayInfo(msgspec.Struct, frozen=True):
    url: str
    shards: int
    session_start_limit: SessionStartLimit

    def gate(self) -> IdentifyGate:
        """The gate that all shards of the bot share."""
        limit = self.session_start_limit
        return IdentifyGate(
            max_concurrency=limit.max_concurrency,
            remaining=limit.remaining,
            total=limit.total,
            reset_after=limit.reset_after / 1000,
        )


class ApplicationInfo(msgspec.Struct, frozen=True):
    id: str
    flags: int = 0


async def fetch_application(rest: DiscordRest) -> ApplicationInfo:
    """Whose token it is. Raises RestError, and EnvelopeError for an answer that is not what is documented."""
    response = await rest.request(GET_APPLICATION)
    try:
        return msgspec.json.decode(response.body, type=ApplicationInfo)
    except msgspec.DecodeError as error:
        raise EnvelopeError(f"Discord gave an unreadable answer to {GET_APPLICATION}: {error}.") from error


async def fetch_gateway_info(rest: DiscordRest) -> GatewayInfo:
    """Ask Discord. Raises RestError, and EnvelopeError for an answer that is not what is documented."""
    response = await rest.request(GET_GATEWAY_BOT)
    try:
        return msgspec.json.decode(response.body, type=GatewayInfo)
    except msgspec.DecodeError as error:
        raise EnvelopeError(f"Discord gave an unreadable answer to {GET_GATEWAY_BOT}: {error}.") from error


def sharded(info: GatewayInfo, shards: int | None) -> GatewayInfo:
    """With `shards` shards instead of as many as Discord recommends, unless None."""
    return info if shards is None else msgspec.structs.replace(info, shards=shards)


def shard_of(guild_id: GuildId, shard_count: int) -> int:
    """The shard that gets the guild's events; events outside guilds go to shard 0."""
    return (int(guild_id) >> 22) % shard_count
