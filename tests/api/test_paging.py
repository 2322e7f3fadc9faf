"""Lists of very many guilds: a page costs what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from flora.actors.status import GuildStatus, stopped
from flora.ids import GuildId, GuildOrder, Snowflake
from tests.api.people import ANN, MANAGE_GUILD
from tests.api.served import GARDEN, Served

MANY = [GuildId(str(10**17 + number)) for number in range(10_000)]


class ManyGuilds:
    """A runtime with all of them, which counts what it is asked for."""

    def __init__(self) -> None:
        self._order = GuildOrder(MANY)
        self.looked_at: list[GuildId] = []
        self.listed = 0

    def guild_ids(self, after: int, limit: int) -> list[GuildId]:
        found = self._order.after(after, limit)
        self.listed += len(found)
        return found

    def guild(self, guild_id: GuildId) -> GuildStatus | None:
        self.looked_at.append(guild_id)
        return stopped(guild_id) if guild_id in self._order else None


@pytest.fixture
def many(served: Served) -> ManyGuilds:
    found = ManyGuilds()
    served.runtime.guild = found.guild  # type: ignore[method-assign]
    served.runtime.guild_ids = found.guild_ids  # type: ignore[method-assign]
    return found


async def pages(api: httpx.AsyncClient, path: str, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: str | None = None
    while True:
        query = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(path, params=query)).raise_for_status().json()
        found.append([item["guild_id"] for item in page["items"]])
        if (cursor := page["next_cursor"]) is None:
            return found


@pytest.mark.parametrize("cursor", [None, MANY[0], MANY[5_000], MANY[-2]])
async def test_one_page_looks_at_its_own_guilds_only(
    many: ManyGuilds, api: httpx.AsyncClient, cursor: str | None
) -> None:
    query = {"limit": "20"} | ({"cursor": cursor} if cursor else {})
    answer = (await api.get("/guilds", params=query)).json()
    assert many.looked_at == [item["guild_id"] for item in answer["items"]]
    assert len(many.looked_at) <= 20
    assert many.listed <= 21


async def test_all_pages_together_are_all_guilds(
    many: ManyGuilds, served: Served, api: httpx.AsyncClient
) -> None:
    absent = [GuildId("5"), GuildId(str(10**18))]  # paused before flora started
    for guild_id in (*absent, MANY[7]):
        served.deployer.paused.add(guild_id)
    seen = [guild_id for page in await pages(api, "/guilds", 1_000) for guild_id in page]
    assert seen == [absent[0], *MANY, absent[1]]
    assert len(many.looked_at) == len(seen)


async def test_whoever_has_two_guilds_of_ten_thousand_finds_them_on_the_first_page(
    many: ManyGuilds, served: Served
) -> None:
    theirs = [MANY[3], MANY[9_998]]
    served.discord.bot_in = set(theirs)
    for guild_id in (*theirs, GARDEN.replace("1", "9")):
        served.discord.permissions[ANN.id, GuildId(guild_id)] = MANAGE_GUILD
    _, text = await served.tokens.create(Snowflake(ANN.id), rights="read", guild_ids=theirs)
    async with await served.browser(ANN) as browser, served.client(token=text) as script:
        for client in (browser, script):
            many.looked_at.clear()
            assert await pages(client, "/guilds", 1) == [[theirs[0]], [theirs[1]]]
            assert len(many.looked_at) <= 8
    assert many.listed == 0


async def test_deployments_come_in_pages_too(served: Served, api: httpx.AsyncClient) -> None:
    guilds = [GuildId(each) for each in ("9", "10", "200", "1000")]
    for guild_id in guilds:
        await served.deployer.deploy(served.revision(guild_id))
    assert await pages(api, "/deployments", 3) == [guilds[:3], guilds[3:]]


def lines_of(call: Callable[[], Any]) -> int:
    """How many lines of Python a call runs."""
    import sys

    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def test_the_order_of_ids_is_read_from_the_middle_without_a_walk() -> None:
    few, all_of_them = GuildOrder(MANY[:100]), GuildOrder(MANY)
    assert lines_of(lambda: few.after(int(MANY[50]), 10)) == lines_of(
        lambda: all_of_them.after(int(MANY[5_000]), 10)
    )
    assert lines_of(lambda: MANY[50] in few) == lines_of(lambda: MANY[50] in all_of_them)
