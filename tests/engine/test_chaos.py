"""Hostile scripts beside well-behaved guilds: every kind is contained, and nobody else notices.

Each hostile guild runs one script through load, one event and some time for its timers. What may come of
that is written beside it: a handler that fails, a limit that ends the event or the process, or nothing at
all.
"""

from __future__ import annotations

from collections import Counter

import pytest
import trio

from flora.engine.limits import EngineOptions

from .conftest import eventually, exists, open_descriptors, running_engine
from .crowd import GoodGuild, outcome_of
from .hostile import HOSTILE

OPTIONS = EngineOptions(hard_secs=0.5, answer_secs=1.0)


@pytest.mark.parametrize("name", sorted(HOSTILE))
@pytest.mark.slow
async def test_a_hostile_script_is_contained(name: str) -> None:
    code, expected = HOSTILE[name]
    async with running_engine(options=OPTIONS, cpu_ms=200, heap_mb=64) as engine:
        assert await outcome_of(engine, code) in expected


async def chaos(*, good: int, events: int, at_once: int) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    right = 0
    before = open_descriptors()
    async with running_engine(
        options=OPTIONS, cpu_ms=200, heap_mb=64, boot_timeout_secs=30, deadline=300
    ) as engine:
        limiter = trio.CapacityLimiter(at_once)

        async def attack(name: str) -> None:
            async with limiter:
                outcome = await outcome_of(engine, HOSTILE[name][0])
            outcomes[f"{name}: {outcome}"] += 1

        async def behave() -> None:
            nonlocal right
            guild = GoodGuild(engine)
            await guild.start()
            for _ in range(events):
                await guild.dispatch()
                await trio.sleep(0.05)
            await guild.stop()
            right += guild.right

        async with trio.open_nursery() as nursery:
            for _ in range(good):
                nursery.start_soon(behave)
            for name in HOSTILE:
                nursery.start_soon(attack, name)
        assert right == good * events
        assert engine.report().fork_server_restarts == 0
        await eventually(lambda: not engine.processes())
        # The engine is as good as new.
        after = GoodGuild(engine)
        await after.start()
        for _ in range(5):
            await after.dispatch()
        await after.stop()
        assert after.right == 5
        zygote = engine.report().fork_server_pid
    assert open_descriptors() <= before
    assert zygote is not None
    assert not exists(zygote)
    return outcomes


async def test_well_behaved_guilds_do_not_notice_hostile_ones() -> None:
    outcomes = await chaos(good=12, events=20, at_once=6)
    assert len(outcomes) == len(HOSTILE)


@pytest.mark.slow
async def test_a_hundred_and_fifty_guilds_do_not_notice_hostile_ones() -> None:
    outcomes = await chaos(good=150, events=60, at_once=12)
    assert len(outcomes) == len(HOSTILE)
