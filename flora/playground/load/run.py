"""One run of the load generator: it emits events by the plan and watches the world for their answers."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import trio

from flora.errors import FloraError
from flora.playground.actions import interactions, messages, reactions
from flora.playground.drafts import MAX_CONTENT, MessageDraft
from flora.playground.entities import LOADING, User
from flora.playground.errors import Json
from flora.playground.limits import RateLimiter
from flora.playground.load.plan import Pattern, Place, Plan
from flora.playground.load.report import Sample, Tally, growth, milliseconds
from flora.playground.model import Dispatch, Model

BURST: Final = 64  # events between two looks at the other tasks
SAMPLE_EVERY: Final = 0.25  # seconds
FULL_BACKLOG: Final = 10_000  # frames at which the closed loop waits for the gateway
LOST_BACKLOG: Final = 90_000  # frames at which a run ends: a session that falls further behind is dropped
SUSTAINED_SHARE: Final = 0.99  # of the events answered
SUSTAINED_GROWTH: Final = 0.01  # of the rate, by which what waits may grow per second
EMBED_TEXT: Final = 4096
EMOJI: Final = "🌱"
_TAG: Final = re.compile(r"\bL(\d+)\b")


@dataclass(slots=True, eq=False)
class _Event:
    """One that waits for its answer."""

    number: int
    pattern: Pattern
    counts: bool
    due: float
    sent: float
    channel_id: str
    message_id: str | None = None
    interaction_id: str | None = None


@dataclass(slots=True)
class Run:
    """Emits until the plan's time is over; `backlog` are the frames that the slowest gateway client lacks."""

    model: Model
    plan: Plan
    limits: RateLimiter
    backlog: Callable[[], int]
    stopped: str | None = None
    finished: trio.Event = field(default_factory=trio.Event)
    _chance: random.Random = field(init=False)
    _tallies: dict[str, Tally] = field(init=False)
    _waiting: dict[int, _Event] = field(default_factory=dict)  # oldest first
    _by_message: dict[str, _Event] = field(default_factory=dict)
    _by_interaction: dict[str, _Event] = field(default_factory=dict)
    _by_channel: dict[str, dict[int, _Event]] = field(default_factory=dict)
    _samples: list[Sample] = field(default_factory=list)
    _correlated: dict[str, int] = field(default_factory=dict)
    _freed: trio.Event = field(default_factory=trio.Event)
    _number: int = 0
    _answered: int = 0
    _expired: int = 0
    _unmatched: int = 0
    _start: float = math.inf
    _begin: float = math.inf
    _end: float = math.inf
    _cpu: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.plan.seed)
        self._tallies = {each.name: Tally() for each in self.plan.patterns}

    async def __call__(self) -> None:
        """Run to the end. A cancellation leaves the world as it is at that moment, limits restored."""
        kept, scale = self.model.messages_kept, self.limits.scale
        self.model.messages_kept, self.limits.scale = self.plan.keep, self.plan.rate_limit_scale
        unlisten = self.model.listen(self._on_dispatch)
        self._start = trio.current_time()
        self._begin = self._start + self.plan.warmup
        self._end = self._begin + self.plan.duration
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sample)
                await (self._closed_loop() if self.plan.rate is None else self._open_loop(self.plan.rate))
                with trio.move_on_after(self.plan.timeout):
                    while self._waiting and self.stopped is None:
                        self._freed = trio.Event()
                        await self._freed.wait()
                nursery.cancel_scope.cancel()
            self._give_up(math.inf)
        finally:
            unlisten()
            self.model.messages_kept, self.limits.scale = kept, scale
            self.finished.set()

    def stop(self, why: str) -> None:
        """End it soon; what waits for its answer counts as not answered."""
        self.stopped = self.stopped or why
        self._end = min(self._end, trio.current_time())
        self._freed.set()

    def result(self) -> Json:
        """The figures so far."""
        seconds = max(0.0, min(trio.current_time(), self._end) - self._begin)
        tallies = self._tallies.values()
        sent = sum(each.sent for each in tallies)
        latencies = _joined(each.latencies for each in tallies)
        timeouts = sum(each.timeouts for each in tallies)
        within = [each for each in self._samples if 0 <= each.at <= self.plan.duration]
        waiting = growth(within, "waiting")
        expecting = len(latencies) + timeouts
        cpu = self._cpu[1] - self._cpu[0]
        steady = waiting["per_sec"] <= max(1.0, SUSTAINED_GROWTH * (self.plan.rate or 0.0))
        kept_up = steady and self.stopped is None and len(latencies) >= SUSTAINED_SHARE * expecting
        return {
            "plan": self.plan.json(),
            "seconds": round(seconds, 3),
            "sent": sent,
            "answered": len(latencies),
            "sent_per_sec": round(sent / seconds, 3) if seconds else 0.0,
            "answered_per_sec": round(len(latencies) / seconds, 3) if seconds else 0.0,
            "sustained": None if self.plan.rate is None else kept_up,
            "latency_ms": milliseconds(latencies),
            "service_ms": milliseconds(_joined(each.services for each in tallies)),
            "lag_ms": milliseconds(_joined(each.lags for each in tallies)),
            "errors": {"timeouts": timeouts, "expired": self._expired, "unmatched": self._unmatched},
            "correlated": self._correlated,
            "backlog": {"gateway": growth(within, "frames"), "waiting": waiting},
            "cpu_secs": round(cpu, 3),
            "ceiling_per_sec": round(sent / cpu, 1) if cpu > 0 else 0.0,
            "patterns": {name: each.json() for name, each in self._tallies.items()},
            "samples": [each.json() for each in self._samples],
            "stopped": self.stopped,
        }

    # pace

    async def _open_loop(self, rate: float) -> None:
        start, index = self._start, 0
        while self.stopped is None:
            now = trio.current_time()
            if start + index / rate >= self._end:
                return
            for _ in range(BURST):
                due = start + index / rate
                if due > now or due >= self._end:
                    break
                self._emit(due)
                index += 1
            self._check_backlog()
            await trio.sleep_until(start + index / rate)

    async def _closed_loop(self) -> None:
        while self.stopped is None and trio.current_time() < self._end:
            if self.backlog() > FULL_BACKLOG:
                await trio.sleep(0.001)
                continue
            for _ in range(BURST):
                if len(self._waiting) >= self.plan.in_flight:
                    break
                self._emit(trio.current_time())
            if len(self._waiting) >= self.plan.in_flight:
                self._freed = trio.Event()
                with trio.move_on_at(self._end):
                    await self._freed.wait()
                continue
            await trio.lowlevel.checkpoint()

    def _check_backlog(self) -> None:
        if self.backlog() > LOST_BACKLOG:
            self.stop("a gateway client is too far behind")

    async def _sample(self) -> None:
        """Look at the run now and then, and give up on what waits too long."""
        self._look()
        await trio.sleep_until(self._begin)
        self._cpu = (time.process_time(), time.process_time())
        while True:
            self._look()
            self._give_up(trio.current_time() - self.plan.timeout)
            if trio.current_time() < self._end + SAMPLE_EVERY:
                self._cpu = (self._cpu[0], time.process_time())
            await trio.sleep(SAMPLE_EVERY)

    def _look(self) -> None:
        at = trio.current_time() - self._begin
        self._samples.append(Sample(at, self._number, self._answered, len(self._waiting), self.backlog()))

    # events

    def _emit(self, due: float) -> None:
        patterns = self.plan.patterns
        pattern = patterns[0]
        if len(patterns) > 1:
            [pattern] = self._chance.choices(patterns, [each.weight for each in patterns])
        places = self.plan.places
        index = (
            self._chance.randrange(len(places))
            if pattern.places is None
            else self._chance.choice(pattern.places)
        )
        place, user = places[index], self._chance.choice(self.plan.users)
        if place.channel.id not in self.model.channels:
            self.stop(f"{pattern.name}: #{place.channel.name} of {place.guild.name} is gone")
            return
        self._number += 1
        now = trio.current_time()
        event = _Event(self._number, pattern, self._begin <= due < self._end, due, now, place.channel.id)
        if event.counts:
            tally = self._tallies[pattern.name]
            tally.sent += 1
            tally.lags.append(now - due)
        try:
            _EMIT[pattern.kind](self, event, place, user)
        except FloraError as error:  # the guild, the channel or the command is not what it was
            self.stop(f"{pattern.name}: {error}")

    def _message(self, event: _Event, place: Place, user: User) -> None:
        pattern = event.pattern
        draft = _padded(pattern.text.replace("{tag}", f"L{event.number}"), pattern.padding)
        message = messages.create_message(self.model, user, place.channel, draft)
        if pattern.answers:
            event.message_id = message.id
            self._by_message[message.id] = event
            self._by_channel.setdefault(event.channel_id, {})[event.number] = event
            self._waiting[event.number] = event

    def _slash(self, event: _Event, place: Place, user: User) -> None:
        typed = place.commands[event.pattern.name]
        interaction = interactions.start_command(self.model, user, place.channel, typed)
        if event.pattern.answers:
            event.interaction_id = interaction.id
            self._by_interaction[interaction.id] = event
            self._waiting[event.number] = event

    def _typing(self, event: _Event, place: Place, user: User) -> None:
        messages.typing(self.model, user, place.channel)

    def _reaction(self, event: _Event, place: Place, user: User) -> None:
        channel = place.channel
        last = next(reversed(channel.messages.values()), None)
        if last is None:
            last = messages.create_message(self.model, user, channel, MessageDraft(content="to react to"))
        mine = last.reactions.get(EMOJI)
        there = mine is not None and user in mine.users
        act = reactions.remove_reaction if there else reactions.add_reaction
        act(self.model, user, channel, last, EMOJI)

    def _event(self, event: _Event, place: Place, user: User) -> None:
        guild_id, pattern = place.guild.id, event.pattern
        data = {**pattern.data, "guild_id": guild_id, "channel_id": event.channel_id}
        self.model.emit(Dispatch(pattern.event, data, guild_id=guild_id, channel_id=event.channel_id))

    # answers

    def _on_dispatch(self, dispatch: Dispatch) -> None:
        match dispatch.name:
            case "MESSAGE_CREATE" if dispatch.author_id == self.model.application.bot.id:
                self._on_message(dispatch.data)
            case "MESSAGE_UPDATE" if not dispatch.data["flags"] & LOADING:
                about = dispatch.data.get("interaction_metadata")
                if about is not None and (event := self._by_interaction.get(about["id"])) is not None:
                    self._done(event, "interaction")
            case "INTERACTION_ANSWERED" if dispatch.data["answer"] != interactions.DEFERRED_REPLY:
                if (event := self._by_interaction.get(dispatch.data["interaction_id"])) is not None:
                    self._done(event, "interaction")
            case "INTERACTION_FAILURE":
                if (event := self._by_interaction.get(dispatch.data["interaction_id"])) is not None:
                    self._expired += event.counts
                    self._fail(event)
            case _:
                pass

    def _on_message(self, data: Json) -> None:
        if "interaction_metadata" in data:
            return
        reference = data.get("message_reference")
        event = None if reference is None else self._by_message.get(reference["message_id"])
        if event is not None:
            self._done(event, "reference")
            return
        tag = _TAG.search(data["content"])
        event = None if tag is None else self._waiting.get(int(tag[1]))
        if event is not None:
            self._done(event, "tag")
            return
        in_channel = self._by_channel.get(data["channel_id"])
        if in_channel and tag is None and reference is None:
            self._done(next(iter(in_channel.values())), "order")
        else:
            self._unmatched += 1

    def _done(self, event: _Event, how: str) -> None:
        now = trio.current_time()
        self._answered += 1
        self._correlated[how] = self._correlated.get(how, 0) + 1
        if event.counts:
            tally = self._tallies[event.pattern.name]
            tally.latencies.append(now - event.due)
            tally.services.append(now - event.sent)
        self._forget(event)

    def _fail(self, event: _Event) -> None:
        self._tallies[event.pattern.name].timeouts += event.counts
        self._forget(event)

    def _forget(self, event: _Event) -> None:
        del self._waiting[event.number]
        if event.message_id is not None:
            del self._by_message[event.message_id]
            del self._by_channel[event.channel_id][event.number]
        if event.interaction_id is not None:
            del self._by_interaction[event.interaction_id]
        self._freed.set()

    def _give_up(self, before: float) -> None:
        for event in list(self._waiting.values()):
            if event.sent > before:
                return
            self._fail(event)


_EMIT: Final = {
    "message": Run._message,
    "slash": Run._slash,
    "typing": Run._typing,
    "reaction": Run._reaction,
    "event": Run._event,
}


def _padded(text: str, padding: int) -> MessageDraft:
    """A message with so many bytes more: in its text as far as Discord allows, then in embeds."""
    inside = min(padding, MAX_CONTENT - len(text) - 1) if padding else 0
    content = f"{text} {'x' * inside}" if inside > 0 else text
    left = padding - max(inside, 0)
    embeds = [
        {"type": "rich", "description": "x" * min(EMBED_TEXT, left - start)}
        for start in range(0, left, EMBED_TEXT)
    ]
    return MessageDraft(content=content, embeds=embeds)


def _joined(lists: Iterable[list[float]]) -> list[float]:
    return [value for each in lists for value in each]
