"""Which events the host keeps to itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flora.gateway.events import GatewayEvent
from flora.gateway.interest import Interest
from flora.ids import EventId, GuildId

COMMANDS = Interest(frozenset({"MESSAGE_CREATE", "MESSAGE_UPDATE"}), "!")


def event(payload: object, name: str = "MESSAGE_CREATE") -> GatewayEvent:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return GatewayEvent(EventId(0, "s", 1), name, GuildId("1"), text, 0.0)


def message(content: Any, **author: Any) -> GatewayEvent:
    return event({"id": "5", "content": content, "author": {"id": "7", **author}})


def test_without_a_prefix_the_name_decides() -> None:
    everything = Interest(frozenset({"MESSAGE_CREATE"}))
    assert everything.wants(message("hello", bot=True))
    assert not everything.wants(event({}, "TYPING_START"))


def test_with_a_prefix_it_is_people_who_begin_with_it() -> None:
    assert COMMANDS.wants(message("!ping"))
    assert COMMANDS.wants(message("!ping", bot=False))
    assert COMMANDS.wants(message(" \n\ufeff !ping"))
    assert not COMMANDS.wants(message("ping!"))
    assert not COMMANDS.wants(message(""))
    assert not COMMANDS.wants(message("!ping", bot=True))


def test_a_prefix_is_about_new_messages_only() -> None:
    assert COMMANDS.wants(event({"content": "edited"}, "MESSAGE_UPDATE"))
    assert not COMMANDS.wants(event({"content": "!x"}, "MESSAGE_DELETE"))


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"\xff", {}, {"content": "x"}, {"content": None, "author": {}}, {"author": 5}],
)
def test_what_cannot_be_read_is_wanted(payload: object) -> None:
    assert COMMANDS.wants(event(payload))
