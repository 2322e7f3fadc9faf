"""What a member may do in a guild or channel.

Source: Discord API Reference, "Permissions": "Permission Overwrites", "Implicit Permissions", "Inherited
Permissions (Threads)" and "Permissions For Timed Out Members".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

ADMINISTRATOR: Final = 1 << 3
VIEW_CHANNEL: Final = 1 << 10
SEND_MESSAGES: Final = 1 << 11
SEND_TTS_MESSAGES: Final = 1 << 12
EMBED_LINKS: Final = 1 << 14
ATTACH_FILES: Final = 1 << 15
READ_MESSAGE_HISTORY: Final = 1 << 16
MENTION_EVERYONE: Final = 1 << 17
SEND_MESSAGES_IN_THREADS: Final = 1 << 38

ALL: Final = (1 << 53) - 1 & ~(0b11 << 47)
"""Every permission there is; 47 and 48 are Discord's own and unused."""

_WITH_SENDING: Final = SEND_TTS_MESSAGES | EMBED_LINKS | ATTACH_FILES | MENTION_EVERYONE
_TIMED_OUT: Final = VIEW_CHANNEL | READ_MESSAGE_HISTORY


class Overwrite(Protocol):
    """`id` is a role's or a member's; the role of everyone has the guild's id."""

    @property
    def id(self) -> int: ...
    @property
    def allow(self) -> int: ...
    @property
    def deny(self) -> int: ...


def base_permissions(
    everyone: int, roles: Iterable[int], *, owner: bool = False, timed_out: bool = False
) -> int:
    """In the guild, before any channel: from the permissions of everyone and of the member's roles."""
    held = everyone
    for permissions in roles:
        held |= permissions
    if owner or held & ADMINISTRATOR:
        return ALL
    return held & _TIMED_OUT if timed_out else held


def channel_permissions(
    base: int,
    overwrites: Iterable[Overwrite],
    *,
    guild_id: int,
    role_ids: Iterable[int],
    member_id: int,
    thread: bool = False,
    timed_out: bool = False,
) -> int:
    """In a channel, from `base_permissions`. For a thread, with the overwrites of its parent."""
    if base & ADMINISTRATOR:
        return ALL
    by_id: Mapping[int, Overwrite] = {overwrite.id: overwrite for overwrite in overwrites}
    held = _overwritten(base, [by_id[guild_id]] if guild_id in by_id else [])
    held = _overwritten(held, [by_id[role] for role in role_ids if role in by_id and role != guild_id])
    held = _overwritten(held, [by_id[member_id]] if member_id in by_id else [])
    if timed_out:
        held &= _TIMED_OUT
    if not held & VIEW_CHANNEL:
        return 0
    if not held & (SEND_MESSAGES_IN_THREADS if thread else SEND_MESSAGES):
        held &= ~_WITH_SENDING
    return held


def _overwritten(held: int, overwrites: Iterable[Overwrite]) -> int:
    """Of several roles an allowance wins over a denial."""
    allow = deny = 0
    for overwrite in overwrites:
        allow |= overwrite.allow
        deny |= overwrite.deny
    return held & ~deny | allow
