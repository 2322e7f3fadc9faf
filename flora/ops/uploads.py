"""Ops whose body is neither JSON nor a message: stickers are uploaded as a form.

Source: Discord API Reference, "Sticker", "Create Guild Sticker".
"""

from __future__ import annotations

import msgspec

from flora.engine.api import OpCall
from flora.gateway.multipart import Attachment
from flora.gateway.routes import Route
from flora.ops.arguments import Id
from flora.ops.calls import own_guild
from flora.ops.payloads import from_base64
from flora.ops.table import OpContext, op


class StickerFile(msgspec.Struct, rename="camel", kw_only=True):
    filename: str
    data: str
    content_type: str = "image/png"


class CreateSticker(msgspec.Struct, rename="camel", kw_only=True):
    name: str
    tags: str
    file: StickerFile
    description: str = ""
    guild_id: Id | None = None
    reason: str | None = None


@op("create_sticker")
async def create_sticker(ctx: OpContext, args: CreateSticker, call: OpCall) -> bytes:
    own_guild(ctx, args.guild_id)
    file = Attachment(args.file.filename, from_base64(args.file.data, "file.data"), args.file.content_type)
    response = await ctx.rest.request(
        Route("POST", "/guilds/{guild_id}/stickers", guild_id=ctx.guild_id),
        form={"name": args.name, "description": args.description, "tags": args.tags},
        files=[file],
        reason=args.reason,
        guild_id=ctx.guild_id,
    )
    return response.body
