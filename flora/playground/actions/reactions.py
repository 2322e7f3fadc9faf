"""Reactions to messages.

Source: Discord API Reference, "Message", section "Create Reaction".
"""

from __future__ import annotations

import unicodedata
from typing import Final
from urllib.parse import unquote

from flora.playground import permissions as may
from flora.playground.entities import Channel, Message, Reaction, User
from flora.playground.errors import DiscordError, Json, missing_permissions, unknown
from flora.playground.forms import is_snowflake
from flora.playground.model import Dispatch, Model

MAX_REACTIONS: Final = 20  # different emojis on one message
_JOINERS: Final = frozenset("\u200d\ufe0f\u20e3")


def parse_emoji(text: str) -> tuple[str | None, str]:
    """The emoji of a route, as (id, name): `name:id` or a Unicode emoji. Raises 10014 for anything else."""
    text = unquote(text)
    name, colon, emoji_id = text.rpartition(":")
    if colon:
        name = name.removeprefix("a:")
        if not is_snowflake(emoji_id) or not name:
            raise unknown("emoji")
        return emoji_id, name
    symbols = [each for each in text if each not in _JOINERS]
    if not symbols or len(text) > 32:
        raise unknown("emoji")
    if "\u20e3" not in text and not all(map(_is_symbol, symbols)):
        raise unknown("emoji")
    return None, text


def _is_symbol(symbol: str) -> bool:
    if 0xE0000 <= ord(symbol) <= 0xE007F:  # the tags of a subdivision's flag
        return True
    return ord(symbol) > 0x7F and unicodedata.category(symbol) in {"So", "Sk", "Sm", "Po", "Cn"}


def add_reaction(model: Model, user: User, channel: Channel, message: Message, emoji: str) -> None:
    emoji_id, name = parse_emoji(emoji)
    key = emoji_id or name
    reaction = message.reactions.get(key)
    if reaction is None:
        if not model.permissions(channel, user.id) & may.ADD_REACTIONS:
            raise missing_permissions()
        if len(message.reactions) >= MAX_REACTIONS:
            raise DiscordError(403, 30010, f"Maximum number of reactions reached ({MAX_REACTIONS})")
        reaction = message.reactions[key] = Reaction(emoji_id, name)
    if any(each.id == user.id for each in reaction.users):
        return
    reaction.users.append(user)
    body = _body(channel, message, reaction) | {"user_id": user.id, "burst": False, "type": 0}
    body["message_author_id"] = message.author.id
    if channel.guild_id is not None:
        body["member"] = model.guilds[channel.guild_id].members[user.id].json()
    _emit(model, "MESSAGE_REACTION_ADD", channel, body)


def remove_reaction(model: Model, user: User, channel: Channel, message: Message, emoji: str) -> None:
    """Take back the reaction of `user`; nothing happens when there is none."""
    emoji_id, name = parse_emoji(emoji)
    reaction = message.reactions.get(emoji_id or name)
    if reaction is None or all(each.id != user.id for each in reaction.users):
        return
    reaction.users = [each for each in reaction.users if each.id != user.id]
    if not reaction.users:
        del message.reactions[emoji_id or name]
    body = _body(channel, message, reaction) | {"user_id": user.id, "burst": False, "type": 0}
    _emit(model, "MESSAGE_REACTION_REMOVE", channel, body)


def clear_reactions(model: Model, channel: Channel, message: Message, emoji: str | None = None) -> None:
    """Remove all reactions, or all with one emoji."""
    body: Json = {"channel_id": channel.id, "message_id": message.id}
    if channel.guild_id is not None:
        body["guild_id"] = channel.guild_id
    if emoji is None:
        message.reactions.clear()
        _emit(model, "MESSAGE_REACTION_REMOVE_ALL", channel, body)
        return
    emoji_id, name = parse_emoji(emoji)
    reaction = message.reactions.pop(emoji_id or name, None)
    if reaction is None:
        raise unknown("emoji")
    _emit(model, "MESSAGE_REACTION_REMOVE_EMOJI", channel, body | {"emoji": reaction.emoji_json()})


def _body(channel: Channel, message: Message, reaction: Reaction) -> Json:
    body: Json = {"channel_id": channel.id, "message_id": message.id, "emoji": reaction.emoji_json()}
    if channel.guild_id is not None:
        body["guild_id"] = channel.guild_id
    return body


def _emit(model: Model, name: str, channel: Channel, body: Json) -> None:
    model.emit(Dispatch(name, body, guild_id=channel.guild_id, channel_id=channel.id))
