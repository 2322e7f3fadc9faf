"""Cancelled at every checkpoint: whoever asks for a change may give up at any time, and whoever carries one
out may end at any time. No promise of the runtime depends on them.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator

import pytest
import structlog
import trio
import trio.testing

from flora.actors.core import RouterError
from flora.actors.script import DeployedScript
from flora.actors.status import Condition
from flora.actors.switchboard import ControlRefusedError
from flora.config import RuntimeConfig
from flora.engine.api import EngineError
from tests.actors.paper import PaperEngine
from tests.actors.rig import GUILD, Rig, rig
from tests.actors.test_schedules import SHORT, run_seeded

Act = Callable[[Rig], Awaitable[object]]
MOST_STEPS = 400


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


class StrikeAt(trio.abc.Instrument):
    """Cancels something before the nth step of the tasks that `chosen` picks."""

    def __init__(self, number: int, chosen: Callable[[trio.lowlevel.Task], bool]) -> None:
        self.number = number
        self.chosen = chosen
        self.steps = 0
        self.armed = False
        self.struck = False

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if not self.armed or self.struck or not self.chosen(task):
            return
        if self.steps == self.number:
            self.struck = True
            assert task.parent_nursery is not None
            task.parent_nursery.cancel_scope.cancel()
        self.steps += 1


async def migrate(it: Rig) -> object:
    return await it.runtime.migrate_guild_runtime(GUILD, 1 - it.worker())


async def deploy(it: Rig) -> object:
    return await it.runtime.deploy(DeployedScript(GUILD, "another", ""))


async def restart(it: Rig) -> object:
    return await it.runtime.restart(GUILD)


async def drain(it: Rig) -> object:
    return await it.runtime.drain_worker(it.worker())


async def live(act: Act, strike: StrikeAt) -> None:
    """Some events, the change in their middle, the strike; then everything has to be well again."""
    config = RuntimeConfig(max_workers=2, guild_event_concurrency=2, dispatch_timeout_secs=1.0)
    engine = PaperEngine(random.Random(7))
    trio.lowlevel.add_instrument(strike)
    try:
        async with rig(config, deadlines=SHORT, engine=engine) as it:
            await it.deploy("fine")
            for number in range(4):
                it.send(f"sleep {number * 10}")
            strike.armed = True
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(act, it, name="the asker")
                    await trio.sleep(0.005)
                    for number in range(4):
                        it.send(f"sleep {number * 5}")
            except* (RouterError, EngineError, ControlRefusedError):
                pass
            await trio.sleep(0.5)
            strike.armed = False
            with trio.fail_after(60):
                await it.deploy("the last one")
                while not it.board.core.is_idle:
                    await trio.sleep(0.05)
            status = it.runtime.guild(GUILD)
            assert status is not None
            assert status.condition is Condition.RUNNING
            assert [process.pid for process in engine.processes()] == [status.pid]
            order = list(dict.fromkeys(int(seen.rpartition(":")[2]) for seen in engine.seen[GUILD]))
            assert order == sorted(order)
    finally:
        trio.lowlevel.remove_instrument(strike)


def at_every_step(act: Act, chosen: Callable[[trio.lowlevel.Task], bool]) -> int:
    for number in range(MOST_STEPS):
        strike = StrikeAt(number, chosen)

        async def main(strike: StrikeAt = strike) -> None:
            await live(act, strike)

        try:
            run_seeded(number, main)
        except BaseException as error:
            error.add_note(f"step {number}")
            raise
        if not strike.struck:
            return number
    raise AssertionError("it never ends")


@pytest.mark.parametrize("act", [migrate, deploy, restart, drain])
def test_the_asker_gives_up(act: Act) -> None:
    assert at_every_step(act, lambda task: task.name == "the asker") > 1


@pytest.mark.parametrize("act", [migrate, deploy, restart, drain])
def test_a_guild_actor_ends(act: Act) -> None:
    """Its nursery is cancelled before each step of each of its tasks."""
    assert at_every_step(act, lambda task: "GuildActor." in task.name) > 5


@pytest.mark.parametrize("act", [migrate, deploy, drain])
def test_a_worker_ends_with_all_that_it_has(act: Act) -> None:
    """The nursery of a worker, in which its guild actors live, is cancelled before each of their steps."""
    steps = at_every_step(
        act,
        lambda task: (
            task.name.endswith("Cell.live")
            and task.parent_nursery is not None
            and task.parent_nursery.parent_task.coro.cr_frame is not None
            and "guild-" in str(getattr(task.coro.cr_frame.f_locals.get("self"), "ref", ""))
        ),  # type: ignore[attr-defined]
    )
    assert steps > 1
