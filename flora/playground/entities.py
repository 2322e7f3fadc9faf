"""The things of the playground and their JSON, as Discord's REST API describes them.

Plain mutable records; all changes go through `model.Model` and the functions in `actions/`.
Source: Discord API Reference, "Resources", and Discord's OpenAPI description.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from flora.ids import Snowflake
from flora.playground import permissions as may
from flora.playground.errors import Json
from flora.playground.snowflake import created_at, isoformat

if TYPE_CHECKING:
    from flora.playground.expressions import GuildEmoji, Sticker
    from flora.playground.polls import Poll
    from flora.playground.voice import VoiceState

TEXT: Final = 0
DM: Final = 1
VOICE: Final = 2
CATEGORY: Final = 4
ANNOUNCEMENT: Final = 5
PUBLIC_THREAD: Final = 11
PRIVATE_THREAD: Final = 12
STAGE: Final = 13
_THREADS: Final = frozenset({10, PUBLIC_THREAD, PRIVATE_THREAD})

EPHEMERAL: Final = 1 << 6
LOADING: Final = 1 << 7


@dataclass(slots=True)
class User:
    id: Snowflake
    username: str
    global_name: str | None
    token: str
    bot: bool = False

    def json(self) -> Json:
        body: Json = {
            "id": self.id,
            "username": self.username,
            "avatar": None,
            "discriminator": "0001" if self.bot else "0",
            "public_flags": 0,
            "flags": 0,
            "banner": None,
            "accent_color": None,
            "global_name": self.global_name,
            "avatar_decoration_data": None,
            "collectibles": None,
            "primary_guild": None,
        }
        if self.bot:
            body["bot"] = True
        return body

    def private_json(self, *, email: bool = True) -> Json:
        """What only the user itself sees (`GET /users/@me`), with the address as far as it may be known."""
        body = self.json() | {"mfa_enabled": False, "locale": "en-US", "premium_type": 0}
        if email:
            body |= {"email": None if self.bot else f"{self.username}@example.com", "verified": True}
        return body


@dataclass(slots=True)
class Role:
    id: Snowflake
    name: str
    permissions: int
    position: int
    color: int = 0
    hoist: bool = False
    managed: bool = False
    mentionable: bool = False
    bot_id: str | None = None

    def json(self) -> Json:
        body: Json = {
            "id": self.id,
            "name": self.name,
            "permissions": str(self.permissions),
            "position": self.position,
            "color": self.color,
            "colors": {"primary_color": self.color, "secondary_color": None, "tertiary_color": None},
            "hoist": self.hoist,
            "managed": self.managed,
            "mentionable": self.mentionable,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
        }
        if self.bot_id is not None:
            body["tags"] = {"bot_id": self.bot_id}
        return body


@dataclass(slots=True)
class Member:
    user: User
    joined_at: float
    roles: list[str] = field(default_factory=list)
    nick: str | None = None
    timeout_until: str | None = None

    @property
    def display_name(self) -> str:
        return self.nick or self.user.global_name or self.user.username

    def partial_json(self) -> Json:
        """Without the user, as it stands beside a message's author."""
        return {
            "avatar": None,
            "banner": None,
            "communication_disabled_until": self.timeout_until,
            "flags": 0,
            "joined_at": isoformat(self.joined_at),
            "nick": self.nick,
            "pending": False,
            "premium_since": None,
            "roles": list(self.roles),
            "mute": False,
            "deaf": False,
        }

    def json(self) -> Json:
        return self.partial_json() | {"user": self.user.json()}


@dataclass(frozen=True, slots=True)
class Overwrite:
    id: str
    kind: Literal[0, 1]  # role or member
    allow: int
    deny: int

    def json(self) -> Json:
        return {"id": self.id, "type": self.kind, "allow": str(self.allow), "deny": str(self.deny)}


