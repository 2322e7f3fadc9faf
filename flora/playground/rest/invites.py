"""Invites of a guild and of a channel."""

from __future__ import annotations

from flora.playground import invites as actions
from flora.playground import permissions as may
from flora.playground.rest.context import caller, model, query_flag, read_json, reason, reply
from flora.playground.web import Answer, Routes

routes = Routes()


@routes.get("/invites/<code>")
async def invite(code: str) -> Answer:
    return reply(actions.find(model(), code).json(with_counts=query_flag("with_counts")))


@routes.delete("/invites/<code>")
async def delete(code: str) -> Answer:
    user = caller()
    found = actions.find(model(), code)
    actions.delete(model(), user, found)
    model().record(user, "INVITE_DELETE", found.channel.id, reason(), found.guild.id)
    return reply(found.json())


@routes.post("/channels/<channel_id>/invites")
async def create(channel_id: str) -> Answer:
    user = caller()
    made = actions.create(model(), user, model().channel(channel_id, user), await read_json())
    model().record(user, "INVITE_CREATE", channel_id, reason(), made.guild.id)
    return reply(made.full_json())


@routes.get("/channels/<channel_id>/invites")
async def of_channel(channel_id: str) -> Answer:
    channel = model().channel(channel_id, caller(), may.MANAGE_CHANNELS)
    guild = model().guilds.get(channel.guild_id or "")
    found = [] if guild is None else actions.of_guild(model(), guild)
    return reply([each.full_json() for each in found if each.channel is channel])


@routes.get("/guilds/<guild_id>/invites")
async def of_guild(guild_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    model().require(guild, user, may.MANAGE_GUILD)
    return reply([each.full_json() for each in actions.of_guild(model(), guild)])
