"""`rest`: methods over the ops of the same names, and the errors that come back."""

from __future__ import annotations

import json
import re

import pytest

from flora.engine.api import HandlerError, OpError
from flora.engine.host import Engine
from flora.ops import op_names

from .guilds import guild, message, values

# flora.md 2.9
ORIGINALS = [
    *("sendMessage", "editMessage", "deleteMessage", "bulkDeleteMessages", "pinMessage"),
    *("unpinMessage", "crosspostMessage", "fetchMessage", "fetchMessages", "addReaction"),
    *("removeReaction", "clearReactions", "sendInteractionResponse", "deferInteractionResponse"),
    *("updateInteractionResponse", "editOriginalInteractionResponse"),
    *("deleteOriginalInteractionResponse", "createFollowupMessage", "editFollowupMessage"),
    *("deleteFollowupMessage", "upsertGuildCommands", "createGuildCommand", "editGuildCommand"),
    *("deleteGuildCommand", "getGuildCommands", "getGuildCommand", "editGuildCommandPermissions"),
    *("getGuildCommandsPermissions", "getGuildCommandPermissions", "kickMember", "banMember"),
    *("unbanMember", "addMemberRole", "removeMemberRole", "editMember", "editCurrentMember"),
    *("createChannel", "editChannel", "deleteChannel", "createThread", "createThreadFromMessage"),
    *("joinThread", "leaveThread", "addThreadMember", "removeThreadMember", "executeWebhook"),
    *("editWebhook", "deleteWebhook"),
]


def op_name(method: str) -> str:
    return re.sub("[A-Z]", lambda c: "_" + c[0].lower(), method)


async def methods(engine: Engine) -> list[str]:
    [names] = await values(engine, ["Object.keys(rest)"])
    return list(names)


async def test_the_originals_methods_are_there(engine: Engine) -> None:
    assert len(ORIGINALS) == 48
    assert set(ORIGINALS) <= set(await methods(engine))


async def test_the_host_has_an_op_for_each_method(engine: Engine) -> None:
    assert {op_name(name) for name in await methods(engine)} <= set(op_names())


async def test_each_hands_its_argument_to_the_op_of_its_name(engine: Engine) -> None:
    command = "command: { name: 'a', description: 'd' },"
    extra = {
        "upsertGuildCommands": "commands: [],",
        "createGuildCommand": command,
        "editGuildCommand": command,
    }
    names = await methods(engine)
    calls = "\n".join(f"await rest.{name}({{ {extra.get(name, '')} guildId: '1', x: 1 }});" for name in names)
    async with guild(engine, f"on('messageCreate', async () => {{ {calls} }});") as bot:
        ops = await bot.dispatch("MESSAGE_CREATE", message())
        assert [name for name, _ in ops] == [op_name(name) for name in names]
        assert all(args["guildId"] == "1" and args["x"] == 1 for _, args in ops)


async def test_the_guild_may_be_left_out(engine: Engine) -> None:
    script = """on('messageCreate', async (ctx) => {
        await rest.kickMember({ userId: ctx.msg.author.id });
        await rest.getGuildCommands();
    });"""
    async with guild(engine, script) as bot:
        assert await bot.dispatch("MESSAGE_CREATE", message()) == [
            ("kick_member", {"userId": "44"}),
            ("get_guild_commands", {}),
        ]


async def test_shorthands_become_discords_json(engine: Engine) -> None:
    script = """on('messageCreate', async () => {
        await rest.editChannelPermissions({
            channelId: '1', overwriteId: '2', type: 'role', deny: ['SendMessages', 'AddReactions'],
        });
        await rest.sendAutocompleteResponse({ interactionId: '1', token: 't', choices: ['fern', 3] });
        await rest.addReaction({ channelId: '1', messageId: '2', emoji: '<a:fern:3>' });
        await rest.createSticker({
            name: 'n', tags: 't', file: { filename: 'f', data: new Uint8Array([1]) },
        });
        await rest.sendMessage({
            channelId: '1', poll: { question: 'q', answers: ['a', { text: 'b', emoji: '<:fern:3>' }] },
        });
    });"""
    async with guild(engine, script) as bot:
        assert [args for _, args in await bot.dispatch("MESSAGE_CREATE", message())] == [
            {"channelId": "1", "overwriteId": "2", "type": 0, "deny": "2112"},
            {
                "interactionId": "1",
                "token": "t",
                "choices": [{"name": "fern", "value": "fern"}, {"name": "3", "value": 3}],
            },
            {"channelId": "1", "messageId": "2", "emoji": "fern:3"},
            {"name": "n", "tags": "t", "file": {"filename": "f", "data": "AQ=="}},
            {"channelId": "1", "poll": {"question": "q", "answers": ["a", {"text": "b", "emoji": "fern:3"}]}},
        ]


