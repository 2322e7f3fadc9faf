"""Each limit ends what it must and nothing more, and the outcome says which one it was."""

from __future__ import annotations

import os
import signal

import pytest
import trio

from flora.engine.api import DispatchTimeoutError, ExitKind, HandlerError, OpCall, ProcessDiedError
from flora.engine.limits import EngineOptions
from flora.engine.report import resident_bytes

from .conftest import GUILD, RecordingHost, event, eventually, running_engine, start
from .test_seal import taken_over


async def test_a_handler_at_its_cpu_limit_fails_alone_and_cannot_catch_it() -> None:
    code = """
    let seen = 0;
    on('LOOP', () => { try { for (;;); } catch { seen++ } finally { seen++ } });
    on('WAIT', async () => { await op('wait'); console.log('waited', seen); });
    """
    release = trio.Event()

    async def answer(call: OpCall) -> bytes:
        await release.wait()
        return b"null"

    host = RecordingHost(answer)
    async with running_engine(cpu_ms=100) as engine:
        process = await start(engine, code, host)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(process.dispatch, event("WAIT"))
            await eventually(lambda: len(host.calls) == 1)
            for _ in range(10):
                with pytest.raises(DispatchTimeoutError, match="100 ms") as caught:
                    await process.dispatch(event("LOOP"))
                assert caught.value.limit == "cpu"
            release.set()
        assert host.texts() == ["waited 0"]
        assert process.statistics.cpu_timeouts == 10
        assert engine.report().totals.cpu_timeouts == 10


async def test_who_computes_for_long_runs_behind_the_others_from_then_on() -> None:
    code = "on('SHORT', () => {}); on('LONG', () => { for (;;); })"
    processors = os.sched_getaffinity(0)
    async with running_engine(cpu_ms=100) as engine:
        process = await start(engine, code)
        for _ in range(200):
            await process.dispatch(event("SHORT"))
        assert os.sched_getscheduler(process.pid) == os.SCHED_OTHER
        assert os.sched_getaffinity(process.pid) == processors
        with pytest.raises(DispatchTimeoutError):
            await process.dispatch(event("LONG"))
        assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
        left_out = processors - os.sched_getaffinity(process.pid)
        assert len(left_out) == min(1, len(processors) - 1)
        await process.dispatch(event("SHORT"))


async def test_a_loop_outside_any_event_is_reported_and_the_process_goes_on() -> None:
    host = RecordingHost()
    async with running_engine(cpu_ms=100) as engine:
        process = await start(engine, "setTimeout(() => { for (;;); }); on('A', () => {})", host)
        await eventually(lambda: len(host.faults) == 1)
        fault, origin = host.faults[0]
        assert (fault.name, origin) == ("TimeoutError", "timer")
        assert "100 ms" in fault.message
        await process.dispatch(event())


async def test_what_survives_interrupts_is_killed() -> None:
    code = "on('A', () => { const f = () => { queueMicrotask(f); queueMicrotask(f) }; f() })"
    async with running_engine(options=EngineOptions(hard_secs=0.2), cpu_ms=50, heap_mb=512) as engine:
        process = await start(engine, code)
        with pytest.raises(ProcessDiedError):
            await process.dispatch(event(wall_secs=30))
        report = await process.wait()
        assert (report.kind, report.status) == (ExitKind.KILLED, -24)
        assert "could not be interrupted" in report.reason


@pytest.mark.parametrize("heap_mb", [32, 128])
async def test_memory_ends_at_the_limit(heap_mb: int) -> None:
    code = (
        "const a = []; on('A', () => { for (let i = 0; i < 4; i++) a.push(new Uint8Array(1 << 20).fill(1)) })"
    )
    async with running_engine(heap_mb=heap_mb, cpu_ms=5000) as engine:
        process = await start(engine, code)
        before = resident_bytes(process.pid)
        used = 0
        with pytest.raises((ProcessDiedError, HandlerError)):
            for _ in range(1000):
                await process.dispatch(event(wall_secs=30))
                used = resident_bytes(process.pid) - before
        assert used < (heap_mb + 8) << 20
        assert used > (heap_mb - 24) << 20


async def test_a_process_that_runs_out_of_memory_is_not_used_again() -> None:
    code = "on('A', () => { const a = []; for (;;) a.push({ a, b: [a.length] }) })"
    async with running_engine(heap_mb=32, cpu_ms=20_000) as engine:
        process = await start(engine, code)
        with pytest.raises(ProcessDiedError) as died:
            await process.dispatch(event(wall_secs=30))
        assert died.value.report.kind is ExitKind.OUT_OF_MEMORY
        assert engine.report().exits[ExitKind.OUT_OF_MEMORY] == 1


async def test_a_crash_is_told_apart() -> None:
    options = EngineOptions(
        bootstrap=taken_over("os.write(2, b'a last word'); libc.memset(0, 0, 1)").bootstrap, self_test=False
    )
    async with running_engine(options=options) as engine:
        process = await engine.spawn(GUILD, RecordingHost())
        report = await process.wait()
        assert (report.kind, report.status) == (ExitKind.CRASHED, -11)
        assert report.reason == "it died of SIGSEGV: a last word"


