"""Discord's ids and the identity of an event.

Ids are snowflakes: unsigned 64-bit integers that Discord sends as decimal strings. flora keeps them as
strings from end to end, as Discord and JavaScript do.
Source: Discord API Reference, "Snowflakes".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from flora.errors import FloraError

Snowflake = NewType("Snowflake", str)
GuildId = NewType("GuildId", str)

MAX_SNOWFLAKE = 2**64 - 1


class InvalidSnowflakeError(FloraError):
    code = "INVALID_SNOWFLAKE"


def parse_snowflake(text: str, field: str = "id") -> Snowflake:
    """Validate untrusted `text` as a snowflake in canonical decimal form.

    Raises InvalidSnowflakeError for anything else: signs, spaces, leading zeros, other digits, over 64 bits.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) > MAX_SNOWFLAKE:
        raise InvalidSnowflakeError(f"{field} is not a Discord id: {text[:40]!r}")
    if text[0] == "0":
        raise InvalidSnowflakeError(f"{field} is not a Discord id: {text[:40]!r}")
    return Snowflake(text)


def parse_guild_id(text: str) -> GuildId:
    return GuildId(parse_snowflake(text, "guild_id"))


@dataclass(frozen=True, slots=True)
class EventId:
    """Where an event came from: unique in the life of a gateway session, the same when Discord replays it."""

    shard: int
    session: str
    seq: int

    def __str__(self) -> str:
        return f"{self.shard}:{self.session}:{self.seq}"
