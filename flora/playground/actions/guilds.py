"""Guilds, channels, roles, members and bans.

Source: Discord API Reference, "Guild", "Channel", "Permissions".
"""

from __future__ import annotations

from typing import Any, Final

from flora.playground import permissions as may
from flora.playground.entities import (
    ANNOUNCEMENT,
    CATEGORY,
    DM,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    STAGE,
    TEXT,
    VOICE,
    Channel,
    Guild,
    Member,
    Message,
    Overwrite,
    Role,
    User,
)
from flora.playground.errors import DiscordError, Json, missing_permissions, unknown
from flora.playground.forms import Faults, Form
from flora.playground.model import Dispatch, Model
from flora.playground.snowflake import isoformat

MAX_CHANNELS: Final = 500
MAX_ROLES: Final = 250
THREAD_CREATED: Final = 18  # message type
_CREATABLE: Final = (TEXT, VOICE, CATEGORY, ANNOUNCEMENT, STAGE)


def guild_create_json(model: Model, guild: Guild, viewer: User, member_limit: int) -> Json:
    """GUILD_CREATE for one session: the viewer's channels, and members as far as its intents go."""
    seen = [
        channel
        for channel in guild.channels.values()
        if may.channel_permissions(guild, channel, viewer.id) & may.VIEW_CHANNEL
    ]
    others = [each for each in guild.members.values() if each.user.id != viewer.id]
    members = [guild.members[viewer.id], *others[: max(0, member_limit - 1)]]
    channels = []
    for channel in seen:
        if not channel.is_thread:
            body = channel.json(viewer.id)
            del body["guild_id"]
            channels.append(body)
    return guild.json() | {
        "joined_at": isoformat(guild.members[viewer.id].joined_at),
        "large": len(guild.members) > (member_limit or 50),
        "unavailable": False,
        "member_count": len(guild.members),
        "members": [each.json() for each in members],
        "channels": channels,
        "threads": [each.json(viewer.id) for each in seen if each.is_thread and not each.archived],
        "presences": [],
        "voice_states": [_partial(each.json(guild)) for each in guild.voice_states.values()],
        "stage_instances": list(guild.records.get("stage instance", {}).values()),
        "guild_scheduled_events": list(guild.records.get("scheduled event", {}).values()),
        "soundboard_sounds": list(guild.records.get("sound", {}).values()),
        "embedded_activities": [],
    }


def _partial(voice_state: Json) -> Json:
    """Of GUILD_CREATE: without what stands there already."""
    return {key: value for key, value in voice_state.items() if key not in ("guild_id", "member")}


def update_guild(model: Model, user: User, guild: Guild, value: Any) -> Guild:
    model.require(guild, user, may.MANAGE_GUILD)
    form = Form(value)
    name = form.text("name", least=2, most=100)
    description = form.text("description", most=300)
    form.finish()
    guild.name = name or guild.name
    guild.description = description if "description" in form else guild.description
    _emit(model, "GUILD_UPDATE", guild, guild.json())
    return guild


def leave_guild(model: Model, guild: Guild, user: User) -> None:
    """The user (also the bot) leaves; GUILD_DELETE to itself, GUILD_MEMBER_REMOVE to the others."""
    if guild.owner_id == user.id:
        raise DiscordError(400, 50055, "Invalid Guild")
    if (state := guild.voice_states.pop(user.id, None)) is not None:
        _emit(model, "VOICE_STATE_UPDATE", guild, state.json(guild) | {"channel_id": None})
    del guild.members[user.id]
    model.emit(Dispatch("GUILD_DELETE", {"id": guild.id}, guild_id=guild.id, only=frozenset({user.id})))
    _emit(model, "GUILD_MEMBER_REMOVE", guild, {"guild_id": guild.id, "user": user.json()})


def join_guild(model: Model, guild: Guild, user: User) -> Member:
    """The user (also the bot, as after an invite) comes in."""
    if user.id in guild.members:
        return guild.members[user.id]
    if user.id in guild.bans:
        raise DiscordError(403, 40007, "The user is banned from this guild.")
    member = guild.members[user.id] = Member(user, model.clock.now())
    if user.bot:
        own = next((each for each in guild.roles.values() if each.bot_id == user.id), None)
        if own is not None:
            member.roles.append(own.id)
    model.emit(Dispatch("GUILD_CREATE", {"id": guild.id}, guild_id=guild.id, only=frozenset({user.id})))
    _emit(model, "GUILD_MEMBER_ADD", guild, member.json() | {"guild_id": guild.id})
    return member


