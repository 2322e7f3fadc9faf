"""The playground's world: who and what is there, and one stream of what happens in it.

`Model` is pure and synchronous: no clock but the given one, no I/O, no task. The functions in `actions/`
change it and emit a `Dispatch` for each change, in the order of the changes; the gateway and the chat page
are listeners.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flora.ids import Snowflake
from flora.playground import permissions as may
from flora.playground.entities import Application, Channel, Guild, Member, Message, User, Webhook
from flora.playground.errors import Json, missing_access, missing_permissions, unknown
from flora.playground.snowflake import Clock, SnowflakeFactory, Tokens, WorldClock

if TYPE_CHECKING:
    from flora.playground.actions.commands import Command
    from flora.playground.actions.interactions import Interaction
    from flora.playground.invites import Invite

MESSAGES_KEPT = 5000  # per channel; the oldest go, so that much talk does not fill the memory
AUDIT_LOG_LIMIT = 1000  # entries kept; Discord keeps 45 days


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Something that happened. `name` and `data` are those of the gateway's event.

    `only` restricts it to the sessions of some users; `page_only` marks what no gateway session ever gets
    (ephemeral messages, an interaction's end), which is for the chat page alone.
    """

    name: str
    data: Json
    guild_id: str | None = None
    channel_id: str | None = None
    author_id: str | None = None
    only: frozenset[str] | None = None
    page_only: bool = False


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What somebody did through REST, with the reason that came in X-Audit-Log-Reason."""

    user_id: str
    action: str
    target_id: str
    reason: str | None
    guild_id: str | None


@dataclass(slots=True)
class Model:
    """All state. The URLs are filled in by the server once its ports are known."""

    application: Application
    clock: Clock = field(default_factory=WorldClock)
    users: dict[str, User] = field(default_factory=dict)
    guilds: dict[str, Guild] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)  # of all guilds, and direct messages
    commands: dict[str | None, dict[str, Command]] = field(default_factory=dict)  # None: global ones
    interactions: dict[str, Interaction] = field(default_factory=dict)
    invites: dict[str, Invite] = field(default_factory=dict)
    webhooks: dict[str, Webhook] = field(default_factory=dict)
    command_permissions: dict[tuple[str, str], list[Json]] = field(default_factory=dict)  # guild, command
    audit: list[AuditEntry] = field(default_factory=list)
    page_url: str = "http://127.0.0.1:8080"
    gateway_url: str = "ws://127.0.0.1:8081"
    messages_kept: int = MESSAGES_KEPT
    ids: SnowflakeFactory = field(init=False)
    tokens: Tokens = field(default_factory=Tokens)
    _listeners: list[Callable[[Dispatch], None]] = field(default_factory=list)
    _by_token: dict[str, User] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ids = SnowflakeFactory(self.clock)

    # what happens

    def listen(self, listener: Callable[[Dispatch], None]) -> Callable[[], None]:
        """Call `listener` with every later dispatch, at once and in order; returns the way to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def emit(self, dispatch: Dispatch) -> None:
        for listener in tuple(self._listeners):
            listener(dispatch)

    def record(
        self, user: User, action: str, target_id: str, reason: str | None, guild_id: str | None = None
    ) -> None:
        """Keep an audit-log entry."""
        self.audit.append(AuditEntry(user.id, action, target_id, reason, guild_id))
        del self.audit[:-AUDIT_LOG_LIMIT]

    # who and what is there

    def add_user(self, user: User) -> User:
        self.users[user.id] = user
        self._by_token[user.token] = user
        return user

    def add_guild(self, guild: Guild) -> Guild:
        self.guilds[guild.id] = guild
        self.channels.update(guild.channels)
        return guild

    def authenticate(self, token: str) -> User | None:
        return self._by_token.get(token)

    def next_id(self) -> Snowflake:
        return self.ids.next()

    def guilds_of(self, user_id: str) -> Iterator[Guild]:
        return (guild for guild in self.guilds.values() if user_id in guild.members)

    def user(self, user_id: str) -> User:
        try:
            return self.users[user_id]
        except KeyError:
            raise unknown("user") from None

    def guild(self, guild_id: str, viewer: User) -> Guild:
        """The guild, if the viewer is in it; 10004 otherwise, as Discord answers."""
        guild = self.guilds.get(guild_id)
        if guild is None or not guild.available:
            raise unknown("guild")
        if viewer.id not in guild.members:
            raise missing_access()
        return guild

    def member(self, guild: Guild, user_id: str) -> Member:
        member = guild.members.get(user_id)
        if member is None:
            raise unknown("member" if user_id in self.users else "user")
        return member

    def channel(self, channel_id: str, viewer: User, *needs: int) -> Channel:
        """The channel, if the viewer sees it and has each of the permissions `needs` in it.

        Raises 10003 for no such channel, 50001 when it is hidden, 50013 when a permission is missing.
        """
        channel = self.channels.get(channel_id)
        if channel is None:
            raise unknown("channel")
        allowed = self.permissions(channel, viewer.id)
        if not allowed & may.VIEW_CHANNEL:
            raise missing_access()
        for need in needs:
            if not allowed & need:
                raise missing_permissions()
        return channel

    def permissions(self, channel: Channel, user_id: str) -> int:
        if channel.guild_id is None:
            return may.ALL if any(user.id == user_id for user in channel.recipients) else 0
        guild = self.guilds.get(channel.guild_id)
        return 0 if guild is None else may.channel_permissions(guild, channel, user_id)

    def message(self, channel: Channel, message_id: str, viewer: User) -> Message:
        """The message, if the viewer may know of it: an ephemeral one is only its reader's."""
        message = channel.messages.get(message_id)
        if message is None or not visible(message, viewer.id):
            raise unknown("message")
        return message

    def require(self, guild: Guild, user: User, permission: int) -> None:
        """Raise 50013 unless the user has the permission in the guild."""
        if not may.guild_permissions(guild, user.id) & permission:
            raise missing_permissions()


def visible(message: Message, user_id: str) -> bool:
    return message.visible_to is None or message.visible_to == user_id


def make_token(user_id: str, secret: str) -> str:
    """A token of Discord's form, whose first part names its user, from a readable secret."""
    first = base64.urlsafe_b64encode(user_id.encode()).decode().rstrip("=")
    return f"{first}.playground.{secret}"
