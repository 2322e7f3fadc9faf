"""Two threads beside the chaos: one says things in the guilds, one reads the answers."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from tests.e2e.running import eventually
from tests.soak.bot import KINDS
from tests.soak.ledger import GuildLedger

READ_SECS: Final = 0.5
SHIFT_SECS: Final = 8.0
"""So long the same half of the guilds is spoken to; the others may fall asleep."""
ANSWERED_SECS: Final = 90.0
DISCORD_SHIFT: Final = 22  # bits of a snowflake below its milliseconds


@dataclass(frozen=True)
class Place:
    """A guild of the playground."""

    guild_id: str
    channel_id: str
    ticks: bool


class Talk:
    """`latencies`: from message to answer, in milliseconds of the playground's clock. `silent`: from a quiet
    moment on, nobody says anything any more.
    """

    def __init__(self, control: str, places: list[Place], seed: int, rate: float) -> None:
        self._control = control
        self._places = places
        self._chance = random.Random(seed)
        self._rate = rate
        self._numbers = itertools.count(1)
        self._may_talk = threading.Lock()
        self._over = threading.Event()
        self._sent: dict[int, int] = {}
        self._since = {place.guild_id: 0 for place in places}
        self._threads = [
            threading.Thread(target=self._guard, args=(task,)) for task in (self._say, self._hear)
        ]
        self.ledgers = {place.guild_id: GuildLedger() for place in places}
        self.latencies: list[int] = []
        self.silent = False
        self.failure: BaseException | None = None

    @contextmanager
    def going(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()

    @property
    def said(self) -> int:
        return sum(len(ledger.said) for ledger in self.ledgers.values())

    def until_answered(self, why: str) -> None:
        """Only while nobody talks."""

        def done() -> bool:
            if self.failure is not None:
                raise self.failure
            return not any(ledger.waiting for ledger in self.ledgers.values())

        eventually(done, f"all is answered {why}", ANSWERED_SECS)

    @contextmanager
    def quiet(self, why: str) -> Iterator[None]:
        """Nobody talks, and all that was said is answered."""
        with self._may_talk:
            self.until_answered(why)
            yield

    def say_to_all(self) -> None:
        """One message in each guild, within `quiet`."""
        with httpx.Client(base_url=self._control, timeout=30, trust_env=False) as client:
            for place in self._places:
                self._say_one(client, place, "say")

    def _guard(self, task: Callable[[httpx.Client], None]) -> None:
        try:
            with httpx.Client(base_url=self._control, timeout=30, trust_env=False) as client:
                task(client)
        except BaseException as error:  # noqa: BLE001 - raised where the soak waits
            self.failure = error

    def _say(self, client: httpx.Client) -> None:
        awake, until = self._places, 0.0
        due = time.monotonic()
        while not self._over.is_set():
            if time.monotonic() > until:
                awake = self._chance.sample(self._places, max(1, len(self._places) // 2))
                until = time.monotonic() + SHIFT_SECS
            with self._may_talk:
                if self.silent:
                    return
                self._say_one(client, self._chance.choice(awake), self._chance.choice(KINDS))
            due = max(due + self._chance.expovariate(self._rate), time.monotonic() - 1)
            self._over.wait(max(0.0, due - time.monotonic()))

    def _say_one(self, client: httpx.Client, place: Place, kind: str) -> None:
        number = next(self._numbers)
        self.ledgers[place.guild_id].say(number, task=kind == "later")
        body = {"text": f"{kind} {number}", "guild": place.guild_id, "user": "ann"}
        answer = client.post("/say", json=body)
        answer.raise_for_status()
        self._sent[number] = int(answer.json()["message"]["id"]) >> DISCORD_SHIFT

    def _hear(self, client: httpx.Client) -> None:
        while not self._over.is_set():
            for place in self._places:
                self._read(client, place)
            self._over.wait(READ_SECS)

    def _read(self, client: httpx.Client, place: Place) -> None:
        ledger = self.ledgers[place.guild_id]
        since = self._since[place.guild_id]
        answer = client.get(f"/channels/{place.channel_id}/messages", params={"limit": 300, "user": "ann"})
        answer.raise_for_status()
        for message in answer.json():
            if not message["author"].get("bot") or int(message["id"]) <= since:
                continue
            self._since[place.guild_id] = int(message["id"])
            number = ledger.hear(message["content"])
            if number is not None and (sent := self._sent.pop(number, None)) is not None:
                self.latencies.append((int(message["id"]) >> DISCORD_SHIFT) - sent)
