"""Who is in which voice channel, and stages. There is no sound: the playground has no voice servers.

Source: Discord API Reference, "Voice", "Stage Instance", "Soundboard".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from flora.playground import permissions as may
from flora.playground import records
from flora.playground.entities import STAGE, VOICE, Channel, Guild, User
from flora.playground.errors import DiscordError, Json, missing_permissions, unknown
from flora.playground.forms import Form
from flora.playground.model import Dispatch, Model

# What a voice gateway would say where the nearest servers are.
REGIONS: Final = tuple(
    {"id": each, "name": each.title(), "custom": False, "deprecated": False, "optimal": each == "rotterdam"}
    for each in ("rotterdam", "us-east", "singapore")
)
_STAGE: Final = "stage instance"
_MODERATES_STAGE: Final = may.MANAGE_CHANNELS | may.MUTE_MEMBERS | may.MOVE_MEMBERS


@dataclass(slots=True)
class VoiceState:
    """Of one member in one guild."""

    user_id: str
    channel_id: str
    session_id: str
    self_mute: bool = False
    self_deaf: bool = False
    suppress: bool = False
    request_to_speak: str | None = None

    def json(self, guild: Guild) -> Json:
        return {
            "channel_id": self.channel_id,
            "deaf": False,
            "guild_id": guild.id,
            "member": guild.members[self.user_id].json(),
            "mute": False,
            "request_to_speak_timestamp": self.request_to_speak,
            "suppress": self.suppress,
            "self_stream": False,
            "self_deaf": self.self_deaf,
            "self_mute": self.self_mute,
            "self_video": False,
            "session_id": self.session_id,
            "user_id": self.user_id,
        }


def connect(
    model: Model,
    guild: Guild,
    user: User,
    channel_id: str | None,
    *,
    self_mute: bool = False,
    self_deaf: bool = False,
) -> None:
    """The user goes into a voice channel, to another one, or with None out of it."""
    state = guild.voice_states.get(user.id)
    if channel_id is None:
        if state is not None:
            del guild.voice_states[user.id]
            model.emit(
                Dispatch("VOICE_STATE_UPDATE", state.json(guild) | {"channel_id": None}, guild_id=guild.id)
            )
        return
    channel = _voice_channel(guild, channel_id)
    if not model.permissions(channel, user.id) & may.CONNECT:
        raise missing_permissions()
    on_stage = channel.kind == STAGE
    if state is None or state.channel_id != channel.id:
        state = guild.voice_states[user.id] = VoiceState(
            user.id, channel.id, f"{user.id}-{channel.id}", suppress=on_stage
        )
    state.self_mute, state.self_deaf = self_mute, self_deaf
    _tell(model, guild, state)


def state_of(guild: Guild, user_id: str) -> VoiceState:
    """Raises 10065 for somebody who is in no voice channel."""
    state = guild.voice_states.get(user_id)
    if state is None or user_id not in guild.members:
        raise unknown("voice state")
    return state


def change_state(model: Model, user: User, guild: Guild, user_id: str, value: Any) -> None:
    """Suppress a speaker on a stage or let them speak; of the own state also ask to speak."""
    state = state_of(guild, user_id)
    form = Form(value)
    own = user_id == user.id
    channel_id = form.snowflake("channel_id") or state.channel_id
    suppress = form.boolean("suppress", default=state.suppress)
    asks = own and "request_to_speak_timestamp" in form
    asked = form.text("request_to_speak_timestamp", most=64) if asks else state.request_to_speak
    form.finish()
    channel = _voice_channel(guild, state.channel_id)
    if channel_id != state.channel_id or channel.kind != STAGE:
        raise DiscordError(400, 50024, "Cannot execute action on this channel type")
    allowed = model.permissions(channel, user.id)
    if (not own or (state.suppress and not suppress)) and not allowed & may.MUTE_MEMBERS:
        raise missing_permissions()
    if asks and asked is not None and not allowed & may.REQUEST_TO_SPEAK:
        raise missing_permissions()
    state.suppress, state.request_to_speak = suppress, asked
    _tell(model, guild, state)


def set_status(model: Model, user: User, channel: Channel, value: Any) -> None:
    """The line under a voice channel's name."""
    form = Form(value)
    status = form.text("status", most=500)
    form.finish()
    guild = _guild_of(model, channel)
    inside = guild.voice_states.get(user.id)
    needed = may.SET_VOICE_CHANNEL_STATUS
    if inside is None or inside.channel_id != channel.id:
        needed = may.MANAGE_CHANNELS
    if not model.permissions(channel, user.id) & needed:
        raise missing_permissions()
    body = {"id": channel.id, "guild_id": guild.id, "status": status or None}
    model.emit(Dispatch("VOICE_CHANNEL_STATUS_UPDATE", body, guild_id=guild.id, channel_id=channel.id))


