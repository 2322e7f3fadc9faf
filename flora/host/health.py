"""Whether flora works, by looking at each part now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio

from flora.actors.runtime import GuildRuntime
from flora.api.services import Check
from flora.engine.host import Engine
from flora.errors import FloraError
from flora.storage.cache import Cache
from flora.storage.postgres import Database

CHECK_SECS = 3.0

Probe = Callable[[], Awaitable[str]]
"""Looks at one part; returns a detail worth showing, raises FloraError when it does not work."""


class Health:
    """`waiting_for` names what is not up yet; it is set to None when flora takes events and requests."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self.waiting_for: str | None = "start"

    def ready(self) -> str | None:
        return self.waiting_for

    async def check(self) -> Sequence[Check]:
        """Look at every part, side by side, for at most CHECK_SECS."""
        checks: dict[str, Check] = {}

        async def look(name: str, probe: Probe) -> None:
            began = trio.current_time()
            ok, detail = False, f"no answer in {CHECK_SECS:g} s"
            with trio.move_on_after(CHECK_SECS):
                try:
                    ok, detail = True, await probe()
                except FloraError as error:
                    ok, detail = False, error.message
            checks[name] = Check(name, ok, detail, round((trio.current_time() - began) * 1000, 2))

        async with trio.open_nursery() as nursery:
            for name, probe in self._probes.items():
                nursery.start_soon(look, name, probe)
        return [checks[name] for name in self._probes]


def database_probe(db: Database) -> Probe:
    async def probe() -> str:
        await db.run(lambda con: con.fetchval("select 1"))
        return f"{db.statistics().connections} connections"

    return probe


def cache_probe(cache: Cache) -> Probe:
    async def probe() -> str:
        status = cache.status()
        if status.degraded:
            raise FloraError(f"degraded: {status.reason}")
        return status.kind

    return probe


def workers_probe(runtime: GuildRuntime) -> Probe:
    async def probe() -> str:
        workers = runtime.workers()
        if lost := [str(worker.index) for worker in workers if not worker.alive]:
            raise FloraError(f"workers that are not there: {', '.join(lost)}")
        return f"{len(workers)} workers"

    return probe


def zygote_probe(engine: Engine) -> Probe:
    async def probe() -> str:
        report = engine.report()
        if report.fork_server_pid is None:
            raise FloraError("the fork server is not there; it is started again")
        return f"{report.processes} guild processes, seal {report.seal}"

    return probe
