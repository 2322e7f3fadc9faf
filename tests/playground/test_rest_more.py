"""Command permissions, polls, emojis, stickers, invites, and the lists of a guild.

Every answer is also checked against Discord's OpenAPI description (see `conftest.rest`).
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from flora.playground import HUMAN_TOKENS, PlaygroundInfo, demo
from flora.playground import permissions as may
from flora.playground.model import Model

from .bot import COMMANDS
from .client import Gateway
from .conftest import rest
from .test_rest import GENERAL, MESSAGES, error, send

GUILD = f"/guilds/{demo.GARDEN}"
PNG = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
async def managed(
    bot: httpx.AsyncClient, control: httpx.AsyncClient, info: PlaygroundInfo
) -> list[dict[str, Any]]:
    """The bot's commands, registered; the bot may manage the garden too."""
    permissions = {"permissions": str(may.ALL)}
    role = next(each for each in (await bot.get(f"{GUILD}/roles")).json() if each["name"] == "flora")
    async with rest(info, HUMAN_TOKENS["ann"]) as ann:
        assert (await ann.patch(f"{GUILD}/roles/{role['id']}", json=permissions)).status_code == 200
    made = await bot.put(f"/applications/{demo.APPLICATION_ID}/commands", json=COMMANDS)
    commands: list[dict[str, Any]] = made.json()
    return commands


class TestCommandPermissions:
    @pytest.fixture
    async def manager(self, info: PlaygroundInfo) -> Any:
        """ann's OAuth2 token that may set permissions."""
        async with httpx.AsyncClient(base_url=info.page_url, trust_env=False) as http:
            query = {
                "client_id": info.application_id,
                "redirect_uri": "http://localhost:3000/auth/callback",
                "response_type": "code",
                "scope": "applications.commands.permissions.update",
            }
            form = {"user": demo.ANN, "decision": "allow"}
            back = await http.post("/oauth2/authorize", params=query, data=form)
            body = {
                "grant_type": "authorization_code",
                "code": httpx.URL(back.headers["location"]).params["code"],
                "redirect_uri": query["redirect_uri"],
                "client_id": info.application_id,
                "client_secret": info.client_secret,
            }
            token = (await http.post("/api/v10/oauth2/token", data=body)).json()["access_token"]
        async with rest(info, HUMAN_TOKENS["ann"]) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            yield client

    async def test_people_set_them_and_bots_read_them(
        self,
        bot: httpx.AsyncClient,
        manager: httpx.AsyncClient,
        managed: list[dict[str, Any]],
        gateway: Gateway,
    ) -> None:
        base = f"/applications/{demo.APPLICATION_ID}/guilds/{demo.GARDEN}/commands"
        path = f"{base}/{managed[0]['id']}/permissions"
        error(await bot.get(path), 404, 10066)
        body = {"permissions": [{"id": demo.BEN, "type": 2, "permission": False}]}
        error(await bot.put(path, json=body), 403, 20001)
        put = await manager.put(path, json=body)
        assert put.json()["permissions"] == body["permissions"]
        assert (await gateway.event("APPLICATION_COMMAND_PERMISSIONS_UPDATE")) == put.json()
        assert (await bot.get(path)).json() == put.json()
        assert (await bot.get(f"{base}/permissions")).json() == [put.json()]
        error(await manager.put(f"{base}/5/permissions", json=body), 404, 10063)
        error(await manager.put(path, json={"permissions": [{"id": "x", "type": 9}]}), 400, 50035)
        assert (await manager.put(path, json={"permissions": []})).status_code == 200
        assert (await bot.get(f"{base}/permissions")).json() == []

    @pytest.mark.parametrize(
        ("rule", "who", "allowed"),
        [
            ({"id": demo.BEN, "type": 2, "permission": False}, "ben", False),
            ({"id": demo.BEN, "type": 2, "permission": False}, "cleo", True),
            ({"id": demo.GARDEN, "type": 1, "permission": False}, "ben", False),
            ({"id": demo.GARDEN, "type": 1, "permission": False}, "ann", True),
            ({"id": demo.GARDEN_GENERAL, "type": 3, "permission": False}, "ben", False),
            ({"id": demo.GARDEN_BOTS, "type": 3, "permission": False}, "ben", True),
            ({"id": str(int(demo.GARDEN) - 1), "type": 3, "permission": False}, "ben", False),
        ],
    )
    async def test_they_decide_who_may_use_a_command(
        self,
        manager: httpx.AsyncClient,
        control: httpx.AsyncClient,
        managed: list[dict[str, Any]],
        rule: dict[str, Any],
        who: str,
        allowed: bool,
    ) -> None:
        base = f"/applications/{demo.APPLICATION_ID}/guilds/{demo.GARDEN}/commands"
        await manager.put(f"{base}/{managed[0]['id']}/permissions", json={"permissions": [rule]})
        said = await control.post("/say", json={"text": "/hello", "user": who})
        assert (said.status_code == 200) == allowed, said.text

    async def test_without_them_the_commands_default_decides(
        self, bot: httpx.AsyncClient, control: httpx.AsyncClient
    ) -> None:
        for default, ben in (("0", False), (str(may.MANAGE_GUILD), False), (str(may.SEND_MESSAGES), True)):
            command = COMMANDS[0] | {"default_member_permissions": default}
            await bot.put(f"/applications/{demo.APPLICATION_ID}/commands", json=[command])
            for user, allowed in (("ann", True), ("ben", ben)):
                said = await control.post("/say", json={"text": "/hello", "user": user})
                assert (said.status_code == 200) == allowed, (default, user)


