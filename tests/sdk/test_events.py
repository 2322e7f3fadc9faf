"""Events: names, payloads (`flora.md` 2.4), and the way through a script's handlers."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flora.engine.api import HandlerError
from flora.engine.host import Engine

from .guilds import GUILD, guild, interaction, message, press, slash

ANN = {
    "id": "44",
    "username": "ann",
    "discriminator": None,
    "bot": False,
    "globalName": "Ann",
    "avatar": None,
}
MEMBER = {
    "nick": None,
    "avatar": None,
    "roles": ["55"],
    "joinedAt": "2024-01-01T00:00:00+00:00",
    "premiumSince": None,
    "deaf": False,
    "mute": False,
    "flags": 0,
    "pending": False,
    "permissions": None,
    "communicationDisabledUntil": None,
}

OTHERS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "messageDelete",
        "MESSAGE_DELETE",
        {"id": "1", "channel_id": "2"},
        {"id": "1", "channelId": "2", "guildId": None},
    ),
    (
        "messageDeleteBulk",
        "MESSAGE_DELETE_BULK",
        {"ids": ["1", "2"], "channel_id": "2", "guild_id": "3"},
        {"ids": ["1", "2"], "channelId": "2", "guildId": "3"},
    ),
    (
        "reactionAdd",
        "MESSAGE_REACTION_ADD",
        {
            "user_id": "44",
            "channel_id": "22",
            "message_id": "11",
            "guild_id": "33",
            "emoji": {"name": "thumb"},
        },
        {
            "userId": "44",
            "channelId": "22",
            "messageId": "11",
            "guildId": "33",
            "emoji": {"name": "thumb"},
        }
        | {"burst": False, "member": None},
    ),
    (
        "reactionRemoveEmoji",
        "MESSAGE_REACTION_REMOVE_EMOJI",
        {
            "channel_id": "22",
            "message_id": "11",
            "guild_id": "33",
            "emoji": {"id": None, "name": "x"},
        },
        {
            "userId": None,
            "channelId": "22",
            "messageId": "11",
            "guildId": "33",
            "emoji": {"id": None, "name": "x"},
        }
        | {"burst": False, "member": None},
    ),
    (
        "reactionRemoveAll",
        "MESSAGE_REACTION_REMOVE_ALL",
        {"channel_id": "22", "message_id": "11", "guild_id": "33"},
        {"channelId": "22", "messageId": "11", "guildId": "33"},
    ),
    (
        "guildMemberRemove",
        "GUILD_MEMBER_REMOVE",
        {"guild_id": "33", "user": {"id": "44", "username": "ann", "global_name": "Ann"}},
        {"guildId": "33", "user": ANN},
    ),
    (
        "channelPinsUpdate",
        "CHANNEL_PINS_UPDATE",
        {"channel_id": "1", "last_pin_timestamp": None},
        {"channelId": "1", "lastPinTimestamp": None},
    ),
    (
        "ready",
        "READY",
        {
            "v": 10,
            "user": {"id": "44", "username": "ann", "global_name": "Ann"},
            "guilds": [{"id": "1"}],
        },
        {"user": ANN, "guildIds": []},
    ),
    ("thingHappened", "THING_HAPPENED", {"a_b": [{"c_d": 1}]}, {"aB": [{"cD": 1}]}),
]


async def seen(
    engine: Engine, event: str, dispatch: str, payload: dict[str, Any], what: str = "ctx.msg"
) -> Any:
    """What a handler of `event` sees of a dispatch; None when it does not run."""
    script = f"on('{event}', (ctx) => console.log(JSON.stringify({what}) ?? 'undefined'));"
    async with guild(engine, script) as bot:
        await bot.dispatch(dispatch, payload)
        return json.loads(bot.host.logs[0][1]) if bot.host.logs else None


class TestPayloads:
    async def test_message_create(self, engine: Engine) -> None:
        assert await seen(engine, "messageCreate", "MESSAGE_CREATE", message("!ping a")) == {
            "id": "10",
            "channelId": "20",
            "guildId": GUILD,
            "content": "!ping a",
            "author": ANN,
            "member": {**MEMBER, "user": ANN},
        }

    async def test_what_discord_has_beyond_the_documented_fields_is_there(self, engine: Engine) -> None:
        more = {
            "mention_roles": ["5"],
            "attachments": [{"id": "1", "content_type": "image/png"}],
            "embeds": [{"footer": {"text": "f", "icon_url": "u"}}],
            "components": [{"type": 1, "components": [{"type": 2, "custom_id": "a"}]}],
            "mentions": [{"id": "3", "username": "bo", "discriminator": "1234", "bot": True}],
            "invented_tomorrow": {"some_field": 1},
        }
        msg = await seen(engine, "messageCreate", "MESSAGE_CREATE", message("x", **more))
        assert msg["mentionRoles"] == ["5"]
        assert msg["attachments"] == [{"id": "1", "contentType": "image/png"}]
        assert msg["embeds"] == [{"footer": {"text": "f", "iconUrl": "u"}}]
        assert msg["components"] == more["components"]  # so that they can be sent again
        assert msg["mentions"][0] | {"globalName": None} == {
            "id": "3",
            "username": "bo",
            "discriminator": 1234,
            "bot": True,
            "globalName": None,
            "avatar": None,
        }
        assert msg["inventedTomorrow"] == {"someField": 1}

    async def test_a_webhooks_message_has_no_member(self, engine: Engine) -> None:
        payload = message("x", webhook_id="7")
        del payload["member"]
        assert (await seen(engine, "messageCreate", "MESSAGE_CREATE", payload))["member"] is None

    async def test_message_update_has_the_new_message_and_no_old_one(self, engine: Engine) -> None:
        payload = message("b", edited_timestamp="2024-01-02T00:00:00+00:00")
        msg = await seen(engine, "messageUpdate", "MESSAGE_UPDATE", payload)
        assert msg["content"] == "b"
        assert msg["editedTimestamp"] == "2024-01-02T00:00:00+00:00"
        assert msg["old"] is None
        assert msg["new"]["content"] == "b"
        assert msg["new"]["author"] == ANN

    async def test_others(self, engine: Engine) -> None:
        for event, dispatch, payload, msg in OTHERS:
            assert await seen(engine, event, dispatch, payload) == msg

    async def test_guild_member_add(self, engine: Engine) -> None:
        payload = {
            "guild_id": GUILD,
            "user": message()["author"],
            "roles": ["55"],
            "joined_at": MEMBER["joinedAt"],
        }
        assert await seen(engine, "guildMemberAdd", "GUILD_MEMBER_ADD", payload) == {
            **MEMBER,
            "deaf": None,
            "mute": None,
            "user": ANN,
            "guildId": GUILD,
        }

    async def test_interaction_create(self, engine: Engine) -> None:
        payload = slash("hello", {"name": "name", "type": 3, "value": "Bo"})
        user = {**ANN, "globalName": None}
        assert await seen(engine, "interactionCreate", "INTERACTION_CREATE", payload) == {
            "interactionId": "1",
            "interactionToken": "tok",
            "applicationId": "2",
            "guildId": GUILD,
            "channelId": "20",
            "user": user,
            "member": {**MEMBER, "user": user, "permissions": "8192"},
            "commandName": "hello",
            "data": payload["data"],
            "locale": "en-US",
            "guildLocale": "en-US",
            "message": None,
            "appPermissions": "8",
            "type": 2,
            "version": 1,
        }

    async def test_a_components_message(self, engine: Engine) -> None:
        msg = await seen(engine, "componentInteraction", "INTERACTION_CREATE", press("x"))
        assert (msg["messageId"], msg["message"]["content"]) == ("77", "press me")
        assert msg["data"] == {"custom_id": "x", "component_type": 2}

    async def test_a_modal_that_was_opened_by_a_command_has_no_message(self, engine: Engine) -> None:
        payload = interaction(5, {"custom_id": "m", "components": []})
        assert (await seen(engine, "modalSubmit", "INTERACTION_CREATE", payload))["messageId"] is None

    async def test_interactions_are_told_apart(self, engine: Engine) -> None:
        for type_, event in [
            (2, "interactionCreate"),
            (3, "componentInteraction"),
            (4, "autocomplete"),
            (5, "modalSubmit"),
            (99, "interactionCreate"),
            (1, None),
        ]:
            script = "\n".join(
                f"on('{name}', () => console.log('{name}'));"
                for name in ("interactionCreate", "componentInteraction", "autocomplete", "modalSubmit")
            )
            async with guild(engine, script) as bot:
                assert bot.manifest.listens == {"INTERACTION_CREATE"}
                await bot.dispatch("INTERACTION_CREATE", interaction(type_, {}))
                assert [text for _, text in bot.host.logs] == ([] if event is None else [event])


class TestContexts:
    async def test_raw_is_what_discord_sent(self, engine: Engine) -> None:
        payload = message("x", some_new_thing=[1])
        assert await seen(engine, "messageCreate", "MESSAGE_CREATE", payload, "ctx.raw") == payload

    async def test_event_names_the_delivery(self, engine: Engine) -> None:
        async with guild(
            engine, "on('messageCreate', (ctx) => console.log(JSON.stringify(ctx.event)));"
        ) as bot:
            await bot.dispatch("MESSAGE_CREATE", message(), attempt=2)
            assert json.loads(bot.host.logs[0][1]) == {"id": "event-1", "attempt": 2}

    async def test_options_are_flat(self, engine: Engine) -> None:
        nested = {
            "name": "g",
            "type": 2,
            "options": [{"name": "s", "type": 1, "options": [{"name": "k", "type": 3, "value": "v"}]}],
        }
        assert await seen(
            engine, "interactionCreate", "INTERACTION_CREATE", slash("x", nested), "ctx.options"
        ) == {"k": "v"}

    async def test_resolved_references_are_found_by_id(self, engine: Engine) -> None:
        data = {
            "name": "x",
            "options": [{"name": "who", "type": 6, "value": "44"}],
            "resolved": {
                "users": {"44": message()["author"]},
                "members": {"44": {"roles": ["55"]}},
                "roles": {"5": {"unicode_emoji": "x"}},
            },
        }
        resolved = await seen(
            engine, "interactionCreate", "INTERACTION_CREATE", interaction(2, data), "ctx.resolved"
        )
        assert resolved["users"] == {"44": ANN}
        assert resolved["members"]["44"]["user"] == ANN
        assert resolved["roles"] == {"5": {"unicodeEmoji": "x"}}

    async def test_fields_of_a_modal(self, engine: Engine) -> None:
        components = [
            {"type": 1, "components": [{"type": 4, "custom_id": "old", "value": "a"}]},
            {"type": 18, "component": {"type": 4, "custom_id": "text", "value": "b"}},
            {"type": 18, "component": {"type": 3, "custom_id": "chosen", "values": ["c", "d"]}},
        ]
        payload = interaction(5, {"custom_id": "m", "components": components})
        fields = await seen(engine, "modalSubmit", "INTERACTION_CREATE", payload, "ctx.fields")
        assert fields == {"old": "a", "text": "b", "chosen": ["c", "d"]}


class TestHandlers:
    async def test_they_run_one_after_another_in_the_order_of_registration(self, engine: Engine) -> None:
        script = """
            on('messageCreate', async () => {
                await new Promise((resolve) => setTimeout(resolve, 20));
                console.log('first');
            });
            on('messageCreate', () => console.log('second'));
        """
        async with guild(engine, script) as bot:
            await bot.dispatch("MESSAGE_CREATE", message())
            assert [text for _, text in bot.host.logs] == ["first", "second"]

    async def test_one_that_throws_does_not_keep_the_others_from_running(self, engine: Engine) -> None:
        """Better than the original, where the first error aborts the rest (13.2)."""
        script = """
            on('messageCreate', () => { throw new Error('one'); });
            on('messageCreate', async () => { throw new TypeError('two'); });
            on('messageCreate', (ctx) => ctx.reply('three'));
        """
        async with guild(engine, script) as bot:
            with pytest.raises(HandlerError, match="Error: one"):
                await bot.dispatch("MESSAGE_CREATE", message())
            assert [args["content"] for _, args in bot.host.ops] == ["three"]
            assert [(level, text.splitlines()[0]) for level, text in bot.host.logs] == [
                ("error", "another handler of messageCreate failed too: TypeError: two")
            ]

    async def test_each_gets_a_fresh_context(self, engine: Engine) -> None:
        script = """
            on('messageCreate', (ctx) => { ctx.mine = 1; });
            on('messageCreate', (ctx) => console.log(String(ctx.mine)));
        """
        async with guild(engine, script) as bot:
            await bot.dispatch("MESSAGE_CREATE", message())
            assert bot.host.logs == [("info", "undefined")]

    async def test_a_script_declares_what_it_listens_to(self, engine: Engine) -> None:
        script = """
            on('messageCreate', () => {});
            await null;
            once('reactionAdd', () => {});
            on('voiceStateUpdate', () => {});
            on('guildBirthday', () => {});
        """
        async with guild(engine, script) as bot:
            assert bot.manifest.listens == {
                "MESSAGE_CREATE",
                "MESSAGE_REACTION_ADD",
                "VOICE_STATE_UPDATE",
                "GUILD_BIRTHDAY",
            }
            assert bot.manifest.commands is None

    async def test_discords_own_names_work_too(self, engine: Engine) -> None:
        script = """
            on('MESSAGE_REACTION_ADD', () => console.log('a'));
            on('messageReactionAdd', () => console.log('b'));
        """
        async with guild(engine, script) as bot:
            assert bot.manifest.listens == {"MESSAGE_REACTION_ADD"}
            await bot.dispatch("MESSAGE_REACTION_ADD", {"emoji": {"name": "x"}})
            assert [text for _, text in bot.host.logs] == ["a", "b"]

    async def test_once_is_once_and_is_declared(self, engine: Engine) -> None:
        async with guild(engine, "once('messageCreate', (ctx) => console.log(ctx.msg.content));") as bot:
            await bot.dispatch("MESSAGE_CREATE", message("a"))
            assert (await bot.declaration()).listens == frozenset()
            await bot.dispatch("MESSAGE_CREATE", message("b"))
            assert bot.host.logs == [("info", "a")]

    async def test_off_takes_a_handler_out(self, engine: Engine) -> None:
        script = """
            const a = () => console.log('a');
            on('messageCreate', () => {
                off('messageCreate', a);
                on('typingStart', () => {});
                console.log('b');
            });
            on('messageCreate', a);
        """
        async with guild(engine, script) as bot:
            await bot.dispatch("MESSAGE_CREATE", message())
            assert [text for _, text in bot.host.logs] == ["b"]
            assert (await bot.declaration()).listens == {"MESSAGE_CREATE", "TYPING_START"}

    async def test_changes_made_in_one_go_are_declared_once(self, engine: Engine) -> None:
        script = """
            on('messageCreate', () => {
                for (const event of ['typingStart', 'inviteCreate']) on(event, () => {});
            });
        """
        async with guild(engine, script) as bot:
            await bot.dispatch("MESSAGE_CREATE", message())
            assert (await bot.declaration()).listens == {"MESSAGE_CREATE", "TYPING_START", "INVITE_CREATE"}
            await trio.sleep(0.05)
            assert bot.host.declarations == []

    async def test_wrong_arguments_are_errors_where_they_are_made(self, engine: Engine) -> None:
        for call in ["on('messageCreate')", "on('', () => {})", "once('ready', 5)"]:
            async with guild(engine, f"try {{ {call} }} catch (e) {{ console.log(e.name, e.code) }}") as bot:
                assert bot.host.logs == [("info", "InvalidInputError INVALID_INPUT")]


# Names under which the SDK looks for something, so that it finds the wrong thing there.
KEYS = [
    *("user", "member", "author", "message", "mentions", "data", "resolved", "users", "members", "messages"),
    *("options", "components", "component", "emoji", "roles", "id", "type", "discriminator", "a_b", "embeds"),
    *("referenced_message", "target_id", "custom_id", "values", "name", "guild_id", "channel_id"),
]
WRONG: list[Any] = [None, 5, "x", [], [None], {"x": None}, {"users": None, "members": {"1": None}}]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=20,
)
DISPATCHES = {
    "MESSAGE_CREATE": ["messageCreate"],
    "MESSAGE_UPDATE": ["messageUpdate"],
    "MESSAGE_DELETE_BULK": ["messageDeleteBulk"],
    "MESSAGE_REACTION_ADD": ["reactionAdd"],
    "INTERACTION_CREATE": ["interactionCreate", "componentInteraction", "modalSubmit", "autocomplete"],
    "GUILD_MEMBER_ADD": ["guildMemberAdd"],
    "VOICE_STATE_UPDATE": ["voiceStateUpdate"],
    "READY": ["ready"],
    "X": ["x"],
}


async def test_no_payload_breaks_the_sdk(engine: Engine) -> None:
    """Whatever Discord sends: unknown fields, wrong types, missing objects."""
    payloads: list[tuple[str, Any]] = [(name, wrong) for name in DISPATCHES for wrong in WRONG]
    for type_, key, wrong in itertools.product(range(7), KEYS, WRONG):
        payloads.append(("INTERACTION_CREATE", {"type": type_, key: wrong}))
        payloads.append(("INTERACTION_CREATE", {"type": type_, "data": {key: wrong}}))

    @settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(sorted(DISPATCHES)),
        st.integers(0, 7),
        st.dictionaries(st.sampled_from(KEYS), JSON),
    )
    def collect(name: str, type_: int, payload: dict[str, Any]) -> None:
        payloads.append((name, {"type": type_, **payload}))

    collect()
    script = "".join(
        f"on('{event}', (ctx) => {{ JSON.stringify(ctx); }});\n"
        for events in DISPATCHES.values()
        for event in events
    )
    script += """
        const sub = { name: 'c', description: 'd', run() {} };
        createBot({
            prefixCommands: [{ name: 'p', run() {} }],
            slashCommands: [{ name: 'a', description: 'b', subcommands: [sub] }],
            components: [{ customId: 'x', run() {} }],
            modals: [{ customId: 'x', run() {} }],
        });
    """
    async with guild(engine, script) as bot:
        for name, payload in payloads:
            await bot.dispatch(name, payload)
