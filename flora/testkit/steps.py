"""What a test lets happen, as the test kit in the guild process asks for it."""

from __future__ import annotations

from typing import Any

import msgspec

Json = dict[str, Any]


class Declared(msgspec.Struct):
    """What the script listens to and which commands it has by now."""

    listens: list[str]
    commands: list[Json] | None = None
    crons: msgspec.Raw = msgspec.Raw(b"null")


class _Step(msgspec.Struct, tag_field="do", rename="camel", kw_only=True):
    manifest: Declared


class _Doing(_Step, rename="camel", kw_only=True):
    user: str = "ann"
    channel: str = "general"


class _OnMessage(_Step, rename="camel", kw_only=True):
    channel_id: str
    message_id: str
    user: str = "ann"


class Say(_Doing, tag="message", rename="camel", kw_only=True):
    content: str


class Edit(_OnMessage, tag="edit", rename="camel", kw_only=True):
    content: str


class Delete(_OnMessage, tag="delete", rename="camel", kw_only=True):
    pass


class React(_OnMessage, tag="react", rename="camel", kw_only=True):
    emoji: str
    remove: bool = False


class Slash(_Doing, tag="slash", rename="camel", kw_only=True):
    """`name` is a path: "counter add". Values are texts, as a person types them."""

    name: str
    values: dict[str, str]


class Autocomplete(_Doing, tag="autocomplete", rename="camel", kw_only=True):
    name: str
    focused: str
    values: dict[str, str]


class Menu(_Doing, tag="menu", rename="camel", kw_only=True):
    """`target` is a message's id, or a user's name or id."""

    name: str
    target: str


class Click(_Doing, tag="component", rename="camel", kw_only=True):
    custom_id: str
    channel_id: str | None = None
    message_id: str | None = None
    values: list[str] | None = None


class Submit(_Doing, tag="modal", rename="camel", kw_only=True):
    custom_id: str
    fields: dict[str, str]


class Join(_Step, tag="join", rename="camel", kw_only=True):
    name: str
    bot: bool = False


class Leave(_Step, tag="leave", rename="camel", kw_only=True):
    name: str


class Event(_Step, tag="event", rename="camel", kw_only=True):
    """A dispatch by Discord's name. `forged`: what the script asks for meanwhile is noted, and not done."""

    name: str
    payload: Json
    forged: bool = False


class Cron(_Step, tag="cron", rename="camel", kw_only=True):
    name: str


Step = (
    Say | Edit | Delete | React | Slash | Autocomplete | Menu | Click | Submit | Join | Leave | Event | Cron
)
