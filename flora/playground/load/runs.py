"""The runs of the load generator, one at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import trio

from flora.playground.errors import PlaygroundRefusedError
from flora.playground.load.run import Run

KEPT: Final = 100  # results of runs that are over


@dataclass(slots=True)
class Runs:
    """All runs; `serve` is the task in which they run."""

    runs: dict[str, Run] = field(default_factory=dict)
    _next: int = 1
    _wanted: trio.Event = field(default_factory=trio.Event)
    _waiting: Run | None = None

    async def serve(self) -> None:
        """Runs one after the other what `start` brings, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            if (run := self._waiting) is not None:
                try:
                    await run()
                finally:
                    self._waiting = None

    def start(self, run: Run) -> str:
        """Raises PlaygroundRefusedError while another one runs."""
        self.check_free()
        run_id = str(self._next)
        self._next += 1
        self.runs[run_id] = self._waiting = run
        while len(self.runs) > KEPT:
            del self.runs[next(iter(self.runs))]
        self._wanted.set()
        return run_id

    def check_free(self) -> None:
        if self._waiting is not None:
            raise PlaygroundRefusedError("A load is running. Stop it or wait for its end.")
