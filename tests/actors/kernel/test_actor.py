"""Telling, asking, and what becomes of messages when an actor is full, fails or stops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio
import trio.testing

from flora.actors.kernel import (
    Actor,
    ActorCrashedError,
    ActorRef,
    ActorStoppedError,
    ActorSystem,
    AskTimeoutError,
    Backoff,
    ChildSpec,
    Context,
    DuplicateActorError,
    MailboxFullError,
    Request,
    Restart,
    State,
)


@dataclass(frozen=True, slots=True)
class Add:
    amount: int


@dataclass(frozen=True, slots=True)
class Total(Request[int]):
    pass


@dataclass(frozen=True, slots=True)
class Fail(Request[None]):
    pass


@dataclass(frozen=True, slots=True)
class Hang(Request[None]):
    pass


Message = Add | Total | Fail | Hang


class Counter(Actor[Message]):
    def __init__(self) -> None:
        self.total = 0

    async def receive(self, message: Message) -> None:
        match message:
            case Add(amount):
                self.total += amount
            case Total():
                message.reply.ok(self.total)
            case Fail():
                raise RuntimeError("told to fail")
            case Hang():
                await trio.sleep_forever()


QUICK = Backoff(initial=0.01, jitter=0)


@asynccontextmanager
async def counter(**options: object) -> AsyncIterator[ActorRef[Message]]:
    spec: ChildSpec[Message] = ChildSpec("counter", Counter, backoff=QUICK, **options)  # type: ignore[arg-type]
    async with ActorSystem.open("test") as system:
        yield await system.spawn(spec)


async def test_messages_are_handled_in_order_and_answered() -> None:
    async with counter() as ref:
        for amount in (1, 2, 3):
            ref.tell(Add(amount))
        assert await ref.ask(Total(), deadline=1) == 6


async def test_a_full_mailbox_is_an_answer_not_a_wait() -> None:
    async with counter(mailbox_capacity=2, stop_deadline=0.1) as ref:
        ref.tell(Hang())
        await trio.testing.wait_all_tasks_blocked()
        ref.tell(Add(1))
        ref.tell(Add(1))
        with pytest.raises(MailboxFullError, match="/test/counter"):
            ref.tell(Add(1))


async def test_an_ask_ends_at_its_deadline(autojump_clock: trio.testing.MockClock) -> None:
    async with counter(stop_deadline=0.1) as ref:
        before = trio.current_time()
        with pytest.raises(AskTimeoutError, match="no answer to Hang in 7 s"):
            await ref.ask(Hang(), deadline=7)
        assert trio.current_time() - before == 7


async def test_a_failure_answers_the_request_and_loses_no_other_message(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with counter() as ref:
        ref.tell(Add(1))
        fail = Fail()
        ref.tell(fail)
        ref.tell(Add(5))  # waits in the mailbox while the actor is started afresh
        with pytest.raises(ActorCrashedError, match="told to fail"):
            await fail.reply.wait()
        assert await ref.ask(Total(), deadline=1) == 5, "fresh state, no message lost"


async def test_an_orderly_stop_handles_what_is_queued_first() -> None:
    totals: list[int] = []

    class Summing(Counter):
        async def stopping(self) -> None:
            totals.append(self.total)

    async with ActorSystem.open("test") as system:
        ref = await system.spawn(ChildSpec("counter", Summing))
        for _ in range(10):
            ref.tell(Add(1))
    assert totals == [10]
    with pytest.raises(ActorStoppedError):
        ref.tell(Add(1))


async def test_a_stop_that_hangs_ends_at_its_deadline_and_refuses_what_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    before = trio.current_time()
    waiting, current = Total(), Hang()
    async with counter(stop_deadline=2) as ref:
        ref.tell(current)
        ref.tell(waiting)
    assert trio.current_time() - before == 2
    for request in (current, waiting):
        with pytest.raises(ActorStoppedError):
            await request.reply.wait()


async def test_cancellation_ends_the_tree_at_once_and_refuses_what_waits() -> None:
    waiting = Total()
    with trio.CancelScope() as scope:
        async with counter(stop_deadline=1000) as ref:
            ref.tell(Hang())
            ref.tell(waiting)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    with pytest.raises(ActorStoppedError):
        await waiting.reply.wait()


async def test_an_asker_that_is_cancelled_harms_nobody() -> None:
    async with counter() as ref:
        with trio.move_on_after(0):
            await ref.ask(Total(), deadline=1)
        ref.tell(Add(1))
        assert await ref.ask(Total(), deadline=1) == 1


async def test_children_stop_before_their_parent_and_the_youngest_first() -> None:
    stopped: list[str] = []

    class Named(Actor[None]):
        def __init__(self, name: str) -> None:
            self.name = name

        async def stopping(self) -> None:
            stopped.append(self.name)

    class Parent(Actor[None]):
        async def started(self, ctx: Context[None]) -> None:
            for name in ("a", "b"):
                await ctx.spawn(ChildSpec(name, lambda name=name: Named(name)))

        async def stopping(self) -> None:
            stopped.append("parent")

    async with ActorSystem.open("test") as system:
        await system.spawn(ChildSpec("elder", lambda: Named("elder")))
        await system.spawn(ChildSpec("parent", Parent))
        assert [info.path for info in system.snapshot()] == [
            "/test/elder",
            "/test/parent",
            "/test/parent/a",
            "/test/parent/b",
        ]
    assert stopped == ["parent", "b", "a", "elder"]
    assert system.snapshot() == []


async def test_names_are_unique_among_the_living() -> None:
    async with ActorSystem.open("test") as system:
        spec = ChildSpec("one", Counter, restart=Restart.TEMPORARY)
        first = await system.spawn(spec)
        with pytest.raises(DuplicateActorError):
            await system.spawn(spec)
        with pytest.raises(ActorCrashedError):
            await first.ask(Fail(), deadline=1)
        await trio.testing.wait_all_tasks_blocked()
        second = await system.spawn(spec)
        assert await second.ask(Total(), deadline=1) == 0
        with pytest.raises(ActorStoppedError):
            first.tell(Add(1))


async def test_a_parent_can_stop_one_child() -> None:
    class Parent(Actor[Total]):
        async def started(self, ctx: Context[Total]) -> None:
            child = await ctx.spawn(ChildSpec("child", Counter))
            await ctx.stop(child)
            with pytest.raises(ActorStoppedError):
                child.tell(Add(1))

    async with ActorSystem.open("test") as system:
        await system.spawn(ChildSpec("parent", Parent))
        assert [info.state for info in system.snapshot()] == [State.RUNNING]
