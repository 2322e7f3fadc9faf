"""Auto-moderation rules, scheduled events and soundboard sounds of a guild."""

from __future__ import annotations

from typing import Any

from flora.playground import permissions as may
from flora.playground import records
from flora.playground.errors import Json
from flora.playground.rest.context import (
    caller,
    model,
    no_content,
    query_flag,
    query_int,
    query_snowflake,
    read_json,
    reason,
    reply,
)
from flora.playground.web import Answer, Routes

routes = Routes()
_GUILD = "/guilds/<guild_id>"
_EVENTS = _GUILD + "/scheduled-events"


def _serve(kind: records.Kind, path: str, *, status: int = 200) -> None:
    """The routes to one thing, to make, change and delete one."""

    async def create(guild_id: str) -> Answer:
        user, guild = caller(), model().guild(guild_id, caller())
        return reply(records.create(model(), user, guild, kind, await read_json(), reason()), status)

    async def update(guild_id: str, thing_id: str) -> Answer:
        user, guild = caller(), model().guild(guild_id, caller())
        return reply(records.update(model(), user, guild, kind, thing_id, await read_json(), reason()))

    async def delete(guild_id: str, thing_id: str) -> Answer:
        user, guild = caller(), model().guild(guild_id, caller())
        records.delete(model(), user, guild, kind, thing_id, reason())
        return no_content()

    routes.post(_GUILD + path)(create)
    routes.patch(_GUILD + path + "/<thing_id>")(update)
    routes.delete(_GUILD + path + "/<thing_id>")(delete)


_serve(records.RULES, "/auto-moderation/rules")
_serve(records.EVENTS, "/scheduled-events")
_serve(records.SOUNDS, "/soundboard-sounds", status=201)


@routes.get(_GUILD + "/auto-moderation/rules")
async def rules(guild_id: str) -> Answer:
    user, guild = caller(), model().guild(guild_id, caller())
    model().require(guild, user, may.MANAGE_GUILD)
    return reply(list(records.things(guild, records.RULES).values()))


@routes.get(_GUILD + "/auto-moderation/rules/<rule_id>")
async def rule(guild_id: str, rule_id: str) -> Answer:
    user, guild = caller(), model().guild(guild_id, caller())
    model().require(guild, user, may.MANAGE_GUILD)
    return reply(records.find(guild, records.RULES, rule_id))


@routes.get(_EVENTS)
async def events(guild_id: str) -> Answer:
    guild = model().guild(guild_id, caller())
    return reply([_event(guild_id, each) for each in records.things(guild, records.EVENTS).values()])


@routes.get(_EVENTS + "/<event_id>")
async def event(guild_id: str, event_id: str) -> Answer:
    return reply(_event(guild_id, records.find(model().guild(guild_id, caller()), records.EVENTS, event_id)))


@routes.get(_EVENTS + "/<event_id>/users")
async def interested(guild_id: str, event_id: str) -> Answer:
    guild = model().guild(guild_id, caller())
    records.find(guild, records.EVENTS, event_id)
    limit = query_int("limit", default=100, least=1, most=100)
    before, after = query_snowflake("before"), query_snowflake("after")
    users = sorted(guild.interested.get(event_id, ()), key=int)
    chosen = [
        each
        for each in users
        if (before is None or int(each) < int(before)) and (after is None or int(each) > int(after))
    ]
    found = []
    for each in chosen[-limit:] if before is not None and after is None else chosen[:limit]:
        body: dict[str, Any] = {"guild_scheduled_event_id": event_id, "user_id": each, "response": 1}
        body["user"] = model().user(each).json()
        if query_flag("with_member") and each in guild.members:
            body["member"] = guild.members[each].json()
        found.append(body)
    return reply(found)


@routes.get(_GUILD + "/soundboard-sounds")
async def sounds(guild_id: str) -> Answer:
    guild = model().guild(guild_id, caller())
    return reply({"items": list(records.things(guild, records.SOUNDS).values())})


@routes.get(_GUILD + "/soundboard-sounds/<sound_id>")
async def sound(guild_id: str, sound_id: str) -> Answer:
    return reply(records.find(model().guild(guild_id, caller()), records.SOUNDS, sound_id))


def _event(guild_id: str, event: Json) -> Json:
    body = dict(event)
    if (creator := model().users.get(event["creator_id"])) is not None:
        body["creator"] = creator.json()
    if query_flag("with_user_count"):
        body["user_count"] = len(model().guilds[guild_id].interested.get(event["id"], ()))
    return body
