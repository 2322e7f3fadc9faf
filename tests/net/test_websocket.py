"""What the websocket client promises, shown against real servers.

They are trio-websocket, and wsproto where single bytes matter.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message
from wsproto.events import Request as Upgrade

from flora.net.connector import Connector
from flora.net.websocket import WebSocketClosedError, WebSocketHandshakeError, connect
from tests.net.loopback import Stream, raw_server, server_tls, trusting_tls

DEADLINE = 30.0


@asynccontextmanager
async def websocket_server(
    handler: Callable[[WebSocketConnection], Awaitable[None]], *, tls: bool = False
) -> AsyncIterator[str]:
    async def accept(request: WebSocketRequest) -> None:
        ws = await request.accept()
        with suppress(ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            await handler(ws)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(
                serve_websocket,
                accept,
                "127.0.0.1",
                0,
                server_tls() if tls else None,
                handler_nursery=nursery,
                disconnect_timeout=1,
            )
        )
        yield f"{'wss' if tls else 'ws'}://127.0.0.1:{server.port}/"
        nursery.cancel_scope.cancel()


async def echo(ws: WebSocketConnection) -> None:
    while True:
        await ws.send_message(await ws.get_message())


async def wsproto_accept(stream: Stream) -> WSConnection:
    protocol = WSConnection(ConnectionType.SERVER)
    while True:
        protocol.receive_data(bytes(await stream.receive_some(65536)))
        for event in protocol.events():
            if isinstance(event, Upgrade):
                await stream.send_all(protocol.send(AcceptConnection()))
                return protocol


class CloseWatch:
    """A server that only records the code with which the client leaves."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.seen = trio.Event()

    async def __call__(self, ws: WebSocketConnection) -> None:
        try:
            while True:
                await ws.get_message()
        except ConnectionClosed as closed:
            self.code = closed.reason.code if closed.reason else None
            self.seen.set()

    async def wait(self) -> int | None:
        with trio.fail_after(DEADLINE):
            await self.seen.wait()
        return self.code


async def test_text_and_binary_go_and_come() -> None:
    async with websocket_server(echo) as url, connect(url) as ws:
        await ws.send("grün")
        assert await ws.recv() == "grün".encode()
        await ws.send(b"\x00\xff" * 100_000)
        assert await ws.recv() == b"\x00\xff" * 100_000


async def test_over_tls() -> None:
    async with websocket_server(echo, tls=True) as url:
        connector = Connector(ssl_context=trusting_tls())
        async with connect(url, connector=connector) as ws:
            await ws.send("x" * 300_000)
            assert await ws.recv() == b"x" * 300_000


async def test_a_message_in_fragments_with_a_ping_in_between() -> None:
    async def handler(stream: Stream) -> None:
        protocol = await wsproto_accept(stream)
        out = protocol.send(Message(data="one ", message_finished=False))
        out += b"\x89\x02hi"  # a ping may stand between fragments (RFC 6455, 5.4)
        out += protocol.send(Message(data="two ", message_finished=False))
        out += protocol.send(Message(data="", message_finished=True))
        for byte in out:
            await stream.send_all(bytes([byte]))
        pong = await stream.receive_some(100)
        assert pong[0] == 0x8A
        await stream.send_all(protocol.send(Message(data="pong came")))
        await trio.sleep_forever()

    async with raw_server(handler) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
        with trio.fail_after(DEADLINE):
            assert await ws.recv() == b"one two "
            assert await ws.recv() == b"pong came"


async def test_what_came_before_the_close_is_received_and_then_the_code() -> None:
    async def handler(ws: WebSocketConnection) -> None:
        for number in range(100):
            await ws.send_message(str(number))
        await ws.aclose(4004, "no such token")

    async with websocket_server(handler) as url, connect(url) as ws:
        for number in range(100):
            assert await ws.recv() == str(number).encode()
        for _ in range(2):
            with pytest.raises(WebSocketClosedError) as caught:
                await ws.recv()
            assert (caught.value.close_code, caught.value.reason) == (4004, "no such token")
        with pytest.raises(WebSocketClosedError):
            await ws.send("too late")


async def test_a_connection_that_just_ends_is_1006() -> None:
    async def handler(stream: Stream) -> None:
        protocol = await wsproto_accept(stream)
        await stream.send_all(protocol.send(Message(data="last"))[:-1])  # cut within a frame

    async with raw_server(handler) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
        with pytest.raises(WebSocketClosedError) as caught:
            await ws.recv()
        assert caught.value.close_code == 1006


async def test_leaving_the_block_closes_with_4000() -> None:
    watch = CloseWatch()
    async with websocket_server(watch) as url:
        async with connect(url):
            pass
        assert await watch.wait() == 4000


async def test_an_error_in_the_block_comes_out_as_it_is_and_closes_with_4000() -> None:
    watch = CloseWatch()
    async with websocket_server(watch) as url:
        with pytest.raises(KeyError):
            async with connect(url):
                raise KeyError
        assert await watch.wait() == 4000


