"""Who is put to sleep, and who is not: the policy by itself, with values for everything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora.actors.hibernation import ASK_AGAIN_SECS, LOW, TIMER_SOON_SECS, Awake, Policy, Reason, Round
from flora.actors.memory import MIB, SHARE, budget_bytes, machine_bytes
from flora.config import RuntimeConfig
from flora.engine.api import Idleness
from flora.ids import GuildId

QUIET = Idleness(0, None, 0, 0)
NOW = 1000.0


def awake(name: int, *, idle: float = 0.0, memory: int = 10) -> Awake:
    return Awake(GuildId(str(name)), 1, NOW - idle, memory)


def work(round_: Round, answers: Mapping[str, Idleness | None] | None = None) -> list[tuple[str, Reason]]:
    """Ask one after another until nobody is left to ask; who was put to sleep, and why."""
    slept = []
    while (found := round_.next()) is not None:
        guild, reason = found
        if round_.may_sleep(guild, (answers or {}).get(guild.guild_id, QUIET)):
            round_.begun(guild, True)
            slept.append((guild.guild_id, reason))
    return slept


def timer(due: float | None) -> Idleness:
    return Idleness(1, due, 0, 0)


def test_nothing_is_done_within_the_budget_and_without_an_idle_time() -> None:
    policy = Policy(budget=100, after_secs=0)
    assert work(policy.look(NOW, [awake(1, idle=1e6)], used=100)) == []


def test_above_the_budget_the_least_recently_used_go_until_it_is_low() -> None:
    policy = Policy(budget=100, after_secs=0)
    guilds = [awake(number, idle=number % 7) for number in range(1, 12)]
    slept = work(policy.look(NOW, guilds, used=110))
    assert slept == [("6", Reason.MEMORY), ("5", Reason.MEMORY)], "20 of 110, so that 90 are left"


def test_what_cannot_be_put_to_sleep_counts_for_the_sum() -> None:
    policy = Policy(budget=100, after_secs=0)
    assert work(policy.look(NOW, [awake(1)], used=1000)) == [("1", Reason.MEMORY)]


def test_idle_guilds_go_whatever_the_memory() -> None:
    policy = Policy(budget=100, after_secs=60)
    guilds = [awake(1, idle=59), awake(2, idle=60), awake(3, idle=90)]
    assert work(policy.look(NOW, guilds, used=1)) == [("3", Reason.IDLE), ("2", Reason.IDLE)]


@pytest.mark.parametrize(
    "answer", [None, Idleness(0, None, 1, 0), Idleness(0, None, 0, 1), timer(TIMER_SOON_SECS), timer(None)]
)
def test_never_one_that_does_something_or_soon_will_or_is_deaf(answer: Idleness | None) -> None:
    policy = Policy(budget=5, after_secs=1)
    assert work(policy.look(NOW, [awake(1, idle=99), awake(2, idle=98)], used=20), {"1": answer}) == [
        ("2", Reason.IDLE)
    ]


def test_a_later_timer_is_lost_for_memory_only_and_last() -> None:
    later = timer(TIMER_SOON_SECS + 1)
    guilds = [awake(1, idle=99), awake(2, idle=98), awake(3, idle=97)]
    assert work(Policy(budget=5, after_secs=1).look(NOW, guilds[:1], used=1), {"1": later}) == []
    slept = work(Policy(budget=10, after_secs=0).look(NOW, guilds, used=21), {"1": later})
    assert [name for name, _ in slept] == ["2", "3"]
    slept = work(Policy(budget=10, after_secs=0).look(NOW, guilds, used=40), {"1": later, "2": later})
    assert [name for name, _ in slept] == ["3", "1", "2"]


def test_one_that_stays_awake_is_not_asked_again_at_once() -> None:
    policy = Policy(budget=5, after_secs=0)
    assert work(policy.look(NOW, [awake(1)], used=10), {"1": timer(1.0)}) == []
    assert work(policy.look(NOW + ASK_AGAIN_SECS - 1, [awake(1)], used=10)) == []
    assert work(policy.look(NOW + ASK_AGAIN_SECS, [awake(1)], used=10)) == [("1", Reason.MEMORY)]


def test_one_that_got_something_to_do_frees_nothing() -> None:
    round_ = Policy(budget=10, after_secs=0).look(NOW, [awake(1, idle=2), awake(2, idle=1)], used=11)
    found = round_.next()
    assert found is not None
    assert round_.next() is None, "the first is enough, if it sleeps"
    round_.begun(found[0], False)
    assert work(round_) == [("2", Reason.MEMORY)]


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 50)), max_size=30),
    st.integers(1, 500),
)
def test_as_few_as_needed_and_the_oldest(guilds: list[tuple[float, int]], budget: int) -> None:
    there = [awake(number, idle=idle, memory=memory) for number, (idle, memory) in enumerate(guilds)]
    used = sum(guild.memory for guild in there)
    slept = [name for name, _ in work(Policy(budget=budget, after_secs=0).look(NOW, there, used=used))]
    by_name = {guild.guild_id: guild for guild in there}
    freed = sum(by_name[GuildId(name)].memory for name in slept)
    if used <= budget:
        assert slept == []
    else:
        assert used - freed <= LOW * budget
        assert used - freed + by_name[GuildId(slept[-1])].memory > int(LOW * budget)
        rest = [guild.used_at for guild in there if guild.guild_id not in slept]
        assert all(by_name[GuildId(name)].used_at <= min(rest, default=NOW) for name in slept)


def test_the_budget_is_what_is_configured_or_a_share_of_the_machine() -> None:
    assert budget_bytes(RuntimeConfig(memory_budget_mb=512)) == 512 * MIB
    assert budget_bytes(RuntimeConfig()) == int(SHARE * machine_bytes())


def test_a_control_group_can_have_less_than_the_machine(tmp_path: Path) -> None:
    whole = machine_bytes(tmp_path)
    assert whole > 64 * MIB
    group = tmp_path / "sys/fs/cgroup/a/b"
    group.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/a/b\n")
    assert machine_bytes(tmp_path) == whole
    (group / "memory.max").write_text("max\n")
    (group.parent / "memory.max").write_text("50000000\n")
    assert machine_bytes(tmp_path) == 50_000_000
