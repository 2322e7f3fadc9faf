"""Webhook routes: follow-ups of interactions (the application's id and the interaction's token), and
webhooks of channels.
"""

from __future__ import annotations

import secrets
from typing import Final

from flora.playground import permissions as may
from flora.playground.actions import interactions as actions
from flora.playground.actions import messages
from flora.playground.drafts import MessageDraft, read_draft
from flora.playground.entities import Channel, Message, User, Webhook
from flora.playground.errors import DiscordError, unknown
from flora.playground.forms import Form
from flora.playground.rest.context import (
    caller,
    model,
    no_content,
    query_flag,
    query_snowflake,
    read_json,
    read_message,
    reason,
    reply,
)
from flora.playground.web import Answer, Routes

routes = Routes()
_MESSAGES: Final = "/webhooks/<webhook_id>/<token>/messages"
MAX_WEBHOOKS: Final = 15  # of one channel


@routes.post("/webhooks/<webhook_id>/<token>")
async def execute(webhook_id: str, token: str) -> Answer:
    value, uploads = await read_message()
    draft = read_draft(value, uploads, allowed_flags=actions.CALLBACK_FLAGS)
    if webhook_id == model().application.id:
        interaction = actions.by_token(model(), webhook_id, token)
        return reply(actions.follow_up(model(), interaction, draft).json())
    webhook = _webhook(webhook_id, token)
    message = _post(webhook, _channel(webhook), value, draft)
    return reply(message.json()) if query_flag("wait") else no_content()


@routes.get(_MESSAGES + "/@original")
async def original(webhook_id: str, token: str) -> Answer:
    interaction = actions.by_token(model(), webhook_id, token)
    return reply(actions.original(interaction).json())


@routes.patch(_MESSAGES + "/@original")
async def edit_original(webhook_id: str, token: str) -> Answer:
    interaction = actions.by_token(model(), webhook_id, token)
    message = actions.original(interaction)
    draft = await _edit_draft(message)
    return reply(actions.edit(model(), interaction, message, draft).json())


@routes.delete(_MESSAGES + "/@original")
async def delete_original(webhook_id: str, token: str) -> Answer:
    interaction = actions.by_token(model(), webhook_id, token)
    actions.delete(model(), interaction, actions.original(interaction))
    return no_content()


@routes.get(_MESSAGES + "/<message_id>")
async def message(webhook_id: str, token: str, message_id: str) -> Answer:
    _, found = _find(webhook_id, token, message_id)
    return reply(found.json())


@routes.patch(_MESSAGES + "/<message_id>")
async def edit_message(webhook_id: str, token: str, message_id: str) -> Answer:
    channel, found = _find(webhook_id, token, message_id)
    draft = await _edit_draft(found)
    return reply(messages.edit_message(model(), found, channel, draft).json())


@routes.delete(_MESSAGES + "/<message_id>")
async def delete_message(webhook_id: str, token: str, message_id: str) -> Answer:
    channel, found = _find(webhook_id, token, message_id)
    messages.delete_message(model(), channel, found)
    return no_content()


@routes.post("/channels/<channel_id>/webhooks")
async def create(channel_id: str) -> Answer:
    user = caller()
    channel = model().channel(channel_id, user, may.MANAGE_WEBHOOKS)
    if channel.guild_id is None or channel.is_thread:
        raise DiscordError(400, 50024, "Cannot execute action on this channel type")
    if len(_of_channel(channel_id)) >= MAX_WEBHOOKS:
        raise DiscordError(400, 30007, f"Maximum number of webhooks reached ({MAX_WEBHOOKS})")
    form = Form(await read_json())
    name = form.text("name", least=1, most=80, required=True)
    form.finish()
    webhook = Webhook(
        model().next_id(), name or "", channel_id, channel.guild_id, model().tokens.next(48), user
    )
    model().webhooks[webhook.id] = webhook
    model().record(user, "WEBHOOK_CREATE", webhook.id, reason(), channel.guild_id)
    return reply(webhook.json(_base()))


@routes.get("/channels/<channel_id>/webhooks")
async def of_channel(channel_id: str) -> Answer:
    model().channel(channel_id, caller(), may.MANAGE_WEBHOOKS)
    return reply([each.json(_base()) for each in _of_channel(channel_id)])


@routes.get("/guilds/<guild_id>/webhooks")
async def of_guild(guild_id: str) -> Answer:
    user = caller()
    model().require(model().guild(guild_id, user), user, may.MANAGE_WEBHOOKS)
    return reply([each.json(_base()) for each in model().webhooks.values() if each.guild_id == guild_id])


@routes.get("/webhooks/<webhook_id>")
async def webhook(webhook_id: str) -> Answer:
    return reply(_managed(webhook_id).json(_base()))


@routes.get("/webhooks/<webhook_id>/<token>")
async def webhook_by_token(webhook_id: str, token: str) -> Answer:
    return reply(_webhook(webhook_id, token).json(_base(), with_user=False))


@routes.delete("/webhooks/<webhook_id>")
async def delete(webhook_id: str) -> Answer:
    found = _managed(webhook_id)
    del model().webhooks[webhook_id]
    model().record(caller(), "WEBHOOK_DELETE", webhook_id, reason(), found.guild_id)
    return no_content()


@routes.delete("/webhooks/<webhook_id>/<token>")
async def delete_by_token(webhook_id: str, token: str) -> Answer:
    _webhook(webhook_id, token)
    del model().webhooks[webhook_id]
    return no_content()


def _base() -> str:
    return f"{model().page_url}/api/v10"


def _of_channel(channel_id: str) -> list[Webhook]:
    return [each for each in model().webhooks.values() if each.channel_id == channel_id]


def _webhook(webhook_id: str, token: str) -> Webhook:
    found = model().webhooks.get(webhook_id)
    if found is None:
        raise unknown("webhook")
    if not secrets.compare_digest(found.token, token):
        raise DiscordError(401, 50027, "Invalid Webhook Token")
    return found


def _managed(webhook_id: str) -> Webhook:
    user = caller()
    found = model().webhooks.get(webhook_id)
    if found is None:
        raise unknown("webhook")
    model().channel(found.channel_id, user, may.MANAGE_WEBHOOKS)
    return found


def _channel(webhook: Webhook) -> Channel:
    thread_id = query_snowflake("thread_id")
    channel = model().channels.get(thread_id or webhook.channel_id)
    if channel is None or (thread_id is not None and channel.parent_id != webhook.channel_id):
        raise unknown("channel")
    return channel


def _post(webhook: Webhook, channel: Channel, value: object, draft: MessageDraft) -> Message:
    if draft.is_empty:
        raise DiscordError(400, 50006, "Cannot send an empty message")
    form = Form(value)
    name = form.text("username", least=1, most=80)
    form.finish()
    author = User(webhook.id, name or webhook.name, None, token="", bot=True)
    message = messages.build(model(), author, channel, draft)
    message.webhook_id = webhook.id
    messages.publish(model(), channel, message)
    return message


def _find(webhook_id: str, token: str, message_id: str) -> tuple[Channel, Message]:
    if webhook_id == model().application.id:
        interaction = actions.by_token(model(), webhook_id, token)
        return interaction.channel, actions.owned(interaction, message_id)
    channel = _channel(_webhook(webhook_id, token))
    found = channel.messages.get(message_id)
    if found is None or found.webhook_id != webhook_id:
        raise unknown("message")
    return channel, found


async def _edit_draft(old: Message) -> MessageDraft:
    value, uploads = await read_message()
    return read_draft(value, uploads, allowed_flags=actions.CALLBACK_FLAGS, old_flags=old.flags)