POLL = {
    "question": {"text": "Which?"},
    "answers": [
        {"poll_media": {"text": "Rose"}},
        {"poll_media": {"text": "Fern", "emoji": {"name": "🌿"}}},
    ],
    "duration": 2,
}


class TestPolls:
    async def vote(self, control: httpx.AsyncClient, user: str, message: str, *answers: int) -> int:
        body = {"user": user, "message_id": message, "answers": list(answers)}
        return (await control.post("/vote", json=body)).status_code

    async def test_people_vote_and_the_author_ends_it(
        self, bot: httpx.AsyncClient, ann: httpx.AsyncClient, control: httpx.AsyncClient, gateway: Gateway
    ) -> None:
        message = await send(bot, poll=POLL)
        assert [each["answer_id"] for each in message["poll"]["answers"]] == [1, 2]
        assert message["poll"]["results"] == {"answer_counts": [], "is_finalized": False}
        assert await self.vote(control, "ann", message["id"], 2) == 204
        assert await self.vote(control, "ben", message["id"], 2) == 204
        assert await self.vote(control, "ben", message["id"], 1) == 204
        assert await self.vote(control, "ben", message["id"], 1, 2) == 400
        assert await self.vote(control, "ben", message["id"], 3) == 400
        poll = f"{GENERAL}/polls/{message['id']}"
        assert [each["id"] for each in (await bot.get(f"{poll}/answers/2")).json()["users"]] == [demo.ANN]
        error(await bot.get(f"{poll}/answers/9"), 404, 10101)
        counts = (await ann.get(f"{MESSAGES}/{message['id']}")).json()["poll"]["results"]["answer_counts"]
        assert counts == [
            {"id": 1, "count": 1, "me_voted": False},
            {"id": 2, "count": 1, "me_voted": True},
        ]
        error(await ann.post(f"{poll}/expire"), 403, 520006)
        assert await self.vote(control, "ben", message["id"]) == 204
        ended = (await bot.post(f"{poll}/expire")).json()
        assert ended["poll"]["results"]["is_finalized"] is True
        assert await self.vote(control, "cleo", message["id"], 1) == 400
        result = (await bot.get(MESSAGES)).json()[0]
        assert (result["type"], result["message_reference"]["message_id"]) == (46, message["id"])
        fields = {each["name"]: each["value"] for each in result["embeds"][0]["fields"]}
        assert fields["victor_answer_text"] == "Fern"
        assert fields["total_votes"] == "1"
        for name in ("ADD", "ADD", "ADD", "REMOVE", "REMOVE"):  # ben's second vote replaces his first
            data = await gateway.event(f"MESSAGE_POLL_VOTE_{name}")
            assert data["message_id"] == message["id"]

    async def test_its_time_ends_it_and_wrong_ones_are_refused(
        self, bot: httpx.AsyncClient, control: httpx.AsyncClient, model: Model
    ) -> None:
        message = await send(bot, poll=POLL)
        found = model.channels[demo.GARDEN_GENERAL].messages[message["id"]]
        assert found.poll is not None
        found.poll.expires = model.clock.now()
        assert await self.vote(control, "ann", message["id"], 1) == 400
        assert (await bot.post(f"{GENERAL}/polls/{message['id']}/expire")).status_code == 200
        plain = await send(bot, content="no poll")
        error(await bot.post(f"{GENERAL}/polls/{plain['id']}/expire"), 400, 520001)
        for wrong in ({**POLL, "answers": []}, {**POLL, "duration": 999}, {**POLL, "question": {}}):
            error(await bot.post(MESSAGES, json={"poll": wrong}), 400, 50035)


