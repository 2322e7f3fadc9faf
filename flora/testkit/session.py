"""One test in one guild process: what its test kit asks for, and what the script asks of the guild meanwhile.

Time is the world's clock. It moves only in `test_advance`, from one due timer to the next, and after each the
process comes to rest before the clock moves on. A step is over when its events are handled, also those that
the script's own doings set going, and nothing that the script asked for is under way.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import trio

from flora.actors.schedule.jobs import InvalidCronError
from flora.engine.api import (
    Dispatch,
    EngineError,
    HandlerError,
    LogLevel,
    Manifest,
    OpCall,
    OpError,
    ScriptFault,
)
from flora.engine.process import SealedProcess
from flora.gateway.rest import DiscordRest
from flora.ops.scope import ChannelScope, InteractionBook
from flora.ops.table import OpContext, run_op
from flora.playground.actions import interactions
from flora.playground.errors import DiscordError, PlaygroundRefusedError
from flora.playground.model import Dispatch as Happening
from flora.storage.kv import GuildKv
from flora.testkit.schedule import Due, TestSchedule
from flora.testkit.steps import Cron, Declared, Event, Step
from flora.testkit.world import GUILD, World

Json = dict[str, Any]

COMMAND: Final = "FLORA_TEST"
"""What is dispatched to the test kit itself."""
TEST_EVENT: Final = "test"
"""The event in which the test's own function runs."""
_REST_SECS: Final = 5.0
"""A process that does not answer a ping for so long is at work: its CPU limit ends it."""
_REAL: Final = ("kv_", "guild_")
"""What is carried out for forged events too."""
MOST_EVENTS: Final = 10_000
"""That wait to be delivered."""
_NULL: Final = b"null"
_WRITTEN: Final = frozenset({"MESSAGE_CREATE", "MESSAGE_UPDATE"})


class Act:
    """One step of a test, and what it set going."""

    def __init__(self, *, forged: bool = False) -> None:
        self.forged = forged
        self.watched = True  # somebody is told of its failure
        self.open = 0  # events not handled yet
        self.rested = trio.Event()
        self.failure: Json | None = None

    def begin(self) -> None:
        if self.open == 0:
            self.rested = trio.Event()
        self.open += 1

    def end(self) -> None:
        self.open -= 1
        if self.open == 0:
            self.rested.set()


@dataclass(slots=True)
class _Call:
    act: Act
    op: str
    args: Any
    timestamp: int
    result: Any = None
    error: str | None = None

    def json(self) -> Json:
        return {
            "op": f"op_{self.op}",
            "args": self.args,
            "result": self.result,
            "error": self.error,
            "timestamp": self.timestamp,
        }


@dataclass(slots=True)
class Line:
    act: Act
    line: int
    level: str
    text: str

    def json(self) -> Json:
        return {"line": self.line, "level": self.level, "text": self.text}


@dataclass(order=True, slots=True)
class _Timer:
    due: float
    number: int
    rung: trio.Event = field(compare=False, default_factory=trio.Event)


class _TimerArgs(msgspec.Struct):
    id: int
    delay: float


class _ClearArgs(msgspec.Struct):
    id: int


class _AdvanceArgs(msgspec.Struct):
    ms: float
    manifest: Declared


class _Stubbed(msgspec.Struct):
    op: str
    args: Any
    result: Any = None
    error: str | None = None


class _Add(msgspec.Struct):
    kind: str
    name: str
    role: str | None = None
    permissions: Any = None


class _History(msgspec.Struct):
    channel: str | None = None


class TestCase(msgspec.Struct, frozen=True):
    """A test as its file declares it; `timeout` in milliseconds."""

    __test__ = False

    name: str
    suite: tuple[str, ...]
    mode: str
    timeout: float | None


class _List(msgspec.Struct):
    tests: list[TestCase]


_acting: ContextVar[Act | None] = ContextVar("act", default=None)


