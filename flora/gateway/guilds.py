"""What the gateway has told about guilds: who is there, channels and threads, roles, and the bot as member.

Fed with every guild event as it passes. It answers scope checks and permission questions without a REST
call, and it is small: a guild's lists are packed (MessagePack) and unpacked when somebody asks, which is
rare beside the events that pass. After a RESUME Discord does not tell of the guilds again; `Snapshot` is
what the REST API says instead, put in with `learn_guild`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from flora.gateway.events import GatewayEvent
from flora.ids import GuildId, Snowflake

THREAD_TYPES: Final = frozenset({10, 11, 12})
MAX_LEARNED: Final = 2000
"""Channels of one guild that are remembered though the gateway does not tell of them: archived threads."""

T = TypeVar("T", bound="Role | Channel")


class Overwrite(msgspec.Struct, array_like=True, gc=False, frozen=True):
    id: int
    type: int
    allow: int
    deny: int

    @classmethod
    def of(cls, raw: RawOverwrite) -> Overwrite:
        return cls(int(raw.id), int(raw.type), int(raw.allow), int(raw.deny))


class Channel(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """`owner_id` is who began a thread, 0 for others; `parent_id` 0 when there is none."""

    id: int
    type: int
    name: str
    parent_id: int
    position: int
    nsfw: bool
    overwrites: tuple[Overwrite, ...] = ()
    owner_id: int = 0

    @property
    def is_thread(self) -> bool:
        return self.type in THREAD_TYPES

    @classmethod
    def of(cls, raw: RawChannel) -> Channel:
        return cls(
            int(raw.id),
            raw.type,
            raw.name or "",
            int(raw.parent_id or 0),
            raw.position or 0,
            bool(raw.nsfw),
            tuple(Overwrite.of(each) for each in raw.permission_overwrites or ()),
            int(raw.owner_id or 0),
        )


class Role(msgspec.Struct, array_like=True, gc=False, frozen=True):
    id: int
    name: str
    color: int
    hoist: bool
    position: int
    permissions: int
    managed: bool
    mentionable: bool

    @classmethod
    def of(cls, raw: RawRole) -> Role:
        return cls(
            int(raw.id),
            raw.name,
            raw.color,
            raw.hoist,
            raw.position,
            int(raw.permissions),
            raw.managed,
            raw.mentionable,
        )


class Me(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """The bot as a member of a guild. `timed_out_until` is ISO 8601."""

    roles: tuple[int, ...] = ()
    nick: str | None = None
    timed_out_until: str | None = None

    @classmethod
    def of(cls, raw: RawMember) -> Me:
        roles = tuple(int(role) for role in raw.roles or ())
        return cls(roles, raw.nick, raw.communication_disabled_until)


class Snapshot(msgspec.Struct, gc=False, frozen=True):
    """One guild as somebody asked for it. Ids are numbers."""

    name: str
    icon: str | None
    owner_id: int
    channels: tuple[Channel, ...]
    threads: tuple[Channel, ...]
    roles: tuple[Role, ...]
    me: Me | None


class _Packed(msgspec.Struct, gc=False):
    name: str | None
    icon: str | None
    owner_id: int
    channels: bytes
    threads: bytes
    roles: bytes
    me: bytes | None


class _Guild:
    """`packed` is None for a guild of which only single channels are known."""

    __slots__ = ("changes", "learned", "packed")

    def __init__(self) -> None:
        self.packed: _Packed | None = None
        self.learned = 0
        self.changes = 0


# ---------------------------------------------------------------------------------- as Discord sends it


class RawOverwrite(msgspec.Struct, gc=False):
    id: str
    type: int | str = 0
    allow: str = "0"
    deny: str = "0"


class RawChannel(msgspec.Struct, gc=False):
    id: str
    type: int = 0
    name: str | None = None
    parent_id: str | None = None
    position: int | None = None
    nsfw: bool | None = None
    permission_overwrites: list[RawOverwrite] | None = None
    owner_id: str | None = None


class RawRole(msgspec.Struct, gc=False):
    id: str
    name: str = ""
    color: int = 0
    hoist: bool = False
    position: int = 0
    permissions: str = "0"
    managed: bool = False
    mentionable: bool = False


class _User(msgspec.Struct, gc=False):
    id: str


class RawMember(msgspec.Struct, gc=False):
    user: _User | None = None
    roles: list[str] | None = None
    nick: str | None = None
    communication_disabled_until: str | None = None


class RawGuild(msgspec.Struct, gc=False):
    id: str
    name: str | None = None
    icon: str | None = None
    owner_id: str | None = None
    unavailable: bool = False
    channels: list[RawChannel] | None = None
    threads: list[RawChannel] | None = None
    roles: list[RawRole] | None = None
    members: list[RawMember] | None = None


class _Ready(msgspec.Struct, gc=False):
    user: _User


class _RoleEvent(msgspec.Struct, gc=False):
    role: RawRole | None = None
    role_id: str | None = None


class _ThreadSync(msgspec.Struct, gc=False):
    threads: list[RawChannel]
    channel_ids: list[str] | None = None


_guild_decoder: Final = msgspec.json.Decoder(RawGuild)
_channel_decoder: Final = msgspec.json.Decoder(RawChannel)
_role_decoder: Final = msgspec.json.Decoder(_RoleEvent)
_member_decoder: Final = msgspec.json.Decoder(RawMember)
_sync_decoder: Final = msgspec.json.Decoder(_ThreadSync)
_ready_decoder: Final = msgspec.json.Decoder(_Ready)

_pack: Final = msgspec.msgpack.Encoder().encode
_channels_of: Final = msgspec.msgpack.Decoder(tuple[Channel, ...]).decode
_roles_of: Final = msgspec.msgpack.Decoder(tuple[Role, ...]).decode
_me_of: Final = msgspec.msgpack.Decoder(Me).decode


class GuildCache:
    """Not for other threads than Trio's; no method waits. `user_id` is the bot's, None until it is known."""

    def __init__(self) -> None:
        self.user_id: int | None = None
        self._guild_of: dict[int, int] = {}  # channel -> guild; as numbers, at half the memory of text
        self._guilds: dict[GuildId, _Guild] = {}
        self._handlers: dict[str, Callable[[GuildId, bytes], None]] = {
            "GUILD_CREATE": self._arrived,
            "GUILD_UPDATE": self._updated,
            "GUILD_DELETE": self._left,
            "CHANNEL_CREATE": self._channel,
            "CHANNEL_UPDATE": self._channel,
            "CHANNEL_DELETE": self._channel_gone,
            "THREAD_CREATE": self._thread,
            "THREAD_UPDATE": self._thread,
            "THREAD_DELETE": self._thread_gone,
            "THREAD_LIST_SYNC": self._threads_synced,
            "GUILD_ROLE_CREATE": self._role,
            "GUILD_ROLE_UPDATE": self._role,
            "GUILD_ROLE_DELETE": self._role,
            "GUILD_MEMBER_UPDATE": self._member,
        }

    def observe(self, event: GatewayEvent) -> None:
        """Take note of an event. A payload of an unexpected shape is ignored: it is not ours to judge."""
        try:
            if event.name == "READY":
                self.user_id = int(_ready_decoder.decode(event.payload).user.id)
            elif event.guild_id is not None and (handler := self._handlers.get(event.name)) is not None:
                handler(event.guild_id, event.payload)
        except (msgspec.DecodeError, ValueError, OverflowError):
            return

    # ------------------------------------------------------------------ questions

    def guild_of_channel(self, channel_id: Snowflake) -> GuildId | None:
        guild = self._guild_of.get(int(channel_id))
        return None if guild is None else GuildId(str(guild))

    def guilds(self) -> list[GuildId]:
        """Those that the gateway has told of."""
        return [guild_id for guild_id, guild in self._guilds.items() if guild.packed is not None]

    def name(self, guild_id: GuildId) -> str | None:
        packed = self._packed(guild_id)
        return None if packed is None else packed.name

    def snapshot(self, guild_id: GuildId) -> Snapshot | None:
        """All that is known of a guild; None when the gateway has not told of it."""
        packed = self._packed(guild_id)
        if packed is None:
            return None
        return Snapshot(
            packed.name or "",
            packed.icon,
            packed.owner_id,
            _channels_of(packed.channels),
            _channels_of(packed.threads),
            _roles_of(packed.roles),
            None if packed.me is None else _me_of(packed.me),
        )

    def changes(self, guild_id: GuildId) -> int:
        """A number that is another one after each event that changed what is known of the guild."""
        guild = self._guilds.get(guild_id)
        return 0 if guild is None else guild.changes

    # ------------------------------------------------------------------ from the REST API

    def learn_channel(self, channel_id: Snowflake, guild_id: GuildId) -> None:
        """Remember what Discord's REST API said of a channel, until the guild is left."""
        guild = self._guilds.setdefault(guild_id, _Guild())
        if guild.learned < MAX_LEARNED and int(channel_id) not in self._guild_of:
            guild.learned += 1
            self._guild_of[int(channel_id)] = int(guild_id)

    def learn_guild(self, raw: RawGuild) -> None:
        """Take a guild as the REST API described it: with `members` holding the bot alone."""
        guild_id = GuildId(raw.id)
        guild = self._guilds.setdefault(guild_id, _Guild())
        changes = guild.changes
        self._take(guild_id, raw)
        self._guilds[guild_id].changes = changes

    # ------------------------------------------------------------------ events

    def _arrived(self, guild_id: GuildId, payload: bytes) -> None:
        raw = _guild_decoder.decode(payload)
        if not raw.unavailable:  # during an outage there is nothing in it
            self._take(guild_id, raw)

    def _take(self, guild_id: GuildId, raw: RawGuild) -> None:
        channels = [Channel.of(each) for each in raw.channels or ()]
        threads = [Channel.of(each) for each in raw.threads or ()]
        roles = [Role.of(each) for each in raw.roles or ()]
        guild, before = _Guild(), self._guilds.get(guild_id)
        guild.packed = _Packed(
            raw.name,
            raw.icon,
            int(raw.owner_id or 0),
            _pack(channels),
            _pack(threads),
            _pack(roles),
            self._find_me(raw.members or ()),
        )
        self._forget(guild_id)
        guild.changes = 0 if before is None else before.changes + 1
        self._guilds[guild_id] = guild
        number = int(guild_id)
        for channel in (*channels, *threads):
            self._guild_of[channel.id] = number

    def _find_me(self, members: list[RawMember] | tuple[RawMember, ...]) -> bytes | None:
        for member in members:
            if member.user is not None and int(member.user.id) == self.user_id:
                return _pack(Me.of(member))
        return None

    def _updated(self, guild_id: GuildId, payload: bytes) -> None:
        raw = _guild_decoder.decode(payload)
        packed = self._changed(guild_id)
        if packed is not None:
            packed.name = raw.name if raw.name is not None else packed.name
            packed.icon = raw.icon
            packed.owner_id = int(raw.owner_id or packed.owner_id)
            if raw.roles is not None:
                packed.roles = _pack([Role.of(each) for each in raw.roles])

    def _left(self, guild_id: GuildId, payload: bytes) -> None:
        if not _guild_decoder.decode(payload).unavailable:  # an outage is not a farewell
            self._forget(guild_id)

    def _channel(self, guild_id: GuildId, payload: bytes) -> None:
        channel = Channel.of(_channel_decoder.decode(payload))
        packed = self._changed(guild_id)
        if packed is not None:
            packed.channels = _pack(_with(_channels_of(packed.channels), channel))
            self._guild_of[channel.id] = int(guild_id)

    def _channel_gone(self, guild_id: GuildId, payload: bytes) -> None:
        gone = int(_channel_decoder.decode(payload).id)
        packed = self._changed(guild_id)
        if packed is None:
            return
        threads = _channels_of(packed.threads)
        packed.channels = _pack(_without(_channels_of(packed.channels), gone))
        packed.threads = _pack([thread for thread in threads if thread.parent_id != gone])
        for channel_id in (gone, *(thread.id for thread in threads if thread.parent_id == gone)):
            self._guild_of.pop(channel_id, None)

    def _thread(self, guild_id: GuildId, payload: bytes) -> None:
        thread = Channel.of(_channel_decoder.decode(payload))
        packed = self._changed(guild_id)
        if packed is not None:
            packed.threads = _pack(_with(_channels_of(packed.threads), thread))
            self._guild_of[thread.id] = int(guild_id)

    def _thread_gone(self, guild_id: GuildId, payload: bytes) -> None:
        gone = int(_channel_decoder.decode(payload).id)
        packed = self._changed(guild_id)
        if packed is not None:
            packed.threads = _pack(_without(_channels_of(packed.threads), gone))
            self._guild_of.pop(gone, None)

    def _threads_synced(self, guild_id: GuildId, payload: bytes) -> None:
        sync = _sync_decoder.decode(payload)
        packed = self._changed(guild_id)
        if packed is None:
            return
        parents = None if sync.channel_ids is None else {int(each) for each in sync.channel_ids}
        before = {thread.id: thread for thread in _channels_of(packed.threads)}
        kept = {
            id_: thread
            for id_, thread in before.items()
            if parents is not None and thread.parent_id not in parents
        }
        kept |= {thread.id: thread for thread in map(Channel.of, sync.threads)}
        packed.threads = _pack(list(kept.values()))
        for gone in before.keys() - kept.keys():
            self._guild_of.pop(gone, None)
        self._guild_of.update(dict.fromkeys(kept, int(guild_id)))

    def _role(self, guild_id: GuildId, payload: bytes) -> None:
        event = _role_decoder.decode(payload)
        packed = self._changed(guild_id)
        if packed is None:
            return
        roles = _roles_of(packed.roles)
        if event.role is not None:
            packed.roles = _pack(_with(roles, Role.of(event.role)))
        elif event.role_id is not None:
            packed.roles = _pack(_without(roles, int(event.role_id)))

    def _member(self, guild_id: GuildId, payload: bytes) -> None:
        """Discord tells of the bot itself whatever the intents."""
        member = _member_decoder.decode(payload)
        if member.user is None or int(member.user.id) != self.user_id:
            return
        packed = self._changed(guild_id)
        if packed is not None:
            packed.me = _pack(Me.of(member))

    def _packed(self, guild_id: GuildId) -> _Packed | None:
        guild = self._guilds.get(guild_id)
        return None if guild is None else guild.packed

    def _changed(self, guild_id: GuildId) -> _Packed | None:
        guild = self._guilds.get(guild_id)
        if guild is None:
            return None
        guild.changes += 1
        return guild.packed

    def _forget(self, guild_id: GuildId) -> None:
        guild = self._guilds.pop(guild_id, None)
        if guild is None:
            return
        if guild.learned:
            number = int(guild_id)
            for channel_id in [key for key, owner in self._guild_of.items() if owner == number]:
                del self._guild_of[channel_id]
        elif guild.packed is not None:
            for packed in (guild.packed.channels, guild.packed.threads):
                for channel in _channels_of(packed):
                    self._guild_of.pop(channel.id, None)


def _with(items: tuple[T, ...], item: T) -> list[T]:
    """`item` in the place of the one with its id, or at the end."""
    found = [item if each.id == item.id else each for each in items]
    return found if any(each.id == item.id for each in items) else [*found, item]


def _without(items: tuple[T, ...], gone: int) -> list[T]:
    return [each for each in items if each.id != gone]
