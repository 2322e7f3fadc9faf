"""The globals are what flora.d.ts says, they stay, and a script cannot break the SDK by accident."""

from __future__ import annotations

import json
import re

from flora.build.sdk import types_file
from flora.engine.host import Engine

from .guilds import guild, message, slash, values

ENGINES = {"console", "setTimeout", "clearTimeout", "setInterval", "clearInterval", "queueMicrotask"}

WEB = set(
    re.findall(
        r"^declare (?:function|var) (\w+)",
        types_file().read_text("utf-8").partition("- web platform\n")[2].partition("- tests\n")[0],
        re.MULTILINE,
    )
)
"""Globals of the web platform, which are theirs to replace."""


def declared_names() -> set[str]:
    pattern = r"^declare (?:abstract )?(?:function|const|var|class) (\w+)"
    return set(re.findall(pattern, types_file().read_text("utf-8"), re.MULTILINE))


async def test_every_declared_global_is_there(engine: Engine) -> None:
    names = sorted(declared_names())
    assert len(names) > 70
    kinds = (await values(engine, [f"{json.dumps(names)}.filter((name) => globalThis[name] === undefined)"]))[
        0
    ]
    assert kinds == []


async def test_nothing_else_is_added(engine: Engine) -> None:
    [names] = await values(engine, ["Object.keys(globalThis)"])
    assert set(names) <= declared_names()
    [namespace] = await values(engine, ["Object.keys(flora)"])
    assert set(namespace) == declared_names() - ENGINES - WEB - {"flora", "__floraGuildId"}


async def test_globals_cannot_be_replaced(engine: Engine) -> None:
    script = """
        'use strict';
        const failed = [];
        for (const name of [...Object.keys(flora), 'flora']) {
            try { globalThis[name] = null; failed.push(name); } catch {}
            try { delete globalThis[name]; failed.push(name); } catch {}
            if (globalThis[name] == null) failed.push(name);
        }
        try { flora.on = null; failed.push('flora.on'); } catch {}
        console.log(JSON.stringify(failed), __floraGuildId);
    """
    async with guild(engine, f"(() => {{ {script} }})();") as bot:
        assert bot.host.logs == [("info", "[] 900")]


async def test_names_may_be_used_for_something_else(engine: Engine) -> None:
    async with guild(
        engine, "const label = 'mine'; function button() { return label; } console.log(button());"
    ) as bot:
        assert bot.host.logs == [("info", "mine")]


async def test_a_script_that_replaces_the_languages_globals_still_works(engine: Engine) -> None:
    script = """
        const broken = () => { throw 'broken'; };
        for (const name of ['keys', 'entries', 'hasOwn', 'freeze', 'defineProperty']) Object[name] = broken;
        JSON.stringify = Array.isArray = broken;
        const names = 'Map Set Promise String Number RegExp Error BigInt Math Date Uint8Array';
        for (const name of names.split(' ')) globalThis[name] = undefined;
        Object.prototype.polluted = 'everywhere';
        Array.prototype.polluted = 'everywhere';
        createBot({
            prefixCommands: [
                { name: 'p', cooldown: 9, run: (ctx) => ctx.reply({ embeds: [embed().setTitle('t')] }) },
            ],
            slashCommands: [{
                name: 's',
                description: 'd',
                options: [{ name: 'o', description: 'd' }],
                requiredPermissions: 'ManageMessages',
                run: (ctx) => ctx.reply(`${Reflect.ownKeys(ctx.options)} ${ctx.options.o}`),
            }],
        });
        once('typingStart', () => {});
    """
    async with guild(engine, script) as bot:
        assert bot.manifest.listens == {"MESSAGE_CREATE", "INTERACTION_CREATE", "TYPING_START"}
        assert bot.commands[0]["options"] == [{"type": 3, "name": "o", "description": "d"}]
        assert len(await bot.dispatch("MESSAGE_CREATE", message("!p"))) == 1
        option = {"name": "o", "type": 3, "value": "v"}
        [(_, args)] = await bot.dispatch("INTERACTION_CREATE", slash("s", option))
        assert args["content"] == "o v"


async def test_guilds_of_one_engine_share_nothing(engine: Engine) -> None:
    script = "globalThis.count = (globalThis.count ?? 0) + 1; on('messageCreate', () => console.log(count));"
    async with guild(engine, script) as one, guild(engine, script) as other:
        for bot in (one, other):
            await bot.dispatch("MESSAGE_CREATE", message())
            assert bot.host.logs == [("info", "1")]
