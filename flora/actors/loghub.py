"""What the scripts of all guilds say: one bounded buffer for each guild, readable and followable.

A plain object of the Trio thread: `append` never waits, so a guild's reader, an actor or an op may call it
anywhere. Followers keep no lines of their own: each is a position in its guild's buffer. A follower that
is too slow costs nothing and finds a `Dropped` where the lines were that it missed.

Bounds: lines and bytes of one line, lines and bytes of one guild, bytes in sum. What a guild writes
beyond its own bounds pushes out its own oldest lines. When the sum is reached, the largest buffers
(within a factor of two) give way, so a guild that says little keeps what it said.
"""

from __future__ import annotations

import functools
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

import trio

from flora.engine.api import LogLevel
from flora.ids import GuildId

# Enough for the last minutes of a talkative bot; an author who needs more follows.
MAX_LINES: Final = 5_000
MAX_GUILD_BYTES: Final = 2 * 2**20
MAX_TOTAL_BYTES: Final = 128 * 2**20
# Longer lines are cut: one console.log of a huge object must not push out everything else.
MAX_LINE_CHARS: Final = 16 * 1024
# What an entry costs beside its text: object, slot, numbers, event id (tracemalloc, CPython 3.11).
ENTRY_OVERHEAD: Final = 250
# Lines handed to a follower between two looks at the buffer; bounds how long one follower holds the thread.
FOLLOW_BATCH: Final = 256

_RANK: Final = {level: rank for rank, level in enumerate(LogLevel)}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line. `id` grows within its guild, also over restarts of flora; `timestamp` is in ms since 1970."""

    id: int
    timestamp: int
    level: LogLevel
    target: str
    guild_id: GuildId
    message: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Stands where a follower missed lines. `count` is None when nobody knows how many."""

    count: int | None


@dataclass(frozen=True, slots=True)
class LogHubStatistics:
    guilds: int
    lines: int
    bytes: int
    followers: int
    lines_accepted: int
    lines_evicted: int


class _Buffer:
    """The lines of one guild: consecutive ids from `first_id` to `next_id - 1`."""

    __slots__ = ("born_id", "bytes", "entries", "followers", "next_id", "wakeup")

    def __init__(self, first_id: int) -> None:
        self.entries: deque[LogEntry] = deque()
        self.bytes = 0
        self.born_id = first_id
        self.next_id = first_id
        self.followers = 0
        self.wakeup = trio.Event()

    @property
    def first_id(self) -> int:
        return self.next_id - len(self.entries)

    @property
    def size_class(self) -> int:
        return self.bytes.bit_length()

    def after(self, entry_id: int) -> Iterable[LogEntry]:
        start = max(0, entry_id + 1 - self.first_id)
        if start * 2 < len(self.entries):
            return islice(self.entries, start, None)
        newest_first = islice(reversed(self.entries), max(0, len(self.entries) - start))
        return reversed(list(newest_first))


def at_least(entry: LogEntry, level: LogLevel | None) -> bool:
    return level is None or _RANK[entry.level] >= _RANK[level]


