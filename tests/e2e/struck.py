"""flora that something strikes at one step of a deploy.

    python -m tests.e2e.struck run

The strike is armed by a file `strike` in the data directory, `STEP VICTIM`; it strikes once. Steps, in order:
`accepted` (nothing has been done), `activated` (the new script runs), `recording` (all is written, nothing is
committed), `recorded` (nobody has been told yet). Victims: `host`, `postgres` and `guild`, its process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from flora.actors.runtime import GuildRuntime
from flora.actors.script import DeployedScript
from flora.cli import main
from flora.engine.api import Manifest
from flora.storage.deployments import DeploymentStore, NewRevision, Revision
from flora.storage.postgres import Connection, Database

STEPS = ("accepted", "activated", "recording", "recorded")
DATA = Path(os.environ.get("FLORA_DATA_DIR", "data"))
recording: ContextVar[bool] = ContextVar("recording", default=False)
runtimes: list[GuildRuntime] = []


def reached(step: str, guild_id: Any) -> None:
    armed = DATA / "strike"
    if not armed.exists() or armed.read_text().split()[0] != step:
        return
    victim = armed.read_text().split()[1]
    armed.unlink()
    if victim == "host":
        pid: int | None = os.getpid()
    elif victim == "postgres":
        pid = int((DATA / "postgres" / "postmaster.pid").read_text().split()[0])
    else:
        status = runtimes[-1].guild(guild_id)
        pid = None if status is None else status.pid
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def arm() -> None:
    deploy, record, transact = GuildRuntime.deploy, DeploymentStore.record_success, Database.transact

    async def struck_deploy(self: GuildRuntime, script: DeployedScript) -> Manifest:
        runtimes.append(self)
        reached("accepted", script.guild_id)
        manifest = await deploy(self, script)
        reached("activated", script.guild_id)
        return manifest

    async def struck_record(self: DeploymentStore, new: NewRevision) -> Revision:
        token = recording.set(True)
        try:
            revision = await record(self, new)
        finally:
            recording.reset(token)
        reached("recorded", new.guild_id)
        return revision

    async def struck_transact(
        self: Database, unit: Callable[[Connection], Awaitable[Any]], **options: Any
    ) -> Any:
        async def inside(con: Connection) -> Any:
            result = await unit(con)
            if isinstance(result, Revision):
                reached("recording", result.guild_id)
            return result

        return await transact(self, inside if recording.get() else unit, **options)

    for owner, name, function in (
        (GuildRuntime, "deploy", struck_deploy),
        (DeploymentStore, "record_success", struck_record),
        (Database, "transact", struck_transact),
    ):
        setattr(owner, name, function)


if __name__ == "__main__":
    arm()
    main()
