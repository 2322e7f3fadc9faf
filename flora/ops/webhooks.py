"""Webhooks: each is checked against the guild before anything is said through it.

With a webhook's token Discord asks for no permission of the bot's; without it, for MANAGE_WEBHOOKS.
Source: Discord API Reference, "Webhook".
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from flora.engine.api import OpCall
from flora.gateway.routes import Route
from flora.ops.arguments import NULL, Id
from flora.ops.errors import invalid_input
from flora.ops.payloads import MessageArgs, NewMessageArgs, files_of, message_json, require_body
from flora.ops.references import check_references
from flora.ops.table import OpContext, op

_WEBHOOK: Final = "/webhooks/{webhook_id}"
_WITH_TOKEN: Final = "/webhooks/{webhook_id}/{webhook_token}"
_MESSAGE: Final = f"{_WITH_TOKEN}/messages/{{message_id}}"


class ExecuteWebhook(NewMessageArgs, rename="camel", kw_only=True):
    webhook_id: Id
    token: str
    wait: bool = False
    thread_id: Id | None = None
    thread_name: str | None = None
    applied_tags: list[Id] | None = None
    with_components: bool | None = None
    username: str | None = None
    avatar_url: str | None = None


class EditWebhook(msgspec.Struct, rename="camel", kw_only=True):
    webhook_id: Id
    payload: dict[str, Any]
    token: str | None = None
    reason: str | None = None


class DeleteWebhook(msgspec.Struct, rename="camel", kw_only=True):
    webhook_id: Id
    token: str | None = None
    reason: str | None = None


class WebhookMessage(msgspec.Struct, rename="camel", kw_only=True):
    webhook_id: Id
    token: str
    message_id: Id
    thread_id: Id | None = None


class EditWebhookMessage(MessageArgs, rename="camel", kw_only=True):
    webhook_id: Id
    token: str
    message_id: Id
    thread_id: Id | None = None
    with_components: bool | None = None


@op("execute_webhook")
async def execute_webhook(ctx: OpContext, args: ExecuteWebhook, call: OpCall) -> bytes:
    """The message with `wait`, else null."""
    require_body(args, "webhook")
    body = message_json(args)
    for name in ("username", "avatar_url", "thread_name", "applied_tags"):
        if (value := getattr(args, name)) is not None:
            body[name] = value
    query = {"wait": args.wait or None, "with_components": args.with_components}
    files = await files_of(args, ctx.fetch)
    response = await ctx.rest.request(
        Route("POST", _WITH_TOKEN, webhook_id=await _checked(ctx, args), webhook_token=args.token),
        json=body,
        files=files,
        query={**query, "thread_id": args.thread_id},
        guild_id=ctx.guild_id,
    )
    return response.body


@op("edit_webhook")
async def edit_webhook(ctx: OpContext, args: EditWebhook, call: OpCall) -> bytes:
    await check_references(ctx.channels, ctx.guild_id, args.payload)
    response = await ctx.rest.request(
        await _route(ctx, "PATCH", args), json=args.payload, reason=args.reason, guild_id=ctx.guild_id
    )
    return response.body


@op("delete_webhook")
async def delete_webhook(ctx: OpContext, args: DeleteWebhook, call: OpCall) -> bytes:
    await ctx.rest.request(await _route(ctx, "DELETE", args), reason=args.reason, guild_id=ctx.guild_id)
    return NULL


@op("fetch_webhook_message")
async def fetch_webhook_message(ctx: OpContext, args: WebhookMessage, call: OpCall) -> bytes:
    response = await ctx.rest.request(
        await _message_route(ctx, "GET", args), query={"thread_id": args.thread_id}, guild_id=ctx.guild_id
    )
    return response.body


@op("edit_webhook_message")
async def edit_webhook_message(ctx: OpContext, args: EditWebhookMessage, call: OpCall) -> bytes:
    body = message_json(args)
    if not body:
        raise invalid_input(
            "payload", "webhook edit must include content, embeds, components, or attachments"
        )
    files = await files_of(args, ctx.fetch)
    response = await ctx.rest.request(
        await _message_route(ctx, "PATCH", args),
        json=body,
        files=files,
        query={"thread_id": args.thread_id, "with_components": args.with_components},
        guild_id=ctx.guild_id,
    )
    return response.body


@op("delete_webhook_message")
async def delete_webhook_message(ctx: OpContext, args: WebhookMessage, call: OpCall) -> bytes:
    await ctx.rest.request(
        await _message_route(ctx, "DELETE", args),
        query={"thread_id": args.thread_id},
        guild_id=ctx.guild_id,
    )
    return NULL


async def _checked(ctx: OpContext, args: ExecuteWebhook | WebhookMessage | EditWebhookMessage) -> str:
    if args.thread_id is not None:
        await ctx.channels.check(ctx.guild_id, args.thread_id)
    return await ctx.channels.webhook(ctx.guild_id, args.webhook_id, args.token)


async def _message_route(ctx: OpContext, method: str, args: WebhookMessage | EditWebhookMessage) -> Route:
    webhook = await _checked(ctx, args)
    return Route(method, _MESSAGE, webhook_id=webhook, webhook_token=args.token, message_id=args.message_id)


async def _route(ctx: OpContext, method: str, args: EditWebhook | DeleteWebhook) -> Route:
    webhook = await ctx.channels.webhook(ctx.guild_id, args.webhook_id, args.token)
    if args.token is None:
        return Route(method, _WEBHOOK, webhook_id=webhook)
    return Route(method, _WITH_TOKEN, webhook_id=webhook, webhook_token=args.token)
