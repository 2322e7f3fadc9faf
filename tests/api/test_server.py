from __future__ import annotations

import socket

import pytest
import trio

from flora.api import serve_api
from flora.config import ApiConfig
from flora.engine.api import LogLevel
from flora.errors import StartupError
from tests.api.served import GARDEN, OPERATOR_SECRET, serving, until


def request(method: str, path: str, token: str = "") -> bytes:
    identity = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{identity}\r\n".encode()


async def ask(stream: trio.SocketStream, method: str, path: str) -> bytes:
    """The answer, head and body."""
    await stream.send_all(request(method, path))
    text = b""
    while b"\r\n\r\n" not in text:
        text += await stream.receive_some()
    head, _, body = text.partition(b"\r\n\r\n")
    [length] = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"content-length" in line]
    while method != "HEAD" and len(body) < length:
        body += await stream.receive_some()
    return head + b"\r\n\r\n" + body


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        async def serve() -> None:
            await serve_api(None, ApiConfig(port=port), shutdown=trio.Event())  # type: ignore[arg-type]

        with pytest.raises(StartupError) as caught:
            trio.run(serve)
    assert str(port) in str(caught.value)
    assert "API_PORT" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_address_that_is_not_here_is_one_clear_line() -> None:
    async def serve() -> None:
        await serve_api(None, ApiConfig(address="203.0.113.1"), shutdown=trio.Event())  # type: ignore[arg-type]

    with pytest.raises(StartupError, match=r"203\.0\.113\.1"):
        trio.run(serve)


async def test_a_request_in_flight_is_answered_before_the_end() -> None:
    async with serving() as served, served.client() as api, trio.open_nursery() as nursery:
        served.deployer.blocked = trio.Event()
        body = {"guild_id": GARDEN, "entry_point": "a.ts", "bundle": "1"}
        answers = []

        async def deploy() -> None:
            answers.append(await api.post("/deployments", json=body))

        nursery.start_soon(deploy)
        with trio.fail_after(60):
            await until(lambda: served.deployer.waiting == 1)
            served.shutdown.set()
            await trio.sleep(0.1)
            served.deployer.blocked.set()
            await served.stopped.wait()
    assert [answer.status_code for answer in answers] == [200]


async def test_after_the_end_nobody_is_let_in() -> None:
    async with serving() as served:
        served.shutdown.set()
        with trio.fail_after(60):
            await served.stopped.wait()
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", served.port)


async def test_a_client_that_reads_nothing_does_not_hold_up_the_end() -> None:
    async with serving() as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        async with stream:
            await stream.send_all(
                f"GET /logs/{GARDEN}?follow=true HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {OPERATOR_SECRET}\r\n\r\n".encode()
            )
            with trio.fail_after(60):
                await until(lambda: served.logs.statistics().followers == 1)
                # More than any socket buffer takes, so that the server's write blocks.
                for _ in range(60):
                    for _ in range(50):
                        served.logs.append(GARDEN, LogLevel.INFO, "x" * 16_000)
                    await trio.sleep(0.005)
                served.shutdown.set()
                with trio.fail_after(4):
                    await served.stopped.wait()


async def test_headers_that_never_end_do_not_hold_a_connection_up_at_the_end() -> None:
    async with serving() as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        async with stream:
            await stream.send_all(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            await trio.sleep(0.05)
            served.shutdown.set()
            with trio.fail_after(4):
                await served.stopped.wait()


async def test_a_connection_that_waits_for_its_next_request_does_not_hold_up_the_end() -> None:
    async with serving() as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        async with stream:
            await ask(stream, "GET", "/ready")
            served.shutdown.set()
            with trio.fail_after(30):
                await served.stopped.wait()
                assert await stream.receive_some() == b""


async def test_a_connection_that_asks_nothing_more_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flora.api.server.IDLE_TIMEOUT", 0.3)
    async with serving() as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        async with stream:
            with trio.fail_after(30):
                for _ in range(3):
                    assert (await ask(stream, "GET", "/ready")).startswith(b"HTTP/1.1 200")
                assert await stream.receive_some() == b""


async def test_a_stream_may_take_longer_than_a_connection_may_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flora.api.server.IDLE_TIMEOUT", 0.1)
    async with serving() as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        async with stream:
            with trio.fail_after(30):
                await stream.send_all(request("GET", f"/logs/{GARDEN}?follow=true", OPERATOR_SECRET))
                text = b""
                while text.count(b": keep-alive") < 3:  # one each 0.2 s
                    text += await stream.receive_some()


async def test_requests_that_are_sent_at_once_are_answered_in_their_order() -> None:
    async with serving() as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        async with stream:
            with trio.fail_after(30):
                paths = ["/health", "/nowhere", "/ready", "/actors"]
                await stream.send_all(b"".join(request("GET", path) for path in paths))
                text = b""
                while text.count(b"HTTP/1.1 ") < len(paths):
                    text += await stream.receive_some()
    statuses = [answer[:3] for answer in text.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200", b"401"]


async def test_a_head_has_no_body_and_the_connection_goes_on() -> None:
    async with serving() as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        async with stream:
            with trio.fail_after(30):
                head = await ask(stream, "HEAD", "/ready")
                full = await ask(stream, "GET", "/ready")
    assert head.endswith(b"\r\n\r\n")
    assert full.endswith(b'{"status":"ready"}')
    assert b"content-length: 18" in head
    assert b"content-length: 18" in full


async def test_what_is_no_http_gets_a_bad_request() -> None:
    async with serving() as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        async with stream:
            await stream.send_all(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
            with trio.fail_after(60):
                answer = b"".join([chunk async for chunk in stream])
    assert answer.startswith(b"HTTP/1.1 400")
