"""One guild that sleeps, told as stories; the searches cover how they mix with everything else."""

from __future__ import annotations

import pytest

from flora.actors.core import (
    Activate,
    Apply,
    Control,
    ControlDone,
    ControlKind,
    Hibernate,
    MoveDone,
    MoveOutcome,
    Retire,
    State,
    Verdict,
    WorkerUnavailableError,
)
from flora.gateway.interest import Interest
from tests.actors.core.test_guild import GUILD, Story

MESSAGES = Interest(frozenset({"MESSAGE_CREATE"}))


def asleep(kept: object = None) -> Story:
    it = Story(interest=MESSAGES)
    assert it.router.hibernate(GUILD, it.view.incarnation)
    assert it.router.hibernated(it.take(Hibernate), kept)
    it.take(Retire)
    assert it.view.state is State.ASLEEP
    return it


def test_it_keeps_what_its_owner_wants_to_find_again_until_it_has_a_process() -> None:
    it = asleep("what it may answer")
    assert it.event() is Verdict.ACCEPTED
    activate = it.take(Activate)
    assert (activate.wakes, activate.kept, activate.deployment) == (True, "what it may answer", "first")
    it.router.activation_failed(activate, "no memory")
    again = it.take(Activate)
    assert (again.wakes, again.kept, again.failures) == (False, "what it may answer", 1)
    it.router.activated(again, MESSAGES)
    it.router.process_lost(GUILD, again.incarnation, "it died")
    assert it.take(Activate).kept is None


def test_what_it_does_not_listen_to_does_not_wake_it() -> None:
    it = asleep()
    assert it.event("TYPING_START") is Verdict.UNLISTENED
    assert it.view.state is State.ASLEEP
    assert it.router.asleep == 1
    assert dict(it.router.listened()) == {GUILD: MESSAGES.events}


def test_only_the_process_that_was_found_idle_is_ended() -> None:
    it = Story()
    assert not it.router.hibernate(GUILD, it.view.incarnation - 1)
    it.event()
    assert not it.router.hibernate(GUILD, it.view.incarnation), "an event waits"
    delivery = it.start()
    assert not it.router.hibernate(GUILD, it.view.incarnation), "it is in flight"
    it.router.ack(delivery)
    assert it.router.hibernate(GUILD, it.view.incarnation)
    assert not it.router.hibernate(GUILD, it.view.incarnation), "it is on its way"


def test_a_refusal_goes_on_with_what_came_meanwhile() -> None:
    it = Story()
    it.router.hibernate(GUILD, it.view.incarnation)
    it.event()
    assert it.next() is None
    it.router.hibernate_refused(it.take(Hibernate))
    it.router.ack(it.start())
    assert it.view.state is State.OPEN


def test_an_answer_that_comes_after_the_loss_is_refused() -> None:
    it = Story()
    it.router.hibernate(GUILD, it.view.incarnation)
    command = it.take(Hibernate)
    it.router.process_lost(GUILD, command.incarnation, "it died")
    assert it.view.state is State.ASLEEP
    it.event()
    it.router.activated(it.take(Activate))
    assert not it.router.hibernated(command, None)
    assert it.view.state is State.OPEN


def test_new_secrets_and_an_undeploy_need_no_process() -> None:
    it = asleep()
    it.router.submit(GUILD, Control(ControlKind.SECRETS))
    assert it.take(ControlDone).error is None
    assert it.view.state is State.ASLEEP
    it.router.submit(GUILD, Control(ControlKind.UNDEPLOY))
    assert it.take(ControlDone).error is None
    assert it.view.state is State.STOPPED
    assert it.find(Activate) is None


def test_a_deploy_starts_the_new_script_only_and_a_failed_one_wakes_nobody() -> None:
    it = asleep()
    it.router.submit(GUILD, Control(ControlKind.DEPLOY, "second"))
    activate = it.take(Activate)
    assert activate.deployment is None
    it.router.activated(activate)
    it.router.applied(it.take(Apply), error="it does not load")
    assert it.take(ControlDone).error == "it does not load"
    assert it.view.state is State.ASLEEP
    it.event()
    assert it.take(Activate).deployment == "first"


def test_a_move_changes_where_it_wakes() -> None:
    it = asleep()
    move = it.router.migrate(GUILD, 0)
    done = it.take(MoveDone)
    assert (done.move, done.outcome, done.source, done.worker) == (move, MoveOutcome.MOVED, 2, 0)
    assert it.router.migrate(GUILD, 0) is None
    it.router.worker_lost(1)
    with pytest.raises(WorkerUnavailableError):
        it.router.migrate(GUILD, 1)
    assert it.find(Activate) is None
    it.event()
    assert it.take(Activate).worker == 0


def test_it_wakes_as_soon_as_any_worker_is_there() -> None:
    it = asleep()
    for worker in range(4):
        it.router.worker_lost(worker)
    it.event()
    assert it.view.state is State.HOMELESS
    it.router.worker_up(3)
    assert it.take(Activate).worker == 3


def test_a_deployment_is_restored_only_where_there_is_none() -> None:
    it = asleep()
    assert not it.router.restore(GUILD, "older", MESSAGES)
    it.router.submit(GUILD, Control(ControlKind.UNDEPLOY))
    assert it.router.restore(GUILD, "older", MESSAGES)
    it.event()
    assert it.take(Activate).deployment == "older"


def test_a_shutdown_keeps_what_came_for_a_guild_that_falls_asleep() -> None:
    it = Story()
    it.router.hibernate(GUILD, it.view.incarnation)
    it.event()
    it.router.stop_intake()
    assert not it.router.hibernate(GUILD, it.view.incarnation)
    assert not it.router.restore(GUILD, "x")
    assert len(it.router.close()) == 1
    assert not it.router.hibernated(it.take(Hibernate), None)
    assert it.view.state is State.CLOSED
