"""When the gateway's resume cursors are stored. Time is virtual."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from flora.actors.cursors import CursorKeeper
from flora.gateway.session import ResumePoint
from flora.storage.gateway_cursors import GatewayCursor
from flora.storage.postgres import DatabaseError


@dataclass
class Memory:
    point: ResumePoint | None = None

    def stored_point(self) -> ResumePoint | None:
        return self.point


@dataclass
class Store:
    """Keeps (seconds, session, seq) of each try."""

    tries: list[tuple[float, str, int]] = field(default_factory=list)
    away: bool = False

    async def save(self, cursor: GatewayCursor) -> None:
        self.tries.append((trio.current_time(), cursor.session_id, cursor.seq))
        if self.away:
            raise DatabaseError("away")


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def store(autojump_clock: MockClock, memory: Memory, nursery: trio.Nursery) -> Store:
    store = Store()
    keeper = CursorKeeper(store, {0: memory}, bot_id="1", shard_count=1)  # type: ignore[arg-type, dict-item]
    context: Any = None
    nursery.start_soon(keeper.run, context)
    return store


def point(session: str, seq: int) -> ResumePoint:
    return ResumePoint(session, "ws://here", seq, 1)


async def test_a_session_is_stored_as_soon_as_it_has_begun(store: Store, memory: Memory) -> None:
    await trio.sleep(5)
    assert store.tries == []
    for session in ("a", "b"):
        memory.point = point(session, 1)
        await trio.sleep(0.2)
        assert store.tries[-1][1] == session


async def test_what_is_done_is_stored_every_second(store: Store, memory: Memory) -> None:
    for seq in range(1, 101):
        memory.point = point("a", seq)
        await trio.sleep(0.1)
    assert 8 <= len(store.tries) <= 12
    await trio.sleep(1.5)
    assert store.tries[-1][2] == 100
    count = len(store.tries)
    await trio.sleep(10)
    assert len(store.tries) == count, "nothing has moved"


async def test_a_database_that_is_away_is_asked_every_second(store: Store, memory: Memory) -> None:
    store.away = True
    memory.point = point("a", 1)
    await trio.sleep(10)
    assert 8 <= len(store.tries) <= 12
    store.away = False
    await trio.sleep(1.5)
    count = len(store.tries)
    await trio.sleep(10)
    assert len(store.tries) == count
