"""What a guild shows to newcomers and the outside: onboarding, welcome screen, widget, templates, bots.

Source: Discord API Reference, "Guild", "Guild Template"; Channel, "Follow Announcement Channel".
"""

from __future__ import annotations

from typing import Any, Final

from flora.playground import permissions as may
from flora.playground.actions.guilds import leave_guild
from flora.playground.entities import ANNOUNCEMENT, TEXT, Channel, Guild, User, Webhook
from flora.playground.errors import DiscordError, Json, unknown
from flora.playground.forms import Form
from flora.playground.model import Dispatch, Model
from flora.playground.snowflake import isoformat

_TEMPLATES: Final = "template"
INACTIVE_DAYS: Final = 7
DAY: Final = 24 * 3600.0


# onboarding


def onboarding(guild: Guild) -> Json:
    blank: Json = {"prompts": [], "default_channel_ids": [], "enabled": False, "mode": 0}
    return {"guild_id": guild.id} | blank | guild.settings.get("onboarding", {})


def set_onboarding(model: Model, user: User, guild: Guild, value: Any) -> Json:
    model.require(guild, user, may.MANAGE_GUILD)
    model.require(guild, user, may.MANAGE_ROLES)
    form = Form(value)
    there = onboarding(guild)
    known = {each["id"] for each in there["prompts"]}
    if "prompts" in form:
        there["prompts"] = [_prompt(model, guild, each, known) for each in form.forms("prompts", most=15)]
    if "default_channel_ids" in form:
        there["default_channel_ids"] = _channels(guild, form, "default_channel_ids", most=500)
    there["enabled"] = form.boolean("enabled", default=there["enabled"])
    mode = form.choice("mode", (0, 1))
    form.finish()
    there["mode"] = there["mode"] if mode is None else mode
    guild.settings["onboarding"] = there
    return there


def _prompt(model: Model, guild: Guild, form: Form, known: set[str]) -> Json:
    given = form.snowflake("id", required=True)
    return {
        "id": given if given in known else model.next_id(),
        "title": form.text("title", least=1, most=100, required=True),
        "options": [_option(model, guild, each) for each in form.forms("options", least=1, most=50)],
        "single_select": form.boolean("single_select"),
        "required": form.boolean("required"),
        "in_onboarding": form.boolean("in_onboarding"),
        "type": form.choice("type", (0, 1)) or 0,
    }


def _option(model: Model, guild: Guild, form: Form) -> Json:
    roles = form.snowflakes("role_ids", most=50) or []
    for index, each in enumerate(roles):
        if each not in guild.roles:
            form.fault(("role_ids", str(index)), "ROLE_INVALID", "Invalid role.")
    return {
        "id": form.snowflake("id") or model.next_id(),
        "title": form.text("title", least=1, most=50, required=True),
        "description": form.text("description", most=100) or "",
        "emoji": {
            "id": form.snowflake("emoji_id"),
            "name": form.text("emoji_name", most=100),
            "animated": form.boolean("emoji_animated"),
        },
        "role_ids": roles,
        "channel_ids": _channels(guild, form, "channel_ids", most=50),
    }


# welcome screen, widget, incidents


def welcome_screen(model: Model, user: User, guild: Guild) -> Json:
    """Raises 10069 where there is none that the user may see."""
    screen = guild.settings.get("welcome_screen")
    manages = may.guild_permissions(guild, user.id) & may.MANAGE_GUILD
    if screen is None or not (screen["enabled"] or manages):
        raise unknown("guild welcome screen")
    return {key: screen[key] for key in ("description", "welcome_channels")}


def set_welcome_screen(model: Model, user: User, guild: Guild, value: Any) -> Json:
    model.require(guild, user, may.MANAGE_GUILD)
    blank: Json = {"description": None, "welcome_channels": [], "enabled": False}
    screen = blank | guild.settings.get("welcome_screen", {})
    form = Form(value)
    if "description" in form:
        screen["description"] = form.text("description", most=140)
    if "welcome_channels" in form:
        screen["welcome_channels"] = [
            {
                "channel_id": _channel(guild, each, "channel_id"),
                "description": each.text("description", least=1, most=50, required=True),
                "emoji_id": each.snowflake("emoji_id"),
                "emoji_name": each.text("emoji_name", most=100),
            }
            for each in form.forms("welcome_channels", most=5)
        ]
    screen["enabled"] = form.boolean("enabled", default=screen["enabled"])
    form.finish()
    guild.settings["welcome_screen"] = screen
    return welcome_screen(model, user, guild)


