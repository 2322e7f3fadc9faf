"""What a script can rely on: loading, events, ops, timers, console, errors."""

from __future__ import annotations

import json

import pytest
import trio

from flora.engine.api import (
    Dispatch,
    DispatchTimeoutError,
    EngineError,
    ExitKind,
    HandlerError,
    LogLevel,
    OpCall,
    OpError,
    ProcessDiedError,
    Script,
    ScriptLoadError,
)

from .conftest import GUILD, RecordingHost, event, eventually, running_engine, start


async def test_the_manifest_says_what_a_script_listens_to_once_its_top_level_is_through() -> None:
    async with running_engine() as engine:
        process = await engine.spawn(GUILD, RecordingHost())
        manifest = await process.load(
            Script(
                "bundle.js",
                "on('READY', () => {}); await null; on('MESSAGE_CREATE', () => {}, [{name: 'é'}]);",
            ),
            timeout_secs=5,
        )
        assert manifest.listens == {"READY", "MESSAGE_CREATE"}
        assert manifest.commands is not None
        assert json.loads(manifest.commands) == [{"name": "é"}]


async def test_a_later_declaration_reaches_the_host_once() -> None:
    host = RecordingHost()
    async with running_engine() as engine:
        process = await start(engine, "on('A', () => { on('B', () => {}); on('B', () => {}); })", host)
        await process.dispatch(event())
        await process.dispatch(event("B"))
    assert [manifest.listens for manifest in host.manifests] == [{"A", "B"}]


@pytest.mark.parametrize(
    ("code", "name", "message", "position"),
    [
        ("let x = 1;\nlet y = ;", "SyntaxError", "expected expression, got ';'", "bundle.js:2:9"),
        ("\n\n  throw new TypeError('bad');", "TypeError", "bad", "bundle.js:3:9"),
        ("await null;\nnope();", "ReferenceError", "nope is not defined", "bundle.js:2:1"),
        ("})", "SyntaxError", "", "bundle.js:1:"),
        ("throw 'just text'", "Error", "just text", ""),
        ("throw { toString() { return 1 }, get message() { throw 1 } }", "Error", "", ""),
        ("import x from 'y'", "SyntaxError", "", "bundle.js:1:"),
    ],
)
async def test_a_script_that_does_not_load_says_what_and_where(
    code: str, name: str, message: str, position: str
) -> None:
    async with running_engine() as engine:
        process = await engine.spawn(GUILD, RecordingHost())
        with pytest.raises(ScriptLoadError) as caught:
            await process.load(Script("bundle.js", code), timeout_secs=5)
    assert caught.value.fault.name == name
    assert message in caught.value.fault.message
    assert position in caught.value.fault.stack


async def test_a_script_loads_once_within_its_size_and_time() -> None:
    async with running_engine(max_script_bytes=100) as engine:
        process = await start(engine, "1")
        with pytest.raises(EngineError):
            await process.load(Script("bundle.js", "1"), timeout_secs=1)
        process = await engine.spawn(GUILD, RecordingHost())
        with pytest.raises(ScriptLoadError, match="101 bytes, the limit is 100"):
            await process.load(Script("bundle.js", " " * 101), timeout_secs=1)
        with pytest.raises(ScriptLoadError, match="TimeoutError"):
            await process.load(Script("bundle.js", "for(;;);"), timeout_secs=0.1)
        process = await engine.spawn(GUILD, RecordingHost())
        with pytest.raises(ScriptLoadError, match="longer than"):
            await process.load(Script("bundle.js", "await new Promise(() => {})"), timeout_secs=0.1)
        assert (await process.wait()).kind is ExitKind.KILLED


async def test_a_payload_arrives_as_it_was_sent() -> None:
    payload = json.dumps(
        {"content": "grüß 🌱 \ud83c", "list": [1, 2.5, None], "id": "81384788765712384"}
    ).encode()
    host = RecordingHost()
    async with running_engine() as engine:
        process = await start(engine, "on('A', (payload, meta) => op('seen', { payload, meta }))", host)
        await process.dispatch(Dispatch("A", payload, "0:abc:7", attempt=3))
    seen = json.loads(host.calls[0].args)
    assert seen["meta"] == {"id": "0:abc:7", "attempt": 3}
    assert seen["payload"] == {"content": "grüß 🌱 �", "list": [1, 2.5, None], "id": "81384788765712384"}


