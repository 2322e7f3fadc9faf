"""Large values cross the border both ways, whole, within the default heap."""

from __future__ import annotations

import json

import pytest

from .conftest import RecordingHost, event, running_engine, start

MIB = 2**20


async def test_texts_of_any_size_that_a_frame_holds_go_out_and_come_back() -> None:
    sizes = [65_535, 65_536, 131_072, MIB, 2 * MIB - 2, 2 * MIB, 3 * MIB, 8 * MIB, 10 * MIB, 14 * MIB]
    code = """on('A', async ({ size }) => {
      const answer = await op('echo', 'x'.repeat(size));
      console.log(answer.length, answer.lastIndexOf('x') === size - 1);
    })"""
    async with running_engine(cpu_ms=20_000) as engine:
        for size in sizes:
            host = RecordingHost()
            process = await start(engine, code, host)
            await process.dispatch(event(payload=b'{"size":%d}' % size, wall_secs=60))
            assert host.texts() == [f"{size} true"]
            assert len(host.calls[0].args) == size + 2


@pytest.mark.parametrize("ahead", range(5))
async def test_characters_of_any_width_survive_the_seams_of_the_window(ahead: int) -> None:
    code = """on('A', async ({ ahead }) => {
      const smiles = 'a'.repeat(ahead) + '\\u{1f600}'.repeat(40000);
      const text = smiles + '\\u00e9'.repeat(70000) + '\\u20ac'.repeat(50000);
      const answer = await op('echo', [text, '\\ud83d', text + '\\ude00']);
      console.log(answer[0] === text, answer[1] === '\\ufffd', answer[2] === text + '\\ufffd');
    })"""
    host = RecordingHost()
    async with running_engine(cpu_ms=20_000) as engine:
        process = await start(engine, code, host)
        await process.dispatch(event(payload=b'{"ahead":%d}' % ahead, wall_secs=60))
    text = "a" * ahead + "\U0001f600" * 40_000 + "é" * 70_000 + "€" * 50_000
    assert json.loads(host.calls[0].args) == [text, "\ufffd", text + "\ufffd"]
    assert host.texts() == ["true true true"]


async def test_many_large_frames_of_one_turn_arrive_in_order() -> None:
    code = """on('A', async () => {
      const sizes = [10, 200000, 20, 131060, 131068, 131072, 30, 300000];
      await Promise.all(sizes.map((size) => op('echo', 'y'.repeat(size))));
    })"""
    host = RecordingHost()
    async with running_engine() as engine:
        process = await start(engine, code, host)
        await process.dispatch(event())
    sizes = [10, 200_000, 20, 131_060, 131_068, 131_072, 30, 300_000]
    assert [call.args for call in host.calls] == [b'"%b"' % (b"y" * size) for size in sizes]


async def test_json_of_long_texts_is_what_the_language_says() -> None:
    """SpiderMonkey reserves 128 MiB for a text of 2 MiB; flora writes such a text in pieces."""
    code = r"""on('A', () => {
      const value = {
        '\u0001': '\u0001',
        marks: ['\u0001', 'a"\u0001', '"\u0001"', '\\', '\\\u0001', '"', '\u0001\u0001'],
        long: 'z'.repeat(65535) + '\u{1f600}' + '\ud83d' + '"\\\n'.repeat(50000) + '\ude00',
        toJSON: undefined, missing: undefined, none: null, number: 1.5, nested: { toJSON: () => 'made' },
        boxed: new String('boxed'), list: [undefined, () => 1, Symbol('s')],
      };
      const big = 'x'.repeat(2 ** 21);
      const check = (...rest) => {
        const pieces = JSON.stringify({ ...value, big, last: '\u0001' }, ...rest);
        const native = JSON.stringify({ ...value, big: 'BIG', last: '\u0001' }, ...rest);
        console.log(pieces.replace(big, 'BIG') === native);
      };
      check();
      check(null, 2);
      check((key, item) => (key === 'none' ? '\u0001' : item));
      check(function (key, item) { return this[key] === item || typeof item === 'string' ? item : 7; });
      console.log(JSON.stringify(big) === `"${big}"`, JSON.stringify.length, JSON.stringify.name);
    })"""
    host = RecordingHost()
    async with running_engine(cpu_ms=20_000) as engine:
        process = await start(engine, code, host)
        await process.dispatch(event(wall_secs=60))
    assert host.texts() == ["true"] * 4 + ["true 3 stringify"]
