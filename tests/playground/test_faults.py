"""What a network and Discord can do to a client, the playground can do on purpose; and its limits hold."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected

from flora.playground import BOT_TOKEN, HUMAN_TOKENS, PlaygroundInfo, demo
from flora.playground.limits import RateLimiter

from .client import Gateway, open_gateway
from .conftest import rest
from .test_rest import MESSAGES, send


async def break_gateway(control: httpx.AsyncClient, **body: Any) -> None:
    response = await control.post("/faults/gateway", json=body)
    assert response.status_code == 200, response.text


class TestGateway:
    async def test_a_dropped_connection_ends_without_a_code_and_can_be_resumed(
        self, info: PlaygroundInfo, gateway: Gateway, control: httpx.AsyncClient
    ) -> None:
        await break_gateway(control, action="drop")
        assert await gateway.close_code() == 1006
        async with open_gateway(info.gateway_url) as again:
            await again.resume(BOT_TOKEN, gateway.session_id, gateway.seq)
            assert (await again.receive())["t"] == "RESUMED"

    @pytest.mark.parametrize("code", [1000, 4000, 4004, 4009, 4014])
    async def test_any_close_code(self, gateway: Gateway, control: httpx.AsyncClient, code: int) -> None:
        await break_gateway(control, action="close", code=code)
        assert await gateway.close_code() == code

    async def test_reconnect_heartbeat_and_invalid_session(
        self, gateway: Gateway, control: httpx.AsyncClient
    ) -> None:
        await break_gateway(control, action="heartbeat")
        assert (await gateway.receive())["op"] == 1
        await break_gateway(control, action="reconnect")
        assert (await gateway.receive())["op"] == 7
        await break_gateway(control, action="invalid_session", resumable=True)
        assert (await gateway.receive()) == {"t": None, "s": None, "op": 9, "d": True}
        await break_gateway(control, action="invalid_session")
        assert (await gateway.receive())["d"] is False
        await gateway.identify(BOT_TOKEN)

    async def test_a_zombie_acknowledges_nothing(self, gateway: Gateway, control: httpx.AsyncClient) -> None:
        await break_gateway(control, action="zombie")
        await gateway.send(1, gateway.seq)
        await gateway.quiet()
        await control.delete("/faults")
        await gateway.send(1, gateway.seq)
        assert (await gateway.receive())["op"] == 11

    async def test_a_stalled_socket_sends_all_of_it_later(
        self, gateway: Gateway, control: httpx.AsyncClient, ann: httpx.AsyncClient
    ) -> None:
        await break_gateway(control, action="stall")
        for text in ("one", "two"):
            await send(ann, content=text)
        await gateway.quiet()
        await break_gateway(control, action="stall", on=False)
        assert [(await gateway.event())["content"] for _ in range(2)] == ["one", "two"]

    async def test_duplicates_have_the_same_number(
        self, gateway: Gateway, control: httpx.AsyncClient, ann: httpx.AsyncClient
    ) -> None:
        await break_gateway(control, action="duplicate", times=1)
        await send(ann, content="twice")
        first, second = await gateway.receive(), await gateway.receive()
        assert first == second
        await send(ann, content="once")
        await gateway.event()
        await gateway.quiet()

    async def test_new_connections_can_be_refused(
        self, info: PlaygroundInfo, control: httpx.AsyncClient
    ) -> None:
        await break_gateway(control, action="refuse", code=503)
        with pytest.RaisesGroup(ConnectionRejected, flatten_subgroups=True):
            async with open_gateway(info.gateway_url):
                pass
        await control.delete("/faults")
        async with open_gateway(info.gateway_url) as gateway:
            await gateway.identify(BOT_TOKEN)

    async def test_a_fault_can_be_for_one_user(
        self, info: PlaygroundInfo, gateway: Gateway, control: httpx.AsyncClient
    ) -> None:
        async with open_gateway(info.gateway_url) as ann:
            await ann.identify(HUMAN_TOKENS["ann"])
            await break_gateway(control, action="close", code=4000, user="ann")
            assert await ann.close_code() == 4000
        await gateway.send(1, gateway.seq)
        assert (await gateway.receive())["op"] == 11

    async def test_an_unknown_fault_is_refused(self, control: httpx.AsyncClient) -> None:
        response = await control.post("/faults/gateway", json={"action": "explode"})
        assert response.status_code == 400


class TestRest:
    async def test_requests_fail_as_often_as_asked(
        self, bot: httpx.AsyncClient, control: httpx.AsyncClient
    ) -> None:
        fault = {"kind": "status", "status": 502, "times": 2, "method": "post", "path": "/messages$"}
        await control.post("/faults/rest", json=fault)
        statuses = [(await bot.post(MESSAGES, json={"content": "x"})).status_code for _ in range(3)]
        assert statuses[2] == 200
        assert (await bot.get("/users/@me")).status_code == 200
        assert (await control.get("/faults")).json()["rest"] == []
        assert statuses[:2] == [502, 502]

    async def test_an_answer_can_be_lost_after_its_effect(
        self, info: PlaygroundInfo, control: httpx.AsyncClient
    ) -> None:
        await control.post("/faults/rest", json={"kind": "status", "status": 500, "after": True})
        headers = {"Authorization": f"Bot {BOT_TOKEN}"}
        async with httpx.AsyncClient(base_url=info.rest_url, headers=headers) as client:
            assert (await client.post(MESSAGES, json={"content": "took effect"})).status_code == 500
            assert [each["content"] for each in (await client.get(MESSAGES)).json()] == ["took effect"]

    @pytest.mark.parametrize("scope", ["user", "shared", "global"])
    async def test_a_429_of_each_scope(
        self, bot: httpx.AsyncClient, control: httpx.AsyncClient, scope: str
    ) -> None:
        await control.post("/faults/rest", json={"kind": "rate_limit", "seconds": 1.5, "scope": scope})
        response = await bot.post(MESSAGES, json={"content": "x"})
        assert response.status_code == 429
        assert response.json()["retry_after"] == 1.5
        assert response.json()["global"] is (scope == "global")
        assert response.headers["Retry-After"] == "2"
        assert response.headers["X-RateLimit-Scope"] == scope
        assert response.headers["Via"]

    async def test_an_answer_can_come_late(self, bot: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
        await control.post("/faults/rest", json={"kind": "delay", "seconds": 600})
        with pytest.raises(httpx.ReadTimeout):
            await bot.get("/users/@me", timeout=0.3)
        assert (await bot.get("/users/@me")).status_code == 200

    async def test_a_wrong_fault_is_refused(self, control: httpx.AsyncClient) -> None:
        for wrong in ({}, {"kind": "x"}, {"kind": "status", "path": "("}, {"kind": "delay", "seconds": -1}):
            assert (await control.post("/faults/rest", json=wrong)).status_code == 400


class TestLimits:
    async def test_headers_count_down_to_a_429_and_the_bucket_opens_again(
        self, limited: PlaygroundInfo
    ) -> None:
        async with rest(limited, BOT_TOKEN) as bot:
            answers = [await bot.post(MESSAGES, json={"content": str(each)}) for each in range(6)]
            left = [each.headers["X-RateLimit-Remaining"] for each in answers]
            assert left == ["4", "3", "2", "1", "0", "0"]
            assert {each.headers["X-RateLimit-Bucket"] for each in answers} == {
                answers[0].headers["X-RateLimit-Bucket"]
            }
            assert [each.status_code for each in answers] == [200] * 5 + [429]
            assert answers[5].json()["global"] is False
            assert 0 < answers[5].json()["retry_after"] <= 5
            other = await bot.post(
                f"/channels/{demo.GARDEN_BOTS}/messages", json={"content": "another major parameter"}
            )
            assert other.status_code == 200

    def test_no_window_admits_more_than_its_limit(self) -> None:
        limiter = RateLimiter()
        admitted = [limiter.check("a", "POST", "/channels/1/messages", now / 10) for now in range(100)]
        times = [index / 10 for index, each in enumerate(admitted) if each is not None and each.allowed]
        assert times[:6] == [0.0, 0.1, 0.2, 0.3, 0.4, 5.0]

    def test_the_global_limit_spares_interactions(self) -> None:
        limiter = RateLimiter()
        verdicts = [limiter.check("a", "GET", f"/channels/{each}", 0.0) for each in range(60)]
        assert [each.allowed for each in verdicts if each] == [True] * 50 + [False] * 10
        assert verdicts[-1] is not None
        assert verdicts[-1].is_global
        answer = limiter.check("a", "POST", "/interactions/1/t/callback", 0.0)
        assert answer is not None
        assert answer.allowed

    async def test_the_client_of_one_user_does_not_limit_another(self, limited: PlaygroundInfo) -> None:
        async with rest(limited, BOT_TOKEN) as bot, rest(limited, HUMAN_TOKENS["ann"]) as ann:
            for _ in range(6):
                last = await bot.post(MESSAGES, json={"content": "x"})
            assert last.status_code == 429
            assert (await ann.post(MESSAGES, json={"content": "x"})).status_code == 200


async def test_a_slow_reader_keeps_its_session_until_the_buffer_is_full(
    info: PlaygroundInfo, gateway: Gateway, control: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flora.playground.gateway.session.MAX_BUFFERED_FRAMES", 10)
    await break_gateway(control, action="stall")
    async with rest(info, HUMAN_TOKENS["ann"]) as ann:
        for number in range(12):
            await send(ann, content=str(number))
    await break_gateway(control, action="stall", on=False)
    with trio.fail_after(30), pytest.raises(ConnectionClosed):
        while True:
            await gateway.receive()
    async with open_gateway(info.gateway_url) as again:
        await again.resume(BOT_TOKEN, gateway.session_id, gateway.seq)
        assert (await again.receive())["d"] is False
