"""Members and bans of a guild."""

from __future__ import annotations

from flora.playground.actions import guilds as actions
from flora.playground.forms import Form
from flora.playground.rest.context import (
    caller,
    model,
    no_content,
    query_int,
    query_snowflake,
    query_text,
    read_json,
    reason,
    reply,
)
from flora.playground.web import Answer, Routes

routes = Routes()


@routes.get("/guilds/<guild_id>/members")
async def members(guild_id: str) -> Answer:
    guild = model().guild(guild_id, caller())
    limit = query_int("limit", default=1, least=1, most=1000)
    after = int(query_snowflake("after") or 0)
    found = sorted(guild.members.values(), key=lambda each: int(each.user.id))
    return reply([each.json() for each in found if int(each.user.id) > after][:limit])


@routes.get("/guilds/<guild_id>/members/search")
async def search(guild_id: str) -> Answer:
    guild = model().guild(guild_id, caller())
    limit = query_int("limit", default=1, least=1, most=1000)
    start = query_text("query").lower()
    found = [
        each
        for each in guild.members.values()
        if each.user.username.lower().startswith(start) or each.display_name.lower().startswith(start)
    ]
    return reply([each.json() for each in found[:limit]])


@routes.get("/guilds/<guild_id>/members/<user_id>")
async def member(guild_id: str, user_id: str) -> Answer:
    guild = model().guild(guild_id, caller())
    return reply(model().member(guild, user_id).json())


@routes.patch("/guilds/<guild_id>/members/<user_id>")
async def update_member(guild_id: str, user_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    target = user.id if user_id == "@me" else user_id
    changed = actions.update_member(model(), user, guild, model().member(guild, target), await read_json())
    model().record(user, "MEMBER_UPDATE", target, reason(), guild_id)
    return reply(changed.json())


@routes.delete("/guilds/<guild_id>/members/<user_id>")
async def kick(guild_id: str, user_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    actions.kick(model(), user, guild, model().member(guild, user_id))
    model().record(user, "MEMBER_KICK", user_id, reason(), guild_id)
    return no_content()


@routes.put("/guilds/<guild_id>/members/<user_id>/roles/<role_id>")
async def add_role(guild_id: str, user_id: str, role_id: str) -> Answer:
    return _set_role(guild_id, user_id, role_id, has=True)


@routes.delete("/guilds/<guild_id>/members/<user_id>/roles/<role_id>")
async def remove_role(guild_id: str, user_id: str, role_id: str) -> Answer:
    return _set_role(guild_id, user_id, role_id, has=False)


@routes.get("/guilds/<guild_id>/bans")
async def bans(guild_id: str) -> Answer:
    guild = model().guild(guild_id, caller())
    return reply([{"user": user.json(), "reason": why} for user, why in guild.bans.values()])


@routes.get("/guilds/<guild_id>/bans/<user_id>")
async def ban(guild_id: str, user_id: str) -> Answer:
    user, why = actions.ban_of(model().guild(guild_id, caller()), user_id)
    return reply({"user": user.json(), "reason": why})


@routes.put("/guilds/<guild_id>/bans/<user_id>")
async def add_ban(guild_id: str, user_id: str) -> Answer:
    user = caller()
    await read_json()
    actions.ban(model(), user, model().guild(guild_id, user), model().user(user_id), reason())
    model().record(user, "MEMBER_BAN_ADD", user_id, reason(), guild_id)
    return no_content()


@routes.delete("/guilds/<guild_id>/bans/<user_id>")
async def remove_ban(guild_id: str, user_id: str) -> Answer:
    user = caller()
    actions.unban(model(), user, model().guild(guild_id, user), user_id)
    model().record(user, "MEMBER_BAN_REMOVE", user_id, reason(), guild_id)
    return no_content()


@routes.post("/guilds/<guild_id>/bulk-ban")
async def bulk_ban(guild_id: str) -> Answer:
    """Bans whom it can; 500000 when it can ban nobody."""
    user = caller()
    guild = model().guild(guild_id, user)
    form = Form(await read_json())
    ids = form.snowflakes("user_ids", most=200)
    form.finish()
    banned, failed = actions.bulk_ban(model(), user, guild, ids or [], reason())
    for each in banned:
        model().record(user, "MEMBER_BAN_ADD", each, reason(), guild_id)
    return reply({"banned_users": banned, "failed_users": failed})


def _set_role(guild_id: str, user_id: str, role_id: str, *, has: bool) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    target = user.id if user_id == "@me" else user_id
    actions.set_member_role(model(), user, guild, model().member(guild, target), role_id, has)
    model().record(user, "MEMBER_ROLE_UPDATE", target, reason(), guild_id)
    return no_content()
