"""The envelope of a gateway payload: op, t, s, and d as the bytes that came.

Source: Discord, Gateway Events, "Payload Structure". A payload is skipped over twice and never built: once
to find where `d` ends, once to find its guild.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

from flora.errors import FloraError
from flora.ids import GuildId


class Op(IntEnum):
    """Discord, Opcodes and Status Codes, "Gateway Opcodes"."""

    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE_UPDATE = 3
    VOICE_STATE_UPDATE = 4
    RESUME = 6
    RECONNECT = 7
    REQUEST_GUILD_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11
    REQUEST_SOUNDBOARD_SOUNDS = 31


class EnvelopeError(FloraError):
    """A payload is not what Discord's documentation describes."""

    code = "GATEWAY_BAD_PAYLOAD"


class Envelope(msgspec.Struct, gc=False):
    op: int
    d: msgspec.Raw = msgspec.Raw(b"null")
    s: int | None = None
    t: str | None = None


class _InGuild(msgspec.Struct, gc=False):
    guild_id: str | None = None


class _IsGuild(msgspec.Struct, gc=False):
    id: str


class Hello(msgspec.Struct, gc=False):
    heartbeat_interval: float
    """Milliseconds."""


class _Id(msgspec.Struct, gc=False):
    id: str


class Ready(msgspec.Struct, gc=False):
    """What flora reads of READY."""

    session_id: str
    resume_gateway_url: str
    user: _Id
    guilds: list[_Id]
    application: _Id | None = None

    @property
    def user_id(self) -> str:
        return self.user.id

    @property
    def application_id(self) -> str | None:
        return self.application.id if self.application else None

    @property
    def guild_ids(self) -> list[GuildId]:
        return [GuildId(guild.id) for guild in self.guilds]


_envelope: Final = msgspec.json.Decoder(Envelope)
_in_guild: Final = msgspec.json.Decoder(_InGuild)
_is_guild: Final = msgspec.json.Decoder(_IsGuild)
_hello: Final = msgspec.json.Decoder(Hello)
_ready: Final = msgspec.json.Decoder(Ready)
_boolean: Final = msgspec.json.Decoder(bool)

IS_GUILD: Final = frozenset({"GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"})
"""Dispatches whose payload is a guild: its id is `id`, not `guild_id`."""


def open_envelope(payload: bytes) -> Envelope:
    """Raises EnvelopeError."""
    try:
        return _envelope.decode(payload)
    except msgspec.DecodeError as error:
        raise EnvelopeError(f"the gateway sent an unreadable payload: {error}.") from error


def peek_guild_id(name: str, data: msgspec.Raw) -> GuildId | None:
    """The guild of the dispatch `name`, or None outside guilds. Raises EnvelopeError."""
    try:
        if name in IS_GUILD:
            return GuildId(_is_guild.decode(data).id)
        guild_id = _in_guild.decode(data).guild_id
    except msgspec.DecodeError as error:
        raise EnvelopeError(f"the gateway sent an unreadable {name}: {error}.") from error
    return GuildId(guild_id) if guild_id is not None else None


def read_hello(data: msgspec.Raw) -> Hello:
    """Raises EnvelopeError, also for an interval that no server would mean."""
    try:
        hello = _hello.decode(data)
    except msgspec.DecodeError as error:
        raise EnvelopeError(f"the gateway sent an unreadable hello: {error}.") from error
    if not 1 <= hello.heartbeat_interval <= 3_600_000:
        raise EnvelopeError(f"the gateway asks for a heartbeat every {hello.heartbeat_interval} ms.")
    return hello


def read_ready(data: msgspec.Raw) -> Ready:
    """Raises EnvelopeError."""
    try:
        return _ready.decode(data)
    except msgspec.DecodeError as error:
        raise EnvelopeError(f"the gateway sent an unreadable READY: {error}.") from error


def read_boolean(data: msgspec.Raw) -> bool:
    """`d` of INVALID_SESSION; anything but `true` counts as false."""
    try:
        return _boolean.decode(data)
    except msgspec.DecodeError:
        return False
