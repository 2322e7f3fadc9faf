"""The build service: uploads become bundles, a few at a time, in a sandbox; some are deployed as well.

A build is a resource: it goes on when its client has gone, and its record says what became of it until it is
swept. What is cancelled, by its guild or by a shutdown, ends with its tools and says so.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, ParamSpec, Protocol, TypeVar

import structlog
import trio

from flora.actors.kernel import Context, Service
from flora.build.archive import check_archive
from flora.build.types import BuildError, Bundle
from flora.build.worker import Worker, Workshop
from flora.config import BuildsConfig
from flora.engine.api import ScriptLoadError
from flora.errors import FloraError
from flora.ids import GuildId
from flora.storage.builds import CANCELLED, INTERRUPTED, BuildFailure, BuildFiles, BuildRecord
from flora.storage.deployments import Actor, NewRevision, Revision, Source

log = structlog.get_logger("flora.builds")

P = ParamSpec("P")
T = TypeVar("T")

SWEEP_SECS: Final = 60.0
MAX_LINES: Final = 2000
CANCEL_SECS: Final = 10.0
"""How long a cancelled build is waited for; unpacking a large project is not broken off."""
DEPLOY_UNSEEN: Final = BuildFailure(
    "BUILD_INTERRUPTED",
    "flora was stopped while this was deployed. GET /deployments/{guild_id}/status tells how that ended.",
)
_NOT_HERE: Final = BuildFailure("BUILD_FAILED", "the build could not be run on this machine.")


class BuildsBusyError(FloraError):
    code = "BUILDS_BUSY"


class TooManyBuildsError(FloraError):
    """One guild has enough builds under way."""

    code = "BUILD_LIMIT"


class BuildEndedError(FloraError):
    """It is too late to cancel: the build has ended, or is being deployed."""

    code = "BUILD_ENDED"


class BuildTimeoutError(FloraError):
    code = "BUILD_TIMEOUT"


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """`guild_id` None: for nobody, by the operator. `deploy` needs a guild."""

    archive: bytes
    entry: str | None
    guild_id: GuildId | None
    check: bool
    deploy: bool
    source: Source
    actor: Actor


class Deploys(Protocol):
    async def deploy(self, new: NewRevision) -> Revision:
        """Returns or fails when the deploy has ended, however long that takes: its outcome is the build's."""


