"""Prefix commands of `createBot`: `!ping a b`."""

from __future__ import annotations

from typing import Any

from flora.engine.host import Engine

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
