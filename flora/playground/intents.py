"""Gateway intents: which of them a session needs to get an event.

Source: Discord API Reference, "Gateway", section "List of Intents".
"""

from __future__ import annotations

from typing import Final

from flora.playground.entities import Application

GUILDS: Final = 1 << 0
GUILD_MEMBERS: Final = 1 << 1
GUILD_MODERATION: Final = 1 << 2
GUILD_EXPRESSIONS: Final = 1 << 3
GUILD_INTEGRATIONS: Final = 1 << 4
GUILD_WEBHOOKS: Final = 1 << 5
GUILD_INVITES: Final = 1 << 6
GUILD_VOICE_STATES: Final = 1 << 7
GUILD_PRESENCES: Final = 1 << 8
GUILD_MESSAGES: Final = 1 << 9
GUILD_MESSAGE_REACTIONS: Final = 1 << 10
GUILD_MESSAGE_TYPING: Final = 1 << 11
DIRECT_MESSAGES: Final = 1 << 12
DIRECT_MESSAGE_REACTIONS: Final = 1 << 13
DIRECT_MESSAGE_TYPING: Final = 1 << 14
MESSAGE_CONTENT: Final = 1 << 15
GUILD_SCHEDULED_EVENTS: Final = 1 << 16
AUTO_MODERATION_CONFIGURATION: Final = 1 << 20
AUTO_MODERATION_EXECUTION: Final = 1 << 21
GUILD_MESSAGE_POLLS: Final = 1 << 24
DIRECT_MESSAGE_POLLS: Final = 1 << 25

PRIVILEGED: Final = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT
KNOWN: Final = (
    (1 << 17) - 1  # without holes up to GUILD_SCHEDULED_EVENTS
    | AUTO_MODERATION_CONFIGURATION
    | AUTO_MODERATION_EXECUTION
    | GUILD_MESSAGE_POLLS
    | DIRECT_MESSAGE_POLLS
)

# (in a guild, in a direct message); 0 means: no intent is needed
_NEEDED: Final[dict[str, tuple[int, int]]] = {
    **dict.fromkeys(
        (
            "GUILD_CREATE",
            "GUILD_UPDATE",
            "GUILD_DELETE",
            "GUILD_ROLE_CREATE",
            "GUILD_ROLE_UPDATE",
            "GUILD_ROLE_DELETE",
            "CHANNEL_CREATE",
            "CHANNEL_UPDATE",
            "CHANNEL_DELETE",
            "THREAD_CREATE",
            "THREAD_UPDATE",
            "THREAD_DELETE",
            "THREAD_LIST_SYNC",
            "THREAD_MEMBER_UPDATE",
            "STAGE_INSTANCE_CREATE",
            "STAGE_INSTANCE_UPDATE",
            "STAGE_INSTANCE_DELETE",
        ),
        (GUILDS, 0),
    ),
    "CHANNEL_PINS_UPDATE": (GUILDS, DIRECT_MESSAGES),
    "THREAD_MEMBERS_UPDATE": (GUILDS | GUILD_MEMBERS, 0),
    **dict.fromkeys(("GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE", "GUILD_MEMBER_REMOVE"), (GUILD_MEMBERS, 0)),
    **dict.fromkeys(("GUILD_BAN_ADD", "GUILD_BAN_REMOVE"), (GUILD_MODERATION, 0)),
    "WEBHOOKS_UPDATE": (GUILD_WEBHOOKS, 0),
    "PRESENCE_UPDATE": (GUILD_PRESENCES, 0),
    **dict.fromkeys(
        ("MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE"), (GUILD_MESSAGES, DIRECT_MESSAGES)
    ),
    "MESSAGE_DELETE_BULK": (GUILD_MESSAGES, 0),
    **dict.fromkeys(
        (
            "MESSAGE_REACTION_ADD",
            "MESSAGE_REACTION_REMOVE",
            "MESSAGE_REACTION_REMOVE_ALL",
            "MESSAGE_REACTION_REMOVE_EMOJI",
        ),
        (GUILD_MESSAGE_REACTIONS, DIRECT_MESSAGE_REACTIONS),
    ),
    **dict.fromkeys(
        ("MESSAGE_POLL_VOTE_ADD", "MESSAGE_POLL_VOTE_REMOVE"), (GUILD_MESSAGE_POLLS, DIRECT_MESSAGE_POLLS)
    ),
    **dict.fromkeys(
        (
            "GUILD_EMOJIS_UPDATE",
            "GUILD_STICKERS_UPDATE",
            "GUILD_SOUNDBOARD_SOUND_CREATE",
            "GUILD_SOUNDBOARD_SOUND_UPDATE",
            "GUILD_SOUNDBOARD_SOUND_DELETE",
        ),
        (GUILD_EXPRESSIONS, 0),
    ),
    **dict.fromkeys(("GUILD_INTEGRATIONS_UPDATE", "INTEGRATION_DELETE"), (GUILD_INTEGRATIONS, 0)),
    **dict.fromkeys(("VOICE_STATE_UPDATE", "VOICE_CHANNEL_EFFECT_SEND"), (GUILD_VOICE_STATES, 0)),
    **dict.fromkeys(
        (
            "GUILD_SCHEDULED_EVENT_CREATE",
            "GUILD_SCHEDULED_EVENT_UPDATE",
            "GUILD_SCHEDULED_EVENT_DELETE",
            "GUILD_SCHEDULED_EVENT_USER_ADD",
            "GUILD_SCHEDULED_EVENT_USER_REMOVE",
        ),
        (GUILD_SCHEDULED_EVENTS, 0),
    ),
    **dict.fromkeys(
        ("AUTO_MODERATION_RULE_CREATE", "AUTO_MODERATION_RULE_UPDATE", "AUTO_MODERATION_RULE_DELETE"),
        (AUTO_MODERATION_CONFIGURATION, 0),
    ),
    **dict.fromkeys(("INVITE_CREATE", "INVITE_DELETE"), (GUILD_INVITES, 0)),
    "TYPING_START": (GUILD_MESSAGE_TYPING, DIRECT_MESSAGE_TYPING),
}


def needed(name: str, *, in_guild: bool) -> int:
    """The intents of which a session must have at least one; 0 when the event comes to every session."""
    guild, direct = _NEEDED.get(name, (0, 0))
    return guild if in_guild else direct


_FLAGS: Final = {GUILD_PRESENCES: 1 << 13, GUILD_MEMBERS: 1 << 15, MESSAGE_CONTENT: 1 << 19}


def announce(application: Application, allowed: int) -> None:
    """Let the application's flags say which privileged intents are switched on."""
    for intent, flag in _FLAGS.items():
        application.flags = application.flags | flag if allowed & intent else application.flags & ~flag