class TestExpressions:
    async def test_emojis(self, bot: httpx.AsyncClient, gateway: Gateway, control: httpx.AsyncClient) -> None:
        path = f"{GUILD}/emojis"
        headers = {"X-Audit-Log-Reason": "pretty"}
        made = await bot.post(path, json={"name": "rose", "image": PNG}, headers=headers)
        assert made.status_code == 201
        emoji = made.json()
        assert (emoji["name"], emoji["animated"], emoji["user"]["username"]) == ("rose", False, "flora")
        assert (await gateway.event("GUILD_EMOJIS_UPDATE"))["emojis"] == [emoji]
        assert (await bot.patch(f"{path}/{emoji['id']}", json={"name": "tulip"})).json()["name"] == "tulip"
        assert (await bot.get(f"{path}/{emoji['id']}")).json()["name"] == "tulip"
        assert [each["name"] for each in (await bot.get(path)).json()] == ["tulip"]
        assert [each["name"] for each in (await bot.get(GUILD)).json()["emojis"]] == ["tulip"]
        assert (await bot.delete(f"{path}/{emoji['id']}")).status_code == 204
        error(await bot.get(f"{path}/{emoji['id']}"), 404, 10014)
        error(await bot.post(path, json={"name": "a b", "image": "x"}), 400, 50035)
        first = (await control.get("/audit")).json()[0]
        assert (first["action"], first["reason"]) == ("EMOJI_CREATE", "pretty")

    async def test_stickers(self, bot: httpx.AsyncClient, ann: httpx.AsyncClient, gateway: Gateway) -> None:
        path = f"{GUILD}/stickers"
        form = {"name": "Rose", "tags": "rose", "description": "A rose"}
        made = await bot.post(path, data=form, files={"file": ("rose.png", b"\x89PNG", "image/png")})
        assert made.status_code == 201, made.text
        sticker = made.json()
        assert (sticker["format_type"], sticker["guild_id"]) == (1, demo.GARDEN)
        assert (await gateway.event("GUILD_STICKERS_UPDATE"))["stickers"] == [sticker]
        message = await send(bot, sticker_ids=[sticker["id"]])
        assert message["sticker_items"] == [{"id": sticker["id"], "name": "Rose", "format_type": 1}]
        changed = await bot.patch(f"{path}/{sticker['id']}", json={"description": None})
        assert changed.json()["description"] is None
        assert (await bot.get(f"/stickers/{sticker['id']}")).json()["name"] == "Rose"
        assert [each["id"] for each in (await bot.get(path)).json()] == [sticker["id"]]
        error(await bot.post(path, data=form, files={"file": ("x.txt", b"x", "text/plain")}), 400, 50046)
        error(await bot.post(MESSAGES, json={"sticker_ids": ["5"]}), 400, 50081)
        assert (await bot.delete(f"{path}/{sticker['id']}")).status_code == 204
        error(await bot.get(f"{path}/{sticker['id']}"), 404, 10060)


