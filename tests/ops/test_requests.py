"""Every op is the request that Discord describes: method, path, query, body, and the audit log's reason."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flora.build.sdk import types_file
from tests import openapi
from tests.net.loopback import Answer
from tests.ops.examples import EXAMPLES, REASON, Args
from tests.ops.world import GUILD, World

# Where Discord's reference and its servers say something else than its OpenAPI description.
UNDESCRIBED = {
    "forward_message": "the description knows references of type 0 only, the reference has FORWARD, 1",
    "edit_channel_permissions": "permissions are text in the reference since version 8, here an integer",
    "unban_member": "the description requires a body without fields",
}


def rest_methods() -> set[str]:
    """The ops that the types promise to authors."""
    _, _, interface = types_file().read_text("utf-8").partition("\ninterface Rest {\n")
    names = re.findall(r"^  (\w+)\(", interface.partition("\n}\n")[0], re.MULTILINE)
    return {re.sub("[A-Z]", lambda hump: f"_{hump[0].lower()}", name) for name in names}


def test_there_is_an_example_of_each_method() -> None:
    assert EXAMPLES.keys() == rest_methods()


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_op_is_the_request_of_discords_description(name: str, discord: World) -> None:
    args, line = EXAMPLES[name]
    await discord.op(name, args)
    request = discord.asked[-1]
    assert request.line == line
    assert request.reason == args.get("reason")
    problems = openapi.check_query(request.method, request.path, request.query)
    if request.headers.get("content-type", "application/json") == "application/json":
        problems += openapi.check_request(request.method, request.path, request.json)
    assert (problems == []) is (name not in UNDESCRIBED), problems


@pytest.mark.parametrize("name", [name for name, (args, _) in EXAMPLES.items() if args.keys() & {"reason"}])
async def test_a_reason_may_be_left_out_or_have_any_text(name: str, discord: World) -> None:
    args = {key: value for key, value in EXAMPLES[name][0].items() if key != "reason"}
    await discord.op(name, args)
    assert discord.asked[-1].reason is None
    await discord.op(name, {**args, "reason": "Frühling 🌱\r\nX-Other: 1"})
    assert discord.asked[-1].reason == "Frühling 🌱\r\nX-Other: 1"
    assert "x-other" not in discord.asked[-1].headers


@pytest.mark.parametrize("name", [name for name, (_, line) in EXAMPLES.items() if f"/guilds/{GUILD}" in line])
async def test_the_guild_may_be_named(name: str, discord: World) -> None:
    args, line = EXAMPLES[name]
    await discord.op(name, {**args, "guildId": GUILD})
    assert discord.asked[-1].line == line


async def sent(discord: World, name: str, args: Args) -> Any:
    await discord.op(name, args)
    return discord.asked[-1]


async def test_named_fields_become_discords(discord: World) -> None:
    bulk = await sent(discord, *example("bulk_ban_members"))
    assert bulk.json == {"user_ids": ["160", "161"], "delete_message_seconds": 60}
    stage = await sent(discord, *example("create_stage"))
    assert stage.json == {"channel_id": "120", "topic": "t"}
    status = await sent(discord, "set_voice_channel_status", {"channelId": "120", "status": None})
    assert status.json == {"status": None}


async def test_lists_in_queries_are_repeated(discord: World) -> None:
    request = await sent(discord, *example("fetch_prune_count"))
    assert request.query == {"days": ["7"], "include_roles": ["170", "171"]}
    request = await sent(discord, "fetch_bans", {"limit": None})
    assert request.query == {}
    request = await sent(discord, "fetch_guild", {"withCounts": True})
    assert request.query == {"with_counts": ["true"]}


async def test_a_body_that_may_be_left_out_is_an_empty_object(discord: World) -> None:
    request = await sent(discord, "create_invite", {"channelId": "120"})
    assert (request.body, request.headers["content-type"]) == (b"{}", "application/json")


async def test_command_permissions_as_a_list_or_as_discords_body(discord: World) -> None:
    permissions = [{"id": "170", "type": 1, "permission": True}]
    for given in (permissions, {"permissions": permissions}):
        request = await sent(
            discord, "edit_guild_command_permissions", {"commandId": "190", "permissions": given}
        )
        assert request.json == {"permissions": permissions}


async def test_one_message_is_deleted_by_itself_and_more_at_once(discord: World) -> None:
    one = await sent(discord, "bulk_delete_messages", {"channelId": "120", "messageIds": ["130", "130"]})
    assert one.line == "DELETE /channels/120/messages/130"
    two = await sent(discord, *example("bulk_delete_messages"))
    assert two.json == {"messages": ["130", "131"]}
    assert two.reason == REASON


async def test_reactions_of_oneself_of_another_and_of_all(discord: World) -> None:
    message = {"channelId": "120", "messageId": "130"}
    reactions = "/channels/120/messages/130/reactions"
    for name, more, line in (
        ("remove_reaction", {"emoji": "🌱"}, f"DELETE {reactions}/🌱/@me"),
        ("remove_reaction", {"emoji": "🌱", "userId": "160"}, f"DELETE {reactions}/🌱/160"),
        ("clear_reactions", {}, f"DELETE {reactions}"),
        ("clear_reactions", {"emoji": {"name": "fern", "id": "3"}}, f"DELETE {reactions}/fern:3"),
        ("add_reaction", {"emoji": {"name": "🌱", "id": None}}, f"PUT {reactions}/🌱/@me"),
    ):
        assert (await sent(discord, name, {**message, **more})).line == line


async def test_a_sticker_is_a_form(discord: World) -> None:
    request = await sent(discord, *example("create_sticker"))
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    for part in (
        b'name="name"\r\n\r\nfern',
        'name="tags"\r\n\r\n🌱'.encode(),
        b'name="file"; filename="f.png"',
    ):
        assert part in request.body


async def test_results_are_discords_json_and_null_for_none(discord: World) -> None:
    discord.give("GET /guilds/100/roles", [{"id": "1"}])
    assert await discord.op("fetch_roles", {}) == [{"id": "1"}]
    discord.answers["DELETE /guilds/100/roles/170"] = Answer(204)
    assert await discord.op("delete_role", {"roleId": "170"}) is None


def example(name: str) -> tuple[str, Args]:
    return name, EXAMPLES[name][0]
