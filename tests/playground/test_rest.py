"""Discord's REST API: each route does what Discord documents and answers in Discord's shapes.

Every answer is also checked against Discord's OpenAPI description (see `conftest.rest`).
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from flora.playground import BOT_TOKEN, HUMAN_TOKENS, PlaygroundInfo, demo

from .bot import PANEL
from .client import Gateway
from .conftest import rest

GENERAL = f"/channels/{demo.GARDEN_GENERAL}"
MESSAGES = f"{GENERAL}/messages"


def error(response: httpx.Response, status: int, code: int) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    return body


async def send(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post(MESSAGES, json=body)
    assert response.status_code == 200, response.text
    message: dict[str, Any] = response.json()
    return message


class TestWho:
    async def test_without_a_token_there_is_nothing(self, info: PlaygroundInfo) -> None:
        async with httpx.AsyncClient(base_url=info.rest_url) as client:
            assert (await client.get("/users/@me")).json() == {"message": "401: Unauthorized", "code": 0}
            assert (await client.get("/gateway")).json() == {"url": info.gateway_url}

    async def test_a_wrong_token_is_refused_everywhere(self, info: PlaygroundInfo) -> None:
        async with rest(info, "wrong") as client:
            error(await client.get("/users/@me"), 401, 0)

    async def test_a_token_acts_as_its_user(self, bot: httpx.AsyncClient, ann: httpx.AsyncClient) -> None:
        assert (await bot.get("/users/@me")).json()["bot"] is True
        assert (await ann.get("/users/@me")).json()["username"] == "ann"
        assert (await ann.get("/users/@me")).json().get("bot") is None
        assert [each["name"] for each in (await bot.get("/users/@me/guilds")).json()] == [
            "Garden",
            "Greenhouse",
        ]

    async def test_the_application(self, bot: httpx.AsyncClient, info: PlaygroundInfo) -> None:
        for path in ("/applications/@me", "/oauth2/applications/@me"):
            application = (await bot.get(path)).json()
            assert application["id"] == info.application_id
            assert application["bot"]["username"] == "flora"

    async def test_the_gateway_address(self, bot: httpx.AsyncClient, info: PlaygroundInfo) -> None:
        body = (await bot.get("/gateway/bot")).json()
        assert body["url"] == info.gateway_url
        assert body["shards"] == 1
        assert body["session_start_limit"]["remaining"] == 1000

    @pytest.mark.parametrize("prefix", ["/api/v10", "/api/v9", "/api"])
    async def test_all_version_prefixes_work(self, info: PlaygroundInfo, prefix: str) -> None:
        headers = {"Authorization": f"Bot {BOT_TOKEN}"}
        async with httpx.AsyncClient(base_url=info.page_url, headers=headers) as client:
            assert (await client.get(f"{prefix}/users/@me")).status_code == 200

    async def test_unknown_routes_and_methods(self, bot: httpx.AsyncClient, info: PlaygroundInfo) -> None:
        assert (await bot.get("/nothing/here")).json() == {"message": "404: Not Found", "code": 0}
        async with httpx.AsyncClient(base_url=info.rest_url) as client:
            assert (await client.put("/gateway")).json()["message"] == "405: Method Not Allowed"


class TestMessages:
    async def test_a_message_can_be_sent_read_edited_and_deleted(
        self, bot: httpx.AsyncClient, gateway: Gateway
    ) -> None:
        sent = await send(bot, content="  one  ")
        assert sent["content"] == "one"
        path = f"{MESSAGES}/{sent['id']}"
        assert (await bot.get(path)).json() == sent
        assert (await gateway.event("MESSAGE_CREATE"))["id"] == sent["id"]
        edited = (await bot.patch(path, json={"content": "two"})).json()
        assert edited["content"] == "two"
        assert edited["edited_timestamp"] is not None
        assert (await gateway.event("MESSAGE_UPDATE"))["content"] == "two"
        assert (await bot.delete(path)).status_code == 204
        deleted = await gateway.event("MESSAGE_DELETE")
        assert deleted == {"id": sent["id"], "channel_id": demo.GARDEN_GENERAL, "guild_id": demo.GARDEN}
        error(await bot.get(path), 404, 10008)

    async def test_history_pages_in_both_directions(self, ann: httpx.AsyncClient) -> None:
        ids = [(await send(ann, content=str(number)))["id"] for number in range(6)]

        async def page(query: str) -> list[str]:
            return [each["content"] for each in (await ann.get(f"{MESSAGES}?{query}")).json()]

        assert await page("limit=2") == ["5", "4"]
        assert await page(f"before={ids[4]}&limit=2") == ["3", "2"]
        assert await page(f"after={ids[1]}&limit=2") == ["3", "2"]
        assert await page(f"around={ids[2]}&limit=3") == ["3", "2", "1"]
        error(await ann.get(f"{MESSAGES}?limit=0"), 400, 50035)
        error(await ann.get(f"{MESSAGES}?before=x"), 400, 50035)

    async def test_a_reply_refers_to_its_message(
        self, bot: httpx.AsyncClient, ann: httpx.AsyncClient
    ) -> None:
        question = await send(ann, content="?")
        answer = await send(bot, content="!", message_reference={"message_id": question["id"]})
        assert answer["type"] == 19
        assert answer["referenced_message"]["id"] == question["id"]
        assert [user["username"] for user in answer["mentions"]] == ["ann"]
        missing = {"content": "!", "message_reference": {"message_id": "1"}}
        body = error(await bot.post(MESSAGES, json=missing), 400, 50035)
        assert body["errors"]["message_reference"]["_errors"][0]["code"] == "REPLIES_UNKNOWN_MESSAGE"
        missing["message_reference"]["fail_if_not_exists"] = False  # type: ignore[index]
        assert (await bot.post(MESSAGES, json=missing)).json()["type"] == 0

    async def test_an_enforced_nonce_sends_once(self, bot: httpx.AsyncClient) -> None:
        first = await send(bot, content="once", nonce="n-1", enforce_nonce=True)
        again = await send(bot, content="once", nonce="n-1", enforce_nonce=True)
        other = await send(bot, content="once", nonce="n-1")
        assert again["id"] == first["id"] != other["id"]
        assert first["nonce"] == "n-1"

    async def test_embeds_and_components_come_back_whole(self, bot: httpx.AsyncClient) -> None:
        sent = await send(bot, **PANEL)
        assert sent["embeds"][0]["type"] == "rich"
        assert sent["embeds"][0]["fields"] == [{"name": "Beds", "value": "4", "inline": True}]
        row = sent["components"][0]
        assert [each["custom_id"] for each in row["components"]] == ["water", "broken"]
        ids = [row["id"], *(each["id"] for each in row["components"])]
        assert len(set(ids)) == 3

    async def test_components_v2_need_their_flag(self, bot: httpx.AsyncClient) -> None:
        layout = [
            {
                "type": 17,
                "accent_color": 1,
                "components": [
                    {"type": 10, "content": "# Hi"},
                    {"type": 14},
                    {
                        "type": 9,
                        "components": [{"type": 10, "content": "text"}],
                        "accessory": {"type": 2, "style": 2, "label": "x", "custom_id": "x"},
                    },
                ],
            }
        ]
        error(await bot.post(MESSAGES, json={"components": layout}), 400, 50035)
        sent = await send(bot, components=layout, flags=1 << 15)
        assert sent["components"][0]["components"][0]["content"] == "# Hi"

    async def test_files_come_by_multipart_and_can_be_fetched(self, bot: httpx.AsyncClient) -> None:
        payload = {"content": "see", "attachments": [{"id": 0, "description": "notes"}]}
        response = await bot.post(
            MESSAGES,
            data={"payload_json": json.dumps(payload)},
            files={"files[0]": ("../a b.txt", b"hello", "text/plain"), "files[1]": ("b.bin", b"\x00" * 9)},
        )
        assert response.status_code == 200, response.text
        [text, binary] = response.json()["attachments"]
        assert (text["filename"], text["size"], text["description"]) == ("_a_b.txt", 5, "notes")
        assert binary["size"] == 9
        async with httpx.AsyncClient() as client:
            file = await client.get(text["url"])
        assert file.content == b"hello"
        assert file.headers["Content-Disposition"] == "attachment"
        assert "sandbox" in file.headers["Content-Security-Policy"]
        kept = await bot.patch(
            f"{MESSAGES}/{response.json()['id']}", json={"attachments": [{"id": binary["id"]}]}
        )
        assert [each["id"] for each in kept.json()["attachments"]] == [binary["id"]]

    async def test_a_file_that_is_too_large_is_refused(self, bot: httpx.AsyncClient) -> None:
        response = await bot.post(MESSAGES, files={"files[0]": ("big", b"x" * (10 * 2**20 + 1))})
        error(response, 413, 40005)
        assert (await bot.get("/users/@me")).status_code == 200

    async def test_mentions_ping_only_whom_they_may(self, bot: httpx.AsyncClient) -> None:
        text = f"<@{demo.ANN}> <@{demo.BEN}> @everyone"
        sent = await send(bot, content=text)
        assert [each["username"] for each in sent["mentions"]] == ["ann", "ben"]
        assert sent["mention_everyone"] is True
        sent = await send(bot, content=text, allowed_mentions={"parse": [], "users": [demo.BEN]})
        assert [each["username"] for each in sent["mentions"]] == ["ben"]
        assert sent["mention_everyone"] is False
        both = {"content": text, "allowed_mentions": {"parse": ["users"], "users": [demo.BEN]}}
        error(await bot.post(MESSAGES, json=both), 400, 50035)

    async def test_bulk_delete(self, bot: httpx.AsyncClient, gateway: Gateway) -> None:
        ids = [(await send(bot, content=str(each)))["id"] for each in range(3)]
        error(await bot.post(f"{MESSAGES}/bulk-delete", json={"messages": ids[:1]}), 400, 50016)
        assert (await bot.post(f"{MESSAGES}/bulk-delete", json={"messages": ids})).status_code == 204
        assert (await gateway.event("MESSAGE_DELETE_BULK"))["ids"] == ids
        assert (await bot.get(MESSAGES)).json() == []

    @pytest.mark.parametrize(
        ("body", "path", "code"),
        [
            ({"content": "x" * 2001}, ["content"], "BASE_TYPE_MAX_LENGTH"),
            ({"content": {"a": 1}}, ["content"], "STRING_TYPE_CONVERT"),
            ({"content": "x", "tts": "yes"}, ["tts"], "BOOLEAN_TYPE_CONVERT"),
            ({"content": "x", "nonce": "x" * 26}, ["nonce"], "BASE_TYPE_MAX_LENGTH"),
            ({"embeds": [{}] * 11}, ["embeds"], "BASE_TYPE_BAD_LENGTH"),
            ({"embeds": [{"title": "x" * 257}]}, ["embeds", "0", "title"], "BASE_TYPE_MAX_LENGTH"),
            (
                {"embeds": [{"title": "t", "url": "ftp://x"}]},
                ["embeds", "0", "url"],
                "URL_TYPE_INVALID_SCHEME",
            ),
            (
                {"embeds": [{"title": "t", "fields": [{"name": "n"}]}]},
                ["embeds", "0", "fields", "0", "value"],
                "BASE_TYPE_REQUIRED",
            ),
            ({"embeds": [{"description": "x" * 4096}] * 2}, ["embeds", "1"], "MAX_EMBED_SIZE_EXCEEDED"),
            ({"components": [{"type": 99}]}, ["components", "0", "type"], "BASE_TYPE_CHOICES"),
            (
                {"components": [{"type": 1, "components": []}]},
                ["components", "0", "components"],
                "BASE_TYPE_BAD_LENGTH",
            ),
        ],
    )
    async def test_a_wrong_body_is_refused_with_the_place_of_the_fault(
        self, bot: httpx.AsyncClient, body: dict[str, Any], path: list[str], code: str
    ) -> None:
        found: Any = error(await bot.post(MESSAGES, json=body), 400, 50035)["errors"]
        for part in path:
            found = found[part]
        assert found["_errors"][0]["code"] == code

    async def test_an_empty_message_is_refused(self, bot: httpx.AsyncClient) -> None:
        for body in ({}, {"content": ""}, {"content": None}, {"embeds": []}):
            error(await bot.post(MESSAGES, json=body), 400, 50006)

    async def test_what_is_not_json_is_refused(self, bot: httpx.AsyncClient) -> None:
        error(
            await bot.post(MESSAGES, content=b"{", headers={"Content-Type": "application/json"}), 400, 50109
        )
        error(
            await bot.post(MESSAGES, content=b"[]", headers={"Content-Type": "application/json"}), 400, 50035
        )

    async def test_others_messages_are_deleted_only_with_permission_and_never_edited(
        self, bot: httpx.AsyncClient, info: PlaygroundInfo, ann: httpx.AsyncClient
    ) -> None:
        message = await send(ann, content="mine")
        path = f"{MESSAGES}/{message['id']}"
        error(await bot.patch(path, json={"content": "x"}), 403, 50005)
        async with rest(info, HUMAN_TOKENS["cleo"]) as cleo:
            error(await cleo.delete(path), 403, 50013)
        assert (await bot.delete(path)).status_code == 204

    async def test_channels_that_cannot_be_reached(self, bot: httpx.AsyncClient) -> None:
        hello = {"content": "hi"}
        error(await bot.post("/channels/1/messages", json=hello), 404, 10003)
        error(await bot.post(f"/channels/{demo.GARDEN_SHED}/messages", json=hello), 403, 50001)
        error(await bot.get("/channels/nonsense/messages"), 400, 50035)

    async def test_pins(self, bot: httpx.AsyncClient) -> None:
        message = await send(bot, content="keep")
        assert (await bot.put(f"{MESSAGES}/pins/{message['id']}")).status_code == 204
        pins = (await bot.get(f"{MESSAGES}/pins")).json()
        assert [each["message"]["id"] for each in pins["items"]] == [message["id"]]
        assert (await bot.delete(f"{MESSAGES}/pins/{message['id']}")).status_code == 204
        assert (await bot.get(f"{GENERAL}/pins")).json() == []

    async def test_typing_is_told(self, ann: httpx.AsyncClient, gateway: Gateway) -> None:
        assert (await ann.post(f"{GENERAL}/typing")).status_code == 204
        assert (await gateway.event("TYPING_START"))["user_id"] == demo.ANN


class TestReactions:
    async def test_reactions_are_counted_told_and_removed(
        self, bot: httpx.AsyncClient, ann: httpx.AsyncClient, gateway: Gateway
    ) -> None:
        message = await send(ann, content="like?")
        base = f"{MESSAGES}/{message['id']}/reactions"
        assert (await bot.put(f"{base}/%F0%9F%91%8D/@me")).status_code == 204
        assert (await ann.put(f"{base}/%F0%9F%91%8D/@me")).status_code == 204
        assert (await ann.put(f"{base}/leaf:123456/@me")).status_code == 204
        added = await gateway.event("MESSAGE_REACTION_ADD")
        assert added["emoji"] == {"id": None, "name": "👍"}
        [thumbs, leaf] = (await bot.get(f"{MESSAGES}/{message['id']}")).json()["reactions"]
        assert (thumbs["count"], thumbs["me"], leaf["me"]) == (2, True, False)
        users = (await bot.get(f"{base}/%F0%9F%91%8D")).json()
        assert {each["username"] for each in users} == {"ann", "flora"}
        assert (await bot.delete(f"{base}/%F0%9F%91%8D/@me")).status_code == 204
        assert (await gateway.event("MESSAGE_REACTION_REMOVE"))["user_id"] != demo.ANN
        assert (await bot.delete(f"{base}/%F0%9F%91%8D/{demo.ANN}")).status_code == 204
        assert (await bot.delete(base)).status_code == 204
        await gateway.event("MESSAGE_REACTION_REMOVE_ALL")
        assert "reactions" not in (await bot.get(f"{MESSAGES}/{message['id']}")).json()

    @pytest.mark.parametrize("emoji", ["abc", "x:y", "<b>", "a" * 200])
    async def test_what_is_no_emoji_is_unknown(self, bot: httpx.AsyncClient, emoji: str) -> None:
        message = await send(bot, content="x")
        error(await bot.put(f"{MESSAGES}/{message['id']}/reactions/{emoji}/@me"), 404, 10014)


class TestGuilds:
    async def test_a_guild_with_its_channels_roles_and_members(self, bot: httpx.AsyncClient) -> None:
        guild = (await bot.get(f"/guilds/{demo.GARDEN}?with_counts=true")).json()
        assert (guild["name"], guild["approximate_member_count"]) == ("Garden", 4)
        channels = (await bot.get(f"/guilds/{demo.GARDEN}/channels")).json()
        assert [each["name"] for each in channels] == ["text channels", "general", "bots"]
        assert (await bot.get(GENERAL)).json()["topic"]
        roles = (await bot.get(f"/guilds/{demo.GARDEN}/roles")).json()
        assert [each["name"] for each in roles] == ["@everyone", "gardeners", "flora"]
        members = (await bot.get(f"/guilds/{demo.GARDEN}/members?limit=10")).json()
        assert len(members) == 4
        found = (await bot.get(f"/guilds/{demo.GARDEN}/members/search?query=an")).json()
        assert [each["user"]["username"] for each in found] == ["ann"]
        error(await bot.get("/guilds/1"), 404, 10004)
        error(await bot.get(f"/guilds/{demo.GARDEN}/members/1"), 404, 10013)

    async def test_a_role_is_made_given_and_taken(
        self, bot: httpx.AsyncClient, gateway: Gateway, control: httpx.AsyncClient
    ) -> None:
        base = f"/guilds/{demo.GARDEN}"
        role = (await bot.post(f"{base}/roles", json={"name": "helpers", "color": 255})).json()
        assert (await gateway.event("GUILD_ROLE_CREATE"))["role"]["name"] == "helpers"
        reason = {"X-Audit-Log-Reason": "for%20help"}
        path = f"{base}/members/{demo.BEN}/roles/{role['id']}"
        assert (await bot.put(path, headers=reason)).status_code == 204
        assert (await gateway.event("GUILD_MEMBER_UPDATE"))["roles"] == [role["id"]]
        assert (await control.get("/audit")).json()[-1]["reason"] == "for help"
        assert (await bot.delete(path)).status_code == 204
        changed = (await bot.patch(f"{base}/roles/{role['id']}", json={"name": "friends"})).json()
        assert changed["name"] == "friends"
        assert (await bot.delete(f"{base}/roles/{role['id']}")).status_code == 204
        error(await bot.get(f"{base}/roles/{role['id']}"), 404, 10011)

    async def test_members_are_renamed_kicked_and_banned(
        self, bot: httpx.AsyncClient, ann: httpx.AsyncClient, gateway: Gateway
    ) -> None:
        base = f"/guilds/{demo.GARDEN}"
        changed = (await bot.patch(f"{base}/members/{demo.CLEO}", json={"nick": "Clover"})).json()
        assert changed["nick"] == "Clover"
        error(await bot.delete(f"{base}/members/{demo.ANN}"), 403, 50013)  # the owner
        assert (await bot.delete(f"{base}/members/{demo.CLEO}")).status_code == 204
        assert (await gateway.event("GUILD_MEMBER_REMOVE"))["user"]["username"] == "cleo"
        reason = {"X-Audit-Log-Reason": "spam"}
        assert (await bot.put(f"{base}/bans/{demo.BEN}", json={}, headers=reason)).status_code == 204
        await gateway.event("GUILD_BAN_ADD")
        assert (await bot.get(f"{base}/bans/{demo.BEN}")).json()["reason"] == "spam"
        assert (await bot.delete(f"{base}/bans/{demo.BEN}")).status_code == 204
        error(await bot.get(f"{base}/bans/{demo.BEN}"), 404, 10026)

    async def test_channels_are_made_changed_and_deleted(
        self, bot: httpx.AsyncClient, gateway: Gateway
    ) -> None:
        created = (await bot.post(f"/guilds/{demo.GARDEN}/channels", json={"name": "seeds"})).json()
        assert (await gateway.event("CHANNEL_CREATE"))["name"] == "seeds"
        path = f"/channels/{created['id']}"
        assert (await bot.patch(path, json={"topic": "all kinds"})).json()["topic"] == "all kinds"
        overwrite = {"type": 0, "allow": "0", "deny": str(1 << 11)}
        assert (await bot.put(f"{path}/permissions/{demo.GARDEN}", json=overwrite)).status_code == 204
        error(await bot.post(f"{path}/messages", json={"content": "x"}), 403, 50013)
        assert (await bot.delete(path)).status_code == 200
        error(await bot.get(path), 404, 10003)

    async def test_without_permission_nothing_changes(self, info: PlaygroundInfo) -> None:
        async with rest(info, HUMAN_TOKENS["cleo"]) as cleo:
            error(await cleo.post(f"/guilds/{demo.GARDEN}/roles", json={}), 403, 50013)
            error(await cleo.post(f"/guilds/{demo.GARDEN}/channels", json={"name": "x"}), 403, 50013)
            error(await cleo.delete(GENERAL), 403, 50013)

    async def test_threads(self, bot: httpx.AsyncClient, ann: httpx.AsyncClient, gateway: Gateway) -> None:
        message = await send(ann, content="topic")
        made = await bot.post(f"{MESSAGES}/{message['id']}/threads", json={"name": "about it"})
        assert made.status_code == 201
        thread = made.json()
        assert thread["id"] == message["id"]
        assert (await gateway.event("THREAD_CREATE"))["name"] == "about it"
        sent = await bot.post(f"/channels/{thread['id']}/messages", json={"content": "in here"})
        assert sent.json()["channel_id"] == thread["id"]
        active = (await bot.get(f"/guilds/{demo.GARDEN}/threads/active")).json()
        assert [each["id"] for each in active["threads"]] == [thread["id"]]
        assert (await ann.put(f"/channels/{thread['id']}/thread-members/@me")).status_code == 204
        archived = (await bot.patch(f"/channels/{thread['id']}", json={"archived": True})).json()
        assert archived["thread_metadata"]["archived"] is True

    async def test_direct_messages(
        self, bot: httpx.AsyncClient, ann: httpx.AsyncClient, gateway: Gateway
    ) -> None:
        channel = (await bot.post("/users/@me/channels", json={"recipient_id": demo.ANN})).json()
        assert channel["type"] == 1
        again = (await ann.post("/users/@me/channels", json={"recipient_id": demo.APPLICATION_ID})).json()
        assert again["id"] == channel["id"]
        await ann.post(f"/channels/{channel['id']}/messages", json={"content": "psst"})
        received = await gateway.event("MESSAGE_CREATE")
        assert received["content"] == "psst"
        assert "guild_id" not in received


class TestCommands:
    async def test_commands_are_created_changed_listed_and_deleted(self, bot: httpx.AsyncClient) -> None:
        base = f"/applications/{demo.APPLICATION_ID}/commands"
        created = await bot.post(base, json={"name": "hello", "description": "Say hello"})
        assert created.status_code == 201
        same = await bot.post(base, json={"name": "hello", "description": "Say hi"})
        assert (same.status_code, same.json()["id"]) == (200, created.json()["id"])
        path = f"{base}/{created.json()['id']}"
        assert (await bot.patch(path, json={"description": "Hi"})).json()["description"] == "Hi"
        assert [each["name"] for each in (await bot.get(base)).json()] == ["hello"]
        assert (await bot.get(path)).json()["name"] == "hello"
        assert (await bot.delete(path)).status_code == 204
        error(await bot.get(path), 404, 10063)

    async def test_an_overwrite_keeps_ids_by_name(self, bot: httpx.AsyncClient) -> None:
        base = f"/applications/{demo.APPLICATION_ID}/guilds/{demo.GARDEN}/commands"
        one, two = ({"name": name, "description": "x"} for name in ("one", "two"))
        first = {each["name"]: each["id"] for each in (await bot.put(base, json=[one, two])).json()}
        after = (await bot.put(base, json=[two])).json()
        assert [(each["name"], each["id"]) for each in after] == [("two", first["two"])]
        assert after[0]["guild_id"] == demo.GARDEN

    async def test_all_kinds_of_options(self, bot: httpx.AsyncClient) -> None:
        text = {"type": 3, "name": "text", "description": "d", "required": True}
        options = [
            text | {"choices": [{"name": "A", "value": "a"}]},
            {"type": 4, "name": "count", "description": "d", "min_value": 1, "max_value": 9},
            *({"type": kind, "name": f"o{kind}", "description": "d"} for kind in (5, 6, 7, 8, 9, 10, 11)),
        ]
        sub = {"type": 2, "name": "group", "description": "d"}
        sub["options"] = [{"type": 1, "name": "sub", "description": "d", "options": options}]  # type: ignore[assignment]
        base = f"/applications/{demo.APPLICATION_ID}/commands"
        created = await bot.post(base, json={"name": "big", "description": "d", "options": [sub]})
        assert created.status_code == 201, created.text
        menu = await bot.post(base, json={"name": "Save this", "type": 3})
        assert menu.status_code == 201, menu.text

    @pytest.mark.parametrize(
        "command",
        [
            {"name": "", "description": "x"},
            {"name": "Upper", "description": "x"},
            {"name": "two words", "description": "x"},
            {"name": "x" * 33, "description": "x"},
            {"name": "x"},
            {"name": "x", "description": "x" * 101},
            {"name": "x", "description": "x", "options": [{"type": 99, "name": "a", "description": "b"}]},
            {"name": "x", "description": "x", "options": [{"type": 3, "name": "a", "description": "b"}] * 2},
            {"name": "x", "description": "x", "type": 7},
        ],
    )
    async def test_a_wrong_command_is_refused(self, bot: httpx.AsyncClient, command: dict[str, Any]) -> None:
        base = f"/applications/{demo.APPLICATION_ID}/commands"
        error(await bot.post(base, json=command), 400, 50035)
        error(await bot.put(base, json=[command]), 400, 50035)

    async def test_only_the_bot_registers_commands(
        self, ann: httpx.AsyncClient, bot: httpx.AsyncClient
    ) -> None:
        error(await ann.get(f"/applications/{demo.APPLICATION_ID}/commands"), 403, 50001)
        error(await bot.get("/applications/1/commands"), 404, 10002)
        error(await bot.get(f"/applications/{demo.APPLICATION_ID}/guilds/1/commands"), 403, 50001)


class TestWebhooks:
    async def test_a_webhook_posts_under_its_name(self, bot: httpx.AsyncClient, gateway: Gateway) -> None:
        webhook = (await bot.post(f"{GENERAL}/webhooks", json={"name": "News"})).json()
        path = f"/webhooks/{webhook['id']}/{webhook['token']}"
        assert (await bot.post(path, json={"content": "quiet"})).status_code == 204
        sent = await bot.post(f"{path}?wait=true", json={"content": "loud", "username": "Herald"})
        assert sent.json()["author"]["username"] == "Herald"
        assert (await gateway.event("MESSAGE_CREATE"))["author"]["username"] == "News"
        message = f"{path}/messages/{sent.json()['id']}"
        assert (await bot.patch(message, json={"content": "louder"})).json()["content"] == "louder"
        assert (await bot.delete(message)).status_code == 204
        error(await bot.post(f"/webhooks/{webhook['id']}/wrong", json={"content": "x"}), 401, 50027)
        assert (await bot.delete(f"/webhooks/{webhook['id']}")).status_code == 204
        error(await bot.post(path, json={"content": "x"}), 404, 10015)