class Session:
    """The `GuildHost` of one process. `run` must be running for steps to be answered."""

    def __init__(self, world: World, rest: DiscordRest, kv: GuildKv) -> None:
        self.world = world
        self.tests: list[TestCase] = []
        self.lines: list[Line] = []
        self.faults: list[tuple[str, ScriptFault]] = []
        self._book = InteractionBook(world.clock.now)
        self._schedule = TestSchedule(world.clock)
        self._context = OpContext(
            GUILD,
            world.model.application.id,
            rest,
            ChannelScope(world.cache, rest),
            self._book,
            kv,
            tasks=self._schedule.tasks,
            clock=world.clock.now,
        )
        self._process: SealedProcess
        self._declared = Declared([])
        self._own = Act()  # what the test's own function asks for is of no step
        self._background = Act()  # what began when the script was loaded
        self._acts: dict[str | None, Act] = {TEST_EVENT: self._own, None: self._background}
        self._calls: list[_Call] = []
        self._touched: list[tuple[Act, str, str]] = []  # the bot's messages, and their channels
        self._timers: list[_Timer] = []
        self._asked: dict[int, _Timer] = {}
        self._numbers = itertools.count(1)
        self._under_way = 0
        self._news = 0
        self._quiet = trio.Event()
        self._quiet.set()
        self._to_deliver, self._delivered = trio.open_memory_channel[tuple[Act, str, bytes, Due | None]](
            MOST_EVENTS
        )
        self._handlers: dict[str, Callable[[OpCall], Awaitable[Any]]] = {
            "test_act": self._perform,
            "test_add": self._add,
            "test_advance": self._advance,
            "test_calls": self._everything,
            "test_clear": self._clear,
            "test_history": self._history,
            "test_list": self._list,
            "test_stubbed": self._stubbed,
            "test_timer": self._timer,
        }
        world.listen(self._happened)

    # ------------------------------------------------------------------ life

    async def run(self, process: SealedProcess, *, task_status: trio.TaskStatus[None]) -> None:
        """Deliver what happens in the world to the process, until cancelled."""
        self._process = process
        async with trio.open_nursery() as nursery:
            task_status.started()
            async for act, name, payload, due in self._delivered:
                await nursery.start(self._deliver, act, name, payload, due)

    async def command(self, action: str, *, secs: float = 0.0, **more: Any) -> None:
        """Have the test kit do something. Raises HandlerError with what it threw, other EngineErrors."""
        payload = msgspec.json.encode({"action": action, **more})
        await self._process.dispatch(Dispatch(COMMAND, payload, TEST_EVENT, wall_secs=secs))

    async def begin(self, mode: str) -> None:
        await self.command("begin", mode=mode, now=self._now(), world=self.world.names())

    def adopt(self, manifest: Manifest) -> None:
        """What the script declared while it loaded. Raises OpError for commands that Discord would refuse."""
        commands = None if manifest.commands is None else msgspec.json.decode(manifest.commands)
        crons = msgspec.Raw(manifest.crons or _NULL)
        self._adopt(Declared(sorted(manifest.listens), commands, crons))

    def pending(self) -> str:
        """What a test that takes too long may be waiting for."""
        timers = sorted(timer for timer in self._timers if timer.number in self._asked)
        if not timers:
            return ""
        soonest = round(timers[0].due - self.world.clock.ms)
        many = "a timer waits" if len(timers) == 1 else f"{len(timers)} timers wait"
        return f"{many}, due in {soonest} ms of the test's time, which moves with bot.advance(ms)"

    # ------------------------------------------------------------------ the GuildHost

    async def op(self, call: OpCall) -> bytes:
        if (handler := self._handlers.get(call.name)) is not None:
            try:
                return msgspec.json.encode(await handler(call))
            except (PlaygroundRefusedError, DiscordError, msgspec.ValidationError) as error:
                raise OpError(_explained(error), code="TEST_STEP_REFUSED") from error
        act = self._act_of(call.event_id)
        _acting.set(act)
        self._stir(1)
        record = self._record(act, call.name, msgspec.json.decode(call.args))
        try:
            if act.forged and not call.name.startswith(_REAL):
                answer = self._forged_answer(record)
            else:
                answer = await run_op(self._context, call)
            record.result = msgspec.json.decode(answer)
            return answer
        except OpError as error:
            record.error = f"{error.name}: {error.message}"
            raise
        finally:
            self._stir(-1)

    def log(self, level: LogLevel, text: str, event_id: str | None) -> None:
        self._news += 1
        act = self._act_of(event_id)
        self.lines.append(Line(act, len(self.lines), level.value, text))

    def fault(self, fault: ScriptFault, origin: str) -> None:
        self._news += 1
        self.faults.append((origin, fault))

    def declared(self, manifest: Manifest) -> None:
        """Each step brings what is declared by then."""

    # ------------------------------------------------------------------ what happens in the world

    def _happened(self, happening: Happening, payload: bytes | None) -> None:
        act = _acting.get() or self._background
        if happening.name in _WRITTEN and happening.author_id == self.world.bot.id:
            self._touched.append((act, str(happening.data["id"]), str(happening.channel_id)))
        if payload is None:
            return
        if happening.name == "INTERACTION_CREATE":
            self._book.remember(payload)
        if happening.name in self._declared.listens:
            self._send(act, happening.name, payload)

    def _send(self, act: Act, name: str, payload: bytes, due: Due | None = None) -> None:
        self._news += 1
        act.begin()
        self._to_deliver.send_nowait((act, name, payload, due))

    def _give(self, act: Act, due: list[Due]) -> None:
        for each in due:
            self._send(act, each.name, each.payload, each)

    async def _deliver(
        self, act: Act, name: str, payload: bytes, due: Due | None, *, task_status: trio.TaskStatus[None]
    ) -> None:
        """`started` when the event is in the process, so that events begin in their order."""
        event_id = f"{TEST_EVENT}-{next(self._numbers)}"
        self._acts[event_id] = act
        self._news += 1
        task_status.started()
        failed: str | None = None
        try:
            await self._process.dispatch(Dispatch(name, payload, event_id, wall_secs=0.0))
        except HandlerError as error:
            failed = error.message
            fault = error.fault
            if not act.watched:
                self.faults.append((name, fault))
            act.failure = act.failure or {"eventId": event_id, "name": fault.name, "message": fault.message}
        except EngineError as error:
            failed = error.message
            act.failure = act.failure or {"eventId": None, "name": "Error", "message": failed}
        finally:
            if due is not None:
                self._give(act, self._schedule.ended(due, failed))
            self._news += 1
            act.end()

    def _adopt(self, declared: Declared) -> None:
        before, self._declared = self._declared, declared
        if bytes(declared.crons) != bytes(before.crons):
            crons = bytes(declared.crons)
            try:
                self._schedule.declare(None if crons == _NULL else crons)
            except InvalidCronError as error:
                raise OpError(error.message) from error
        if declared.commands is not None and declared.commands != before.commands:
            try:
                self.world.register(declared.commands)
            except DiscordError as error:
                raise OpError(f"Discord refuses the commands: {_explained(error)}") from error

    # ------------------------------------------------------------------ rest

    def _stir(self, change: int) -> None:
        self._news += 1
        self._under_way += change
        if self._under_way == 0:
            self._quiet.set()
        elif self._under_way == 1 and change == 1:
            self._quiet = trio.Event()

    async def _settle(self) -> None:
        """Until the process is idle and nothing that it asked for is under way; timers and steps aside."""
        while True:
            await self._quiet.wait()
            news = self._news
            await self._process.idleness(timeout_secs=_REST_SECS)
            await trio.lowlevel.checkpoint()  # what came before its answer has a task that is to run first
            if self._under_way == 0 and self._news == news:
                return

    async def _rest(self, act: Act) -> None:
        while True:
            if act.open:
                await act.rested.wait()
            await self._settle()
            if act.open == 0:
                return

    # ------------------------------------------------------------------ what the test kit asks

    async def _perform(self, call: OpCall) -> Json:
        step = msgspec.json.decode(call.args, type=Step)
        self._adopt(step.manifest)
        act = Act(forged=isinstance(step, Event) and step.forged)
        _acting.set(act)
        touched = len(self._touched)
        interaction: interactions.Interaction | None = None
        if isinstance(step, Event):
            payload = {"guild_id": self.world.guild.id, **step.payload}
            if step.name in self._declared.listens:
                self._send(act, step.name, msgspec.json.encode(payload))
        elif isinstance(step, Cron):
            self._give(act, [self._schedule.run_now(step.name)])
        else:
            interaction = self.world.perform(step)
        await self._rest(act)
        act.watched = False
        changed = [each[1:] for each in self._touched[touched:] if each[0] is act]
        calls = [each for each in self._calls if each.act is act]
        lines = [each for each in self.lines if each.act is act]
        return self._outcome(calls, lines, changed, act.failure, interaction)

    async def _advance(self, call: OpCall) -> Json:
        """Timers one by one, each at its time, and rest in between; then what happened meanwhile."""
        args = msgspec.json.decode(call.args, type=_AdvanceArgs)
        self._adopt(args.manifest)
        until = self.world.clock.ms + args.ms
        act = Act()
        marks = len(self._calls), len(self.lines), len(self._touched)
        await self._settle()
        while (at := self._next_at()) is not None and at <= until:
            await self._set_clock(at)
            if self._timers and self._timers[0].due <= at:
                timer = heapq.heappop(self._timers)
                self._stir(1)  # until it is answered
                del self._asked[timer.number]
                timer.rung.set()
            else:
                self._give(act, self._schedule.due())
            await self._settle()
        await self._set_clock(until)
        act.watched = False
        calls = [each for each in self._calls[marks[0] :] if each.act is not self._own]
        lines = [each for each in self.lines[marks[1] :] if each.act is not self._own]
        changed = [each[1:] for each in self._touched[marks[2] :] if each[0] is not self._own]
        return self._outcome(calls, lines, changed, act.failure)

    def _next_at(self) -> float | None:
        """When a timer, a cron job or a task is due next, in milliseconds."""
        while self._timers and self._timers[0].number not in self._asked:
            heapq.heappop(self._timers)  # it was cleared
        scheduled = self._schedule.next_at()
        times = [] if scheduled is None else [scheduled * 1000]
        return min([*times, *(timer.due for timer in self._timers[:1])], default=None)

    async def _set_clock(self, ms: float) -> None:
        if ms > self.world.clock.ms:
            self.world.clock.ms = ms
            await self.command("now", now=ms)

    async def _timer(self, call: OpCall) -> None:
        args = msgspec.json.decode(call.args, type=_TimerArgs)
        timer = _Timer(self.world.clock.ms + args.delay, args.id)
        self._asked[args.id] = timer
        heapq.heappush(self._timers, timer)
        self._news += 1
        await timer.rung.wait()
        self._stir(-1)

    async def _clear(self, call: OpCall) -> None:
        timer = self._asked.pop(msgspec.json.decode(call.args, type=_ClearArgs).id, None)
        if timer is not None:
            self._stir(1)
            timer.rung.set()

    async def _stubbed(self, call: OpCall) -> None:
        args = msgspec.json.decode(call.args, type=_Stubbed)
        record = self._record(self._act_of(call.event_id), args.op, args.args)
        record.result, record.error = args.result, args.error
        self._news += 1

    async def _list(self, call: OpCall) -> None:
        self.tests = msgspec.json.decode(call.args, type=_List).tests

    async def _everything(self, call: OpCall) -> Json:
        await self._settle()
        return self._outcome([each for each in self._calls if each.act is not self._own], self.lines, [])

    async def _history(self, call: OpCall) -> list[Json]:
        return self.world.history(msgspec.json.decode(call.args, type=_History).channel)

    async def _add(self, call: OpCall) -> str | None:
        args = msgspec.json.decode(call.args, type=_Add)
        act = Act()
        _acting.set(act)
        made: str | None = None
        match args.kind:
            case "role":
                made = self.world.add_role(args.name, int(args.permissions or 0))
            case "channel":
                made = self.world.add_channel(args.name)
            case _:
                self.world.grant(args.name, args.role or "")
        await self._rest(act)
        return made

    # ------------------------------------------------------------------ what is told of a step

    def _act_of(self, event_id: str | None) -> Act:
        return self._acts.get(event_id, self._background)

    def _record(self, act: Act, op: str, args: Any) -> _Call:
        record = _Call(act, op, args, self._now())
        self._calls.append(record)
        return record

    def _outcome(
        self,
        calls: list[_Call],
        lines: list[Line],
        changed: list[tuple[str, str]],
        failure: Json | None = None,
        interaction: interactions.Interaction | None = None,
    ) -> Json:
        messages = []
        for message_id, channel_id in dict.fromkeys(changed):
            channel = self.world.model.channels.get(channel_id)
            if channel is not None and (message := channel.messages.get(message_id)) is not None:
                messages.append(self.world.view(channel, message))
        return {
            "calls": [each.json() for each in calls],
            "logs": [each.json() for each in lines],
            "messages": messages,
            "modal": None if interaction is None else interaction.modal,
            "choices": None if interaction is None else interaction.choices,
            "failure": failure,
        }

    def _forged_answer(self, record: _Call) -> bytes:
        """Nobody is there whom the answers to a forged event could reach: a message is made up, the rest is
        null.
        """
        if record.op not in ("send_message", "create_followup_message", "edit_message"):
            return _NULL
        args = record.args
        return msgspec.json.encode(
            {
                "id": args.get("messageId") if record.op == "edit_message" else self.world.model.next_id(),
                "channel_id": args.get("channelId"),
                "guild_id": self.world.guild.id,
                "content": args.get("content") or "",
                "author": self.world.bot.json(),
            }
        )

    def _now(self) -> int:
        return int(self.world.clock.ms)


def _explained(error: Exception) -> str:
    """Discord's error with what it says of single fields."""
    if isinstance(error, DiscordError):
        body = error.body()
        faults = f": {msgspec.json.encode(body['errors']).decode()}" if body.get("errors") else ""
        return f"{body.get('message', error)}{faults}"
    return str(error)
