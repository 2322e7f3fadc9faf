"""Shards as actors, against the playground: what they deliver while their sessions are replaced."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import msgspec
import pytest
import trio

from flora.actors.core import Verdict
from flora.actors.intents import IntentKeeper, IntentPlan
from flora.actors.kernel import ActorRef, ActorSystem, ChildSpec
from flora.actors.shard import ShardActor, ShardMemory, UseIntents
from flora.actors.switchboard import Switchboard
from flora.config import PlaygroundConfig
from flora.gateway.events import GatewayEvent
from flora.gateway.guilds import GuildCache
from flora.gateway.identify import IdentifyGate
from flora.gateway.info import shard_of
from flora.gateway.intents import Intents
from flora.gateway.presence import presence
from flora.gateway.session import FatalGatewayError
from flora.gateway.shard import Shard
from flora.ids import EventId, GuildId
from flora.metrics import Metrics
from flora.playground import PlaygroundInfo, demo, demo_model, serve
from flora.playground.actions.messages import create_message
from flora.playground.drafts import MessageDraft
from flora.playground.model import Model

FIRST = int(Intents.GUILDS | Intents.GUILD_MESSAGES)
DEADLINE = 20.0


class Recorder(Switchboard):
    """Keeps what was accepted: what no earlier event was."""

    def __init__(self) -> None:
        super().__init__(1, Metrics())
        self.accepted: list[GatewayEvent] = []

    def accept(self, event: GatewayEvent) -> Verdict:
        verdict = super().accept(event)
        if verdict is not Verdict.DUPLICATE:
            self.accepted.append(event)
        return verdict

    def messages(self) -> list[str]:
        """The ids of all messages, in the order in which they came."""
        return [
            msgspec.json.decode(event.payload)["id"]
            for event in self.accepted
            if event.name == "MESSAGE_CREATE"
        ]


@dataclass
class Rig:
    info: PlaygroundInfo
    model: Model
    board: Recorder
    control: httpx.AsyncClient
    shards: dict[int, ActorRef[UseIntents]] = field(default_factory=dict)
    memories: dict[int, ShardMemory] = field(default_factory=dict)
    refused: list[FatalGatewayError] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def say(self, channel: str = demo.GARDEN_GENERAL) -> None:
        ann = self.model.users[demo.ANN]
        text = MessageDraft(content=f"{len(self.said)}")
        self.said.append(create_message(self.model, ann, self.model.channels[channel], text).id)

    async def fault(self, **body: Any) -> None:
        (await self.control.post("/faults/gateway", json=body)).raise_for_status()

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(DEADLINE):
            while not condition():
                await trio.sleep(0.01)

    async def talk(self, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        """Say something all the time, until cancelled."""
        with trio.CancelScope() as scope:
            task_status.started(scope)
            while True:
                self.say()
                await trio.sleep(0.001)

    async def connections(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.control.get("/faults")).json()["gateway"]
        return [each for each in found if each["session_id"] is not None]


@asynccontextmanager
async def rig(count: int = 1, **options: Any) -> AsyncIterator[Rig]:
    model = demo_model()
    async with trio.open_nursery() as nursery:
        info = await nursery.start(partial(serve, PlaygroundConfig(port=0, gateway_port=0), state=model))
        url = f"{info.page_url}/playground/api"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as control:
            it = Rig(info, model, Recorder(), control)
            await control.post("/settings", json={"rate_limit_scale": 0})
            async with ActorSystem.open("test") as system:
                await start(it, system, count, **options)
                yield it
        nursery.cancel_scope.cancel()


async def start(it: Rig, system: ActorSystem, count: int, **options: Any) -> None:
    gate = IdentifyGate(max_concurrency=16)
    for shard_id in range(count):

        def make(deliver: Any, on_state: Any, resume: Any, shard_id: int = shard_id) -> Shard:
            return Shard(
                token=it.info.bot_token,
                gateway_url=it.info.gateway_url,
                intents=FIRST,
                deliver=deliver,
                on_state=on_state,
                shard_id=shard_id,
                shard_count=count,
                resume=resume,
                gate=gate,
                **options,
            )

        memory = it.memories[shard_id] = ShardMemory(shard_id, it.board.core.sessions, intents=FIRST)
        actor = partial(ShardActor, make, it.board, GuildCache(), memory, it.refused.append)
        spec: ChildSpec[UseIntents] = ChildSpec(f"shard-{shard_id}", actor)
        it.shards[shard_id] = await system.spawn(spec)
    for memory in it.memories.values():
        await it.until(lambda memory=memory: memory.state is not None and memory.state.phase == "ready")


@pytest.fixture(autouse=True)
def quick_identify(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discord's pause between two identifies of a shard is five seconds; the playground asks for none."""
    monkeypatch.setattr("flora.gateway.identify.IDENTIFY_INTERVAL", 0.05)


