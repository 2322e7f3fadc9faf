"""Guilds, their channel lists and roles."""

from __future__ import annotations

from collections import Counter
from typing import Any

from flora.playground import permissions as may
from flora.playground.actions import guilds as actions
from flora.playground.errors import DiscordError
from flora.playground.forms import Form
from flora.playground.model import visible
from flora.playground.rest.context import (
    caller,
    model,
    no_content,
    query_flag,
    query_int,
    query_text,
    query_texts,
    read_json,
    reason,
    reply,
)
from flora.playground.web import Answer, Routes

routes = Routes()


@routes.get("/guilds/<guild_id>")
async def guild(guild_id: str) -> Answer:
    found = model().guild(guild_id, caller())
    body = found.json()
    if query_flag("with_counts"):
        body |= {
            "approximate_member_count": len(found.members),
            "approximate_presence_count": len(found.members),
        }
    return reply(body)


@routes.patch("/guilds/<guild_id>")
async def update_guild(guild_id: str) -> Answer:
    user = caller()
    found = actions.update_guild(model(), user, model().guild(guild_id, user), await read_json())
    model().record(user, "GUILD_UPDATE", guild_id, reason(), guild_id)
    return reply(found.json())


@routes.get("/guilds/<guild_id>/channels")
async def channels(guild_id: str) -> Answer:
    user = caller()
    found = model().guild(guild_id, user)
    return reply(
        [
            channel.json(user.id)
            for channel in found.channels.values()
            if not channel.is_thread and model().permissions(channel, user.id) & may.VIEW_CHANNEL
        ]
    )


@routes.post("/guilds/<guild_id>/channels")
async def create_channel(guild_id: str) -> Answer:
    user = caller()
    channel = actions.create_channel(model(), user, model().guild(guild_id, user), await read_json())
    model().record(user, "CHANNEL_CREATE", channel.id, reason(), guild_id)
    return reply(channel.json(user.id), 201)


@routes.get("/guilds/<guild_id>/threads/active")
async def active_threads(guild_id: str) -> Answer:
    user = caller()
    found = model().guild(guild_id, user)
    threads = [
        each
        for each in found.channels.values()
        if each.is_thread and not each.archived and model().permissions(each, user.id) & may.VIEW_CHANNEL
    ]
    members = [each.thread_member_json(user.id) for each in threads if user.id in each.thread_members]
    return reply({"threads": [each.json(user.id) for each in threads], "members": members, "has_more": False})


@routes.patch("/guilds/<guild_id>/channels")
async def move_channels(guild_id: str) -> Answer:
    user = caller()
    actions.move_channels(model(), user, model().guild(guild_id, user), await read_json())
    return no_content()


@routes.get("/guilds/<guild_id>/preview")
async def preview(guild_id: str) -> Answer:
    found = model().guild(guild_id, caller())
    shown = ("id", "name", "icon", "description", "home_header", "splash", "discovery_splash", "features")
    whole, count = found.json(), len(found.members)
    return reply(
        {key: whole[key] for key in (*shown, "emojis", "stickers")}
        | {"approximate_member_count": count, "approximate_presence_count": count}
    )


@routes.get("/guilds/<guild_id>/messages/search")
async def search(guild_id: str) -> Answer:
    """By content, author and channel, newest first; each hit is a list with the message."""
    user = caller()
    found = model().guild(guild_id, user)
    words = query_text("content").lower()
    authors, places = query_texts("author_id"), query_texts("channel_id")
    hits = [
        each
        for channel in found.channels.values()
        if model().permissions(channel, user.id) & may.READ_MESSAGE_HISTORY
        and (not places or channel.id in places)
        for each in channel.messages.values()
        if visible(each, user.id)
        and words in each.content.lower()
        and (not authors or each.author.id in authors)
    ]
    hits.sort(key=lambda each: int(each.id), reverse=query_text("sort_order") != "asc")
    offset = query_int("offset", default=0, least=0, most=9975)
    limit = query_int("limit", default=25, least=1, most=25)
    shown = hits[offset : offset + limit]
    return reply(
        {
            "doing_deep_historical_index": False,
            "total_results": len(hits),
            "messages": [[each.json(user.id, with_reply=False) | {"hit": True}] for each in shown],
        }
    )


@routes.get("/guilds/<guild_id>/roles/member-counts")
async def role_counts(guild_id: str) -> Answer:
    """How many members have each role, @everyone left out."""
    found = model().guild(guild_id, caller())
    counts = Counter(role for each in found.members.values() for role in each.roles)
    return reply({each: counts[each] for each in found.roles if each != found.id})


@routes.get("/guilds/<guild_id>/roles")
async def roles(guild_id: str) -> Answer:
    return reply([each.json() for each in model().guild(guild_id, caller()).roles.values()])


@routes.get("/guilds/<guild_id>/roles/<role_id>")
async def role(guild_id: str, role_id: str) -> Answer:
    return reply(actions.role_of(model().guild(guild_id, caller()), role_id).json())


