"""The overlap of two gateway sessions of one shard: each event is delivered once, by the old or by the new.

Discord lets a shard have several sessions at once and sends each event to all of them (Gateway, "Sharding").
So a session is replaced without a gap: the new one begins while the old one still delivers, and what comes
from the new one is held. Once the old one has delivered all that Discord had for it, what is held follows,
without what the old one has brought already. Sans-I/O.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from flora.gateway.events import GatewayEvent
from flora.gateway.intents import WITH_CONTENT

MAX_HELD: Final = 10_000
"""Events of the new session that wait for the old one to catch up; a minute of a very busy shard."""

CONTENT_FIELDS: Final = ("content", "embeds", "attachments", "components", "poll")
"""What a session without the intent for message content gets empty."""


class Overlap:
    """Tell it what each session brings; it tells what is new."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()
        self._held: list[GatewayEvent] = []

    def delivered(self, event: GatewayEvent) -> None:
        """The old session has brought this."""
        self._seen[_fingerprint(event)] += 1

    def hold(self, event: GatewayEvent) -> None:
        """The new session has brought this, and it is not its turn."""
        self._held.append(event)

    @property
    def is_full(self) -> bool:
        return len(self._held) >= MAX_HELD

    def release(self) -> list[GatewayEvent]:
        """What was held and is new, in order."""
        held, self._held = self._held, []
        return [event for event in held if self.is_new(event)]

    def is_new(self, event: GatewayEvent) -> bool:
        """False when the old session has brought this event of the new one; each answer counts once."""
        key = _fingerprint(event)
        if self._seen[key] > 0:
            self._seen[key] -= 1
            return False
        return True


def _fingerprint(event: GatewayEvent) -> bytes:
    """The same for an event in whichever session it comes: its JSON, whatever the order of its keys.

    Sequence numbers differ between sessions, and so does the content of a message when their intents do.
    """
    payload = msgspec.json.decode(event.payload)
    if event.name in WITH_CONTENT and isinstance(payload, dict):
        payload = {key: value for key, value in payload.items() if key not in CONTENT_FIELDS}
    return event.name.encode() + msgspec.json.encode(payload, order="sorted")
