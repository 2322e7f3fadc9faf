"""Puts guilds to sleep: their process ends, and the next event, cron run or call starts it again.

Two reasons there are, and each is a bound of the configuration:

    IDLE    nothing was asked of the guild for `runtime.hibernate_after_secs`, and it has no timer pending
    MEMORY  guild processes take more than `runtime.memory_budget_mb`: the least recently used ones go, until
            `LOW` of it is reached; first those without timers, then those whose timers are not due soon

Never one with a timer due within `TIMER_SOON_SECS`, with ops or events under way, or that does not answer.
What waits, runs or moves in the router's order keeps a guild awake too; the router's core decides that, in
the moment in which the guild is put to sleep.

`Policy` and `Round` decide and are pure; `Hibernator` takes the samples, asks the processes, and proposes.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from flora.actors.core import State
from flora.actors.kernel import Context, Service
from flora.actors.memory import memory_of
from flora.actors.switchboard import Switchboard
from flora.engine.api import EngineUnavailableError, GuildProcess, Idleness, ProcessDiedError
from flora.engine.host import Engine
from flora.ids import GuildId

log = structlog.get_logger("flora.runtime")

LOOK_SECS: Final = 2.0
"""Between two looks. A host starts some hundred processes a second at most, which is less than a gigabyte;
the budget leaves room for that."""

TIMER_SOON_SECS: Final = 30.0
"""A timer due within this time keeps its guild awake: what is started again meanwhile would not run it."""

LOW: Final = 0.9
"""Of the budget: where putting guilds to sleep ends that began above the budget, so that a host at its
budget does not put one guild to sleep for each that wakes."""

ASK_AGAIN_SECS: Final = 10.0
"""For a guild that had something before it."""

ASK_AT_ONCE: Final = 4
"""Processes asked, and ended, side by side: one that is stuck holds up a look for a second."""


@dataclass(frozen=True, slots=True)
class Awake:
    """A guild with a process and nothing to do that the router knows of.

    `used_at`: when something was last asked of it, in seconds of the clock of `now`. `memory`: bytes that are
    free when it sleeps.
    """

    guild_id: GuildId
    incarnation: int
    used_at: float
    memory: int


class Reason(enum.StrEnum):
    IDLE = "idle"
    MEMORY = "memory"


class Policy:
    """`budget` is in bytes; `after_secs` 0 is never."""

    def __init__(self, *, budget: int, after_secs: float) -> None:
        self.budget = budget
        self.after_secs = after_secs or math.inf
        self._not_before: dict[GuildId, float] = {}

    def look(self, now: float, idle: Sequence[Awake], *, used: int) -> Round:
        """Begin a round: `idle` guilds, and the bytes that all guilds take, idle or not."""
        self._not_before = {guild: until for guild, until in self._not_before.items() if until > now}
        excess = used - int(LOW * self.budget) if used > self.budget else 0
        asked = [guild for guild in idle if guild.guild_id not in self._not_before]
        return Round(self, now, sorted(asked, key=lambda guild: guild.used_at), excess)

    def stays(self, guild: Awake, now: float) -> None:
        """It has something before it: it is left alone for a while."""
        self._not_before[guild.guild_id] = now + ASK_AGAIN_SECS


class Round:
    """Take the `next` guild, ask its process, hear whether it `may_sleep`, and say whether that has `begun`.

    Several may be asked side by side; what those take counts as freed until one of them stays awake.
    """

    def __init__(self, policy: Policy, now: float, oldest_first: Sequence[Awake], excess: int) -> None:
        self.excess = excess  # bytes that are still to be freed, or will be if all that are asked sleep
        self._policy = policy
        self._now = now
        self._left = deque(oldest_first)
        self._with_timers: deque[Awake] = deque()

    def next(self) -> tuple[Awake, Reason] | None:
        """Whom to ask now, the least recently used first."""
        found: tuple[Awake, Reason] | None = None
        if self._left and self._now - self._left[0].used_at >= self._policy.after_secs:
            found = self._left.popleft(), Reason.IDLE
        elif self.excess > 0 and (queue := self._left or self._with_timers):
            found = queue.popleft(), Reason.MEMORY
        if found is not None:
            self.excess -= found[0].memory
        return found

    def may_sleep(self, guild: Awake, idleness: Idleness | None) -> bool:
        """`idleness` None: its process does not answer."""
        short = self.excess + guild.memory > 0
        if idleness is None or idleness.ops or idleness.dispatches:
            stays = True
        elif idleness.timers:
            due = idleness.next_timer_secs
            stays = due is None or due <= TIMER_SOON_SECS or not short
        else:
            return True
        if stays:
            self._policy.stays(guild, self._now)
        elif not self._left:
            return True
        else:  # others can go without losing a timer
            self._with_timers.append(guild)
        self.excess += guild.memory
        return False

    def begun(self, guild: Awake, begun: bool) -> None:
        """False: it has got something to do meanwhile."""
        if not begun:
            self.excess += guild.memory


class Hibernator(Service[None]):
    def __init__(
        self, board: Switchboard, engine: Engine, policy: Policy, *, look_secs: float = LOOK_SECS
    ) -> None:
        self._board = board
        self._engine = engine
        self._policy = policy
        self._look_secs = look_secs
        self._short = False

    async def run(self, ctx: Context[None]) -> None:
        while True:
            await trio.sleep(self._look_secs)
            await self.look()

    async def look(self) -> int:
        """One round; returns how many guilds were put to sleep."""
        board = self._board
        processes: dict[GuildId, GuildProcess] = {}
        sample: list[tuple[GuildId, int, bool]] = []
        for view in board.core.views(asleep=False):
            process = board.census.process(view.guild_id, view.incarnation)
            if process is not None:
                processes[view.guild_id] = process
                idle = view.state is State.OPEN and not view.waiting and not view.in_flight
                sample.append((view.guild_id, view.incarnation, idle))
        pids = [process.pid for process in processes.values()]
        try:
            fork_server = self._engine.report().fork_server_pid
        except EngineUnavailableError:
            return 0
        memory = await trio.to_thread.run_sync(memory_of, pids, fork_server)
        idle_guilds = [
            Awake(guild_id, incarnation, board.census.used_at(guild_id), size)
            for (guild_id, incarnation, idle), size in zip(sample, memory, strict=True)
            if idle
        ]
        used = sum(memory)
        round_ = self._policy.look(trio.current_time(), idle_guilds, used=used)
        slept: list[Reason] = []
        async with trio.open_nursery() as nursery:
            for _ in range(ASK_AT_ONCE):
                nursery.start_soon(self._work, round_, processes, slept)
        self._tell(used, round_, slept)
        return len(slept)

    async def _work(self, round_: Round, processes: dict[GuildId, GuildProcess], slept: list[Reason]) -> None:
        while (found := round_.next()) is not None:
            guild, reason = found
            try:
                idleness = await processes[guild.guild_id].idleness()
            except ProcessDiedError:
                continue
            if round_.may_sleep(guild, idleness):
                begun = self._board.hibernate(guild.guild_id, guild.incarnation)
                round_.begun(guild, begun)
                if begun:
                    slept.append(reason)

    def _tell(self, used: int, round_: Round, slept: Sequence[Reason]) -> None:
        if slept:
            log.info(
                "guilds hibernate",
                idle=slept.count(Reason.IDLE),
                for_memory=slept.count(Reason.MEMORY),
                memory_mb=used // 2**20,
            )
        if (short := round_.excess > 0) and not self._short:
            log.warning(
                "guilds need more than their memory budget, and none can hibernate",
                memory_mb=used // 2**20,
                budget_mb=self._policy.budget // 2**20,
            )
        self._short = short
