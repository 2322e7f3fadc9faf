"""The event log of the router: what happened to every entry, in order, as flat records.

The records are described in `history.py`, which reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flora.actors.core.commands import Apply, Delivery, Outcome
    from flora.actors.core.mailbox import ControlKind, Event
    from flora.ids import GuildId

Record = dict[str, Any]


class Log:
    """Writes records to `write`, one call each, in the order in which things happened. Never waits."""

    __slots__ = ("_write",)

    def __init__(self, write: Callable[[Record], None]) -> None:
        self._write = write

    def opened(self) -> None:
        """A new run begins: numbers and epochs start again."""
        self._write({"t": "opened"})

    def accept(self, guild_id: GuildId, n: int, event: Event) -> None:
        self._write({"t": "accept", "g": guild_id, "n": n, "id": str(event.id), "name": event.name})

    def control(self, guild_id: GuildId, n: int, kind: ControlKind) -> None:
        self._write({"t": "control", "g": guild_id, "n": n, "kind": kind.value})

    def own(self, guild_id: GuildId, epoch: int, worker: int) -> None:
        self._write({"t": "own", "g": guild_id, "k": epoch, "w": worker})

    def hibernate(self, guild_id: GuildId, epoch: int) -> None:
        self._write({"t": "hibernate", "g": guild_id, "k": epoch})

    def asleep(self, guild_id: GuildId, epoch: int) -> None:
        self._write({"t": "asleep", "g": guild_id, "k": epoch})

    def start(self, delivery: Delivery) -> None:
        self._write(
            {"t": "start", **_of(delivery), "attempt": delivery.attempt, "id": str(delivery.event.id)}
        )

    def apply(self, command: Apply) -> None:
        place = {"g": command.guild_id, "n": command.n, "k": command.epoch, "w": command.worker}
        self._write({"t": "start", **place, "attempt": command.attempt, "kind": command.control.kind.value})

    def end(self, delivery: Delivery, outcome: str) -> None:
        self._write({"t": "end", **_of(delivery), "attempt": delivery.attempt, "outcome": outcome})

    def commit(self, delivery: Delivery, outcome: Outcome) -> None:
        self.end(delivery, outcome.value)
        self._write({"t": "commit", **_of(delivery), "id": str(delivery.event.id)})

    def skipped(self, guild_id: GuildId, n: int, epoch: int, worker: int) -> None:
        place = {"g": guild_id, "n": n, "k": epoch, "w": worker}
        self._write({"t": "start", **place, "attempt": 0})
        self._write({"t": "end", **place, "attempt": 0, "outcome": "unlistened"})
        self._write({"t": "commit", **place})

    def control_done(self, guild_id: GuildId, n: int, error: str | None) -> None:
        self._write({"t": "done", "g": guild_id, "n": n, "error": error})

    def refused(self, delivery: Delivery) -> None:
        self._write({"t": "refused", **_of(delivery)})

    def shed(self, guild_id: GuildId, n: int, policy: str) -> None:
        self._write({"t": "shed", "g": guild_id, "n": n, "policy": policy})

    def dead(self, guild_id: GuildId, n: int, reason: str) -> None:
        self._write({"t": "dead", "g": guild_id, "n": n, "reason": reason})

    def kept(self, guild_id: GuildId, n: int) -> None:
        self._write({"t": "kept", "g": guild_id, "n": n})


def _of(delivery: Delivery) -> Record:
    return {"g": delivery.guild_id, "n": delivery.n, "k": delivery.epoch, "w": delivery.worker}
