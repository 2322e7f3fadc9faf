"""What stands before a command, and what happens when one fails."""

from __future__ import annotations

from typing import Any

import pytest

from flora.engine.api import HandlerError, OpError, ScriptLoadError
from flora.engine.host import Engine

from .guilds import guild, interaction, message, press, slash

REFUSED = "You may not use this command."


def bot(protection: str, more: str = "") -> str:
    return f"""
        const ok = {{ run: (ctx) => ctx.reply("ok"), {protection} }};
        createBot({{ slashCommands: [{{ name: "a", description: "d", ...ok }}], {more} }});
    """


async def said(engine: Engine, script: str, *payloads: dict[str, Any]) -> list[str]:
    async with guild(engine, script) as running:
        for payload in payloads:
            await running.dispatch("INTERACTION_CREATE", payload)
        return [args["content"] for _, args in running.host.ops]


async def test_refusals_are_told_to_the_user_alone(engine: Engine) -> None:
    for protection, answer in [
        ("requiredRoles: ['55', '56']", "ok"),
        ("requiredRoles: ['56']", REFUSED),
        ("requiredPermissions: ['ManageMessages']", "ok"),
        ("requiredPermissions: ['ManageMessages', 'BanMembers']", REFUSED),
        ("requiredPermissions: 8192n", "ok"),
        ("guards: [() => true, async () => undefined]", "ok"),
        ("guards: [() => false]", REFUSED),
        ("guards: [async () => 'Not on Sundays.']", "Not on Sundays."),
    ]:
        async with guild(engine, bot(protection)) as running:
            [(_, args)] = await running.dispatch("INTERACTION_CREATE", slash("a"))
            assert args["content"] == answer
            assert args.get("ephemeral", False) is (answer != "ok")


async def test_administrators_have_every_permission(engine: Engine) -> None:
    payload = slash("a")
    payload["member"]["permissions"] = "8"
    assert await said(engine, bot("requiredPermissions: ['BanMembers']"), payload) == ["ok"]


async def test_what_protects_a_command_protects_its_subcommands(engine: Engine) -> None:
    script = """createBot({ slashCommands: [{ name: "a", description: "d", requiredRoles: ["56"],
        subcommands: [{ name: "s", description: "d", run: (ctx) => ctx.reply("ok") }] }] });"""
    assert await said(engine, script, slash("a", {"name": "s", "type": 1})) == [REFUSED]


async def test_guards_of_the_bot_stand_before_everything(engine: Engine) -> None:
    script = """createBot({
        guards: [(ctx) => `no ${ctx.msg.commandName ?? ctx.msg.content ?? ctx.customId}`],
        prefixCommands: [{ name: "p", run() {} }],
        slashCommands: [{ name: "a", description: "d", run() {} }],
        components: [{ customId: "c", run() {} }],
    });"""
    async with guild(engine, script) as running:
        await running.dispatch("INTERACTION_CREATE", slash("a"))
        await running.dispatch("INTERACTION_CREATE", press("c"))
        await running.dispatch("MESSAGE_CREATE", message("!p"))
        assert [args["content"] for _, args in running.host.ops] == ["no a", "no c", "no !p"]


class TestCooldown:
    async def test_each_user_waits_for_himself(self, engine: Engine) -> None:
        other = slash("a")
        other["member"]["user"] = {"id": "45", "username": "bo"}
        assert await said(engine, bot("cooldown: 30"), slash("a"), slash("a"), other) == [
            "ok",
            "Slow down: try again in 30 seconds.",
            "ok",
        ]

    async def test_uses_and_scope(self, engine: Engine) -> None:
        other = slash("a")
        other["member"]["user"] = {"id": "45", "username": "bo"}
        script = bot("cooldown: { seconds: 30, uses: 2, per: 'channel' }")
        elsewhere = slash("a") | {"channel_id": "21"}
        assert await said(engine, script, slash("a"), other, slash("a"), elsewhere) == [
            "ok",
            "ok",
            "Slow down: try again in 30 seconds.",
            "ok",
        ]

    async def test_it_ends(self, engine: Engine) -> None:
        script = bot("cooldown: 0.05") + "on('typingStart', () => new Promise((r) => setTimeout(r, 80)));"
        async with guild(engine, script) as running:
            await running.dispatch("INTERACTION_CREATE", slash("a"))
            await running.dispatch("TYPING_START", {"guild_id": "900"})
            [(_, args)] = await running.dispatch("INTERACTION_CREATE", slash("a"))
            assert args["content"] == "ok"

    async def test_a_refused_use_does_not_count(self, engine: Engine) -> None:
        script = "let open = false;" + bot("guards: [() => open || (open = true, 'closed')], cooldown: 30")
        assert await said(engine, script, slash("a"), slash("a")) == ["closed", "ok"]