async def test_a_megabyte_goes_in_and_out() -> None:
    text = "aé€🌱" * 100_000
    host = RecordingHost()
    async with running_engine() as engine:
        process = await start(engine, "on('A', (payload) => op('seen', payload))", host)
        await process.dispatch(event(payload=json.dumps(text, ensure_ascii=False).encode()))
    assert json.loads(host.calls[0].args) == text


async def test_events_run_beside_each_other_and_start_in_call_order() -> None:
    release = trio.Event()
    started: list[str] = []

    async def answer(call: OpCall) -> bytes:
        started.append(json.loads(call.args))
        await release.wait()
        return b"null"

    async with running_engine() as engine:
        process = await start(engine, "on('A', (p) => op('wait', p))", RecordingHost(answer))
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(process.dispatch, event(payload=b"%d" % number))
                await trio.lowlevel.checkpoint()
            await eventually(lambda: len(started) == 20)
            assert process.open_dispatches == 20
            release.set()
        assert sorted(started) == list(range(20))
        assert process.open_dispatches == 0


async def test_ops_answer_in_any_order_and_bring_typed_errors() -> None:
    slow = trio.Event()

    async def answer(call: OpCall) -> bytes:
        match call.name:
            case "slow":
                await slow.wait()
                return b'"slow"'
            case "fast":
                slow.set()
                return b'"fast"'
            case "typed":
                raise OpError("no such store", name="KvError", code="NO_STORE", extra={"store": "s", "n": 2})
            case "bug":
                raise ZeroDivisionError("secret detail")
        raise OpError("unknown", code="UNKNOWN")

    code = """
    on('A', async () => {
      const both = await Promise.all([op('slow'), op('fast')]);
      const errors = [];
      for (const name of ['typed', 'bug', 'other']) {
        try { await op(name); } catch (e) {
          errors.push([e instanceof Error, e instanceof KvError, e.name, e.message, e.code, e.store, e.n]);
        }
      }
      console.log(JSON.stringify({ both, errors }));
    });
    """
    host = RecordingHost(answer)
    async with running_engine() as engine:
        process = await start(engine, code, host)
        await process.dispatch(event())
        assert process.open_ops == 0
    assert json.loads(host.texts()[0]) == {
        "both": ["slow", "fast"],
        "errors": [
            [True, True, "KvError", "no such store", "NO_STORE", "s", 2],
            [True, False, "Error", "bug failed inside flora", "INTERNAL_ERROR", None, None],
            [True, False, "Error", "unknown", "UNKNOWN", None, None],
        ],
    }


async def test_arguments_that_are_no_json_reject_the_op_and_reach_no_host() -> None:
    host = RecordingHost()
    code = """
    on('A', async () => {
      const loop = {}; loop.loop = loop;
      let caught = 0;
      for (const bad of [loop, 1n, { toJSON() { throw new Error('no'); } }]) {
        try { await op('x', bad); } catch { caught++; }
      }
      await op('x', undefined); await op('x', () => 1);
      console.log(caught);
    })"""
    async with running_engine() as engine:
        process = await start(engine, code, host)
        await process.dispatch(event())
    assert host.texts() == ["3"]
    assert [call.args for call in host.calls] == [b"null", b"null"]


async def test_everything_a_handler_causes_belongs_to_its_event() -> None:
    code = """
    on('A', async (name) => {
      await op('first', name);
      setTimeout(async () => { await op('late', name); console.log('late', name); }, 20);
      await op('second', name);
      await new Promise((resolve) => setTimeout(resolve, 1));
      console.log('end', name);
      await op('third', name);
    });
    await op('load');
    """
    host = RecordingHost()
    async with running_engine() as engine:
        process = await start(engine, code, host)
        async with trio.open_nursery() as nursery:
            for name in ("x", "y"):
                nursery.start_soon(process.dispatch, event(payload=json.dumps(name).encode(), event_id=name))
        await eventually(lambda: sum(call.name == "late" for call in host.calls) == 2)
        await eventually(lambda: len(host.lines) == 4)
    assert (host.calls[0].event_id, host.calls[0].call_index) == (None, 0)
    for name in ("x", "y"):
        mine = [call for call in host.calls if call.event_id == name]
        assert [json.loads(call.args) for call in mine] == [name] * 4
        assert [(call.name, call.call_index) for call in mine] == [
            ("first", 0),
            ("second", 1),
            ("third", 2),
            ("late", 3),
        ]
        assert [text for _, text, owner in host.lines if owner == name] == [f"end {name}", f"late {name}"]


