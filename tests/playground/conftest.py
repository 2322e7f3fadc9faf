"""A running playground for each test, on ports of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest
import trio

from flora.config import PlaygroundConfig
from flora.playground import BOT_TOKEN, HUMAN_TOKENS, PlaygroundInfo, demo_model, serve
from flora.playground.model import Model
from tests import openapi

from .client import Gateway, open_gateway

ANY_PORT = PlaygroundConfig(port=0, gateway_port=0)


@pytest.fixture
def model() -> Model:
    return demo_model()


@pytest.fixture
async def limited(model: Model, nursery: trio.Nursery) -> PlaygroundInfo:
    """With Discord's rate limits."""
    with trio.fail_after(30):
        return await nursery.start(partial(serve, ANY_PORT, state=model))


@pytest.fixture
async def info(limited: PlaygroundInfo) -> PlaygroundInfo:
    """Without rate limits, which most tests are not about."""
    async with httpx.AsyncClient(base_url=limited.page_url, timeout=30) as client:
        await client.post("/playground/api/settings", json={"rate_limit_scale": 0})
    return limited


@pytest.fixture
async def bot(info: PlaygroundInfo) -> AsyncIterator[httpx.AsyncClient]:
    """REST as the bot."""
    async with rest(info, BOT_TOKEN) as client:
        yield client


@pytest.fixture
async def ann(info: PlaygroundInfo) -> AsyncIterator[httpx.AsyncClient]:
    """REST as the human user ann."""
    async with rest(info, HUMAN_TOKENS["ann"]) as client:
        yield client


@pytest.fixture
async def control(info: PlaygroundInfo) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{info.page_url}/playground/api", timeout=30) as client:
        yield client


@pytest.fixture
async def gateway(info: PlaygroundInfo) -> AsyncIterator[Gateway]:
    """The bot's gateway session, identified with all intents, past READY and the guilds."""
    async with open_gateway(info.gateway_url) as connection:
        await connection.identify(BOT_TOKEN)
        for _ in info.guild_ids:
            await connection.event("GUILD_CREATE")
        yield connection


def rest(info: PlaygroundInfo, token: str) -> httpx.AsyncClient:
    """A REST client for which every answer must be as Discord describes it, where the description is."""
    return httpx.AsyncClient(
        base_url=info.rest_url,
        headers={"Authorization": f"Bot {token}"},
        timeout=30,
        trust_env=False,
        event_hooks={"response": [_check] if openapi.available() else []},
    )


async def _check(response: httpx.Response) -> None:
    text = await response.aread()
    body = json.loads(text) if text else None
    if response.status_code >= 500:  # on purpose: Discord describes no server errors
        return
    if response.status_code == 404 and body == {"message": "404: Not Found", "code": 0}:
        return
    path = response.request.url.raw_path.decode().partition("?")[0].removeprefix("/api/v10")
    assert openapi.check_response(response.request.method, path, response.status_code, body) == []