def set_available(model: Model, guild: Guild, available: bool) -> None:
    """An outage of the guild begins or ends, as Discord's do."""
    guild.available = available
    only = frozenset(guild.members)
    if available:
        model.emit(Dispatch("GUILD_CREATE", {"id": guild.id}, guild_id=guild.id, only=only))
        return
    body = {"id": guild.id, "unavailable": True}
    model.emit(Dispatch("GUILD_DELETE", body, guild_id=guild.id, only=only))


# channels


def create_channel(model: Model, user: User, guild: Guild, value: Any) -> Channel:
    model.require(guild, user, may.MANAGE_CHANNELS)
    if len(guild.channels) >= MAX_CHANNELS:
        raise DiscordError(400, 30013, f"Maximum number of guild channels reached ({MAX_CHANNELS})")
    form = Form(value)
    name = form.text("name", least=1, most=100, required=True)
    kind = form.choice("type", _CREATABLE)
    channel = Channel(model.next_id(), kind or TEXT, name or "", guild.id)
    channel.position = sum(1 for each in guild.channels.values() if not each.is_thread)
    _read_channel(form, guild, channel)
    form.finish()
    guild.channels[channel.id] = model.channels[channel.id] = channel
    _emit_channel(model, "CHANNEL_CREATE", channel)
    return channel


def move_channels(model: Model, user: User, guild: Guild, value: Any) -> None:
    """New positions and categories of some channels, all or none of them."""
    model.require(guild, user, may.MANAGE_CHANNELS)
    if not isinstance(value, list):
        raise DiscordError(400, 50035, "Invalid Form Body")
    faults = Faults()
    changes = []
    for index, each in enumerate(value):
        form = Form(each, faults=faults, path=(str(index),))
        channel = guild.channels.get(form.snowflake("id", required=True) or "")
        if channel is None or channel.is_thread:
            raise unknown("channel")
        parent = form.snowflake("parent_id")
        if parent is not None and (parent not in guild.channels or guild.channels[parent].kind != CATEGORY):
            form.fault("parent_id", "CHANNEL_PARENT_INVALID", "Category does not exist")
        position = form.integer("position", most=10_000)
        changes.append((channel, position, parent if "parent_id" in form else channel.parent_id))
    Form({}, faults=faults).finish()
    for channel, position, parent in changes:
        channel.position = channel.position if position is None else position
        channel.parent_id = parent
        _emit_channel(model, "CHANNEL_UPDATE", channel)


def update_channel(model: Model, user: User, channel: Channel, value: Any) -> Channel:
    if channel.guild_id is None:
        raise DiscordError(403, 50024, "Cannot execute action on this channel type")
    guild = model.guilds[channel.guild_id]
    if channel.is_thread:
        return _update_thread(model, user, channel, value)
    _require_in(model, user, channel, may.MANAGE_CHANNELS)
    form = Form(value)
    _read_channel(form, guild, channel)
    form.finish()
    _emit_channel(model, "CHANNEL_UPDATE", channel)
    return channel


def delete_channel(model: Model, user: User, channel: Channel) -> Channel:
    """Delete a channel with its threads, or a thread; a direct message is only closed."""
    if channel.guild_id is None:
        return channel
    guild = model.guilds[channel.guild_id]
    _require_in(model, user, channel, may.MANAGE_THREADS if channel.is_thread else may.MANAGE_CHANNELS)
    for thread in [
        each for each in guild.channels.values() if each.is_thread and each.parent_id == channel.id
    ]:
        _remove(model, guild, thread)
    if channel.is_thread:
        body = {"id": channel.id, "guild_id": guild.id, "parent_id": channel.parent_id, "type": channel.kind}
        model.emit(Dispatch("THREAD_DELETE", body, guild_id=guild.id, channel_id=channel.id))
    else:
        _emit_channel(model, "CHANNEL_DELETE", channel)
    _remove(model, guild, channel)
    return channel


