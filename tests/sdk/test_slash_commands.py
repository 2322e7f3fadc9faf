"""Slash commands of `createBot`: routing, and what the host is told to register."""

from __future__ import annotations

from typing import Any

import pytest

from flora.engine.api import ScriptLoadError
from flora.engine.host import Engine
from tests import openapi

from .guilds import GUILD, guild, interaction, slash, values

ANSWER = "run: (ctx) => ctx.reply(`NAME ${JSON.stringify(ctx.options)}`)"


def bot(commands: str, more: str = "") -> str:
    return f"createBot({{ slashCommands: [{commands}] {more} }});"


def command(name: str, more: str = "", answer: str = ANSWER) -> str:
    return f"{{ name: '{name}', description: 'd', {more} {answer.replace('NAME', name)} }}"


async def answers(engine: Engine, script: str, *payloads: dict[str, Any]) -> list[str]:
    async with guild(engine, script) as running:
        for payload in payloads:
            await running.dispatch("INTERACTION_CREATE", payload)
        return [args["content"] for name, args in running.host.ops if name == "send_interaction_response"]


class TestRouting:
    async def test_options_come_by_name_and_the_reply_is_the_response(self, engine: Engine) -> None:
        """Case K1."""
        script = bot(
            "{ name: 'ping', description: 'd', run: (ctx) => "
            "ctx.reply({ content: ctx.msg.commandName + JSON.stringify(ctx.options), ephemeral: true }) }"
        )
        payload = slash(
            "ping", {"name": "text", "type": 3, "value": "hello"}, {"name": "count", "type": 4, "value": 2}
        )
        async with guild(engine, script) as running:
            [(name, args)] = await running.dispatch("INTERACTION_CREATE", payload)
            assert (name, args["content"]) == ("send_interaction_response", 'ping{"text":"hello","count":2}')
            assert args["ephemeral"] is True

    async def test_an_unknown_command_runs_nothing(self, engine: Engine) -> None:
        assert await answers(engine, bot(command("a")), slash("b")) == []

    async def test_users_come_as_ids(self, engine: Engine) -> None:
        payload = slash("a", {"name": "u", "type": 6, "value": "42"})
        assert await answers(engine, bot(command("a")), payload) == ['a {"u":"42"}']

    async def test_subcommands_and_groups(self, engine: Engine) -> None:
        inner = command("g", answer=ANSWER.replace("NAME", "inner"))
        group = f"{{ name: 'grp', description: 'd', subcommands: [{inner}] }}"
        subs = f"subcommands: [{command('g')}, {command('h')}], groups: [{group}]"
        script = bot(f"{{ name: 'top', description: 'd', {subs} }}")
        option = {"name": "k", "type": 3, "value": "v"}
        sub = {"name": "g", "type": 1, "options": [option]}
        assert await answers(
            engine,
            script,
            slash("top", sub),
            slash("top", {"name": "h", "type": 1}),
            slash("top", {"name": "grp", "type": 2, "options": [sub]}),
            slash("top", {"name": "zzz", "type": 1}),
            slash("top"),
        ) == ['g {"k":"v"}', "h {}", 'inner {"k":"v"}']

    async def test_context_menus_have_a_target(self, engine: Engine) -> None:
        script = """createBot({
            contextMenus: [
                {
                    type: "user",
                    name: "Look",
                    run: ({ target, reply }) => reply(`${target.user.username} ${target.member.roles}`),
                },
                { type: "message", name: "Look", run: (ctx) => ctx.reply(ctx.target.content) },
            ],
        });"""
        user = {"type": 2, "name": "Look", "target_id": "44"}
        user["resolved"] = {
            "users": {"44": {"id": "44", "username": "ann"}},
            "members": {"44": {"roles": ["55"]}},
        }
        message = {"type": 3, "name": "Look", "target_id": "7"}
        message["resolved"] = {"messages": {"7": {"id": "7", "content": "hi"}}}
        assert await answers(engine, script, interaction(2, user), interaction(2, message)) == [
            "ann 55",
            "hi",
        ]

    async def test_autocomplete_asks_the_option(self, engine: Engine) -> None:
        script = """
            const tags = ["rose", "fern"];
            const autocomplete = (ctx) => tags.filter((tag) => tag.startsWith(ctx.focused.value));
            const options = [{ name: "tag", description: "d", autocomplete }];
            const view = { name: "view", description: "d", options, run() {} };
            createBot({ slashCommands: [{ name: "tag", description: "d", subcommands: [view] }] });
        """
        focused = {"name": "tag", "type": 3, "value": "f", "focused": True}
        payload = interaction(
            4, {"name": "tag", "options": [{"name": "view", "type": 1, "options": [focused]}]}
        )
        async with guild(engine, script) as running:
            choices = [{"name": "fern", "value": "fern"}]
            assert await running.dispatch("INTERACTION_CREATE", payload) == [
                ("send_autocomplete_response", {"interactionId": "1", "token": "tok", "choices": choices})
            ]

    async def test_handle_subcommand_for_scripts_that_route_by_themselves(self, engine: Engine) -> None:
        script = f"""
            const top = {{ name: 'top', description: 'd', subcommands: [{command("g")}] }};
            on('interactionCreate', (ctx) => {{
                console.log(getSubcommand(ctx), getSubcommandGroup(ctx));
                return handleSubcommand(ctx, top);
            }});
        """
        async with guild(engine, script) as running:
            sub = {"name": "g", "type": 1}
            assert len(await running.dispatch("INTERACTION_CREATE", slash("top", sub))) == 1
            await running.dispatch(
                "INTERACTION_CREATE", slash("top", {"name": "grp", "type": 2, "options": [sub]})
            )
            assert running.host.logs == [("info", "g undefined"), ("info", "g grp")]


