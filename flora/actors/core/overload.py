"""What is given up first when too many events wait: the policy as data.

Every event belongs to a class with a name and a rank. At a bound the oldest waiting event of the lowest
rank is shed, be it the one that has just come; a higher rank is touched only when no lower one waits
(`migration.md`, I6). Each shed event is counted under the name of its class. Control entries (deploy,
restart, ...) have no rank: they are never shed, and their own small bound refuses instead.
"""

from __future__ import annotations

from typing import Final

# From what is missed least to what is missed most.
CLASSES: Final[tuple[str, ...]] = ("ephemeral", "message", "state", "cron", "interaction")

EPHEMERAL: Final = CLASSES.index("ephemeral")  # superseded by the next of its kind within seconds
MESSAGE: Final = CLASSES.index("message")  # the bulk of the traffic; a script that misses one can go on
STATE: Final = CLASSES.index("state")  # members, roles, channels: a miss leaves a script's picture wrong
CRON: Final = CLASSES.index("cron")  # few, and nobody sends them again
INTERACTION: Final = CLASSES.index("interaction")  # a person waits for the answer, for three seconds

CRON_PREFIX: Final = "__cron:"
TASK: Final = "TASK"

_RANKS: Final[dict[str, int]] = {
    "PRESENCE_UPDATE": EPHEMERAL,
    "TYPING_START": EPHEMERAL,
    "MESSAGE_CREATE": MESSAGE,
    "MESSAGE_UPDATE": MESSAGE,
    "MESSAGE_REACTION_ADD": MESSAGE,
    "MESSAGE_REACTION_REMOVE": MESSAGE,
    "MESSAGE_REACTION_REMOVE_ALL": MESSAGE,
    "MESSAGE_REACTION_REMOVE_EMOJI": MESSAGE,
    "MESSAGE_POLL_VOTE_ADD": MESSAGE,
    "MESSAGE_POLL_VOTE_REMOVE": MESSAGE,
    "INTERACTION_CREATE": INTERACTION,
    TASK: CRON,
}


def rank_of(name: str) -> int:
    """The rank of a dispatch name; an event that nobody classified is `state`."""
    rank = _RANKS.get(name)
    if rank is not None:
        return rank
    return CRON if name.startswith(CRON_PREFIX) else STATE
