"""Writing messages, and the few ops on messages and reactions that are more than one request.

Source: Discord API Reference, "Message".
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final

import msgspec

from flora.engine.api import OpCall
from flora.gateway.rest import RestResponse
from flora.gateway.routes import Route
from flora.ids import GuildId
from flora.ops.arguments import NULL, Emoji, Id, emoji_path
from flora.ops.errors import invalid_input
from flora.ops.payloads import MessageArgs, NewMessageArgs, files_of, message_json, require_body
from flora.ops.table import OpContext, op

FORWARD: Final = 1
"""Type of a message reference; 0 is a reply."""

_MESSAGE: Final = "/channels/{channel_id}/messages/{message_id}"


class SendMessage(NewMessageArgs, rename="camel", kw_only=True):
    channel_id: Id
    message_id: Id | None = None  # the message to answer: the name that the original used
    reply_to: Id | None = None
    sticker_ids: list[Id] | None = None


class EditMessage(MessageArgs, rename="camel", kw_only=True):
    channel_id: Id
    message_id: Id


class ForwardMessage(msgspec.Struct, rename="camel"):
    channel_id: Id
    message_id: Id
    to_channel_id: Id


class BulkDelete(msgspec.Struct, rename="camel"):
    channel_id: Id
    message_ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=100)]
    reason: str | None = None


class RemoveReaction(msgspec.Struct, rename="camel"):
    channel_id: Id
    message_id: Id
    emoji: Emoji
    user_id: Id | None = None


class ClearReactions(msgspec.Struct, rename="camel"):
    channel_id: Id
    message_id: Id
    emoji: Emoji | None = None


class ForumPost(NewMessageArgs, rename="camel", kw_only=True):
    channel_id: Id
    name: str
    applied_tags: list[Id] | None = None
    auto_archive_duration: int | None = None
    rate_limit_per_user: int | None = None
    reason: str | None = None


@op("send_message")
async def send_message(ctx: OpContext, args: SendMessage, call: OpCall) -> bytes:
    if not args.sticker_ids:
        require_body(args, "message")
    body = message_json(args)
    if args.sticker_ids:
        body["sticker_ids"] = args.sticker_ids
    answered = args.reply_to or args.message_id
    if answered is not None:
        body["message_reference"] = {"message_id": answered, "fail_if_not_exists": False}
    return await _create(ctx, args.channel_id, body, call, args)


@op("forward_message")
async def forward_message(ctx: OpContext, args: ForwardMessage, call: OpCall) -> bytes:
    source = await ctx.channels.check(ctx.guild_id, args.channel_id)
    reference = {"type": FORWARD, "channel_id": source, "message_id": args.message_id}
    return await _create(ctx, args.to_channel_id, {"message_reference": reference}, call)


@op("edit_message")
async def edit_message(ctx: OpContext, args: EditMessage, call: OpCall) -> bytes:
    body = message_json(args)
    if not body:
        raise invalid_input(
            "payload", "message edit must include content, embeds, components, flags, or allowed mentions"
        )
    files = await files_of(args, ctx.fetch)
    channel = await ctx.channels.check(ctx.guild_id, args.channel_id)
    response = await ctx.rest.request(
        Route("PATCH", _MESSAGE, channel_id=channel, message_id=args.message_id),
        json=body,
        files=files,
        guild_id=ctx.guild_id,
    )
    return response.body


@op("bulk_delete_messages")
async def bulk_delete_messages(ctx: OpContext, args: BulkDelete, call: OpCall) -> bytes:
    """A single message is deleted by itself: Discord's bulk route takes two or more."""
    channel = await ctx.channels.check(ctx.guild_id, args.channel_id)
    ids = list(dict.fromkeys(args.message_ids))
    if len(ids) == 1:
        route = Route("DELETE", _MESSAGE, channel_id=channel, message_id=ids[0])
        await ctx.rest.request(route, reason=args.reason, guild_id=ctx.guild_id)
    else:
        route = Route("POST", "/channels/{channel_id}/messages/bulk-delete", channel_id=channel)
        await ctx.rest.request(route, json={"messages": ids}, reason=args.reason, guild_id=ctx.guild_id)
    return NULL


@op("remove_reaction")
async def remove_reaction(ctx: OpContext, args: RemoveReaction, call: OpCall) -> bytes:
    """Without a user, the bot's own."""
    channel = await ctx.channels.check(ctx.guild_id, args.channel_id)
    emoji = emoji_path(args.emoji)
    reaction: dict[str, str] = {"channel_id": channel, "message_id": args.message_id, "emoji": emoji}
    if args.user_id is None:
        route = Route("DELETE", f"{_MESSAGE}/reactions/{{emoji}}/@me", **reaction)
    else:
        reaction["user_id"] = args.user_id
        route = Route("DELETE", f"{_MESSAGE}/reactions/{{emoji}}/{{user_id}}", **reaction)
    return (await ctx.rest.request(route, guild_id=ctx.guild_id)).body


@op("clear_reactions")
async def clear_reactions(ctx: OpContext, args: ClearReactions, call: OpCall) -> bytes:
    """All of them, or all of one emoji."""
    channel = await ctx.channels.check(ctx.guild_id, args.channel_id)
    message = {"channel_id": channel, "message_id": args.message_id}
    if args.emoji is None:
        route = Route("DELETE", f"{_MESSAGE}/reactions", **message)
    else:
        route = Route("DELETE", f"{_MESSAGE}/reactions/{{emoji}}", emoji=emoji_path(args.emoji), **message)
    return (await ctx.rest.request(route, guild_id=ctx.guild_id)).body


@op("create_forum_post")
async def create_forum_post(ctx: OpContext, args: ForumPost, call: OpCall) -> bytes:
    """A thread in a forum or media channel, with its first message."""
    require_body(args, "message")
    files = await files_of(args, ctx.fetch)
    channel = await ctx.channels.check(ctx.guild_id, args.channel_id)
    body: dict[str, Any] = {"name": args.name, "message": message_json(args)}
    for name in ("applied_tags", "auto_archive_duration", "rate_limit_per_user"):
        if (value := getattr(args, name)) is not None:
            body[name] = value
    response = await ctx.rest.request(
        Route("POST", "/channels/{channel_id}/threads", channel_id=channel),
        json=body,
        files=files,
        reason=args.reason,
        guild_id=ctx.guild_id,
    )
    return response.body


async def _create(
    ctx: OpContext, channel_id: str, body: dict[str, Any], call: OpCall, args: MessageArgs | None = None
) -> bytes:
    files = [] if args is None else await files_of(args, ctx.fetch)
    channel = await ctx.channels.check(ctx.guild_id, channel_id)
    if (nonce := message_nonce(ctx.guild_id, call)) is not None:
        body |= {"nonce": nonce, "enforce_nonce": True}
    response: RestResponse = await ctx.rest.request(
        Route("POST", "/channels/{channel_id}/messages", channel_id=channel),
        json=body,
        files=files,
        guild_id=ctx.guild_id,
    )
    return response.body


def message_nonce(guild_id: GuildId, call: OpCall) -> str | None:
    """The same for the same call of the same event, so that a replayed event sends no second message.

    25 characters at most. Source: Discord API Reference, "Create Message", `enforce_nonce`.
    """
    if call.event_id is None:
        return None
    key = f"{guild_id}/{call.event_id}/{call.call_index}"
    return hashlib.blake2b(key.encode(), digest_size=12).hexdigest()
