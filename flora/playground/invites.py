"""Invites: codes that let somebody into a guild.

Source: Discord API Reference, "Invite".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from flora.playground import permissions as may
from flora.playground.entities import Channel, Guild, User
from flora.playground.errors import DiscordError, Json, missing_permissions, unknown
from flora.playground.forms import Form
from flora.playground.model import Dispatch, Model
from flora.playground.snowflake import isoformat

MAX_AGE: Final = 604_800  # seconds
DEFAULT_AGE: Final = 86_400


@dataclass(slots=True)
class Invite:
    """`max_age` in seconds and `max_uses`: 0 is without a limit."""

    code: str
    guild: Guild
    channel: Channel
    inviter: User
    created_at: float
    max_age: int
    max_uses: int
    temporary: bool
    uses: int = 0

    @property
    def expires_at(self) -> float | None:
        return self.created_at + self.max_age if self.max_age else None

    def json(self, *, with_counts: bool = False) -> Json:
        guild, expires = self.guild, self.expires_at
        body: Json = {
            "type": 0,
            "code": self.code,
            "inviter": self.inviter.json(),
            "expires_at": None if expires is None else isoformat(expires),
            "flags": 0,
            "guild_id": guild.id,
            "guild": {
                "id": guild.id,
                "name": guild.name,
                "splash": None,
                "banner": None,
                "description": guild.description,
                "icon": None,
                "features": [],
                "verification_level": 0,
                "vanity_url_code": None,
                "nsfw_level": 0,
                "nsfw": False,
                "premium_subscription_count": 0,
            },
            "channel": {"id": self.channel.id, "type": self.channel.kind, "name": self.channel.name},
        }
        if with_counts:
            count = len(guild.members)
            body |= {"approximate_member_count": count, "approximate_presence_count": count}
        return body

    def full_json(self) -> Json:
        """With what only those who manage the guild may know."""
        return self.json() | {
            "uses": self.uses,
            "max_uses": self.max_uses,
            "max_age": self.max_age,
            "temporary": self.temporary,
            "created_at": isoformat(self.created_at),
        }


def create(model: Model, user: User, channel: Channel, value: Any) -> Invite:
    """A new invite, or with the same limits the one that is there already, unless `unique`."""
    guild = model.guilds.get(channel.guild_id or "")
    if guild is None or channel.is_thread:
        raise DiscordError(400, 50024, "Cannot execute action on this channel type")
    if not model.permissions(channel, user.id) & may.CREATE_INSTANT_INVITE:
        raise missing_permissions()
    form = Form(value)
    age = form.integer("max_age", most=MAX_AGE)
    uses = form.integer("max_uses", most=100) or 0
    temporary, unique = form.boolean("temporary"), form.boolean("unique")
    form.finish()
    age = DEFAULT_AGE if age is None else age
    for each in of_guild(model, guild):
        same = (each.channel.id, each.inviter.id, each.max_age, each.max_uses, each.temporary)
        if not unique and same == (channel.id, user.id, age, uses, temporary):
            return each
    code = model.tokens.next(6)
    invite = Invite(code, guild, channel, user, model.clock.now(), age, uses, temporary)
    model.invites[invite.code] = invite
    body = invite.full_json() | {"channel_id": channel.id}
    model.emit(Dispatch("INVITE_CREATE", body, guild_id=guild.id, channel_id=channel.id))
    return invite


def delete(model: Model, user: User, invite: Invite) -> None:
    manages = may.guild_permissions(invite.guild, user.id) & may.MANAGE_GUILD
    if not manages and not model.permissions(invite.channel, user.id) & may.MANAGE_CHANNELS:
        raise missing_permissions()
    del model.invites[invite.code]
    body = {"channel_id": invite.channel.id, "guild_id": invite.guild.id, "code": invite.code}
    model.emit(Dispatch("INVITE_DELETE", body, guild_id=invite.guild.id, channel_id=invite.channel.id))


def find(model: Model, code: str) -> Invite:
    """Raises 10006 for a code that is unknown or out of date."""
    invite = model.invites.get(code)
    if invite is None or not _is_good(model, invite):
        raise unknown("invite")
    return invite


def of_guild(model: Model, guild: Guild) -> list[Invite]:
    """Those that are still good."""
    return [each for each in model.invites.values() if each.guild is guild and _is_good(model, each)]


def _is_good(model: Model, invite: Invite) -> bool:
    expires = invite.expires_at
    in_time = expires is None or expires > model.clock.now()
    return in_time and invite.channel.id in invite.guild.channels
