"""Posting, editing and deleting messages.

Source: Discord API Reference, "Message".
"""

from __future__ import annotations

import re
from typing import Final

from flora.playground import permissions as may
from flora.playground.drafts import MentionRules, MessageDraft
from flora.playground.entities import (
    DM,
    LOADING,
    Attachment,
    Channel,
    Message,
    User,
)
from flora.playground.errors import (
    DiscordError,
    Json,
    empty_message,
    invalid_form,
    missing_permissions,
)
from flora.playground.expressions import Sticker
from flora.playground.model import Dispatch, Model, visible

REPLY: Final = 19
CROSSPOSTED: Final = 1 << 0
IS_CROSSPOST: Final = 1 << 1
NONCE_WINDOW: Final = 180.0  # "the past few minutes" in which enforce_nonce looks
BULK_DELETE_MAX_AGE: Final = 14 * 24 * 3600.0

_USER_MENTION: Final = re.compile(r"<@!?(\d{1,20})>")
_ROLE_MENTION: Final = re.compile(r"<@&(\d{1,20})>")


def create_message(model: Model, author: User, channel: Channel, draft: MessageDraft) -> Message:
    """Post a message as somebody who may see the channel.

    With `enforce_nonce` a message of the same author and nonce from the last minutes is returned instead.
    Raises 50006 for an empty message, 50008 where no message can be, 50013 without the permission.
    """
    _require_send(model, author, channel)
    if draft.is_empty:
        raise empty_message()
    if draft.enforce_nonce and draft.nonce is not None:
        earlier = _by_nonce(model, channel, author, draft.nonce)
        if earlier is not None:
            return earlier
    if draft.poll is not None and not model.permissions(channel, author.id) & may.SEND_POLLS:
        raise missing_permissions()
    message = build(model, author, channel, draft)
    if draft.reply_to is not None:
        _make_reply(model, channel, message, draft)
    publish(model, channel, message)
    return message


def build(model: Model, author: User, channel: Channel, draft: MessageDraft) -> Message:
    """A message from a draft, not yet in the channel."""
    message = Message(
        id=model.next_id(),
        channel_id=channel.id,
        guild_id=channel.guild_id,
        author=author,
        content=(draft.content or "").strip(),
        created_at=model.clock.now(),
        flags=draft.flags or 0,
        tts=draft.tts,
        embeds=draft.embeds or [],
        components=draft.components or [],
        nonce=draft.nonce,
    )
    message.attachments = _store_uploads(model, channel, draft)
    if draft.poll is not None:
        message.poll = draft.poll
        draft.poll.expires = model.clock.now() + draft.poll.hours * 3600
    message.stickers = [_sticker(model, channel, each) for each in draft.sticker_ids]
    _apply_mentions(model, channel, message, draft.mentions)
    return message


def publish(model: Model, channel: Channel, message: Message) -> None:
    """Put a message into its channel and tell everybody who may see it."""
    channel.messages[message.id] = message
    while len(channel.messages) > model.messages_kept:
        channel.messages.pop(next(iter(channel.messages)))
    if not message.is_ephemeral:
        channel.last_message_id = message.id
    _emit(model, "MESSAGE_CREATE", channel, message)


def tell_changed(model: Model, channel: Channel, message: Message) -> None:
    """Tell everybody who may see the message that it is another now."""
    _emit(model, "MESSAGE_UPDATE", channel, message)


def edit_message(model: Model, message: Message, channel: Channel, draft: MessageDraft) -> Message:
    """Change what the draft names; also clears the loading state of a deferred answer."""
    if draft.content is not None:
        message.content = draft.content.strip()
    if draft.embeds is not None:
        message.embeds = draft.embeds
    if draft.components is not None:
        message.components = draft.components
    if draft.flags is not None:
        changeable = 1 << 2 | 1 << 15  # SUPPRESS_EMBEDS, IS_COMPONENTS_V2
        message.flags = message.flags & ~changeable | draft.flags & changeable
    if draft.kept_attachments is not None:
        kept = set(draft.kept_attachments)
        message.attachments = [each for each in message.attachments if each.id in kept]
    message.attachments = message.attachments + _store_uploads(model, channel, draft)
    shown = message.content or message.embeds or message.components or message.attachments
    if not (shown or message.poll or message.stickers):
        raise empty_message()
    _apply_mentions(model, channel, message, draft.mentions)
    if message.flags & LOADING:
        message.flags &= ~LOADING
    message.edited_at = model.clock.now()
    _emit(model, "MESSAGE_UPDATE", channel, message)
    return message


