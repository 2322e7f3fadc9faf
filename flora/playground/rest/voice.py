"""Voice states, stages and what is played in voice channels."""

from __future__ import annotations

from flora.playground import voice
from flora.playground.rest.context import caller, model, no_content, read_json, reason, reply
from flora.playground.web import Answer, Routes

routes = Routes()


@routes.get("/guilds/<guild_id>/regions")
async def regions_of_guild(guild_id: str) -> Answer:
    model().guild(guild_id, caller())
    return reply(voice.REGIONS)


@routes.get("/voice/regions")
async def regions() -> Answer:
    caller()
    return reply(voice.REGIONS)


@routes.get("/guilds/<guild_id>/voice-states/<user_id>")
async def state(guild_id: str, user_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    return reply(voice.state_of(guild, user.id if user_id == "@me" else user_id).json(guild))


@routes.patch("/guilds/<guild_id>/voice-states/<user_id>")
async def change_state(guild_id: str, user_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    target = user.id if user_id == "@me" else user_id
    voice.change_state(model(), user, guild, target, await read_json())
    return no_content()


@routes.put("/channels/<channel_id>/voice-status")
async def set_status(channel_id: str) -> Answer:
    user = caller()
    voice.set_status(model(), user, model().channel(channel_id, user), await read_json())
    return no_content()


@routes.post("/channels/<channel_id>/send-soundboard-sound")
async def play_sound(channel_id: str) -> Answer:
    user = caller()
    voice.play_sound(model(), user, model().channel(channel_id, user), await read_json())
    return no_content()


@routes.post("/stage-instances")
async def open_stage() -> Answer:
    return reply(voice.open_stage(model(), caller(), await read_json(), reason()))


@routes.get("/stage-instances/<channel_id>")
async def stage(channel_id: str) -> Answer:
    return reply(voice.stage_of(model(), caller(), channel_id))


@routes.patch("/stage-instances/<channel_id>")
async def change_stage(channel_id: str) -> Answer:
    return reply(voice.change_stage(model(), caller(), channel_id, await read_json(), reason()))


@routes.delete("/stage-instances/<channel_id>")
async def close_stage(channel_id: str) -> Answer:
    voice.close_stage(model(), caller(), channel_id, reason())
    return no_content()