def widget(model: Model, user: User, guild: Guild) -> Json:
    model.require(guild, user, may.MANAGE_GUILD)
    return guild.settings.get("widget", {"enabled": False, "channel_id": None})


def set_widget(model: Model, user: User, guild: Guild, value: Any) -> Json:
    there = dict(widget(model, user, guild))
    form = Form(value)
    there["enabled"] = form.boolean("enabled", default=there["enabled"])
    if "channel_id" in form:
        there["channel_id"] = _channel(guild, form, "channel_id", required=False)
    form.finish()
    guild.settings["widget"] = there
    model.emit(Dispatch("GUILD_UPDATE", guild.json(), guild_id=guild.id))
    return there


def set_incidents(model: Model, user: User, guild: Guild, value: Any) -> Json:
    """Close the guild to invites or its members to direct messages for a while."""
    model.require(guild, user, may.MANAGE_GUILD)
    form = Form(value)
    names = ("invites_disabled_until", "dms_disabled_until")
    there = {name: form.text(name, most=64) for name in names}
    form.finish()
    guild.settings["incidents"] = there
    model.emit(Dispatch("GUILD_UPDATE", guild.json(), guild_id=guild.id))
    return there


# integrations


def integrations(model: Model, user: User, guild: Guild) -> list[Json]:
    """The bots of the guild, which is the playground's own."""
    model.require(guild, user, may.MANAGE_GUILD)
    application = model.application
    if application.bot.id not in guild.members:
        return []
    about = {
        "id": application.id,
        "name": application.name,
        "icon": None,
        "description": application.description,
        "type": None,
        "bot": application.bot.json(),
    }
    return [
        {
            "id": application.id,
            "name": application.name,
            "type": "discord",
            "enabled": True,
            "account": {"id": application.id, "name": application.name},
            "application": about,
            "scopes": ["applications.commands", "bot"],
        }
    ]


def remove_integration(model: Model, user: User, guild: Guild, integration_id: str) -> None:
    """The bot of the integration leaves with it."""
    if all(each["id"] != integration_id for each in integrations(model, user, guild)):
        raise unknown("integration")
    body = {"id": integration_id, "guild_id": guild.id, "application_id": model.application.id}
    model.emit(Dispatch("INTEGRATION_DELETE", body, guild_id=guild.id))
    model.emit(Dispatch("GUILD_INTEGRATIONS_UPDATE", {"guild_id": guild.id}, guild_id=guild.id))
    leave_guild(model, guild, model.application.bot)


# prune


def inactive(model: Model, user: User, guild: Guild, days: int, roles: list[str]) -> list[User]:
    """Members without a role (or with none but `roles`) who neither came nor wrote within `days` days."""
    model.require(guild, user, may.KICK_MEMBERS)
    model.require(guild, user, may.MANAGE_GUILD)
    oldest = model.clock.now() - days * DAY
    heard = {
        each.author.id
        for channel in guild.channels.values()
        for each in channel.messages.values()
        if each.created_at >= oldest
    }
    return [
        each.user
        for each in guild.members.values()
        if each.joined_at < oldest
        and each.user.id not in heard
        and each.user.id != guild.owner_id
        and not each.user.bot
        and set(each.roles) <= set(roles)
    ]


def prune(model: Model, user: User, guild: Guild, days: int, roles: list[str], reason: str | None) -> int:
    found = inactive(model, user, guild, days, roles)
    for each in found:
        leave_guild(model, guild, each)
    model.record(user, "MEMBER_PRUNE", guild.id, reason, guild.id)
    return len(found)


# templates


def templates(model: Model, user: User, guild: Guild) -> list[Json]:
    model.require(guild, user, may.MANAGE_GUILD)
    return list(guild.records.get(_TEMPLATES, {}).values())


def create_template(model: Model, user: User, guild: Guild, value: Any) -> Json:
    """A guild has at most one."""
    if templates(model, user, guild):
        raise DiscordError(400, 30031, "A server can only have a single template.")
    form = Form(value)
    name = form.text("name", least=1, most=100, required=True)
    description = form.text("description", most=120)
    form.finish()
    code, now = model.tokens.next(9), isoformat(model.clock.now())
    template = guild.records.setdefault(_TEMPLATES, {})[code] = {
        "code": code,
        "name": name,
        "description": description,
        "usage_count": 0,
        "creator_id": user.id,
        "creator": user.json(),
        "created_at": now,
        "updated_at": now,
        "source_guild_id": guild.id,
        "serialized_source_guild": _snapshot(guild),
        "is_dirty": None,
    }
    return template


