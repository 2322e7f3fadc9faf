"""Changes of guilds' scripts that take longer than who asked for them waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import pytest
import trio

from flora.actors.deployer import ChangeTimeoutError, Deployer, DeployLostError, Deployments
from flora.actors.kernel import ActorSystem, ChildSpec, Intensity
from flora.actors.runtime import GuildRuntime
from flora.actors.script import DeployedScript
from flora.build.types import Bundle
from flora.config import RuntimeConfig
from flora.errors import FloraError
from flora.ids import GuildId, GuildOrder
from flora.storage.deployments import Actor, DeploymentStore, NewRevision, Revision
from flora.storage.pauses import GuildPauses

GUILD = GuildId("10")
ANN = Actor("session", "7", "ann")
LONG = 60.0


@dataclass
class Paper:
    """A database and a runtime that do as they are told."""

    let_go: trio.Event = field(default_factory=trio.Event)
    begun: int = 0
    fault: Exception | None = None
    stored: list[NewRevision] = field(default_factory=list)
    guilds: GuildOrder = field(default_factory=GuildOrder)

    async def deploy(self, script: DeployedScript) -> None:
        self.begun += 1
        await self.let_go.wait()
        if self.fault is not None:
            raise self.fault

    async def get(self, guild_id: GuildId) -> None:
        return None

    async def record_success(self, new: NewRevision) -> Revision:
        self.stored.append(new)
        return Revision(
            uuid4(), GUILD, "a.ts", "success", datetime.now(UTC), "api", ANN, None, None, None, None
        )

    async def record_failure(self, new: NewRevision, error: str) -> None:
        return None

    async def learn(self, *_: Any) -> None:
        return None


@asynccontextmanager
async def deploying(deadline: float) -> AsyncIterator[tuple[Paper, Deployments]]:
    paper = Paper()
    store, pauses = cast(DeploymentStore, paper), cast(GuildPauses, paper)
    deployer = Deployer(store, cast(GuildRuntime, paper), RuntimeConfig(), paper.learn, pauses)
    async with ActorSystem.open("test") as system:
        spec = ChildSpec("deployer", lambda: deployer, intensity=Intensity(restarts=3, within=60.0))
        ref = await system.spawn(spec)
        yield paper, Deployments(ref, store, pauses, deployer.pending, deadline=deadline)


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(LONG):
        while not condition():
            await trio.sleep(0.01)


def new(code: str = "1") -> NewRevision:
    return NewRevision(GUILD, Bundle("a.ts", code, "", ()), "api", ANN)


async def test_a_deploy_that_outlives_its_request_is_carried_out_and_seen_until_then() -> None:
    async with deploying(0.05) as (paper, deployments):
        with pytest.raises(ChangeTimeoutError, match="it goes on"):
            await deployments.deploy(new())
        [pending] = deployments.pending(GUILD)
        assert (pending.kind, pending.author) == ("deploy", ANN)
        assert paper.stored == []
        paper.let_go.set()
        await until(lambda: not deployments.pending(GUILD))
        assert len(paper.stored) == 1


async def test_so_is_one_whose_asker_left_and_those_behind_it_wait() -> None:
    async with deploying(LONG) as (paper, deployments), trio.open_nursery() as nursery:
        nursery.start_soon(deployments.deploy, new("1"))
        await until(lambda: paper.begun == 1)
        nursery.start_soon(deployments.deploy, new("2"))
        await until(lambda: len(deployments.pending(GUILD)) == 2)
        nursery.cancel_scope.cancel()
        assert [each.kind for each in deployments.pending(GUILD)] == ["deploy", "deploy"]
        assert deployments.pending(GuildId("30")) == ()
        paper.let_go.set()
        with trio.CancelScope(shield=True):
            await until(lambda: not deployments.pending(GUILD))
        assert [each.bundle.code for each in paper.stored] == ["1", "2"]


async def test_one_who_is_patient_hears_how_it_ended() -> None:
    async with deploying(0.05) as (paper, deployments), trio.open_nursery() as nursery:
        ended: list[Revision] = []

        async def wait() -> None:
            ended.append(await deployments.patient().deploy(new("patient")))

        nursery.start_soon(wait)
        await until(lambda: paper.begun == 1)
        with pytest.raises(ChangeTimeoutError):
            await deployments.deploy(new("in a hurry"))
        assert ended == []
        paper.let_go.set()
        await until(lambda: len(ended) == 1)


async def test_a_service_that_was_restarted_takes_changes_again() -> None:
    async with deploying(LONG) as (paper, deployments):
        paper.fault = RuntimeError("a fault of ours")
        paper.let_go.set()
        with pytest.raises(FloraError) as lost:
            await deployments.deploy(new())
        assert isinstance(lost.value, DeployLostError) or lost.value.code.startswith("ACTOR_")
        await until(lambda: not deployments.pending(GUILD))
        paper.fault = None
        await deployments.deploy(new())
        assert len(paper.stored) == 1
