"""No event of the gateway twice (L10), and a cursor that passes only what has ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flora.actors.core import Cursor, Sessions
from flora.ids import EventId


def event(seq: int, session: str = "s", shard: int = 0) -> EventId:
    return EventId(shard, session, seq)


def test_a_replayed_sequence_number_is_seen_as_such() -> None:
    sessions = Sessions()
    assert [sessions.admit(event(seq)) for seq in (1, 2, 3, 2, 3, 4, 1)] == [True] * 3 + [False] * 2 + [
        True,
        False,
    ]


def test_shards_and_sessions_count_for_themselves() -> None:
    sessions = Sessions()
    assert sessions.admit(event(1))
    assert sessions.admit(event(1, shard=1))
    assert sessions.admit(event(1, session="t"))
    assert not sessions.admit(event(1))  # late, of the session before: still known
    assert sessions.cursor(0) == Cursor(0, "t", 0)


@given(st.permutations(range(1, 12)), st.integers(0, 11))
def test_the_cursor_stands_before_the_first_event_that_has_not_ended(order: list[int], many: int) -> None:
    sessions = Sessions()
    for seq in range(1, 12):
        sessions.admit(event(seq))
    ended = set(order[:many])
    for seq in order[:many]:
        sessions.done(event(seq))
    cursor = sessions.cursor(0)
    assert cursor is not None
    low = next((seq - 1 for seq in range(1, 12) if seq not in ended), 11)
    assert cursor == Cursor(0, "s", low, tuple(sorted(seq for seq in ended if seq > low)))


@given(st.sets(st.integers(1, 11)))
def test_after_a_restart_exactly_what_had_not_ended_is_taken_again(ended: set[int]) -> None:
    before = Sessions()
    for seq in range(1, 12):
        before.admit(event(seq))
    for seq in ended:
        before.done(event(seq))
    cursor = before.cursor(0)
    assert cursor is not None

    after = Sessions()
    after.resume(cursor)
    taken = {seq for seq in range(cursor.seq + 1, 12) if after.admit(event(seq))}
    assert taken == set(range(1, 12)) - ended
    for seq in taken:
        after.done(event(seq))
    assert after.cursor(0) == Cursor(0, "s", 11 if taken or ended else 0)


def test_memory_is_bounded_by_what_has_not_ended() -> None:
    sessions = Sessions()
    for seq in range(1, 10_001):
        sessions.admit(event(seq))
        sessions.done(event(seq))
    session = sessions._present[0]
    assert not session.outstanding
    assert not session.ended
    assert sessions.cursor(0) == Cursor(0, "s", 10_000)


def test_an_event_of_a_forgotten_session_ends_in_silence() -> None:
    sessions = Sessions()
    sessions.done(event(1))
    for session in "abc":
        sessions.admit(event(1, session))
    sessions.done(event(1, "a"))
    assert sessions.cursor(0) == Cursor(0, "c", 0)
    assert sessions.cursor(1) is None
