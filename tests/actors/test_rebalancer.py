"""When the rebalancer moves a guild, which one, and when it leaves everything alone."""

from __future__ import annotations

import random

import trio
from hypothesis import given
from hypothesis import strategies as st

from flora.actors.rebalancer import (
    COOLDOWN_SECS,
    GUILD_REST_SECS,
    HOLD_SECS,
    MIN_DELAY_SECS,
    Balance,
    Load,
    Proposal,
)
from flora.config import RuntimeConfig
from flora.ids import GuildId
from tests.actors.paper import PaperEngine
from tests.actors.rig import rig

A, B, C = GuildId("1"), GuildId("2"), GuildId("3")
BUSY = [Load(0, 2.0, {A: 900, B: 300, C: 10}), Load(1, 0.0, {})]


def after_hold(loads: list[Load], balance: Balance | None = None) -> Proposal | None:
    balance = balance or Balance()
    assert balance.decide(0.0, loads) is None, "never at first sight"
    return balance.decide(HOLD_SECS, loads)


def test_the_busiest_guild_leaves_the_slow_worker() -> None:
    assert after_hold(BUSY) == Proposal(A, 0, 1)


def test_a_burst_moves_nobody() -> None:
    balance = Balance()
    for second in range(60):
        calm = second % int(HOLD_SECS) == 0
        loads = [Load(0, 0.0 if calm else 2.0, {A: 9, B: 9}), Load(1, 0.0, {})]
        assert balance.decide(second, loads) is None


def test_where_all_are_slow_nobody_moves() -> None:
    assert after_hold([Load(0, 2.0, {A: 900, B: 300}), Load(1, 1.5, {C: 1})]) is None


def test_a_short_delay_moves_nobody() -> None:
    assert after_hold([Load(0, MIN_DELAY_SECS / 2, {A: 900, B: 300}), Load(1, 0.0, {})]) is None


def test_one_worker_has_nowhere_to_move_to() -> None:
    assert after_hold([Load(0, 9.0, {A: 900, B: 300})]) is None
    assert after_hold([]) is None


def test_a_guild_that_is_all_the_load_stays() -> None:
    assert after_hold([Load(0, 2.0, {A: 900, B: 0}), Load(1, 0.0, {})]) is None


def test_moves_are_apart_and_a_moved_guild_rests() -> None:
    balance = Balance()
    assert after_hold(BUSY, balance) == Proposal(A, 0, 1)
    back = [Load(0, 0.0, {B: 1}), Load(1, 2.0, {A: 900, C: 500})]
    moves = [
        (second, move)
        for second in range(int(HOLD_SECS) + 1, int(GUILD_REST_SECS))
        if (move := balance.decide(second, back)) is not None
    ]
    assert [move.guild_id for _, move in moves] == [C], "A has just come"
    assert moves[0][0] >= HOLD_SECS + COOLDOWN_SECS


@given(
    st.dictionaries(st.sampled_from([GuildId(str(n)) for n in range(1, 9)]), st.integers(0, 1000)),
    st.randoms(use_true_random=False),
)
def test_a_steady_load_comes_to_rest(weights: dict[GuildId, int], chance: random.Random) -> None:
    """Whatever is busy and wherever it starts: the moves end, and no guild comes back."""
    home = {guild: chance.randrange(3) for guild in weights}
    balance = Balance()
    moves: list[Proposal] = []
    for tick in range(2000):
        loads = []
        for worker in range(3):
            guilds = {guild: weights[guild] for guild in weights if home[guild] == worker}
            loads.append(Load(worker, sum(guilds.values()) / 100, guilds))
        if (move := balance.decide(tick * 5.0, loads)) is not None:
            before = max(load.events for load in loads if load.worker in (move.source, move.target))
            home[move.guild_id] = move.target
            after = sum(weights[guild] for guild in home if home[guild] == move.target)
            assert after < before, "each move makes the two more equal"
            moves.append(move)
    assert len(moves) < 3 * len(weights) + 1


async def test_a_worker_without_a_free_slot_loses_its_busiest_guild(autojump_clock: object) -> None:
    engine = PaperEngine(random.Random(1))
    config = RuntimeConfig(max_workers=2, guild_event_concurrency=8, dispatch_timeout_secs=1.0)
    guilds = [GuildId(str(number)) for number in range(100, 106)]
    async with rig(config, engine=engine, slots=4, drain_secs=2000.0) as it:
        for guild in guilds:
            await it.deploy("fine", guild)
            await it.runtime.migrate_guild_runtime(guild, 0)
        busiest = guilds[3]
        for guild in guilds:
            for _ in range(400 if guild == busiest else 60):
                it.send("sleep 500", guild)
        assert it.runtime.workers()[1].queue_delay == 0
        with trio.fail_after(60):
            while it.worker(busiest) == 0:
                await trio.sleep(0.1)
        assert trio.current_time() > HOLD_SECS
        assert [it.worker(guild) for guild in guilds if guild != busiest] == [0] * 5


async def test_the_delay_of_a_worker_is_about_its_slots(autojump_clock: object) -> None:
    """A guild that waits for its own handlers makes no worker slow."""
    engine = PaperEngine(random.Random(1))
    config = RuntimeConfig(max_workers=1, guild_event_concurrency=2, dispatch_timeout_secs=50.0)
    async with rig(config, engine=engine, slots=4, drain_secs=500.0) as it:
        for guild in (A, B, C):
            await it.deploy("fine", guild)
        for _ in range(10):
            it.send("sleep 10000", A)
        await trio.sleep(5)
        assert it.runtime.workers()[0].queue_delay == 0
        for _ in range(10):
            it.send("sleep 10000", B)
            it.send("sleep 10000", C)
        await trio.sleep(3)
        assert it.runtime.workers()[0].queue_delay >= 3