@routes.post("/guilds/<guild_id>/roles")
async def create_role(guild_id: str) -> Answer:
    user = caller()
    created = actions.create_role(model(), user, model().guild(guild_id, user), await read_json())
    model().record(user, "ROLE_CREATE", created.id, reason(), guild_id)
    return reply(created.json())


@routes.patch("/guilds/<guild_id>/roles")
async def move_roles(guild_id: str) -> Answer:
    user = caller()
    found = model().guild(guild_id, user)
    model().require(found, user, may.MANAGE_ROLES)
    value: Any = await read_json()
    if not isinstance(value, list):
        raise DiscordError(400, 50035, "Invalid Form Body")
    for each in value:
        form = Form(each)
        moved = actions.role_of(found, form.snowflake("id", required=True) or "")
        position = form.integer("position", most=250)
        form.finish()
        if position is not None:
            moved.position = position
    return reply([each.json() for each in found.roles.values()])


@routes.patch("/guilds/<guild_id>/roles/<role_id>")
async def update_role(guild_id: str, role_id: str) -> Answer:
    user = caller()
    changed = actions.update_role(model(), user, model().guild(guild_id, user), role_id, await read_json())
    model().record(user, "ROLE_UPDATE", role_id, reason(), guild_id)
    return reply(changed.json())


@routes.delete("/guilds/<guild_id>/roles/<role_id>")
async def delete_role(guild_id: str, role_id: str) -> Answer:
    user = caller()
    actions.delete_role(model(), user, model().guild(guild_id, user), role_id)
    model().record(user, "ROLE_DELETE", role_id, reason(), guild_id)
    return no_content()


@routes.get("/guilds/<guild_id>/audit-logs")
async def audit_log(guild_id: str) -> Answer:
    """A short form: who did what to which, and why."""
    user = caller()
    model().guild(guild_id, user)
    entries = [each for each in model().audit if each.guild_id == guild_id]
    return reply(
        {
            "audit_log_entries": [
                {
                    "id": str(index + 1),
                    "user_id": each.user_id,
                    "target_id": each.target_id,
                    "action_type": _ACTION_TYPES[each.action],
                    **({} if each.reason is None else {"reason": each.reason}),
                }
                for index, each in enumerate(entries)
            ],
            "application_commands": [],
            "auto_moderation_rules": [],
            "guild_scheduled_events": [],
            "integrations": [],
            "threads": [],
            "users": [model().users[each].json() for each in {entry.user_id for entry in entries}],
            "webhooks": [],
        }
    )


_ACTION_TYPES = {
    "GUILD_UPDATE": 1,
    "CHANNEL_CREATE": 10,
    "CHANNEL_UPDATE": 11,
    "CHANNEL_DELETE": 12,
    "CHANNEL_OVERWRITE_UPDATE": 14,
    "CHANNEL_OVERWRITE_DELETE": 15,
    "MEMBER_KICK": 20,
    "MEMBER_BAN_ADD": 22,
    "MEMBER_BAN_REMOVE": 23,
    "MEMBER_UPDATE": 24,
    "MEMBER_ROLE_UPDATE": 25,
    "ROLE_CREATE": 30,
    "ROLE_UPDATE": 31,
    "ROLE_DELETE": 32,
    "WEBHOOK_CREATE": 50,
    "WEBHOOK_DELETE": 52,
    "EMOJI_CREATE": 60,
    "EMOJI_UPDATE": 61,
    "EMOJI_DELETE": 62,
    "INVITE_CREATE": 40,
    "INVITE_DELETE": 42,
    "MEMBER_PRUNE": 21,
    "STICKER_CREATE": 90,
    "STICKER_UPDATE": 91,
    "STICKER_DELETE": 92,
    "INTEGRATION_DELETE": 82,
    "STAGE_INSTANCE_CREATE": 83,
    "STAGE_INSTANCE_UPDATE": 84,
    "STAGE_INSTANCE_DELETE": 85,
    "GUILD_SCHEDULED_EVENT_CREATE": 100,
    "GUILD_SCHEDULED_EVENT_UPDATE": 101,
    "GUILD_SCHEDULED_EVENT_DELETE": 102,
    "SOUNDBOARD_SOUND_CREATE": 130,
    "SOUNDBOARD_SOUND_UPDATE": 131,
    "SOUNDBOARD_SOUND_DELETE": 132,
    "AUTO_MODERATION_RULE_CREATE": 140,
    "AUTO_MODERATION_RULE_UPDATE": 141,
    "AUTO_MODERATION_RULE_DELETE": 142,
    "ONBOARDING_UPDATE": 167,
    "MESSAGE_DELETE": 72,
    "MESSAGE_BULK_DELETE": 73,
    "MESSAGE_PIN": 74,
    "MESSAGE_UNPIN": 75,
    "THREAD_CREATE": 110,
}
