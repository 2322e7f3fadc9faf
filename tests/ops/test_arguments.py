"""Arguments come from untrusted scripts: wrong ones are named, and none of them breaks anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flora.engine.api import OpError
from tests.net.loopback import Answer
from tests.ops.examples import EXAMPLES
from tests.ops.world import (
    CHANNELS,
    FOREIGN_IDS,
    GUILD,
    INTERACTION,
    INVITES,
    TOKEN,
    WEBHOOKS,
    World,
    world,
)

MESSAGE = {"channelId": "120", "messageId": "130"}


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("send_message", {"content": "x"}, "Object missing required field `channelId`"),
        ("send_message", {"channelId": 120, "content": "x"}, "channelId: Expected `str`, got `int`"),
        ("send_message", {"channelId": "x", "content": "x"}, "channel_id: invalid snowflake"),
        ("send_message", {"channelId": "0120", "content": "x"}, "channel_id: invalid snowflake"),
        ("send_message", {"channelId": "120\n", "content": "x"}, "channel_id: invalid snowflake"),
        ("send_message", {"channelId": "99999999999999999999", "content": "x"}, "channel_id: invalid snowf"),
        ("send_message", {"channelId": "120", "content": 5}, "content: Expected `str | null`, got `int`"),
        ("delete_message", {"channelId": "120", "messageId": "../1"}, "message_id: invalid snowflake"),
        ("join_thread", {"threadId": "@me"}, "thread_id: invalid snowflake"),
        ("fetch_member", {"userId": "@me"}, "user_id: invalid snowflake"),
        ("bulk_ban_members", {"userIds": ["1", "x"]}, r"user_ids\[1\]: invalid snowflake"),
        ("fetch_messages", {"channelId": "120", "limit": "all"}, "limit: Expected `int | null`"),
        ("fetch_messages", {"channelId": "120", "before": "now"}, "before: invalid snowflake"),
        (
            "bulk_delete_messages",
            {"channelId": "120", "messageIds": []},
            "messageIds: Expected `array` of len",
        ),
        ("create_channel", {"payload": "herbs"}, "payload: Expected `object`, got `str`"),
        ("add_reaction", {**MESSAGE, "emoji": ""}, "emoji: not an emoji"),
        ("add_reaction", {**MESSAGE, "emoji": {}}, "emoji: not an emoji"),
        ("add_reaction", {**MESSAGE, "emoji": ".."}, "must not be"),
        ("execute_webhook", {"webhookId": "140", "token": "..", "content": "x"}, "must not be"),
        ("kick_member", {"userId": "160", "reason": 5}, "reason: Expected `str | null`"),
    ],
)
async def test_wrong_arguments_are_named(name: str, args: Any, message: str, discord: World) -> None:
    with pytest.raises(OpError, match=message) as caught:
        await discord.op(name, args)
    assert (caught.value.name, caught.value.error_code) == ("InvalidInputError", "INVALID_INPUT")
    assert discord.deeds == []


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 100_000, b'{"channelId": "\xff"}', b'{"a": "\\ud83c"}'])
async def test_what_is_not_json_is_refused(text: bytes, discord: World) -> None:
    with pytest.raises(OpError, match="Invalid input"):
        await discord.op("send_message", text)


async def test_an_op_that_does_not_exist_has_a_code(discord: World) -> None:
    with pytest.raises(OpError, match="this host has no op") as caught:
        await discord.op("make_tea", {})
    assert (caught.value.name, caught.value.error_code) == ("UnknownOpError", "UNKNOWN_OP")


class TestRefusals:
    async def test_discords_error_comes_with_all_it_says(self, discord: World) -> None:
        errors = {"name": {"_errors": [{"code": "BASE_TYPE_REQUIRED", "message": "required"}]}}
        answer = {"message": "Invalid Form Body", "code": 50035, "errors": errors}
        discord.give("POST /guilds/100/roles", answer, 400)
        with pytest.raises(OpError, match=r"Discord HTTP error \(400\): Invalid Form Body") as caught:
            await discord.op("create_role", {})
        assert (caught.value.name, caught.value.error_code) == ("DiscordHttpError", "DISCORD_HTTP_ERROR")
        assert caught.value.extra == {
            "status": 400,
            "discordCode": 50035,
            "route": "POST /guilds/{guild_id}/roles",
            "errors": errors,
        }

    async def test_the_message_names_what_is_wrong_with_which_field(self, discord: World) -> None:
        def wrong(*messages: str) -> Any:
            return {"_errors": [{"code": "X", "message": each} for each in messages]}

        row = {"0": {"style": wrong("This field is required")}}
        errors = {
            "_errors": [{"code": "X", "message": "all of it"}],
            "components": {"1": {"components": row}},
        }
        errors |= {"content": wrong("too long", "too dull"), "nonsense": 5, "deep": {"_errors": [1, {}]}}
        answer = {"message": "Invalid Form Body", "code": 50035, "errors": errors}
        discord.give("POST /guilds/100/roles", answer, 400)
        with pytest.raises(OpError) as caught:
            await discord.op("create_role", {})
        assert str(caught.value).splitlines() == [
            "Discord HTTP error (400): Invalid Form Body (route: POST /guilds/{guild_id}/roles)",
            "  all of it",
            "  components[1].components[0].style: This field is required",
            "  content: too long",
            "  content: too dull",
        ]
        answer["errors"] = {f"field{number}": wrong("x" * 1000) for number in range(9)}
        discord.give("POST /guilds/100/roles", answer, 400)
        with pytest.raises(OpError) as caught:
            await discord.op("create_role", {})
        lines = str(caught.value).splitlines()
        assert (len(lines), lines[-1]) == (7, "  … and 4 more")
        assert len(lines[1]) < 250

    async def test_a_rate_limit_says_when_to_come_back(self, discord: World) -> None:
        discord.give("POST /guilds/100/roles", {"message": "slow", "retry_after": 60.5, "global": False}, 429)
        with pytest.raises(OpError) as caught:
            await discord.op("create_role", {})
        assert (caught.value.name, caught.value.error_code) == ("RateLimitedError", "DISCORD_RATE_LIMITED")
        assert caught.value.extra["retryAfterMs"] == 60_500

    async def test_an_answer_that_is_no_json_is_an_error_of_its_own(self, discord: World) -> None:
        discord.answers["GET /guilds/100/roles"] = Answer(200, b"<html>")
        with pytest.raises(OpError) as caught:
            await discord.op("fetch_roles", {})
        assert caught.value.error_code == "DISCORD_BAD_ANSWER"


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([*FOREIGN_IDS, "120", "140", "garden", "@me", "..", "/", "%2e%2e", "1" * 40])
)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["channel_id", "guild_id", "parent_id", "id", "name", "a_channel_id"])
            | st.text(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, Any]:
    """An example with some of its arguments exchanged, or with more of them."""
    name = draw(st.sampled_from(sorted(EXAMPLES)))
    args = dict(EXAMPLES[name][0])
    keys = st.sampled_from([*args, "guildId", "channelId", "threadId", "token", "payload", "attachments"])
    for key in draw(st.lists(keys, min_size=1, max_size=3)):
        args[key] = draw(json_values)
    return name, args


@pytest.mark.fuzz
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(calls(), min_size=1, max_size=8))
async def test_no_arguments_break_an_op_or_reach_beyond_the_guild(made: list[tuple[str, Any]]) -> None:
    async with world() as discord:
        for name, args in made:
            try:
                await discord.op(name, json.dumps(args).encode("utf-8", "surrogatepass"))
            except OpError:
                continue
        for request in discord.deeds:
            assert is_own(request.path), request.line
            if request.headers.get("content-type") == "application/json":
                assert not set(references(request.json)) & set(FOREIGN_IDS), request.json


def is_own(path: str) -> bool:
    match path.split("/")[1:]:
        case ["guilds", id_, *_] | ["applications", _, "guilds", id_, *_]:
            return id_ == GUILD
        case ["channels", id_, *_] | ["stage-instances", id_]:
            return CHANNELS[id_].get("guild_id") == GUILD
        case ["webhooks", "10", token, *_]:
            return token == TOKEN
        case ["webhooks", id_, *_]:
            return WEBHOOKS[id_] == GUILD
        case ["interactions", id_, token, "callback"]:
            return (id_, token) == (INTERACTION, TOKEN)
        case ["invites", code]:
            return INVITES[code] == GUILD
        case ["users", _] | ["stage-instances"]:
            return True
    return False


def references(value: Any, key: str = "") -> Iterator[str]:
    """The channels and guilds that JSON names."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from references(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner, key)
    elif value is not None and key in ("channel_id", "guild_id", "parent_id", "a_channel_id"):
        yield str(value)
