from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import h11
import httpx
import pytest
import trio

from flora.api.authenticator import OPERATOR_OWNER
from flora.engine.api import LogLevel
from flora.ids import Snowflake
from flora.storage.postgres import DatabaseUnavailableError
from tests.api.people import ANN, MANAGE_GUILD
from tests.api.served import GARDEN, OPERATOR_SECRET, Served, until


@dataclass
class Event:
    name: str
    data: Any
    id: str | None


class Stream:
    """A client of one event stream, as small as a browser's EventSource."""

    def __init__(self, connection: trio.SocketStream) -> None:
        self._connection = connection
        self._http = h11.Connection(h11.CLIENT)
        self._text = ""
        self.headers: dict[str, str] = {}

    async def open(self, path: str, headers: dict[str, str]) -> None:
        request = h11.Request(method="GET", target=path, headers=list({"Host": "flora", **headers}.items()))
        await self._connection.send_all(self._http.send(request) + self._http.send(h11.EndOfMessage()))
        answer = await self._event()
        assert isinstance(answer, h11.Response)
        assert answer.status_code == 200
        self.headers = {name.decode(): value.decode() for name, value in answer.headers}

    async def block(self) -> str:
        """The next lines up to an empty one."""
        while "\n\n" not in self._text:
            data = await self._event()
            assert isinstance(data, h11.Data), "the stream ended"
            self._text += data.data.decode()
        block, _, self._text = self._text.partition("\n\n")
        return block

    async def next(self) -> Event:
        while True:
            fields = dict(line.split(": ", 1) for line in (await self.block()).splitlines())
            if "data" in fields:
                return Event(fields["event"], json.loads(fields["data"]), fields.get("id"))

    async def messages(self, count: int) -> list[str]:
        return [(await self.next()).data["message"] for _ in range(count)]

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._connection.receive_some(65536))
        return event


@asynccontextmanager
async def following(
    served: Served, query: str = "", last_event_id: str | None = None, token: str = OPERATOR_SECRET
) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {token}"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    with trio.fail_after(60):
        async with await trio.open_tcp_stream("127.0.0.1", served.port) as connection:
            stream = Stream(connection)
            await stream.open(f"/logs/{GARDEN}?follow=true{query}", headers)
            yield stream


async def test_the_newest_lines_oldest_first(served: Served, api: httpx.AsyncClient) -> None:
    for number in range(5):
        served.logs.append(GARDEN, LogLevel.INFO, f"line {number}", event_id="0:s:1")
    items = (await api.get(f"/logs/{GARDEN}", params={"limit": 2})).json()["items"]
    assert [item["message"] for item in items] == ["line 3", "line 4"]
    assert set(items[0]) == {"id", "timestamp", "level", "target", "guild_id", "message", "event_id"}
    assert (items[0]["level"], items[0]["target"], items[0]["guild_id"]) == ("info", "flora:js", GARDEN)


async def test_level_and_since_choose(served: Served, api: httpx.AsyncClient) -> None:
    served.logs.append(GARDEN, LogLevel.DEBUG, "detail")
    problem = served.logs.append(GARDEN, LogLevel.ERROR, "problem")
    by_level = (await api.get(f"/logs/{GARDEN}", params={"level": "warn"})).json()["items"]
    later = (await api.get(f"/logs/{GARDEN}", params={"since": problem.timestamp + 1000})).json()["items"]
    assert [item["message"] for item in by_level] == ["problem"]
    assert later == []


@pytest.mark.parametrize("query", ["limit=-1", "limit=1001", "level=loud", "since=yesterday", "follow=maybe"])
async def test_a_wrong_query_is_refused(api: httpx.AsyncClient, query: str) -> None:
    answer = await api.get(f"/logs/{GARDEN}?{query}")
    assert answer.status_code == 422


async def test_following_replays_and_goes_on(served: Served) -> None:
    served.logs.append(GARDEN, LogLevel.INFO, "before")
    async with following(served) as stream:
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-store"
        assert await stream.messages(1) == ["before"]
        served.logs.append(GARDEN, LogLevel.INFO, "after\nin two lines")
        event = await stream.next()
        assert (event.name, event.data["message"]) == ("log", "after\nin two lines")
        assert event.id == str(event.data["id"])


async def test_a_client_that_comes_back_misses_nothing_and_sees_nothing_twice(
    served: Served,
) -> None:
    served.logs.append(GARDEN, LogLevel.INFO, "1")
    async with following(served) as stream:
        seen = await stream.next()
    for text in ("2", "3"):
        served.logs.append(GARDEN, LogLevel.INFO, text)
    async with following(served, last_event_id=seen.id) as stream:
        assert await stream.messages(2) == ["2", "3"]