def set_overwrite(model: Model, user: User, channel: Channel, target_id: str, value: Any) -> None:
    _require_in(model, user, channel, may.MANAGE_ROLES)
    form = Form(value)
    kind = form.choice("type", (0, 1), required=True)
    allow, deny = (form.integer(key, most=2**63 - 1) or 0 for key in ("allow", "deny"))
    form.finish()
    others = [each for each in channel.overwrites if each.id != target_id]
    channel.overwrites = [*others, Overwrite(target_id, 1 if kind == 1 else 0, allow, deny)]
    _emit_channel(model, "CHANNEL_UPDATE", channel)


def delete_overwrite(model: Model, user: User, channel: Channel, target_id: str) -> None:
    _require_in(model, user, channel, may.MANAGE_ROLES)
    channel.overwrites = [each for each in channel.overwrites if each.id != target_id]
    _emit_channel(model, "CHANNEL_UPDATE", channel)


def direct_channel(model: Model, user: User, other_id: str) -> Channel:
    """The direct-message channel of two users, made when it is needed."""
    other = model.users.get(other_id)
    if other is None:
        raise unknown("user")
    if other.id == user.id:
        raise DiscordError(400, 50007, "Cannot send messages to this user")
    for channel in model.channels.values():
        if channel.kind == DM and {each.id for each in channel.recipients} == {user.id, other.id}:
            return channel
    channel = Channel(model.next_id(), DM, "", None, recipients=[user, other])
    model.channels[channel.id] = channel
    return channel


# threads


def create_thread(
    model: Model, user: User, channel: Channel, value: Any, *, message: Message | None = None
) -> Channel:
    """A thread in a text channel; from a message it takes that message's id."""
    if channel.guild_id is None or channel.kind not in (TEXT, ANNOUNCEMENT):
        raise DiscordError(400, 50024, "Cannot execute action on this channel type")
    if message is not None and message.thread is not None:
        raise DiscordError(400, 160004, "A thread has already been created for this message")
    guild = model.guilds[channel.guild_id]
    form = Form(value)
    name = form.text("name", least=1, most=100, required=True)
    minutes = form.choice("auto_archive_duration", (60, 1440, 4320, 10080))
    private = message is None and form.choice("type", (10, 11, 12)) in (None, PRIVATE_THREAD)
    form.finish()
    _require_in(model, user, channel, may.CREATE_PRIVATE_THREADS if private else may.CREATE_PUBLIC_THREADS)
    thread = Channel(
        id=model.next_id() if message is None else message.id,
        kind=PRIVATE_THREAD if private else PUBLIC_THREAD,
        name=name or "",
        guild_id=guild.id,
        parent_id=channel.id,
        owner_id=user.id,
        auto_archive_minutes=minutes or 1440,
    )
    thread.thread_members[user.id] = model.clock.now()
    guild.channels[thread.id] = model.channels[thread.id] = thread
    if message is not None:
        message.thread = thread
        message.flags |= 1 << 5  # HAS_THREAD
    body = thread.json() | {"newly_created": True}
    model.emit(Dispatch("THREAD_CREATE", body, guild_id=guild.id, channel_id=thread.id))
    return thread


def set_thread_member(model: Model, thread: Channel, user_id: str, present: bool) -> None:
    if not thread.is_thread or thread.guild_id is None:
        raise DiscordError(400, 50024, "Cannot execute action on this channel type")
    if present == (user_id in thread.thread_members):
        return
    body: Json = {"id": thread.id, "guild_id": thread.guild_id}
    if present:
        thread.thread_members[user_id] = model.clock.now()
        body["added_members"] = [thread.thread_member_json(user_id)]
    else:
        del thread.thread_members[user_id]
        body["removed_member_ids"] = [user_id]
    body["member_count"] = len(thread.thread_members)
    model.emit(Dispatch("THREAD_MEMBERS_UPDATE", body, guild_id=thread.guild_id, channel_id=thread.id))


def _update_thread(model: Model, user: User, thread: Channel, value: Any) -> Channel:
    if thread.owner_id != user.id:
        _require_in(model, user, thread, may.MANAGE_THREADS)
    form = Form(value)
    name = form.text("name", least=1, most=100)
    minutes = form.choice("auto_archive_duration", (60, 1440, 4320, 10080))
    archived = form.boolean("archived", default=thread.archived)
    locked = form.boolean("locked", default=thread.locked)
    form.finish()
    thread.name = name or thread.name
    thread.auto_archive_minutes = minutes or thread.auto_archive_minutes
    thread.archived, thread.locked = archived, locked
    _emit_channel(model, "THREAD_UPDATE", thread)
    return thread


