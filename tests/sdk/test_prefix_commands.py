"""Prefix commands of `createBot`: `!ping a b`."""

from __future__ import annotations

from typing import Any

from msgspec.json import encode

from flora.engine.host import Engine
from flora.gateway.events import GatewayEvent
from flora.gateway.interest import Interest
from flora.ids import EventId, GuildId

from .guilds import guild, message

BOT = """
createBot({ prefixCommands: [{ name: "ping", run: (ctx) => ctx.reply(JSON.stringify(ctx.args)) }] });
"""


async def test_the_prefix_and_the_name_are_matched_exactly(engine: Engine) -> None:
    for content, args in [
        ("!ping", "[]"),
        ("! ping a  b", '["a","b"]'),
        ("  !ping x", '["x"]'),
        ("!PING", None),
        ("!pingx", None),
        ("!", None),
        ("?ping", None),
        ("hello", None),
        ("", None),
    ]:
        async with guild(engine, BOT) as bot:
            expected: Any = [("send_message", {"channelId": "20", "messageId": "10", "content": args})]
            assert await bot.dispatch("MESSAGE_CREATE", message(content)) == (
                [] if args is None else expected
            )


async def declared_prefix(engine: Engine, script: str) -> str | None:
    async with guild(engine, script) as bot:
        assert bot.manifest.listens == {"MESSAGE_CREATE"}
        return bot.manifest.prefix


async def test_a_script_of_commands_alone_declares_their_prefix(engine: Engine) -> None:
    command = "prefixCommands: [{ name: 'x', run: () => {} }]"
    assert await declared_prefix(engine, BOT) == "!"
    assert await declared_prefix(engine, f"createBot({{ prefix: 'flora, ', {command} }});") == "flora, "
    assert await declared_prefix(engine, f"createBot({{ prefix: '🌱'.repeat(32), {command} }});") == "🌱" * 32
    assert await declared_prefix(engine, f"createBot({{ prefix: 'x'.repeat(65), {command} }});") is None
    assert (
        await declared_prefix(engine, f"createBot({{ {command} }}); on('messageCreate', () => {{}});") is None
    )
    assert (
        await declared_prefix(engine, f"once('MESSAGE_CREATE', () => {{}}); createBot({{ {command} }});")
        is None
    )
    assert await declared_prefix(engine, "on('messageCreate', () => {});") is None


async def test_the_prefix_follows_the_handlers_that_come_and_go(engine: Engine) -> None:
    script = f"""{BOT}
        const watch = () => off('messageCreate', watch);
        on('typingStart', () => on('messageCreate', watch));
    """
    async with guild(engine, script) as bot:
        assert bot.manifest.prefix == "!"
        await bot.dispatch("TYPING_START", {})
        assert (await bot.declaration()).prefix is None
        await bot.dispatch("MESSAGE_CREATE", message("!ping"))
        assert (await bot.declaration()).prefix == "!"


async def test_the_host_keeps_no_message_from_a_command_that_would_answer_it(engine: Engine) -> None:
    blanks = [chr(code) for code in range(0x10000) if chr(code).isspace() or code in (0x180E, 0x200B, 0xFEFF)]
    contents = [
        "!ping",
        "ping",
        "",
        "!",
        "! ping",
        "?ping",
        "!ping" * 400,
        *(f"{blank}!ping x" for blank in blanks),
    ]
    interest = Interest(frozenset({"MESSAGE_CREATE"}), "!")
    async with guild(engine, BOT) as bot:
        for content in contents:
            for is_bot in (False, True):
                payload = message(content)
                payload["author"]["bot"] = is_bot
                event = GatewayEvent(EventId(0, "s", 1), "MESSAGE_CREATE", GuildId("1"), encode(payload), 0.0)
                answered = bool(await bot.dispatch("MESSAGE_CREATE", payload))
                assert interest.wants(event) or not answered, (content, is_bot)
