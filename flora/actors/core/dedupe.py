"""Gateway sequence numbers: no event twice, and how far the resume cursor may go.

Discord numbers the dispatches of a session upwards and, after a RESUME, sends again what follows the number
it was given. So one number a session, the highest seen, tells a replay from news (L10), and a second RESUME,
or one from an older number, changes nothing.

The cursor that flora stores is the *low-water mark*: the highest `seq` up to which every event has ended
(committed, shed, stored as a dead letter, or never wanted). After a crash flora resumes from it. Events
above it that had ended come again; a `Cursor` names them, so that a restart that stored it repeats none.
Memory: one number for each event that has not ended or ended out of order.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from flora.ids import EventId


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to resume a session: everything up to `seq` has ended, and so has each of `ended`, above it."""

    shard: int
    session: str
    seq: int
    ended: tuple[int, ...] = ()


class _Session:
    __slots__ = ("ended", "highest", "known", "low", "outstanding", "session")

    def __init__(self, session: str, low: int, known: frozenset[int]) -> None:
        self.session = session
        self.low = low  # what lies before `outstanding` has ended
        self.highest = low
        self.outstanding: deque[int] = deque()  # ascending; those in `ended` are passed when they come first
        self.ended: set[int] = set()
        self.known = known  # ended before a restart

    def admit(self, seq: int) -> bool:
        if seq <= self.highest:
            return False
        self.highest = seq
        self.outstanding.append(seq)
        if seq in self.known:
            self.done(seq)
            return False
        return True

    def done(self, seq: int) -> None:
        outstanding = self.outstanding
        if not outstanding or seq != outstanding[0]:
            if self.low < seq <= self.highest:
                self.ended.add(seq)
            return
        outstanding.popleft()
        self.low = seq
        ended = self.ended
        while ended and outstanding and outstanding[0] in ended:
            self.low = outstanding.popleft()
            ended.discard(self.low)


class Sessions:
    """The sessions of all shards: the present one of each, and the one before, whose events may still end."""

    __slots__ = ("_present", "_previous")

    def __init__(self) -> None:
        self._present: dict[int, _Session] = {}
        self._previous: dict[int, _Session] = {}

    def resume(self, cursor: Cursor) -> None:
        """Take up a session where an earlier process left it. Call before its first event."""
        self._present[cursor.shard] = _Session(cursor.session, cursor.seq, frozenset(cursor.ended))

    def admit(self, event: EventId) -> bool:
        """False when this event was seen before."""
        session = self._find(event)
        if session is None:
            if (old := self._present.get(event.shard)) is not None:
                self._previous[event.shard] = old
            # A first event may have any number: in a session that was resumed without a cursor it is not 1.
            session = self._present[event.shard] = _Session(event.session, event.seq - 1, frozenset())
        return session.admit(event.seq)

    def done(self, event: EventId) -> None:
        """The event has ended; of a session that was forgotten, it matters no more."""
        session = self._find(event)
        if session is not None:
            session.done(event.seq)

    def cursor(self, shard: int) -> Cursor | None:
        """What to store for `shard`; None before its first event."""
        session = self._present.get(shard)
        if session is None:
            return None
        return Cursor(shard, session.session, session.low, tuple(sorted(session.ended)))

    def unfinished(self, shard: int) -> Cursor | None:
        """The session before the present one, for as long as events of it have not ended."""
        session = self._previous.get(shard)
        if session is None or not session.outstanding:
            return None
        return Cursor(shard, session.session, session.low, tuple(sorted(session.ended)))

    def _find(self, event: EventId) -> _Session | None:
        session = self._present.get(event.shard)
        if session is not None and session.session != event.session:
            session = self._previous.get(event.shard)
            if session is not None and session.session != event.session:
                return None
        return session
