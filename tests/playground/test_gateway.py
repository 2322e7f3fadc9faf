"""The gateway keeps Discord's protocol, frame by frame."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio

from flora.playground import BOT_TOKEN, HUMAN_TOKENS, PlaygroundInfo, demo
from flora.playground.model import Model

from .client import ALL_INTENTS, Gateway, open_gateway


async def post(client: httpx.AsyncClient, content: str, channel: str = demo.GARDEN_GENERAL) -> dict[str, Any]:
    response = await client.post(f"/channels/{channel}/messages", json={"content": content})
    assert response.status_code == 200, response.text
    message: dict[str, Any] = response.json()
    return message


@pytest.mark.parametrize("compress", ["", "zlib-stream", "zstd-stream"])
async def test_a_bot_identifies_and_gets_its_guilds_and_messages(
    info: PlaygroundInfo, ann: httpx.AsyncClient, compress: str
) -> None:
    async with open_gateway(info.gateway_url, compress=compress) as gateway:
        ready = await gateway.identify(BOT_TOKEN)
        assert ready["v"] == 10
        assert ready["user"]["id"] == info.application_id
        assert ready["resume_gateway_url"] == info.gateway_url
        assert ready["guilds"] == [{"id": each, "unavailable": True} for each in info.guild_ids]
        guilds = [await gateway.event("GUILD_CREATE") for _ in info.guild_ids]
        assert [each["name"] for each in guilds] == ["Garden", "Greenhouse"]
        await post(ann, "!ping a b")
        message = await gateway.event("MESSAGE_CREATE")
        assert message["content"] == "!ping a b"
        assert message["author"]["username"] == "ann"
        assert message["guild_id"] == demo.GARDEN
        assert message["member"]["joined_at"]
        assert gateway.seq == 4


async def test_heartbeats_are_acknowledged_also_before_identify(info: PlaygroundInfo) -> None:
    async with open_gateway(info.gateway_url) as gateway:
        await gateway.send(1, None)
        assert (await gateway.receive())["op"] == 11
        await gateway.identify(BOT_TOKEN)
        await gateway.send(1, gateway.seq)
        while (await gateway.receive())["op"] != 11:
            pass


@pytest.mark.parametrize(
    ("identify", "code"),
    [
        ({"token": "nonsense"}, 4004),
        ({"intents": None}, 4013),
        ({"intents": 1 << 30}, 4013),
        ({"shard": [2, 2]}, 4010),
        ({"shard": "0"}, 4010),
    ],
)
async def test_a_wrong_identify_is_closed_with_its_code(
    info: PlaygroundInfo, identify: dict[str, Any], code: int
) -> None:
    async with open_gateway(info.gateway_url) as gateway:
        await gateway.send_identify(**{"token": BOT_TOKEN, **identify})
        assert await gateway.close_code() == code


async def test_disallowed_intents_are_closed_with_4014(
    info: PlaygroundInfo, control: httpx.AsyncClient
) -> None:
    await control.post("/settings", json={"allowed_privileged": 0})
    async with open_gateway(info.gateway_url) as gateway:
        await gateway.send_identify(BOT_TOKEN)
        assert await gateway.close_code() == 4014


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (["{}"], 4001),
        (['{"op": 99}'], 4001),
        (["not json"], 4002),
        (["[1]"], 4002),
        (['{"op":1,"d":"' + "x" * 5000 + '"}'], 4002),
        (['{"op":3,"d":{}}'], 4003),
        (['{"op":6,"d":{"token":"x","session_id":"y","seq":1}}'], 4004),
        (['{"op":1,"d":null}'] * 121, 4008),
    ],
)
async def test_a_broken_frame_is_closed_with_its_code(
    info: PlaygroundInfo, frames: list[str], code: int
) -> None:
    async with open_gateway(info.gateway_url) as gateway:
        for frame in frames:
            await gateway.socket.send_message(frame)
        assert await gateway.close_code() == code


async def test_identifying_twice_is_closed_with_4005(gateway: Gateway) -> None:
    await gateway.send_identify(BOT_TOKEN)
    assert await gateway.close_code() == 4005


async def test_an_unknown_api_version_is_closed_with_4012(info: PlaygroundInfo) -> None:
    async with open_gateway(info.gateway_url, version="6", hello=False) as gateway:
        assert await gateway.close_code() == 4012


async def test_a_client_without_heartbeats_is_closed_with_4009(
    info: PlaygroundInfo, control: httpx.AsyncClient
) -> None:
    await control.post("/settings", json={"heartbeat_interval": 0.1})
    async with open_gateway(info.gateway_url) as gateway:
        await gateway.identify(BOT_TOKEN)
        assert await gateway.close_code() == 4009


async def test_a_resume_replays_what_was_missed_in_order(
    info: PlaygroundInfo, gateway: Gateway, ann: httpx.AsyncClient
) -> None:
    await gateway.socket.aclose(4000)
    for number in range(3):
        await post(ann, f"missed {number}")
    async with open_gateway(info.gateway_url) as again:
        await again.resume(BOT_TOKEN, gateway.session_id, gateway.seq)
        contents = [(await again.event())["content"] for _ in range(3)]
        assert contents == [f"missed {number}" for number in range(3)]
        assert (await again.receive())["t"] == "RESUMED"
        await post(ann, "live")
        assert (await again.event())["content"] == "live"
        assert again.seq == gateway.seq + 5


async def test_a_resume_takes_the_session_from_its_old_connection(
    info: PlaygroundInfo, gateway: Gateway
) -> None:
    async with open_gateway(info.gateway_url) as again:
        await again.resume(BOT_TOKEN, gateway.session_id, gateway.seq)
        assert (await again.receive())["t"] == "RESUMED"
        assert await gateway.close_code() == 4000


@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_session_closed_by_its_client_cannot_be_resumed(
    info: PlaygroundInfo, gateway: Gateway, code: int
) -> None:
    await gateway.socket.aclose(code)
    async with open_gateway(info.gateway_url) as again:
        await again.resume(BOT_TOKEN, gateway.session_id, gateway.seq)
        assert await again.receive() == {"t": None, "s": None, "op": 9, "d": False}
        await again.identify(BOT_TOKEN)


async def test_a_number_from_the_future_is_closed_with_4007(info: PlaygroundInfo, gateway: Gateway) -> None:
    await gateway.socket.aclose(4000)
    async with open_gateway(info.gateway_url) as again:
        await again.resume(BOT_TOKEN, gateway.session_id, gateway.seq + 1)
        assert await again.close_code() == 4007


async def test_somebody_elses_session_cannot_be_resumed(info: PlaygroundInfo, gateway: Gateway) -> None:
    async with open_gateway(info.gateway_url) as again:
        await again.resume(HUMAN_TOKENS["ann"], gateway.session_id, gateway.seq)
        assert (await again.receive())["op"] == 9


async def test_each_shard_gets_its_own_guilds(info: PlaygroundInfo, ann: httpx.AsyncClient) -> None:
    names = {}
    for shard in (0, 1):
        async with open_gateway(info.gateway_url) as gateway:
            ready = await gateway.identify(BOT_TOKEN, shard=[shard, 2])
            assert [(int(each["id"]) >> 22) % 2 for each in ready["guilds"]] == [shard]
            names[shard] = (await gateway.event("GUILD_CREATE"))["name"]
            await post(ann, "here", demo.GARDEN_GENERAL)
            if names[shard] == "Garden":
                assert (await gateway.event())["content"] == "here"
            else:
                await gateway.quiet()
    assert sorted(names.values()) == ["Garden", "Greenhouse"]


async def test_without_the_content_intent_only_own_and_mentioning_messages_have_content(
    info: PlaygroundInfo, ann: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    async with open_gateway(info.gateway_url) as gateway:
        await gateway.identify(BOT_TOKEN, intents=ALL_INTENTS & ~(1 << 15))
        await post(ann, "secret")
        assert (await gateway.event("MESSAGE_CREATE"))["content"] == ""
        await post(ann, f"hi <@{info.application_id}>")
        assert (await gateway.event("MESSAGE_CREATE"))["content"].startswith("hi")
        await post(bot, "mine")
        assert (await gateway.event("MESSAGE_CREATE"))["content"] == "mine"


async def test_an_event_needs_its_intent(info: PlaygroundInfo, ann: httpx.AsyncClient) -> None:
    async with open_gateway(info.gateway_url) as gateway:
        await gateway.identify(BOT_TOKEN, intents=1)
        for _ in info.guild_ids:
            await gateway.event("GUILD_CREATE")
        await post(ann, "not for you")
        await gateway.quiet()


async def test_a_hidden_channel_is_silent(gateway: Gateway, ann: httpx.AsyncClient) -> None:
    await post(ann, "no bots here", demo.GARDEN_SHED)
    await gateway.quiet()


async def test_members_are_sent_in_chunks_on_request(gateway: Gateway) -> None:
    await gateway.send(8, {"guild_id": demo.GARDEN, "query": "", "limit": 0, "nonce": "n1"})
    chunk = await gateway.event("GUILD_MEMBERS_CHUNK")
    assert {each["user"]["username"] for each in chunk["members"]} == {"ann", "ben", "cleo", "flora"}
    assert (chunk["chunk_index"], chunk["chunk_count"], chunk["nonce"]) == (0, 1, "n1")
    await gateway.send(8, {"guild_id": demo.GARDEN, "user_ids": [demo.ANN, "1"]})
    chunk = await gateway.event("GUILD_MEMBERS_CHUNK")
    assert [each["user"]["username"] for each in chunk["members"]] == ["ann"]
    assert chunk["not_found"] == ["1"]


async def test_the_bot_can_leave_and_come_back(gateway: Gateway, control: httpx.AsyncClient) -> None:
    await control.post(f"/guilds/{demo.GREENHOUSE}/bot", json={"present": False})
    assert await gateway.event() == {"id": demo.GREENHOUSE}
    await control.post(f"/guilds/{demo.GREENHOUSE}/bot", json={"present": True})
    guild = await gateway.event("GUILD_CREATE")
    assert guild["name"] == "Greenhouse"
    assert guild["channels"]


async def test_an_outage_makes_a_guild_unavailable(gateway: Gateway, control: httpx.AsyncClient) -> None:
    await control.post(f"/guilds/{demo.GARDEN}/outage", json={"unavailable": True})
    assert await gateway.event("GUILD_DELETE") == {"id": demo.GARDEN, "unavailable": True}
    await control.post(f"/guilds/{demo.GARDEN}/outage", json={"unavailable": False})
    assert (await gateway.event("GUILD_CREATE"))["name"] == "Garden"


async def test_a_web_page_of_another_site_cannot_connect(info: PlaygroundInfo) -> None:
    url = info.gateway_url.replace("ws://", "http://")
    headers = {
        "Origin": "https://evil.example",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with httpx.AsyncClient() as client:
        assert (await client.get(url, headers=headers)).status_code == 403


async def test_noise_on_the_port_harms_nobody(info: PlaygroundInfo, gateway: Gateway) -> None:
    port = int(info.gateway_url.rpartition(":")[2])
    for noise in (b"\x00\xff" * 50, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b""):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(noise)
        await stream.aclose()
    await gateway.send(1, gateway.seq)
    assert (await gateway.receive())["op"] == 11


async def test_the_identify_budget_counts_down(
    info: PlaygroundInfo, gateway: Gateway, bot: httpx.AsyncClient
) -> None:
    limit = (await bot.get("/gateway/bot")).json()["session_start_limit"]
    assert limit["total"] - limit["remaining"] == 1
    assert 0 < limit["reset_after"] <= 24 * 3600 * 1000


async def test_identifying_too_fast_is_answered_with_invalid_session(
    info: PlaygroundInfo, gateway: Gateway, control: httpx.AsyncClient, model: Model
) -> None:
    await control.post("/settings", json={"identify_interval": 5, "max_concurrency": 1})
    async with open_gateway(info.gateway_url) as second:
        await second.send_identify(BOT_TOKEN)
        assert await second.receive() == {"t": None, "s": None, "op": 9, "d": False}
