"""Secrets as scripts see them: placeholders. Their values never come here."""

from __future__ import annotations

import msgspec

from flora.engine.api import OpCall
from flora.ops.table import OpContext, op


class Named(msgspec.Struct):
    name: str


@op("secret_placeholder")
async def secret_placeholder(ctx: OpContext, args: Named, call: OpCall) -> bytes:
    return msgspec.json.encode(ctx.secrets().placeholder(args.name))
