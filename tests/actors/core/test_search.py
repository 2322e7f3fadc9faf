"""Every interleaving of a small world, on the real step functions: what `migration.md` promises holds in all.

A scope is what may happen at most: so many events, one migration, one misfortune at every point. The search
covers every order in which these and the answers to every command can come.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flora.actors.core import Limits
from flora.actors.core.guild import GuildMachine
from flora.actors.core.migration import Input, Phase
from tests.actors.core import mutants
from tests.actors.core.search import Found, Report, search
from tests.actors.core.world import Budget, World

SERIAL = Limits(concurrency=1)


def explore(budget: Budget, *, home_too: bool = False, **world: Any) -> Report:
    """Walk everything that can happen within `budget` to one open guild. Migrations go to the next worker,
    with `home_too` also to the guild's first one.
    """
    start = World(**world).deployed()
    (view,) = start.router.views()
    assert view.worker is not None
    start.targets = ((view.worker + 1) % start.router.placement.workers,)
    if home_too:
        start.targets += (view.worker,)
    start.budget = replace(budget)
    return search(start)


@pytest.mark.parametrize(
    ("misfortune", "outcomes"),
    [
        ({}, {"moved"}),
        ({"crashes": 1}, {"moved", "rolled_back", "failed_over"}),
        ({"kills": 1}, {"moved", "failed_over"}),
        ({"timeouts": 1}, {"moved", "rolled_back", "failed_over"}),
        ({"refusals": 1}, {"moved", "rolled_back"}),
    ],
    ids=lambda value: next(iter(value), "nothing") if isinstance(value, dict) else "",
)
def test_five_events_one_migration_and_one_misfortune(misfortune: dict[str, int], outcomes: set[str]) -> None:
    report = explore(Budget(events=5, migrations=1, **misfortune), prompt=True)
    assert {outcome for each in report.outcomes for outcome in each} == outcomes


def test_five_events_one_migration_and_a_worker_wrongly_presumed_dead() -> None:
    explore(Budget(events=5, migrations=1, misjudged=1), workers=2)


def test_a_process_whose_end_is_noticed_late() -> None:
    explore(Budget(events=2, migrations=1, kills=1), workers=2)


def test_serial_handlers() -> None:
    explore(Budget(events=5, migrations=1, crashes=1), limits=SERIAL)


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_hung_handler_cannot_stop_a_migration(stubborn: bool) -> None:
    """Not even one that does not yield to its cancellation; its event is tried again where the guild goes."""
    report = explore(
        Budget(events=3, migrations=1, timeouts=4), hung=frozenset({1}), stubborn=stubborn, workers=2
    )
    assert ("failed_over",) in report.outcomes
    assert ("moved",) in report.outcomes


def test_a_crash_and_a_deadline_in_one_migration() -> None:
    explore(Budget(events=2, migrations=1, crashes=1, timeouts=1))


def test_refusals_and_deadlines_in_one_migration() -> None:
    explore(Budget(events=1, migrations=1, refusals=1, timeouts=2), home_too=True)


@pytest.mark.parametrize("control", ["deploys", "undeploys", "restarts", "secrets"])
def test_a_control_takes_its_place_among_events_moves_and_losses(control: str) -> None:
    explore(Budget(events=2, migrations=1, crashes=1, **{control: 1}), workers=2)


def test_two_migrations_and_a_loss() -> None:
    explore(Budget(events=1, migrations=2, crashes=1), home_too=True)


def test_a_deploy_that_fails_and_a_process_that_dies() -> None:
    explore(Budget(events=1, deploys=1, undeploys=1, refusals=1, kills=1), workers=1)


def test_every_worker_may_be_gone() -> None:
    explore(Budget(events=2, deploys=1, crashes=2), workers=2)


@pytest.mark.parametrize(
    "misfortune",
    [{}, {"crashes": 1}, {"kills": 1}, {"refusals": 1}, {"misjudged": 1}, {"timeouts": 1}],
    ids=lambda value: next(iter(value), "nothing"),
)
def test_a_guild_falls_asleep_at_any_moment(misfortune: dict[str, int]) -> None:
    """Events, a migration and one misfortune around it: what comes wakes it, in order, where it belongs."""
    prompt = "kills" in misfortune  # a late one is among the next test's
    explore(Budget(events=2, migrations=1, sleeps=1, **misfortune), workers=2, prompt=prompt)


@pytest.mark.parametrize("control", ["deploys", "undeploys", "restarts", "secrets"])
def test_a_control_takes_its_place_around_a_sleep(control: str) -> None:
    explore(Budget(events=1, sleeps=2, refusals=1, **{control: 1}), workers=1)
    explore(Budget(sleeps=1, crashes=1, kills=1, **{control: 1}), workers=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "budget",
    [
        Budget(events=2, migrations=1, crashes=1, timeouts=1, refusals=1),
        Budget(events=1, migrations=1, crashes=2, kills=1),
        Budget(events=1, migrations=1, misjudged=2, timeouts=1),
    ],
    ids=["one of each", "three losses", "two wrongly presumed dead"],
)
def test_wider_scopes(budget: Budget) -> None:
    explore(budget)


# ---------------------------------------------------------------------- tests of the tests


@pytest.mark.parametrize(
    ("machine", "budget", "broken"),
    [
        (mutants.OpensBeforeFlush, Budget(events=3, migrations=1), "I3"),
        (mutants.ReplaysOnlyWhatCame, Budget(events=1, migrations=1, crashes=1), "I1"),
        (mutants.KeepsEpoch, Budget(events=1, migrations=1), "I5"),
        (mutants.ForgetsControl, Budget(deploys=1, crashes=1), "I8|I1"),
        (mutants.HasNoBarrier, Budget(events=1, deploys=1), "I8"),
        (mutants.TakesLateAdopter, Budget(events=1, migrations=1, timeouts=1), "I9|I4"),
        (mutants.SleepsOverItsQueue, Budget(events=2, sleeps=1), "sleep"),
        (mutants.SleepsWhileItWorks, Budget(events=1, sleeps=1), "sleep"),
        (mutants.SleepsThroughEvents, Budget(events=1, sleeps=1), "sleeps over its work"),
        (mutants.SleepsUnderItsOwner, Budget(events=1, sleeps=1), "I5"),
        (mutants.WakesWithoutItsScript, Budget(deploys=1, sleeps=1, refusals=1), "stuck|wake with|I7"),
        (mutants.IsWokenByALoss, Budget(sleeps=1, crashes=1), "woken by the loss"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_broken_machine_is_found_out(machine: type[GuildMachine], budget: Budget, broken: str) -> None:
    with pytest.raises(Found, match=broken):
        explore(budget, machine=machine)


def test_no_epoch_and_a_wrongly_presumed_dead_owner_give_two_committers() -> None:
    with pytest.raises(Found, match="I4"):
        explore(Budget(events=1, misjudged=1), machine=mutants.IgnoresEpoch, fenced=False)


def test_an_effect_apart_from_its_ack_without_a_key_happens_twice() -> None:
    with pytest.raises(Found, match="I2"):
        explore(Budget(events=1, crashes=1), keyed=False)


@pytest.mark.parametrize(
    ("mutant", "budget", "broken"),
    [
        (mutants.DOES_NOT_DRAIN, Budget(events=2, migrations=1), "."),
        (mutants.ADOPTS_BEFORE_RELEASE, Budget(migrations=1), "I9"),
        (mutants.RETRIES_AT_THE_END, Budget(events=2, crashes=1), "I3"),
        (mutants.without(Phase.ADOPT, Input.OWNER_LOST), Budget(migrations=1, crashes=1), "."),
        (mutants.without(Phase.RELEASE, Input.OWNER_LOST), Budget(migrations=1, crashes=1), "."),
        (mutants.without(Phase.DRAIN, Input.DRAINED), Budget(events=1, migrations=1), "."),
        (mutants.without(Phase.KILL, Input.PROCESS_LOST), Budget(migrations=1, timeouts=1), "."),
        (mutants.without(Phase.ADOPT, Input.REFUSED), Budget(migrations=1, refusals=1), "."),
    ],
    ids=[
        "does not drain",
        "adopts before release",
        "retries at the end",
        "ignores a target that dies after it was asked",
        "ignores a source that dies after it was asked",
        "never drained",
        "ignores the exit of a killed process",
        "ignores a refusal",
    ],
)
def test_a_broken_protocol_is_found_out(
    mutant: mutants.Patch, budget: Budget, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(Found, match=broken):
        explore(budget)