async def test_ops_in_flight_are_bounded_and_all_answered() -> None:
    under_way = most = 0

    async def answer(call: OpCall) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await trio.sleep(0.002)
        under_way -= 1
        return call.args

    code = """on('A', async () => {
      const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => op('x', i)));
      console.log(answers.every((answer, i) => answer === i));
    })"""
    host = RecordingHost(answer)
    async with running_engine(options=EngineOptions(max_ops=8)) as engine:
        process = await start(engine, code, host)
        await process.dispatch(event())
    assert host.texts() == ["true"]
    assert most == 8


async def test_console_lines_are_passed_on_at_a_rate_and_the_rest_is_counted() -> None:
    code = "on('A', () => { for (let i = 0; i < 500; i++) console.log(i) })"
    host = RecordingHost()
    async with running_engine(options=EngineOptions(lines_burst=100, lines_per_sec=20)) as engine:
        process = await start(engine, code, host)
        await process.dispatch(event())
        assert 100 <= len(host.lines) <= 150
        dropped = process.statistics.lines_dropped
        assert len(host.lines) + dropped == 500
        await trio.sleep(0.2)
        await process.dispatch(event())
        assert f"{dropped} console lines were dropped: too many per second" in host.texts()


async def test_a_turn_that_logs_without_end_is_cut_within_the_process() -> None:
    code = "on('A', () => { for (let i = 0; i < 2000; i++) console.log('x'.repeat(1000)) })"
    host = RecordingHost()
    async with running_engine() as engine:
        process = await start(engine, code, host)
        await process.dispatch(event())
    assert len(host.lines) < 300
    assert any("too much output at once" in text for text in host.texts())


async def test_who_floods_without_a_pause_is_slowed_down_and_then_killed() -> None:
    attack = """
frame = json.dumps({"t": "log", "level": "info", "d": 0, "text": "x" * 10}).encode()
burst = (len(frame).to_bytes(4, "little") + frame) * 1000
while True: guild._link.sendall(burst)
"""
    options = EngineOptions(
        bootstrap=taken_over(attack).bootstrap,
        self_test=False,
        frames_per_sec=10_000,
        frames_burst=1000,
        max_throttled_secs=0.3,
    )
    async with running_engine(options=options) as engine:
        process = await engine.spawn(GUILD, RecordingHost())
        report = await process.wait()
        assert (report.kind, report.reason) == (ExitKind.KILLED, "it flooded the host with messages")
        assert process.statistics.throttled_secs > 0.1


async def test_who_does_not_read_is_killed_before_the_host_runs_full() -> None:
    options = EngineOptions(max_backlog_bytes=1 << 20)
    async with running_engine(options=options) as engine:
        process = await start(engine, "1")
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(ProcessDiedError, match="does not read"):
            await process.dispatch(event(payload=b'"%b"' % (b"x" * (4 << 20)), wall_secs=20))


async def test_a_stopped_process_is_found_out_by_its_first_late_event() -> None:
    async with running_engine(options=EngineOptions(answer_secs=0.2), cpu_ms=100) as engine:
        process = await start(engine, "1")
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(DispatchTimeoutError):
            await process.dispatch(event(wall_secs=0.1))
        report = await process.wait()
        assert report.kind is ExitKind.KILLED
        assert "sign of life" in report.reason


async def test_timers_take_half_of_one_core_at_most() -> None:
    code = """
    let busy = 0;
    const from = Date.now();
    setInterval(() => { const t = Date.now(); while (Date.now() - t < 50); busy += Date.now() - t; });
    on('A', () => console.log(busy, Date.now() - from));
    """
    host = RecordingHost()
    async with running_engine() as engine:
        process = await start(engine, code, host)
        await trio.sleep(1)
        await process.dispatch(event())
    busy, elapsed = map(int, host.texts()[0].split())
    assert 0 < busy <= elapsed / 2 + 50


@pytest.mark.slow
async def test_memory_stays_flat_over_many_dispatches() -> None:
    code = "on('A', async (p) => { const copy = JSON.parse(JSON.stringify(p)); await null; return copy; })"
    payload = b'{"content":"%b","n":[1,2,3]}' % (b"hello " * 100)
    total = int(os.environ.get("FLORA_DISPATCHES", "60000"))
    async with running_engine(deadline=1000) as engine:
        process = await start(engine, code)

        async def lane(count: int) -> None:
            for _ in range(count):
                await process.dispatch(event(payload=payload, wall_secs=60))

        marks = []
        for _ in range(6):
            async with trio.open_nursery() as nursery:
                for _ in range(32):
                    nursery.start_soon(lane, total // 6 // 32)
            marks.append(resident_bytes(process.pid))
        assert max(marks[2:]) - marks[1] < 6 << 20, marks