MORE = [
    FIRST | Intents.MESSAGE_CONTENT,
    FIRST | Intents.MESSAGE_CONTENT | Intents.GUILD_MESSAGE_REACTIONS,
    FIRST | Intents.MESSAGE_CONTENT | Intents.GUILD_MESSAGE_REACTIONS | Intents.GUILD_MEMBERS,
]


async def test_more_intents_under_load_lose_double_and_reorder_nothing() -> None:
    async with rig() as it, trio.open_nursery() as nursery:
        talking = await nursery.start(it.talk)
        for number, intents in enumerate(MORE, 1):
            await it.until(lambda said=40 * number: len(it.said) > said)
            await it.shards[0].ask(UseIntents(int(intents)), deadline=DEADLINE)
            [connection] = await it.connections()
            assert connection["intents"] == intents
        talking.cancel()
        await it.until(lambda: len(it.board.messages()) >= len(it.said))
        assert it.board.messages() == it.said
        assert it.memories[0].state is not None
        assert it.memories[0].state.phase == "ready"


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "delay", "seconds": 0.005},
        {"action": "drop"},
        {"action": "reconnect"},
        {"action": "close", "code": 4000},
        {"action": "drop", "at": "ready"},
        {"action": "invalid_session", "resumable": False, "at": "identify"},
    ],
    ids=lambda fault: "-".join(str(part) for part in fault.values()),
)
async def test_a_handover_with_a_fault_in_it(fault: dict[str, Any]) -> None:
    """Of the old session, or (`at`) of the new one."""
    async with rig() as it, trio.open_nursery() as nursery:
        talking = await nursery.start(it.talk)
        await trio.sleep(0.1)
        await it.fault(**fault)
        await it.shards[0].ask(UseIntents(int(MORE[0])), deadline=DEADLINE)
        talking.cancel()
        await it.until(lambda: len(it.board.messages()) >= len(it.said))
        assert it.board.messages() == it.said


async def test_intents_that_discord_refuses_leave_the_session_as_it_is() -> None:
    async with rig() as it, trio.open_nursery() as nursery:
        talking = await nursery.start(it.talk)
        await it.control.post("/settings", json={"allowed_privileged": 0})
        [before] = await it.connections()
        with pytest.raises(FatalGatewayError) as refused:
            await it.shards[0].ask(UseIntents(int(MORE[0])), deadline=DEADLINE)
        assert refused.value.close_code == 4014
        assert "Message Content Intent" in str(refused.value)
        [after] = await it.connections()
        assert after["session_id"] == before["session_id"]
        talking.cancel()
        await it.until(lambda: len(it.board.messages()) >= len(it.said))
        assert it.board.messages() == it.said
        assert it.refused == []


async def test_fewer_intents_or_the_same_keep_the_session() -> None:
    async with rig() as it:
        [before] = await it.connections()
        await it.shards[0].ask(UseIntents(FIRST), deadline=DEADLINE)
        await it.shards[0].ask(UseIntents(int(Intents.GUILDS)), deadline=DEADLINE)
        [after] = await it.connections()
        assert after["session_id"] == before["session_id"]


