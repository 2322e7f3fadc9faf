"""The guild runtime under many schedules: whatever is moved, killed, crashed and deployed at once, no event
is lost, doubled, reordered or handled by somebody who does not own the guild.

Trio shuffles its runnable tasks; each case seeds that, its own choices, and has virtual time.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from flora.actors.core import ControlQueueFullError, Deadlines, MoveOutcome, RouterError, Verdict
from flora.actors.runtime import LastWorkerError
from flora.actors.script import DeployedScript
from flora.actors.status import Condition
from flora.actors.switchboard import ControlRefusedError
from flora.config import RuntimeConfig
from flora.engine.api import EngineError
from flora.ids import GuildId
from tests.actors.paper import PaperEngine
from tests.actors.rig import Rig, rig

GUILDS = [GuildId("100"), GuildId("200"), GuildId("300")]
WORKERS = 3
SHORT = Deadlines(wait=10.0, drain=0.05, cancel=0.02, release=0.05, adopt=0.05, kill=0.05)
SEEDS = 200
CONTENTS = ["go", "go", "go", "sleep 3", "sleep 30", "sleep 200", "throw", "hang"]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Two hundred lives with all their crashes are a long story."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


class Life:
    """One random life of a runtime. Its parts run side by side for some seconds of virtual time."""

    def __init__(self, it: Rig, engine: PaperEngine, chance: random.Random) -> None:
        self.it = it
        self.engine = engine
        self.chance = chance
        self.crashes = 6  # more within a minute, and the runtime gives up on the worker
        self.accepted = 0
        self.slept = 0

    async def run(self) -> None:
        for guild in GUILDS:
            await self.deploy("fine", guild)
        async with trio.open_nursery() as nursery:
            for guild in GUILDS:
                nursery.start_soon(self.talk, guild)
            for part in (self.move, self.move, self.drowse, self.vandal, self.operate):
                nursery.start_soon(part)
        await self.heal()

    async def deploy(self, code: str, guild: GuildId) -> None:
        """As patient as a queue of handlers that hang needs it."""
        with trio.fail_after(200):
            await self.it.runtime.deploy(DeployedScript(guild, code, ""))

    async def pause(self, most_ms: int) -> None:
        await trio.sleep(self.chance.randint(0, most_ms) / 1000)

    async def talk(self, guild: GuildId) -> None:
        for number in range(self.chance.randint(10, 40)):
            content = "poison" if self.chance.random() < 0.02 else self.chance.choice(CONTENTS)
            self.accepted += self.it.send(f"{content} {number}", guild) is Verdict.ACCEPTED
            if self.chance.random() < 0.6:
                await self.pause(60)

    async def move(self) -> None:
        for _ in range(self.chance.randint(3, 12)):
            guild = self.chance.choice(GUILDS)
            try:
                done = await self.it.runtime.migrate_guild_runtime(guild, self.chance.randrange(WORKERS))
            except RouterError:
                pass
            else:
                assert done is None or isinstance(done.outcome, MoveOutcome)
            await self.pause(100)

    async def drowse(self) -> None:
        """Whoever looks idle is put to sleep."""
        for _ in range(self.chance.randint(0, 60)):
            self.slept += await self.it.runtime.put_to_sleep(self.chance.choice(GUILDS))
            await self.pause(40)

    async def vandal(self) -> None:
        for _ in range(self.chance.randint(0, 8)):
            await self.pause(250)
            running = [process for process in self.engine.made if process.exit_report is None]
            match self.chance.choice(["kill", "freeze", "worker", "fork server"]):
                case "kill" if running:
                    self.chance.choice(running).kill("the vandal")
                case "freeze" if running:
                    self.chance.choice(running).frozen = True
                case "worker" if self.crashes:
                    self.crashes -= 1
                    self.it.crash_worker(self.chance.randrange(WORKERS))
                case "fork server":
                    self.engine.out_of_service = not self.engine.out_of_service

    async def operate(self) -> None:
        for _ in range(self.chance.randint(0, 6)):
            await self.pause(250)
            guild, worker = self.chance.choice(GUILDS), self.chance.randrange(WORKERS)
            try:
                match self.chance.choice(["deploy", "broken", "undeploy", "restart", "drain", "reopen"]):
                    case "deploy":
                        await self.deploy("another", guild)
                    case "broken":
                        await self.deploy("throw", guild)
                    case "undeploy":
                        await self.it.runtime.undeploy(guild)
                    case "restart":
                        with trio.move_on_after(1):
                            await self.it.runtime.restart(guild)
                    case "drain":
                        await self.it.runtime.drain_worker(worker)
                    case "reopen":
                        self.it.runtime.reopen_worker(worker)
            except (EngineError, RouterError, LastWorkerError, ControlRefusedError, ControlQueueFullError):
                pass

    async def heal(self) -> None:
        """Everything is well again: then nothing waits for ever."""
        self.engine.out_of_service = False
        for process in self.engine.made:
            if process.frozen:
                process.kill("thawed")
        for guild in GUILDS:
            await self.deploy("the last one", guild)
        with trio.fail_after(900):
            while not self.it.board.core.is_idle:
                await trio.sleep(0.05)
        for guild in GUILDS:
            status = self.it.runtime.guild(guild)
            assert status is not None
            assert status.condition is Condition.RUNNING
            alive = [process.pid for process in self.engine.processes() if process.guild_id == guild]
            assert alive == [status.pid], "one process for each guild"
            order = list(dict.fromkeys(int(seen.rpartition(":")[2]) for seen in self.engine.seen[guild]))
            assert order == sorted(order), "the process gets the events in the order of the guild"


@asynccontextmanager
async def world(seed: int) -> AsyncIterator[Life]:
    chance = random.Random(seed)
    config = RuntimeConfig(
        max_workers=WORKERS, guild_event_concurrency=chance.choice([1, 2, 8]), dispatch_timeout_secs=1.0
    )
    engine = PaperEngine(chance)
    async with rig(config, deadlines=SHORT, engine=engine, slots=chance.choice([2, 256])) as it:
        yield Life(it, engine, chance)


def live(seed: int) -> int:
    """Returns how often a guild was put to sleep."""

    async def main() -> int:
        async with world(seed) as life:
            await life.run()
            return life.slept

    return int(run_seeded(seed, main))


def run_seeded(seed: int, main: Any) -> Any:
    """What `main` returns, with virtual time, and Trio's choices from `seed`."""
    shuffler: random.Random = trio._core._run._r  # type: ignore[attr-defined]
    state = shuffler.getstate()
    shuffler.seed(seed)
    try:
        return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        shuffler.setstate(state)


@pytest.mark.parametrize("tens", range(SEEDS // 10))
def test_a_random_life_keeps_every_promise(tens: int) -> None:
    slept = 0
    for seed in range(tens * 10, tens * 10 + 10):
        try:
            slept += live(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
    assert slept, "some were asleep in between"


@pytest.mark.fuzz
@settings(max_examples=20, deadline=None, derandomize=False)
@given(st.integers(SEEDS, 2**32))
def test_any_life_keeps_every_promise(seed: int) -> None:
    live(seed)
