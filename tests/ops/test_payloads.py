"""What a script writes as a message is Discord's message object. Vectors of flora.md 3.4 and 13."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from flora.engine.api import OpError
from flora.ops.payloads import EPHEMERAL
from tests import openapi
from tests.ops.examples import BY_TOKEN, BY_WEBHOOK, IN, MESSAGE_OF, TO, Args
from tests.ops.world import FOREIGN_CHANNEL, OTHER_CHANNEL, THREAD, World

AS_GIVEN: list[tuple[str, Args, dict[str, Any]]] = [
    ("send_message", IN, {}),
    ("create_followup_message", BY_TOKEN, {}),
    ("execute_webhook", BY_WEBHOOK, {}),
    ("edit_message", MESSAGE_OF, {}),
    ("edit_original_interaction_response", BY_TOKEN, {}),
]


async def message_of(discord: World, name: str, args: Args) -> dict[str, Any]:
    """The JSON of the request's message, validated against Discord's description."""
    await discord.op(name, args, event=None)
    request = discord.asked[-1]
    body = request.json
    if not openapi.available():
        return dict(body)
    assert openapi.check_request(request.method, request.path, body) == []
    return dict(body)


@pytest.mark.parametrize(("name", "where", "_"), AS_GIVEN)
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"content": "hi"}, {"content": "hi"}),
        ({"content": ""}, {"content": ""}),
        (
            {"embeds": [{"title": "t", "footer": {"text": "f", "iconUrl": "https://x.test/i"}}]},
            {"embeds": [{"title": "t", "footer": {"text": "f", "icon_url": "https://x.test/i"}}]},
        ),
        (
            {
                "embeds": [
                    {
                        "footer": {"iconUrl": "i"},
                        "author": {},
                        "image": {},
                        "thumbnail": None,
                        "url": "https://u.test",
                    }
                ]
            },
            {"embeds": [{"url": "https://u.test"}]},
        ),
        (
            {"embeds": [{"timestamp": "2026-01-02T03:04:05.678Z", "color": 5}]},
            {"embeds": [{"timestamp": "2026-01-02T03:04:05.678Z", "color": 5}]},
        ),
        (
            {
                "content": "x",
                "allowedMentions": {"parse": ["users", "nobody", "users"], "repliedUser": False},
            },
            {"content": "x", "allowed_mentions": {"parse": ["users"], "replied_user": False}},
        ),
        (
            {"content": "x", "allowedMentions": {"users": ["1", "x", "1"], "roles": []}},
            {"content": "x", "allowed_mentions": {"users": ["1"], "roles": []}},
        ),
        ({"content": "x", "flags": 4}, {"content": "x", "flags": 4}),
        (
            {"components": [{"type": 10, "content": "text"}], "flags": 32768},
            {"components": [{"type": 10, "content": "text"}], "flags": 32768},
        ),
    ],
)
async def test_messages(
    name: str, where: Args, _: Any, given: Args, sent: dict[str, Any], discord: World
) -> None:
    assert await message_of(discord, name, {**where, **given}) == sent


@pytest.mark.parametrize(
    ("name", "where", "what"),
    [
        ("send_message", IN, "message"),
        ("send_interaction_response", TO, "Response"),
        ("create_followup_message", BY_TOKEN, "Followup"),
        ("execute_webhook", BY_WEBHOOK, "webhook"),
    ],
)
async def test_a_new_message_says_something(name: str, where: Args, what: str, discord: World) -> None:
    for nothing in ({}, {"content": None}, {"embeds": []}, {"flags": 4}, {"tts": True}):
        with pytest.raises(OpError, match=f"{what} must include content, embeds, attachments, or components"):
            await discord.op(name, {**where, **nothing})
    assert discord.deeds == []


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("edit_message", MESSAGE_OF),
        ("edit_original_interaction_response", BY_TOKEN),
        ("edit_followup_message", {**BY_TOKEN, "messageId": "130"}),
        ("edit_webhook_message", {**BY_WEBHOOK, "messageId": "130"}),
    ],
)
async def test_an_edit_changes_something_and_may_take_away(name: str, where: Args, discord: World) -> None:
    with pytest.raises(OpError, match="must include"):
        await discord.op(name, where)
    taken = {"content": None, "embeds": [], "components": [], "attachments": []}
    assert await message_of(discord, name, {**where, **taken}) == taken
    assert await message_of(discord, name, {**where, "attachments": None}) == {"attachments": []}


async def test_a_wrong_timestamp_is_named(discord: World) -> None:
    with pytest.raises(OpError, match=r"Invalid input for embeds\[\]\.timestamp"):
        await discord.op("send_message", {**IN, "embeds": [{"timestamp": "tomorrow"}]})


class TestReplies:
    @pytest.mark.parametrize("key", ["messageId", "replyTo"])
    async def test_a_reply_refers_to_a_message_that_may_be_gone(self, key: str, discord: World) -> None:
        body = await message_of(discord, "send_message", {**IN, "content": "x", key: "130"})
        assert body["message_reference"] == {"message_id": "130", "fail_if_not_exists": False}

    async def test_a_forward_is_between_channels_of_the_guild(self, discord: World) -> None:
        await discord.op("forward_message", {**MESSAGE_OF, "toChannelId": OTHER_CHANNEL}, event=None)
        assert discord.asked[-1].json == {
            "message_reference": {"type": 1, "channel_id": "120", "message_id": "130"}
        }
        for foreign in ({"channelId": FOREIGN_CHANNEL}, {"toChannelId": FOREIGN_CHANNEL}):
            with pytest.raises(OpError, match="outside runtime scope"):
                await discord.op("forward_message", {**MESSAGE_OF, "toChannelId": OTHER_CHANNEL, **foreign})

    async def test_a_replayed_event_sends_its_message_under_the_same_nonce(self, discord: World) -> None:
        async def nonce(event: str | None, index: int) -> Any:
            await discord.op("send_message", {**IN, "content": "x"}, event=event, index=index)
            body = discord.asked[-1].json
            assert (body.get("enforce_nonce") is True) is ("nonce" in body)
            return body.get("nonce")

        first = await nonce("0:session:7", 0)
        assert len(first) <= 25
        assert first == await nonce("0:session:7", 0)
        assert len({first, await nonce("0:session:7", 1), await nonce("0:session:8", 0)}) == 3
        assert await nonce(None, 0) is None


class TestAttachments:
    def parts(self, discord: World) -> tuple[Any, list[tuple[str, bytes]]]:
        """payload_json and the files, (name and filename, content), of the last request."""
        request = discord.asked[-1]
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        found = []
        payload = None
        for part in request.body.split(b"--" + boundary)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            name = re.findall(rb'name="([^"]*)"', head)
            if name == [b"payload_json"]:
                payload = json.loads(content)
            else:
                found.append((b" ".join(name).decode(), content.removesuffix(b"\r\n")))
        return payload, found

    async def test_text_and_bytes_are_uploaded(self, discord: World) -> None:
        files = [
            {"filename": "a.txt", "text": "grün", "description": "a list", "contentType": "text/plain"},
            {"filename": "b.bin", "data": "AP8="},
        ]
        await discord.op("send_message", {**IN, "attachments": files}, event=None)
        payload, parts = self.parts(discord)
        assert payload == {
            "attachments": [
                {"id": 0, "filename": "a.txt", "description": "a list"},
                {"id": 1, "filename": "b.bin"},
            ]
        }
        assert parts == [("files[0] a.txt", "grün".encode()), ("files[1] b.bin", b"\x00\xff")]

    async def test_an_interactions_files_belong_to_its_data(self, discord: World) -> None:
        await discord.op("send_interaction_response", {**TO, "attachments": [{"filename": "a", "text": "x"}]})
        payload, parts = self.parts(discord)
        assert payload == {"type": 4, "data": {"attachments": [{"id": 0, "filename": "a"}]}}
        assert parts == [("files[0] a", b"x")]

    async def test_an_edit_keeps_files_by_their_id_beside_new_ones(self, discord: World) -> None:
        files = [{"id": "777"}, {"filename": "new", "text": "x"}]
        await discord.op("edit_message", {**MESSAGE_OF, "attachments": files})
        payload, parts = self.parts(discord)
        assert payload == {"attachments": [{"id": "777"}, {"id": 0, "filename": "new"}]}
        assert parts == [("files[0] new", b"x")]
        await discord.op("edit_message", {**MESSAGE_OF, "attachments": [{"id": "777"}]})
        assert discord.asked[-1].json == {"attachments": [{"id": "777"}]}

    @pytest.mark.parametrize(
        ("file", "reason"),
        [
            ({"filename": "a"}, "needs `data`"),
            ({"text": "x"}, "a new file needs one"),
            ({"filename": "a", "data": "#"}, "not base64"),
            ({"filename": "", "text": "x"}, "file name"),
            ({"filename": "a", "text": "x", "contentType": "text/plain\r\nX: y"}, "not a content type"),
        ],
    )
    async def test_wrong_files_are_refused(self, file: Args, reason: str, discord: World) -> None:
        with pytest.raises(OpError, match=reason) as caught:
            await discord.op("send_message", {**IN, "attachments": [file]})
        assert caught.value.name == "InvalidInputError"
        assert discord.asked == []

    async def test_ten_files_at_most(self, discord: World) -> None:
        with pytest.raises(OpError, match="at most 10"):
            await discord.op("send_message", {**IN, "attachments": [{"filename": "a", "text": "x"}] * 11})

    async def test_a_filename_cannot_write_headers(self, discord: World) -> None:
        await discord.op("send_message", {**IN, "attachments": [{"filename": 'a"\r\nX: y', "text": "x"}]})
        assert b'filename="a___X: y"' in discord.asked[-1].body


async def test_polls(discord: World) -> None:
    poll = {
        "question": "Which?",
        "answers": [
            "Fern",
            {"text": "Rose", "emoji": "🌹"},
            {"text": "Ivy", "emoji": "ivy:5"},
            {"text": "Moss", "emoji": {"id": "6", "name": "moss"}},
        ],
        "duration": 24,
        "allowMultiselect": True,
    }
    for name, where in (("send_message", IN), ("create_followup_message", BY_TOKEN)):
        body = await message_of(discord, name, {**where, "poll": poll})
        assert body["poll"] == {
            "question": {"text": "Which?"},
            "answers": [
                {"poll_media": {"text": "Fern"}},
                {"poll_media": {"text": "Rose", "emoji": {"name": "🌹"}}},
                {"poll_media": {"text": "Ivy", "emoji": {"id": "5"}}},
                {"poll_media": {"text": "Moss", "emoji": {"id": "6"}}},
            ],
            "duration": 24,
            "allow_multiselect": True,
        }


async def test_a_forum_post_is_a_thread_with_a_message(discord: World) -> None:
    args = {**IN, "name": "Weeds", "content": "Help!", "appliedTags": ["5"], "autoArchiveDuration": 60}
    body = await message_of(discord, "create_forum_post", args)
    assert body == {
        "name": "Weeds",
        "message": {"content": "Help!"},
        "applied_tags": ["5"],
        "auto_archive_duration": 60,
    }


class TestInteractions:
    @pytest.mark.parametrize(
        ("name", "args", "body"),
        [
            ("send_interaction_response", {"content": "x"}, {"type": 4, "data": {"content": "x"}}),
            (
                "send_interaction_response",
                {"content": "x", "ephemeral": True, "flags": 4},
                {"type": 4, "data": {"content": "x", "flags": EPHEMERAL | 4}},
            ),
            ("defer_interaction_response", {}, {"type": 5}),
            ("defer_interaction_response", {"ephemeral": True}, {"type": 5, "data": {"flags": EPHEMERAL}}),
            ("defer_interaction_update", {}, {"type": 6}),
            ("update_interaction_response", {"content": "x"}, {"type": 7, "data": {"content": "x"}}),
            ("update_interaction_response", {"components": []}, {"type": 7, "data": {"components": []}}),
            (
                "send_autocomplete_response",
                {"choices": [{"name": "a", "value": 1.5}, {"name": "b", "value": 2}]},
                {"type": 8, "data": {"choices": [{"name": "a", "value": 1.5}, {"name": "b", "value": 2}]}},
            ),
            ("send_autocomplete_response", {"choices": []}, {"type": 8, "data": {"choices": []}}),
            (
                "send_autocomplete_response",
                {"choices": [{"name": "a", "value": "a", "nameLocalizations": {"de": "ä"}}]},
                {
                    "type": 8,
                    "data": {"choices": [{"name": "a", "value": "a", "name_localizations": {"de": "ä"}}]},
                },
            ),
            (
                "show_modal",
                {"customId": "m", "title": "t", "components": [{"type": 10, "content": "x"}]},
                {
                    "type": 9,
                    "data": {"custom_id": "m", "title": "t", "components": [{"type": 10, "content": "x"}]},
                },
            ),
        ],
    )
    async def test_callbacks(self, name: str, args: Args, body: dict[str, Any], discord: World) -> None:
        assert await message_of(discord, name, {**TO, **args}) == body
        assert await discord.op(name, {**TO, **args}) is None

    async def test_the_token_is_the_authorization(self, discord: World) -> None:
        await discord.op("defer_interaction_update", TO)
        await discord.op("create_followup_message", {**BY_TOKEN, "content": "x", "ephemeral": True})
        assert all("authorization" not in request.headers for request in discord.asked)
        assert discord.asked[-1].json == {"content": "x", "flags": EPHEMERAL}


class TestWebhooks:
    async def test_all_that_a_webhook_takes(self, discord: World) -> None:
        args = {
            **BY_WEBHOOK,
            "content": "x",
            "username": "Rose",
            "avatarUrl": "https://x.test/a.png",
            "wait": True,
            "withComponents": True,
            "threadId": THREAD,
        }
        assert await message_of(discord, "execute_webhook", args) == {
            "content": "x",
            "username": "Rose",
            "avatar_url": "https://x.test/a.png",
        }
        assert discord.asked[-1].query == {
            "wait": ["true"],
            "with_components": ["true"],
            "thread_id": [THREAD],
        }

    async def test_a_post_in_a_forum(self, discord: World) -> None:
        args = {**BY_WEBHOOK, "content": "x", "threadName": "Weeds", "appliedTags": ["5"]}
        body = await message_of(discord, "execute_webhook", args)
        assert body == {"content": "x", "thread_name": "Weeds", "applied_tags": ["5"]}
        assert discord.asked[-1].query == {}

    async def test_edits_with_and_without_the_token(self, discord: World) -> None:
        for token, path, authorized in ((None, "/webhooks/140", True), ("w", "/webhooks/140/w", False)):
            args = {"webhookId": "140", "payload": {"name": "n"}, "token": token}
            await discord.op("edit_webhook", args)
            assert discord.asked[-1].line == f"PATCH {path}"
            assert ("authorization" in discord.asked[-1].headers) is authorized