async def test_commands_become_discords_json(engine: Engine) -> None:
    script = """
        const options = [{ name: 'o', description: 'd', type: 'user' }];
        const command = { name: 'a', description: 'd', options };
        on('messageCreate', () => rest.createGuildCommand({ command }));
    """
    async with guild(engine, script) as bot:
        [(_, args)] = await bot.dispatch("MESSAGE_CREATE", message())
        assert args["command"]["options"] == [{"type": 6, "name": "o", "description": "d"}]


async def test_refusals_are_typed_errors(engine: Engine) -> None:
    for failure, seen in [
        (
            OpError(
                "Missing Permissions",
                name="DiscordHttpError",
                code="DISCORD_HTTP_ERROR",
                extra={"status": 403, "discordCode": 50013},
            ),
            ["DiscordHttpError", True, "Missing Permissions", "DISCORD_HTTP_ERROR", 403, 50013, None],
        ),
        (
            OpError(
                "slow", name="RateLimitedError", code="DISCORD_RATE_LIMITED", extra={"retryAfterMs": 1500}
            ),
            ["RateLimitedError", True, "slow", "DISCORD_RATE_LIMITED", 429, None, 1500],
        ),
        (
            OpError("no", name="ScopeForbiddenError", code="SCOPE_FORBIDDEN"),
            ["ScopeForbiddenError", True, "no", "SCOPE_FORBIDDEN", None, None, None],
        ),
        (
            OpError("bad", name="InvalidInputError", code="INVALID_INPUT"),
            ["InvalidInputError", True, "bad", "INVALID_INPUT", None, None, None],
        ),
        (
            OpError("kv", name="KvError", code="KV_STORE_FULL"),
            ["KvError", True, "kv", "KV_STORE_FULL", None, None, None],
        ),
        (
            OpError("no op", name="UnknownOpError", code="UNKNOWN_OP"),
            ["UnknownOpError", True, "no op", "UNKNOWN_OP", None, None, None],
        ),
        (OpError("odd", code="TRY_AGAIN"), ["Error", True, "odd", "TRY_AGAIN", None, None, None]),
    ]:
        script = """on('messageCreate', async () => {
            try { await rest.pinMessage({ channelId: '1', messageId: '2' }); } catch (e) {
                const known = globalThis[e.name] ?? Error;
                const typed = e instanceof known && e instanceof Error;
                const facts = [e.name, typed, e.message, e.code, e.status, e.discordCode, e.retryAfterMs];
                console.log(JSON.stringify(facts.map((fact) => fact ?? null)));
            }
        });"""
        async with guild(engine, script, {"pin_message": failure}) as bot:
            await bot.dispatch("MESSAGE_CREATE", message())
            assert json.loads(bot.host.logs[0][1]) == seen


async def test_wrong_arguments_are_named(engine: Engine) -> None:
    async with guild(engine, "on('messageCreate', () => rest.sendMessage('hello'));") as bot:
        with pytest.raises(HandlerError, match=r"Invalid input for rest\.sendMessage: it takes one object"):
            await bot.dispatch("MESSAGE_CREATE", message())


async def test_an_error_knows_where_the_script_asked(engine: Engine) -> None:
    """The answer comes from the host, long after; its stack is that of the call, over every `await`."""
    script = """
        async function inner() { await null; await rest.fetchRoles(); }
        on("messageCreate", async (ctx) => { await inner(); });
        on("messageUpdate", (ctx) => ctx.reply("a"));
    """
    refused = OpError("no", name="DiscordHttpError", code="X")
    async with guild(engine, script, {"fetch_roles": refused, "send_message": refused}) as bot:
        with pytest.raises(HandlerError) as caught:
            await bot.dispatch("MESSAGE_CREATE", message())
        stack = caught.value.fault.stack.splitlines()
        frames = [line.partition("@file:///guild/900/bundle.js")[0] for line in stack if "bundle.js" in line]
        assert frames[0] == "inner"
        assert len(frames) == 2
        with pytest.raises(HandlerError) as caught:
            await bot.dispatch("MESSAGE_UPDATE", message())
        assert "bundle.js:4:" in caught.value.fault.stack