@dataclass(slots=True)
class Channel:
    id: Snowflake
    kind: int
    name: str
    guild_id: str | None
    position: int = 0
    parent_id: str | None = None
    topic: str | None = None
    nsfw: bool = False
    slowmode: int = 0
    overwrites: list[Overwrite] = field(default_factory=list)
    recipients: list[User] = field(default_factory=list)  # of a direct message
    owner_id: str | None = None  # of a thread
    thread_members: dict[str, float] = field(default_factory=dict)
    archived: bool = False
    locked: bool = False
    auto_archive_minutes: int = 1440
    messages: dict[str, Message] = field(default_factory=dict)
    last_message_id: str | None = None
    last_pin_at: float | None = None

    @property
    def is_thread(self) -> bool:
        return self.kind in _THREADS

    @property
    def has_messages(self) -> bool:
        return self.kind != CATEGORY

    def json(self, viewer_id: str = "") -> Json:
        body: Json = {"id": self.id, "type": self.kind, "flags": 0}
        if self.has_messages:
            body["last_message_id"] = self.last_message_id
            body["last_pin_timestamp"] = None if self.last_pin_at is None else isoformat(self.last_pin_at)
        if self.kind == DM:
            body["recipients"] = [each.json() for each in self.recipients if each.id != viewer_id]
            return body
        body |= {"guild_id": self.guild_id, "name": self.name, "parent_id": self.parent_id}
        if self.is_thread:
            return body | self._thread_json(viewer_id)
        body |= {
            "position": self.position,
            "permission_overwrites": [each.json() for each in self.overwrites],
            "nsfw": self.nsfw,
        }
        if self.kind in (VOICE, STAGE):
            body |= {"bitrate": 64_000, "user_limit": 0, "rtc_region": None}
        if self.has_messages:
            body |= {"topic": self.topic, "rate_limit_per_user": self.slowmode}
        return body

    def _thread_json(self, viewer_id: str) -> Json:
        created = created_at(self.id)
        body: Json = {
            "owner_id": self.owner_id,
            "rate_limit_per_user": self.slowmode,
            "message_count": len(self.messages),
            "total_message_sent": len(self.messages),
            "member_count": len(self.thread_members),
            "thread_metadata": {
                "archived": self.archived,
                "archive_timestamp": isoformat(created),
                "auto_archive_duration": self.auto_archive_minutes,
                "locked": self.locked,
                "create_timestamp": isoformat(created),
            },
        }
        if viewer_id in self.thread_members:
            body["member"] = self.thread_member_json(viewer_id)
        return body

    def thread_member_json(self, user_id: str) -> Json:
        return {
            "id": self.id,
            "user_id": user_id,
            "join_timestamp": isoformat(self.thread_members[user_id]),
            "flags": 0,
        }


@dataclass(slots=True)
class Guild:
    id: Snowflake
    name: str
    owner_id: str
    roles: dict[str, Role] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)  # threads too
    bans: dict[str, tuple[User, str | None]] = field(default_factory=dict)
    emojis: dict[str, GuildEmoji] = field(default_factory=dict)
    stickers: dict[str, Sticker] = field(default_factory=dict)
    records: dict[str, dict[str, Json]] = field(default_factory=dict)  # what is only kept, by kind and id
    interested: dict[str, list[str]] = field(default_factory=dict)  # scheduled event -> users
    voice_states: dict[str, VoiceState] = field(default_factory=dict)
    settings: dict[str, Json] = field(default_factory=dict)  # onboarding, welcome screen, widget, incidents
    description: str | None = None
    available: bool = True

    def json(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "icon": None,
            "description": self.description,
            "home_header": None,
            "splash": None,
            "discovery_splash": None,
            "features": [],
            "banner": None,
            "owner_id": self.owner_id,
            "application_id": None,
            "region": "rotterdam",
            "afk_channel_id": None,
            "afk_timeout": 300,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "widget_enabled": self.settings.get("widget", {}).get("enabled", False),
            "widget_channel_id": self.settings.get("widget", {}).get("channel_id"),
            "verification_level": 0,
            "roles": [role.json() for role in self.roles.values()],
            "default_message_notifications": 1,
            "mfa_level": 0,
            "explicit_content_filter": 0,
            "max_presences": None,
            "max_members": 500_000,
            "max_stage_video_channel_users": 50,
            "max_video_channel_users": 25,
            "vanity_url_code": None,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "preferred_locale": "en-US",
            "rules_channel_id": None,
            "safety_alerts_channel_id": None,
            "public_updates_channel_id": None,
            "premium_progress_bar_enabled": False,
            "nsfw": False,
            "nsfw_level": 0,
            "emojis": [each.json(with_user=False) for each in self.emojis.values()],
            "stickers": [each.json(with_user=False) for each in self.stickers.values()],
            "incidents_data": self.settings.get("incidents"),
        }

    def summary_json(self, user_id: str, *, with_counts: bool) -> Json:
        """As in the list of a user's guilds."""
        body: Json = {
            "id": self.id,
            "name": self.name,
            "icon": None,
            "banner": None,
            "owner": self.owner_id == user_id,
            "permissions": str(may.guild_permissions(self, user_id)),
            "features": [],
        }
        if with_counts:
            body["approximate_member_count"] = len(self.members)
            body["approximate_presence_count"] = len(self.members)
        return body


@dataclass(slots=True)
class Attachment:
    id: Snowflake
    filename: str
    content: bytes
    content_type: str
    url: str
    description: str | None = None

    def json(self) -> Json:
        body: Json = {
            "id": self.id,
            "filename": self.filename,
            "size": len(self.content),
            "url": self.url,
            "proxy_url": self.url,
            "content_type": self.content_type,
        }
        if self.description is not None:
            body["description"] = self.description
        return body


