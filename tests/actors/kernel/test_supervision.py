"""Restart, back-off, intensity, escalation and quarantine: what a supervisor promises."""

from __future__ import annotations

import itertools
import random

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from flora.actors.kernel import (
    Actor,
    ActorQuarantinedError,
    ActorSystem,
    Backoff,
    ChildSpec,
    Context,
    EscalatedError,
    Intensity,
    Quarantine,
    Restart,
    Service,
    State,
)


class Flaky(Actor[str]):
    """Fails at each message; `starts` tells when it was started."""

    def __init__(self, starts: list[float]) -> None:
        self.starts = starts

    async def started(self, ctx: Context[str]) -> None:
        self.starts.append(trio.current_time())

    async def receive(self, message: str) -> None:
        raise RuntimeError(message)


async def test_the_pause_before_each_restart_grows(autojump_clock: trio.testing.MockClock) -> None:
    starts: list[float] = []
    spec = ChildSpec(
        "flaky",
        lambda: Flaky(starts),
        intensity=Intensity(10, 1000),
        backoff=Backoff(initial=1, factor=2, maximum=5, jitter=0),
    )
    async with ActorSystem.open("test") as system:
        ref = await system.spawn(spec)
        for _ in range(4):
            ref.tell("no")
        await trio.sleep(30)
        assert [b - a for a, b in itertools.pairwise(starts)] == [1, 2, 4, 5]
        (info,) = system.snapshot()
        assert (info.restarts, info.state, info.last_error) == (4, State.RUNNING, "RuntimeError('no')")


async def test_too_many_failures_escalate_to_the_top(autojump_clock: trio.testing.MockClock) -> None:
    class Parent(Actor[None]):
        async def started(self, ctx: Context[None]) -> None:
            child = await ctx.spawn(ChildSpec("child", lambda: Flaky([]), intensity=Intensity(1, 60)))
            child.tell("once")
            child.tell("twice")

    with pytest.raises(EscalatedError, match="/test/parent keeps failing") as caught:
        async with ActorSystem.open("test") as system:
            await system.spawn(ChildSpec("parent", Parent, intensity=Intensity(2, 60)))
            await trio.sleep(60)
    assert "/test/parent/child keeps failing" in str(caught.value.__cause__)


async def test_quarantine_is_visible_bounded_and_touches_nobody_else(
    autojump_clock: trio.testing.MockClock,
) -> None:
    starts: list[float] = []
    spec = ChildSpec(
        "flaky",
        lambda: Flaky(starts),
        intensity=Intensity(1, 10),
        backoff=Backoff(initial=1, jitter=0),
        exceeded=Quarantine(initial=100),
    )
    async with ActorSystem.open("test") as system:
        ref = await system.spawn(spec)
        neighbour = await system.spawn(ChildSpec("neighbour", lambda: Flaky([])))
        ref.tell("a")
        ref.tell("b")
        await trio.sleep(2)
        info = system.snapshot()[0]
        assert info.state is State.QUARANTINED
        assert info.resumes_in == pytest.approx(99, abs=1)
        with pytest.raises(ActorQuarantinedError, match=r"RuntimeError\('b'\).*rests for another"):
            ref.tell("c")
        assert system.snapshot()[1].state is State.RUNNING
        await trio.sleep(100)
        ref.tell("d")  # taken again
        assert len(starts) == 3
        assert neighbour.path == "/test/neighbour"


@pytest.mark.parametrize(
    ("restart", "failing", "runs"),
    [
        (Restart.PERMANENT, True, 3),
        (Restart.PERMANENT, False, 3),
        (Restart.TRANSIENT, True, 3),
        (Restart.TRANSIENT, False, 1),
        (Restart.TEMPORARY, True, 1),
        (Restart.TEMPORARY, False, 1),
    ],
)
async def test_the_restart_policy_decides_who_comes_back(
    restart: Restart, failing: bool, runs: int, autojump_clock: trio.testing.MockClock
) -> None:
    seen = 0

    class Run(Service[None]):
        async def run(self, ctx: Context[None]) -> None:
            nonlocal seen
            seen += 1
            if seen == 3:
                await trio.sleep_forever()
            if failing:
                raise RuntimeError("no")

    async with ActorSystem.open("test") as system:
        await system.spawn(ChildSpec("run", Run, restart=restart))
        await trio.sleep(60)
        assert seen == runs
        assert len(system.snapshot()) == (1 if runs == 3 else 0)


