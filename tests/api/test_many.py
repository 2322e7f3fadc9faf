"""Many at once: followers that idle, follow, stall and vanish; connections that never say what they want."""

from __future__ import annotations

import resource

import pytest
import trio

from flora.actors.loghub import MAX_LINES
from flora.api.services import Limits
from flora.engine.api import LogLevel
from tests.api.served import GARDEN, OPERATOR_SECRET, ORCHARD, Served, serving

IDLE, BUSY, LINES = 1_000, 100, 20
PATIENCE = 120


@pytest.fixture
def files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * (IDLE + BUSY) + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"{needed} open files are not allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))


async def followers(served: Served, count: int) -> None:
    while served.logs.statistics().followers != count:
        await trio.sleep(0.01)


async def connect(served: Served, guild_id: str) -> trio.SocketStream:
    stream = await trio.open_tcp_stream("127.0.0.1", served.port)
    head = f"GET /logs/{guild_id}?follow=true&limit=0 HTTP/1.1\r\nHost: x\r\n"
    await stream.send_all(f"{head}Authorization: Bearer {OPERATOR_SECRET}\r\n\r\n".encode())
    return stream


async def test_a_thousand_idle_followers_and_a_hundred_busy_ones(files: None) -> None:
    heard: list[int] = []
    idle: list[trio.SocketStream] = []

    async def follow(served: Served) -> None:
        text = b""
        async with await connect(served, GARDEN) as stream:
            while text.count(b"event: log") < LINES:
                text += await stream.receive_some()
        heard.append(text.count(b"event: dropped"))

    async def wait_idly(served: Served) -> None:
        idle.append(await connect(served, ORCHARD))

    with trio.fail_after(PATIENCE):
        async with serving(limits=Limits()) as served, served.client() as api:
            async with trio.open_nursery() as nursery:
                for _ in range(IDLE):
                    nursery.start_soon(wait_idly, served)
            await followers(served, IDLE)
            async with trio.open_nursery() as nursery:
                for _ in range(BUSY):
                    nursery.start_soon(follow, served)
                await followers(served, IDLE + BUSY)
                for number in range(LINES):
                    served.logs.append(GARDEN, LogLevel.INFO, f"line {number}")
                    await trio.lowlevel.checkpoint()
            assert heard == [0] * BUSY
            assert (await api.get("/health")).status_code == 200
            half = IDLE // 2
            for stream in idle[:half]:  # they vanish without a word
                stream.socket.close()
            while served.logs.statistics().followers > IDLE - half:  # what is said to them finds out
                served.logs.append(ORCHARD, LogLevel.INFO, "is anybody there?")
                await trio.sleep(0.05)
        # Which ended with half of them still there.
        for stream in idle[half:]:
            stream.socket.close()


async def test_a_follower_that_stalls_loses_its_own_lines_only(served: Served) -> None:
    with trio.fail_after(PATIENCE):
        async with await connect(served, GARDEN) as stalled, await connect(served, GARDEN) as reads:
            await followers(served, 2)
            text = b""
            for number in range(3 * MAX_LINES):  # more than sockets and the buffer hold
                served.logs.append(GARDEN, LogLevel.INFO, f"line {number} " + "x" * 500)
                if number % 200 == 199:
                    while f"line {number} ".encode() not in text:
                        text = text[-2_000:] + await reads.receive_some()
                    assert b"event: dropped" not in text
            text = b""
            while b"event: dropped" not in text:  # it finds where its lines were
                text = text[-200:] + await stalled.receive_some()


async def test_those_who_never_say_what_they_want_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow loris: connections whose request never ends, and one that sends a byte of it now and then."""
    monkeypatch.setattr("flora.api.server.IDLE_TIMEOUT", 0.5)

    async def until_closed(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                while await stream.receive_some():
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

    async def trickle(stream: trio.SocketStream) -> None:
        try:
            while True:
                await stream.send_all(b"a")
                await trio.sleep(0.05)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    with trio.fail_after(PATIENCE):
        async with serving() as served, served.client() as api, trio.open_nursery() as nursery:
            for number in range(200):
                stream = await trio.open_tcp_stream("127.0.0.1", served.port)
                await stream.send_all(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: a")
                nursery.start_soon(until_closed, stream)
                if number == 0:
                    nursery.start_soon(trickle, stream)
            assert (await api.get("/health")).status_code == 200