async def test_until_its_events_are_done_the_replaced_session_is_the_one_to_resume() -> None:
    async with rig() as it:
        sessions, memory = it.board.core.sessions, it.memories[0]
        old = memory.resume_point()
        assert old is not None
        under_way = EventId(0, old.session_id, old.seq + 1)
        assert sessions.admit(under_way), "an event that a script has not done"
        await it.shards[0].ask(UseIntents(int(MORE[0])), deadline=DEADLINE)
        assert memory.stored_point() == old
        sessions.done(under_way)
        new = memory.stored_point()
        assert new is not None
        assert new.session_id != old.session_id
        assert new.intents == MORE[0]


async def test_several_shards_get_the_events_of_their_guilds() -> None:
    async with rig(4) as it:
        channels = {demo.GARDEN: demo.GARDEN_GENERAL, demo.GREENHOUSE: first_channel(it.model)}
        for _ in range(5):
            for channel in channels.values():
                it.say(channel)
        await it.until(lambda: len(it.board.messages()) == 10)
        for event in it.board.accepted:
            if event.guild_id is not None:
                assert event.id.shard == shard_of(event.guild_id, 4)
        assert {each["shard"][0] for each in await it.connections()} == {0, 1, 2, 3}
        assert sorted(it.board.messages()) == sorted(it.said)


def first_channel(model: Model) -> str:
    guild = model.guilds[demo.GREENHOUSE]
    return next(channel.id for channel in guild.channels.values() if channel.has_messages)


@pytest.mark.parametrize("compression", ["none", "zlib-stream", "zstd-stream"])
async def test_presence_and_compression_are_the_configured_ones(compression: str) -> None:
    shown = presence("idle", "in the garden", "watching")
    async with rig(presence=shown, compression=compression) as it:
        assert [each["status"] for each in await it.connections()] == ["idle"]
        it.say()
        await it.until(lambda: it.board.messages() == it.said)


class Scripts:
    """What a router tells of its scripts."""

    def __init__(self) -> None:
        self.listens: dict[GuildId, frozenset[str]] = {}

    def listened(self) -> Iterable[tuple[GuildId, frozenset[str]]]:
        return self.listens.items()


async def test_intents_follow_what_scripts_listen_to(nursery: trio.Nursery) -> None:
    scripts, notices = Scripts(), list[tuple[GuildId, str]]()
    plan = IntentPlan(None, Intents.MESSAGE_CONTENT)
    async with rig(2) as it, ActorSystem.open("keeper") as system:
        keeper = partial(
            IntentKeeper,
            plan,
            scripts,  # type: ignore[arg-type]
            it.shards,
            FIRST,
            lambda guild, text: notices.append((guild, text)),
            between=0.1,
        )
        await system.spawn(ChildSpec("intents", keeper))
        scripts.listens[GuildId(demo.GARDEN)] = frozenset({"MESSAGE_REACTION_ADD", "GUILD_MEMBER_ADD"})
        wanted = FIRST | Intents.GUILD_MESSAGE_REACTIONS
        with trio.fail_after(DEADLINE):
            while {each["intents"] for each in await it.connections()} != {int(wanted)}:
                await trio.sleep(0.05)
        [(guild, text)] = notices
        assert guild == demo.GARDEN
        assert "Server Members Intent" in text


def test_the_plan() -> None:
    members = frozenset({"GUILD_MEMBER_ADD"})
    messages = frozenset({"MESSAGE_CREATE"})
    plan = IntentPlan(None, Intents.GUILD_MEMBERS)
    assert plan.first([members]) == Intents.GUILDS | Intents.GUILD_MEMBERS
    assert plan.first([messages]) == Intents.GUILDS | Intents.GUILD_MESSAGES, "content is not granted"
    assert plan.withheld(messages) == Intents.MESSAGE_CONTENT
    assert plan.withheld(members) == Intents.NONE
    assert not plan.first([]) & (Intents.GUILD_MEMBERS | Intents.MESSAGE_CONTENT)
    assert plan.first([]) & Intents.GUILD_MESSAGES, "what most scripts want"
    assert plan.more(int(Intents.GUILD_MODERATION), []) == Intents.GUILDS | Intents.GUILD_MODERATION
    fixed = IntentPlan(513, Intents.NONE)
    assert fixed.first([members]) == fixed.more(513, [members]) == 513
    assert fixed.withheld(members) == Intents.GUILD_MEMBERS
