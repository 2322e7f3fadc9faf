"""What the HTTP client promises, shown against real servers on loopback."""

from __future__ import annotations

import random

import pytest
import trio

from flora.net.connector import Connector
from flora.net.http import (
    HttpBodyTooLargeError,
    HttpClient,
    HttpConnectError,
    HttpConnectionLostError,
    HttpProtocolError,
    HttpTimeoutError,
    InvalidRequestError,
)
from tests.net.loopback import Answer, Request, Stream, http_server, raw_server, trusting_tls

DEADLINE = 30.0


async def echo(request: Request) -> Answer:
    return Answer(200, f"{request.method} {request.target}".encode() + request.body, [("X-Test", "yes")])


async def test_a_request_and_its_answer() -> None:
    async with http_server(echo) as server, HttpClient() as client:
        response = await client.request(
            "POST", server.url("/a?b=1"), headers=[("X-A", "1")], body=b"!", deadline=DEADLINE
        )
    assert (response.status, response.body, response.header("x-test")) == (200, b"POST /a?b=1!", "yes")
    assert response.header("x-none") is None
    assert server.requests[0].headers["x-a"] == "1"
    assert server.requests[0].headers["host"] == f"localhost:{server.port}"


async def test_requests_in_a_row_share_one_connection() -> None:
    async with http_server(echo) as server, HttpClient() as client:
        for _ in range(5):
            await client.request("GET", server.url(), deadline=DEADLINE)
    assert server.connections == 1


@pytest.mark.parametrize("status", [204, 304, 404, 503])
async def test_any_status_is_an_answer_and_keeps_the_connection(status: int) -> None:
    async def handler(_: Request) -> Answer:
        return Answer(status, b"" if status in (204, 304) else b"text")

    async with http_server(handler) as server, HttpClient() as client:
        for _ in range(2):
            assert (await client.request("GET", server.url(), deadline=DEADLINE)).status == status
    assert server.connections == 1


async def test_no_more_connections_than_allowed() -> None:
    async def slow(request: Request) -> Answer:
        await trio.sleep(0.01)
        return await echo(request)

    async with http_server(slow) as server, HttpClient(max_connections=2) as client:
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(lambda: client.request("GET", server.url(), deadline=DEADLINE))
        assert server.most_open <= 2
        assert len(server.requests) == 10


async def test_a_storm_of_cancellations_never_mixes_up_answers() -> None:
    async def slow(request: Request) -> Answer:
        await trio.sleep(random.random() * 0.01)
        return Answer(200, request.target.encode() * 50)

    answered = 0

    async def one(client: HttpClient, url: str, path: str) -> None:
        nonlocal answered
        with trio.move_on_after(random.random() * 0.04):
            response = await client.request("GET", url, deadline=DEADLINE)
            assert response.body == path.encode() * 50
            answered += 1

    async with http_server(slow) as server, HttpClient(max_connections=8) as client:
        async with trio.open_nursery() as nursery:
            for number in range(300):
                nursery.start_soon(one, client, server.url(f"/{number}"), f"/{number}")
                if number % 10 == 0:
                    await trio.sleep(0.002)
        assert answered > 0
        # afterwards the pool is whole: every further request is answered
        for number in range(20):
            await client.request("GET", server.url(f"/{number}"), deadline=DEADLINE)
        assert client.idle_connections <= 8


async def test_a_connection_that_the_server_closed_while_idle_is_replaced() -> None:
    closed = 0

    async def connection(stream: Stream) -> None:
        nonlocal closed
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await stream.aclose()
        closed += 1

    async with raw_server(connection) as port, HttpClient() as client:
        for number in range(5):
            response = await client.request("POST", f"http://127.0.0.1:{port}/", body=b"x", deadline=DEADLINE)
            assert response.body == b"ok"
            while closed <= number:
                await trio.sleep(0.001)


@pytest.mark.parametrize(("method", "attempts"), [("GET", 3), ("DELETE", 3), ("POST", 2), ("PATCH", 2)])
async def test_when_a_kept_connection_ends_under_a_request_only_idempotent_ones_are_repeated(
    method: str, attempts: int
) -> None:
    async def second_one_dies(request: Request) -> Answer | None:
        return None if len(server.requests) == 2 else Answer(200, b"ok")

    async with http_server(second_one_dies) as server, HttpClient() as client:
        await client.request("GET", server.url(), deadline=DEADLINE)
        if method in {"GET", "DELETE"}:
            assert (await client.request(method, server.url(), deadline=DEADLINE)).body == b"ok"
        else:
            with pytest.raises(HttpConnectionLostError) as caught:
                await client.request(method, server.url(), deadline=DEADLINE)
            assert caught.value.sent
        assert len(server.requests) == attempts


async def test_a_fresh_connection_that_ends_is_not_tried_again() -> None:
    async def dies(_: Request) -> None:
        return None

    async with http_server(dies) as server, HttpClient() as client:
        with pytest.raises(HttpConnectionLostError):
            await client.request("GET", server.url(), deadline=DEADLINE)
        assert len(server.requests) == 1


