"""One guild's machine, told as stories; the searches cover how they mix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pytest

from flora.actors.core import (
    Activate,
    Adopt,
    Apply,
    Arm,
    Cancel,
    Command,
    Control,
    ControlDone,
    ControlKind,
    ControlQueueFullError,
    DeadLetter,
    Deadlines,
    Delivery,
    GuildNotDeployedError,
    Injected,
    Limits,
    MigrationBusyError,
    MoveDone,
    MoveOutcome,
    Outcome,
    Release,
    Retire,
    Router,
    RouterClosedError,
    State,
    Verdict,
    Wake,
    WorkerUnavailableError,
    effect_key,
)
from flora.actors.core.migration import TRANSITIONS, Phase
from flora.gateway.events import GatewayEvent
from flora.gateway.interest import Interest
from flora.ids import EventId, GuildId

C = TypeVar("C", bound=Command)
GUILD = GuildId("123")  # of four workers, on worker 2


class Story:
    """A router with one guild. `take(kind)` is the one command of that kind since the last look."""

    def __init__(self, *, limits: Limits | None = None, interest: Interest | None = None) -> None:
        self.router = Router(4, limits=limits)
        self.commands: list[Command] = []
        self.seq = 0
        self.deploy("first", interest)
        self.router.take()
        self.commands.clear()

    def deploy(self, revision: str, interest: Interest | None = None) -> None:
        self.router.submit(GUILD, Control(ControlKind.DEPLOY, revision))
        if (activate := self.find(Activate)) is not None:
            self.router.activated(activate)
        self.router.applied(self.take(Apply), interest=interest)

    def event(self, name: str = "MESSAGE_CREATE") -> Verdict:
        self.seq += 1
        return self.router.accept(GatewayEvent(EventId(0, "s", self.seq), name, GUILD, b"{}", 0.0))

    def start(self) -> Delivery:
        delivery = self.next()
        assert delivery is not None
        return delivery

    def next(self) -> Delivery | None:
        worker = self.view.worker
        return None if worker is None else self.router.next(worker)

    def find(self, kind: type[C]) -> C | None:
        self.commands += self.router.take()
        for index, command in enumerate(self.commands):
            if isinstance(command, kind):
                del self.commands[index]
                return command
        return None

    def take(self, kind: type[C]) -> C:
        command = self.find(kind)
        assert command is not None
        return command

    def restart(self) -> None:
        self.router.activated(self.take(Activate))

    def timeout(self) -> None:
        """The newest timer runs out."""
        self.commands += self.router.take()
        arms = [command for command in self.commands if isinstance(command, Arm)]
        self.router.timeout(GUILD, arms[-1].serial)

    @property
    def view(self):  # type: ignore[no-untyped-def]
        return self.router.view(GUILD)


def numbers(deliveries: Sequence[Delivery]) -> list[int]:
    return [delivery.n for delivery in deliveries]


# ---------------------------------------------------------------------- events


def test_events_start_in_order_up_to_the_concurrency_and_end_in_any() -> None:
    story = Story(limits=Limits(concurrency=2))
    for _ in range(4):
        story.event()
    first, second = story.start(), story.start()
    assert story.next() is None
    assert story.router.ack(second)
    third = story.start()
    assert story.router.ack(first)
    assert numbers([first, second, third, story.start()]) == [2, 3, 4, 5]


def test_a_worker_is_woken_for_the_first_event_and_not_for_the_next() -> None:
    story = Story()
    story.event()
    assert story.take(Wake) == Wake(2)
    story.event()
    assert story.find(Wake) is None


def test_an_event_that_nobody_listens_to_never_wakes_anyone() -> None:
    story = Story(interest=Interest(frozenset({"INTERACTION_CREATE"})))
    assert story.event() is Verdict.UNLISTENED
    assert story.event("INTERACTION_CREATE") is Verdict.ACCEPTED
    assert story.router.inject(GUILD, Injected("c", "__cron:a", b"{}", 0.0)) is Verdict.ACCEPTED
    assert story.router.depth == 2
    cursor = story.router.sessions.cursor(0)
    assert cursor is not None
    assert cursor.seq == 1


def test_while_a_deploy_waits_an_event_is_kept_for_what_the_new_script_listens_to() -> None:
    story = Story(interest=Interest(frozenset()))
    assert story.event() is Verdict.UNLISTENED
    story.router.submit(GUILD, Control(ControlKind.DEPLOY, "second"))
    assert story.event() is Verdict.ACCEPTED
    assert story.event("TYPING_START") is Verdict.ACCEPTED
    story.router.applied(story.take(Apply), interest=Interest(frozenset({"TYPING_START"})))
    assert story.start().event.name == "TYPING_START"
    assert story.router.depth == 1  # the other one has ended without a start


def test_a_script_may_change_what_it_listens_to_but_not_after_its_end() -> None:
    story = Story(interest=Interest(frozenset()))
    story.router.declared(GUILD, story.view.incarnation - 1, Interest(frozenset({"MESSAGE_CREATE"})))
    assert story.event() is Verdict.UNLISTENED
    story.router.declared(GUILD, story.view.incarnation, Interest(frozenset({"MESSAGE_CREATE"})))
    assert story.event() is Verdict.ACCEPTED


def test_a_guild_without_a_script_takes_nothing() -> None:
    story = Story()
    nobody = GuildId("9")
    other = GatewayEvent(EventId(0, "s", 1), "MESSAGE_CREATE", nobody, b"{}", 0.0)
    assert story.router.accept(other) is Verdict.NOT_DEPLOYED
    assert story.router.inject(nobody, Injected("c", "__cron:a", b"{}", 0.0)) is Verdict.NOT_DEPLOYED
    with pytest.raises(GuildNotDeployedError):
        story.router.migrate(nobody, 1)


def test_an_ack_counts_once_and_only_from_the_present_owner() -> None:
    story = Story()
    story.event()
    stale = story.start()
    story.router.worker_lost(2)
    assert not story.router.is_current(GUILD, stale.epoch)
    assert not story.router.ack(stale)
    story.restart()
    fresh = story.start()
    assert (fresh.n, fresh.attempt) == (stale.n, 2)
    assert not story.router.ack(stale)
    assert not story.router.fail(stale, "late")
    assert story.router.ack(fresh)
    assert not story.router.ack(fresh)
    assert story.router.counters["stale_ack"] == 4


# ---------------------------------------------------------------------- overload


def test_a_full_mailbox_sheds_the_oldest_message_and_keeps_the_interactions() -> None:
    story = Story(limits=Limits(guild_capacity=3, concurrency=1))
    for name in ("INTERACTION_CREATE", "MESSAGE_CREATE", "MESSAGE_CREATE"):
        assert story.event(name) is Verdict.ACCEPTED
    assert story.event("INTERACTION_CREATE") is Verdict.ACCEPTED  # n=3, a message, goes
    assert story.event("MESSAGE_CREATE") is Verdict.ACCEPTED  # n=4 goes
    assert story.event("TYPING_START") is Verdict.SHED  # less than anything that waits
    assert story.router.counters["shed:overload:message"] == 2
    assert story.router.counters["shed:overload:ephemeral"] == 1
    started = []
    while (delivery := story.next()) is not None:
        started.append(delivery)
        story.router.ack(delivery)
    assert numbers(started) == [2, 5, 6]


def test_the_bound_of_the_sum_hits_the_guild_that_fills_it() -> None:
    story = Story(limits=Limits(total_capacity=10, guild_capacity=100))
    other = GuildId("456")
    story.router.submit(other, Control(ControlKind.DEPLOY, "other"))
    story.router.activated(story.take(Activate))
    story.router.applied(story.take(Apply))
    story.router.inject(other, Injected("quiet", "MESSAGE_CREATE", b"{}", 0.0))
    story.router.inject(other, Injected("press", "INTERACTION_CREATE", b"{}", 0.0))
    for _ in range(50):
        story.event()
    assert story.router.depth == 10
    assert {view.guild_id: view.waiting for view in story.router.views()} == {GUILD: 8, other: 2}
    assert story.router.counters["shed:overload:message"] == 42


# ---------------------------------------------------------------------- failures


def die(story: Story) -> None:
    story.router.process_lost(GUILD, story.view.incarnation, "killed by signal 9")


def test_a_process_that_dies_is_started_again_by_its_owner_with_a_growing_back_off() -> None:
    story = Story()
    for failures in (1, 2, 3):
        die(story)
        activate = story.take(Activate)
        assert (activate.worker, activate.deployment, activate.failures) == (2, "first", failures)
        story.router.activated(activate)
    story.event()
    story.router.ack(story.start())
    die(story)
    assert story.take(Activate).failures == 1  # an event that ended well has cleared its name


def test_a_poison_event_becomes_a_dead_letter_and_its_neighbours_do_not() -> None:
    story = Story(limits=Limits(attempts=3))
    for _ in range(4):
        story.event()
    poison = story.seq - 2  # the second
    done = []
    while (delivery := story.next()) is not None:
        flight = [delivery]
        while (more := story.next()) is not None:
            flight.append(more)
        if any(each.event.id == EventId(0, "s", poison) for each in flight):
            die(story)
            story.restart()
        else:
            done += flight
            for each in flight:
                story.router.ack(each)
    letter = story.take(DeadLetter)
    assert (letter.event.id, letter.attempts) == (EventId(0, "s", poison), 3)
    assert numbers(done) == [2, 4, 5]
    assert all(each.attempt == 2 for each in done)


def test_the_cursor_passes_a_dead_letter_only_when_it_is_stored() -> None:
    story = Story(limits=Limits(attempts=1))
    story.event()
    story.start()
    die(story)
    letter = story.take(DeadLetter)
    cursor = story.router.sessions.cursor(0)
    assert cursor is not None
    assert cursor.seq == 0
    story.router.stored(letter)
    cursor = story.router.sessions.cursor(0)
    assert cursor is not None
    assert cursor.seq == 1


def test_an_interrupted_event_is_tried_again_alone() -> None:
    story = Story()
    for _ in range(3):
        story.event()
    first, second = story.start(), story.start()
    story.router.fail(first, "cancelled")
    assert story.next() is None  # not beside the second
    story.router.ack(second)
    again = story.start()
    assert (again.n, again.attempt) == (first.n, 2)
    assert story.next() is None
    story.router.ack(again)
    assert story.start().n == 4


def test_the_end_of_a_process_that_was_replaced_means_nothing() -> None:
    story = Story()
    old = story.view.incarnation
    story.deploy("second")
    story.commands.clear()
    story.router.process_lost(GUILD, old, "replaced")
    assert story.view.state is State.OPEN
    assert story.find(Activate) is None


def test_a_process_that_ends_before_its_start_is_answered_is_not_taken_for_alive() -> None:
    story = Story()
    story.router.submit(GUILD, Control(ControlKind.DEPLOY, "second"))
    apply = story.take(Apply)
    story.router.process_lost(GUILD, apply.incarnation, "at once")
    story.router.applied(apply)
    assert story.take(Activate).deployment == "second"


def test_a_guild_whose_worker_is_lost_is_started_on_another_one() -> None:
    story = Story()
    story.router.worker_lost(2)
    assert story.take(Retire).worker == 2
    activate = story.take(Activate)
    assert (activate.worker, activate.failures) == (3, 0)
    story.router.worker_up(2)
    assert story.view.worker == 3


def test_without_any_worker_a_guild_waits_for_one() -> None:
    story = Story()
    story.event()
    for worker in range(4):
        story.router.worker_lost(worker)
    assert story.view.state is State.HOMELESS
    assert story.event() is Verdict.ACCEPTED
    with pytest.raises(WorkerUnavailableError):
        story.router.migrate(GUILD, 0)
    story.commands.clear()
    story.router.take()
    story.router.worker_up(0)
    story.restart()
    assert story.start().n == 2


def test_a_worker_that_was_restarted_unnoticed_has_lost_what_it_had() -> None:
    story = Story()
    story.router.worker_up(2)
    assert story.take(Activate).epoch > story.take(Retire).epoch


# ---------------------------------------------------------------------- controls


def test_a_deploy_takes_its_place_between_events() -> None:
    story = Story()
    story.event()
    before = story.start()
    story.router.submit(GUILD, Control(ControlKind.DEPLOY, "second"))
    story.event()
    assert story.next() is None
    assert story.find(Apply) is None
    story.router.ack(before)
    apply = story.take(Apply)
    assert story.next() is None
    story.router.applied(apply)
    assert story.start().n == 4
    assert story.find(ControlDone) is not None


def test_a_deploy_that_fails_leaves_the_present_script() -> None:
    story = Story()
    incarnation = story.view.incarnation
    story.router.submit(GUILD, Control(ControlKind.DEPLOY, "second"))
    story.router.applied(story.take(Apply), error="SyntaxError")
    assert story.take(ControlDone).error == "SyntaxError"
    assert (story.view.state, story.view.incarnation) == (State.OPEN, incarnation)
    die(story)
    assert story.take(Activate).deployment == "first"


def test_a_first_deploy_that_fails_leaves_nothing() -> None:
    story = Story()
    guild = GuildId("456")
    story.router.submit(guild, Control(ControlKind.DEPLOY, "broken"))
    assert story.router.inject(guild, Injected("x", "MESSAGE_CREATE", b"{}", 0.0)) is Verdict.ACCEPTED
    story.router.activated(story.take(Activate))
    story.router.applied(story.take(Apply), error="SyntaxError")
    view = story.router.view(guild)
    assert view is not None
    assert (view.state, view.worker) == (State.STOPPED, None)
    assert story.router.counters["shed:not_deployed"] == 1


def test_an_undeploy_ends_what_comes_behind_it_and_a_deploy_begins_again() -> None:
    story = Story()
    story.router.submit(GUILD, Control(ControlKind.UNDEPLOY))
    story.event()
    story.router.submit(GUILD, Control(ControlKind.DEPLOY, "second"))
    story.event()
    story.router.applied(story.take(Apply))
    story.restart()
    story.router.applied(story.take(Apply))
    assert story.start().n == 5
    assert story.router.counters["shed:not_deployed"] == 1


@pytest.mark.parametrize("kind", list(ControlKind))
def test_controls_of_a_guild_that_has_nothing(kind: ControlKind) -> None:
    router = Router(1)
    n = router.submit(GUILD, Control(kind, "first"))
    (command,) = router.take()
    if kind is ControlKind.DEPLOY:
        assert isinstance(command, Activate)
    else:
        failed = "nothing is deployed" if kind is ControlKind.RESTART else None
        assert command == ControlDone(GUILD, n, kind, failed)


def test_a_guild_that_cannot_start_is_rescued_by_a_deploy_at_once() -> None:
    story = Story()
    story.event()
    die(story)
    story.router.activation_failed(story.take(Activate), "it does not load any more")
    waiting = story.take(Activate)
    story.router.submit(GUILD, Control(ControlKind.SECRETS))
    story.event()
    story.router.submit(GUILD, Control(ControlKind.DEPLOY, "second"))
    story.event()
    assert story.take(DeadLetter).n == 2
    assert story.take(DeadLetter).n == 4
    activate = story.take(Activate)
    assert (activate.deployment, activate.failures) == (None, 0)
    story.router.activated(activate)
    story.router.applied(story.take(Apply))
    assert story.start().n == 6
    story.router.activated(waiting)  # late
    assert story.view.state is State.OPEN
    assert story.router.counters["late_answer"] == 1


def test_a_crash_is_no_reason_to_give_up_what_waits_when_a_deploy_comes() -> None:
    story = Story()
    die(story)
    story.event()
    story.router.submit(GUILD, Control(ControlKind.DEPLOY, "second"))
    assert story.find(DeadLetter) is None
    story.restart()
    assert story.start().n == 2


def test_a_control_that_takes_its_owners_down_is_given_up() -> None:
    story = Story(limits=Limits(attempts=2))
    story.router.submit(GUILD, Control(ControlKind.RESTART))
    for _ in range(2):
        story.router.worker_lost(story.take(Apply).worker)
        story.restart()
    done = story.take(ControlDone)
    assert done.error is not None
    assert "2 attempts" in done.error
    assert story.view.state is State.OPEN


def test_controls_are_bounded() -> None:
    story = Story(limits=Limits(controls=2))
    for _ in range(2):
        story.router.submit(GUILD, Control(ControlKind.SECRETS))
    with pytest.raises(ControlQueueFullError):
        story.router.submit(GUILD, Control(ControlKind.SECRETS))


# ---------------------------------------------------------------------- migrations


def test_a_live_process_changes_hands_and_every_event_keeps_its_place() -> None:
    story = Story()
    story.event()
    before = story.start()
    move = story.router.migrate(GUILD, 0)
    story.event()
    assert story.next() is None
    story.router.ack(before)
    release = story.take(Release)
    story.router.released(release, "the process")
    adopt = story.take(Adopt)
    assert (adopt.worker, adopt.epoch, adopt.baggage) == (0, release.epoch + 1, "the process")
    assert adopt.incarnation == release.incarnation
    story.event()
    assert story.next() is None
    story.router.adopted(adopt)
    assert story.take(MoveDone) == MoveDone(GUILD, move or 0, MoveOutcome.MOVED, 2, 0, 0, "")
    assert numbers([story.start(), story.start()]) == [3, 4]
    assert story.router.placement.routed(GUILD) == 0


def test_one_migration_at_a_time_others_join_or_are_busy() -> None:
    story = Story()
    assert story.router.migrate(GUILD, 2) is None  # it lives there
    move = story.router.migrate(GUILD, 0)
    assert story.router.migrate(GUILD, 0) == move
    with pytest.raises(MigrationBusyError):
        story.router.migrate(GUILD, 1)
    story.router.released(story.take(Release), None)
    story.router.adopted(story.take(Adopt))
    assert story.find(MoveDone) is not None
    assert story.find(MoveDone) is None


@pytest.mark.parametrize("target", [-1, 4])
def test_a_worker_that_is_not_there_is_no_target(target: int) -> None:
    with pytest.raises(WorkerUnavailableError):
        Story().router.migrate(GUILD, target)


def test_a_hung_handler_is_cancelled_then_its_process_killed_and_the_event_tried_again() -> None:
    story = Story()
    story.event()
    hung = story.start()
    story.router.migrate(GUILD, 0)
    story.timeout()
    assert story.take(Cancel).epoch == hung.epoch
    story.timeout()
    die(story)
    activate = story.take(Activate)
    assert (activate.worker, activate.deployment) == (0, "first")
    assert story.take(MoveDone).outcome is MoveOutcome.FAILED_OVER
    story.router.activated(activate)
    assert (story.start().n, story.router.ack(hung)) == (hung.n, False)


def test_a_target_that_does_not_answer_costs_nothing_but_time() -> None:
    story = Story()
    story.router.migrate(GUILD, 0)
    story.router.released(story.take(Release), "the process")
    slow = story.take(Adopt)
    story.timeout()
    back = story.take(Adopt)
    assert (back.worker, back.epoch, back.baggage) == (2, slow.epoch + 1, "the process")
    story.commands.clear()
    story.router.adopted(slow)
    assert story.take(Retire) == Retire(GUILD, 0, slow.epoch, None)
    story.router.adopted(back)
    assert story.take(MoveDone).outcome is MoveOutcome.ROLLED_BACK


def test_a_third_worker_takes_it_when_source_and_target_are_gone() -> None:
    story = Story()
    story.router.migrate(GUILD, 0)
    story.router.released(story.take(Release), "the process")
    story.router.worker_lost(2)
    story.router.worker_lost(0)
    story.take(Adopt)
    third = story.take(Adopt)
    assert third.worker == 1
    story.router.adopted(third)
    assert story.take(MoveDone).outcome is MoveOutcome.FAILED_OVER
    assert story.view.incarnation == third.incarnation  # with its live process all the same


def test_an_old_timer_means_nothing() -> None:
    story = Story()
    story.event()
    delivery = story.start()
    story.router.migrate(GUILD, 0)
    old = story.take(Arm)
    story.router.timeout(GUILD, old.serial)
    assert story.view.phase is Phase.DRAIN
    story.router.ack(delivery)
    story.router.released(story.take(Release), None)
    story.router.adopted(story.take(Adopt))
    for arm in [command for command in story.commands if isinstance(command, Arm)]:
        story.router.timeout(GUILD, arm.serial)
    assert story.view.state is State.OPEN


def test_every_path_through_the_protocol_is_shorter_than_its_total_deadline() -> None:
    """L1: whichever way it goes, each phase ends by its own deadline, and no phase comes twice but ADOPT."""
    deadlines = Deadlines()

    def longest(phase: Phase, seen: tuple[Phase, ...]) -> float:
        if phase in (Phase.OPEN, Phase.REVIVE) or seen.count(phase) > (2 if phase is Phase.ADOPT else 0):
            return 0.0
        own = float(getattr(deadlines, phase.value))
        return own + max(longest(after, (*seen, phase)) for after in TRANSITIONS[phase].values())

    assert longest(Phase.WAIT, ()) <= deadlines.total


def test_a_drained_worker_gives_its_guilds_away_and_gets_no_new_ones() -> None:
    story = Story()
    assert story.router.close_worker(2) == [GUILD]
    story.router.migrate(GUILD, 0)
    story.router.released(story.take(Release), None)
    story.router.adopted(story.take(Adopt))
    assert story.router.close_worker(2) == []
    assert story.router.placement.place(GuildId("123456789012345678")) == 3  # at home on 2
    story.router.reopen_worker(2)
    assert story.router.placement.place(GuildId("123456789012345678")) == 2


# ---------------------------------------------------------------------- the end


def test_a_shutdown_lets_mailboxes_drain_and_keeps_what_does_not() -> None:
    story = Story(limits=Limits(concurrency=1))
    story.event()
    story.event()
    running = story.start()
    story.router.stop_intake()
    assert story.event() is Verdict.CLOSING
    with pytest.raises(RouterClosedError):
        story.router.submit(GUILD, Control(ControlKind.RESTART))
    with pytest.raises(RouterClosedError):
        story.router.migrate(GUILD, 0)
    story.router.ack(running)
    assert not story.router.is_idle
    story.start()
    ((guild, event),) = story.router.close()
    assert (guild, event.id) == (GUILD, EventId(0, "s", 2))
    assert story.router.is_idle
    cursor = story.router.sessions.cursor(0)
    assert cursor is not None
    assert cursor.seq == 1


def test_outcomes_of_handlers_all_end_their_event() -> None:
    story = Story()
    for outcome in (Outcome.DONE, Outcome.FAILED, Outcome.TIMEOUT):
        story.event()
        assert story.router.ack(story.start(), outcome)
    assert story.router.depth == 0


def test_an_effect_has_the_same_key_at_every_attempt_and_another_for_every_other() -> None:
    keys = {effect_key(g, e, i) for g in ("1", "11") for e in ("0:s:1", "1:s:1") for i in (0, 1)}
    assert len(keys) == 8
    assert effect_key("1", "0:s:1", 0) in keys
    assert all(len(key) <= 25 and key.isalnum() for key in keys)
