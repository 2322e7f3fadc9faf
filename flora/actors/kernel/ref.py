"""The address of an actor: all that others hold of it, valid across its restarts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import trio

from flora.actors.kernel.errors import ActorError, AskTimeoutError
from flora.actors.kernel.mailbox import Mailbox
from flora.actors.kernel.message import Request

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


class ActorRef(Generic[M_contra]):
    """Sends to one actor. Cheap to copy and to keep; `path` tells where it stands in the tree."""

    __slots__ = ("_mailbox", "_refusal", "path")

    def __init__(
        self, path: str, mailbox: Mailbox[M_contra], refusal: Callable[[], ActorError | None]
    ) -> None:
        self.path = path
        self._mailbox = mailbox
        self._refusal = refusal  # why the actor takes nothing at present, or None

    def tell(self, message: M_contra) -> None:
        """Put `message` into the mailbox and return.

        Raises MailboxFullError, ActorStoppedError or ActorQuarantinedError; never waits.
        """
        if (refusal := self._refusal()) is not None:
            raise refusal
        self._mailbox.put(message)

    async def ask(self, request: Request[R], *, deadline: float) -> R:
        """Send `request` and wait at most `deadline` seconds for its answer.

        Raises what `tell` raises, the error the actor refused with, AskTimeoutError, and ActorCrashedError or
        ActorStoppedError when it ended before it answered. When cancelled, the request may still be carried
        out.
        """
        self.tell(request)  # type: ignore[arg-type]  # the protocol includes the actor's own requests
        with trio.move_on_after(deadline):
            return await request.reply.wait()
        raise AskTimeoutError(f"{self.path} gave no answer to {type(request).__name__} in {deadline:g} s")

    def __repr__(self) -> str:
        return f"<ActorRef {self.path}>"
