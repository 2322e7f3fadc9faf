"""flora's own shard at the playground: what it asks of Discord over the gateway comes back as events."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio

from flora.gateway.compression import Compression
from flora.gateway.envelope import Op
from flora.gateway.events import GatewayEvent
from flora.gateway.shard import Shard
from flora.ids import GuildId
from flora.playground import BOT_TOKEN, PlaygroundInfo, demo

from .client import DEADLINE

GUILDS = 1 << 0
GUILD_MEMBERS = 1 << 1


@pytest.mark.parametrize("compression", ["none", "zlib-stream", "zstd-stream"])
async def test_members_are_requested_and_come_in_chunks_in_order(
    info: PlaygroundInfo, monkeypatch: pytest.MonkeyPatch, compression: Compression
) -> None:
    monkeypatch.setattr("flora.playground.gateway.connection.MEMBERS_PER_CHUNK", 1)
    told, changed = list[GatewayEvent](), trio.Event()

    def deliver(event: GatewayEvent) -> None:
        told.append(event)
        changed.set()

    def chunks() -> list[dict[str, Any]]:
        return [
            msgspec.json.decode(event.payload)
            for event in told
            if event.name == "GUILD_MEMBERS_CHUNK" and event.guild_id == GuildId(demo.GARDEN)
        ]

    shard = Shard(
        token=BOT_TOKEN,
        gateway_url=info.gateway_url,
        intents=GUILDS | GUILD_MEMBERS,
        deliver=deliver,
        compression=compression,
    )
    # Asked before the session is there: it waits for it.
    shard.command(
        Op.REQUEST_GUILD_MEMBERS, {"guild_id": demo.GARDEN, "query": "", "limit": 0, "nonce": "all"}
    )
    with trio.fail_after(DEADLINE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shard.run)
            while len(chunks()) < 4:
                await changed.wait()
                changed = trio.Event()
            nursery.cancel_scope.cancel()
    assert [each["chunk_index"] for each in chunks()] == [0, 1, 2, 3]
    assert {each["nonce"] for each in chunks()} == {"all"}
    names = {member["user"]["username"] for each in chunks() for member in each["members"]}
    assert names == {"ann", "ben", "cleo", "flora"}
