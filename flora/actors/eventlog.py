"""The event log of a running flora: what became of every event, for the offline checker.

Off unless `runtime.event_log` is set. Records are kept in memory and written twice a second, outside the Trio
thread; at an orderly stop the rest is written. Read it with

    python -m flora.actors.core.history data/events.jsonl --complete
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import structlog
import trio

from flora.actors.core import Log
from flora.actors.kernel import Context, Service

log = structlog.get_logger("flora.runtime")

FLUSH_SECS: Final = 0.5
MAX_RECORDS: Final = 1_000_000
"""Half a second of more than that is a disk that does not write: the log ends rather than the memory."""


class EventLog(Service[None]):
    """`log` is for the router's core; it takes records from the start on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: list[dict[str, Any]] = []
        self._given_up = False
        self._fresh = True
        self.log = Log(self._take)

    async def started(self, ctx: Context[None]) -> None:
        self.log.opened()

    async def run(self, ctx: Context[None]) -> None:
        while True:
            await trio.sleep(FLUSH_SECS)
            await self._flush()

    async def stopping(self) -> None:
        await self._flush()

    def _take(self, record: dict[str, Any]) -> None:
        if not self._given_up:
            self._records.append(record)
            if len(self._records) > MAX_RECORDS:
                self._give_up(f"{MAX_RECORDS} records wait")

    async def _flush(self) -> None:
        records, self._records = self._records, []
        if not records:
            return
        try:
            await trio.to_thread.run_sync(self._write, records)
        except OSError as error:
            self._give_up(str(error))

    def _write(self, records: list[dict[str, Any]]) -> None:
        file: IO[bytes]
        with self._path.open("ab") as file:
            if self._fresh and file.tell() and not _ends_a_line(self._path):
                file.write(b"\n")
            self._fresh = False
            file.write(b"".join(msgspec.json.encode(record) + b"\n" for record in records))

    def _give_up(self, reason: str) -> None:
        self._given_up = True
        self._records = []
        log.error("event log ended", file=str(self._path), reason=reason)


def _ends_a_line(path: Path) -> bool:
    """False when a kill -9 has torn the last record of an earlier run."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
