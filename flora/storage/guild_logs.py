"""Guild logs on the disk: what scripts said, for as long as it is kept, also over restarts of flora.

    <data>/logs/<guild>/<first id>.jsonl      segments, the newest is written to

Files and not tables: a script may say 10,000 lines a second, which are two megabytes appended to one file,
or as many rows with their WAL, indexes and vacuum, in the database that deploys and secrets need. Nothing is
ever looked up here but the end of one guild's log, and what is too old goes by removing a file.

A line is a JSON array; a segment that a crash cut short loses its last line and no other. Lines are in the
page cache when `write` returns, so they survive flora, but not the machine. Every method blocks: threads call
them, of which one writes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from flora.errors import FloraError
from flora.ids import GuildId

SEGMENTS: Final = 4
"""Of one guild's share; the oldest goes when a new one begins, so between 3/4 and all of it are kept."""
_CHUNK: Final = 256 * 1024


class GuildLogError(FloraError):
    """The disk did not take or give the lines. Nothing else of flora depends on it."""

    code = "GUILD_LOG_UNAVAILABLE"


class StoredLine(msgspec.Struct, array_like=True, frozen=True):
    """One line. `id` grows within its guild, `timestamp` is in milliseconds since 1970."""

    id: int
    timestamp: int
    level: str
    target: str
    message: str
    event_id: str | None = None


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(StoredLine).decode


class GuildLogFiles:
    def __init__(self, folder: Path, *, max_guild_bytes: int, clock: Callable[[], float] = time.time) -> None:
        """`max_guild_bytes` is one guild's share of the disk."""
        self._folder = folder
        self._segment_bytes = max(1, max_guild_bytes // SEGMENTS)
        self._clock = clock

    def write(self, guild_id: GuildId, lines: Sequence[StoredLine]) -> None:
        """Append lines, whose ids grow, behind those that are there. Raises GuildLogError."""
        if not lines:
            return
        folder = self._of(guild_id)
        data = b"".join(_encode(line) + b"\n" for line in lines)
        try:
            segments = self._segments(guild_id)
            if segments and segments[-1].stat().st_size < self._segment_bytes:
                newest = segments[-1]
            else:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                newest = folder / f"{lines[0].id}.jsonl"
                for old in segments[: max(0, len(segments) - SEGMENTS + 1)]:
                    old.unlink(missing_ok=True)
            _append(newest, data)
        except OSError as error:
            raise GuildLogError(f"the log of guild {guild_id} was not written: {error.strerror}.") from error

    def newest_first(self, guild_id: GuildId, before: int | None = None) -> Iterator[StoredLine]:
        """The guild's lines with ids below `before`, from the newest on. Raises GuildLogError."""
        try:
            for segment in reversed(self._segments(guild_id)):
                if before is not None and int(segment.stem) >= before:
                    continue
                for line in _backwards(segment):
                    if before is None or line.id < before:
                        yield line
        except OSError as error:
            raise GuildLogError(f"the log of guild {guild_id} was not read: {error.strerror}.") from error

    def forget(self, guild_id: GuildId) -> None:
        """Remove a guild's log for good. To do it twice is no error."""
        shutil.rmtree(self._of(guild_id), ignore_errors=True)

    def sweep(self, max_age_secs: float) -> int:
        """Remove segments that nothing was written to for so long; how many there were."""
        oldest, count = self._clock() - max_age_secs, 0
        for folder in self._guild_folders():
            for segment in folder.glob("*.jsonl"):
                with contextlib.suppress(OSError):
                    if segment.stat().st_mtime < oldest:
                        segment.unlink()
                        count += 1
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()
        return count

    def bytes_used(self, guild_id: GuildId) -> int:
        return sum(segment.stat().st_size for segment in self._segments(guild_id))

    def _of(self, guild_id: GuildId) -> Path:
        return self._folder / guild_id

    def _segments(self, guild_id: GuildId) -> list[Path]:
        """The oldest first."""
        found = [path for path in self._of(guild_id).glob("*.jsonl") if path.stem.isdigit()]
        return sorted(found, key=lambda path: int(path.stem))

    def _guild_folders(self) -> Iterable[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.is_dir()]
        except FileNotFoundError:
            return []


def _append(file: Path, data: bytes) -> None:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            data = b"\n" + data  # a crash left half a line, which no reader takes for one
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def _backwards(file: Path) -> Iterator[StoredLine]:
    """The lines of a segment, the last one first, without reading more of it than is asked for."""
    try:
        opened = file.open("rb")
    except FileNotFoundError:  # its turn to go has just come
        return
    with opened:
        position = opened.seek(0, os.SEEK_END)
        rest = b""
        while position:
            size = min(_CHUNK, position)
            position -= size
            opened.seek(position)
            parts = (opened.read(size) + rest).split(b"\n")
            rest = parts[0]
            yield from _lines(reversed(parts[1:]))
        yield from _lines([rest])


def _lines(parts: Iterable[bytes]) -> Iterator[StoredLine]:
    for part in parts:
        if part:
            try:
                yield _decode(part)
            except msgspec.DecodeError:
                continue  # cut short by a crash