async def test_a_handler_that_throws_fails_its_event_with_the_raw_stack() -> None:
    code = """on('A', async () => {
      await null;
      throw Object.assign(new RangeError('too far'), { code: 'FAR' });
    })"""
    async with running_engine() as engine:
        process = await start(engine, code)
        with pytest.raises(HandlerError) as caught:
            await process.dispatch(event())
        await process.dispatch(event("NOBODY_LISTENS"))
    fault = caught.value.fault
    assert (fault.name, fault.message, fault.extra) == ("RangeError", "too far", {"code": "FAR"})
    assert f"file:///guild/{GUILD}/bundle.js:3:27" in fault.stack


async def test_errors_outside_an_event_are_reported_and_end_nothing() -> None:
    code = """
    on('A', async () => {
      Promise.reject(new Error('nobody'));
      const handled = Promise.reject(new Error('handled')); await null; try { await handled } catch {}
      setTimeout(() => { throw new Error('in a timer'); });
      queueMicrotask(() => { throw new Error('in a microtask'); });
      (async () => { throw 'text'; })();
    });"""
    host = RecordingHost()
    async with running_engine() as engine:
        process = await start(engine, code, host)
        await process.dispatch(event())
        await eventually(lambda: len(host.faults) == 4)
        await process.dispatch(event("B"))
    assert sorted((fault.message, origin) for fault, origin in host.faults) == [
        ("in a microtask", "microtask"),
        ("in a timer", "timer"),
        ("nobody", "unhandled rejection"),
        ("text", "unhandled rejection"),
    ]


async def test_timers() -> None:
    code = """
    on('A', async () => {
      const seen = [];
      const cancelled = setTimeout(() => seen.push('cancelled'), 5);
      setTimeout((a, b) => seen.push(a + b), 10, 'ten', '!');
      setTimeout(() => seen.push('zero'));
      let ticks = 0;
      await new Promise((resolve) => {
        const interval = setInterval(() => {
          seen.push('tick');
          if (++ticks === 3) { clearInterval(interval); resolve(); }
        }, 20);
        clearTimeout(cancelled); clearTimeout(undefined); clearTimeout({}); clearInterval(99999);
      });
      let refused = 0;
      try { setTimeout('code') } catch (e) { refused += e instanceof TypeError }
      try { for (let i = 0; i < 20000; i++) setTimeout(() => {}, 1e6) }
      catch (e) { refused += e instanceof RangeError }
      console.log(seen.join(), refused);
    });"""
    host = RecordingHost()
    async with running_engine() as engine:
        process = await start(engine, code, host)
        await process.dispatch(event())
        idle = await process.idleness()
    assert host.texts() == ["zero,ten!,tick,tick,tick 2"]
    assert idle is not None
    assert idle.timers == 10_000
    assert idle.next_timer_secs is not None
    assert 900 < idle.next_timer_secs < 1000


async def test_console() -> None:
    code = r"""
    on('A', () => {
      console.trace('t'); console.debug('d'); console.info('i'); console.warn('w'); console.error('e');
      const loop = { name: 'loop' }; loop.self = loop;
      console.log('text', 1, null, undefined, 10n, Symbol('s'), () => 1, [1, 'two'], loop);
      console.log(new Map([['k', { v: 1 }]]), new Set([1]), new Date(0), /x/g);
      console.log(Object.create(null), new (class Dog {}));
      console.log({ get trap() { throw 1 } }, new Proxy({}, { ownKeys() { throw 1 } }));
      console.table([{ a: 1, b: 'x' }, { a: 22 }]);
      console.log('\ud800 half');
      console.log('x'.repeat(100000));
      hostLog('nonsense', 'as info');
    });"""
    host = RecordingHost()
    async with running_engine() as engine:
        process = await start(engine, code, host)
        await process.dispatch(event())
    levels = [level for level, _, _ in host.lines[:5]]
    assert levels == [LogLevel.TRACE, LogLevel.DEBUG, LogLevel.INFO, LogLevel.WARN, LogLevel.ERROR]
    texts = host.texts()
    assert texts[5] == (
        'text 1 null undefined 10n Symbol(s) [Function] [1, "two"] { name: "loop", self: [Circular] }'
    )
    assert texts[6] == 'Map(1) {"k" => { v: 1 }} Set(1) {1} 1970-01-01T00:00:00.000Z /x/g'
    assert texts[7] == "[null] {} Dog {}"
    assert texts[8] == "{ trap: [Getter] } [a value that cannot be shown]"
    assert [line.rstrip() for line in texts[9].split("\n")] == [
        "(index) | a  | b",
        '0       | 1  | "x"',
        "1       | 22 |",
    ]
    assert texts[10] == "� half"
    assert len(texts[11]) == 16_385
    assert host.lines[12][:2] == (LogLevel.INFO, "as info")


