"""Interactions: what a person does in the page reaches the bot, and the bot's answers reach the person."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from flora.playground import PlaygroundInfo, demo

from .bot import COMMANDS, PANEL
from .client import Gateway
from .test_rest import MESSAGES, error

COMMAND_ROUTE = f"/applications/{demo.APPLICATION_ID}/commands"


@pytest.fixture
async def ready(bot: httpx.AsyncClient, gateway: Gateway) -> Gateway:
    """A connected bot with its commands registered."""
    assert (await bot.put(COMMAND_ROUTE, json=COMMANDS)).status_code == 200
    return gateway


async def use(control: httpx.AsyncClient, gateway: Gateway, text: str) -> dict[str, Any]:
    response = await control.post("/say", json={"text": text, "user": "ann"})
    assert response.status_code == 200, response.text
    return await gateway.event("INTERACTION_CREATE")


def callback(interaction: dict[str, Any]) -> str:
    return f"/interactions/{interaction['id']}/{interaction['token']}/callback"


def webhook(interaction: dict[str, Any]) -> str:
    return f"/webhooks/{demo.APPLICATION_ID}/{interaction['token']}"


async def seen(control: httpx.AsyncClient, user: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = (
        await control.get(f"/channels/{demo.GARDEN_GENERAL}/messages?user={user}")
    ).json()
    return messages


async def test_a_command_comes_with_all_that_discord_sends(
    ready: Gateway, control: httpx.AsyncClient
) -> None:
    interaction = await use(control, ready, "/hello name:world")
    assert interaction["type"] == 2
    assert interaction["application_id"] == demo.APPLICATION_ID
    assert (interaction["guild_id"], interaction["channel_id"]) == (demo.GARDEN, demo.GARDEN_GENERAL)
    assert interaction["member"]["user"]["username"] == "ann"
    assert int(interaction["member"]["permissions"])
    assert interaction["data"]["name"] == "hello"
    assert interaction["data"]["options"] == [{"name": "name", "type": 3, "value": "world"}]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("/hello", []),
        ("/hello world", [("name", "world")]),
        ("/hello two words", [("name", "two words")]),
        ('/hello name:"two words"', [("name", "two words")]),
        ('/hello "a \\" b"', [("name", 'a " b')]),
        ("/hello name:a:b", [("name", "a:b")]),
        ("/hello http://x", [("name", "http://x")]),
    ],
)
async def test_options_are_taken_by_name_and_by_position(
    ready: Gateway, control: httpx.AsyncClient, text: str, options: list[tuple[str, str]]
) -> None:
    data = (await use(control, ready, text))["data"]
    assert [(each["name"], each["value"]) for each in data.get("options", [])] == options


async def test_subcommands_carry_their_options_inside(ready: Gateway, control: httpx.AsyncClient) -> None:
    data = (await use(control, ready, "/counter increment 3"))["data"]
    inner = [{"name": "by", "type": 4, "value": 3}]
    assert data["options"] == [{"name": "increment", "type": 1, "options": inner}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/nothing", "There is no command /nothing in Garden"),
        ("/counter", "needs one of: increment, get"),
        ("/counter increment many", "is not a whole number"),
        ("/counter increment 0", "at least 1"),
        ("/counter get more", "nothing takes 'more'"),
        ("/fruit", "needs kind"),
    ],
)
async def test_a_wrong_command_line_says_what_is_wrong(
    ready: Gateway, control: httpx.AsyncClient, text: str, message: str
) -> None:
    response = await control.post("/say", json={"text": text})
    assert response.status_code == 400
    assert message in response.json()["message"]


async def test_an_ephemeral_answer_is_seen_by_its_user_only(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    interaction = await use(control, ready, "/hello")
    answer = {"type": 4, "data": {"content": "hello", "flags": 64}}
    assert (await bot.post(callback(interaction), json=answer)).status_code == 204
    [message] = await seen(control, "ann")
    assert (message["content"], message["flags"]) == ("hello", 64)
    assert message["interaction"]["name"] == "hello"
    assert message["interaction_metadata"]["user"]["username"] == "ann"
    assert await seen(control, "ben") == []
    await ready.quiet()
    assert (await bot.get(f"{webhook(interaction)}/messages/@original")).json()["content"] == "hello"


async def test_a_public_answer_reaches_the_gateway(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    interaction = await use(control, ready, "/hello")
    response = await bot.post(
        f"{callback(interaction)}?with_response=true", json={"type": 4, "data": {"content": "hi all"}}
    )
    assert response.json()["resource"]["message"]["content"] == "hi all"
    message = await ready.event("MESSAGE_CREATE")
    assert (message["content"], message["type"]) == ("hi all", 20)


async def test_an_interaction_is_answered_once(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    interaction = await use(control, ready, "/hello")
    answer = {"type": 4, "data": {"content": "one"}}
    await bot.post(callback(interaction), json=answer)
    error(await bot.post(callback(interaction), json=answer), 400, 40060)


async def test_a_wrong_token_is_an_unknown_interaction(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    interaction = await use(control, ready, "/hello")
    wrong = callback(interaction | {"token": "wrong"})
    error(await bot.post(wrong, json={"type": 4, "data": {"content": "x"}}), 404, 10062)
    error(await bot.get(f"/webhooks/{demo.APPLICATION_ID}/wrong/messages/@original"), 401, 50027)


async def test_a_deferred_answer_is_filled_by_its_edit(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    interaction = await use(control, ready, "/slow")
    await bot.post(callback(interaction), json={"type": 5})
    assert (await ready.event("MESSAGE_CREATE"))["flags"] == 128
    edited = await bot.patch(f"{webhook(interaction)}/messages/@original", json={"content": "done"})
    assert edited.json()["flags"] == 0
    assert (await ready.event("MESSAGE_UPDATE"))["content"] == "done"


async def test_the_first_follow_up_fills_a_deferred_answer_and_later_ones_follow(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    interaction = await use(control, ready, "/slow")
    await bot.post(callback(interaction), json={"type": 5, "data": {"flags": 64}})
    first = (await bot.post(webhook(interaction), json={"content": "first"})).json()
    second = (await bot.post(webhook(interaction), json={"content": "second", "flags": 64})).json()
    assert [each["content"] for each in await seen(control, "ann")] == ["first", "second"]
    assert first["id"] != second["id"]
    path = f"{webhook(interaction)}/messages/{second['id']}"
    assert (await bot.patch(path, json={"content": "2nd"})).json()["content"] == "2nd"
    assert (await bot.delete(path)).status_code == 204
    assert (await bot.delete(f"{webhook(interaction)}/messages/@original")).status_code == 204
    assert await seen(control, "ann") == []
    error(await bot.get(f"{webhook(interaction)}/messages/@original"), 404, 10008)


async def test_a_follow_up_before_the_answer_is_refused(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    interaction = await use(control, ready, "/slow")
    error(await bot.post(webhook(interaction), json={"content": "too early"}), 404, 10015)


async def test_a_click_reaches_the_bot_and_updates_its_message(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    message = (await bot.post(MESSAGES, json=PANEL)).json()
    click = {"message_id": message["id"], "custom_id": "water", "user": "ben"}
    assert (await control.post("/component", json=click)).status_code == 200
    interaction = await ready.event("INTERACTION_CREATE")
    assert (interaction["type"], interaction["data"]["custom_id"]) == (3, "water")
    assert interaction["message"]["id"] == message["id"]
    update = {"type": 7, "data": {"content": "wet", "components": []}}
    assert (await bot.post(callback(interaction), json=update)).status_code == 204
    assert (await ready.event("MESSAGE_UPDATE"))["components"] == []


async def test_a_deferred_update_edits_the_clicked_message(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    message = (await bot.post(MESSAGES, json=PANEL)).json()
    await control.post("/component", json={"message_id": message["id"], "custom_id": "water"})
    interaction = await ready.event("INTERACTION_CREATE")
    await bot.post(callback(interaction), json={"type": 6})
    edited = await bot.patch(f"{webhook(interaction)}/messages/@original", json={"content": "later"})
    assert edited.json()["id"] == message["id"]


async def test_a_select_sends_its_values_and_refuses_wrong_ones(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    message = (await bot.post(MESSAGES, json=PANEL)).json()
    choose = {"message_id": message["id"], "custom_id": "plant", "values": ["fern"]}
    await control.post("/component", json=choose)
    assert (await ready.event("INTERACTION_CREATE"))["data"]["values"] == ["fern"]
    for wrong in (["oak"], [], ["fern", "rose"]):
        assert (await control.post("/component", json=choose | {"values": wrong})).status_code == 400
    broken = {"message_id": message["id"], "custom_id": "broken"}
    assert "disabled" in (await control.post("/component", json=broken)).json()["message"]


async def test_a_modal_is_sent_back_with_its_values(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    interaction = await use(control, ready, "/ask")
    field = {"type": 4, "custom_id": "why", "style": 1, "label": "Why?"}
    data = {"custom_id": "reason", "title": "Tell", "components": [{"type": 1, "components": [field]}]}
    assert (await bot.post(callback(interaction), json={"type": 9, "data": data})).status_code == 204
    empty = {"interaction_id": interaction["id"], "user": "ann", "values": {}}
    assert "required" in (await control.post("/modal", json=empty)).json()["message"]
    assert (await control.post("/modal", json=empty | {"values": {"why": "fun"}})).status_code == 200
    submitted = await ready.event("INTERACTION_CREATE")
    assert (submitted["type"], submitted["data"]["custom_id"]) == (5, "reason")
    [row] = submitted["data"]["components"]
    assert row["components"][0]["value"] == "fun"
    answer = {"type": 4, "data": {"content": "thanks"}}
    assert (await bot.post(callback(submitted), json=answer)).status_code == 204


async def test_users_channels_and_roles_are_resolved(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    options = [
        {"type": kind, "name": name, "description": "d", "required": True}
        for kind, name in ((6, "who"), (7, "where"), (8, "what"), (5, "really"))
    ]
    command = {"name": "point", "description": "d", "options": options}
    assert (await bot.post(COMMAND_ROUTE, json=command)).status_code == 201
    data = (await use(control, ready, "/point @ben #bots gardeners yes"))["data"]
    values = {each["name"]: each["value"] for each in data["options"]}
    assert values["who"] == demo.BEN
    assert values["where"] == demo.GARDEN_BOTS
    assert values["really"] is True
    assert data["resolved"]["users"][demo.BEN]["username"] == "ben"
    assert "permissions" in data["resolved"]["members"][demo.BEN]
    assert data["resolved"]["channels"][demo.GARDEN_BOTS]["name"] == "bots"


async def test_a_context_menu_command_has_its_target(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    saved = (await bot.post(COMMAND_ROUTE, json={"name": "Save", "type": 3})).json()
    message = (await ann.post(MESSAGES, json={"content": "keep this"})).json()
    body = {"command_id": saved["id"], "target_id": message["id"]}
    assert (await control.post("/slash", json=body)).status_code == 200
    data = (await ready.event("INTERACTION_CREATE"))["data"]
    assert data["target_id"] == message["id"]
    assert data["resolved"]["messages"][message["id"]]["content"] == "keep this"


@pytest.mark.parametrize(
    "body",
    [
        {"type": 2, "data": {}},
        {"type": 7, "data": {"content": "there is no message to update"}},
        {"type": 8, "data": {"choices": []}},
        {"type": 9, "data": {"custom_id": "x"}},
        {"data": {"content": "no type"}},
        {"type": 4, "data": {"content": "x" * 2001}},
    ],
)
async def test_a_wrong_callback_is_refused_and_can_be_made_good(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    interaction = await use(control, ready, "/hello")
    error(await bot.post(callback(interaction), json=body), 400, 50035)
    good = {"type": 4, "data": {"content": "now right"}}
    assert (await bot.post(callback(interaction), json=good)).status_code == 204


async def test_a_guild_command_is_only_in_its_guild(
    ready: Gateway, control: httpx.AsyncClient, bot: httpx.AsyncClient, info: PlaygroundInfo
) -> None:
    base = f"/applications/{info.application_id}/guilds/{demo.GREENHOUSE}/commands"
    await bot.put(base, json=[{"name": "warm", "description": "d"}])
    response = await control.post("/say", json={"text": "/warm", "guild": "Garden"})
    assert response.status_code == 400
    assert (await control.post("/say", json={"text": "/warm", "guild": "Greenhouse"})).status_code == 200
