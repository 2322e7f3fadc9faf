"""A gateway session: what survives a lost connection, so that the client can resume.

Source: Discord API Reference, "Gateway", section "Resuming".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from flora.playground.entities import User

STATUSES: Final = ("online", "dnd", "idle", "invisible")
RESUME_WINDOW: Final = 300.0  # seconds that a session waits for its client; Discord documents none
MAX_BUFFERED_FRAMES: Final = 100_000
MAX_BUFFERED_BYTES: Final = 128 * 2**20


@dataclass(slots=True)
class Session:
    """The dispatches of one session, numbered from 1, kept for replay.

    `notify` is the way to wake the connection that serves it, or None while there is none.
    """

    id: str
    user: User
    token: str
    intents: int
    shard: int
    shard_count: int
    large_threshold: int = 50
    seq: int = 0
    lost_at: float | None = None  # when its connection ended
    notify: Callable[[], None] | None = None
    presence: str = "online"
    activities: list[Any] = field(default_factory=list)
    _frames: deque[bytes] = field(default_factory=deque)
    _bytes: int = 0

    def push(self, name: str, data: bytes) -> None:
        """Number an event and keep it for the connection, now or after a resume."""
        self.seq += 1
        frame = b'{"t":"%s","s":%d,"op":0,"d":%s}' % (name.encode(), self.seq, data)
        self._frames.append(frame)
        self._bytes += len(frame)
        while len(self._frames) > MAX_BUFFERED_FRAMES or self._bytes > MAX_BUFFERED_BYTES:
            self._bytes -= len(self._frames.popleft())
        if self.notify is not None:
            self.notify()

    def show(self, presence: Any) -> None:
        """Take over a presence of the client, as far as it is one."""
        if isinstance(presence, dict) and presence.get("status") in STATUSES:
            self.presence = presence["status"]
            activities = presence.get("activities")
            self.activities = activities if isinstance(activities, list) else []

    @property
    def oldest(self) -> int:
        """The lowest sequence number that can still be replayed."""
        return self.seq - len(self._frames) + 1

    def after(self, seq: int) -> Iterator[bytes] | None:
        """The frames with a higher number than `seq`, or None when some of them are gone."""
        if seq + 1 < self.oldest:
            return None
        start = seq + 1 - self.oldest
        return (self._frames[index] for index in range(start, len(self._frames)))

    def serves(self, guild_id: str | None) -> bool:
        """True when events of this guild (or of direct messages) come to this session's shard."""
        shard = 0 if guild_id is None else (int(guild_id) >> 22) % self.shard_count
        return shard == self.shard
