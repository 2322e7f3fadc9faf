"""Who may use an application command. The commands themselves are in the catalogue.

Source: Discord Developer Docs, "Application Commands", "Permissions".
"""

from __future__ import annotations

from typing import Any

import msgspec

from flora.engine.api import OpCall
from flora.gateway.routes import Route
from flora.ops.arguments import Id
from flora.ops.calls import own_guild
from flora.ops.table import OpContext, op


class EditCommandPermissions(msgspec.Struct, rename="camel", kw_only=True):
    command_id: Id
    permissions: list[dict[str, Any]] | dict[str, Any]  # the list, or Discord's body around it
    guild_id: Id | None = None


@op("edit_guild_command_permissions")
async def edit_guild_command_permissions(ctx: OpContext, args: EditCommandPermissions, call: OpCall) -> bytes:
    own_guild(ctx, args.guild_id)
    given = args.permissions
    response = await ctx.rest.request(
        Route(
            "PUT",
            "/applications/{application_id}/guilds/{guild_id}/commands/{command_id}/permissions",
            application_id=ctx.application_id,
            guild_id=ctx.guild_id,
            command_id=args.command_id,
        ),
        json={"permissions": given} if isinstance(given, list) else given,
        guild_id=ctx.guild_id,
    )
    return response.body
