"""The playground starts where it may, answers nobody else, and ends in good order."""

from __future__ import annotations

import socket
from functools import partial

import httpx
import pytest
import trio

from flora.config import PlaygroundConfig
from flora.errors import StartupError
from flora.playground import BOT_TOKEN, PlaygroundInfo, demo, serve
from flora.playground.errors import NotLoopbackError, PlaygroundRefusedError, PlaygroundUnreachableError
from flora.playground.model import Model
from flora.playground.say import say

from .client import open_events, open_gateway
from .conftest import ANY_PORT


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "localhost", ""])
async def test_it_binds_loopback_addresses_only(address: str) -> None:
    with pytest.raises(NotLoopbackError):
        await serve(ANY_PORT, address=address)


@pytest.mark.parametrize("setting", ["port", "gateway_port"])
async def test_a_taken_port_is_named_with_what_to_do(setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = PlaygroundConfig(**{"port": 0, "gateway_port": 0, setting: port})
        with pytest.raises(StartupError) as caught:
            await serve(config)
    text = str(caught.value)
    assert str(port) in text
    assert f"playground.{setting}" in text
    assert "\n" not in text


async def test_a_port_is_free_again_at_once(model: Model) -> None:
    config = ANY_PORT
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            info: PlaygroundInfo = await nursery.start(partial(serve, config, state=demo.demo_model()))
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"{info.page_url}/")).status_code == 200
            nursery.cancel_scope.cancel()
        page, gateway = (int(url.rpartition(":")[2]) for url in (info.page_url, info.gateway_url))
        config = PlaygroundConfig(port=page, gateway_port=gateway)


async def test_the_end_closes_gateways_with_1001_streams_and_waiting_requests(model: Model) -> None:
    codes: list[int] = []
    ended = trio.Event()
    answered = trio.Event()

    async def watch_gateway(task_status: trio.TaskStatus[None]) -> None:
        async with open_gateway(info.gateway_url) as gateway:
            await gateway.identify(BOT_TOKEN)
            task_status.started()
            codes.append(await gateway.close_code())

    async def watch_stream(task_status: trio.TaskStatus[None]) -> None:
        async with open_events(info.page_url) as events:
            assert (await anext(events))[0] == "HELLO"
            task_status.started()
            async for _ in events:
                pass
            ended.set()

    async def wait_for_answers() -> None:
        async with httpx.AsyncClient(timeout=20) as client:
            body = {"text": "anybody?", "wait": 15}
            said = await client.post(f"{info.page_url}/playground/api/say", json=body)
            assert said.json()["answers"] == []
            answered.set()

    with trio.fail_after(20):
        async with trio.open_nursery() as watchers:
            scope = trio.CancelScope()

            async def run(task_status: trio.TaskStatus[PlaygroundInfo]) -> None:
                with scope:
                    await serve(ANY_PORT, state=model, task_status=task_status)

            info: PlaygroundInfo = await watchers.start(run)
            await watchers.start(watch_gateway)
            await watchers.start(watch_stream)
            watchers.start_soon(wait_for_answers)
            while not any(each.messages for each in model.channels.values()):
                await trio.sleep(0.01)
            started = trio.current_time()
            scope.cancel()
            await ended.wait()
            await answered.wait()
    assert codes == [1001]
    assert trio.current_time() - started < 10


async def test_a_client_that_never_reads_does_not_hold_the_end_up(model: Model) -> None:
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            info: PlaygroundInfo = await nursery.start(partial(serve, ANY_PORT, state=model))
            port = int(info.gateway_url.rpartition(":")[2])
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            request = (
                b"GET /?v=10 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            )
            key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            await stream.send_all(request + key)
            assert b"101" in await stream.receive_some(1000)
            nursery.cancel_scope.cancel()
        await stream.aclose()


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
async def test_other_sites_get_nothing(info: PlaygroundInfo, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=info.page_url, headers=headers) as client:
        assert (await client.get("/playground/api/state")).status_code == 403
        assert (await client.post("/playground/api/say", json={"text": "x"})).status_code == 403


async def test_the_page_cannot_be_framed_and_loads_from_here_only(info: PlaygroundInfo) -> None:
    async with httpx.AsyncClient(base_url=info.page_url) as client:
        page = await client.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


async def test_ids_and_tokens_are_the_same_in_every_run(info: PlaygroundInfo) -> None:
    again = demo.demo_model()
    assert info.application_id == again.application.id == demo.APPLICATION_ID
    assert info.guild_ids == (demo.GARDEN, demo.GREENHOUSE)
    assert info.bot_token == BOT_TOKEN


class TestSay:
    async def test_it_says_where_it_was_said(self, info: PlaygroundInfo, model: Model) -> None:
        said = await say("hello", guild="greenhouse", channel="#bots", user="Ben", url=info.page_url)
        assert (said.guild, said.channel, said.user) == ("Greenhouse", "bots", "ben")
        [message] = model.channels[demo.GREENHOUSE_BOTS].messages.values()
        assert (message.content, message.author.username) == ("hello", "ben")

    async def test_it_returns_the_answers(
        self, info: PlaygroundInfo, bot: httpx.AsyncClient, model: Model
    ) -> None:
        async def answer() -> None:
            while not model.channels[demo.GARDEN_GENERAL].messages:
                await trio.sleep(0.01)
            for text in ("one", "two"):
                await bot.post(f"/channels/{demo.GARDEN_GENERAL}/messages", json={"content": text})

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            said = await say("!count", wait=10, url=info.page_url)
        assert [(each.author, each.content) for each in said.answers] == [("flora", "one"), ("flora", "two")]

    async def test_silence_ends_with_the_wait(self, info: PlaygroundInfo) -> None:
        assert (await say("anybody?", wait=0.3, url=info.page_url)).answers == ()

    @pytest.mark.parametrize(
        ("where", "message"),
        [
            ({"guild": "Nowhere"}, "There is no guild 'Nowhere'. There are: Garden, Greenhouse."),
            ({"channel": "nowhere"}, "There is no channel 'nowhere' in Garden"),
            ({"user": "flora"}, "There is no user 'flora'. There are: ann, ben, cleo."),
        ],
    )
    async def test_a_wrong_place_is_named(
        self, info: PlaygroundInfo, where: dict[str, str], message: str
    ) -> None:
        with pytest.raises(PlaygroundRefusedError, match=message):
            await say("x", url=info.page_url, **where)

    async def test_without_a_playground_it_says_how_to_start_one(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
            with pytest.raises(PlaygroundUnreachableError, match="flora playground"):
                await say("x", url=url)


async def test_events_are_streamed_as_one_person_sees_them(
    info: PlaygroundInfo, ann: httpx.AsyncClient
) -> None:
    async with open_events(info.page_url, "ben") as events:
        assert (await anext(events))[0] == "HELLO"
        await ann.post(f"/channels/{demo.GARDEN_GENERAL}/messages", json={"content": "hi\nyou"})
        name, data = await anext(events)
        assert (name, data["content"]) == ("MESSAGE_CREATE", "hi\nyou")
