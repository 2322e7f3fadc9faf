"""A client of somebody else's in a process of its own; what it saw comes back as JSON lines."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

DEADLINE = 40.0  # for each step; importing such a library alone takes seconds on a busy machine


class Foreign:
    """The process with the client in it."""

    def __init__(self, lines: trio.MemoryReceiveChannel[dict[str, Any]]) -> None:
        self._lines = lines

    async def saw(self, event: str) -> dict[str, Any]:
        """The next line of this kind."""
        with trio.fail_after(DEADLINE):
            while True:
                line = await self._lines.receive()
                if line["event"] == event:
                    return line

    async def saw_each(self, *events: str) -> dict[str, dict[str, Any]]:
        """The next line of each of these kinds, in any order: what is replayed comes before RESUMED."""
        found: dict[str, dict[str, Any]] = {}
        with trio.fail_after(DEADLINE):
            while len(found) < len(events):
                line = await self._lines.receive()
                if line["event"] in events:
                    assert line["event"] not in found, line
                    found[line["event"]] = line
        return found


@asynccontextmanager
async def foreign(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> AsyncIterator[Foreign]:
    """Runs for the length of the block."""
    send, receive = trio.open_memory_channel[dict[str, Any]](1000)
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, cwd=cwd, env=env)

        async def read() -> None:
            assert process.stdout is not None
            buffer = b""
            async for chunk in process.stdout:
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    await send.send(json.loads(line))

        nursery.start_soon(read)
        try:
            yield Foreign(receive)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            nursery.cancel_scope.cancel()