@dataclass(slots=True)
class Reaction:
    emoji_id: str | None
    name: str
    users: list[User] = field(default_factory=list)

    def emoji_json(self) -> Json:
        return {"id": self.emoji_id, "name": self.name}

    def json(self, viewer_id: str) -> Json:
        return {
            "emoji": self.emoji_json(),
            "count": len(self.users),
            "count_details": {"burst": 0, "normal": len(self.users)},
            "burst_colors": [],
            "me_burst": False,
            "me": any(user.id == viewer_id for user in self.users),
        }


@dataclass(slots=True)
class Message:
    id: Snowflake
    channel_id: str
    guild_id: str | None
    author: User
    content: str
    created_at: float
    kind: int = 0
    flags: int = 0
    tts: bool = False
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    mentions: list[User] = field(default_factory=list)
    mention_roles: list[str] = field(default_factory=list)
    mention_everyone: bool = False
    reactions: dict[str, Reaction] = field(default_factory=dict)
    edited_at: float | None = None
    pinned_at: float | None = None
    nonce: str | int | None = None
    reference: Json | None = None
    replied_to: Message | None = None
    thread: Channel | None = None
    poll: Poll | None = None
    stickers: list[Sticker] = field(default_factory=list)
    webhook_id: str | None = None
    application_id: str | None = None
    interaction: Json | None = None  # the older field, still sent
    interaction_metadata: Json | None = None
    visible_to: str | None = None  # user id, of an ephemeral message

    @property
    def is_ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    def json(self, viewer_id: str = "", *, with_reply: bool = True) -> Json:
        body: Json = {
            "type": self.kind,
            "content": self.content,
            "mentions": [user.json() for user in self.mentions],
            "mention_roles": list(self.mention_roles),
            "attachments": [each.json() for each in self.attachments],
            "embeds": self.embeds,
            "timestamp": isoformat(self.created_at),
            "edited_timestamp": None if self.edited_at is None else isoformat(self.edited_at),
            "flags": self.flags,
            "components": self.components,
            "id": self.id,
            "channel_id": self.channel_id,
            "author": self.author.json(),
            "pinned": self.pinned_at is not None,
            "mention_everyone": self.mention_everyone,
            "tts": self.tts,
        }
        if self.reactions:
            body["reactions"] = [each.json(viewer_id) for each in self.reactions.values()]
        for key, value in (
            ("webhook_id", self.webhook_id),
            ("application_id", self.application_id),
            ("interaction", self.interaction),
            ("interaction_metadata", self.interaction_metadata),
            ("message_reference", self.reference),
            ("nonce", self.nonce),
        ):
            if value is not None:
                body[key] = value
        if self.poll is not None:
            body["poll"] = self.poll.json(viewer_id)
        if self.stickers:
            body["sticker_items"] = [each.item_json() for each in self.stickers]
        if self.thread is not None:
            body["thread"] = self.thread.json()
        if self.reference is not None and with_reply:
            body["referenced_message"] = (
                None if self.replied_to is None else self.replied_to.json(viewer_id, with_reply=False)
            )
        return body


@dataclass(slots=True)
class Webhook:
    id: Snowflake
    name: str
    channel_id: str
    guild_id: str
    token: str
    creator: User
    source: Channel | None = None  # the announcement channel that it follows

    def json(self, base_url: str, *, with_user: bool = True) -> Json:
        body: Json = {
            "application_id": None,
            "avatar": None,
            "channel_id": self.channel_id,
            "guild_id": self.guild_id,
            "id": self.id,
            "name": self.name,
        }
        if self.source is None:
            body |= {"type": 1, "token": self.token, "url": f"{base_url}/webhooks/{self.id}/{self.token}"}
        else:
            body |= {"type": 2, "source_channel": {"id": self.source.id, "name": self.source.name}}
        if with_user:
            body["user"] = self.creator.json()
        return body


@dataclass(slots=True)
class Application:
    id: Snowflake
    name: str
    description: str
    owner: User
    bot: User
    client_secret: str
    redirect_uris: list[str] = field(default_factory=list)
    flags: int = (1 << 13) | (1 << 15) | (1 << 19)  # presence, members, content: limited to few guilds

    def public_json(self) -> Json:
        """What everybody may know of it."""
        return {
            "id": self.id,
            "name": self.name,
            "icon": None,
            "description": self.description,
            "type": None,
            "bot": self.bot.json(),
            "bot_public": True,
            "bot_require_code_grant": False,
            "integration_types_config": {"0": {}},
            "verify_key": "0" * 64,
            "flags": self.flags,
            "flags_new": str(self.flags),
        }

    def json(self, guild_count: int) -> Json:
        return self.public_json() | {
            "redirect_uris": list(self.redirect_uris),
            "interactions_endpoint_url": None,
            "role_connections_verification_url": None,
            "owner": self.owner.json(),
            "approximate_guild_count": guild_count,
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
            "event_webhooks_status": 1,
            "event_webhooks_types": [],
            "explicit_content_filter": 0,
            "team": None,
            "eligible_oauth2_scopes": [],
        }
