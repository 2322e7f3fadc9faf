"""Ids inside a body or query: a channel or guild named there has to be the script's own guild's as well.

Discord checks its side (what the bot may do), and the bot may do things in many guilds. So an automod rule's
alert channel, a webhook's new channel, or the source of a forwarded message is checked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flora.ids import GuildId
from flora.ops.errors import invalid_input, scope_forbidden
from flora.ops.scope import ChannelScope

_CHANNELS: Final = frozenset({"channel_id", "channel_ids", "thread_id", "parent_id", "exempt_channels"})
MAX_REFERENCES: Final = 1000
"""Channels that one call may name; Discord allows a guild 500 channels and 1000 active threads."""


async def check_references(scope: ChannelScope, guild_id: GuildId, value: Any) -> None:
    """Raises OpError when `value` (JSON) names a channel or guild that is not the guild's."""
    seen: set[str] = set()
    for key, id_ in _references(value):
        if not isinstance(id_, str):  # Discord would take a number for an id
            raise invalid_input(key, "ids are text")
        if id_ in seen:
            continue
        seen.add(id_)
        if len(seen) > MAX_REFERENCES:
            raise invalid_input(key, f"at most {MAX_REFERENCES} channels can be named at once")
        if not _is_channel(key):
            if id_ != guild_id:
                raise scope_forbidden("guild is outside runtime scope")
        else:
            await scope.check(guild_id, id_)


def _references(value: Any) -> Iterator[tuple[str, Any]]:
    """Every (key, id) in JSON, wherever it is; null is no reference."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            for key, inner in item.items():
                if not (_is_channel(key) or _is_guild(key)):
                    waiting.append(inner)
                elif inner is not None:
                    yield from ((key, each) for each in (inner if isinstance(inner, list) else [inner]))


def _is_channel(key: str) -> bool:
    return key in _CHANNELS or key.endswith(("_channel_id", "_channel_ids"))


def _is_guild(key: str) -> bool:
    return key == "guild_id" or key.endswith("_guild_id")