async def test_a_failing_task_of_an_actor_is_the_actors_failure(
    autojump_clock: trio.testing.MockClock,
) -> None:
    starts = 0

    class Owner(Actor[None]):
        async def started(self, ctx: Context[None]) -> None:
            nonlocal starts
            starts += 1
            if starts == 1:
                ctx.nursery.start_soon(self.fail)

        async def fail(self) -> None:
            raise RuntimeError("task")

    async with ActorSystem.open("test") as system:
        await system.spawn(ChildSpec("owner", Owner))
        await trio.sleep(10)
        (info,) = system.snapshot()
        assert (starts, info.last_error) == (2, "RuntimeError('task')")


async def test_a_first_start_that_fails_is_the_spawners_error() -> None:
    class Broken(Actor[None]):
        async def started(self, ctx: Context[None]) -> None:
            raise ValueError("cannot open")

    async with ActorSystem.open("test") as system:
        with pytest.raises(ValueError, match="cannot open"):
            await system.spawn(ChildSpec("broken", Broken))
        assert system.snapshot() == []


async def test_a_start_that_hangs_ends_at_its_deadline(autojump_clock: trio.testing.MockClock) -> None:
    class Hanging(Actor[None]):
        async def started(self, ctx: Context[None]) -> None:
            await trio.sleep_forever()

    async with ActorSystem.open("test") as system:
        with pytest.raises(Exception, match="did not start in 3 s"):
            await system.spawn(ChildSpec("hanging", Hanging, start_deadline=3))


async def test_a_service_is_told_before_it_is_cancelled() -> None:
    steps: list[str] = []

    class Server(Service[None]):
        async def run(self, ctx: Context[None]) -> None:
            try:
                await trio.sleep_forever()
            finally:
                steps.append("ended")

        async def stopping(self) -> None:
            steps.append("stopping")

    async with ActorSystem.open("test") as system:
        await system.spawn(ChildSpec("server", Server))
    assert steps == ["stopping", "ended"]


async def test_a_stop_during_backoff_does_not_wait_for_it(autojump_clock: trio.testing.MockClock) -> None:
    async with ActorSystem.open("test") as system:
        ref = await system.spawn(ChildSpec("flaky", lambda: Flaky([]), backoff=Backoff(initial=1000)))
        ref.tell("no")
        await trio.sleep(1)
        before = trio.current_time()
    assert trio.current_time() == before


@given(
    failures=st.integers(1, 10_000),
    backoff=st.builds(
        Backoff,
        initial=st.floats(0.001, 10),
        factor=st.floats(1, 10),
        maximum=st.floats(10, 1000),
        jitter=st.floats(0, 0.5),
    ),
    seed=st.integers(),
)
def test_every_delay_is_bounded(failures: int, backoff: Backoff, seed: int) -> None:
    delay = backoff.delay(failures, random.Random(seed))
    assert 0 < delay <= backoff.maximum * (1 + backoff.jitter)


async def test_a_service_stopped_while_it_starts_never_runs(autojump_clock: trio.testing.MockClock) -> None:
    class Slow(Service[None]):
        async def started(self, ctx: Context[None]) -> None:
            await trio.sleep(2)

        async def run(self, ctx: Context[None]) -> None:
            raise AssertionError("must not run")

    async with ActorSystem.open("test") as system, trio.open_nursery() as nursery:
        nursery.start_soon(system.spawn, ChildSpec("slow", Slow))
        await trio.sleep(1)
        await system.stop()
        assert system.snapshot() == []


async def test_a_spawner_that_is_cancelled_leaves_no_child(autojump_clock: trio.testing.MockClock) -> None:
    class Slow(Actor[None]):
        async def started(self, ctx: Context[None]) -> None:
            await trio.sleep(1000)

    async with ActorSystem.open("test") as system:
        with trio.move_on_after(1):
            await system.spawn(ChildSpec("slow", Slow, start_deadline=2000))
        await trio.testing.wait_all_tasks_blocked()
        assert system.snapshot() == []


@pytest.mark.parametrize("steps", range(1, 40))
async def test_cancelled_at_any_step_nothing_is_left(steps: int) -> None:
    """Cancels after each number of scheduler passes: start, run, crash, restart and stop are all hit."""

    class Parent(Actor[str]):
        async def started(self, ctx: Context[str]) -> None:
            child = await ctx.spawn(ChildSpec("child", lambda: Flaky([]), backoff=Backoff(initial=0.0001)))
            child.tell("no")

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def cancel() -> None:
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                scope.cancel()

            async with ActorSystem.open("test") as system:
                for name in ("a", "b"):
                    await system.spawn(ChildSpec(name, Parent))
    assert system.snapshot() == []
