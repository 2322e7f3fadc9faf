"""Ids, tokens and times are the same in every run when they are asked to be."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import trio

from flora.playground import BOT_TOKEN, PlaygroundInfo, demo, serve
from flora.playground.snowflake import created_at

from .client import open_gateway
from .conftest import ANY_PORT, rest
from .test_rest import MESSAGES

START = 1_893_456_000.0  # 2030


async def live(info: PlaygroundInfo) -> list[Any]:
    """A short life; returns what would differ from run to run."""
    seen: list[Any] = []
    control = httpx.AsyncClient(base_url=f"{info.page_url}/playground/api")
    async with control, rest(info, BOT_TOKEN) as bot, open_gateway(info.gateway_url) as gateway:
        await control.post("/clock", json={"at": START, "seed": 5})
        seen.append((await gateway.identify(BOT_TOKEN))["session_id"])
        for _ in range(8):  # beyond the limit of five, which ends with no window here
            seen.append((await bot.post(MESSAGES, json={"content": "x"})).json())
        await control.post("/clock", json={"advance": 60})
        seen.append((await bot.post(MESSAGES, json={"content": "later"})).json())
        seen.append((await bot.post(f"/channels/{demo.GARDEN_GENERAL}/invites", json={})).json()["code"])
        hook = await bot.post(f"/channels/{demo.GARDEN_GENERAL}/webhooks", json={"name": "h"})
        seen.append(hook.json().get("token"))
    return seen


async def test_the_same_life_gives_the_same_ids_tokens_and_times() -> None:
    lives = []
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            info = await nursery.start(partial(serve, ANY_PORT))
            lives.append(await live(info))
            nursery.cancel_scope.cancel()
    assert lives[0] == lives[1]
    first, last = lives[0][1], lives[0][9]
    assert created_at(first["id"]) == START
    assert last["timestamp"] == "2030-01-01T00:01:00.000000+00:00"


async def test_a_clock_that_goes_is_turned_on_and_one_that_stood_goes_on(control: httpx.AsyncClient) -> None:
    now = (await control.get("/clock")).json()["now"]
    turned = (await control.post("/clock", json={"advance": 3600})).json()
    assert turned["now"] >= now + 3600
    assert not turned["stands"]
    stood = (await control.post("/clock", json={"stand": True})).json()
    assert (await control.get("/clock")).json() == stood
    gone_on = (await control.post("/clock", json={"stand": False})).json()
    assert gone_on["now"] >= stood["now"]
    assert not gone_on["stands"]
    for wrong in ({"at": "soon"}, {"at": -1}, {"at": 1, "stand": False}, {"advance": -1}):
        assert (await control.post("/clock", json=wrong)).status_code == 400
