"""What guilds ran before is run again when flora starts; what does not fit into memory sleeps.

A guild can start asleep when it is known what its script listens to and declares, and that its top level
leaves no timer pending. That is learned whenever a script is deployed or started here (`Manifests`), and
counts for that revision and that SDK. Everything else is started once, learned, and put to sleep then if it
does not fit.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
import trio

from flora.actors.deployer import script_of
from flora.actors.hibernation import LOW
from flora.actors.kernel import Backoff
from flora.actors.runtime import GuildRuntime
from flora.engine.api import Manifest, ScriptLoadError
from flora.errors import FloraError
from flora.ids import GuildId
from flora.storage.deployments import Deployment
from flora.storage.manifests import ManifestStore, StoredManifest
from flora.storage.postgres import DatabaseError

log = structlog.get_logger("flora.deployments")

GUILD_BYTES: Final = 3 * 2**20
"""What a guild that has just started is expected to take: 2.4 MiB were measured for an idle one."""

START_AT_ONCE: Final = 16
"""Scripts that start side by side: enough for both the fork server and the database."""

START_ATTEMPTS: Final = 4
RETRY: Final = Backoff(initial=0.5, factor=2.0, maximum=15.0)

BREATH: Final = 16
"""Guilds that are put down asleep in a row, before other tasks have their turn: who registers their commands
takes twice as many of its messages in one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`learn` do not fit either, but it is not known what they listen to; `asleep` are not started."""

    start: Sequence[Deployment]
    learn: Sequence[Deployment]
    asleep: Sequence[Deployment]


def plan(deployments: Sequence[Deployment], manifests: Mapping[GuildId, StoredManifest], room: int) -> Plan:
    """`room` is how many guild processes there is memory for.

    Those with timers at their top level come first, since nobody else would wake them; then what was deployed
    last.
    """

    def starts_itself(deployment: Deployment) -> bool:
        known = manifests.get(deployment.guild_id)
        return known is not None and known.timers

    ordered = sorted(deployments, key=lambda each: (not starts_itself(each), -each.updated_at.timestamp()))
    restless = sum(map(starts_itself, ordered))
    room = max(room, restless)
    start, rest = ordered[:room], ordered[room:]
    return Plan(
        start=start,
        learn=[each for each in rest if each.guild_id not in manifests],
        asleep=[each for each in rest if each.guild_id in manifests],
    )


class Manifests:
    """Learns what scripts declare. What it cannot store is learned again at the next start."""

    def __init__(self, store: ManifestStore, runtime: GuildRuntime) -> None:
        self._store = store
        self._runtime = runtime

    async def learn(self, guild_id: GuildId, revision_id: UUID, manifest: Manifest) -> None:
        """The guild's script of this revision has just loaded and declared this."""
        idleness = await self._runtime.idleness(guild_id)
        if idleness is None:
            return
        found = StoredManifest(manifest.listens, manifest.commands, idleness.timers > 0, manifest.prefix)
        try:
            await self._store.record(guild_id, revision_id, found)
        except DatabaseError as error:
            log.warning("manifest not stored", guild=guild_id, error=str(error))

    async def known(self) -> Mapping[GuildId, StoredManifest]:
        """Of what the guilds run now. Raises DatabaseError."""
        return await self._store.current()


async def restore(deployments: Sequence[Deployment], runtime: GuildRuntime, manifests: Manifests) -> int:
    """Start what every guild ran before, several side by side, as far as it fits; the others sleep.

    Returns how many run or sleep. A script that does not start is logged and left alone until its next
    deploy. Raises DatabaseError.
    """
    known = await manifests.known()
    todo = plan(deployments, known, int(runtime.memory_budget * LOW) // GUILD_BYTES)
    there = 0
    for number, deployment in enumerate(todo.asleep):
        found = known[deployment.guild_id]
        there += runtime.restore(
            script_of(deployment), Manifest(found.listens, found.commands, prefix=found.prefix)
        )
        if number % BREATH == 0:
            await trio.lowlevel.checkpoint()
    if todo.asleep:
        log.info("deployments hibernate", count=there)
    limiter = trio.CapacityLimiter(START_AT_ONCE)

    async def start(deployment: Deployment, and_sleep: bool) -> None:
        nonlocal there
        async with limiter:
            manifest = await _start(deployment, runtime)
            if manifest is None:
                return
            there += 1
            if deployment.guild_id not in known:
                await manifests.learn(deployment.guild_id, deployment.revision_id, manifest)
            if and_sleep:
                await runtime.put_to_sleep(deployment.guild_id)

    async with trio.open_nursery() as nursery:
        for deployment in todo.start:
            nursery.start_soon(start, deployment, False)
        for deployment in todo.learn:
            nursery.start_soon(start, deployment, True)
    return there


def settle_garbage() -> None:
    """What there is when flora has started lives for as long as it does: the garbage collector need not visit
    it ever again. With ten thousand guilds each of its full passes would hold up every event for 50 ms.
    """
    gc.collect()
    gc.freeze()


async def _start(deployment: Deployment, runtime: GuildRuntime) -> Manifest | None:
    for attempt in range(1, START_ATTEMPTS + 1):
        try:
            return await runtime.deploy(script_of(deployment))
        except ScriptLoadError as error:
            log.error("deployment does not start", guild=deployment.guild_id, error=error.message)
            return None
        except FloraError as error:
            log.warning(
                "deployment not started", guild=deployment.guild_id, attempt=attempt, error=str(error)
            )
            await trio.sleep(RETRY.initial * attempt)
    return None
