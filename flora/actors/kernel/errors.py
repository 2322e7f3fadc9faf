"""What can go wrong between actors."""

from __future__ import annotations

from flora.errors import FloraError


class ActorError(FloraError):
    code = "ACTOR_ERROR"


class MailboxFullError(ActorError):
    """The mailbox is at its bound: an answer for the sender, who sheds, retries or refuses."""

    code = "MAILBOX_FULL"


class ActorStoppedError(ActorError):
    """The actor has ended, or is ending, and takes no more messages."""

    code = "ACTOR_STOPPED"


class ActorQuarantinedError(ActorError):
    """The actor failed too often and rests until its quarantine is over."""

    code = "ACTOR_QUARANTINED"


class ActorCrashedError(ActorError):
    """The actor raised while it handled the request; its supervisor decides what comes next."""

    code = "ACTOR_CRASHED"


class AskTimeoutError(ActorError):
    """No answer within the deadline. The request may still be carried out."""

    code = "ASK_TIMEOUT"


class DuplicateActorError(ActorError):
    """A living sibling has that name already."""

    code = "DUPLICATE_ACTOR"


class EscalatedError(ActorError):
    """A child failed more often than its intensity allows; raised in its parent."""

    code = "ESCALATED"


def root_cause(error: BaseException) -> BaseException:
    """The error inside exception groups of one; a group of several is its own cause."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
