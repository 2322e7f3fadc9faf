"""`/commands`: the application commands that Discord has of a guild's script."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import Field
from quart import Blueprint, g
from quart_schema import tag_blueprint

from flora.api.auth import Permission, requires
from flora.api.models import Model
from flora.api.openapi import answers
from flora.api.services import Services
from flora.ids import GuildId

blueprint = Blueprint("commands", __name__)
tag_blueprint(blueprint, ["commands"])


class CommandsModel(Model):
    """What the guild's script declares, as it was sent to Discord."""

    items: list[dict[str, Any]] = Field(description="Discord's application command objects.")
    registered: bool = Field(description="False while Discord has not taken the newest of them yet.")


@blueprint.get("/commands/<guild_id>")
@answers(CommandsModel)
@requires(Permission.GUILD_READ)
async def list_commands(guild_id: GuildId) -> CommandsModel:
    """The application commands of this guild's script"""
    services: Services = g.services
    declared, registered = await services.commands(guild_id)
    items = [] if declared is None else msgspec.json.decode(declared, type=list[dict[str, Any]])
    return CommandsModel(items=items, registered=registered)
