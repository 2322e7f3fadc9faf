"""Builds of the build service on disk: a record of each, its upload while it waits, its result afterwards.

One file each, replaced as a whole: `<id>.json`, `<id>.zip`, `<id>.bundle`. All of it blocks on the file
system; nothing here is worth a database, and a build that is lost can be made again.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final, Literal

import msgspec

from flora.build.types import Bundle, Diagnostic
from flora.errors import FloraError
from flora.ids import GuildId

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
UNFINISHED: Final = ("queued", "running")

_ID: Final = re.compile(r"[0-9a-f]{32}")
_SUFFIXES: Final = (".zip", ".bundle", ".json")


class BuildNotFoundError(FloraError):
    code = "BUILD_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__(
            "there is no such build.", hint="Results of builds are not kept for long; build again."
        )


class BuildFailure(msgspec.Struct, frozen=True):
    """Why a build, or the deployment of its result, failed."""

    code: str
    message: str
    diagnostics: tuple[Diagnostic, ...] = ()
    stack: str | None = None


INTERRUPTED: Final = BuildFailure("BUILD_INTERRUPTED", "flora was stopped. Build again.")
CANCELLED: Final = BuildFailure("BUILD_CANCELLED", "it was cancelled.")


class BuildRecord(msgspec.Struct):
    """A build as it stands. Times in seconds since 1970."""

    id: str
    guild_id: GuildId | None
    entry: str | None
    check: bool
    deploy: bool
    created_at: float
    status: Status = "queued"
    started_at: float | None = None
    finished_at: float | None = None
    lines: list[str] = msgspec.field(default_factory=list)
    failure: BuildFailure | None = None
    entry_point: str | None = None
    bundle_bytes: int | None = None
    file_count: int | None = None
    warnings: tuple[str, ...] = ()
    revision_id: str | None = None

    @property
    def finished(self) -> bool:
        return self.status not in UNFINISHED


class BuildFiles:
    """Raises OSError throughout."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, now: float) -> None:
        """Make the folder; what was under way when flora ended last has failed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for record in self.records():
            if not record.finished:
                record.status = "cancelled"
                record.finished_at = now
                record.failure = INTERRUPTED
                self.save(record)
            with contextlib.suppress(FileNotFoundError):
                self.upload(record.id).unlink()

    def upload(self, build_id: str) -> Path:
        return self._file(build_id, ".zip")

    def keep_upload(self, build_id: str, data: bytes) -> None:
        self._write(self.upload(build_id), data)

    def drop_upload(self, build_id: str) -> None:
        self.upload(build_id).unlink(missing_ok=True)

    def save(self, record: BuildRecord) -> None:
        self._write(self._file(record.id, ".json"), msgspec.json.encode(record))

    def load(self, build_id: str) -> BuildRecord:
        """Raises BuildNotFoundError."""
        return msgspec.json.decode(self._read(build_id, ".json"), type=BuildRecord)

    def save_bundle(self, build_id: str, bundle: Bundle) -> None:
        self._write(self._file(build_id, ".bundle"), msgspec.msgpack.encode(bundle))

    def load_bundle(self, build_id: str) -> Bundle:
        """Raises BuildNotFoundError."""
        return msgspec.msgpack.decode(self._read(build_id, ".bundle"), type=Bundle)

    def sweep(self, before: float, at_most: int) -> int:
        """Remove what has finished before this time, and the oldest beyond so many; how many."""
        finished = sorted(
            (record for record in self.records() if record.finished),
            key=lambda record: -(record.finished_at or 0.0),
        )
        gone = [
            record
            for place, record in enumerate(finished)
            if place >= at_most or (record.finished_at or 0.0) < before
        ]
        for record in gone:
            for suffix in _SUFFIXES:
                self._file(record.id, suffix).unlink(missing_ok=True)
        return len(gone)

    def records(self) -> list[BuildRecord]:
        """All that are kept, in no order."""
        found = []
        for file in self._folder.glob("*.json"):
            with contextlib.suppress(msgspec.DecodeError, FileNotFoundError):
                found.append(msgspec.json.decode(file.read_bytes(), type=BuildRecord))
        return found

    def _file(self, build_id: str, suffix: str) -> Path:
        if not _ID.fullmatch(build_id):
            raise BuildNotFoundError
        return self._folder / f"{build_id}{suffix}"

    def _read(self, build_id: str, suffix: str) -> bytes:
        try:
            return self._file(build_id, suffix).read_bytes()
        except FileNotFoundError:
            raise BuildNotFoundError from None

    def _write(self, file: Path, data: bytes) -> None:
        unfinished = file.with_suffix(f"{file.suffix}.part")
        with unfinished.open("wb") as output:
            os.fchmod(output.fileno(), 0o600)
            output.write(data)
        unfinished.replace(file)