async def test_a_wall_limit_fails_its_event_alone() -> None:
    release = trio.Event()

    async def answer(call: OpCall) -> bytes:
        if call.name == "slow":
            await release.wait()
        return b"1"

    code = "on('A', async (name) => { await op(name); console.log(name); })"
    host = RecordingHost(answer)
    async with running_engine() as engine:
        process = await start(engine, code, host)
        with pytest.raises(DispatchTimeoutError) as caught:
            await process.dispatch(event(payload=b'"slow"', wall_secs=0.1))
        assert caught.value.limit == "wall"
        await process.dispatch(event(payload=b'"quick"'))
        release.set()  # the late answer is of no consequence but for the script itself
        await eventually(lambda: len(host.lines) == 2)
        await process.dispatch(event(payload=b'"quick"'))
        assert process.exit_report is None
        assert process.statistics.wall_timeouts == 1


async def test_a_cancelled_dispatch_is_abandoned() -> None:
    async with running_engine() as engine:
        process = await start(engine, "on('A', () => new Promise(() => {}))")
        with trio.move_on_after(0.05) as scope:
            await process.dispatch(event())
        assert scope.cancelled_caught
        assert process.open_dispatches == 0
        assert process.statistics.wall_timeouts == 0
        await process.dispatch(event("B"))


async def test_a_guild_that_changes_hands_keeps_its_heap_and_its_ops() -> None:
    release = trio.Event()

    async def answer(call: OpCall) -> bytes:
        await release.wait()
        return b'"from the old host"'

    old, new = RecordingHost(answer), RecordingHost()
    code = "let n = 0; on('A', async () => { n++; console.log(await op('x', n)); })"
    async with running_engine() as engine:
        process = await start(engine, code, old)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(process.dispatch, event())
            await eventually(lambda: len(old.calls) == 1)
            process.attach(new)
            release.set()
        await process.dispatch(event())
    assert old.texts() == []
    assert new.texts() == ["from the old host", "2"]


async def test_stop_and_kill_are_told_apart_and_everybody_is_answered() -> None:
    async with running_engine() as engine:
        process = await start(engine, "on('A', () => new Promise(() => {}))")
        async with trio.open_nursery() as nursery:

            async def dispatch_until_death() -> None:
                with pytest.raises(ProcessDiedError) as caught:
                    await process.dispatch(event(wall_secs=0))
                assert caught.value.report.kind is ExitKind.STOPPED

            nursery.start_soon(dispatch_until_death)
            await eventually(lambda: process.open_dispatches == 1)
            report = await process.stop()
            assert report.kind is ExitKind.STOPPED
            assert report.status == 0
        assert await process.wait() is report
        assert await process.stop() is report
        with pytest.raises(ProcessDiedError):
            await process.dispatch(event())

        process = await start(engine, "setInterval(() => { for (let i = 0; i < 1e7; i++); })")
        process.kill("a test")
        process.kill("again")
        report = await process.wait()
        assert (report.kind, report.reason, report.status) == (ExitKind.KILLED, "a test", -9)
        assert engine.report().exits[ExitKind.KILLED] == 1
        assert engine.report().exits[ExitKind.STOPPED] == 1
        assert engine.processes() == []


async def test_the_realm_offers_the_language_and_nothing_of_the_machine() -> None:
    code = """
    const names = Reflect.ownKeys(globalThis).map(String);
    console.log(names.filter((n) => /python|process|require|pm|debug|flora/i.test(n)).join());
    console.log(Reflect.ownKeys(debuggerGlobal).length, typeof debuggerGlobal.Debugger, guildId());
    console.log(typeof Debugger, typeof fetch, typeof SharedArrayBuffer, typeof importScripts);
    """
    host = RecordingHost()
    async with running_engine() as engine:
        await start(engine, code, host)
    assert host.texts() == [
        "debuggerGlobal",
        f"3 undefined {GUILD}",
        "undefined undefined undefined undefined",
    ]


async def test_random_numbers_differ_between_guilds() -> None:
    host = RecordingHost()
    async with running_engine() as engine:
        for _ in range(3):
            await start(engine, "console.log(Math.random())", host)
    assert len(set(host.texts())) == 3
