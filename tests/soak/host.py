"""flora for the soak: with short gateway waits, workers that can be made to crash, and its vitals in a file.

    python -m tests.soak.host run

A file `crash` in the data directory holds the number of a worker, which then fails. `vitals.json` there has
the number of Trio's tasks, anew several times a second. Nothing else differs from `flora run`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import trio

from flora.actors.kernel import Context
from flora.actors.worker import Worker
from flora.cli import main
from tests.e2e.impatient import WAITS

DATA: Final = Path(os.environ.get("FLORA_DATA_DIR", "data"))
LOOK_SECS: Final = 0.2


class MeantToFailError(Exception):
    """The soak makes this worker fail."""


def arm() -> None:
    run = Worker.run

    async def watched(self: Worker, ctx: Context[Any]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, self._index)
            await run(self, ctx)
            nursery.cancel_scope.cancel()

    setattr(Worker, "run", watched)  # noqa: B010 - mypy knows it as a method
    for module, waits in WAITS.items():
        for name, seconds in waits.items():
            setattr(module, name, seconds)


async def _watch(index: int) -> None:
    crash = DATA / "crash"
    while True:
        await trio.sleep(LOOK_SECS)
        if crash.exists() and crash.read_text() == str(index):
            crash.unlink()
            raise MeantToFailError(f"worker {index}")
        if index == 0:
            vitals = {"tasks": trio.lowlevel.current_statistics().tasks_living}
            new = DATA / "vitals.new"
            new.write_text(json.dumps(vitals))
            new.replace(DATA / "vitals.json")


if __name__ == "__main__":
    arm()
    main()