class _Under:
    """A build that is under way; `changed` is set and made anew whenever its record changes.

    It can be `cancelled` until it is `made`: what is left then is to deploy it, or to keep its record.
    """

    def __init__(self, record: BuildRecord, request: BuildRequest) -> None:
        self.record = record
        self.source, self.actor = request.source, request.actor
        self.changed = trio.Event()
        self.cancelled = False
        self.made = False
        self._scope = trio.CancelScope()

    @property
    def deploys(self) -> bool:
        return self.record.deploy and self.record.guild_id is not None

    def cancel(self) -> None:
        self.cancelled = True
        self._scope.cancel()

    def cancellable(self) -> trio.CancelScope:
        """Around each step of it that `cancel` breaks off."""
        self._scope = trio.CancelScope()
        if self.cancelled:
            self._scope.cancel()
        return self._scope

    def say(self, line: str) -> None:
        if len(self.record.lines) < MAX_LINES:
            self.record.lines.append(line)
        self.announce()

    def announce(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


class BuildDesk(Service[None]):
    """Its methods may be called from any task while it runs."""

    def __init__(
        self,
        files: BuildFiles,
        config: BuildsConfig,
        deployer: Deploys,
        *,
        max_script_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files = files
        self._config = config
        self._deployer = deployer
        self._max_script_bytes = max_script_bytes
        self._clock = clock
        self._opened = False
        self._under: dict[str, _Under] = {}
        self._disk = trio.CapacityLimiter(2)
        self._waiting: deque[_Under] = deque()
        self._arrived = trio.lowlevel.ParkingLot()

    @property
    def under_way(self) -> int:
        """Builds that wait or run."""
        return len(self._under)

    async def submit(self, request: BuildRequest) -> BuildRecord:
        """Take a build. Cancelling before it returns gives the build up.

        Raises ArchiveError, BuildsBusyError, TooManyBuildsError, OSError.
        """
        if len(self._under) >= self._config.queue:
            raise BuildsBusyError("too many builds wait.", hint="Try again in a minute.")
        mine = sum(under.record.guild_id == request.guild_id for under in self._under.values())
        if mine >= self._config.per_guild:
            raise TooManyBuildsError(
                f"{mine} builds of this guild are under way.", hint="Wait for one of them."
            )
        record = BuildRecord(
            uuid.uuid4().hex, request.guild_id, request.entry, request.check, request.deploy, self._clock()
        )
        under = self._under[record.id] = _Under(record, request)
        try:
            await self._on_disk(check_archive, request.archive)
            await self._on_disk(self._files.keep_upload, record.id, request.archive)
            await self._on_disk(self._files.save, record)
        except BaseException:
            del self._under[record.id]
            with trio.CancelScope(shield=True):
                await self._on_disk(self._files.drop_upload, record.id)
            raise
        self._waiting.append(under)
        self._arrived.unpark()
        log.info("build queued", build=record.id, guild=request.guild_id, bytes=len(request.archive))
        return record

    async def get(self, build_id: str) -> BuildRecord:
        """How a build stands. Raises BuildNotFoundError."""
        if (under := self._under.get(build_id)) is not None:
            return under.record
        return await self._on_disk(self._files.load, build_id)

    async def list(self, guild_id: GuildId | None = None) -> Sequence[BuildRecord]:
        """The builds that are known, newest first; with `guild_id` those of this guild."""
        kept = await self._on_disk(self._files.records)
        found = {record.id: record for record in kept}
        found |= {build_id: under.record for build_id, under in self._under.items()}
        mine = (record for record in found.values() if guild_id in (None, record.guild_id))
        return sorted(mine, key=lambda record: record.created_at, reverse=True)

    async def cancel(self, build_id: str) -> BuildRecord:
        """End a build that waits or runs, with its tools; comes back when it has ended, or after CANCEL_SECS.

        Cancelling this call does not take it back. Raises BuildNotFoundError, BuildEndedError.
        """
        under = self._under.get(build_id)
        if under is None:
            ended = await self._on_disk(self._files.load, build_id)
            raise _too_late(ended)
        if under.made:
            raise BuildEndedError("this build is made already.")
        under.cancel()
        if under in self._waiting:
            self._waiting.remove(under)
            await self._finish(under)
        with trio.move_on_after(CANCEL_SECS):
            while build_id in self._under:
                await under.changed.wait()
        if under.record.finished and under.record.status != "cancelled":
            raise _too_late(under.record)
        return under.record

    async def bundle(self, build_id: str) -> Bundle:
        """What a build has made. Raises BuildNotFoundError when it has made nothing, or it is swept."""
        return await self._on_disk(self._files.load_bundle, build_id)

    async def changed(self, build_id: str) -> None:
        """Until there is something new about a build that is under way; at once for any other."""
        if (under := self._under.get(build_id)) is not None:
            await under.changed.wait()

    async def started(self, ctx: Context[None]) -> None:
        if not self._opened:  # a restart of this actor keeps what waits
            await self._on_disk(self._files.open, self._clock())
            self._opened = True

    async def run(self, ctx: Context[None]) -> None:
        ctx.nursery.start_soon(self._sweep)
        async with AsyncExitStack() as stack:
            workshop = await self._open(stack)
            if not workshop.report.complete:
                log.warning("builds run with less protection", missing=dict(workshop.report.missing))
            async with trio.open_nursery() as nursery:
                for number in range(self._config.concurrency):
                    nursery.start_soon(self._work, workshop.worker(number), nursery)

    async def _open(self, stack: AsyncExitStack) -> Workshop:
        """Toolchain and sandbox are looked at when the first build needs them; it fails when they fail."""
        while True:
            under = await self._next()
            try:
                with under.cancellable():
                    workshop = await stack.enter_async_context(Workshop.open(under.say))
                    self._waiting.appendleft(under)
                    return workshop
            except FloraError as error:
                under.record.failure, under.record.status = _failure(error), "failed"
            except OSError as error:
                log.error("builds are not possible", error=str(error))
                under.record.failure, under.record.status = _NOT_HERE, "failed"
            except trio.Cancelled:
                await self._finish(under)
                raise
            await self._finish(under)

    async def _work(self, worker: Worker, nursery: trio.Nursery) -> None:
        """A deploy waits for its turn in its guild, not in the way of other guilds' builds."""
        while True:
            under = await self._next()
            under.record.status, under.record.started_at = "running", self._clock()
            under.announce()
            bundle: Bundle | None = None
            try:
                bundle = await self._build(worker, under)
            finally:
                if bundle is None:
                    await self._finish(under)
            if bundle is not None:
                nursery.start_soon(self._deploy, under, bundle)

    async def _build(self, worker: Worker, under: _Under) -> Bundle | None:
        """Returns what is to be deployed; None: nothing, this was all."""
        record = under.record
        with _telling(under):
            bundle: Bundle | None = None
            with under.cancellable():
                bundle = await self._make(worker, under)
            if bundle is None or under.cancelled:
                under.say("cancelled")
                return None
            under.made = True
            record.entry_point, record.warnings = bundle.entry_point, bundle.warnings
            record.bundle_bytes, record.file_count = len(bundle.code.encode()), len(bundle.files)
            if under.deploys:
                return bundle
            record.status = "succeeded"
        return None

    async def _deploy(self, under: _Under, bundle: Bundle) -> None:
        record, guild_id = under.record, under.record.guild_id
        assert guild_id is not None
        try:
            with _telling(under):
                under.say(f"deploying to guild {guild_id}")
                new = NewRevision(guild_id, bundle, under.source, under.actor, build_id=record.id)
                record.revision_id = str((await self._deployer.deploy(new)).id)
                under.say(f"deployed as revision {record.revision_id}")
                record.status = "succeeded"
        finally:
            await self._finish(under)

    async def _make(self, worker: Worker, under: _Under) -> Bundle:
        record = under.record
        with trio.move_on_after(self._config.deadline_secs):
            bundle = await worker.build(
                self._files.upload(record.id),
                record.entry,
                check=record.check,
                max_script_bytes=self._max_script_bytes,
                progress=under.say,
            )
            await self._on_disk(self._files.save_bundle, record.id, bundle)
            return bundle
        raise BuildTimeoutError(
            f"the build took longer than {self._config.deadline_secs:g} s and was stopped."
        )

    async def _finish(self, under: _Under) -> None:
        """Also of one that was cancelled, by the end of flora or by somebody."""
        record = under.record
        if not record.finished:
            record.status = "cancelled"
            record.failure = _ended_early(under)
        record.finished_at = self._clock()
        with trio.CancelScope(shield=True):
            try:
                await self._on_disk(self._files.drop_upload, record.id)
                await self._on_disk(self._files.save, record)
            except OSError as error:
                log.error("the record of a build is lost", build=record.id, error=str(error))
        del self._under[record.id]
        under.announce()
        seconds = round(record.finished_at - (record.started_at or record.created_at), 2)
        log.info("build ended", build=record.id, status=record.status, seconds=seconds)

    async def stopping(self) -> None:
        """What waits is not begun any more."""
        while self._waiting:
            await self._finish(self._waiting.popleft())

    async def _next(self) -> _Under:
        while not self._waiting:
            await self._arrived.park()
        return self._waiting.popleft()

    async def _sweep(self) -> None:
        while True:
            await self._on_disk(
                self._files.sweep, self._clock() - self._config.retention_secs, self._config.max_retained
            )
            await trio.sleep(SWEEP_SECS)

    async def _on_disk(self, do: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await trio.to_thread.run_sync(lambda: do(*arguments, **named), limiter=self._disk)


@contextmanager
def _telling(under: _Under) -> Iterator[None]:
    """What goes wrong inside is what the build has failed with."""
    record = under.record
    try:
        yield
    except FloraError as error:
        record.failure = _failure(error)
        under.say(f"failed: {error}")
        record.status = "failed"
    except OSError as error:
        log.error("build failed", build=record.id, error=str(error))
        record.failure = _NOT_HERE
        record.status = "failed"


def _ended_early(under: _Under) -> BuildFailure:
    if under.cancelled:
        return CANCELLED
    return DEPLOY_UNSEEN if under.made and under.deploys else INTERRUPTED


def _failure(error: FloraError) -> BuildFailure:
    diagnostics = error.diagnostics if isinstance(error, BuildError) else ()
    stack = error.fault.stack if isinstance(error, ScriptLoadError) else None
    return BuildFailure(error.code, str(error), diagnostics, stack)


def _too_late(record: BuildRecord) -> BuildEndedError:
    was = "was cancelled" if record.status == "cancelled" else f"has {record.status}"
    return BuildEndedError(f"build {record.id} {was} already.")
