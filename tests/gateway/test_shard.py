"""A shard against a gateway on loopback: whatever happens, no event is lost or comes twice."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from flora.gateway.compression import Compression
from flora.gateway.envelope import Op
from flora.gateway.events import GatewayEvent
from flora.gateway.identify import IDENTIFY_INTERVAL, IdentifyGate
from flora.gateway.session import FatalGatewayError, ResumePoint
from flora.gateway.shard import Shard, ShardState
from flora.net.websocket import WebSocket
from tests.gateway.fake_gateway import FakeGateway, Link, Session, fake_gateway

DEADLINE = 30.0


class Client:
    """A shard and all that it told."""

    def __init__(self, gateway: FakeGateway, **options: Any) -> None:
        self.events: list[GatewayEvent] = []
        self.states: list[ShardState] = []
        self._changed = trio.Event()
        options.setdefault("gate", free_gate())
        self.shard = Shard(
            token="token",
            gateway_url=gateway.url,
            intents=513,
            deliver=self._event,
            on_state=self._state,
            jitter=lambda: 0.1,
            **options,
        )

    async def got(self, count: int) -> None:
        await self.until(lambda: len(self.messages) >= count)

    async def phase(self, phase: str) -> None:
        await self.until(lambda: self.shard.state.phase == phase)

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(DEADLINE):
            while not condition():
                await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _event(self, event: GatewayEvent) -> None:
        self.events.append(event)
        self._tell()

    def _state(self, state: ShardState) -> None:
        self.states.append(state)
        self._tell()

    @property
    def messages(self) -> list[int]:
        return [
            int(event.payload.split(b'"n": ')[1].rstrip(b"}")) for event in self.events if event.name == "M"
        ]

    @property
    def phases(self) -> list[str]:
        return [state.phase for state in self.states]


def free_gate() -> IdentifyGate:
    """Lets every test identify as often as it likes."""

    class Free(IdentifyGate):
        @asynccontextmanager
        async def slot(self, shard_id: int) -> AsyncIterator[Any]:
            self._buckets.clear()
            async with super().slot(shard_id) as slot:
                yield slot

    return Free()


@asynccontextmanager
async def online(**options: Any) -> AsyncIterator[tuple[FakeGateway, Client, Session]]:
    """A gateway, a shard that is ready, and its session."""
    async with fake_gateway() as gateway:
        client = Client(gateway, **options)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.shard.run)
            await client.phase("ready")
            (session,) = gateway.sessions.values()
            yield gateway, client, session
            nursery.cancel_scope.cancel()


async def send(gateway: FakeGateway, session: Session, numbers: range) -> None:
    for number in numbers:
        await gateway.dispatch(session, "M", {"guild_id": "100", "n": number})


@pytest.mark.parametrize("compression", ["none", "zlib-stream", "zstd-stream"])
async def test_events_arrive_in_order_through_every_compression(compression: Compression) -> None:
    async with online(compression=compression) as (gateway, client, session):
        assert client.phases[:3] == ["connecting", "identifying", "ready"]
        state = client.shard.state
        assert state.ready is not None
        assert (state.ready.application_id, state.session_id) == ("2", session.id)
        await send(gateway, session, range(200))
        await gateway.dispatch(session, "GUILD_CREATE", {"id": "100", "members": ["x" * 100] * 80_000})
        await send(gateway, session, range(200, 210))
        await client.got(210)
    assert client.messages == list(range(210))
    assert [event.id.seq for event in client.events] == list(range(1, 213))


async def test_cancelling_closes_for_a_resume_and_the_next_process_resumes() -> None:
    async with fake_gateway() as gateway:
        first = Client(gateway)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.shard.run)
            await first.phase("ready")
            session = gateway.sessions["session-0"]
            await send(gateway, session, range(5))
            await first.got(5)
            nursery.cancel_scope.cancel()
        await gateway.until(lambda: gateway.closes == [4000])
        assert first.phases[-1] == "stopped"
        await send(gateway, session, range(5, 10))  # while nobody is there

        # Two of the five were not done when the process ended: they come again.
        point = first.shard.session.resume
        assert point is not None
        second = Client(
            gateway, resume=ResumePoint(point.session_id, point.resume_gateway_url, point.seq - 2)
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.shard.run)
            await second.got(7)
            nursery.cancel_scope.cancel()
        assert second.messages == list(range(3, 10))
        assert "resuming" in second.phases
        assert len(gateway.identifies) == 1


Fault = Callable[[FakeGateway, Link], Awaitable[None]]


async def cut(gateway: FakeGateway, link: Link) -> None:
    await link.cut()


async def reconnect(gateway: FakeGateway, link: Link) -> None:
    await link.send(7)


async def interrupted(gateway: FakeGateway, link: Link) -> None:
    await link.send(9, True)


async def garbage(gateway: FakeGateway, link: Link) -> None:
    await link.ws.send_message(b"\x00\xff nothing that any decoder reads \x00\x00\xff\xff")


async def not_json(gateway: FakeGateway, link: Link) -> None:
    await link.ws.send_message(link.deflater.message(b"{{{"))


async def stalled(gateway: FakeGateway, link: Link) -> None:
    """Looks open, carries nothing: no event, no acknowledgement."""
    gateway.acknowledge = False
    if link.session is not None:
        link.session.link = None


def closing(code: int) -> Fault:
    async def fault(gateway: FakeGateway, link: Link) -> None:
        await link.close(code)

    fault.__name__ = f"close_{code}"
    return fault


RESUMABLE = [
    cut,
    reconnect,
    interrupted,
    garbage,
    not_json,
    stalled,
    *map(closing, (1000, 1001, 1011, 4000, 4001, 4002, 4005, 4008, 4242)),
]


@pytest.mark.parametrize("fault", RESUMABLE, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("phase", ["hello", "ready", "load", "replay"])
async def test_no_fault_in_any_phase_loses_repeats_or_reorders_an_event(fault: Fault, phase: str) -> None:
    async with fake_gateway() as gateway:
        gateway.heartbeat_interval = 150 if fault is stalled else 10_000
        faults = itertools.count()

        async def at_hello(link: Link) -> None:
            if phase == "hello" and next(faults) == 0:
                await fault(gateway, link)

        gateway.on_hello = at_hello
        client = Client(gateway)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.shard.run)
            if phase == "hello":
                await gateway.until(lambda: len(gateway.links) > 1, DEADLINE)
                gateway.acknowledge = True
            await client.phase("ready")
            session = gateway.sessions["session-0"]
            await gateway.until(lambda: session.link is not None)
            link = session.link
            assert link is not None
            if phase == "ready":
                await fault(gateway, link)
                await send(gateway, session, range(20))
            elif phase == "load":
                await send(gateway, session, range(10))
                nursery.start_soon(send, gateway, session, range(10, 20))
                await fault(gateway, link)
            elif phase == "replay":
                await link.cut()
                await send(gateway, session, range(15))
                await gateway.until(lambda: session.link is not None and session.link is not link, DEADLINE)
                assert session.link is not None
                await fault(gateway, session.link)
                await send(gateway, session, range(15, 20))
            else:
                await send(gateway, session, range(20))
            await trio.sleep(0.2 if fault is stalled else 0)
            await gateway.until(
                lambda: fault is not stalled or phase == "hello" or len(gateway.links) > 1, DEADLINE
            )
            gateway.acknowledge = True
            await client.got(20)
            nursery.cancel_scope.cancel()
        assert client.messages == list(range(20))
        assert len(gateway.sessions) == 1
        assert not {1000, 1001} & set(gateway.closes)


@pytest.mark.parametrize("code", [4003, 4007, 4009])
async def test_close_codes_that_end_the_session_start_a_new_one(code: int) -> None:
    async with online() as (gateway, client, session):
        assert session.link is not None
        await session.link.close(code)
        await gateway.until(lambda: len(gateway.sessions) == 2, DEADLINE)
        await send(gateway, gateway.sessions["session-1"], range(3))
        await client.got(3)
        assert gateway.resumes == []


async def test_an_invalid_session_starts_a_new_one() -> None:
    async with online() as (gateway, client, session):
        gateway.refuse_resume = True
        assert session.link is not None
        await session.link.cut()
        await gateway.until(lambda: len(gateway.sessions) == 2, DEADLINE)
        assert len(gateway.resumes) == 1
        await send(gateway, gateway.sessions["session-1"], range(3))
        await client.got(3)


@pytest.mark.parametrize("code", [4004, 4010, 4011, 4012, 4013, 4014])
async def test_fatal_close_codes_end_the_shard_with_what_to_do(code: int) -> None:
    async with fake_gateway() as gateway:

        async def refuse(link: Link) -> bool:
            await link.close(code)
            return True

        gateway.on_identify = refuse
        client = Client(gateway)
        with trio.fail_after(DEADLINE), pytest.raises(FatalGatewayError) as caught:
            await client.shard.run()
        assert caught.value.close_code == code
        assert client.phases[-1] == "refused"
        assert client.states[-1].reason == str(caught.value)
        assert len(gateway.links) == 1


async def test_a_gateway_that_is_away_is_tried_again_ever_more_slowly() -> None:
    async with fake_gateway() as gateway:
        url = gateway.url
    client = Client(gateway)
    assert gateway.url == url

    def waits() -> list[float | None]:
        return [state.retry_in for state in client.states if state.phase == "waiting"]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.shard.run)
        await client.until(lambda: len(waits()) >= 2)
        nursery.cancel_scope.cancel()
    assert all(later > earlier for earlier, later in itertools.pairwise(filter(None, waits())))
    assert "cannot connect" in (client.states[-1].reason or "")


async def test_a_gateway_that_ends_every_session_at_once_is_not_hammered() -> None:
    async with fake_gateway() as gateway:
        client = Client(gateway)

        async def cut_when_ready() -> None:
            while True:
                await gateway.until(lambda: any(s.link for s in gateway.sessions.values()), 60)
                for session in gateway.sessions.values():
                    if session.link is not None:
                        await session.link.cut()
                        session.link = None

        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.shard.run)
            nursery.start_soon(cut_when_ready)
            await gateway.until(lambda: len(gateway.links) >= 4)
            nursery.cancel_scope.cancel()
        waits = [state.retry_in for state in client.states if state.phase == "waiting"]
        assert len(waits) >= len(gateway.links) - 2, "the first one is not yet a pattern"
        assert all(later > earlier for earlier, later in itertools.pairwise(filter(None, waits)))


async def test_a_demanded_heartbeat_is_answered_at_once() -> None:
    async with online() as (gateway, _, session):
        link = session.link
        assert link is not None
        await link.send(1)
        await gateway.until(lambda: any(message["op"] == 1 for message in link.received))


async def test_commands_reach_discord() -> None:
    async with online() as (gateway, client, session):
        link = session.link
        assert link is not None
        client.shard.command(Op.REQUEST_GUILD_MEMBERS, {"guild_id": "100", "query": "", "limit": 0})
        await gateway.until(lambda: any(message["op"] == 8 for message in link.received))


async def test_a_delivery_that_fails_ends_the_shard() -> None:
    def deliver(event: GatewayEvent) -> None:
        raise LookupError(event.name)

    async with fake_gateway() as gateway:
        shard = Shard(token="t", gateway_url=gateway.url, intents=0, deliver=deliver)
        with trio.fail_after(DEADLINE), pytest.RaisesGroup(LookupError):
            await shard.run()
        assert shard.state.phase == "stopped"
        await gateway.until(lambda: gateway.closes == [4000])


async def test_the_token_is_never_sent_without_tls_where_the_gateway_has_it() -> None:
    point = ResumePoint("a", "ws://plain.example", 1)
    shard = Shard(
        token="t", gateway_url="wss://gateway.example", intents=0, deliver=lambda _: None, resume=point
    )
    assert shard._url().startswith("wss://gateway.example/?")


async def test_shards_of_one_bucket_identify_five_seconds_apart(
    autojump_clock: trio.testing.MockClock,
) -> None:
    gate = IdentifyGate(max_concurrency=2)
    times: dict[int, float] = {}

    async def shard(number: int) -> None:
        async with gate.slot(number) as slot:
            await trio.sleep(0.5)  # connecting takes its time
            times[number] = trio.current_time()
            slot.used()
            await trio.sleep(100)  # the connection lives on

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(shard, number)
    for bucket in (0, 1):
        own = sorted(times[number] for number in times if number % 2 == bucket)
        assert all(later - earlier >= IDENTIFY_INTERVAL for earlier, later in itertools.pairwise(own))
    assert max(times.values()) - start <= 3 * 0.5 + 2 * IDENTIFY_INTERVAL + 0.01


async def test_a_connection_that_failed_gives_its_turn_to_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    gate = IdentifyGate()
    start = trio.current_time()
    for _ in range(10):
        async with gate.slot(0):
            pass
    assert trio.current_time() - start < 1


async def test_a_ready_that_overtakes_the_end_of_sending_gives_the_turn_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = IdentifyGate()
    plain_send = WebSocket.send

    async def slow_send(socket: WebSocket, text: str) -> None:
        await plain_send(socket, text)
        if json.loads(text)["op"] == Op.IDENTIFY:
            await client.phase("ready")

    async with fake_gateway() as gateway, trio.open_nursery() as nursery:
        client = Client(gateway, gate=gate)
        monkeypatch.setattr(WebSocket, "send", slow_send)
        nursery.start_soon(client.shard.run)
        with trio.fail_after(DEADLINE):
            while gate.remaining == 1000:
                await trio.sleep(0.01)
        assert gate.remaining == 999
        nursery.cancel_scope.cancel()


async def test_an_empty_identify_budget_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    gate = IdentifyGate(remaining=1, total=1000, reset_after=3600.0)
    start = trio.current_time()
    async with gate.slot(0) as slot:
        slot.used()
    async with gate.slot(0) as slot:
        slot.used()
    assert trio.current_time() - start == pytest.approx(3600, abs=1)
    assert gate.remaining == 999
