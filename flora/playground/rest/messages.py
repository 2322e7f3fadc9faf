"""Messages of a channel."""

from __future__ import annotations

from typing import Final

from flora.playground import permissions as may
from flora.playground.actions import messages as actions
from flora.playground.drafts import (
    COMPONENTS_V2,
    MAX_ATTACHMENTS,
    SUPPRESS_EMBEDS,
    SUPPRESS_NOTIFICATIONS,
    read_draft,
)
from flora.playground.errors import DiscordError, missing_permissions
from flora.playground.forms import Form
from flora.playground.rest.context import (
    caller,
    model,
    no_content,
    query_int,
    query_snowflake,
    read_json,
    read_message,
    reason,
    reply,
)
from flora.playground.web import Answer, Routes

routes = Routes()
_FLAGS: Final = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | COMPONENTS_V2


@routes.get("/channels/<channel_id>/messages")
async def history(channel_id: str) -> Answer:
    user = caller()
    channel = model().channel(channel_id, user)
    if not model().permissions(channel, user.id) & may.READ_MESSAGE_HISTORY:
        return reply([])
    found = actions.history(
        channel,
        user,
        limit=query_int("limit", default=50, least=1, most=100),
        before=query_snowflake("before"),
        after=query_snowflake("after"),
        around=query_snowflake("around"),
    )
    return reply([each.json(user.id) for each in found])


@routes.get("/channels/<channel_id>/messages/<message_id>")
async def message(channel_id: str, message_id: str) -> Answer:
    user = caller()
    channel = model().channel(channel_id, user, may.READ_MESSAGE_HISTORY)
    return reply(model().message(channel, message_id, user).json(user.id))


@routes.post("/channels/<channel_id>/messages")
async def create(channel_id: str) -> Answer:
    user = caller()
    channel = model().channel(channel_id, user)
    value, uploads = await read_message()
    draft = read_draft(value, uploads, allowed_flags=_FLAGS)
    if draft.components and not user.bot:
        raise DiscordError(403, 50013, "Missing Permissions")
    if uploads and not model().permissions(channel, user.id) & may.ATTACH_FILES:
        raise missing_permissions()
    return reply(actions.create_message(model(), user, channel, draft).json(user.id))


@routes.patch("/channels/<channel_id>/messages/<message_id>")
async def edit(channel_id: str, message_id: str) -> Answer:
    user = caller()
    channel = model().channel(channel_id, user)
    found = model().message(channel, message_id, user)
    value, uploads = await read_message()
    if len(found.attachments) + len(uploads) > MAX_ATTACHMENTS:
        raise DiscordError(400, 30015, f"Maximum number of attachments reached ({MAX_ATTACHMENTS})")
    draft = read_draft(value, uploads, allowed_flags=_FLAGS, old_flags=found.flags)
    return reply(actions.edit_own_message(model(), user, found, channel, draft).json(user.id))


@routes.delete("/channels/<channel_id>/messages/<message_id>")
async def delete(channel_id: str, message_id: str) -> Answer:
    user = caller()
    channel = model().channel(channel_id, user)
    actions.delete_as(model(), user, channel, model().message(channel, message_id, user))
    model().record(user, "MESSAGE_DELETE", message_id, reason(), channel.guild_id)
    return no_content()


@routes.post("/channels/<channel_id>/messages/bulk-delete")
async def bulk_delete(channel_id: str) -> Answer:
    user = caller()
    channel = model().channel(channel_id, user, may.MANAGE_MESSAGES)
    form = Form(await read_json())
    ids = form.snowflakes("messages", most=1000)
    if ids is None and "messages" not in form:
        form.fault("messages", "BASE_TYPE_REQUIRED", "This field is required")
    form.finish()
    actions.bulk_delete(model(), channel, ids or [])
    model().record(user, "MESSAGE_BULK_DELETE", channel_id, reason(), channel.guild_id)
    return no_content()


@routes.post("/channels/<channel_id>/messages/<message_id>/crosspost")
async def crosspost(channel_id: str, message_id: str) -> Answer:
    user = caller()
    channel = model().channel(channel_id, user)
    found = model().message(channel, message_id, user)
    if channel.kind != 5:
        raise DiscordError(400, 50024, "Cannot execute action on this channel type")
    actions.crosspost(model(), channel, found)
    return reply(found.json(user.id))
