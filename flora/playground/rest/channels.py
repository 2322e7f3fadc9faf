"""Channels, permission overwrites, threads, typing, pins."""

from __future__ import annotations

from flora.playground import permissions as may
from flora.playground.actions import guilds as actions
from flora.playground.actions import messages
from flora.playground.entities import PRIVATE_THREAD, Channel, Message
from flora.playground.errors import DiscordError, unknown
from flora.playground.rest.context import (
    caller,
    model,
    no_content,
    query_int,
    read_json,
    reason,
    reply,
)
from flora.playground.snowflake import isoformat
from flora.playground.web import Answer, Routes

routes = Routes()
MAX_PINS = 250


@routes.get("/channels/<channel_id>")
async def channel(channel_id: str) -> Answer:
    user = caller()
    return reply(model().channel(channel_id, user).json(user.id))


@routes.patch("/channels/<channel_id>")
async def update(channel_id: str) -> Answer:
    user = caller()
    changed = actions.update_channel(model(), user, model().channel(channel_id, user), await read_json())
    model().record(user, "CHANNEL_UPDATE", channel_id, reason(), changed.guild_id)
    return reply(changed.json(user.id))


@routes.delete("/channels/<channel_id>")
async def delete(channel_id: str) -> Answer:
    user = caller()
    deleted = actions.delete_channel(model(), user, model().channel(channel_id, user))
    model().record(user, "CHANNEL_DELETE", channel_id, reason(), deleted.guild_id)
    return reply(deleted.json(user.id))


@routes.put("/channels/<channel_id>/permissions/<overwrite_id>")
async def set_overwrite(channel_id: str, overwrite_id: str) -> Answer:
    user = caller()
    found = model().channel(channel_id, user)
    actions.set_overwrite(model(), user, found, overwrite_id, await read_json())
    model().record(user, "CHANNEL_OVERWRITE_UPDATE", channel_id, reason(), found.guild_id)
    return no_content()


@routes.delete("/channels/<channel_id>/permissions/<overwrite_id>")
async def delete_overwrite(channel_id: str, overwrite_id: str) -> Answer:
    user = caller()
    found = model().channel(channel_id, user)
    actions.delete_overwrite(model(), user, found, overwrite_id)
    model().record(user, "CHANNEL_OVERWRITE_DELETE", channel_id, reason(), found.guild_id)
    return no_content()


@routes.post("/channels/<channel_id>/typing")
async def typing(channel_id: str) -> Answer:
    user = caller()
    messages.typing(model(), user, model().channel(channel_id, user))
    return no_content()


@routes.post("/channels/<channel_id>/threads")
async def create_thread(channel_id: str) -> Answer:
    user = caller()
    thread = actions.create_thread(model(), user, model().channel(channel_id, user), await read_json())
    model().record(user, "THREAD_CREATE", thread.id, reason(), thread.guild_id)
    return reply(thread.json(user.id), 201)


@routes.post("/channels/<channel_id>/messages/<message_id>/threads")
async def create_thread_from_message(channel_id: str, message_id: str) -> Answer:
    user = caller()
    parent, message = _message(channel_id, message_id)
    thread = actions.create_thread(model(), user, parent, await read_json(), message=message)
    model().record(user, "THREAD_CREATE", thread.id, reason(), thread.guild_id)
    return reply(thread.json(user.id), 201)


@routes.get("/channels/<channel_id>/threads/archived/public")
async def archived_public(channel_id: str) -> Answer:
    return _archived(channel_id, private=False)


@routes.get("/channels/<channel_id>/threads/archived/private")
async def archived_private(channel_id: str) -> Answer:
    model().channel(channel_id, caller(), may.MANAGE_THREADS)
    return _archived(channel_id, private=True)


@routes.get("/channels/<channel_id>/users/@me/threads/archived/private")
async def archived_joined(channel_id: str) -> Answer:
    return _archived(channel_id, private=True, joined_by=caller().id)


@routes.get("/channels/<channel_id>/thread-members")
async def thread_members(channel_id: str) -> Answer:
    thread = model().channel(channel_id, caller())
    return reply([thread.thread_member_json(each) for each in thread.thread_members])


