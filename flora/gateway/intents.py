"""Gateway intents as data: which dispatch needs which intent.

Source: Discord, Gateway, "List of Intents". Events that are not in the list (INTERACTION_CREATE, READY, ...)
come without any intent.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntFlag
from typing import Final

from flora.gateway import event_table


class Intents(IntFlag):
    NONE = 0
    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_MODERATION = 1 << 2
    GUILD_EXPRESSIONS = 1 << 3
    GUILD_INTEGRATIONS = 1 << 4
    GUILD_WEBHOOKS = 1 << 5
    GUILD_INVITES = 1 << 6
    GUILD_VOICE_STATES = 1 << 7
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    GUILD_MESSAGE_TYPING = 1 << 11
    DIRECT_MESSAGES = 1 << 12
    DIRECT_MESSAGE_REACTIONS = 1 << 13
    DIRECT_MESSAGE_TYPING = 1 << 14
    MESSAGE_CONTENT = 1 << 15
    GUILD_SCHEDULED_EVENTS = 1 << 16
    AUTO_MODERATION_CONFIGURATION = 1 << 20
    AUTO_MODERATION_EXECUTION = 1 << 21
    GUILD_MESSAGE_POLLS = 1 << 24
    DIRECT_MESSAGE_POLLS = 1 << 25


PRIVILEGED: Final = Intents.GUILD_MEMBERS | Intents.GUILD_PRESENCES | Intents.MESSAGE_CONTENT
"""To be switched on for the application in Discord's developer portal, else close code 4014."""

PORTAL_NAMES: Final = {
    Intents.GUILD_MEMBERS: "Server Members Intent",
    Intents.GUILD_PRESENCES: "Presence Intent",
    Intents.MESSAGE_CONTENT: "Message Content Intent",
}
"""What the switch of each privileged intent is called in the developer portal."""

APPLICATION_FLAGS: Final = {
    Intents.GUILD_PRESENCES: 1 << 12 | 1 << 13,
    Intents.GUILD_MEMBERS: 1 << 14 | 1 << 15,
    Intents.MESSAGE_CONTENT: 1 << 18 | 1 << 19,
}
"""The application flags of which one says that the intent is switched on, for all guilds or for few
(Discord, Application, "Application Flags")."""

BASE: Final = Intents.GUILDS
"""What flora itself needs: the cache of channels and roles that scope checks read."""

EVENTS: Final[dict[Intents, tuple[str, ...]]] = {
    Intents[name]: dispatches for name, dispatches in event_table.DISPATCHES.items()
}
"""From schema/events.json, as the SDK's names and types are."""

DIRECT_EVENTS: Final[dict[Intents, tuple[str, ...]]] = {
    Intents.DIRECT_MESSAGES: ("MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "CHANNEL_PINS_UPDATE"),
    Intents.DIRECT_MESSAGE_REACTIONS: EVENTS[Intents.GUILD_MESSAGE_REACTIONS],
    Intents.DIRECT_MESSAGE_TYPING: ("TYPING_START",),
    Intents.DIRECT_MESSAGE_POLLS: EVENTS[Intents.GUILD_MESSAGE_POLLS],
}
"""The same dispatches, outside guilds. Guild scripts never see them, so they are only computed on request."""

WITH_CONTENT: Final = frozenset(event_table.WITH_CONTENT)
"""Without MESSAGE_CONTENT these come with empty content, embeds, attachments, components and poll."""


def intents_for(listens: Iterable[str], *, direct: bool = False, content: bool = True) -> Intents:
    """The least intents with which every dispatch named in `listens` arrives.

    Names that need none, or that Discord adds one day, add none. `content` asks for MESSAGE_CONTENT where a
    message event is listened to; `direct` asks for the events outside guilds too.
    """
    names = frozenset(listens)
    intents = BASE
    for table in (EVENTS, DIRECT_EVENTS) if direct else (EVENTS,):
        for intent, events in table.items():
            if not names.isdisjoint(events):
                intents |= intent
    if content and not names.isdisjoint(WITH_CONTENT):
        intents |= Intents.MESSAGE_CONTENT
    return intents


def granted(flags: int) -> Intents:
    """The privileged intents that are switched on for an application with these flags."""
    found = Intents.NONE
    for intent, bits in APPLICATION_FLAGS.items():
        if flags & bits:
            found |= intent
    return found


def privileged_names(intents: Intents) -> list[str]:
    """What the privileged ones among `intents` are called in the developer portal."""
    return [name for intent, name in PORTAL_NAMES.items() if intent & intents]
