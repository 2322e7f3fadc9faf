"""What `ctx` says, to messages and to interactions: `flora.md` 2.2 and 13.2, and where flora does better."""

from __future__ import annotations

from typing import Any

import pytest

from flora.engine.api import HandlerError, OpError
from flora.engine.host import Engine

from .guilds import guild, interaction, message, press, sent, slash

FIRST = {"interactionId": "1", "token": "tok"}


def on_message(body: str) -> str:
    return f"on('messageCreate', async (ctx) => {{ {body} }});"


def on_slash(body: str) -> str:
    return f"on('interactionCreate', async (ctx) => {{ {body} }});"


def on_press(body: str) -> str:
    return f"on('componentInteraction', async (ctx) => {{ {body} }});"


class TestToAMessage:
    async def test_a_reply_refers_to_it(self, engine: Engine) -> None:
        for body, args in [
            ("'a'", {"channelId": "20", "messageId": "10", "content": "a"}),
            ("{ content: 'b' }", {"channelId": "20", "messageId": "10", "content": "b"}),
            ("{ content: 'c', replyTo: null }", {"channelId": "20", "content": "c"}),
            ("{ content: 'd', replyTo: '77' }", {"channelId": "20", "messageId": "77", "content": "d"}),
            ("5", {"channelId": "20", "messageId": "10", "content": "5"}),
            ("{ content: 'e', reply_to: '88' }", {"channelId": "20", "messageId": "10", "content": "e"}),
            ("null", {"channelId": "20", "messageId": "10", "content": "null"}),
            (
                "{ content: 'f', flags: 4 }",
                {"channelId": "20", "messageId": "10", "content": "f", "flags": 4},
            ),
        ]:
            async with guild(engine, on_message(f"await ctx.reply({body});")) as bot:
                assert await bot.dispatch("MESSAGE_CREATE", message()) == [("send_message", args)]

    async def test_components_that_stand_alone_need_no_flag(self, engine: Engine) -> None:
        """Discord wants one of messages that are nothing but components, and refuses them without it."""
        flag, silent = 1 << 15, 1 << 12
        for body, flags in [
            ("{ components: [textDisplay('a')] }", flag),
            ("{ components: [container().addComponents(textDisplay('a'))], content: '' }", flag),
            ("{ components: [textDisplay('a')], flags: MessageFlags.SUPPRESS_NOTIFICATIONS }", flag | silent),
            ("{ components: [textDisplay('a')], flags: MessageFlags.IS_COMPONENTS_V2 }", flag),
            ("{ components: [button().setCustomId('b').setLabel('B')], content: 'x' }", None),
        ]:
            async with guild(engine, on_message(f"await ctx.reply({body});")) as bot:
                [(_, args)] = await bot.dispatch("MESSAGE_CREATE", message())
                assert args.get("flags") == flags
        for more in ("content: 'x'", "embeds: [embed()]", "poll: { question: 'q', answers: ['a'] }"):
            body = f"{{ components: [textDisplay('a')], {more} }}"
            async with guild(engine, on_message(f"await ctx.reply({body});")) as bot:
                with pytest.raises(HandlerError, match="stand alone: put the content into a textDisplay"):
                    await bot.dispatch("MESSAGE_CREATE", message())

    async def test_buttons_and_text_fields_have_a_style(self, engine: Engine) -> None:
        """The builders say what was set, as the original's do; Discord gets what it wants of each."""
        script = on_slash("""
            const link = button().setUrl('https://a.test').setLabel('L');
            await ctx.reply({ components: [button().setCustomId('b').setLabel('B'), link] });
            console.log(JSON.stringify(button().setCustomId('b')));
        """)
        async with guild(engine, script) as bot:
            [(_, args)] = await bot.dispatch("INTERACTION_CREATE", slash("x"))
            assert [row["components"][0]["style"] for row in args["components"]] == [2, 5]
            assert bot.host.logs == [("info", '{"type":2,"custom_id":"b"}')]
        fields = "[label('Name').setComponent(inputText('name'))]"
        show = f"await ctx.showModal({{ customId: 'm', title: 't', components: {fields} }});"
        async with guild(engine, on_slash(show)) as bot:
            [(_, args)] = await bot.dispatch("INTERACTION_CREATE", slash("x"))
            assert args["components"][0]["component"]["style"] == 1

    async def test_a_reply_returns_the_message_that_was_made(self, engine: Engine) -> None:
        script = on_message("const made = await ctx.reply('a'); await ctx.followUp(made.id);")
        async with guild(engine, script, {"send_message": sent}) as bot:
            ops = await bot.dispatch("MESSAGE_CREATE", message())
            assert ops[1] == ("send_message", {"channelId": "20", "content": "500"})

    async def test_edit_and_delete_concern_the_bots_own_reply(self, engine: Engine) -> None:
        script = on_message(
            "await ctx.reply('a'); await ctx.edit('b'); await ctx.delete(); await ctx.delete();"
        )
        async with guild(engine, script, {"send_message": sent}) as bot:
            assert (await bot.dispatch("MESSAGE_CREATE", message()))[1:] == [
                ("edit_message", {"channelId": "20", "messageId": "500", "content": "b"}),
                ("delete_message", {"channelId": "20", "messageId": "500"}),
                ("delete_message", {"channelId": "20", "messageId": "10"}),
            ]

    async def test_before_a_reply_they_concern_the_message(self, engine: Engine) -> None:
        async with guild(engine, on_message("await ctx.edit({ content: 'x' });")) as bot:
            assert await bot.dispatch("MESSAGE_CREATE", message()) == [
                ("edit_message", {"channelId": "20", "messageId": "10", "content": "x"})
            ]

    async def test_flags_alone_always_concern_the_message(self, engine: Engine) -> None:
        """The script of the original's authors replies first and then hides the previews of the question."""
        script = on_message("await ctx.reply('a'); await ctx.edit({ flags: MessageFlags.SUPPRESS_EMBEDS });")
        async with guild(engine, script, {"send_message": sent}) as bot:
            assert (await bot.dispatch("MESSAGE_CREATE", message()))[1] == (
                "edit_message",
                {"channelId": "20", "messageId": "10", "flags": 4},
            )

    async def test_fetch_reply_is_what_was_sent(self, engine: Engine) -> None:
        script = on_message("await ctx.reply('a'); console.log((await ctx.fetchReply()).id);")
        async with guild(engine, script, {"send_message": sent}) as bot:
            await bot.dispatch("MESSAGE_CREATE", message())
            assert bot.host.logs == [("info", "500")]

    async def test_react(self, engine: Engine) -> None:
        for emoji, given in [("🌱", "🌱"), ("<a:fern:123>", "fern:123"), ("fern:123", "fern:123")]:
            async with guild(engine, on_message(f"await ctx.react('{emoji}');")) as bot:
                assert await bot.dispatch("MESSAGE_CREATE", message()) == [
                    ("add_reaction", {"channelId": "20", "messageId": "10", "emoji": given})
                ]

    async def test_what_only_interactions_have_says_so(self, engine: Engine) -> None:
        for method in ["defer", "deferUpdate", "showModal", "respond"]:
            async with guild(engine, on_message(f"await ctx.{method}();")) as bot:
                with pytest.raises(
                    HandlerError, match=f"InvalidInputError: ctx.{method} answers interactions"
                ) as caught:
                    await bot.dispatch("MESSAGE_CREATE", message())
                assert caught.value.fault.name == "InvalidInputError"

    async def test_builders_bare_buttons_and_files_become_what_the_op_takes(self, engine: Engine) -> None:
        script = on_message("""
            await ctx.edit({ embeds: [embed().setTitle("T")] });
            await ctx.reply({
                components: [
                    button().setCustomId("a"),
                    roleSelect("r").addDefaultRole("1").addDefaultValue("2", "role"),
                    container().addComponents(["small", "large"].map((it) => separator().setSpacing(it))),
                ],
                attachments: [
                    { filename: "a.txt", text: "hi" },
                    { filename: "b.bin", data: new Uint8Array([1, 2, 255]) },
                    { base64: { filename: "c", data: "aGk=" } },
                ],
            });
        """)
        async with guild(engine, script) as bot:
            [(_, edited), (_, args)] = await bot.dispatch("MESSAGE_CREATE", message())
            defaults = [{"id": "1", "type": "role"}, {"id": "2", "type": "role"}]
            assert edited["embeds"] == [{"title": "T"}]
            assert args["components"] == [
                {"type": 1, "components": [{"type": 2, "custom_id": "a", "style": 2}]},
                {"type": 1, "components": [{"type": 6, "custom_id": "r", "default_values": defaults}]},
                {
                    "type": 17,
                    "components": [{"type": 14, "divider": True, "spacing": size} for size in (1, 2)],
                },
            ]
            assert args["attachments"] == [
                {"filename": "a.txt", "text": "hi"},
                {"filename": "b.bin", "data": "AQL/"},
                {"filename": "c", "data": "aGk="},
            ]

    async def test_a_section_without_accessory_is_refused_by_name(self, engine: Engine) -> None:
        script = on_message("await ctx.reply({ components: [container().addComponents(section())] });")
        async with guild(engine, script) as bot:
            with pytest.raises(
                HandlerError, match=r"components\[0\].accessory: the section has no accessory"
            ):
                await bot.dispatch("MESSAGE_CREATE", message())

    async def test_events_without_a_channel_say_what_to_do(self, engine: Engine) -> None:
        async with guild(engine, "on('guildRoleDelete', (ctx) => ctx.reply('a'));") as bot:
            with pytest.raises(HandlerError, match=r"use rest\.sendMessage"):
                await bot.dispatch("GUILD_ROLE_DELETE", {"guild_id": "900", "role_id": "5"})

    async def test_a_deleted_message_is_answered_without_a_reference(self, engine: Engine) -> None:
        async with guild(engine, "on('messageDelete', (ctx) => ctx.reply('gone'));") as bot:
            ops = await bot.dispatch("MESSAGE_DELETE", {"id": "10", "channel_id": "20", "guild_id": "900"})
            assert ops == [("send_message", {"channelId": "20", "content": "gone"})]


