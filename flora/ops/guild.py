"""What the host knows of the script's guild without asking Discord: channels, threads, roles, the bot itself,
and what a member may do.

After a restart the gateway does not tell of a guild again (RESUME): the first question asks Discord.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from flora.engine.api import OpCall, OpError
from flora.gateway.guilds import Channel, RawChannel, RawGuild, RawMember, Role, Snapshot
from flora.gateway.permissions import base_permissions, channel_permissions
from flora.gateway.routes import Route
from flora.ops.arguments import Id
from flora.ops.calls import own_guild
from flora.ops.table import OpContext, op

T = TypeVar("T")

_LOADS: Final = 3
"""How often a guild is asked for anew when events change it meanwhile."""


class OfGuild(msgspec.Struct, rename="camel"):
    guild_id: Id | None = None


class Subject(msgspec.Struct, rename="camel"):
    """The bot itself without `user_id`. `roles`, where they are known, spare a question to Discord."""

    user_id: Id | None = None
    channel_id: Id | None = None
    roles: list[Id] | None = None
    guild_id: Id | None = None


@op("guild_info")
async def guild_info(ctx: OpContext, args: OfGuild, call: OpCall) -> bytes:
    own_guild(ctx, args.guild_id)
    guild = await _snapshot(ctx)
    return _json({"id": ctx.guild_id, "name": guild.name, "icon": guild.icon, "ownerId": str(guild.owner_id)})


@op("guild_channels")
async def guild_channels(ctx: OpContext, args: OfGuild, call: OpCall) -> bytes:
    own_guild(ctx, args.guild_id)
    return _json([_channel_json(each) for each in (await _snapshot(ctx)).channels])


@op("guild_threads")
async def guild_threads(ctx: OpContext, args: OfGuild, call: OpCall) -> bytes:
    """The active ones that the bot can see."""
    own_guild(ctx, args.guild_id)
    return _json([_channel_json(each) for each in (await _snapshot(ctx)).threads])


@op("guild_roles")
async def guild_roles(ctx: OpContext, args: OfGuild, call: OpCall) -> bytes:
    own_guild(ctx, args.guild_id)
    return _json([_role_json(each) for each in (await _snapshot(ctx)).roles])


@op("guild_me")
async def guild_me(ctx: OpContext, args: OfGuild, call: OpCall) -> bytes:
    own_guild(ctx, args.guild_id)
    me = (await _snapshot(ctx)).me
    assert me is not None
    return _json(
        {
            "userId": str(ctx.channels.guilds.user_id),
            "nick": me.nick,
            "roles": [str(role) for role in me.roles],
            "communicationDisabledUntil": me.timed_out_until,
        }
    )


@op("guild_permissions")
async def guild_permissions(ctx: OpContext, args: Subject, call: OpCall) -> bytes:
    """A bit string: in the guild, or in one of its channels."""
    own_guild(ctx, args.guild_id)
    guild = await _snapshot(ctx)
    channel = None if args.channel_id is None else await _channel(ctx, guild, args.channel_id)
    member_id, roles, timed_out = await _member(ctx, guild, args)
    owner = member_id == guild.owner_id
    number = int(ctx.guild_id)
    everyone = next((role.permissions for role in guild.roles if role.id == number), 0)
    held = [role.permissions for role in guild.roles if role.id in roles]
    permissions = base_permissions(everyone, held, owner=owner, timed_out=timed_out)
    if channel is not None:
        place = channel
        if channel.is_thread:
            place = next((each for each in guild.channels if each.id == channel.parent_id), channel)
        permissions = channel_permissions(
            permissions,
            place.overwrites,
            guild_id=number,
            role_ids=roles,
            member_id=member_id,
            thread=channel.is_thread,
            timed_out=timed_out,
        )
    return _json(str(permissions))


async def _member(ctx: OpContext, guild: Snapshot, args: Subject) -> tuple[int, frozenset[int], bool]:
    """Id, roles, and whether it is timed out."""
    if args.user_id is None or int(args.user_id) == ctx.channels.guilds.user_id:
        assert guild.me is not None
        assert ctx.channels.guilds.user_id is not None
        return ctx.channels.guilds.user_id, frozenset(guild.me.roles), _future(guild.me.timed_out_until)
    if args.roles is not None:
        return int(args.user_id), frozenset(int(role) for role in args.roles), False
    raw = await _fetch_member(ctx, args.user_id)
    roles = frozenset(int(role) for role in raw.roles or ())
    return int(args.user_id), roles, _future(raw.communication_disabled_until)


def _future(time: str | None) -> bool:
    return time is not None and datetime.fromisoformat(time) > datetime.now(UTC)


async def _channel(ctx: OpContext, guild: Snapshot, channel_id: str) -> Channel:
    number = int(await ctx.channels.check(ctx.guild_id, channel_id))
    for channel in (*guild.channels, *guild.threads):
        if channel.id == number:
            return channel
    route = Route("GET", "/channels/{channel_id}", channel_id=channel_id)
    response = await ctx.rest.request(route, guild_id=ctx.guild_id)
    return Channel.of(msgspec.json.decode(response.body, type=RawChannel))


async def _snapshot(ctx: OpContext) -> Snapshot:
    """The guild with the bot as its member. Raises RestError where Discord has to be asked and fails."""
    guilds = ctx.channels.guilds
    async with ctx.loading:  # who waits for it finds what the first one learned
        for _ in range(_LOADS):
            found = guilds.snapshot(ctx.guild_id)
            if found is not None and found.me is not None and guilds.user_id is not None:
                return found
            changes = guilds.changes(ctx.guild_id)
            raw = await _load(ctx)
            if guilds.changes(ctx.guild_id) == changes:
                guilds.learn_guild(raw)
    found = guilds.snapshot(ctx.guild_id)
    if found is None or found.me is None:
        raise OpError("the guild is changing too fast to be read; try again", code="TRY_AGAIN")
    return found


class _Id(msgspec.Struct):
    id: str


class _Threads(msgspec.Struct):
    threads: list[RawChannel]


async def _load(ctx: OpContext) -> RawGuild:
    guilds = ctx.channels.guilds
    if guilds.user_id is None:
        guilds.user_id = int((await _get(ctx, Route("GET", "/users/@me"), _Id)).id)
    guild = await _get(ctx, Route("GET", "/guilds/{guild_id}", guild_id=ctx.guild_id), RawGuild)
    guild.channels = await _get(
        ctx, Route("GET", "/guilds/{guild_id}/channels", guild_id=ctx.guild_id), list[RawChannel]
    )
    active = Route("GET", "/guilds/{guild_id}/threads/active", guild_id=ctx.guild_id)
    guild.threads = (await _get(ctx, active, _Threads)).threads
    guild.members = [await _fetch_member(ctx, str(guilds.user_id))]
    return guild


async def _fetch_member(ctx: OpContext, user_id: str) -> RawMember:
    path = "/guilds/{guild_id}/members/{user_id}"
    return await _get(ctx, Route("GET", path, guild_id=ctx.guild_id, user_id=user_id), RawMember)


async def _get(ctx: OpContext, route: Route, type_: type[T]) -> T:
    response = await ctx.rest.request(route, guild_id=ctx.guild_id)
    return msgspec.json.decode(response.body, type=type_)


def _channel_json(channel: Channel) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": str(channel.id),
        "type": channel.type,
        "name": channel.name,
        "parentId": str(channel.parent_id) if channel.parent_id else None,
        "position": channel.position,
        "nsfw": channel.nsfw,
        "permissionOverwrites": [
            {"id": str(each.id), "type": each.type, "allow": str(each.allow), "deny": str(each.deny)}
            for each in channel.overwrites
        ],
    }
    if channel.owner_id:
        out["ownerId"] = str(channel.owner_id)
    return out


def _role_json(role: Role) -> dict[str, Any]:
    return {
        "id": str(role.id),
        "name": role.name,
        "color": role.color,
        "hoist": role.hoist,
        "position": role.position,
        "permissions": str(role.permissions),
        "managed": role.managed,
        "mentionable": role.mentionable,
    }


def _json(value: dict[str, Any] | str | Iterable[dict[str, Any]]) -> bytes:
    return msgspec.json.encode(value)
