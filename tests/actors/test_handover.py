"""The overlap of two sessions: whatever each of them brings, an event is delivered once and in order."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flora.actors.handover import Overlap
from flora.gateway.events import GatewayEvent
from flora.ids import EventId, GuildId


def event(session: str, seq: int, name: str, **payload: Any) -> GatewayEvent:
    return GatewayEvent(EventId(0, session, seq), name, GuildId("1"), json.dumps(payload).encode(), 0.0)


def test_a_message_is_the_same_with_and_without_its_content() -> None:
    overlap = Overlap()
    overlap.delivered(event("old", 7, "MESSAGE_CREATE", id="1", content=""))
    assert not overlap.is_new(event("new", 3, "MESSAGE_CREATE", content="hello", id="1"))
    assert overlap.is_new(event("new", 4, "MESSAGE_CREATE", content="hello", id="2"))


def test_two_equal_events_are_two() -> None:
    overlap = Overlap()
    overlap.delivered(event("old", 7, "TYPING_START", user_id="1", timestamp=5))
    assert not overlap.is_new(event("new", 3, "TYPING_START", user_id="1", timestamp=5))
    assert overlap.is_new(event("new", 4, "TYPING_START", user_id="1", timestamp=5))


@given(
    st.lists(st.integers(0, 3), max_size=40),
    st.integers(0, 40),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_wherever_the_sessions_overlap_nothing_is_lost_or_doubled(
    kinds: list[int], new_from: int, old_until: int, cut: int
) -> None:
    """Both get the same stream; the new one from `new_from` on, the old one is read to `old_until`; up to
    `cut` the new one is held. The new one begins before the old one ends, as the handover sees to.
    """
    new_from = min(new_from, len(kinds))
    old_until = max(new_from, min(old_until, len(kinds)))
    # A few kinds only, so that equal events abound; their order is told by their position.
    stream = [event("s", position, "EVENT", kind=kind) for position, kind in enumerate(kinds)]
    overlap = Overlap()
    got: list[Any] = []
    recording = new_from  # from the moment when the new one identifies
    for item in stream[:old_until]:
        got.append(item.payload)
        if item.id.seq >= recording:
            overlap.delivered(item)
    held = stream[new_from : max(new_from, cut)]
    for item in held:
        overlap.hold(item)
    got += [item.payload for item in overlap.release()]
    got += [item.payload for item in stream[new_from + len(held) :] if overlap.is_new(item)]
    assert got == [item.payload for item in stream]
