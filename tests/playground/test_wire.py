"""The playground's own HTTP server, as bytes on a connection: RFC 9112 as far as clients use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import pytest
import trio

from flora.playground import BOT_TOKEN, PlaygroundInfo, demo, entry

MESSAGES = f"/api/v10/channels/{demo.GARDEN_GENERAL}/messages"
PATIENCE = 30.0


class Connection:
    """A bare connection: what is sent is the test's, answers are read with h11."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._h11 = h11.Connection(h11.CLIENT)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def answer(self, method: str = "GET") -> tuple[h11.Response, bytes]:
        """The next answer, read as one to `method`."""
        self._h11.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        self._h11.send(h11.EndOfMessage())
        body = b""
        with trio.fail_after(PATIENCE):
            while True:
                event = self._h11.next_event()
                if event is h11.NEED_DATA:
                    self._h11.receive_data(await self.stream.receive_some(65536))
                elif isinstance(event, h11.Response):
                    response = event
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    break
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        return response, body

    async def ended(self) -> bool:
        with trio.fail_after(PATIENCE):
            return await self.stream.receive_some(1) == b""


@asynccontextmanager
async def connect(info: PlaygroundInfo) -> AsyncIterator[Connection]:
    port = int(info.page_url.rpartition(":")[2])
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        yield Connection(stream)


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bot {BOT_TOKEN}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_requests_that_come_at_once_are_answered_one_after_the_other(info: PlaygroundInfo) -> None:
    texts = [f"number {number}" for number in range(20)]
    async with connect(info) as connection:
        sent = [request("POST", MESSAGES, body=b'{"content":"%s"}' % text.encode()) for text in texts]
        await connection.send(b"".join(sent) + request("GET", "/"))
        for text in texts:
            response, body = await connection.answer("POST")
            assert response.status_code == 200
            assert f'"content":"{text}"'.encode() in body
        response, body = await connection.answer()
        assert b"<html" in body


@pytest.mark.parametrize("version", ["", "/v9", "/v10"])
async def test_every_version_of_the_api_is_the_same(info: PlaygroundInfo, version: str) -> None:
    async with connect(info) as connection:
        await connection.send(request("GET", f"/api{version}/users/@me"))
        response, body = await connection.answer()
        assert (response.status_code, b'"username":"flora"' in body) == (200, True)
        await connection.send(request("GET", "/api/v1/users/@me"))
        assert (await connection.answer())[0].status_code == 404


async def test_a_body_in_pieces(info: PlaygroundInfo) -> None:
    async with connect(info) as connection:
        await connection.send(request("POST", MESSAGES, "Transfer-Encoding: chunked"))
        for piece in (b'{"content"', b':"in ', b'pieces"}'):
            await connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await connection.send(b"0\r\n\r\n")
        response, body = await connection.answer("POST")
        assert (response.status_code, b"in pieces" in body) == (200, True)


async def test_a_client_that_asks_first_is_told_to_go_on(info: PlaygroundInfo) -> None:
    body = b'{"content":"after asking"}'
    async with connect(info) as connection:
        head = request("POST", MESSAGES, "Expect: 100-continue", f"Content-Length: {len(body)}")
        await connection.send(head)
        with trio.fail_after(PATIENCE):
            assert (await connection.stream.receive_some(100)).startswith(b"HTTP/1.1 100")
        await connection.send(body)
        assert (await connection.answer("POST"))[0].status_code == 200


async def test_head_has_the_length_without_the_body(info: PlaygroundInfo) -> None:
    async with connect(info) as connection:
        for path in ("/api/v10/gateway", "/"):
            await connection.send(request("HEAD", path))
            response, body = await connection.answer("HEAD")
            assert response.status_code == 200
            assert int(dict(response.headers)[b"content-length"]) > 0
            assert body == b""


async def test_a_body_that_is_too_long_is_refused_before_it_is_read(info: PlaygroundInfo) -> None:
    async with connect(info) as connection, trio.open_nursery() as nursery:
        await connection.send(request("POST", MESSAGES, "Transfer-Encoding: chunked"))

        async def pour() -> None:
            piece = b"x" * 65536
            try:
                while True:
                    await connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            except trio.BrokenResourceError:
                return

        nursery.start_soon(pour)
        response, body = await connection.answer("POST")
        assert (response.status_code, b"40005" in body) == (413, True)
        assert dict(response.headers)[b"connection"] == b"close"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "wrong", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_http_is_a_400_and_the_end(info: PlaygroundInfo, wrong: bytes) -> None:
    async with connect(info) as connection:
        await connection.send(wrong)
        assert (await connection.answer())[0].status_code == 400
        assert await connection.ended()


async def test_clients_that_leave_in_the_middle_leave_nothing(info: PlaygroundInfo) -> None:
    whole = request("POST", MESSAGES, body=b'{"content":"half"}')
    for part in (0, 10, len(whole) - 3):
        async with connect(info) as connection:
            await connection.send(whole[:part])
    async with connect(info) as connection:
        await connection.send(request("GET", MESSAGES))
        assert (await connection.answer())[1] == b"[]"


async def test_a_handler_that_fails_is_a_500_and_the_connection_goes_on(
    info: PlaygroundInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ValueError("a bug")

    async with connect(info) as connection:
        with monkeypatch.context() as patch:
            patch.setattr(entry._rest._root.literals["gateway"], "handlers", {"GET": (fail, ())})
            await connection.send(request("GET", "/api/v10/gateway"))
            assert (await connection.answer())[0].status_code == 500
        await connection.send(request("GET", "/api/v10/gateway"))
        assert (await connection.answer())[0].status_code == 200
