"""The mailbox: one gap-free order; what comes back goes to its place; the least and oldest is shed first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flora.actors.core import Control, ControlKind, Injected
from flora.actors.core.mailbox import Mailbox, Pool
from flora.actors.core.overload import CLASSES, INTERACTION, MESSAGE, rank_of

names = st.sampled_from(
    ["TYPING_START", "MESSAGE_CREATE", "GUILD_MEMBER_ADD", "__cron:a", "INTERACTION_CREATE"]
)


def mailbox_of(*events: str) -> Mailbox:
    mailbox = Mailbox(Pool(1000))
    for name in events:
        mailbox.append_event(Injected(name, name, b"", 0.0), rank_of(name))
    return mailbox


def test_numbers_are_gap_free_over_events_and_controls() -> None:
    mailbox = mailbox_of("MESSAGE_CREATE", "MESSAGE_CREATE")
    assert mailbox.append_control(Control(ControlKind.RESTART)).n == 3
    assert mailbox.append_event(Injected("x", "X", b"", 0.0), MESSAGE).n == 4
    assert (mailbox.events, mailbox.controls, mailbox.pool.size) == (3, 1, 3)


def test_what_is_handed_out_is_what_came_in() -> None:
    event = Injected("x", "X", b"payload", 0.0)
    mailbox = Mailbox(Pool(1))
    mailbox.append_event(event, MESSAGE)
    assert mailbox.start().event is event


@given(st.lists(names, min_size=1, max_size=20), st.data())
def test_what_is_put_back_starts_again_before_everything_behind_it(
    events: list[str], data: st.DataObject
) -> None:
    mailbox = mailbox_of(*events)
    for _ in range(data.draw(st.integers(1, len(events)))):
        mailbox.start()
    flight = list(mailbox.in_flight)
    for some in (data.draw(st.lists(st.sampled_from(flight), unique=True)), flight):
        mailbox.put_back([n for n in some if n in mailbox.in_flight])
        assert list(mailbox.waiting) == sorted(mailbox.waiting)
    started = [mailbox.start().n for _ in events]
    assert started == list(range(1, len(events) + 1))


@given(st.lists(names, min_size=1, max_size=20))
def test_the_least_class_goes_first_and_in_it_the_oldest(events: list[str]) -> None:
    mailbox = mailbox_of(*events)
    shed = []
    while (entry := mailbox.shed()) is not None:
        shed.append((entry.rank, entry.n))
    assert shed == sorted((rank_of(name), n) for n, name in enumerate(events, 1))
    assert mailbox.pool.size == sum(mailbox.pool.by_rank) == len(mailbox.waiting) == 0


def test_what_has_started_is_never_shed_not_even_when_it_waits_again() -> None:
    mailbox = mailbox_of("MESSAGE_CREATE", "MESSAGE_CREATE")
    mailbox.start()
    mailbox.put_back([1])
    shed = mailbox.shed()
    assert shed is not None
    assert shed.n == 2
    assert mailbox.shed() is None


def test_controls_are_never_shed() -> None:
    mailbox = Mailbox(Pool(1))
    mailbox.append_control(Control(ControlKind.RESTART))
    assert mailbox.shed() is None


def test_the_classes_of_events() -> None:
    for name in ("MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE"):
        assert CLASSES[rank_of(name)] == "message"
    assert rank_of("INTERACTION_CREATE") == INTERACTION == len(CLASSES) - 1
    assert CLASSES[rank_of("__cron:daily")] == "cron"
    assert CLASSES[rank_of("SOMETHING_NEW")] == "state"
