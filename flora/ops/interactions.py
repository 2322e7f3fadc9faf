"""Answers to interactions: the first response, its edits, and follow-ups.

Source: Discord Developer Docs, "Receiving and Responding to Interactions", "Interaction Callback Type".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from flora.engine.api import OpCall
from flora.gateway.multipart import Attachment
from flora.gateway.routes import Route
from flora.ops.arguments import NULL, Id
from flora.ops.errors import invalid_input
from flora.ops.payloads import (
    EPHEMERAL,
    MessageArgs,
    NewMessageArgs,
    files_of,
    message_json,
    require_body,
)
from flora.ops.table import OpContext, op

CHANNEL_MESSAGE: Final = 4
DEFERRED_CHANNEL_MESSAGE: Final = 5
DEFERRED_UPDATE: Final = 6
UPDATE_MESSAGE: Final = 7
AUTOCOMPLETE_RESULT: Final = 8
MODAL: Final = 9

_WEBHOOK: Final = "/webhooks/{application_id}/{interaction_token}"


class ToInteraction(msgspec.Struct, rename="camel", kw_only=True):
    interaction_id: Id
    token: str


class Response(NewMessageArgs, rename="camel", kw_only=True):
    interaction_id: Id
    token: str
    ephemeral: bool = False


class Defer(ToInteraction, rename="camel", kw_only=True):
    ephemeral: bool = False


class Update(MessageArgs, rename="camel", kw_only=True):
    interaction_id: Id
    token: str


class Modal(ToInteraction, rename="camel", kw_only=True):
    custom_id: str
    title: str
    components: list[dict[str, Any]]


class Choice(msgspec.Struct, rename="camel"):
    name: str
    value: str | int | float
    name_localizations: dict[str, str | None] | None = None


class Choices(ToInteraction, rename="camel", kw_only=True):
    choices: list[Choice]


class OriginalEdit(MessageArgs, rename="camel", kw_only=True):
    token: str


class Followup(NewMessageArgs, rename="camel", kw_only=True):
    token: str
    ephemeral: bool = False


class FollowupEdit(MessageArgs, rename="camel", kw_only=True):
    token: str
    message_id: Id


@op("send_interaction_response")
async def send_interaction_response(ctx: OpContext, args: Response, call: OpCall) -> bytes:
    require_body(args, "Response")
    data = message_json(args, ephemeral=args.ephemeral)
    return await _respond(ctx, args, CHANNEL_MESSAGE, data, await files_of(args, ctx.fetch))


@op("defer_interaction_response")
async def defer_interaction_response(ctx: OpContext, args: Defer, call: OpCall) -> bytes:
    data = {"flags": EPHEMERAL} if args.ephemeral else None
    return await _respond(ctx, args, DEFERRED_CHANNEL_MESSAGE, data)


@op("defer_interaction_update")
async def defer_interaction_update(ctx: OpContext, args: ToInteraction, call: OpCall) -> bytes:
    return await _respond(ctx, args, DEFERRED_UPDATE)


@op("update_interaction_response")
async def update_interaction_response(ctx: OpContext, args: Update, call: OpCall) -> bytes:
    return await _respond(ctx, args, UPDATE_MESSAGE, message_json(args), await files_of(args, ctx.fetch))


@op("send_autocomplete_response")
async def send_autocomplete_response(ctx: OpContext, args: Choices, call: OpCall) -> bytes:
    choices: list[dict[str, Any]] = [
        {"name": choice.name, "value": choice.value}
        if choice.name_localizations is None
        else {"name": choice.name, "value": choice.value, "name_localizations": choice.name_localizations}
        for choice in args.choices
    ]
    return await _respond(ctx, args, AUTOCOMPLETE_RESULT, {"choices": choices})


@op("show_modal")
async def show_modal(ctx: OpContext, args: Modal, call: OpCall) -> bytes:
    data = {"custom_id": args.custom_id, "title": args.title, "components": args.components}
    return await _respond(ctx, args, MODAL, data)


@op("edit_original_interaction_response")
async def edit_original_interaction_response(ctx: OpContext, args: OriginalEdit, call: OpCall) -> bytes:
    return await _edit(ctx, args.token, "@original", args)


@op("create_followup_message")
async def create_followup_message(ctx: OpContext, args: Followup, call: OpCall) -> bytes:
    await ctx.interactions.admit(args.token, ctx.channels, ctx.guild_id, ctx.application_id)
    require_body(args, "Followup")
    response = await ctx.rest.request(
        Route("POST", _WEBHOOK, application_id=ctx.application_id, interaction_token=args.token),
        json=message_json(args, ephemeral=args.ephemeral),
        files=await files_of(args, ctx.fetch),
        guild_id=ctx.guild_id,
    )
    return response.body


@op("edit_followup_message")
async def edit_followup_message(ctx: OpContext, args: FollowupEdit, call: OpCall) -> bytes:
    return await _edit(ctx, args.token, args.message_id, args)


async def _respond(
    ctx: OpContext,
    to: ToInteraction | Response | Update,
    type_: int,
    data: dict[str, Any] | None = None,
    files: Sequence[Attachment] = (),
) -> bytes:
    ctx.interactions.check(to.token, to.interaction_id)
    await ctx.rest.request(
        Route(
            "POST",
            "/interactions/{interaction_id}/{interaction_token}/callback",
            interaction_id=to.interaction_id,
            interaction_token=to.token,
        ),
        json={"type": type_} if data is None else {"type": type_, "data": data},
        files=files,
        guild_id=ctx.guild_id,
    )
    return NULL


async def _edit(ctx: OpContext, token: str, message_id: str, args: MessageArgs) -> bytes:
    await ctx.interactions.admit(token, ctx.channels, ctx.guild_id, ctx.application_id)
    body = message_json(args)
    if not body:
        raise invalid_input(
            "payload", "Edit response must include content, embeds, components, attachments, or flags"
        )
    response = await ctx.rest.request(
        Route(
            "PATCH",
            f"{_WEBHOOK}/messages/{{message_id}}",
            application_id=ctx.application_id,
            interaction_token=token,
            message_id=message_id,
        ),
        json=body,
        files=await files_of(args, ctx.fetch),
        guild_id=ctx.guild_id,
    )
    return response.body