async def test_invites(
    bot: httpx.AsyncClient, ann: httpx.AsyncClient, gateway: Gateway, model: Model
) -> None:
    made = (await bot.post(f"{GENERAL}/invites", json={"max_uses": 3, "max_age": 60})).json()
    assert (await gateway.event("INVITE_CREATE"))["code"] == made["code"]
    again = (await bot.post(f"{GENERAL}/invites", json={"max_uses": 3, "max_age": 60})).json()
    assert again["code"] == made["code"]
    unique = {"max_uses": 3, "max_age": 60, "unique": True}
    assert (await bot.post(f"{GENERAL}/invites", json=unique)).json()["code"] != made["code"]
    shown = (await ann.get(f"/invites/{made['code']}?with_counts=true")).json()
    assert (shown["guild"]["name"], shown["approximate_member_count"]) == ("Garden", 4)
    assert len((await bot.get(f"{GENERAL}/invites")).json()) == 2
    assert len((await ann.get(f"{GUILD}/invites")).json()) == 2
    model.invites[made["code"]].created_at -= 61
    error(await ann.get(f"/invites/{made['code']}"), 404, 10006)
    [left] = (await ann.get(f"{GUILD}/invites")).json()
    assert (await ann.delete(f"/invites/{left['code']}")).json()["code"] == left["code"]
    assert (await gateway.event("INVITE_DELETE"))["code"] == left["code"]


async def test_archived_threads(bot: httpx.AsyncClient) -> None:
    for kind in (11, 12):
        body = {"name": f"talk {kind}", "type": kind}
        thread = (await bot.post(f"{GENERAL}/threads", json=body)).json()
        await bot.patch(f"/channels/{thread['id']}", json={"archived": True})
    for path, kind in (
        ("threads/archived/public", 11),
        ("threads/archived/private", 12),
        ("users/@me/threads/archived/private", 12),
    ):
        body = (await bot.get(f"{GENERAL}/{path}")).json()
        assert [each["name"] for each in body["threads"]] == [f"talk {kind}"]
        assert body["has_more"] is False


async def test_channels_move_together_or_not_at_all(ann: httpx.AsyncClient) -> None:
    moves = [{"id": demo.GARDEN_GENERAL, "position": 7}, {"id": demo.GARDEN_BOTS, "parent_id": None}]
    error(await ann.patch(f"{GUILD}/channels", json=[*moves, {"id": "5"}]), 404, 10003)
    error(await ann.patch(f"{GUILD}/channels", json=[*moves, {"position": 1}]), 404, 10003)
    assert (await ann.get(GENERAL)).json()["position"] == 0
    assert (await ann.patch(f"{GUILD}/channels", json=moves)).status_code == 204
    assert (await ann.get(GENERAL)).json()["position"] == 7
    assert (await ann.get(f"/channels/{demo.GARDEN_BOTS}")).json()["parent_id"] is None


async def test_lists_of_a_guild(ann: httpx.AsyncClient, bot: httpx.AsyncClient) -> None:
    await send(ann, content="roses are red")
    await send(bot, content="Violets are blue")
    found = (await ann.get(f"{GUILD}/messages/search?content=ARE")).json()
    assert [each["content"] for [each] in found["messages"]] == ["Violets are blue", "roses are red"]
    found = (await ann.get(f"{GUILD}/messages/search?author_id={demo.ANN}&limit=1")).json()
    assert found["total_results"] == 1
    assert (await ann.get(f"{GUILD}/preview")).json()["approximate_member_count"] == 4
    counts = (await ann.get(f"{GUILD}/roles/member-counts")).json()
    assert sorted(counts.values()) == [1, 1]


async def test_many_are_banned_at_once(ann: httpx.AsyncClient, bot: httpx.AsyncClient) -> None:
    path = f"{GUILD}/bulk-ban"
    error(await bot.post(path, json={"user_ids": [demo.BEN]}), 403, 50013)
    banned = (await ann.post(path, json={"user_ids": [demo.BEN, demo.CLEO, "5"]})).json()
    assert banned == {"banned_users": [demo.BEN, demo.CLEO], "failed_users": ["5"]}
    error(await ann.post(path, json={"user_ids": ["5"]}), 400, 500000)