# roles


def create_role(model: Model, user: User, guild: Guild, value: Any) -> Role:
    model.require(guild, user, may.MANAGE_ROLES)
    if len(guild.roles) >= MAX_ROLES:
        raise DiscordError(400, 30005, f"Maximum number of guild roles reached ({MAX_ROLES})")
    role = Role(model.next_id(), "new role", guild.roles[guild.id].permissions, 1)
    _read_role(value, role)
    for each in guild.roles.values():
        if each.position >= 1:
            each.position += 1
    guild.roles[role.id] = role
    _emit(model, "GUILD_ROLE_CREATE", guild, {"guild_id": guild.id, "role": role.json()})
    return role


def update_role(model: Model, user: User, guild: Guild, role_id: str, value: Any) -> Role:
    role = _manageable_role(model, user, guild, role_id)
    _read_role(value, role)
    _emit(model, "GUILD_ROLE_UPDATE", guild, {"guild_id": guild.id, "role": role.json()})
    return role


def delete_role(model: Model, user: User, guild: Guild, role_id: str) -> None:
    role = _manageable_role(model, user, guild, role_id)
    if role.managed or role.id == guild.id:
        raise DiscordError(400, 50028, "Invalid Role")
    del guild.roles[role.id]
    for member in guild.members.values():
        if role.id in member.roles:
            member.roles.remove(role.id)
    _emit(model, "GUILD_ROLE_DELETE", guild, {"guild_id": guild.id, "role_id": role.id})


def set_member_role(model: Model, user: User, guild: Guild, member: Member, role_id: str, has: bool) -> None:
    role = _manageable_role(model, user, guild, role_id)
    if role.managed or role.id == guild.id:
        raise missing_permissions()
    if has == (role.id in member.roles):
        return
    if has:
        member.roles.append(role.id)
    else:
        member.roles.remove(role.id)
    emit_member(model, guild, member)


def role_of(guild: Guild, role_id: str) -> Role:
    try:
        return guild.roles[role_id]
    except KeyError:
        raise unknown("role") from None


# members


def update_member(model: Model, user: User, guild: Guild, member: Member, value: Any) -> Member:
    form = Form(value)
    nick = form.text("nick", most=32)
    roles = form.snowflakes("roles", most=MAX_ROLES)
    until = form.text("communication_disabled_until", most=64)
    form.finish()
    if "nick" in form:
        own = member.user.id == user.id
        model.require(guild, user, may.CHANGE_NICKNAME if own else may.MANAGE_NICKNAMES)
        member.nick = nick or None
    if roles is not None:
        model.require(guild, user, may.MANAGE_ROLES)
        kept = [each for each in member.roles if role_of(guild, each).managed]
        member.roles = kept + [role_of(guild, each).id for each in roles if each not in kept]
    if "communication_disabled_until" in form:
        model.require(guild, user, may.MODERATE_MEMBERS)
        member.timeout_until = until
    emit_member(model, guild, member)
    return member


def kick(model: Model, user: User, guild: Guild, member: Member) -> None:
    model.require(guild, user, may.KICK_MEMBERS)
    _require_above(guild, user, member)
    leave_guild(model, guild, member.user)


def ban(model: Model, user: User, guild: Guild, target: User, reason: str | None) -> None:
    model.require(guild, user, may.BAN_MEMBERS)
    member = guild.members.get(target.id)
    if member is not None:
        _require_above(guild, user, member)
        leave_guild(model, guild, member.user)
    guild.bans[target.id] = (target, reason)
    _emit(model, "GUILD_BAN_ADD", guild, {"guild_id": guild.id, "user": target.json()})


def bulk_ban(
    model: Model, user: User, guild: Guild, ids: list[str], reason: str | None
) -> tuple[list[str], list[str]]:
    """The ids that were banned and those that could not be. Raises 500000 when it is none."""
    model.require(guild, user, may.BAN_MEMBERS)
    model.require(guild, user, may.MANAGE_GUILD)
    banned: list[str] = []
    failed: list[str] = []
    for user_id in dict.fromkeys(ids):
        try:
            ban(model, user, guild, model.user(user_id), reason)
        except DiscordError:
            failed.append(user_id)
        else:
            banned.append(user_id)
    if not banned:
        raise DiscordError(400, 500000, "Failed to ban users")
    return banned, failed


