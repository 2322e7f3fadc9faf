"""Application commands, global and of one guild."""

from __future__ import annotations

from flora.playground.actions import command_permissions
from flora.playground.actions import commands as actions
from flora.playground.entities import Guild
from flora.playground.errors import DiscordError, missing_access, unknown
from flora.playground.rest.context import access, caller, model, no_content, read_json, reply
from flora.playground.web import Answer, Routes

routes = Routes()
_GLOBAL = "/applications/<application_id>/commands"
_GUILD = "/applications/<application_id>/guilds/<guild_id>/commands"


@routes.get(_GLOBAL)
@routes.get(_GUILD)
async def commands(application_id: str, guild_id: str | None = None) -> Answer:
    _check(application_id, guild_id)
    return reply([each.json() for each in actions.commands_of(model(), guild_id).values()])


@routes.post(_GLOBAL)
@routes.post(_GUILD)
async def create(application_id: str, guild_id: str | None = None) -> Answer:
    _check(application_id, guild_id)
    command, is_new = actions.create(model(), guild_id, await read_json())
    return reply(command.json(), 201 if is_new else 200)


@routes.put(_GLOBAL)
@routes.put(_GUILD)
async def overwrite(application_id: str, guild_id: str | None = None) -> Answer:
    _check(application_id, guild_id)
    return reply([each.json() for each in actions.overwrite(model(), guild_id, await read_json())])


@routes.get(_GLOBAL + "/<command_id>")
@routes.get(_GUILD + "/<command_id>")
async def command(application_id: str, command_id: str, guild_id: str | None = None) -> Answer:
    _check(application_id, guild_id)
    return reply(actions.get(model(), guild_id, command_id).json())


@routes.patch(_GLOBAL + "/<command_id>")
@routes.patch(_GUILD + "/<command_id>")
async def update(application_id: str, command_id: str, guild_id: str | None = None) -> Answer:
    _check(application_id, guild_id)
    return reply(actions.update(model(), guild_id, command_id, await read_json()).json())


@routes.delete(_GLOBAL + "/<command_id>")
@routes.delete(_GUILD + "/<command_id>")
async def delete(application_id: str, command_id: str, guild_id: str | None = None) -> Answer:
    _check(application_id, guild_id)
    actions.delete(model(), guild_id, command_id)
    return no_content()


@routes.get(_GUILD + "/permissions")
async def permissions(application_id: str, guild_id: str) -> Answer:
    return reply(command_permissions.all_of(model(), _guild(application_id, guild_id)))


@routes.get(_GUILD + "/<command_id>/permissions")
async def permissions_of(application_id: str, guild_id: str, command_id: str) -> Answer:
    return reply(command_permissions.of(model(), _guild(application_id, guild_id), command_id))


@routes.put(_GUILD + "/<command_id>/permissions")
async def set_permissions(application_id: str, guild_id: str, command_id: str) -> Answer:
    """Only with a person's OAuth2 token: a bot may not widen its own commands."""
    guild = _guild(application_id, guild_id)
    if access() is None:
        raise DiscordError(403, 20001, "Bots cannot use this endpoint")
    return reply(command_permissions.put(model(), caller(), guild, command_id, await read_json()))


def _guild(application_id: str, guild_id: str) -> Guild:
    """The guild of a caller who is in it; of commands' permissions members may know too."""
    if application_id != model().application.id:
        raise unknown("application")
    return model().guild(guild_id, caller())


def _check(application_id: str, guild_id: str | None) -> None:
    """Only the application's bot manages its commands, in guilds that it is in."""
    user = caller()
    application = model().application
    if application_id != application.id:
        raise unknown("application")
    if user.id != application.bot.id:
        raise missing_access()
    if guild_id is not None and (
        guild_id not in model().guilds or user.id not in model().guilds[guild_id].members
    ):
        raise missing_access()