def edit_own_message(
    model: Model, editor: User, message: Message, channel: Channel, draft: MessageDraft
) -> Message:
    """Edit as a user: only the author changes a message; 50005 for anybody else."""
    if message.author.id != editor.id or message.webhook_id not in (None, message.application_id):
        raise DiscordError(403, 50005, "Cannot edit a message authored by another user")
    return edit_message(model, message, channel, draft)


def crosspost(model: Model, channel: Channel, message: Message) -> None:
    """Publish a message: every channel that follows this one gets it too."""
    if message.flags & CROSSPOSTED:
        raise DiscordError(400, 40033, "This message has already been crossposted.")
    message.flags |= CROSSPOSTED
    tell_changed(model, channel, message)
    for webhook in [each for each in model.webhooks.values() if each.source is channel]:
        target = model.channels.get(webhook.channel_id)
        if target is None:
            continue
        author = User(webhook.id, webhook.name, None, token="", bot=True)
        draft = MessageDraft(content=message.content, embeds=message.embeds, flags=IS_CROSSPOST)
        copy = build(model, author, target, draft)
        copy.webhook_id = webhook.id
        copy.reference = {"type": 0, "channel_id": channel.id, "message_id": message.id}
        copy.reference["guild_id"] = channel.guild_id
        publish(model, target, copy)


def delete_message(model: Model, channel: Channel, message: Message) -> None:
    channel.messages.pop(message.id, None)
    body: Json = {"id": message.id, "channel_id": channel.id}
    if channel.guild_id is not None:
        body["guild_id"] = channel.guild_id
    model.emit(
        Dispatch(
            "MESSAGE_DELETE",
            body,
            guild_id=channel.guild_id,
            channel_id=channel.id,
            only=_audience(message),
            page_only=message.is_ephemeral,
        )
    )


def delete_as(model: Model, user: User, channel: Channel, message: Message) -> None:
    """Delete as a user: the own message, or any with MANAGE_MESSAGES."""
    if message.author.id != user.id and not model.permissions(channel, user.id) & may.MANAGE_MESSAGES:
        raise missing_permissions()
    delete_message(model, channel, message)


def bulk_delete(model: Model, channel: Channel, ids: list[str]) -> None:
    """Delete 2 to 100 messages of the last two weeks in one event."""
    if not 2 <= len(ids) <= 100:
        raise DiscordError(
            400,
            50016,
            "Provided too few or too many messages to delete. Must provide at least 2 and at most 100.",
        )
    found = [each for each in dict.fromkeys(ids) if each in channel.messages]
    oldest = model.clock.now() - BULK_DELETE_MAX_AGE
    if any(channel.messages[each].created_at < oldest for each in found):
        raise DiscordError(400, 50034, "A message provided was too old to bulk delete")
    for each in found:
        del channel.messages[each]
    if found:
        body = {"ids": found, "channel_id": channel.id, "guild_id": channel.guild_id}
        model.emit(Dispatch("MESSAGE_DELETE_BULK", body, guild_id=channel.guild_id, channel_id=channel.id))


