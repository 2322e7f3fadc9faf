"""The event log's file, over the lives of a host."""

from __future__ import annotations

import json
from pathlib import Path

from flora.actors.eventlog import EventLog


async def life(file: Path) -> None:
    log = EventLog(file)
    log.log.opened()
    await log.stopping()


async def test_a_torn_record_stays_a_line_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    await life(file)
    with file.open("ab") as end:
        end.write(b'{"t":"acc')  # a kill -9 in the middle of a write
    await life(file)
    await life(file)
    first, torn, *later = file.read_text().splitlines()
    assert torn == '{"t":"acc'
    assert [json.loads(line) for line in (first, *later)] == [{"t": "opened"}] * 3
