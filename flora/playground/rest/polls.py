"""A poll's voters and its end."""

from __future__ import annotations

from flora.playground.actions import polls as actions
from flora.playground.rest.context import caller, model, query_int, query_snowflake, reply
from flora.playground.web import Answer, Routes

routes = Routes()


@routes.get("/channels/<channel_id>/polls/<message_id>/answers/<answer_number>")
async def voters(channel_id: str, message_id: str, answer_number: str) -> Answer:
    user = caller()
    channel = model().channel(channel_id, user)
    limit = query_int("limit", default=25, least=1, most=100)
    after = int(query_snowflake("after") or 0)
    found = actions.voters(model(), model().message(channel, message_id, user), answer_number)
    found = sorted((each for each in found if int(each.id) > after), key=lambda each: int(each.id))
    return reply({"users": [each.json() for each in found[:limit]]})


@routes.post("/channels/<channel_id>/polls/<message_id>/expire")
async def expire(channel_id: str, message_id: str) -> Answer:
    user = caller()
    channel = model().channel(channel_id, user)
    message = model().message(channel, message_id, user)
    return reply(actions.end(model(), user, channel, message).json(user.id))