def change_template(model: Model, user: User, guild: Guild, code: str, value: Any) -> Json:
    template = _template(model, user, guild, code)
    form = Form(value)
    name = form.text("name", least=1, most=100)
    description = form.text("description", most=120)
    form.finish()
    template["name"] = name or template["name"]
    template["description"] = description if "description" in form else template["description"]
    template["updated_at"] = isoformat(model.clock.now())
    return template


def sync_template(model: Model, user: User, guild: Guild, code: str) -> Json:
    """Take the guild as it is now for the template."""
    template = _template(model, user, guild, code)
    template["serialized_source_guild"] = _snapshot(guild)
    template["updated_at"] = isoformat(model.clock.now())
    return template


def delete_template(model: Model, user: User, guild: Guild, code: str) -> Json:
    template = _template(model, user, guild, code)
    del guild.records[_TEMPLATES][code]
    return template


def _template(model: Model, user: User, guild: Guild, code: str) -> Json:
    for each in templates(model, user, guild):
        if each["code"] == code:
            return each
    raise unknown("guild template")


def _snapshot(guild: Guild) -> Json:
    """Roles and channels with small numbers for ids, as templates have them."""
    numbers: dict[str, int] = {each: number for number, each in enumerate(guild.roles)}
    channels = [each for each in guild.channels.values() if not each.is_thread]
    places: dict[str, int] = {each.id: number for number, each in enumerate(channels, 1)}
    whole = guild.json()
    same = (
        "name",
        "description",
        "region",
        "verification_level",
        "default_message_notifications",
        "explicit_content_filter",
        "preferred_locale",
        "afk_timeout",
        "system_channel_flags",
    )
    return {key: whole[key] for key in same} | {
        "afk_channel_id": None,
        "system_channel_id": None,
        "roles": [
            {
                "id": numbers[each.id],
                "name": each.name,
                "permissions": str(each.permissions),
                "color": each.color,
                "colors": each.json()["colors"],
                "hoist": each.hoist,
                "mentionable": each.mentionable,
                "icon": None,
                "unicode_emoji": None,
            }
            for each in guild.roles.values()
        ],
        "channels": [_channel_snapshot(each, places, numbers) for each in channels],
    }


def _channel_snapshot(channel: Channel, places: dict[str, int], roles: dict[str, int]) -> Json:
    unset = (
        "default_auto_archive_duration",
        "available_tags",
        "default_reaction_emoji",
        "default_thread_rate_limit_per_user",
        "default_sort_order",
        "default_forum_layout",
        "default_tag_setting",
        "theme_color",
    )
    parent = places.get(channel.parent_id or "")
    return dict.fromkeys(unset) | {
        "id": places[channel.id],
        "type": channel.kind,
        "name": channel.name,
        "position": channel.position,
        "topic": channel.topic,
        "bitrate": 64_000,
        "user_limit": 0,
        "nsfw": channel.nsfw,
        "rate_limit_per_user": channel.slowmode,
        "parent_id": None if parent is None else str(parent),
        "permission_overwrites": [
            each.json() | {"id": str(roles[each.id])} for each in channel.overwrites if each.id in roles
        ],
        "template": "",
    }


# followers


def follow(model: Model, user: User, source: Channel, value: Any, reason: str | None) -> Json:
    """Have the published messages of an announcement channel posted in another channel too."""
    form = Form(value)
    target_id = form.snowflake("webhook_channel_id", required=True) or ""
    form.finish()
    target = model.channel(target_id, user, may.MANAGE_WEBHOOKS)
    if source.kind != ANNOUNCEMENT or target.kind not in (TEXT, ANNOUNCEMENT) or target.guild_id is None:
        raise DiscordError(400, 50024, "Cannot execute action on this channel type")
    webhook = Webhook(
        model.next_id(),
        f"{model.guilds[source.guild_id or ''].name} #{source.name}",
        target.id,
        target.guild_id,
        model.tokens.next(48),
        user,
        source=source,
    )
    model.webhooks[webhook.id] = webhook
    model.record(user, "WEBHOOK_CREATE", webhook.id, reason, target.guild_id)
    return {"channel_id": source.id, "webhook_id": webhook.id}


def _channels(guild: Guild, form: Form, key: str, *, most: int) -> list[str]:
    found = form.snowflakes(key, most=most) or []
    for index, each in enumerate(found):
        if each not in guild.channels:
            form.fault((key, str(index)), "CHANNEL_INVALID", "Invalid channel.")
    return found


def _channel(guild: Guild, form: Form, key: str, *, required: bool = True) -> str | None:
    found = form.snowflake(key, required=required)
    if found is not None and found not in guild.channels:
        form.fault(key, "CHANNEL_INVALID", "Invalid channel.")
    return found
