"""Requests: messages that expect an answer.

A message is a frozen dataclass. One that expects an answer derives from `Request[R]` and thereby carries
its own reply slot, so an actor may answer at once, later, or hand the request on to somebody who will:

    @dataclass(frozen=True, slots=True)
    class Square(Request[int]):
        number: int

    async def receive(self, message: Square) -> None:
        message.reply.ok(message.number**2)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import outcome
import trio

R = TypeVar("R")


class Reply(Generic[R]):
    """A slot that takes one answer. The first wins; later ones are ignored, so an answer may come late."""

    __slots__ = ("_answer", "_event")

    def __init__(self) -> None:
        self._answer: outcome.Value[R] | outcome.Error | None = None
        self._event: trio.Event | None = None  # made by the first waiter: most replies need none

    @property
    def answered(self) -> bool:
        return self._answer is not None

    def ok(self, value: R) -> None:
        self._put(outcome.Value(value))

    def fail(self, error: Exception) -> None:
        self._put(outcome.Error(error))

    def _put(self, answer: outcome.Value[R] | outcome.Error) -> None:
        if self._answer is None:
            self._answer = answer
            if self._event is not None:
                self._event.set()

    async def wait(self) -> R:
        """The answer, or the error it was refused with. Waits for ever: the asker brings the deadline."""
        if self._answer is None:
            if self._event is None:
                self._event = trio.Event()
            await self._event.wait()
        else:
            await trio.lowlevel.checkpoint()
        assert self._answer is not None
        if isinstance(self._answer, outcome.Error):
            # raised without unwrap(), which forbids a second waiter
            raise self._answer.error
        return self._answer.value


@dataclass(frozen=True, slots=True)
class Request(Generic[R]):
    """Base of messages that expect an answer of type R."""

    reply: Reply[R] = field(default_factory=Reply, kw_only=True, repr=False, compare=False)