async def test_the_deadline_covers_an_answer_that_trickles_in() -> None:
    async def trickle(stream: Stream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await stream.send_all(b"x")
            await trio.sleep(0.01)

    async with raw_server(trickle) as port, HttpClient() as client:
        with pytest.raises(HttpTimeoutError) as caught:
            await client.request("GET", f"http://127.0.0.1:{port}/", deadline=0.2)
        assert (caught.value.phase, caught.value.sent) == ("receiving", True)
        assert client.idle_connections == 0


async def test_the_deadline_covers_waiting_for_a_connection() -> None:
    async def never(_: Request) -> Answer:
        await trio.sleep_forever()
        raise AssertionError

    async with http_server(never) as server, HttpClient(max_connections=1) as client:
        async with trio.open_nursery() as nursery:

            async def first() -> None:
                with pytest.raises(HttpTimeoutError):
                    await client.request("GET", server.url("/1"), deadline=0.4)

            nursery.start_soon(first)
            await trio.sleep(0.05)
            with pytest.raises(HttpTimeoutError) as caught:
                await client.request("GET", server.url("/2"), deadline=0.1)
        assert (caught.value.phase, caught.value.sent) == ("waiting", False)
        assert [request.target for request in server.requests] == ["/1"]


async def test_a_refused_connection_says_that_nothing_was_sent() -> None:
    async with http_server(echo) as server:
        port = server.port  # nobody listens there any more
    async with HttpClient() as client:
        with pytest.raises(HttpConnectError) as caught:
            await client.request("POST", f"http://127.0.0.1:{port}/", deadline=DEADLINE)
        assert not caught.value.sent


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1000\r\n\r\n" + b"x" * 1000,
        b"Transfer-Encoding: chunked\r\n\r\n" + b"100\r\n" + b"x" * 256 + b"\r\n0\r\n\r\n",
        b"Connection: close\r\n\r\n" + b"x" * 1000,
    ],
)
async def test_a_body_over_the_cap_is_an_error(head: bytes) -> None:
    async def big(stream: Stream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n" + head)

    async with raw_server(big) as port, HttpClient() as client:
        with pytest.raises(HttpBodyTooLargeError):
            await client.request("GET", f"http://127.0.0.1:{port}/", deadline=DEADLINE, max_body=200)
        assert client.idle_connections == 0


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", b"ok"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
    ],
)
async def test_every_framing_of_a_body(raw: bytes, body: bytes) -> None:
    async def answer(stream: Stream) -> None:
        await stream.receive_some(65536)
        for byte in raw:
            await stream.send_all(bytes([byte]))
        await stream.aclose()

    async with raw_server(answer) as port, HttpClient() as client:
        assert (await client.request("GET", f"http://127.0.0.1:{port}/", deadline=DEADLINE)).body == body


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", HttpProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", HttpProtocolError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, HttpProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", HttpConnectionLostError),
        (b"HTTP/1.1 200", HttpConnectionLostError),
        (b"", HttpConnectionLostError),
    ],
)
async def test_an_answer_that_is_none(raw: bytes, error: type[Exception]) -> None:
    async def answer(stream: Stream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(raw)
        await stream.aclose()

    async with raw_server(answer) as port, HttpClient() as client:
        with pytest.raises(error):
            await client.request("GET", f"http://127.0.0.1:{port}/", deadline=DEADLINE)
        assert client.idle_connections == 0


async def test_an_answer_that_comes_before_the_upload_is_read() -> None:
    async def refuse(stream: Stream) -> None:
        await stream.receive_some(100)
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await stream.send_eof()
        while await stream.receive_some(65536):
            pass

    async with raw_server(refuse) as port, HttpClient() as client:
        url = f"http://127.0.0.1:{port}/"
        response = await client.request("POST", url, body=[b"x" * 2**20] * 4, deadline=DEADLINE)
        assert response.status == 413
        assert client.idle_connections == 0


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://localhost/", [("X-A", "1\r\nX-B: 2")]),
        ("http://localhost/a b", []),
        ("http://localhost/\r\nHost: other", []),
        ("http://localhost/ü", []),
        ("ftp://localhost/", []),
        ("http:///nowhere", []),
        ("http://user:password@localhost/", []),
        ("http://localhost:port/", []),
    ],
)
async def test_what_cannot_be_sent_is_refused(url: str, headers: list[tuple[str, str]]) -> None:
    async with HttpClient() as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.request("GET", url, headers=headers, deadline=DEADLINE)
    assert not caught.value.sent


async def test_leaving_the_block_closes_idle_connections() -> None:
    closed = trio.Event()

    async def connection(stream: Stream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert await stream.receive_some(65536) == b""
        closed.set()

    async with raw_server(connection) as port:
        async with HttpClient() as client:
            await client.request("GET", f"http://127.0.0.1:{port}/", deadline=DEADLINE)
            assert client.idle_connections == 1
        with trio.fail_after(DEADLINE):
            await closed.wait()
        with pytest.raises(InvalidRequestError):
            await client.request("GET", f"http://127.0.0.1:{port}/", deadline=DEADLINE)


async def test_connections_idle_for_too_long_are_not_used() -> None:
    async with http_server(echo) as server, HttpClient(idle_expiry=0.0) as client:
        for _ in range(3):
            await client.request("GET", server.url(), deadline=DEADLINE)
    assert server.connections == 3


async def test_tls_needs_a_certificate_that_is_trusted() -> None:
    async with http_server(echo, tls=True) as server:
        async with HttpClient() as client:
            with pytest.raises(HttpConnectError, match="certificate"):
                await client.request("GET", server.url(), deadline=DEADLINE)
        async with HttpClient(connector=Connector(ssl_context=trusting_tls())) as client:
            for _ in range(3):
                assert (await client.request("GET", server.url(), deadline=DEADLINE)).status == 200


async def test_a_server_that_never_finishes_tls_is_given_up() -> None:
    async def silent(stream: Stream) -> None:
        await trio.sleep_forever()

    async with raw_server(silent) as port, HttpClient(connector=Connector(deadline=0.1)) as client:
        with pytest.raises(HttpConnectError) as caught:
            await client.request("GET", f"https://127.0.0.1:{port}/", deadline=DEADLINE)
        assert not caught.value.sent