class TestToAnInteraction:
    async def test_a_reply_is_its_response(self, engine: Engine) -> None:
        cases: list[tuple[str, dict[str, Any]]] = [
            ("'a'", {"content": "a"}),
            ("{ content: 'b', ephemeral: true }", {"content": "b", "ephemeral": True}),
            ("{ content: 'c', replyTo: '5' }", {"content": "c", "replyTo": "5"}),
            ("null", {"content": "null"}),
        ]
        for body, args in cases:
            async with guild(engine, on_slash(f"await ctx.reply({body});")) as bot:
                assert await bot.dispatch("INTERACTION_CREATE", slash("x")) == [
                    ("send_interaction_response", {**FIRST, **args})
                ]

    async def test_later_replies_are_follow_ups(self, engine: Engine) -> None:
        script = on_slash(
            "await ctx.reply('a');await ctx.reply({ content: 'b', ephemeral: true });await ctx.followUp('c');"
        )
        async with guild(engine, script) as bot:
            assert (await bot.dispatch("INTERACTION_CREATE", slash("x")))[1:] == [
                ("create_followup_message", {"token": "tok", "content": "b", "flags": 64}),
                ("create_followup_message", {"token": "tok", "content": "c"}),
            ]

    async def test_after_defer_the_reply_takes_its_place(self, engine: Engine) -> None:
        script = on_slash(
            "await ctx.defer({ ephemeral: true }); await ctx.defer();"
            "await ctx.reply('a'); await ctx.reply('b');"
        )
        async with guild(engine, script) as bot:
            assert await bot.dispatch("INTERACTION_CREATE", slash("x")) == [
                ("defer_interaction_response", {**FIRST, "ephemeral": True}),
                ("edit_original_interaction_response", {"token": "tok", "content": "a"}),
                ("create_followup_message", {"token": "tok", "content": "b"}),
            ]

    async def test_edit_delete_and_fetch_concern_the_response(self, engine: Engine) -> None:
        script = on_slash(
            "await ctx.reply('a'); await ctx.edit({ content: 'b', ephemeral: true });"
            "await ctx.fetchReply(); await ctx.delete();"
        )
        async with guild(engine, script) as bot:
            assert (await bot.dispatch("INTERACTION_CREATE", slash("x")))[1:] == [
                ("edit_original_interaction_response", {"token": "tok", "content": "b"}),
                ("fetch_original_interaction_response", {"token": "tok"}),
                ("delete_original_interaction_response", {"token": "tok"}),
            ]

    async def test_edit_before_a_reply_has_nothing_to_edit(self, engine: Engine) -> None:
        async with guild(engine, on_slash("await ctx.edit('a');")) as bot:
            with pytest.raises(HandlerError, match="Message edit requires a message payload"):
                await bot.dispatch("INTERACTION_CREATE", slash("x"))

    async def test_edit_of_a_component_updates_its_message(self, engine: Engine) -> None:
        async with guild(engine, on_press("await ctx.edit('a'); await ctx.edit('b');")) as bot:
            assert await bot.dispatch("INTERACTION_CREATE", press("x")) == [
                ("update_interaction_response", {**FIRST, "content": "a"}),
                ("edit_original_interaction_response", {"token": "tok", "content": "b"}),
            ]

    async def test_defer_update_acknowledges_without_a_sign(self, engine: Engine) -> None:
        async with guild(
            engine, on_press("await ctx.deferUpdate(); await ctx.edit('a'); await ctx.reply('b');")
        ) as bot:
            assert await bot.dispatch("INTERACTION_CREATE", press("x")) == [
                ("defer_interaction_update", FIRST),
                ("edit_original_interaction_response", {"token": "tok", "content": "a"}),
                ("create_followup_message", {"token": "tok", "content": "b"}),
            ]

    async def test_react_concerns_the_message_of_the_component(self, engine: Engine) -> None:
        async with guild(engine, on_press("await ctx.react('🌱');")) as bot:
            assert await bot.dispatch("INTERACTION_CREATE", press("x")) == [
                ("add_reaction", {"channelId": "20", "messageId": "77", "emoji": "🌱"})
            ]

    async def test_a_modal_is_a_first_response(self, engine: Engine) -> None:
        script = on_slash("""
            const components = [label("L").setComponent(inputText("i"))];
            await ctx.showModal({ customId: "m", title: "T", components });
            await ctx.showModal({});
        """)
        async with guild(engine, script) as bot:
            with pytest.raises(HandlerError, match="a modal must be the first response"):
                await bot.dispatch("INTERACTION_CREATE", slash("x"))
            components = [{"type": 18, "label": "L", "component": {"type": 4, "custom_id": "i", "style": 1}}]
            assert bot.host.ops == [
                ("show_modal", {**FIRST, "customId": "m", "title": "T", "components": components})
            ]

    async def test_choices_are_at_most_25(self, engine: Engine) -> None:
        script = "on('autocomplete', (ctx) => ctx.respond(Array.from({ length: 30 }, (_, i) => i)));"
        async with guild(engine, script) as bot:
            [(name, args)] = await bot.dispatch(
                "INTERACTION_CREATE", interaction(4, {"name": "x", "options": []})
            )
            assert name == "send_autocomplete_response"
            assert len(args["choices"]) == 25
            assert args["choices"][0] == {"name": "0", "value": 0}

    async def test_a_second_handler_knows_that_the_first_has_answered(self, engine: Engine) -> None:
        async with guild(
            engine, on_slash("await ctx.reply('a');") + on_slash("await ctx.reply('b');")
        ) as bot:
            names = [name for name, _ in await bot.dispatch("INTERACTION_CREATE", slash("x"))]
            assert names == ["send_interaction_response", "create_followup_message"]

    async def test_a_refused_reply_leaves_the_interaction_open(self, engine: Engine) -> None:
        refusals = iter([OpError("no", name="InvalidInputError", code="INVALID_INPUT"), None])
        script = on_slash("try { await ctx.reply('a'); } catch { await ctx.reply('b'); }")
        async with guild(engine, script, {"send_interaction_response": lambda _: next(refusals)}) as bot:
            names = [name for name, _ in await bot.dispatch("INTERACTION_CREATE", slash("x"))]
            assert names == ["send_interaction_response"] * 2


class TestWithoutAwait:
    async def test_replies_keep_their_order(self, engine: Engine) -> None:
        script = on_slash("ctx.reply('a'); ctx.reply('b'); await ctx.edit('c');")
        async with guild(engine, script) as bot:
            names = [name for name, _ in await bot.dispatch("INTERACTION_CREATE", slash("x"))]
            assert names == [
                "send_interaction_response",
                "create_followup_message",
                "edit_original_interaction_response",
            ]

    async def test_a_failed_reply_is_an_unhandled_rejection(self, engine: Engine) -> None:
        failure = OpError("Missing Permissions", name="DiscordHttpError", code="DISCORD_HTTP_ERROR")
        async with guild(engine, on_message("ctx.reply('a');"), {"send_message": failure}) as bot:
            await bot.dispatch("MESSAGE_CREATE", message())
            assert (await bot.fault()).message == "Missing Permissions"

    async def test_methods_may_be_taken_out_of_the_context(self, engine: Engine) -> None:
        async with guild(engine, "on('messageCreate', ({ reply }) => reply('a'));") as bot:
            assert len(await bot.dispatch("MESSAGE_CREATE", message())) == 1
