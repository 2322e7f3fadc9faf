"""Discord's ids and the identity of an event.

Ids are snowflakes: unsigned 64-bit integers that Discord sends as decimal strings. flora keeps them as
strings from end to end, as Discord and JavaScript do.
Source: Discord API Reference, "Snowflakes".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Set
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


class GuildOrder(Set[GuildId]):
    """A set of guilds that can be read in the order of ids from anywhere on, for lists in pages."""

    def __init__(self, guild_ids: Iterable[GuildId] = ()) -> None:
        self._ids = sorted({int(guild_id) for guild_id in guild_ids})

    def add(self, guild_id: GuildId) -> None:
        if guild_id not in self:
            insort(self._ids, int(guild_id))

    def discard(self, guild_id: GuildId) -> None:
        if guild_id in self:
            del self._ids[bisect_left(self._ids, int(guild_id))]

    def after(self, number: int, limit: int) -> list[GuildId]:
        """At most `limit` guilds with ids above `number`, in their order; looks at no others."""
        start = bisect_right(self._ids, number)
        return [GuildId(str(each)) for each in self._ids[start : start + limit]]

    def __contains__(self, guild_id: object) -> bool:
        number = int(guild_id) if isinstance(guild_id, str) else -1
        place = bisect_left(self._ids, number)
        return place < len(self._ids) and self._ids[place] == number

    def __iter__(self) -> Iterator[GuildId]:
        return (GuildId(str(each)) for each in self._ids)

    def __len__(self) -> int:
        return len(self._ids)


@dataclass(frozen=True, slots=True)
class EventId:
    """Where an event came from: unique in the life of a gateway session, the same when Discord replays it."""

    shard: int
    session: str
    seq: int

    def __str__(self) -> str:
        return f"{self.shard}:{self.session}:{self.seq}"
