"""Emojis and stickers of a guild."""

from __future__ import annotations

from flora.playground import expressions
from flora.playground.errors import unknown
from flora.playground.rest.context import (
    caller,
    model,
    no_content,
    read_json,
    read_message,
    reason,
    reply,
)
from flora.playground.web import Answer, Routes

routes = Routes()
_EMOJIS = "/guilds/<guild_id>/emojis"
_STICKERS = "/guilds/<guild_id>/stickers"


@routes.get(_EMOJIS)
async def emojis(guild_id: str) -> Answer:
    return reply([each.json() for each in model().guild(guild_id, caller()).emojis.values()])


@routes.get(_EMOJIS + "/<emoji_id>")
async def emoji(guild_id: str, emoji_id: str) -> Answer:
    return reply(expressions.emoji_of(model().guild(guild_id, caller()), emoji_id).json())


@routes.post(_EMOJIS)
async def create_emoji(guild_id: str) -> Answer:
    user = caller()
    made = expressions.create_emoji(model(), user, model().guild(guild_id, user), await read_json())
    model().record(user, "EMOJI_CREATE", made.id, reason(), guild_id)
    return reply(made.json(), 201)


@routes.patch(_EMOJIS + "/<emoji_id>")
async def update_emoji(guild_id: str, emoji_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    changed = expressions.update_emoji(model(), user, guild, emoji_id, await read_json())
    model().record(user, "EMOJI_UPDATE", emoji_id, reason(), guild_id)
    return reply(changed.json())


@routes.delete(_EMOJIS + "/<emoji_id>")
async def delete_emoji(guild_id: str, emoji_id: str) -> Answer:
    user = caller()
    expressions.delete_emoji(model(), user, model().guild(guild_id, user), emoji_id)
    model().record(user, "EMOJI_DELETE", emoji_id, reason(), guild_id)
    return no_content()


@routes.get(_STICKERS)
async def stickers(guild_id: str) -> Answer:
    return reply([each.json() for each in model().guild(guild_id, caller()).stickers.values()])


@routes.get(_STICKERS + "/<sticker_id>")
async def sticker(guild_id: str, sticker_id: str) -> Answer:
    return reply(expressions.sticker_of(model().guild(guild_id, caller()), sticker_id).json())


@routes.post(_STICKERS)
async def create_sticker(guild_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    value, uploads = await read_message()
    made = expressions.create_sticker(model(), user, guild, value, uploads)
    model().record(user, "STICKER_CREATE", made.id, reason(), guild_id)
    return reply(made.json(), 201)


@routes.patch(_STICKERS + "/<sticker_id>")
async def update_sticker(guild_id: str, sticker_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    changed = expressions.update_sticker(model(), user, guild, sticker_id, await read_json())
    model().record(user, "STICKER_UPDATE", sticker_id, reason(), guild_id)
    return reply(changed.json())


@routes.delete(_STICKERS + "/<sticker_id>")
async def delete_sticker(guild_id: str, sticker_id: str) -> Answer:
    user = caller()
    expressions.delete_sticker(model(), user, model().guild(guild_id, user), sticker_id)
    model().record(user, "STICKER_DELETE", sticker_id, reason(), guild_id)
    return no_content()


@routes.get("/stickers/<sticker_id>")
async def any_sticker(sticker_id: str) -> Answer:
    caller()
    for guild in model().guilds.values():
        if sticker_id in guild.stickers:
            return reply(guild.stickers[sticker_id].json(with_user=False))
    raise unknown("sticker")
