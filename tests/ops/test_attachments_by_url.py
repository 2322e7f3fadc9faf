"""Attachments by URL: fetched through the egress policy, then uploaded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from flora.config import EgressConfig
from flora.engine.api import OpError
from flora.net.egress import Policy
from flora.net.egress_connector import GuardedConnector
from flora.ops.fetcher import Fetcher
from tests.net.loopback import Answer, Request, Server, http_server

from .world import CHANNEL, GUILD, World, world


async def files(request: Request) -> Answer:
    if request.target == "/missing.png":
        return Answer(404, b"no")
    if request.target == "/away":
        return Answer(302, b"", [("location", "http://169.254.169.254/latest/meta-data/")])
    return Answer(200, b"PNG", [("content-type", "image/png")])


async def resolve(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@asynccontextmanager
async def uploading(*private: str) -> AsyncIterator[tuple[World, Server]]:
    config = EgressConfig(allow_private_addresses=private)
    fetcher = Fetcher(config, connector=GuardedConnector(Policy(config), resolver=resolve))
    async with world() as found, http_server(files) as server:
        found.ctx = replace(found.ctx, fetch=fetcher.session(GUILD))
        yield found, server


async def send(found: World, **attachment: str) -> None:
    await found.op("send_message", {"channelId": CHANNEL, "content": "x", "attachments": [attachment]})


async def test_a_file_by_url_is_fetched_and_uploaded() -> None:
    async with uploading("127.0.0.1") as (found, server):
        await send(found, url=f"http://cdn.test:{server.port}/a/leaf%20one.png?size=2")
        body = found.deeds[-1].body
        assert b'filename="leaf one.png"' in body
        assert b"Content-Type: image/png\r\n\r\nPNG" in body
        await send(found, url=f"http://cdn.test:{server.port}/", filename="b.txt", contentType="text/plain")
        assert b'filename="b.txt"' in found.deeds[-1].body
        assert b"Content-Type: text/plain" in found.deeds[-1].body


async def test_what_may_not_be_fetched_is_not_sent() -> None:
    async with uploading("127.0.0.1") as (found, server):
        base = f"http://cdn.test:{server.port}"
        for url, code in (
            (f"{base}/missing.png", "FETCH_FAILED"),
            (f"{base}/away", "EGRESS_DENIED"),
            ("http://169.254.169.254/", "EGRESS_DENIED"),
            ("file:///etc/passwd", "INVALID_URL"),
        ):
            with pytest.raises(OpError) as raised:
                await send(found, url=url)
            assert raised.value.error_code == code
        assert found.deeds == []


async def test_without_an_opened_network_nothing_of_this_machine_is_reached() -> None:
    async with uploading() as (found, server):
        for host in ("127.0.0.1", "localhost", "cdn.test", "[::1]"):
            with pytest.raises(OpError, match="public"):
                await send(found, url=f"http://{host}:{server.port}/")
        assert server.connections == 0
        assert found.deeds == []