class TestPrefixCommands:
    async def test_roles_and_aliases(self, engine: Engine) -> None:
        script = """createBot({ prefix: "?", prefixCommands: [
            { name: "roll", aliases: ["r", "dice"], requiredRoles: ["55"], run: (ctx) => ctx.reply("roll") },
            { name: "r", run: (ctx) => ctx.reply("a name wins") },
            { name: "ban", requiredRoles: ["56"], run() {} },
        ] });"""
        async with guild(engine, script) as running:
            for content in ("?roll", "?dice 5", "?r", "?ban", "!roll"):
                await running.dispatch("MESSAGE_CREATE", message(content))
            assert [args["content"] for _, args in running.host.ops] == [
                "roll",
                "roll",
                "a name wins",
                REFUSED,
            ]

    async def test_bots_are_not_obeyed(self, engine: Engine) -> None:
        script = "createBot({ commands: [{ name: 'p', run: (ctx) => ctx.reply('x') }], prefixCommands: [] });"
        async with guild(engine, script) as running:
            author = {"id": "1", "username": "robot", "bot": True}
            assert await running.dispatch("MESSAGE_CREATE", message("!p", author=author)) == []
            assert len(await running.dispatch("MESSAGE_CREATE", message("!p"))) == 1

    async def test_permissions_are_refused_since_messages_carry_none(self, engine: Engine) -> None:
        script = (
            "createBot({ prefixCommands: [{ name: 'p', requiredPermissions: ['BanMembers'], run() {} }] });"
        )
        with pytest.raises(
            ScriptLoadError, match="Discord sends no permissions with a message; use requiredRoles"
        ):
            async with guild(engine, script):
                pass


class TestErrors:
    async def test_they_go_to_the_hook(self, engine: Engine) -> None:
        script = bot(
            "run() { throw new Error('boom'); }",
            "onError: (error, ctx) => ctx.reply(`${error.message} in ${ctx.event.id}`)",
        )
        assert await said(engine, script, slash("a")) == ["boom in event-1"]

    async def test_without_a_hook_the_event_fails(self, engine: Engine) -> None:
        async with guild(engine, bot("run: async () => { throw new RangeError('boom'); }")) as running:
            with pytest.raises(HandlerError, match="RangeError: boom"):
                await running.dispatch("INTERACTION_CREATE", slash("a"))

    async def test_a_hook_that_throws_fails_the_event(self, engine: Engine) -> None:
        script = bot(
            "run() { throw new Error('boom'); }",
            "onError(error) { throw new Error('worse', { cause: error }); }",
        )
        async with guild(engine, script) as running:
            with pytest.raises(HandlerError, match="worse"):
                await running.dispatch("INTERACTION_CREATE", slash("a"))

    async def test_a_refusal_that_cannot_be_sent_goes_to_the_hook(self, engine: Engine) -> None:
        script = bot("guards: [() => false]", "onError: (error) => console.log(error.code)")
        failure = OpError("gone", name="DiscordHttpError", code="DISCORD_HTTP_ERROR")
        async with guild(engine, script, {"send_interaction_response": failure}) as running:
            await running.dispatch("INTERACTION_CREATE", slash("a"))
            assert running.host.logs == [("info", "DISCORD_HTTP_ERROR")]


class TestComponentsAndModals:
    SCRIPT = r"""createBot({
        components: [
            component({ customId: "yes", run: (ctx) => ctx.reply(`yes ${ctx.customId}`) }),
            component({
                customId: /^vote:(\d+)$/g,
                run: (ctx) => ctx.reply(`vote ${ctx.match[1]} ${ctx.values}`),
            }),
        ],
        modals: [
            modal({ customId: "m", run: (ctx) => ctx.reply(`got ${ctx.fields.words}`) }),
            modal({ customId: "shown only", title: "T", components: [] }),
        ],
    });"""

    async def test_they_are_found_by_custom_id(self, engine: Engine) -> None:
        vote = interaction(3, {"custom_id": "vote:12", "component_type": 3, "values": ["a", "b"]})
        field = {"type": 18, "component": {"type": 4, "custom_id": "words", "value": "hi"}}
        form = interaction(5, {"custom_id": "m", "components": [field]})
        assert await said(
            engine, self.SCRIPT, press("yes"), vote, vote, press("yess"), press("vote:x"), form
        ) == [
            "yes yes",
            "vote 12 a,b",
            "vote 12 a,b",
            "got hi",
        ]

    async def test_a_modal_can_be_shown_as_it_is(self, engine: Engine) -> None:
        script = """
            const components = [label("L").setComponent(inputText("i"))];
            const feedback = modal({ customId: "f", title: "Feedback", components, run() {} });
            const ask = { name: "a", description: "d", run: (ctx) => ctx.showModal(feedback) };
            createBot({ modals: [feedback], slashCommands: [ask] });
        """
        async with guild(engine, script) as running:
            [(name, args)] = await running.dispatch("INTERACTION_CREATE", slash("a"))
            assert (name, args["customId"], args["title"]) == ("show_modal", "f", "Feedback")
            assert "run" not in args