class Follower:
    """A reader's position in one guild's log: an async iterator and a context manager.

    Holds no lines, so a slow one costs nothing; where lines were evicted before it read them it finds a
    `Dropped`. `take` is the truth and never waits; iterating waits for ever. Cancellation loses no line.
    """

    __slots__ = ("_buffer", "_close", "_gap", "_position", "_taken")

    def __init__(self, buffer: _Buffer, after_id: int | None, close: Callable[[], None]) -> None:
        self._buffer = buffer
        self._close: Callable[[], None] | None = close
        self._taken: deque[LogEntry | Dropped] = deque()
        newest = buffer.next_id - 1
        position = newest if after_id is None else after_id
        # A position of an earlier life of this buffer: how many lines lie between, nobody knows.
        self._gap = 0 < position < buffer.born_id - 1
        self._position = min(max(position, buffer.born_id - 1), newest)

    def take(self, limit: int = FOLLOW_BATCH) -> list[LogEntry | Dropped]:
        """The next lines that are there, at most `limit`; empty when there are none."""
        found: list[LogEntry | Dropped] = []
        if self._gap:
            self._gap = False
            found.append(Dropped(None))
        if (missed := self._buffer.first_id - (self._position + 1)) > 0:
            self._position += missed
            found.append(Dropped(missed))
        entries = list(islice(self._buffer.after(self._position), limit))
        self._position += len(entries)
        return [*found, *entries]

    async def wait(self) -> None:
        """Until there is something to take."""
        while not self._gap and self._position == self._buffer.next_id - 1:
            await self._buffer.wakeup.wait()

    def __aiter__(self) -> Follower:
        return self

    async def __anext__(self) -> LogEntry | Dropped:
        await trio.lowlevel.checkpoint()
        while not self._taken:
            await self.wait()
            self._taken.extend(self.take())
        return self._taken.popleft()

    def close(self) -> None:
        """Stop following. Idempotent."""
        if self._close is not None:
            self._close()
            self._close = None

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LogHub:
    """All guilds' log buffers. Not thread-safe: only the Trio thread may call it."""

    def __init__(
        self,
        *,
        max_lines: int = MAX_LINES,
        max_guild_bytes: int = MAX_GUILD_BYTES,
        max_total_bytes: int = MAX_TOTAL_BYTES,
        max_line_chars: int = MAX_LINE_CHARS,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._max_lines = max_lines
        self._max_guild_bytes = max_guild_bytes
        self._max_total_bytes = max_total_bytes
        self._max_line_chars = max_line_chars
        self._clock_ns = clock_ns
        self._buffers: dict[GuildId, _Buffer] = {}
        # Guilds by the bit length of their bytes: finds a largest buffer in constant time.
        self._by_size: dict[int, dict[GuildId, None]] = {}
        self._dirty: dict[GuildId, None] = {}
        self._bytes = 0
        self._lines = 0
        self._accepted = 0
        self._evicted = 0

    def append(
        self,
        guild_id: GuildId,
        level: LogLevel,
        text: str,
        *,
        target: str = "flora:js",
        event_id: str | None = None,
    ) -> LogEntry:
        """Add a line and wake the guild's followers. Never waits, never fails; `text` is untrusted."""
        buffer = self._buffers.get(guild_id)
        if buffer is None:
            # Microseconds since 1970: later than every id of an earlier life of this buffer, since no
            # guild writes a million lines a second, and still exact as a JavaScript number.
            buffer = self._buffers[guild_id] = _Buffer(self._clock_ns() // 1_000)
        entry = LogEntry(
            buffer.next_id,
            self._clock_ns() // 1_000_000,
            level,
            target,
            guild_id,
            self._clean(text),
            event_id,
        )
        size_class = buffer.size_class
        buffer.entries.append(entry)
        buffer.next_id += 1
        self._dirty[guild_id] = None
        cost = _cost(entry)
        buffer.bytes += cost
        self._bytes += cost
        self._lines += 1
        self._accepted += 1
        while len(buffer.entries) > 1 and (
            len(buffer.entries) > self._max_lines or buffer.bytes > self._max_guild_bytes
        ):
            self._evict_oldest(buffer)
        self._reclass(guild_id, buffer, size_class)
        self._shrink_to_total()
        if buffer.followers:
            buffer.wakeup.set()
            buffer.wakeup = trio.Event()
        return entry

    def recent(
        self,
        guild_id: GuildId,
        limit: int = 100,
        level: LogLevel | None = None,
        since: int | None = None,
    ) -> list[LogEntry]:
        """The newest `limit` lines of at least `level`, not before `since` (ms since 1970), oldest first."""
        buffer = self._buffers.get(guild_id)
        if buffer is None or limit <= 0:
            return []
        found: list[LogEntry] = []
        for entry in reversed(buffer.entries):
            if since is not None and entry.timestamp < since:
                break
            if at_least(entry, level):
                found.append(entry)
                if len(found) == limit:
                    break
        found.reverse()
        return found

    def follow(self, guild_id: GuildId, after_id: int | None = None) -> Follower:
        """Every line after `after_id` (0: all that are there, None: from now on), until it is closed."""
        buffer = self._buffers.get(guild_id)
        if buffer is None:
            buffer = self._buffers[guild_id] = _Buffer(self._clock_ns() // 1_000)
        buffer.followers += 1
        return Follower(buffer, after_id, functools.partial(self._unfollow, guild_id, buffer))

    def follow_all(self, guild_id: GuildId) -> Follower:
        """Every line that is there, and what comes; nothing before them counts as missed."""
        buffer = self._buffers.get(guild_id)
        return self.follow(guild_id, None if buffer is None else buffer.first_id - 1)

    # ------------------------------------------------------------------ for whoever keeps the lines elsewhere

    def take_dirty(self) -> list[GuildId]:
        """The guilds that said something since this was asked last."""
        dirty = list(self._dirty)
        self._dirty.clear()
        return dirty

    def mark_dirty(self, guild_id: GuildId) -> None:
        self._dirty[guild_id] = None

    def after(self, guild_id: GuildId, entry_id: int | None) -> Iterable[LogEntry]:
        """The lines with a greater id that are there; None: all of them."""
        buffer = self._buffers.get(guild_id)
        if buffer is None:
            return ()
        return buffer.after(buffer.first_id - 1 if entry_id is None else entry_id)

    def first_id(self, guild_id: GuildId) -> int | None:
        """The id of the oldest line that is there, or of the next one; None when nothing was ever said."""
        buffer = self._buffers.get(guild_id)
        return None if buffer is None else buffer.first_id

    def born_id(self, guild_id: GuildId) -> int:
        """The first id of the guild's buffer in its present life; they follow each other from there."""
        buffer = self._buffers.get(guild_id)
        return 0 if buffer is None else buffer.born_id

    def reaches_back_to(self, guild_id: GuildId, timestamp: int | None) -> bool:
        """Whether the oldest line that is there is older than `timestamp` (ms since 1970)."""
        buffer = self._buffers.get(guild_id)
        if timestamp is None or buffer is None or not buffer.entries:
            return False
        return buffer.entries[0].timestamp < timestamp

    def _unfollow(self, guild_id: GuildId, buffer: _Buffer) -> None:
        buffer.followers -= 1
        self._forget_if_idle(guild_id, buffer)

    def forget(self, guild_id: GuildId) -> None:
        """Drop a guild's lines, for a guild that left. Its followers stay and see what comes after."""
        if (buffer := self._buffers.get(guild_id)) is not None:
            size_class = buffer.size_class
            while buffer.entries:
                self._evict_oldest(buffer)
            self._reclass(guild_id, buffer, size_class)
            self._forget_if_idle(guild_id, buffer)

    def statistics(self) -> LogHubStatistics:
        return LogHubStatistics(
            guilds=len(self._buffers),
            lines=self._lines,
            bytes=self._bytes,
            followers=sum(buffer.followers for buffer in self._buffers.values()),
            lines_accepted=self._accepted,
            lines_evicted=self._evicted,
        )

    def _clean(self, text: str) -> str:
        if len(text) > self._max_line_chars:
            text = f"{text[: self._max_line_chars]}… ({len(text) - self._max_line_chars} more characters)"
        if text.isascii():
            return text
        # JavaScript strings may hold half a surrogate pair, which UTF-8 cannot carry.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _evict_oldest(self, buffer: _Buffer) -> None:
        cost = _cost(buffer.entries.popleft())
        buffer.bytes -= cost
        self._bytes -= cost
        self._lines -= 1
        self._evicted += 1

    def _shrink_to_total(self) -> None:
        while self._bytes > self._max_total_bytes:
            guild_id = next(iter(self._by_size[max(self._by_size)]))
            buffer = self._buffers[guild_id]
            size_class = buffer.size_class
            self._evict_oldest(buffer)
            self._reclass(guild_id, buffer, size_class)
            self._forget_if_idle(guild_id, buffer)

    def _reclass(self, guild_id: GuildId, buffer: _Buffer, before: int) -> None:
        now = buffer.size_class
        if now == before:
            return
        if before:
            members = self._by_size[before]
            del members[guild_id]
            if not members:
                del self._by_size[before]
        if now:
            self._by_size.setdefault(now, {})[guild_id] = None

    def _forget_if_idle(self, guild_id: GuildId, buffer: _Buffer) -> None:
        if not buffer.entries and not buffer.followers and self._buffers.get(guild_id) is buffer:
            del self._buffers[guild_id]


def _cost(entry: LogEntry) -> int:
    return sys.getsizeof(entry.message) + ENTRY_OVERHEAD