@routes.get("/channels/<channel_id>/thread-members/<user_id>")
async def thread_member(channel_id: str, user_id: str) -> Answer:
    thread = model().channel(channel_id, caller())
    if user_id not in thread.thread_members:
        raise unknown("member")
    return reply(thread.thread_member_json(user_id))


@routes.put("/channels/<channel_id>/thread-members/<user_id>")
async def join_thread(channel_id: str, user_id: str) -> Answer:
    user = caller()
    target = user.id if user_id == "@me" else model().user(user_id).id
    actions.set_thread_member(model(), model().channel(channel_id, user), target, present=True)
    return no_content()


@routes.delete("/channels/<channel_id>/thread-members/<user_id>")
async def leave_thread(channel_id: str, user_id: str) -> Answer:
    user = caller()
    target = user.id if user_id == "@me" else user_id
    actions.set_thread_member(model(), model().channel(channel_id, user), target, present=False)
    return no_content()


@routes.get("/channels/<channel_id>/messages/pins")
async def pins(channel_id: str) -> Answer:
    user = caller()
    items = [
        {"pinned_at": isoformat(each.pinned_at or 0), "message": each.json(user.id)}
        for each in _pinned(model().channel(channel_id, user))
    ]
    return reply({"items": items, "has_more": False})


@routes.get("/channels/<channel_id>/pins")
async def old_pins(channel_id: str) -> Answer:
    user = caller()
    return reply([each.json(user.id) for each in _pinned(model().channel(channel_id, user))])


@routes.put("/channels/<channel_id>/messages/pins/<message_id>")
@routes.put("/channels/<channel_id>/pins/<message_id>")
async def pin(channel_id: str, message_id: str) -> Answer:
    return _set_pinned(channel_id, message_id, pinned=True)


@routes.delete("/channels/<channel_id>/messages/pins/<message_id>")
@routes.delete("/channels/<channel_id>/pins/<message_id>")
async def unpin(channel_id: str, message_id: str) -> Answer:
    return _set_pinned(channel_id, message_id, pinned=False)


def _archived(channel_id: str, *, private: bool, joined_by: str | None = None) -> Answer:
    """Archived threads of a channel, the newest first."""
    user = caller()
    parent = model().channel(channel_id, user, may.READ_MESSAGE_HISTORY)
    threads = [
        each
        for each in model().channels.values()
        if each.is_thread
        and each.archived
        and each.parent_id == parent.id
        and (each.kind == PRIVATE_THREAD) == private
        and (joined_by is None or joined_by in each.thread_members)
    ]
    threads.sort(key=lambda each: int(each.id), reverse=True)
    limit = query_int("limit", default=50, least=2, most=100)
    shown = threads[:limit]
    members = [each.thread_member_json(user.id) for each in shown if user.id in each.thread_members]
    body = {"threads": [each.json(user.id) for each in shown], "members": members}
    return reply(body | {"has_more": len(threads) > limit})


def _message(channel_id: str, message_id: str) -> tuple[Channel, Message]:
    user = caller()
    found = model().channel(channel_id, user)
    return found, model().message(found, message_id, user)


def _pinned(found: Channel) -> list[Message]:
    pinned = [each for each in found.messages.values() if each.pinned_at is not None]
    return sorted(pinned, key=lambda each: each.pinned_at or 0, reverse=True)


def _set_pinned(channel_id: str, message_id: str, *, pinned: bool) -> Answer:
    user = caller()
    found, message = _message(channel_id, message_id)
    model().channel(channel_id, user, may.MANAGE_MESSAGES)
    if pinned and len(_pinned(found)) >= MAX_PINS:
        raise DiscordError(400, 30003, f"Maximum number of pins reached for the channel ({MAX_PINS})")
    messages.set_pinned(model(), found, message, pinned)
    action = "MESSAGE_PIN" if pinned else "MESSAGE_UNPIN"
    model().record(user, action, message_id, reason(), found.guild_id)
    return no_content()
