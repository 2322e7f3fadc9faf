"""The ready-queue: a neighbour's next event waits for at most one of a busy guild's."""

from __future__ import annotations

from flora.actors.core.fairness import ReadyQueue, Turn


class Guild:
    """Starts its events as long as it has any, `concurrency` at a time."""

    def __init__(self, name: str, events: int, concurrency: int = 8) -> None:
        self.name = name
        self.events = events
        self.concurrency = concurrency
        self.running = 0
        self.turn: Turn | None = None

    @property
    def has_more(self) -> bool:
        return self.events > 0

    def start(self) -> str | None:
        if not self.events or self.running >= self.concurrency:
            return None
        self.events -= 1
        self.running += 1
        return self.name

    def end(self, queue: ReadyQueue[str]) -> None:
        self.running -= 1
        queue.release(self)
        if self.events:
            queue.push(self)


def test_ten_thousand_events_of_one_guild_delay_a_neighbour_by_one() -> None:
    queue: ReadyQueue[str] = ReadyQueue(slots=4)
    busy, neighbour = Guild("busy", 10_000), Guild("neighbour", 0)
    queue.push(busy)
    for _ in range(100):
        while queue.next():
            pass
        neighbour.events = 1
        queue.push(neighbour)
        busy.end(queue)
        assert "neighbour" in [queue.next(), queue.next()]
        neighbour.end(queue)


def test_guilds_take_turns_however_much_each_has() -> None:
    queue: ReadyQueue[str] = ReadyQueue(slots=100)
    for guild in (Guild("a", 1000), Guild("b", 2), Guild("c", 50)):
        queue.push(guild)
    assert [queue.next() for _ in range(9)] == list("abcabcaca"[:9])


def test_hung_handlers_that_hold_every_slot_delay_no_other_guild() -> None:
    queue: ReadyQueue[str] = ReadyQueue(slots=4)
    hung, neighbour = Guild("hung", 100), Guild("neighbour", 3)
    queue.push(hung)
    while queue.next():
        pass
    assert queue.used == 4
    assert queue.push(neighbour)
    assert queue.next() == "neighbour"
    assert queue.next() is None  # its second one needs a slot
    neighbour.end(queue)
    assert queue.next() == "neighbour"


def test_a_guild_that_waited_for_a_slot_needs_none_when_its_last_handler_ends() -> None:
    queue: ReadyQueue[str] = ReadyQueue(slots=2)
    hung, guild = Guild("hung", 10), Guild("guild", 2)
    queue.push(guild)
    assert queue.next() == "guild"
    queue.push(hung)
    while queue.next():
        pass
    hung.events = 0
    guild.events = 1
    queue.push(guild)
    assert queue.next() is None
    guild.end(queue)
    assert queue.next() == "guild"


def test_a_worker_is_woken_once_and_only_when_there_is_something_it_can_do() -> None:
    queue: ReadyQueue[str] = ReadyQueue(slots=1)
    a, b = Guild("a", 5), Guild("b", 5)
    assert queue.push(a)
    assert not queue.push(a)
    assert not queue.push(b)  # awake already
    assert [queue.next(), queue.next(), queue.next()] == ["a", "b", None]
    assert not queue.push(a)  # it has its place, and there is no slot
    a.running -= 1
    assert queue.release(a)


def test_a_guild_that_leaves_gives_up_its_turn() -> None:
    queue: ReadyQueue[str] = ReadyQueue(slots=1)
    a, b = Guild("a", 1), Guild("b", 1)
    queue.push(a)
    queue.push(b)
    queue.discard(a)
    assert len(queue) == 1
    assert queue.next() == "b"
    queue.push(a)
    queue.reset()
    assert (len(queue), queue.used, queue.asleep, a.turn) == (0, 0, True, None)
