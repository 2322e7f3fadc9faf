"""Kinds of arguments that many ops take. They come from a guild script and are untrusted."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from flora.ids import InvalidSnowflakeError, Snowflake, parse_snowflake
from flora.ops.errors import invalid_input

Id = Annotated[str, msgspec.Meta(pattern=r"\A[1-9][0-9]{0,19}\Z")]
"""A snowflake in canonical form. The only pattern among arguments: a mismatch is an "invalid snowflake"."""

Emoji = str | dict[str, Any]
"""`"🌱"`, `"name:id"`, or `{name, id}`."""

NULL: Final = b"null"
_MAX_EMOJI: Final = 100


def snowflake(text: str, field: str) -> Snowflake:
    try:
        return parse_snowflake(text, field)
    except InvalidSnowflakeError:
        raise invalid_input(field, "invalid snowflake") from None


def emoji_path(emoji: Emoji) -> str:
    """`name:id` for a custom emoji, the character itself for a standard one, as Discord's paths name it."""
    if isinstance(emoji, dict):
        name, id_ = emoji.get("name"), emoji.get("id")
        emoji = f"{name}:{id_}" if id_ else str(name or "")
    if not emoji or len(emoji) > _MAX_EMOJI:
        raise invalid_input("emoji", "not an emoji")
    return emoji
