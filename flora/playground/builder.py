"""More people and guilds than the demo has, with whatever permissions somebody needs.

Guild ids lie a millisecond apart on one day of the past, so that `(guild_id >> 22) % shards` spreads them.
"""

from __future__ import annotations

from typing import Final

from flora.ids import Snowflake
from flora.playground import permissions as may
from flora.playground.actions import guilds
from flora.playground.demo import BOT_PERMISSIONS, demo_id
from flora.playground.entities import TEXT, Channel, Guild, Member, Role, User
from flora.playground.errors import PlaygroundRefusedError
from flora.playground.model import Dispatch, Model, make_token

MAX_GUILDS: Final = 20_000
_FIRST_GUILD: Final = 100_000  # milliseconds after the demo's day


def add_person(model: Model, username: str, global_name: str | None = None) -> User:
    """A new human user, in no guild. Raises PlaygroundRefusedError when the name is taken."""
    if any(each.username == username for each in model.users.values()):
        raise PlaygroundRefusedError(f"There is already a user {username!r}.")
    user_id = model.next_id()
    return model.add_user(User(user_id, username, global_name, make_token(user_id, username)))


def add_guild(model: Model, name: str, owner: User, *, with_bot: bool = True) -> Guild:
    """A new guild with #general and #bots, its owner and, invited, the bot."""
    if len(model.guilds) >= MAX_GUILDS:
        raise PlaygroundRefusedError(f"The playground has room for {MAX_GUILDS} guilds.")
    number = _FIRST_GUILD + len(model.guilds)
    guild = Guild(demo_id(number), name, owner.id)
    everyone = Role(guild.id, "@everyone", may.EVERYONE_DEFAULT, 0)
    bot = model.application.bot
    own = Role(model.next_id(), bot.username, BOT_PERMISSIONS, 1, managed=True, bot_id=bot.id)
    guild.roles = {each.id: each for each in (everyone, own)}
    for position, channel_name in enumerate(("general", "bots")):
        channel = Channel(model.next_id(), TEXT, channel_name, guild.id, position=position)
        guild.channels[channel.id] = channel
    guild.members[owner.id] = Member(owner, model.clock.now())
    model.add_guild(guild)
    only = frozenset({owner.id})
    model.emit(Dispatch("GUILD_CREATE", {"id": guild.id}, guild_id=guild.id, only=only))
    if with_bot:
        guilds.join_guild(model, guild, bot)
    return guild


def set_member(
    model: Model, guild: Guild, user: User, *, permissions: int | None = None, roles: list[str] | None = None
) -> Member:
    """Put a person into the guild, if they are not in it, and give them exactly what is named.

    `permissions` (a bit set) become a role of their own, besides `roles` (ids or names). Raises
    PlaygroundRefusedError for a role that is not there.
    """
    named = [_role(guild, each).id for each in roles or ()]
    member = guilds.join_guild(model, guild, user)
    if permissions is None and roles is None:
        return member
    own = next((each for each in guild.roles.values() if each.name == f"as {user.username}"), None)
    if permissions is not None and own is None:
        own = Role(model.next_id(), f"as {user.username}", permissions, 1)
        guild.roles[own.id] = own
        _emit_role(model, "GUILD_ROLE_CREATE", guild, own)
    elif permissions is not None and own is not None:
        own.permissions = permissions
        _emit_role(model, "GUILD_ROLE_UPDATE", guild, own)
    keeps = [own.id] if own is not None and (permissions is not None or own.id in member.roles) else []
    kept = [each for each in member.roles if each not in keeps] if roles is None else named
    member.roles = [Snowflake(each) for each in dict.fromkeys([*kept, *keeps])]
    guilds.emit_member(model, guild, member)
    return member


def _role(guild: Guild, wanted: str) -> Role:
    for role in guild.roles.values():
        if wanted in (role.id, role.name):
            return role
    names = ", ".join(each.name for each in guild.roles.values())
    raise PlaygroundRefusedError(f"There is no role {wanted!r} in {guild.name}. There are: {names}.")


def _emit_role(model: Model, name: str, guild: Guild, role: Role) -> None:
    model.emit(Dispatch(name, {"guild_id": guild.id, "role": role.json()}, guild_id=guild.id))