def play_sound(model: Model, user: User, channel: Channel, value: Any) -> None:
    """Send a soundboard sound into the voice channel that the user is in."""
    form = Form(value)
    sound_id = form.snowflake("sound_id", required=True) or ""
    source_id = form.snowflake("source_guild_id")
    form.finish()
    guild = _guild_of(model, channel)
    inside = guild.voice_states.get(user.id)
    if inside is None or inside.channel_id != channel.id:
        raise DiscordError(400, 50167, "You must be connected to this voice channel.")
    needed = may.SPEAK | may.USE_SOUNDBOARD
    if model.permissions(channel, user.id) & needed != needed:
        raise missing_permissions()
    source = guild if source_id is None else model.guild(source_id, user)
    sound = records.find(source, records.SOUNDS, sound_id)
    body = {
        "channel_id": channel.id,
        "guild_id": guild.id,
        "user_id": user.id,
        "sound_id": sound_id,
        "sound_volume": sound["volume"],
    }
    model.emit(Dispatch("VOICE_CHANNEL_EFFECT_SEND", body, guild_id=guild.id, channel_id=channel.id))


# stages


def open_stage(model: Model, user: User, value: Any, reason: str | None) -> Json:
    form = Form(value)
    channel_id = form.snowflake("channel_id", required=True) or ""
    topic = form.text("topic", least=1, most=120, required=True)
    level = form.choice("privacy_level", (1, 2)) or 2
    event_id = form.snowflake("guild_scheduled_event_id")
    form.finish()
    channel = model.channel(channel_id, user)
    guild = _moderated(model, user, channel)
    if channel.id in guild.records.setdefault(_STAGE, {}):
        raise DiscordError(400, 150006, "The Stage is already open.")
    if event_id is not None:
        records.find(guild, records.EVENTS, event_id)
    instance = guild.records[_STAGE][channel.id] = {
        "id": model.next_id(),
        "guild_id": guild.id,
        "channel_id": channel.id,
        "topic": topic,
        "privacy_level": level,
        "discoverable_disabled": True,
        "guild_scheduled_event_id": event_id,
    }
    model.emit(Dispatch("STAGE_INSTANCE_CREATE", instance, guild_id=guild.id, channel_id=channel.id))
    model.record(user, "STAGE_INSTANCE_CREATE", channel.id, reason, guild.id)
    return instance


def stage_of(model: Model, user: User, channel_id: str) -> Json:
    """Raises 10067 where no stage is open."""
    channel = model.channel(channel_id, user)
    guild = model.guilds.get(channel.guild_id or "")
    found = None if guild is None else guild.records.get(_STAGE, {}).get(channel.id)
    if found is None:
        raise unknown(_STAGE)
    return found


def change_stage(model: Model, user: User, channel_id: str, value: Any, reason: str | None) -> Json:
    instance = stage_of(model, user, channel_id)
    guild = _moderated(model, user, model.channels[channel_id])
    form = Form(value)
    topic = form.text("topic", least=1, most=120)
    level = form.choice("privacy_level", (1, 2))
    form.finish()
    instance["topic"] = topic or instance["topic"]
    instance["privacy_level"] = level or instance["privacy_level"]
    model.emit(Dispatch("STAGE_INSTANCE_UPDATE", instance, guild_id=guild.id, channel_id=channel_id))
    model.record(user, "STAGE_INSTANCE_UPDATE", channel_id, reason, guild.id)
    return instance


def close_stage(model: Model, user: User, channel_id: str, reason: str | None) -> None:
    instance = stage_of(model, user, channel_id)
    guild = _moderated(model, user, model.channels[channel_id])
    del guild.records[_STAGE][channel_id]
    model.emit(Dispatch("STAGE_INSTANCE_DELETE", instance, guild_id=guild.id, channel_id=channel_id))
    model.record(user, "STAGE_INSTANCE_DELETE", channel_id, reason, guild.id)


def _moderated(model: Model, user: User, channel: Channel) -> Guild:
    guild = model.guilds.get(channel.guild_id or "")
    if guild is None or channel.kind != STAGE:
        raise DiscordError(400, 50024, "Cannot execute action on this channel type")
    if model.permissions(channel, user.id) & _MODERATES_STAGE != _MODERATES_STAGE:
        raise missing_permissions()
    return guild


def _guild_of(model: Model, channel: Channel) -> Guild:
    guild = model.guilds.get(channel.guild_id or "")
    if guild is None or channel.kind not in (VOICE, STAGE):
        raise DiscordError(400, 50024, "Cannot execute action on this channel type")
    return guild


def _voice_channel(guild: Guild, channel_id: str) -> Channel:
    channel = guild.channels.get(channel_id)
    if channel is None or channel.kind not in (VOICE, STAGE):
        raise unknown("channel")
    return channel


def _tell(model: Model, guild: Guild, state: VoiceState) -> None:
    model.emit(Dispatch("VOICE_STATE_UPDATE", state.json(guild), guild_id=guild.id))
