"""A gateway shard as an actor: each event goes to the guild cache and to the router, in one step.

When scripts listen to more than the session is sent, the session is replaced by one with more intents; the
two overlap, so that nothing is lost, doubled or reordered (`handover.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from flora.actors.core import Sessions
from flora.actors.handover import Overlap
from flora.actors.kernel import Context, Request, Service
from flora.actors.switchboard import Switchboard
from flora.gateway.events import GatewayEvent
from flora.gateway.guilds import GuildCache
from flora.gateway.session import FatalGatewayError, Phase, ResumePoint
from flora.gateway.shard import Shard, ShardState

log = structlog.get_logger("flora.discord")

CATCH_UP_SECS: Final = 60.0
"""For the old session: within a minute a lost connection has come back or never will."""

DISALLOWED_INTENTS: Final = 4014

MakeShard = Callable[
    [Callable[[GatewayEvent], None], Callable[[ShardState], None], ResumePoint | None], Shard
]


@dataclass(frozen=True, slots=True)
class UseIntents(Request[None]):
    """Have a session with these intents, if need be another one.

    Answered when it is there. Fails with FatalGatewayError when Discord refuses them; the session stays.
    """

    intents: int


class ShardMemory:
    """What outlives a crash of the shard's actor: its session, and its last state."""

    def __init__(
        self, shard_id: int, sessions: Sessions, resume: ResumePoint | None = None, *, intents: int = 0
    ) -> None:
        """`resume` is where an earlier process left the session; `intents` is what a new one asks for."""
        self._shard_id = shard_id
        self._sessions = sessions
        self._resume = resume
        self._replaced: ResumePoint | None = None
        self.intents = intents
        self.shard: Shard | None = None
        self.state: ShardState | None = None

    def use(self, shard: Shard) -> None:
        """Its session is the present one from now on; the one that it replaces can still be resumed."""
        if self.shard is not None:
            self._replaced = self.shard.session.resume
        self.shard = shard

    def resume_point(self) -> ResumePoint | None:
        """Where another connection goes on without losing an event; None: identify.

        Not how far the session was read, but how far its events are done: what comes again is recognised.
        """
        point = self._resume if self.shard is None else self.shard.session.resume
        mark = self._sessions.cursor(self._shard_id)
        if point is None or mark is None or mark.session != point.session_id:
            return None
        return ResumePoint(point.session_id, point.resume_gateway_url, mark.seq, point.intents)

    def stored_point(self) -> ResumePoint | None:
        """Where another process goes on: in a session that was replaced, until all its events are done.

        Discord then sends the rest of it, and what the new session had brought by then comes again.
        """
        old, left = self._replaced, self._sessions.unfinished(self._shard_id)
        if old is not None and left is not None and left.session == old.session_id:
            return ResumePoint(old.session_id, old.resume_gateway_url, left.seq, old.intents)
        return self.resume_point()