async def test_a_client_that_was_away_too_long_is_told_how_much_it_missed(
    served: Served,
) -> None:
    first = served.logs.append(GARDEN, LogLevel.INFO, "first")
    for number in range(7_000):
        served.logs.append(GARDEN, LogLevel.INFO, str(number))
    kept = len(served.logs.recent(GARDEN, limit=10_000))
    async with following(served, last_event_id=str(first.id)) as stream:
        event = await stream.next()
        assert (event.name, event.data) == ("dropped", {"count": 7_000 - kept})
        assert await stream.messages(1) == [str(7_000 - kept)]


async def test_the_level_holds_for_a_stream_too(served: Served) -> None:
    async with following(served, "&level=error") as stream:
        for number in range(600):
            served.logs.append(GARDEN, LogLevel.DEBUG, str(number))
        served.logs.append(GARDEN, LogLevel.ERROR, "at last")
        assert await stream.messages(1) == ["at last"]


async def test_a_silent_stream_stays_alive(served: Served) -> None:
    async with following(served) as stream:
        while await stream.block() != ": keep-alive":
            pass


async def test_a_client_that_leaves_leaves_no_follower(served: Served) -> None:
    async with following(served) as stream:
        served.logs.append(GARDEN, LogLevel.INFO, "x")
        await stream.next()
        assert served.logs.statistics().followers == 1
    await until(lambda: served.logs.statistics().followers == 0)


async def test_shutdown_ends_streams_with_a_word(served: Served) -> None:
    async with following(served) as stream:
        served.shutdown.set()
        event = await stream.next()
        assert (event.name, event.data) == ("end", {"reason": "shutdown"})
    with trio.fail_after(60):
        await served.stopped.wait()


@pytest.mark.parametrize("how", ["revoked", "rights", "talkative"])
async def test_a_stream_ends_when_its_reader_may_not_read_any_more(served: Served, how: str) -> None:
    served.discord.bot_in.add(GARDEN)
    served.discord.permissions[ANN.id, GARDEN] = MANAGE_GUILD
    token, text = await served.tokens.create(Snowflake(ANN.id), rights="read")
    async with following(served, token=text) as stream, trio.open_nursery() as nursery:
        served.logs.append(GARDEN, LogLevel.INFO, "theirs")
        assert await stream.messages(1) == ["theirs"]
        if how == "talkative":  # never silent, so it is not the keep-alive that finds out

            async def talk() -> None:
                while True:
                    served.logs.append(GARDEN, LogLevel.INFO, "more")
                    await trio.sleep(0.02)

            nursery.start_soon(talk)
        if how == "rights":
            del served.discord.permissions[ANN.id, GARDEN]
            served.discord.change += 1  # Discord has told of it
        else:
            await served.tokens.revoke(token.user_id, token.id)
        while (event := await stream.next()).name == "log":
            pass
        assert (event.name, event.data) == ("end", {"reason": "forbidden"})
        nursery.cancel_scope.cancel()
    await until(lambda: served.logs.statistics().followers == 0)


async def test_a_stream_goes_on_while_nobody_knows_who_may_read(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def away(_: str) -> None:
        nonlocal asked
        asked += 1
        raise DatabaseUnavailableError("the database is away.")

    _, text = await served.tokens.create(Snowflake(OPERATOR_OWNER), rights="read")
    async with following(served, token=text) as stream:
        monkeypatch.setattr(served.tokens, "verify", away)
        await until(lambda: asked > 1)
        served.logs.append(GARDEN, LogLevel.INFO, "still here")
        assert await stream.messages(1) == ["still here"]


@pytest.mark.parametrize("zone", ["", "Z", "+00:00"])
async def test_a_time_without_a_zone_is_in_utc(
    served: Served, api: httpx.AsyncClient, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        served.logs.append(GARDEN, LogLevel.INFO, "x")
        for seconds, found in ((-60, 1), (60, 0)):
            since = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=seconds)
            answer = await api.get(f"/logs/{GARDEN}", params={"since": f"{since.isoformat()}{zone}"})
            assert len(answer.json()["items"]) == found
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00", "9999-12-31T23:59:59-12:00", "-1", "1e11"])
async def test_any_time_is_an_answer(served: Served, api: httpx.AsyncClient, since: str) -> None:
    served.logs.append(GARDEN, LogLevel.INFO, "x")
    assert (await api.get(f"/logs/{GARDEN}", params={"since": since})).status_code in {200, 422}


@pytest.mark.parametrize("last_id", ["", "abc", "-5", "9" * 30, "1; drop"])
async def test_a_last_event_id_that_is_none_of_ours_counts_as_none(served: Served, last_id: str) -> None:
    served.logs.append(GARDEN, LogLevel.INFO, "replayed")
    async with following(served, last_event_id=last_id) as stream:
        assert await stream.messages(1) == ["replayed"]
