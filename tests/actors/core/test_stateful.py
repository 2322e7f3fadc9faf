"""Long, random lives of several guilds: whatever happens, in whatever order, the promises hold at every step.

Where the search is exhaustive and small, this is large and random: overload, crons, slow workers, replayed
gateway events, any number of moves, deploys and losses at once.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from flora.actors.core import ControlKind, Limits, Verdict
from tests.actors.core.world import Budget, Choice, World

WORKERS = 3
GUILDS = 3
PLENTY = 10**6

some_guild = st.integers(0, GUILDS - 1)
some_worker = st.integers(0, WORKERS - 1)
some = st.integers(0, PLENTY)


class Lives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        limits = Limits(guild_capacity=6, total_capacity=12, concurrency=2, slots=2, controls=4, attempts=3)
        self.world = World(workers=WORKERS, guilds=GUILDS, limits=limits)
        self.slow: set[int] = set()

    def plenty(self) -> None:
        self.world.budget = Budget(
            refusals=PLENTY, timeouts=PLENTY, crashes=PLENTY, misjudged=PLENTY, kills=PLENTY, resumes=PLENTY
        )

    def do(self, what: str, who: object = None, which: int = 0) -> None:
        self.plenty()
        self.world.do(Choice(what, who, which))

    @rule(guild=some_guild, many=st.integers(1, 8))
    def events(self, guild: int, many: int) -> None:
        for _ in range(many):
            self.do("event", self.world.guilds[guild])

    @rule(guild=some_guild)
    def interaction(self, guild: int) -> None:
        self.do("interaction", self.world.guilds[guild])

    @rule(guild=some_guild)
    def cron(self, guild: int) -> None:
        self.do("cron", self.world.guilds[guild])

    @rule(guild=some_guild, kind=st.sampled_from(list(ControlKind)))
    def control(self, guild: int, kind: ControlKind) -> None:
        self.do(kind.value, self.world.guilds[guild])

    @rule(guild=some_guild)
    def deploy(self, guild: int) -> None:
        self.do("deploy", self.world.guilds[guild])

    @rule(guild=some_guild, worker=some_worker)
    def migrate(self, guild: int, worker: int) -> None:
        self.do("migrate", self.world.guilds[guild], worker)

    @rule(guild=some_guild)
    def hibernate(self, guild: int) -> None:
        self.do("hibernate", self.world.guilds[guild])

    @rule(guild=some_guild)
    def restore(self, guild: int) -> None:
        self.do("restore", self.world.guilds[guild])

    @rule(picks=st.lists(some, min_size=1, max_size=12))
    def go_on(self, picks: list[int]) -> None:
        """Some of what is under way comes to its end, but nothing on a slow worker."""
        for pick in picks:
            choices = [choice for choice in self.world.progress() if not self.is_slow(choice)]
            if choices:
                self.world.do(choices[pick % len(choices)])

    @rule(pick=some)
    def misfortune(self, pick: int) -> None:
        self.plenty()
        choices = self.world.misfortunes()
        self.world.do(choices[pick % len(choices)]) if choices else None

    @rule(worker=some_worker)
    def slow_down(self, worker: int) -> None:
        self.slow.add(worker)

    @precondition(lambda self: self.slow)
    @rule()
    def speed_up(self) -> None:
        self.slow.clear()

    @rule(seconds=st.floats(-1e9, 1e9))
    def clock_jump(self, seconds: float) -> None:
        """Time is only passed on; nothing may depend on it."""
        self.world.now += seconds

    @precondition(lambda self: self.world.seq)
    @rule()
    def gateway_resumes(self) -> None:
        self.do("resume")

    def is_slow(self, choice: Choice) -> bool:
        world = self.world
        match choice.what:
            case "start" | "up":
                return choice.who in self.slow
            case "finish":
                return world.handlers[choice.which].delivery.worker in self.slow
            case "answer":
                return getattr(world.asked[choice.which], "worker", None) in self.slow
        return False

    def teardown(self) -> None:
        """Left alone, everything comes to its end."""
        self.world.run()
        self.world.check_rest()


Lives.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLives = Lives.TestCase


class Ends(Lives):
    """The same lives, ended by a shutdown in the midst of everything (L9)."""

    def teardown(self) -> None:
        router = self.world.router
        before = router.depth
        router.stop_intake()
        self.do("event", self.world.guilds[0])
        assert self.world.verdicts[Verdict.CLOSING] == 1
        assert router.depth == before
        kept = router.close()
        self.world.settle()
        assert len(kept) == before
        assert router.is_idle
        assert not self.world.controls
        assert not self.world.moves
        self.world.checker.end(complete=True)
        self.world.check()
        cursor = router.sessions.cursor(0)
        if cursor is not None:
            again = {event.id.seq for _, event in kept if not isinstance(event.id, str)}
            assert all(cursor.seq < seq and seq not in cursor.ended for seq in again)


Ends.TestCase.settings = settings(Lives.TestCase.settings, max_examples=40)
TestEnds = Ends.TestCase
