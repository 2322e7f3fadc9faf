"""Who may do what in which channel.

Source: Discord API Reference, "Permissions", section "Permission Overwrites", the documented algorithm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flora.playground.entities import Channel, Guild

CREATE_INSTANT_INVITE: Final = 1 << 0
KICK_MEMBERS: Final = 1 << 1
BAN_MEMBERS: Final = 1 << 2
ADMINISTRATOR: Final = 1 << 3
MANAGE_CHANNELS: Final = 1 << 4
MANAGE_GUILD: Final = 1 << 5
ADD_REACTIONS: Final = 1 << 6
VIEW_CHANNEL: Final = 1 << 10
SEND_MESSAGES: Final = 1 << 11
MANAGE_MESSAGES: Final = 1 << 13
EMBED_LINKS: Final = 1 << 14
ATTACH_FILES: Final = 1 << 15
READ_MESSAGE_HISTORY: Final = 1 << 16
MENTION_EVERYONE: Final = 1 << 17
CONNECT: Final = 1 << 20
SPEAK: Final = 1 << 21
MUTE_MEMBERS: Final = 1 << 22
MOVE_MEMBERS: Final = 1 << 24
CHANGE_NICKNAME: Final = 1 << 26
MANAGE_NICKNAMES: Final = 1 << 27
MANAGE_ROLES: Final = 1 << 28
MANAGE_WEBHOOKS: Final = 1 << 29
MANAGE_GUILD_EXPRESSIONS: Final = 1 << 30
USE_APPLICATION_COMMANDS: Final = 1 << 31
REQUEST_TO_SPEAK: Final = 1 << 32
MANAGE_EVENTS: Final = 1 << 33
MANAGE_THREADS: Final = 1 << 34
CREATE_PUBLIC_THREADS: Final = 1 << 35
CREATE_PRIVATE_THREADS: Final = 1 << 36
SEND_MESSAGES_IN_THREADS: Final = 1 << 38
MODERATE_MEMBERS: Final = 1 << 40
USE_SOUNDBOARD: Final = 1 << 42
CREATE_GUILD_EXPRESSIONS: Final = 1 << 43
CREATE_EVENTS: Final = 1 << 44
SET_VOICE_CHANNEL_STATUS: Final = 1 << 48
SEND_POLLS: Final = 1 << 49

ALL: Final = (1 << 53) - 1
EVERYONE_DEFAULT: Final = (
    CREATE_INSTANT_INVITE
    | VIEW_CHANNEL
    | SEND_MESSAGES
    | EMBED_LINKS
    | ATTACH_FILES
    | ADD_REACTIONS
    | READ_MESSAGE_HISTORY
    | CONNECT
    | SPEAK
    | REQUEST_TO_SPEAK
    | USE_SOUNDBOARD
    | SET_VOICE_CHANNEL_STATUS
    | CHANGE_NICKNAME
    | USE_APPLICATION_COMMANDS
    | CREATE_PUBLIC_THREADS
    | SEND_MESSAGES_IN_THREADS
    | SEND_POLLS
)


def guild_permissions(guild: Guild, user_id: str) -> int:
    """The permissions of a member before any channel's overwrites; 0 for a stranger."""
    member = guild.members.get(user_id)
    if member is None:
        return 0
    if guild.owner_id == user_id:
        return ALL
    allowed = guild.roles[guild.id].permissions
    for role_id in member.roles:
        allowed |= guild.roles[role_id].permissions
    return ALL if allowed & ADMINISTRATOR else allowed


def channel_permissions(guild: Guild, channel: Channel, user_id: str) -> int:
    """The permissions of a member in a channel; in a thread those of its parent channel."""
    base = guild_permissions(guild, user_id)
    if base in (ALL, 0):
        return base
    if channel.is_thread and channel.parent_id is not None:
        channel = guild.channels[channel.parent_id]
    member = guild.members[user_id]
    overwrites = {each.id: each for each in channel.overwrites}
    if everyone := overwrites.get(guild.id):
        base = base & ~everyone.deny | everyone.allow
    deny = allow = 0
    for role_id in member.roles:
        if overwrite := overwrites.get(role_id):
            deny |= overwrite.deny
            allow |= overwrite.allow
    base = base & ~deny | allow
    if own := overwrites.get(user_id):
        base = base & ~own.deny | own.allow
    return base if base & VIEW_CHANNEL else 0
