"""Gateway payloads have the shapes of Discord's description, as far as it describes the objects in them.

The answers of REST are checked by every REST test (`conftest.rest`); this makes sure that the check bites.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from flora.playground import BOT_TOKEN, PlaygroundInfo, demo
from tests import openapi

from .bot import COMMANDS, PANEL
from .client import Gateway, open_gateway
from .test_rest import GENERAL, MESSAGES

# What the gateway adds to an object of REST.
_ADDED = {"guild_id", "member", "channel_type"}


@pytest.fixture(autouse=True)
def needs_description() -> None:
    openapi.description()


def check(schema: str, value: dict[str, Any]) -> None:
    assert openapi.check_schema(schema, value) == []


def test_the_checker_finds_what_is_wrong() -> None:
    user = demo.demo_model().users[demo.ANN].json()
    check("UserResponse", user)
    for key, value in (("id", 5), ("username", None), ("id", "01x"), ("public_flags", "0")):
        assert openapi.check_schema("UserResponse", user | {key: value})
    del user["avatar"]
    assert openapi.check_schema("UserResponse", user) == ["$: avatar is missing"]


def test_the_checker_finds_wrong_requests_and_answers() -> None:
    path = "/channels/1/messages"
    assert openapi.check_request("POST", path, {"content": "x", "embeds": [{"title": "t"}]}) == []
    assert openapi.check_request("POST", path, {"contents": "x"}) == ["$: contents is unexpected"]
    assert openapi.check_request("POST", path, {"content": "x" * 4001})
    assert openapi.check_response("GET", path, 418, {"code": 0, "message": "teapot"}) == []
    assert openapi.check_response("GET", path, 418, {"code": "0"})
    assert openapi.check_response("GET", path, 500, {})


async def test_ready_and_the_guilds(info: PlaygroundInfo) -> None:
    async with open_gateway(info.gateway_url) as gateway:
        ready = await gateway.identify(BOT_TOKEN)
        check("UserPIIResponse", ready["user"])
        guild = await gateway.event("GUILD_CREATE")
    rest = {key: guild[key] for key in guild if key not in ("channels", "members", "threads")}
    check("GuildResponse", rest)
    for channel in guild["channels"]:
        check("GuildChannelResponse", channel | {"guild_id": guild["id"]})
    for member in guild["members"]:
        check("GuildMemberResponse", member)


async def test_messages(gateway: Gateway, bot: httpx.AsyncClient, ann: httpx.AsyncClient) -> None:
    question = (await ann.post(MESSAGES, json={"content": f"<@{demo.BEN}>?"})).json()
    reply = {**PANEL, "message_reference": {"message_id": question["id"]}, "nonce": "n"}
    await bot.post(MESSAGES, json=reply)
    await bot.post(MESSAGES, files={"files[0]": ("a.txt", b"x")})
    for _ in range(3):
        message = await gateway.event("MESSAGE_CREATE")
        assert message.keys() >= {"guild_id", "member"}
        check("MessageResponse", {key: message[key] for key in message if key not in _ADDED})
    await bot.patch(f"{MESSAGES}/{(await bot.get(MESSAGES)).json()[1]['id']}", json={"content": "new"})
    message = await gateway.event("MESSAGE_UPDATE")
    check("MessageResponse", {key: message[key] for key in message if key not in _ADDED})


async def test_interactions(gateway: Gateway, bot: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    await bot.put(f"/applications/{demo.APPLICATION_ID}/commands", json=COMMANDS)
    panel = (await bot.post(MESSAGES, json=PANEL)).json()
    await control.post("/say", json={"text": "/hello name:x"})
    await control.post("/component", json={"message_id": panel["id"], "custom_id": "water"})
    for _ in range(2):
        interaction = await gateway.event("INTERACTION_CREATE")
        member = interaction["member"]
        check("GuildMemberResponse", member)
        if "message" in interaction:
            check("MessageResponse", interaction["message"])


async def test_channels_threads_roles_and_members(gateway: Gateway, bot: httpx.AsyncClient) -> None:
    guild = f"/guilds/{demo.GARDEN}"
    await bot.post(f"{guild}/channels", json={"name": "new"})
    check("GuildChannelResponse", await gateway.event("CHANNEL_CREATE"))
    await bot.post(f"{GENERAL}/threads", json={"name": "talk", "type": 11})
    check("ThreadResponse", await gateway.event("THREAD_CREATE"))
    await bot.post(f"{guild}/roles", json={"name": "r"})
    check("GuildRoleResponse", (await gateway.event("GUILD_ROLE_CREATE"))["role"])
    await bot.patch(f"{guild}/members/{demo.BEN}", json={"nick": "B"})
    check("GuildMemberResponse", await gateway.event("GUILD_MEMBER_UPDATE"))
