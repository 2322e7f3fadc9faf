"""Gateway addresses, the own user, the own application, direct messages."""

from __future__ import annotations

from flora.playground.actions import guilds as actions
from flora.playground.errors import DiscordError, unknown
from flora.playground.forms import Form
from flora.playground.rest.context import (
    access,
    caller,
    model,
    no_content,
    playground,
    query_flag,
    query_int,
    query_snowflake,
    read_json,
    reply,
)
from flora.playground.web import Answer, Routes

routes = Routes()
GUILDS_PER_SHARD = 1000  # what Discord recommends


@routes.get("/gateway")
async def gateway() -> Answer:
    return reply({"url": model().gateway_url})


@routes.get("/gateway/bot")
async def gateway_bot() -> Answer:
    user = caller()
    guilds = sum(1 for _ in model().guilds_of(user.id))
    return reply(
        {
            "url": model().gateway_url,
            "shards": max(1, -(-guilds // GUILDS_PER_SHARD)),
            "session_start_limit": playground().hub.start_limit(),
        }
    )


@routes.get("/users/@me")
async def me() -> Answer:
    user, token = caller(), access()
    if token is None:
        return reply(user.private_json())
    return reply(user.private_json(email="email" in token.scopes))


@routes.patch("/users/@me")
async def update_me() -> Answer:
    user = caller()
    form = Form(await read_json())
    username = form.text("username", least=2, most=32)
    form.finish()
    user.username = username or user.username
    return reply(user.private_json())


@routes.get("/users/<user_id>")
async def user(user_id: str) -> Answer:
    caller()
    return reply(model().user(user_id).json())


@routes.get("/users/@me/guilds")
async def my_guilds() -> Answer:
    user = caller()
    limit = query_int("limit", default=200, least=1, most=200)
    before, after = query_snowflake("before"), query_snowflake("after")
    guilds = sorted(model().guilds_of(user.id), key=lambda each: int(each.id))
    if after is not None:
        guilds = [each for each in guilds if int(each.id) > int(after)]
    if before is not None:
        guilds = [each for each in guilds if int(each.id) < int(before)][-limit:]
    counts = query_flag("with_counts")
    return reply([each.summary_json(user.id, with_counts=counts) for each in guilds[:limit]])


@routes.get("/users/@me/connections")
async def connections() -> Answer:
    """Nobody here is connected to another service."""
    caller()
    return reply([])


@routes.get("/users/@me/guilds/<guild_id>/member")
async def my_member(guild_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    return reply(guild.members[user.id].json())


@routes.delete("/users/@me/guilds/<guild_id>")
async def leave(guild_id: str) -> Answer:
    user = caller()
    actions.leave_guild(model(), model().guild(guild_id, user), user)
    return no_content()


@routes.post("/users/@me/channels")
async def open_direct_channel() -> Answer:
    user = caller()
    form = Form(await read_json())
    other = form.snowflake("recipient_id", required=True)
    form.finish()
    return reply(actions.direct_channel(model(), user, other or "").json(user.id))


@routes.get("/applications/@me")
@routes.get("/oauth2/applications/@me")
async def application() -> Answer:
    caller()
    return reply(model().application.json(sum(1 for _ in model().guilds_of(model().application.bot.id))))


@routes.get("/applications/<application_id>")
async def application_by_id(application_id: str) -> Answer:
    caller()
    if application_id != model().application.id:
        raise unknown("application")
    return await application()


@routes.patch("/applications/@me")
async def update_application() -> Answer:
    user = caller()
    app = model().application
    if user.id != app.bot.id:
        raise DiscordError(403, 20002, "Only bots can use this endpoint")
    form = Form(await read_json())
    description = form.text("description", most=400)
    form.finish()
    app.description = app.description if description is None else description
    return await application()


@routes.get("/applications/<application_id>/entitlements")
async def entitlements(application_id: str) -> Answer:
    caller()
    return reply([])


@routes.get("/applications/<application_id>/emojis")
async def application_emojis(application_id: str) -> Answer:
    caller()
    return reply({"items": []})


@routes.get("/sticker-packs")
async def sticker_packs() -> Answer:
    return reply({"sticker_packs": []})


@routes.get("/voice/regions")
async def voice_regions() -> Answer:
    region = {"id": "rotterdam", "name": "Rotterdam", "custom": False, "deprecated": False, "optimal": True}
    return reply([region])
