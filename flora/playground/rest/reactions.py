"""Reactions to messages."""

from __future__ import annotations

from flora.playground import permissions as may
from flora.playground.actions import reactions as actions
from flora.playground.entities import Channel, Message
from flora.playground.rest.context import caller, model, no_content, query_int, query_snowflake, reply
from flora.playground.web import Answer, Routes

routes = Routes()
_ROUTE = "/channels/<channel_id>/messages/<message_id>/reactions"


@routes.put(_ROUTE + "/<emoji>/@me")
async def add(channel_id: str, message_id: str, emoji: str) -> Answer:
    channel, message = _find(channel_id, message_id, may.READ_MESSAGE_HISTORY)
    actions.add_reaction(model(), caller(), channel, message, emoji)
    return no_content()


@routes.delete(_ROUTE + "/<emoji>/@me")
async def remove_own(channel_id: str, message_id: str, emoji: str) -> Answer:
    channel, message = _find(channel_id, message_id)
    actions.remove_reaction(model(), caller(), channel, message, emoji)
    return no_content()


@routes.delete(_ROUTE + "/<emoji>/<user_id>")
async def remove(channel_id: str, message_id: str, emoji: str, user_id: str) -> Answer:
    channel, message = _find(channel_id, message_id, may.MANAGE_MESSAGES)
    actions.remove_reaction(model(), model().user(user_id), channel, message, emoji)
    return no_content()


@routes.get(_ROUTE + "/<emoji>")
async def users(channel_id: str, message_id: str, emoji: str) -> Answer:
    _, message = _find(channel_id, message_id)
    emoji_id, name = actions.parse_emoji(emoji)
    reaction = message.reactions.get(emoji_id or name)
    limit = query_int("limit", default=25, least=1, most=100)
    after = int(query_snowflake("after") or 0)
    found = sorted(reaction.users if reaction else [], key=lambda each: int(each.id))
    return reply([each.json() for each in found if int(each.id) > after][:limit])


@routes.delete(_ROUTE)
async def clear(channel_id: str, message_id: str) -> Answer:
    channel, message = _find(channel_id, message_id, may.MANAGE_MESSAGES)
    actions.clear_reactions(model(), channel, message)
    return no_content()


@routes.delete(_ROUTE + "/<emoji>")
async def clear_emoji(channel_id: str, message_id: str, emoji: str) -> Answer:
    channel, message = _find(channel_id, message_id, may.MANAGE_MESSAGES)
    actions.clear_reactions(model(), channel, message, emoji)
    return no_content()


def _find(channel_id: str, message_id: str, *needs: int) -> tuple[Channel, Message]:
    user = caller()
    channel = model().channel(channel_id, user, *needs)
    return channel, model().message(channel, message_id, user)