def history(
    channel: Channel,
    viewer: User,
    *,
    limit: int,
    before: str | None = None,
    after: str | None = None,
    around: str | None = None,
) -> list[Message]:
    """At most `limit` messages, newest first, that the viewer may see."""
    messages = [each for each in channel.messages.values() if visible(each, viewer.id)]
    messages.sort(key=lambda each: int(each.id))
    if around is not None:
        older = [each for each in messages if int(each.id) <= int(around)]
        newer = [each for each in messages if int(each.id) > int(around)]
        chosen = older[-(limit // 2 + 1) :] + newer[: limit // 2]
        return chosen[::-1][:limit]
    if after is not None:
        return [each for each in messages if int(each.id) > int(after)][:limit][::-1]
    if before is not None:
        messages = [each for each in messages if int(each.id) < int(before)]
    return messages[-limit:][::-1]


def typing(model: Model, user: User, channel: Channel) -> None:
    _require_send(model, user, channel)
    body: Json = {"channel_id": channel.id, "user_id": user.id, "timestamp": int(model.clock.now())}
    if channel.guild_id is not None:
        member = model.guilds[channel.guild_id].members[user.id]
        body |= {"guild_id": channel.guild_id, "member": member.json()}
    model.emit(Dispatch("TYPING_START", body, guild_id=channel.guild_id, channel_id=channel.id))


def set_pinned(model: Model, channel: Channel, message: Message, pinned: bool) -> None:
    if pinned == (message.pinned_at is not None):
        return
    message.pinned_at = channel.last_pin_at = model.clock.now()
    if not pinned:
        message.pinned_at = None
    _emit(model, "MESSAGE_UPDATE", channel, message)
    body: Json = {"channel_id": channel.id, "last_pin_timestamp": channel.json()["last_pin_timestamp"]}
    if channel.guild_id is not None:
        body["guild_id"] = channel.guild_id
    model.emit(Dispatch("CHANNEL_PINS_UPDATE", body, guild_id=channel.guild_id, channel_id=channel.id))


def gateway_json(model: Model, channel: Channel, message: Message) -> Json:
    """A message as the gateway sends it: with guild, author's member and the mentioned members."""
    body = message.json()
    body["channel_type"] = channel.kind
    if channel.guild_id is None:
        return body
    guild = model.guilds[channel.guild_id]
    body["guild_id"] = guild.id
    author = guild.members.get(message.author.id)
    if author is not None:
        body["member"] = author.partial_json()
    for mention in body["mentions"]:
        if (member := guild.members.get(mention["id"])) is not None:
            mention["member"] = member.partial_json()
    return body


def _emit(model: Model, name: str, channel: Channel, message: Message) -> None:
    model.emit(
        Dispatch(
            name,
            gateway_json(model, channel, message),
            guild_id=channel.guild_id,
            channel_id=channel.id,
            author_id=message.author.id,
            only=_audience(message),
            page_only=message.is_ephemeral,
        )
    )


def _audience(message: Message) -> frozenset[str] | None:
    return None if message.visible_to is None else frozenset({message.visible_to})


def _require_send(model: Model, user: User, channel: Channel) -> None:
    if not channel.has_messages:
        raise DiscordError(400, 50008, "Cannot send messages in a non-text channel")
    need = may.SEND_MESSAGES_IN_THREADS if channel.is_thread else may.SEND_MESSAGES
    if not model.permissions(channel, user.id) & need:
        raise missing_permissions()


def _by_nonce(model: Model, channel: Channel, author: User, nonce: str | int) -> Message | None:
    oldest = model.clock.now() - NONCE_WINDOW
    for message in reversed(channel.messages.values()):
        if message.created_at < oldest:
            return None
        if message.author.id == author.id and message.nonce == nonce:
            return message
    return None


def _make_reply(model: Model, channel: Channel, message: Message, draft: MessageDraft) -> None:
    target = channel.messages.get(draft.reply_to or "")
    if target is None or target.is_ephemeral:
        if draft.reply_may_fail:
            return
        message_text = "Unknown message"
        fault = {"code": "REPLIES_UNKNOWN_MESSAGE", "message": message_text}
        raise invalid_form({"message_reference": {"_errors": [fault]}})
    message.kind = REPLY
    message.replied_to = target
    message.reference = {"type": 0, "channel_id": channel.id, "message_id": target.id}
    if channel.guild_id is not None:
        message.reference["guild_id"] = channel.guild_id
    known = {user.id for user in message.mentions}
    if (
        draft.mentions.replied_user
        and target.author.id not in known
        and target.author.id != message.author.id
    ):
        message.mentions.append(target.author)


def _apply_mentions(model: Model, channel: Channel, message: Message, rules: MentionRules) -> None:
    ids = dict.fromkeys(_USER_MENTION.findall(message.content))
    message.mentions = [
        model.users[each]
        for each in ids
        if each in model.users and (rules.users is None or each in rules.users)
    ]
    message.mention_roles = []
    message.mention_everyone = False
    if channel.guild_id is None or channel.kind == DM:
        return
    roles = model.guilds[channel.guild_id].roles
    allowed = model.permissions(channel, message.author.id)
    for each in dict.fromkeys(_ROLE_MENTION.findall(message.content)):
        role = roles.get(each)
        pings = role is not None and (role.mentionable or allowed & may.MENTION_EVERYONE)
        if pings and (rules.roles is None or each in rules.roles):
            message.mention_roles.append(each)
    names_all = "@everyone" in message.content or "@here" in message.content
    message.mention_everyone = bool(names_all and rules.everyone and allowed & may.MENTION_EVERYONE)


def _sticker(model: Model, channel: Channel, sticker_id: str) -> Sticker:
    guild = model.guilds.get(channel.guild_id or "")
    if guild is None or sticker_id not in guild.stickers:
        raise DiscordError(400, 50081, "Cannot use this sticker")
    return guild.stickers[sticker_id]


def _store_uploads(model: Model, channel: Channel, draft: MessageDraft) -> list[Attachment]:
    stored = []
    for upload in draft.uploads:
        attachment_id = model.next_id()
        name = re.sub(r"[^\w.\-]+", "_", draft.names.get(upload.slot, upload.filename), flags=re.ASCII)[-100:]
        name = name.strip(".") or "file"
        stored.append(
            Attachment(
                id=attachment_id,
                filename=name,
                content=upload.content,
                content_type=upload.content_type,
                url=f"{model.page_url}/attachments/{channel.id}/{attachment_id}/{name}",
                description=draft.descriptions.get(upload.slot),
            )
        )
    return stored
