"""Who may use which command in a guild: what its managers set, else what the command asks for.

Source: Discord API Reference, "Application Commands", section "Permissions".
"""

from __future__ import annotations

from typing import Any, Final

from flora.playground import permissions as may
from flora.playground.actions.commands import Command
from flora.playground.entities import Channel, Guild, User
from flora.playground.errors import DiscordError, Json, missing_permissions, unknown
from flora.playground.forms import Form
from flora.playground.model import Dispatch, Model

ROLE: Final = 1
USER: Final = 2
CHANNEL: Final = 3
MAX_OVERWRITES: Final = 100


def all_of(model: Model, guild: Guild) -> list[Json]:
    """What was set in the guild, for the application (under its own id) and for its commands."""
    return [
        _json(model, guild, command_id, set_)
        for (guild_id, command_id), set_ in model.command_permissions.items()
        if guild_id == guild.id
    ]


def of(model: Model, guild: Guild, command_id: str) -> Json:
    """Raises 10066 when nothing was set for it."""
    found = model.command_permissions.get((guild.id, command_id))
    if found is None:
        raise unknown("application command permissions")
    return _json(model, guild, command_id, found)


def put(model: Model, user: User, guild: Guild, command_id: str, value: Any) -> Json:
    """Replace what is set. Needs a person who may manage the guild and its roles."""
    if command_id != model.application.id and not any(
        command_id in model.commands.get(where, {}) for where in (None, guild.id)
    ):
        raise unknown("application command")
    allowed = may.guild_permissions(guild, user.id)
    if not (allowed & may.MANAGE_GUILD and allowed & may.MANAGE_ROLES):
        raise missing_permissions()
    form = Form(value)
    given: list[Json] = []
    for each in form.forms("permissions", most=MAX_OVERWRITES):
        target = each.snowflake("id", required=True)
        kind = each.choice("type", (ROLE, USER, CHANNEL), required=True)
        given.append({"id": target, "type": kind, "permission": each.boolean("permission")})
    form.finish()
    if len({(each["type"], each["id"]) for each in given}) < len(given):
        raise DiscordError(400, 50035, "Invalid Form Body")
    key = (guild.id, command_id)
    if given:
        model.command_permissions[key] = given
    else:
        model.command_permissions.pop(key, None)
    body = _json(model, guild, command_id, given)
    model.emit(Dispatch("APPLICATION_COMMAND_PERMISSIONS_UPDATE", body, guild_id=guild.id))
    return body


def may_use(model: Model, guild: Guild, channel: Channel, user: User, command: Command) -> bool:
    """Discord's rules: administrators always; else the command's overwrites of channel and of people, those
    of the application where the command has none, and at last the command's default permissions.
    """
    allowed = may.channel_permissions(guild, channel, user.id)
    if allowed & may.ADMINISTRATOR:
        return True
    for which in (command.id, model.application.id):
        if not _channel_allows(model, guild, channel, which):
            return False
        decided = _person_allowed(model, guild, user, which)
        if decided is not None:
            return decided
    default = command.extra.get("default_member_permissions")
    if default is None:
        return True
    return int(default) != 0 and allowed & int(default) == int(default)


def _channel_allows(model: Model, guild: Guild, channel: Channel, which: str) -> bool:
    """By the overwrite of this channel, else by that of all channels (the guild's id less one)."""
    place = channel.parent_id if channel.is_thread else channel.id
    rules = _rules(model, guild, which, CHANNEL)
    return rules.get(place or "", rules.get(str(int(guild.id) - 1), True))


def _person_allowed(model: Model, guild: Guild, user: User, which: str) -> bool | None:
    """By the overwrite of the user, else of the roles (one that allows is enough), else of everyone."""
    people, roles = _rules(model, guild, which, USER), _rules(model, guild, which, ROLE)
    if user.id in people:
        return people[user.id]
    own = [roles[each] for each in guild.members[user.id].roles if each in roles]
    if own:
        return any(own)
    return roles.get(guild.id)


def _rules(model: Model, guild: Guild, which: str, kind: int) -> dict[str, bool]:
    found = model.command_permissions.get((guild.id, which), [])
    return {each["id"]: each["permission"] for each in found if each["type"] == kind}


def _json(model: Model, guild: Guild, command_id: str, given: list[Json]) -> Json:
    return {
        "id": command_id,
        "application_id": model.application.id,
        "guild_id": guild.id,
        "permissions": given,
    }
