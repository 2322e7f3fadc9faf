"""Guild logs in memory and on the disk, as one.

The log hub has the newest lines and wakes followers; every QUARTER of a second what is new goes to the disk.
Like a follower, the writer keeps no lines of its own: it is a position in each guild's buffer. So memory is
bounded by the hub, a guild that says more than it may loses its own lines and nobody else's, and a disk
that hangs costs only what the hub lets go of meanwhile (`lines_lost`).
Reading begins in memory and goes on in the files, in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import structlog
import trio

from flora.actors.kernel import Context, Service
from flora.actors.loghub import Dropped, Follower, LogEntry, LogHub, at_least
from flora.engine.api import LogLevel
from flora.ids import GuildId
from flora.storage.guild_logs import GuildLogError, GuildLogFiles, StoredLine

log = structlog.get_logger("flora.logs")

FLUSH_SECS: Final = 0.25
SWEEP_SECS: Final = 3600.0
WARN_SECS: Final = 60.0
"""Between two lines in flora's own log that say the same of the disk."""
MAX_REPLAY: Final = 20_000
"""Lines that a follower who comes back is sent from the files; the oldest beyond it count as dropped."""
READERS: Final = 4


class GuildLogs(Service[None]):
    """Its methods may be called from any task while it runs."""

    def __init__(self, hub: LogHub, files: GuildLogFiles, *, retention_days: float) -> None:
        self.hub = hub
        self._files = files
        self._retention_days = retention_days
        self._written: dict[GuildId, int] = {}  # the id of the last line on the disk
        self._flushing = trio.Lock()
        self._readers = trio.CapacityLimiter(READERS)
        self._warn_at = 0.0
        self.lines_lost = 0
        """Lines that the hub let go of before they were on the disk."""

    # ------------------------------------------------------------------ reading

    async def recent(
        self,
        guild_id: GuildId,
        limit: int = 100,
        level: LogLevel | None = None,
        since: int | None = None,
    ) -> list[LogEntry]:
        """The newest `limit` lines of at least `level`, not before `since` (ms since 1970), oldest first.
        Raises GuildLogError.
        """
        first_id = self.hub.first_id(guild_id)
        found = self.hub.recent(guild_id, limit, level, since)
        missing = limit - len(found)
        if missing <= 0 or self.hub.reaches_back_to(guild_id, since):
            return found

        def read() -> list[LogEntry]:
            older: list[LogEntry] = []
            for line in self._stored(guild_id, first_id):
                if since is not None and line.timestamp < since:
                    break
                if at_least(line, level):
                    older.append(line)
                    if len(older) == missing:
                        break
            return older

        older = await trio.to_thread.run_sync(read, limiter=self._readers)
        return [*reversed(older), *found]

    async def follow_recent(
        self, guild_id: GuildId, limit: int, level: LogLevel | None = None, since: int | None = None
    ) -> tuple[Sequence[LogEntry | Dropped], Follower]:
        """As `recent`, and a follower of what comes behind these lines. Raises GuildLogError."""
        follower = self.hub.follow(guild_id)
        try:  # what is in memory is looked at before anything is waited for
            return await self.recent(guild_id, limit, level, since), follower
        except BaseException:
            follower.close()
            raise

    async def follow(self, guild_id: GuildId, after_id: int) -> tuple[Sequence[LogEntry | Dropped], Follower]:
        """What a follower has to be sent before it follows, and the follower.

        `after_id`: the last line that it had, perhaps in an earlier life of flora. The
        follower is the caller's to close. Raises GuildLogError.
        """
        first_id = self.hub.first_id(guild_id)
        if first_id is not None and after_id >= first_id - 1:
            return [], self.hub.follow(guild_id, after_id)
        born_id = self.hub.born_id(guild_id)
        follower = self.hub.follow_all(guild_id)

        def read() -> Sequence[LogEntry | Dropped]:
            missed: list[LogEntry] = []
            for line in self._stored(guild_id, first_id):
                if line.id <= after_id:
                    return missed[::-1]
                if len(missed) == MAX_REPLAY:
                    break
                missed.append(line)
            # The line that it had last is not kept any more, so what came right behind it may not be either.
            # Ids of one life of the buffer follow each other: there one knows how many.
            oldest = missed[-1].id if missed else first_id
            same_life = first_id is not None and after_id >= born_id - 1
            count = oldest - after_id - 1 if same_life and oldest is not None else None
            return [Dropped(count), *missed[::-1]]

        try:
            return await trio.to_thread.run_sync(read, limiter=self._readers), follower
        except BaseException:
            follower.close()
            raise

    async def forget(self, guild_id: GuildId) -> None:
        """Remove a guild's log for good."""
        self.hub.forget(guild_id)
        async with self._flushing:
            self._written.pop(guild_id, None)
            await trio.to_thread.run_sync(self._files.forget, guild_id, limiter=self._readers)

    def _stored(self, guild_id: GuildId, before: int | None) -> Iterator[LogEntry]:
        for line in self._files.newest_first(guild_id, before):
            yield LogEntry(
                line.id,
                line.timestamp,
                _LEVELS.get(line.level, LogLevel.INFO),
                line.target,
                guild_id,
                line.message,
                line.event_id,
            )

    # ------------------------------------------------------------------ writing

    async def run(self, ctx: Context[None]) -> None:
        ctx.nursery.start_soon(self._sweep)
        while True:
            await trio.sleep(FLUSH_SECS)
            await self.flush()

    async def stopping(self) -> None:
        await self.flush()

    async def flush(self) -> None:
        """Bring what is new to the disk. Lines that the disk does not take are tried again next time."""
        async with self._flushing:
            batches = []
            for guild_id in self.hub.take_dirty():
                if lines := self._new_lines(guild_id):
                    batches.append((guild_id, lines))
            if not batches:
                return
            failed = await trio.to_thread.run_sync(self._write, batches)
            for guild_id, lines in batches:
                if guild_id in failed:
                    self.hub.mark_dirty(guild_id)
                else:
                    self._written[guild_id] = lines[-1].id

    def _new_lines(self, guild_id: GuildId) -> list[LogEntry]:
        position = self._written.get(guild_id)
        lines = list(self.hub.after(guild_id, position))
        if lines:
            expected = max((position or 0) + 1, self.hub.born_id(guild_id))
            self.lines_lost += lines[0].id - expected
        return lines

    def _write(self, batches: list[tuple[GuildId, list[LogEntry]]]) -> set[GuildId]:
        failed: dict[GuildId, GuildLogError] = {}
        for guild_id, lines in batches:
            try:
                self._files.write(guild_id, [_stored_line(line) for line in lines])
            except GuildLogError as error:
                failed[guild_id] = error
        if failed:
            trio.from_thread.run_sync(self._warn, next(iter(failed.values())), len(failed))
        return set(failed)

    def _warn(self, error: GuildLogError, guilds: int) -> None:
        if trio.current_time() >= self._warn_at:
            self._warn_at = trio.current_time() + WARN_SECS
            log.warning("guild logs not written", guilds=guilds, error=str(error))

    async def _sweep(self) -> None:
        while True:
            await trio.to_thread.run_sync(self._files.sweep, self._retention_days * 86_400)
            for guild_id in [each for each in self._written if self.hub.first_id(each) is None]:
                del self._written[guild_id]
            await trio.sleep(SWEEP_SECS)


_LEVELS: Final = {level.value: level for level in LogLevel}


def _stored_line(line: LogEntry) -> StoredLine:
    return StoredLine(line.id, line.timestamp, line.level.value, line.target, line.message, line.event_id)