async def test_a_cancelled_block_closes_with_4000() -> None:
    watch = CloseWatch()
    async with websocket_server(watch) as url:
        with trio.move_on_after(0.1):
            async with connect(url) as ws:
                await ws.recv()
        assert await watch.wait() == 4000


async def test_another_code_when_the_session_is_to_end() -> None:
    watch = CloseWatch()
    async with websocket_server(watch) as url, connect(url) as ws:
        await ws.close(1000, "done")
        assert await watch.wait() == 1000
        await ws.close(4000)  # once more is no error


async def test_messages_left_unread_do_not_hold_the_close() -> None:
    codes: list[int] = []
    seen = trio.Event()

    async def handler(ws: WebSocketConnection) -> None:
        try:
            while True:
                await ws.send_message("x" * 1000)
        except ConnectionClosed:
            codes.append(ws.closed.code)
            seen.set()

    async with websocket_server(handler) as url:
        with trio.fail_after(DEADLINE):
            async with connect(url) as ws:
                await ws.recv()
            await seen.wait()
    assert codes == [4000]


async def test_a_peer_that_never_answers_the_close_is_left_after_two_seconds() -> None:
    async def handler(stream: Stream) -> None:
        await wsproto_accept(stream)
        await trio.sleep_forever()

    async with raw_server(handler) as port:
        with trio.fail_after(DEADLINE):
            async with connect(f"ws://127.0.0.1:{port}/"):
                pass


async def test_a_message_over_the_cap_is_refused_with_1009() -> None:
    codes: list[int] = []
    seen = trio.Event()

    async def handler(stream: Stream) -> None:
        protocol = await wsproto_accept(stream)
        await stream.send_all(protocol.send(Message(data=b"x" * 2000)))
        while data := await stream.receive_some(65536):
            protocol.receive_data(bytes(data))
            codes.extend(event.code for event in protocol.events() if isinstance(event, CloseConnection))
            if codes:
                seen.set()
                return

    async with raw_server(handler) as port, connect(f"ws://127.0.0.1:{port}/", max_message=1000) as ws:
        with pytest.raises(WebSocketClosedError) as caught:
            await ws.recv()
        assert caught.value.close_code == 1009
        with trio.fail_after(DEADLINE):
            await seen.wait()
    assert codes == [1009]


async def test_after_a_send_was_cut_off_nothing_more_can_be_sent() -> None:
    async def handler(stream: Stream) -> None:
        await wsproto_accept(stream)
        await trio.sleep_forever()  # and never reads again

    async with raw_server(handler) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
        with trio.move_on_after(0.2) as scope:
            await ws.send(b"x" * 50_000_000)
        assert scope.cancelled_caught
        with pytest.raises(WebSocketClosedError, match="cut off"):
            await ws.send("this would be read as part of the frame before")


async def test_cancelling_recv_loses_nothing() -> None:
    async def handler(ws: WebSocketConnection) -> None:
        for number in range(500):
            await ws.send_message(f"{number}:" + "x" * random.randrange(2000))
        await ws.aclose(1000)

    got: list[int] = []
    async with websocket_server(handler) as url, connect(url) as ws:
        with trio.fail_after(20), pytest.raises(WebSocketClosedError):
            while True:
                with trio.move_on_after(random.random() * 0.002):
                    got.append(int((await ws.recv()).split(b":")[0]))
    assert got == list(range(500))


async def test_a_refused_upgrade_tells_the_status() -> None:
    async def handler(stream: Stream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(
            b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
        )

    async with raw_server(handler) as port:
        with pytest.raises(WebSocketHandshakeError) as caught:
            async with connect(f"ws://127.0.0.1:{port}/"):
                pass
    assert (caught.value.status, caught.value.retry_after) == (429, "7")


@pytest.mark.parametrize(
    "raw", [b"", b"hello\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 101"]
)
async def test_a_handshake_that_is_none(raw: bytes) -> None:
    async def handler(stream: Stream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(raw)

    async with raw_server(handler) as port:
        with pytest.raises(WebSocketHandshakeError):
            async with connect(f"ws://127.0.0.1:{port}/"):
                pass


async def test_a_server_that_never_upgrades_is_given_up() -> None:
    async def handler(_: Stream) -> None:
        await trio.sleep_forever()

    async with raw_server(handler) as port:
        with trio.fail_after(DEADLINE), pytest.raises(WebSocketHandshakeError, match=r"within 0\.1 s"):
            async with connect(f"ws://127.0.0.1:{port}/", deadline=0.1):
                pass


@pytest.mark.parametrize("url", ["http://localhost/", "ws://", "nonsense"])
async def test_what_is_no_websocket_url_is_refused(url: str) -> None:
    with pytest.raises(WebSocketHandshakeError):
        async with connect(url):
            pass