class ShardActor(Service[UseIntents]):
    """Connected for as long as it runs. A refusal that is final (a wrong token) is told to `refused`."""

    def __init__(
        self,
        make: MakeShard,
        board: Switchboard,
        cache: GuildCache,
        memory: ShardMemory,
        refused: Callable[[FatalGatewayError], None],
        noticed: Callable[[GatewayEvent], None] = lambda _: None,
    ) -> None:
        """`noticed` sees each event after the guild cache; it never waits."""
        self._make = make
        self._board = board
        self._cache = cache
        self._memory = memory
        self._refused = refused
        self._noticed = noticed

    async def run(self, ctx: Context[UseIntents]) -> None:
        async with trio.open_nursery() as nursery:
            # A second start in this process resumes what the first one had.
            point = self._memory.resume_point()
            line = _Line(self._make, self._memory.intents, self._deliver, self._told, point)
            self._memory.shard = line.shard
            nursery.start_soon(self._serve, line)
            async for wish in ctx.mailbox:
                line = await self._use_intents(nursery, line, wish)

    async def _serve(self, line: _Line) -> None:
        try:
            await line.run()
        except FatalGatewayError as error:
            self._refused(error)
            await trio.sleep_forever()  # to try again would only be refused again

    async def _use_intents(self, nursery: trio.Nursery, old: _Line, wish: UseIntents) -> _Line:
        """Returns the line that delivers from now on."""
        session = old.shard.session
        # What is identifying does so with what was wished for before.
        await old.shard.until(lambda: session.phase is not Phase.IDENTIFYING)
        old.shard.use_intents(wish.intents)
        if session.resume is None or not wish.intents & ~session.resume.intents:
            self._memory.intents = wish.intents
            wish.reply.ok(None)
            return old
        try:
            new = await self._hand_over(nursery, old, wish.intents)
        except FatalGatewayError as error:
            old.shard.use_intents(self._memory.intents)
            if error.close_code != DISALLOWED_INTENTS:
                self._refused(error)
            wish.reply.fail(error)
            return old
        self._memory.intents = wish.intents
        wish.reply.ok(None)
        return new

    async def _hand_over(self, nursery: trio.Nursery, old: _Line, intents: int) -> _Line:
        """Replace the session of `old` by one with `intents`; see `handover.py`. Raises FatalGatewayError."""
        overlap, full = Overlap(), trio.Event()

        def hold(event: GatewayEvent) -> None:
            overlap.hold(event)
            if overlap.is_full:
                full.set()

        def deliver_old(event: GatewayEvent) -> None:
            overlap.delivered(event)
            self._deliver(event)

        def deliver_new(event: GatewayEvent) -> None:
            if overlap.is_new(event):
                self._deliver(event)

        def told_new(state: ShardState) -> None:
            if state.phase == "identifying":  # until then it may wait for its turn, and nothing overlaps
                old.deliver = deliver_old

        new = _Line(self._make, intents, hold, told_new, None)
        nursery.start_soon(new.run_quietly)
        try:
            await new.shard.until(lambda: new.shard.is_ready or new.shard.state.phase == "refused")
            if not new.shard.is_ready:
                await new.ended.wait()
                assert new.error is not None
                raise new.error
        except BaseException:
            old.deliver = self._deliver
            new.scope.cancel()
            raise
        with trio.move_on_after(CATCH_UP_SECS) as patience:
            async with trio.open_nursery() as first:
                first.start_soon(_then_cancel, full.wait, first.cancel_scope)
                await _then_cancel(old.shard.caught_up, first.cancel_scope)
        # From here to the end of what was held there is no checkpoint.
        old.scope.cancel()
        old.deliver, old.told = _nothing, _nothing
        self._memory.use(new.shard)
        new.told = self._told
        self._told(new.shard.state)
        new.deliver = deliver_new
        for event in overlap.release():
            self._deliver(event)
        log.info(
            "session replaced",
            shard=new.shard.state.shard_id,
            intents=intents,
            in_time=not patience.cancelled_caught,
        )
        with trio.move_on_after(CATCH_UP_SECS):
            await new.shard.caught_up()
        new.deliver = self._deliver  # all that the old one brought has been here, too
        nursery.start_soon(self._watch, new)
        return new

    async def _watch(self, line: _Line) -> None:
        """`_serve` for a line that runs already."""
        await line.ended.wait()
        if line.error is not None:
            self._refused(line.error)

    def _deliver(self, event: GatewayEvent) -> None:
        self._cache.observe(event)
        self._noticed(event)
        self._board.accept(event)

    def _told(self, state: ShardState) -> None:
        previous, self._memory.state = self._memory.state, state
        if previous is None or previous.phase != state.phase:
            log.info(
                "shard",
                shard=state.shard_id,
                phase=state.phase,
                reason=state.reason,
                retry_in=state.retry_in,
            )


class _Line:
    """A `Shard` that runs; where its events and states go may be changed at any time."""

    def __init__(
        self,
        make: MakeShard,
        intents: int,
        deliver: Callable[[GatewayEvent], None],
        told: Callable[[ShardState], None],
        resume: ResumePoint | None,
    ) -> None:
        self.deliver = deliver
        self.told = told
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.error: FatalGatewayError | None = None
        self.shard = make(self._deliver, self._tell, resume)
        if intents:
            self.shard.use_intents(intents)

    def _deliver(self, event: GatewayEvent) -> None:
        self.deliver(event)

    def _tell(self, state: ShardState) -> None:
        self.told(state)

    async def run(self) -> None:
        """Until `scope` is cancelled. Raises FatalGatewayError."""
        with self.scope:
            await self.shard.run()

    async def run_quietly(self) -> None:
        """As `run`, but a FatalGatewayError is kept as `error`."""
        try:
            await self.run()
        except FatalGatewayError as error:
            self.error = error
        finally:
            self.ended.set()


async def _then_cancel(wait: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
    await wait()
    scope.cancel()


def _nothing(_: object) -> None:
    pass