def unban(model: Model, user: User, guild: Guild, user_id: str) -> None:
    model.require(guild, user, may.BAN_MEMBERS)
    target, _ = ban_of(guild, user_id)
    del guild.bans[user_id]
    _emit(model, "GUILD_BAN_REMOVE", guild, {"guild_id": guild.id, "user": target.json()})


def ban_of(guild: Guild, user_id: str) -> tuple[User, str | None]:
    try:
        return guild.bans[user_id]
    except KeyError:
        raise unknown("ban") from None


def emit_member(model: Model, guild: Guild, member: Member) -> None:
    _emit(model, "GUILD_MEMBER_UPDATE", guild, member.json() | {"guild_id": guild.id})


def _require_in(model: Model, user: User, channel: Channel, permission: int) -> None:
    if not model.permissions(channel, user.id) & permission:
        raise missing_permissions()


def _require_above(guild: Guild, user: User, member: Member) -> None:
    """Nobody kicks or bans the owner, or somebody whose highest role is not below the own."""
    if user.id == guild.owner_id and member.user.id != guild.owner_id:
        return
    if member.user.id == guild.owner_id or _rank(guild, user.id) <= _rank(guild, member.user.id):
        raise missing_permissions()


def _rank(guild: Guild, user_id: str) -> int:
    return max((guild.roles[each].position for each in guild.members[user_id].roles), default=0)


def _manageable_role(model: Model, user: User, guild: Guild, role_id: str) -> Role:
    model.require(guild, user, may.MANAGE_ROLES)
    role = role_of(guild, role_id)
    if user.id != guild.owner_id and role.position >= _rank(guild, user.id):
        raise missing_permissions()
    return role


def _read_role(value: Any, role: Role) -> None:
    form = Form(value)
    name = form.text("name", most=100)
    permissions = form.integer("permissions", most=2**63 - 1)
    color = form.integer("color", most=0xFFFFFF)
    hoist = form.boolean("hoist", default=role.hoist)
    mentionable = form.boolean("mentionable", default=role.mentionable)
    form.finish()
    role.name = name or role.name
    role.permissions = role.permissions if permissions is None else permissions
    role.color = role.color if color is None else color
    role.hoist, role.mentionable = hoist, mentionable


def _read_channel(form: Form, guild: Guild, channel: Channel) -> None:
    name = form.text("name", least=1, most=100)
    topic = form.text("topic", most=1024)
    nsfw = form.boolean("nsfw", default=channel.nsfw)
    slowmode = form.integer("rate_limit_per_user", most=21_600)
    position = form.integer("position", most=10_000)
    parent = form.snowflake("parent_id")
    if parent is not None and (parent not in guild.channels or guild.channels[parent].kind != CATEGORY):
        form.fault("parent_id", "CHANNEL_PARENT_INVALID", "Category does not exist")
    overwrites = []
    for each in form.forms("permission_overwrites", most=100):
        target, kind = each.snowflake("id", required=True), each.choice("type", (0, 1))
        allow, deny = (each.integer(key, most=2**63 - 1) or 0 for key in ("allow", "deny"))
        overwrites.append(Overwrite(target or "0", 1 if kind == 1 else 0, allow, deny))
    form.finish()
    channel.name = name or channel.name
    channel.topic = topic if "topic" in form else channel.topic
    channel.nsfw = nsfw
    channel.slowmode = channel.slowmode if slowmode is None else slowmode
    channel.position = channel.position if position is None else position
    channel.parent_id = parent if "parent_id" in form else channel.parent_id
    if form.data.get("permission_overwrites") is not None:
        channel.overwrites = overwrites


def _remove(model: Model, guild: Guild, channel: Channel) -> None:
    for state in [each for each in guild.voice_states.values() if each.channel_id == channel.id]:
        del guild.voice_states[state.user_id]
        _emit(model, "VOICE_STATE_UPDATE", guild, state.json(guild) | {"channel_id": None})
    guild.records.get("stage instance", {}).pop(channel.id, None)
    guild.channels.pop(channel.id, None)
    model.channels.pop(channel.id, None)


def _emit(model: Model, name: str, guild: Guild, body: Json) -> None:
    model.emit(Dispatch(name, body, guild_id=guild.id))


def _emit_channel(model: Model, name: str, channel: Channel) -> None:
    model.emit(Dispatch(name, channel.json(), guild_id=channel.guild_id, channel_id=channel.id))