class TestRegistration:
    async def test_the_manifest_carries_discords_json(self, engine: Engine) -> None:
        script = bot("""
            { name: 'a', description: 'd', options: [{ name: 'text', description: 't' }], run() {} },
            {
                name: 'b', description: 'd', nsfw: true, contexts: ['guild'], nameLocalizations: { de: 'be' },
                defaultMemberPermissions: ['KickMembers', 'BanMembers'], requiredPermissions: 'KickMembers',
                cooldown: 5, guards: [() => true],
                subcommands: [{ name: 's', description: 'd', run() {}, options: [
                  { name: 'n', type: 'integer', required: true, description: 'd', minValue: 1, maxValue: 5 },
                    { name: 'c', description: 'd', type: 'channel', channelTypes: ['text', 15] },
                    { name: 'x', description: 'd', choices: ['red', { name: 'Blue', value: 'blue' }] },
                    { name: 'y', description: 'd', minLength: 1, autocomplete: () => [] },
                ] }],
                groups: [
                    { name: 'g', description: 'd', subcommands: [{ name: 't', description: 'd', run() {} }] },
                ],
            },
        """)
        async with guild(engine, script) as running:
            assert running.manifest.listens == {"INTERACTION_CREATE"}
            assert running.commands == [
                {
                    "type": 1,
                    "name": "a",
                    "description": "d",
                    "options": [{"type": 3, "name": "text", "description": "t"}],
                },
                {
                    "type": 1,
                    "name": "b",
                    "name_localizations": {"de": "be"},
                    "description": "d",
                    "default_member_permissions": "6",
                    "nsfw": True,
                    "contexts": [0],
                    "options": [
                        {
                            "type": 2,
                            "name": "g",
                            "description": "d",
                            "options": [{"type": 1, "name": "t", "description": "d"}],
                        },
                        {
                            "type": 1,
                            "name": "s",
                            "description": "d",
                            "options": [
                                {
                                    "type": 4,
                                    "name": "n",
                                    "description": "d",
                                    "required": True,
                                    "min_value": 1,
                                    "max_value": 5,
                                },
                                {"type": 7, "name": "c", "description": "d", "channel_types": [0, 15]},
                                {
                                    "type": 3,
                                    "name": "x",
                                    "description": "d",
                                    "choices": [
                                        {"name": "red", "value": "red"},
                                        {"name": "Blue", "value": "blue"},
                                    ],
                                },
                                {
                                    "type": 3,
                                    "name": "y",
                                    "description": "d",
                                    "min_length": 1,
                                    "autocomplete": True,
                                },
                            ],
                        },
                    ],
                },
            ]

    async def test_every_text_has_its_languages(self, engine: Engine) -> None:
        """Of commands, groups, subcommands, options, choices and context menus; under Discord's names too."""
        texts = "nameLocalizations: { de: 'wort', 'pt-BR': null }, descriptionLocalizations: { fr: 'Mot' },"
        choice = "{ name: 'Red', value: 'r', nameLocalizations: { de: 'Rot' } }"
        option = f"{{ name: 'o', description: 'd', {texts} choices: [{choice}] }}"
        snake_case = "name_localizations: { ja: 'ぴ' }, description_localizations: null"
        snake = f"{{ name: 'p', description: 'd', {snake_case} }}"
        inner = f"{{ name: 's', description: 'd', {texts} options: [{option}, {snake}], run() {{}} }}"
        group = f"{{ name: 'g', description: 'd', {texts} subcommands: [{inner}] }}"
        script = f"""createBot({{
            slashCommands: [{{ name: 'c', description: 'd', {texts} groups: [{group}] }}],
            contextMenus: [
                {{ type: 'user', name: 'Look', nameLocalizations: {{ de: 'Schau hin!' }}, run() {{}} }},
            ],
        }});"""
        done = {
            "name_localizations": {"de": "wort"},
            "description": "d",
            "description_localizations": {"fr": "Mot"},
        }
        red = {"name": "Red", "value": "r", "name_localizations": {"de": "Rot"}}
        with_choice = {"type": 3, "name": "o", **done, "choices": [red]}
        other = {
            "type": 3,
            "name": "p",
            "description": "d",
            "name_localizations": {"ja": "ぴ"},
            "description_localizations": None,
        }
        sub = {"type": 1, "name": "s", **done, "options": [with_choice, other]}
        async with guild(engine, script) as running:
            assert running.commands == [
                {
                    "type": 1,
                    "name": "c",
                    **done,
                    "options": [{"type": 2, "name": "g", **done, "options": [sub]}],
                },
                {"type": 2, "name": "Look", "name_localizations": {"de": "Schau hin!"}},
            ]
            path = f"/applications/10/guilds/{GUILD}/commands"
            assert openapi.check_request("PUT", path, running.commands) == []

    async def test_suggestions_have_their_languages_too(self, engine: Engine) -> None:
        script = """
            const autocomplete = () => [{ name: "fern", value: "f", nameLocalizations: { de: "Farn" } }];
            const options = [{ name: "tag", description: "d", autocomplete }];
            createBot({ slashCommands: [{ name: "tag", description: "d", options, run() {} }] });
        """
        focused = {"name": "tag", "type": 3, "value": "f", "focused": True}
        async with guild(engine, script) as running:
            [(_, args)] = await running.dispatch(
                "INTERACTION_CREATE", interaction(4, {"name": "tag", "options": [focused]})
            )
            assert args["choices"] == [{"name": "fern", "value": "f", "nameLocalizations": {"de": "Farn"}}]

    async def test_every_option_type(self, engine: Engine) -> None:
        types = [
            "string",
            "integer",
            "boolean",
            "user",
            "channel",
            "role",
            "mentionable",
            "number",
            "attachment",
        ]
        options = ", ".join(f"{{ name: '{name}', description: 'd', type: '{name}' }}" for name in types)
        async with guild(engine, bot(command("a", f"options: [{options}],"))) as running:
            registered = {option["name"]: option["type"] for option in running.commands[0]["options"]}
            assert registered == {name: number for number, name in enumerate(types, start=3)}

    async def test_context_menus_are_registered_by_their_type(self, engine: Engine) -> None:
        script = """
            const look = { name: "Look At", run() {} };
            createBot({ contextMenus: [{ type: "user", ...look }, { type: "message", ...look }] });
        """
        async with guild(engine, script) as running:
            assert running.commands == [{"type": 2, "name": "Look At"}, {"type": 3, "name": "Look At"}]

    async def test_an_empty_list_is_declared_and_no_list_is_not(self, engine: Engine) -> None:
        async with guild(engine, "createBot({ slashCommands: [] });") as running:
            assert running.commands == []
        async with guild(engine, "createBot({ prefixCommands: [] });") as running:
            assert running.commands is None

    async def test_register_slash_commands_takes_both_ways_of_writing(self, engine: Engine) -> None:
        script = """
            registerSlashCommands([{ name: 'old', description: 'd' }]);
            const sub = { name: 's', description: 'd', run() {} };
            const ours = flattenCommands([{ name: 'a', description: 'd', subcommands: [sub] }]);
            const option = { name: 'o', description: 'd', type: 4, min_value: 2 };
            await registerSlashCommands([...ours, { name: 'b', description: 'd', options: [option] }]);
        """
        async with guild(engine, script) as running:
            assert running.commands == [
                {
                    "type": 1,
                    "name": "a",
                    "description": "d",
                    "options": [{"type": 1, "name": "s", "description": "d"}],
                },
                {
                    "type": 1,
                    "name": "b",
                    "description": "d",
                    "options": [{"type": 4, "name": "o", "description": "d", "min_value": 2}],
                },
            ]

    async def test_flatten_commands(self, engine: Engine) -> None:
        """Case K2: what is undefined stays so."""
        [plain, nested] = await values(
            engine,
            [
                "flattenCommands([{ name: 'a', options: [{ name: 'o', description: 'd' }], run() {} }])",
                "flattenCommands([{ name: 'a', subcommands: [{ name: 's', options: [], run() {} }] }])",
            ],
        )
        assert plain == [{"name": "a", "options": [{"name": "o", "description": "d"}]}]
        assert nested == [{"name": "a", "options": [{"name": "s", "type": "subcommand", "options": []}]}]

    async def test_a_second_bot_is_ignored_and_logged(self, engine: Engine) -> None:
        """Case K3."""
        first = f"prefixCommands: [{{ name: 'p', run() {{}} }}], slashCommands: [{command('a')}]"
        second = f"slashCommands: [{command('b')}], components: [{{ customId: 'x', run() {{}} }}]"
        script = f"createBot({{ {first} }}); createBot({{ {second} }});"
        async with guild(engine, script) as running:
            assert running.manifest.listens == {"MESSAGE_CREATE", "INTERACTION_CREATE"}
            assert [each["name"] for each in running.commands] == ["a"]
            assert running.host.logs == [
                ("info", "[flora/sdk] createBot called multiple times; skipping duplicate registration")
            ]
            assert len(await running.dispatch("INTERACTION_CREATE", slash("a"))) == 1

    async def test_what_discord_would_refuse_fails_the_deployment(self, engine: Engine) -> None:
        for commands, complaint in [
            (command("Upper"), 'command "Upper": a name has 1 to 32 letters'),
            ("{ name: 'a', run() {} }", 'command "a".description: text of 1 to 100 characters is needed'),
            (command("a") + "," + command("a"), 'command "a": there are two of this name'),
            (
                command("a", "options: [{ name: 'o', description: 'd', type: 'usr' }],"),
                '"usr" is unknown; use one of subcommand, ',
            ),
            (
                command(
                    "a",
                    "options: [{ name: 'o', description: 'd' },"
                    " { name: 'r', description: 'd', required: true }],",
                ),
                'the required option "r" must come before the optional "o"',
            ),
            (
                command(
                    "a", "options: [{ name: 'o', description: 'd', choices: ['x'], autocomplete: () => [] }],"
                ),
                "it cannot have both choices and autocomplete",
            ),
            (
                command(
                    "a",
                    "options: [{ name: 'o', description: 'd', type: 'integer', minValue: 5, maxValue: 1 }],",
                ),
                "minValue 5 is greater than maxValue 1",
            ),
            (command("a", "defaultMemberPermissions: ['Fly'],"), '"Fly" is no permission'),
            (
                command(
                    "a",
                    "options: Array.from({ length: 26 }, (_, i) => ({ name: `o${i}`, description: 'd' })),",
                ),
                "at most 25",
            ),
            (
                "{ name: 'a', description: 'd', subcommands: [{ name: 's', description: 'd' }] }",
                "it needs a function `run`",
            ),
            (
                command("a", "nameLocalizations: { en: 'b' },"),
                '"en" is none of Discord\'s languages; use en-GB or en-US',
            ),
            (
                command("a", "nameLocalizations: { de: 'Groß' },"),
                'command "a".nameLocalizations.de: a name has 1 to 32',
            ),
            (command("a", "descriptionLocalizations: 'x',"), "texts by language are needed"),
            (
                command(
                    "a",
                    "options: [{ name: 'o', description: 'd', descriptionLocalizations: { 'de-DE': 'x' } }],",
                ),
                'option "o".descriptionLocalizations: "de-DE" is none of Discord\'s languages; use de',
            ),
            (
                command(
                    "a",
                    "options: [{ name: 'o', description: 'd',"
                    " choices: [{ name: 'r', value: 1, nameLocalizations: { de: '' } }] }],",
                ),
                'choice "r".nameLocalizations.de: text of 1 to 100 characters',
            ),
            (command("a", "cooldown: -1,"), "cooldown: a number of seconds above 0 is needed"),
        ]:
            with pytest.raises(ScriptLoadError) as caught:
                async with guild(engine, bot(commands)):
                    pass
            assert caught.value.fault.name == "InvalidInputError"
            assert complaint in caught.value.fault.message
