"""A guild's own emojis and stickers: the things, and making, changing and deleting them.

Source: Discord API Reference, "Emoji" and "Sticker".
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Any, Final

from flora.ids import Snowflake
from flora.playground import permissions as may
from flora.playground.drafts import Upload
from flora.playground.entities import Guild, User
from flora.playground.errors import DiscordError, Json, missing_permissions, unknown
from flora.playground.forms import Form
from flora.playground.model import Dispatch, Model

MAX_EMOJIS: Final = 50
MAX_STICKERS: Final = 5
MAX_IMAGE: Final = 256 * 1024
MAX_STICKER: Final = 512 * 1024
_IMAGE: Final = re.compile(r"data:image/(png|jpeg|gif|webp|avif);base64,([A-Za-z0-9+/=]+)")
_NAME: Final = re.compile(r"\w{2,32}", re.ASCII)
_FORMATS: Final = {"image/png": 1, "image/apng": 2, "application/json": 3, "image/gif": 4}


@dataclass(slots=True)
class GuildEmoji:
    id: Snowflake
    name: str
    animated: bool
    creator: User
    roles: list[str] = field(default_factory=list)

    def json(self, *, with_user: bool = True) -> Json:
        body: Json = {
            "id": self.id,
            "name": self.name,
            "roles": list(self.roles),
            "require_colons": True,
            "managed": False,
            "animated": self.animated,
            "available": True,
        }
        return body | {"user": self.creator.json()} if with_user else body


@dataclass(slots=True)
class Sticker:
    id: Snowflake
    guild_id: str
    name: str
    tags: str
    description: str | None
    format_type: int
    creator: User

    def json(self, *, with_user: bool = True) -> Json:
        body: Json = {
            "id": self.id,
            "name": self.name,
            "tags": self.tags,
            "type": 2,
            "format_type": self.format_type,
            "description": self.description,
            "available": True,
            "guild_id": self.guild_id,
        }
        return body | {"user": self.creator.json()} if with_user else body

    def item_json(self) -> Json:
        """As it stands in a message."""
        return {"id": self.id, "name": self.name, "format_type": self.format_type}


def create_emoji(model: Model, user: User, guild: Guild, value: Any) -> GuildEmoji:
    _require(guild, user)
    form = Form(value)
    name = _emoji_name(form, required=True)
    image = form.text("image", most=2 * MAX_IMAGE, required=True)
    roles = form.snowflakes("roles", most=250)
    found = _IMAGE.fullmatch(image or "")
    if image is not None and found is None:
        form.fault("image", "IMAGE_INVALID", "Invalid image data")
    form.finish()
    if found is not None and len(base64.b64decode(found[2] + "==")) > MAX_IMAGE:
        raise DiscordError(400, 50138, "Failed to resize asset below the maximum size: 262144")
    if len(guild.emojis) >= MAX_EMOJIS:
        raise DiscordError(400, 30008, f"Maximum number of emojis reached ({MAX_EMOJIS})")
    animated = found is not None and found[1] == "gif"
    emoji = GuildEmoji(model.next_id(), name or "", animated, user, roles or [])
    guild.emojis[emoji.id] = emoji
    _emojis_changed(model, guild)
    return emoji


def update_emoji(model: Model, user: User, guild: Guild, emoji_id: str, value: Any) -> GuildEmoji:
    _require(guild, user)
    emoji = emoji_of(guild, emoji_id)
    form = Form(value)
    name = _emoji_name(form)
    roles = form.snowflakes("roles", most=250)
    form.finish()
    emoji.name = name or emoji.name
    emoji.roles = (roles or []) if "roles" in form else emoji.roles
    _emojis_changed(model, guild)
    return emoji


def delete_emoji(model: Model, user: User, guild: Guild, emoji_id: str) -> None:
    _require(guild, user)
    del guild.emojis[emoji_of(guild, emoji_id).id]
    _emojis_changed(model, guild)


def emoji_of(guild: Guild, emoji_id: str) -> GuildEmoji:
    try:
        return guild.emojis[emoji_id]
    except KeyError:
        raise unknown("emoji") from None


def create_sticker(model: Model, user: User, guild: Guild, value: Any, uploads: list[Upload]) -> Sticker:
    _require(guild, user)
    form = Form(value)
    name = form.text("name", least=2, most=30, required=True)
    tags = form.text("tags", least=1, most=200, required=True)
    description = form.text("description", most=100)
    if len(uploads) != 1:
        form.fault("file", "BASE_TYPE_REQUIRED", "This field is required")
    form.finish()
    [file] = uploads
    format_type = _FORMATS.get(file.content_type)
    if format_type is None:
        raise DiscordError(400, 50046, "Invalid file uploaded")
    if len(file.content) > MAX_STICKER:
        raise DiscordError(400, 50045, "File uploaded exceeds the maximum size")
    if len(guild.stickers) >= MAX_STICKERS:
        raise DiscordError(400, 30039, f"Maximum number of stickers reached ({MAX_STICKERS})")
    sticker = Sticker(
        model.next_id(), guild.id, name or "", tags or "", description or None, format_type, user
    )
    guild.stickers[sticker.id] = sticker
    _stickers_changed(model, guild)
    return sticker


def update_sticker(model: Model, user: User, guild: Guild, sticker_id: str, value: Any) -> Sticker:
    _require(guild, user)
    sticker = sticker_of(guild, sticker_id)
    form = Form(value)
    name = form.text("name", least=2, most=30)
    tags = form.text("tags", least=1, most=200)
    description = form.text("description", most=100)
    form.finish()
    sticker.name, sticker.tags = name or sticker.name, tags or sticker.tags
    sticker.description = (description or None) if "description" in form else sticker.description
    _stickers_changed(model, guild)
    return sticker


def delete_sticker(model: Model, user: User, guild: Guild, sticker_id: str) -> None:
    _require(guild, user)
    del guild.stickers[sticker_of(guild, sticker_id).id]
    _stickers_changed(model, guild)


def sticker_of(guild: Guild, sticker_id: str) -> Sticker:
    try:
        return guild.stickers[sticker_id]
    except KeyError:
        raise unknown("sticker") from None


def _emoji_name(form: Form, *, required: bool = False) -> str | None:
    name = form.text("name", least=2, most=32, required=required)
    if name is not None and not _NAME.fullmatch(name):
        form.fault("name", "STRING_TYPE_REGEX", "String value did not match validation regex.")
    return name


def _require(guild: Guild, user: User) -> None:
    wanted = may.MANAGE_GUILD_EXPRESSIONS | may.CREATE_GUILD_EXPRESSIONS
    if not may.guild_permissions(guild, user.id) & wanted:
        raise missing_permissions()


def _emojis_changed(model: Model, guild: Guild) -> None:
    body = {"guild_id": guild.id, "emojis": [each.json() for each in guild.emojis.values()]}
    model.emit(Dispatch("GUILD_EMOJIS_UPDATE", body, guild_id=guild.id))


def _stickers_changed(model: Model, guild: Guild) -> None:
    body = {"guild_id": guild.id, "stickers": [each.json() for each in guild.stickers.values()]}
    model.emit(Dispatch("GUILD_STICKERS_UPDATE", body, guild_id=guild.id))
