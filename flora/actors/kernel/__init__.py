"""The actor kernel: typed actors on Trio, supervised as in Erlang/OTP.

An actor owns its state and runs as one task in its supervisor's nursery. Others hold its `ActorRef` and
`tell` it frozen messages, or `ask` and wait for an answer with a deadline. Its mailbox is bounded: a full
one is an answer (MailboxFullError), never a wait. An exception ends the incarnation; the supervisor starts a
fresh one as its `ChildSpec` says, and the mailbox survives.

    @dataclass(frozen=True, slots=True)
    class Add:
        amount: int

    @dataclass(frozen=True, slots=True)
    class Total(Request[int]):
        pass

    class Counter(Actor[Add | Total]):
        def __init__(self) -> None:
            self.total = 0

        async def receive(self, message: Add | Total) -> None:
            match message:
                case Add(amount):
                    self.total += amount
                case Total():
                    message.reply.ok(self.total)

    async with ActorSystem.open("example") as system:
        counter = await system.spawn(ChildSpec("counter", Counter))
        counter.tell(Add(2))
        assert await counter.ask(Total(), deadline=1) == 2
"""

from flora.actors.kernel.actor import Actor, Context, Service
from flora.actors.kernel.cell import ActorInfo, State
from flora.actors.kernel.errors import (
    ActorCrashedError,
    ActorError,
    ActorQuarantinedError,
    ActorStoppedError,
    AskTimeoutError,
    DuplicateActorError,
    EscalatedError,
    MailboxFullError,
    root_cause,
)
from flora.actors.kernel.mailbox import Mailbox, MailboxStatistics
from flora.actors.kernel.message import Reply, Request
from flora.actors.kernel.ref import ActorRef
from flora.actors.kernel.supervision import Backoff, ChildSpec, Escalate, Intensity, Quarantine, Restart
from flora.actors.kernel.system import ActorSystem

__all__ = [
    "Actor",
    "ActorCrashedError",
    "ActorError",
    "ActorInfo",
    "ActorQuarantinedError",
    "ActorRef",
    "ActorStoppedError",
    "ActorSystem",
    "AskTimeoutError",
    "Backoff",
    "ChildSpec",
    "Context",
    "DuplicateActorError",
    "Escalate",
    "EscalatedError",
    "Intensity",
    "Mailbox",
    "MailboxFullError",
    "MailboxStatistics",
    "Quarantine",
    "Reply",
    "Request",
    "Restart",
    "Service",
    "State",
    "root_cause",
]
