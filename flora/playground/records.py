"""Things of a guild that are kept and shown: auto-moderation rules, scheduled events, soundboard sounds.

The playground acts on none of them (a rule blocks no message, an event does not begin by itself); each is
read field by field, kept as the JSON that Discord answers, and announced to the gateway.
Source: Discord API Reference, "Auto Moderation", "Guild Scheduled Event", "Soundboard".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flora.playground import permissions as may
from flora.playground.entities import STAGE, VOICE, Guild, User
from flora.playground.errors import DiscordError, Json, missing_permissions, unknown
from flora.playground.forms import Form
from flora.playground.model import Dispatch, Model

BLOCK_MESSAGE: Final = 1
SEND_ALERT: Final = 2
TIMEOUT: Final = 3
KEYWORDS: Final = 1
SPAM: Final = 3
PRESETS: Final = 4
MENTIONS: Final = 5
PROFILES: Final = 6
RULES_OF_TYPE: Final = {KEYWORDS: 6, SPAM: 1, PRESETS: 1, MENTIONS: 1, PROFILES: 1}

STAGE_EVENT: Final = 1
VOICE_EVENT: Final = 2
EXTERNAL_EVENT: Final = 3
SCHEDULED: Final = 1
ACTIVE: Final = 2
COMPLETED: Final = 3
CANCELED: Final = 4
_NEXT_STATUS: Final = {SCHEDULED: (SCHEDULED, ACTIVE, CANCELED), ACTIVE: (ACTIVE, COMPLETED)}


@dataclass(frozen=True, slots=True)
class Kind:
    """One collection; `read` makes the fields of a body, of a new thing or over an old one."""

    name: str
    read: Callable[[Model, Guild, Form, Json | None], Json]
    event: str  # without _CREATE, _UPDATE, _DELETE
    audit: str  # the same
    creates: int  # permissions, one of which is needed
    manages: int
    key: str = "id"
    most: int = 100


def things(guild: Guild, kind: Kind) -> dict[str, Json]:
    return guild.records.setdefault(kind.name, {})


def find(guild: Guild, kind: Kind, thing_id: str) -> Json:
    try:
        return things(guild, kind)[thing_id]
    except KeyError:
        raise unknown(kind.name) from None


def create(model: Model, user: User, guild: Guild, kind: Kind, value: Any, reason: str | None) -> Json:
    _require_one(guild, user, kind.creates)
    form = Form(value)
    fields = kind.read(model, guild, form, None)
    form.finish()
    if len(things(guild, kind)) >= kind.most:
        raise DiscordError(400, 30039, f"Maximum number of {kind.name}s reached ({kind.most})")
    thing_id = model.next_id()
    thing = {kind.key: thing_id, "guild_id": guild.id, **_made_by(kind, user), **fields}
    things(guild, kind)[thing_id] = thing
    _tell(model, guild, kind, "CREATE", thing)
    model.record(user, f"{kind.audit}_CREATE", thing_id, reason, guild.id)
    return thing


def update(
    model: Model, user: User, guild: Guild, kind: Kind, thing_id: str, value: Any, reason: str | None
) -> Json:
    _require_one(guild, user, kind.manages)
    thing = find(guild, kind, thing_id)
    form = Form(value)
    fields = kind.read(model, guild, form, thing)
    form.finish()
    thing |= fields
    _tell(model, guild, kind, "UPDATE", thing)
    model.record(user, f"{kind.audit}_UPDATE", thing_id, reason, guild.id)
    return thing


def delete(model: Model, user: User, guild: Guild, kind: Kind, thing_id: str, reason: str | None) -> None:
    _require_one(guild, user, kind.manages)
    thing = find(guild, kind, thing_id)
    del things(guild, kind)[thing_id]
    guild.interested.pop(thing_id, None)
    gone = {"guild_id": guild.id, kind.key: thing_id} if kind is SOUNDS else thing
    _tell(model, guild, kind, "DELETE", gone)
    model.record(user, f"{kind.audit}_DELETE", thing_id, reason, guild.id)


def set_interested(model: Model, guild: Guild, event_id: str, user: User, interested: bool) -> None:
    """A member says that they come to a scheduled event, or that they do not."""
    find(guild, EVENTS, event_id)
    users = guild.interested.setdefault(event_id, [])
    if interested == (user.id in users):
        return
    if interested:
        users.append(user.id)
    else:
        users.remove(user.id)
    body = {"guild_scheduled_event_id": event_id, "user_id": user.id, "guild_id": guild.id}
    name = f"GUILD_SCHEDULED_EVENT_USER_{'ADD' if interested else 'REMOVE'}"
    model.emit(Dispatch(name, body, guild_id=guild.id))


def _tell(model: Model, guild: Guild, kind: Kind, what: str, thing: Json) -> None:
    model.emit(Dispatch(f"{kind.event}_{what}", thing, guild_id=guild.id))


def _require_one(guild: Guild, user: User, permissions: int) -> None:
    if not may.guild_permissions(guild, user.id) & permissions:
        raise missing_permissions()


def _made_by(kind: Kind, user: User) -> Json:
    return {"user": user.json()} if kind is SOUNDS else {"creator_id": user.id}


# auto-moderation


def _read_rule(model: Model, guild: Guild, form: Form, old: Json | None) -> Json:
    new = old is None
    found: Json = {}
    if old is None:
        trigger = form.choice("trigger_type", tuple(RULES_OF_TYPE), required=True) or KEYWORDS
        there = sum(each["trigger_type"] == trigger for each in things(guild, RULES).values())
        if there >= RULES_OF_TYPE[trigger]:
            message = "Maximum number of rules of this type reached."
            form.fault("trigger_type", "AUTO_MODERATION_MAX_RULES_OF_TYPE_EXCEEDED", message)
        found["trigger_type"] = trigger
    else:
        trigger = old["trigger_type"]
    _keep(found, "name", form.text("name", least=1, most=100, required=new))
    _keep(found, "event_type", form.choice("event_type", (1, 2), required=new))
    if new or "trigger_metadata" in form:
        needed = new and trigger in (PRESETS, PROFILES)
        inner = form.form("trigger_metadata", required=needed)
        empty = Form({}, faults=form.faults)
        found["trigger_metadata"] = _read_trigger(empty if inner is None else inner, trigger)
    if new or "actions" in form:
        found["actions"] = [_read_action(guild, each) for each in form.forms("actions", most=5)]
    if new or "enabled" in form:
        found["enabled"] = form.boolean("enabled")
    for key, most in (("exempt_roles", 20), ("exempt_channels", 50)):
        if new or key in form:
            found[key] = form.snowflakes(key, most=most) or []
    return found


def _read_trigger(form: Form, trigger: int) -> Json:
    match trigger:
        case 1 | 6:
            return {
                "keyword_filter": form.texts("keyword_filter", each_most=60, most=1000),
                "regex_patterns": form.texts("regex_patterns", each_most=260, most=10),
                "allow_list": form.texts("allow_list", each_most=60, most=100),
            }
        case 4:
            presets = form.data.get("presets") or []
            if not isinstance(presets, list) or not all(each in (1, 2, 3) for each in presets):
                form.fault("presets", "BASE_TYPE_CHOICES", "Value must be one of (1, 2, 3).")
            return {
                "presets": presets,
                "allow_list": form.texts("allow_list", each_most=60, most=1000),
            }
        case 5:
            return {
                "mention_total_limit": form.integer("mention_total_limit", most=50) or 0,
                "mention_raid_protection_enabled": form.boolean("mention_raid_protection_enabled"),
            }
        case _:
            return {}


def _read_action(guild: Guild, form: Form) -> Json:
    kind = form.choice("type", (1, 2, 3, 4), required=True)
    inner = form.form("metadata", required=kind in (SEND_ALERT, TIMEOUT))
    metadata: Json = {}
    if inner is not None and kind == SEND_ALERT:
        channel_id = inner.snowflake("channel_id", required=True)
        if channel_id is not None and channel_id not in guild.channels:
            inner.fault("channel_id", "CHANNEL_INVALID", "Invalid channel.")
        metadata["channel_id"] = channel_id
    elif inner is not None and kind == TIMEOUT:
        metadata["duration_seconds"] = inner.integer("duration_seconds", most=2_419_200) or 0
    elif inner is not None and kind == BLOCK_MESSAGE:
        _keep(metadata, "custom_message", inner.text("custom_message", most=300))
    return {"type": kind, "metadata": metadata}


# scheduled events


def _read_event(model: Model, guild: Guild, form: Form, old: Json | None) -> Json:
    new = old is None
    blank: Json = {
        "description": None,
        "channel_id": None,
        "image": None,
        "scheduled_end_time": None,
        "status": SCHEDULED,
        "entity_id": None,
        "entity_metadata": None,
        "recurrence_rule": None,
        "guild_scheduled_event_exceptions": [],
    }
    event = blank | (old or {})
    _keep(event, "name", form.text("name", least=1, most=100, required=new))
    _keep(event, "privacy_level", form.choice("privacy_level", (2,), required=new))
    _keep(event, "entity_type", form.choice("entity_type", (1, 2, 3), required=new))
    for key, most in (("description", 1000), ("scheduled_start_time", 64), ("scheduled_end_time", 64)):
        if key in form:
            event[key] = form.text(key, most=most)
            if most == 64:
                _check_time(form, key)
    if new and "scheduled_start_time" not in form:
        form.fault("scheduled_start_time", "BASE_TYPE_REQUIRED", "This field is required")
    if "channel_id" in form:
        event["channel_id"] = form.snowflake("channel_id")
    if "recurrence_rule" in form:
        event["recurrence_rule"] = _read_recurrence(form.form("recurrence_rule"))
    if (inner := form.form("entity_metadata")) is not None:
        location = inner.text("location", least=1, most=100)
        event["entity_metadata"] = None if location is None else {"location": location}
    if (status := form.choice("status", (1, 2, 3, 4))) is not None:
        if status not in _NEXT_STATUS.get(event["status"], ()):
            message = f"{event['status']} cannot become {status}."
            form.fault("status", "GUILD_SCHEDULED_EVENT_STATUS_TRANSITION_INVALID", message)
        event["status"] = status
    _check_place(guild, form, event)
    return event


def _check_place(guild: Guild, form: Form, event: Json) -> None:
    """An event is somewhere: in a voice or stage channel, or outside with a place and an end."""
    required = "This field is required"
    match event.get("entity_type"):
        case 3:
            event["channel_id"] = None
            if event["entity_metadata"] is None:
                form.fault("entity_metadata", "BASE_TYPE_REQUIRED", required)
            if event["scheduled_end_time"] is None:
                form.fault("scheduled_end_time", "BASE_TYPE_REQUIRED", required)
        case 1 | 2 as kind:
            event["entity_metadata"] = {} if kind == STAGE_EVENT else None
            channel = guild.channels.get(event["channel_id"] or "")
            if channel is None or channel.kind != (STAGE if kind == STAGE_EVENT else VOICE):
                form.fault("channel_id", "CHANNEL_INVALID", "Invalid channel.")
        case _:
            return


def _read_recurrence(form: Form | None) -> Json | None:
    if form is None:
        return None
    _check_time(form, "start")
    lists = ("by_weekday", "by_n_weekday", "by_month", "by_month_day", "by_year_day")
    return {
        "start": form.text("start", most=64, required=True),
        "end": form.text("end", most=64),
        "frequency": form.choice("frequency", (0, 1, 2, 3), required=True),
        "interval": form.integer("interval", least=1) or 1,
        "count": form.integer("count", least=1),
        **{key: form.data.get(key) for key in lists},
    }


def _check_time(form: Form, key: str) -> None:
    value = form.data.get(key)
    if value is None:
        return
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        form.fault(key, "DATE_TIME_TYPE_PARSE", f"Could not parse {str(value)[:64]}. Should be ISO8601.")


# soundboard


def _read_sound(model: Model, guild: Guild, form: Form, old: Json | None) -> Json:
    new = old is None
    sound: Json = {"volume": 1.0, "emoji_id": None, "emoji_name": None, "available": True} | (old or {})
    _keep(sound, "name", form.text("name", least=2, most=32, required=new))
    data = form.text("sound", most=1_000_000, required=True) if new else None
    if data is not None and not data.startswith("data:audio/"):
        form.fault("sound", "BINARY_TYPE_INVALID", "A data URI of MP3 or Ogg audio.")
    if (volume := form.data.get("volume")) is not None:
        if isinstance(volume, bool) or not isinstance(volume, (int, float)) or not 0 <= volume <= 1:
            form.fault("volume", "NUMBER_TYPE_MAX", "A number from 0 to 1.")
        else:
            sound["volume"] = float(volume)
    if "emoji_id" in form:
        sound["emoji_id"] = form.snowflake("emoji_id")
    if "emoji_name" in form:
        sound["emoji_name"] = form.text("emoji_name", most=32)
    return sound


def _keep(found: Json, key: str, value: Any) -> None:
    if value is not None:
        found[key] = value


RULES: Final = Kind(
    "auto moderation rule",
    _read_rule,
    "AUTO_MODERATION_RULE",
    "AUTO_MODERATION_RULE",
    may.MANAGE_GUILD,
    may.MANAGE_GUILD,
)
EVENTS: Final = Kind(
    "scheduled event",
    _read_event,
    "GUILD_SCHEDULED_EVENT",
    "GUILD_SCHEDULED_EVENT",
    may.CREATE_EVENTS | may.MANAGE_EVENTS,
    may.MANAGE_EVENTS,
)
SOUNDS: Final = Kind(
    "sound",
    _read_sound,
    "GUILD_SOUNDBOARD_SOUND",
    "SOUNDBOARD_SOUND",
    may.CREATE_GUILD_EXPRESSIONS | may.MANAGE_GUILD_EXPRESSIONS,
    may.MANAGE_GUILD_EXPRESSIONS,
    key="sound_id",
    most=8,
)
