"""`kv` in a real guild process, on a real store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flora.engine.host import Engine
from flora.storage.kv import GuildKv, KvLimits

from .guilds import guild


async def outcomes(
    engine: Engine, tmp_path: Path, expressions: Sequence[str], limits: KvLimits | None = None
) -> list[Any]:
    """What promises come to, one after another, as JSON; an error as "Class CODE: message"."""
    each = "\n".join(
        f"try {{ console.log(JSON.stringify({{ is: await ({expression}) }})); }} "
        "catch (e) { console.log(JSON.stringify({ is: `${e.constructor.name} ${e.code}: ${e.message}` })); }"
        for expression in expressions
    )
    script = f'const s = kv.store("s"); const k = "k";\n{each}'
    async with GuildKv.open(tmp_path / "kv", limits=limits) as kv, guild(engine, script, kv=kv) as bot:
        await bot.host.until(lambda: len(bot.host.logs) == len(expressions))
        return [json.loads(text).get("is") for _, text in bot.host.logs]


async def test_values_outlive_the_script(engine: Engine, tmp_path: Path) -> None:
    assert await outcomes(engine, tmp_path, ["s.get(k)", "s.set(k, 'ä \\0 🌱')", "s.get(k)"]) == [
        None,
        1,
        "ä \0 🌱",
    ]
    assert await outcomes(engine, tmp_path, ["store('s').get(k)", "kv.store('other').get(k)", "s.name"]) == [
        "ä \0 🌱",
        None,
        "s",
    ]


async def test_metadata_expiry_and_version(engine: Engine, tmp_path: Path) -> None:
    far = 4_000_000_000
    assert await outcomes(
        engine,
        tmp_path,
        [
            f"s.set(k, 'v', {{ metadata: {{ a: [1, null] }}, expiration: {far} }})",
            "s.getWithMetadata(k)",
            "s.updateMetadata(k, 'text')",
            "s.getWithMetadata(k)",
            "s.updateMetadata(k)",
            "s.getWithMetadata(k)",
            f"s.set('big', '1', {{ expiration: {far}n }})",
            "s.set('past', '1', { expiration: 1 })",
            "s.get('past')",
            "s.getWithMetadata('none')",
            "s.updateMetadata('none', 1)",
        ],
    ) == [
        1,
        {"value": "v", "metadata": {"a": [1, None]}, "expiration": far, "version": 1},
        2,
        {"value": "v", "metadata": "text", "expiration": far, "version": 2},
        3,
        {"value": "v", "expiration": far, "version": 3},
        4,
        5,
        None,
        {"value": None},
        "KvError KV_KEY_NOT_FOUND: key not found",
    ]


async def test_lists(engine: Engine, tmp_path: Path) -> None:
    assert await outcomes(
        engine,
        tmp_path,
        [
            "Promise.all(['b', 'a/1', 'a/2', 'a/3'].map((key) => s.set(key, '-')))",
            "s.list().then((page) => [page.keys.map((key) => key.name), page.listComplete, page.cursor])",
            "s.list({ prefix: 'a/', limit: 2n }).then((p) => [p.keys.length, p.listComplete, p.cursor])",
            "s.list({ prefix: 'a/', cursor: 'a/2' }).then((page) => [page.keys[0].name, page.listComplete])",
            "s.list({ reverse: true, limit: 1 }).then((page) => page.keys[0].name)",
            "s.list({ limit: 0 })",
            "s.count()",
            "s.count({ prefix: 'a/' })",
            "s.delete('a/2')",
            "s.delete('a/2')",
            "s.count()",
        ],
    ) == [
        [1, 2, 3, 4],
        [["a/1", "a/2", "a/3", "b"], True, None],
        [2, False, "a/2"],
        ["a/3", True],
        "b",
        {"keys": [], "listComplete": True},
        4,
        3,
        True,
        False,
        3,
    ]


async def test_conditions_and_transactions(engine: Engine, tmp_path: Path) -> None:
    assert await outcomes(
        engine,
        tmp_path,
        [
            "s.set(k, 'a', { ifNotExists: true })",
            "s.set(k, 'b', { ifNotExists: true })",
            "s.set(k, 'c', { ifVersion: 99 })",
            "s.getWithMetadata(k).then(({ version }) => s.set(k, '5', { ifVersion: version }))"
            ".then((version) => version > 1)",
            "s.delete(k, { ifVersion: 99 })",
            "s.increment(k, -7)",
            "s.increment('new')",
            "Promise.all(Array.from({ length: 20 }, () => s.increment('new'))).then((a) => Math.max(...a))",
            "s.transaction([{ type: 'check', key: 'none', version: null }, { type: 'increment', key: k },"
            " { type: 'set', store: 't', key: k, value: 'v' }, { type: 'delete', key: 'new' }])"
            ".then((done) => done.results)",
            "s.transaction([{ type: 'set', key: k, value: 'lost' }, { type: 'check', key: k, version: 1 }])",
            "Promise.all([s.get(k), s.get('new'), kv.store('t').get(k)])",
        ],
    ) == [1, None, None, True, False, -2, 1, 21, [-1, None, True], None, ["-1", None, "v"]]


async def test_what_is_refused_says_why(engine: Engine, tmp_path: Path) -> None:
    limits = KvLimits(store_bytes=1000, writes_per_minute=3)
    assert await outcomes(
        engine,
        tmp_path,
        [
            "s.set('', 'v')",
            "s.set('x'.repeat(513), 'v')",
            "s.set(k, 'x'.repeat(2 ** 20 + 1))",
            "s.set(k, 'v', { metadata: 'x'.repeat(3 * 2 ** 20) })",
            "s.set(k, 5)",
            "s.get()",
            "kv.store('a/b').get(k)",
            "(async () => kv.store(5))()",
            "s.set(k, 'v', { ttl: -1 })",
            "s.set(k, 'v', 'options')",
            "s.transaction([])",
            "s.transaction([{ type: 'steal', key: k }])",
            "s.set(k, 'x'.repeat(1000))",
            "s.set(k, 'word')",
            "s.increment(k)",
            "s.get(k)",
            "s.set(k, 'v')",
        ],
        limits,
    ) == [
        "KvError KV_INVALID_INPUT: key cannot be empty",
        "KvError KV_INVALID_INPUT: key exceeds maximum size of 512 characters",
        "KvError KV_TOO_LARGE: value exceeds maximum size of 1MB",
        "KvError KV_TOO_LARGE: kv entry exceeds maximum size of 2MB",
        "InvalidInputError INVALID_INPUT: Invalid input for value: Expected `str`, got `int`",
        "InvalidInputError INVALID_INPUT: Invalid input for payload: Object missing required field `key`",
        "KvError KV_INVALID_INPUT: store_name contains invalid characters",
        "InvalidInputError INVALID_INPUT: Invalid input for store: kv.store takes the name of a store",
        "KvError KV_INVALID_INPUT: ttl is not a positive number of seconds",
        "InvalidInputError INVALID_INPUT: Invalid input for options: not an object",
        "KvError KV_INVALID_INPUT: a transaction needs at least one step",
        "InvalidInputError INVALID_INPUT: Invalid input for steps[0].type: Invalid value 'steal'",
        "KvError KV_QUOTA_EXCEEDED: kv store storage quota exceeded",
        2,
        "KvError KV_NOT_A_NUMBER: the value is not a whole number, so it cannot be incremented",
        "word",
        "KvError KV_RATE_LIMITED: kv write rate limit exceeded; retry later",
    ]
