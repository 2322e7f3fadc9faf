"""A shard: one thread that owns the KV files of its share of the guilds.

The Trio side puts jobs into a queue and never waits for anything but their answers. The thread takes all
that is there, groups it by guild, runs each group as one transaction (`GuildFile.run`) with one fsync, and
hands the answers of several groups back in one call, since each hop between the threads is a fight for the
interpreter lock (decisions.md, "Answers of a shard travel together").

The least recently used files are closed beyond `max_open`. A guild that is *held* has no open file here and
its jobs wait: whoever holds it may replace the file.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

import outcome
import structlog
import trio

from flora.ids import GuildId
from flora.storage.kv.disk import FILE_NAME, Synchronous
from flora.storage.kv.errors import KvBusyError, KvError, KvUnavailableError
from flora.storage.kv.guild_file import GuildFile, GuildFileMissingError
from flora.storage.kv.limits import KvLimits
from flora.storage.kv.operations import (
    WRITES,
    Count,
    Get,
    List,
    Operation,
    Page,
    Result,
)

log = structlog.get_logger("flora.kv")

MAX_BATCH: Final = 256
"""Jobs of one turn, so that a busy guild does not keep the others of its shard waiting for long."""
MAX_PENDING: Final = 1000
"""Operations of one guild that may wait."""

ANSWER_SECS: Final = 0.002
"""Answers wait so long, and one fsync more, for those of the next groups; many short operations fit in."""

Outcome: TypeAlias = "outcome.Value[Any] | outcome.Error"


class Job:
    """One operation on its way. `task` is who waits for it, None when nobody does any more."""

    __slots__ = ("guild_id", "operation", "task", "throttled")

    def __init__(self, guild_id: GuildId, operation: Operation, throttled: bool, task: trio.lowlevel.Task):
        self.guild_id = guild_id
        self.operation = operation
        self.throttled = throttled
        self.task: trio.lowlevel.Task | None = task


@dataclass(frozen=True, slots=True)
class Hold:
    """Close the guild's file and keep its jobs waiting; then call `held` with its last version."""

    guild_id: GuildId
    held: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Release:
    guild_id: GuildId


@dataclass(frozen=True, slots=True)
class Sweep:
    """Remove expired entries of the open files and of `also`, a bounded number at a time."""

    also: tuple[GuildId, ...]


Message: TypeAlias = "Job | Hold | Release | Sweep | None"  # None: end


@dataclass(frozen=True, slots=True)
class ShardOptions:
    folder: Path
    limits: KvLimits
    synchronous: Synchronous
    max_open: int
    clock: Callable[[], float]


@dataclass(slots=True)
class ShardStatistics:
    """`batches` is transactions and read groups, `operations` what was in them."""

    open_files: int = 0
    batches: int = 0
    operations: int = 0
    opened: int = 0
    swept: int = 0


class Shard:
    """Its methods are called on the Trio thread, those with an underscore on its own."""

    def __init__(self, name: str, options: ShardOptions) -> None:
        self._options = options
        self._trio = trio.lowlevel.current_trio_token()
        self._queue: SimpleQueue[Message] = SimpleQueue()
        self._pending: dict[GuildId, int] = {}
        self._closed = False
        self._files: OrderedDict[GuildId, GuildFile] = OrderedDict()
        self._held: dict[GuildId, deque[Job]] = {}
        self._answers: list[tuple[Job, Outcome]] = []
        self._answers_since = 0.0
        self.statistics = ShardStatistics()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()

    async def submit(self, guild_id: GuildId, operation: Operation, *, throttled: bool) -> Any:
        """Queue an operation and wait for its answer. Raises KvError.

        When cancelled before its turn it is not carried out; after that it may have been.
        """
        if self._closed:
            raise KvUnavailableError("the kv store is closed.")
        pending = self._pending.get(guild_id, 0)
        if pending >= MAX_PENDING:
            raise KvBusyError("too many kv operations of this guild are under way; await some of them")
        self._pending[guild_id] = pending + 1
        job = Job(guild_id, operation, throttled, trio.lowlevel.current_task())

        def abort(_: Any) -> trio.lowlevel.Abort:
            job.task = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._queue.put(job)
        return await trio.lowlevel.wait_task_rescheduled(abort)

    async def hold(self, guild_id: GuildId) -> int:
        """Close the guild's file and let its jobs wait until `release`; the last version it gave.

        Only one holder of a guild at a time. Not cancelled half way: it is held when this returns, only then.
        """
        if self._closed:
            raise KvUnavailableError("the kv store is closed.")
        held = trio.Event()
        versions: list[int] = []

        def tell(version: int) -> None:
            versions.append(version)
            held.set()

        with trio.CancelScope(shield=True):
            self._queue.put(Hold(guild_id, lambda version: self._call(lambda: tell(version))))
            await held.wait()
        return versions[0]

    def release(self, guild_id: GuildId) -> None:
        self._queue.put(Release(guild_id))

    def sweep(self, also: Sequence[GuildId] = ()) -> None:
        self._queue.put(Sweep(tuple(also)))

    async def close(self) -> None:
        """Carry out what is queued, close the files, end the thread. Shielded by the caller."""
        self._closed = True
        self._queue.put(None)
        await trio.to_thread.run_sync(self._thread.join)

    def _deliver(self, answers: Sequence[tuple[Job, Outcome]]) -> None:
        for job, answer in answers:
            left = self._pending[job.guild_id] - 1
            if left:
                self._pending[job.guild_id] = left
            else:
                del self._pending[job.guild_id]
            if job.task is not None:
                task, job.task = job.task, None
                trio.lowlevel.reschedule(task, answer)

    # ------------------------------------------------------------------ on the thread

    def _main(self) -> None:
        ended = False
        while not ended:
            turn = [self._queue.get()]
            while len(turn) < MAX_BATCH and not self._queue.empty():
                turn.append(self._queue.get_nowait())
            groups: dict[GuildId, list[Job]] = {}
            for message in turn:
                if isinstance(message, Job):
                    groups.setdefault(message.guild_id, []).append(message)
                    continue
                # What is no job keeps its place among the jobs.
                self._run_groups(groups)
                self._hand_over()
                groups = {}
                if message is None:
                    ended = True
                else:
                    self._control(message)
            self._run_groups(groups)
            self._hand_over()
        for jobs in self._held.values():
            self._answer(
                [(job, outcome.Error(KvUnavailableError("the kv store is closed."))) for job in jobs]
            )
        self._hand_over()
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _run_groups(self, groups: dict[GuildId, list[Job]]) -> None:
        for guild_id, jobs in groups.items():
            if (waiting := self._held.get(guild_id)) is not None:
                waiting.extend(jobs)
            else:
                self._run_group(guild_id, jobs)

    def _run_group(self, guild_id: GuildId, jobs: list[Job]) -> None:
        wanted = [job for job in jobs if job.task is not None]
        results: Sequence[Result | KvError]
        try:
            results = self._carry_out(guild_id, wanted) if wanted else []
        except KvError as error:
            results = [error] * len(wanted)
        except Exception as error:
            # A fault of ours; the thread that all wait for goes on.
            log.error("kv fault", guild=guild_id, exc_info=error)
            self._drop(guild_id)
            results = [KvUnavailableError("the kv store failed; flora's log has the reason.")] * len(wanted)
        self.statistics.batches += 1
        self.statistics.operations += len(wanted)
        answers: list[tuple[Job, Outcome]] = [
            (job, outcome.Error(_own(result)) if isinstance(result, KvError) else outcome.Value(result))
            for job, result in zip(wanted, results, strict=True)
        ]
        if len(wanted) != len(jobs):
            answers += [(job, outcome.Value(None)) for job in jobs if job not in wanted]
        self._answer(answers)

    def _carry_out(self, guild_id: GuildId, jobs: list[Job]) -> Sequence[Result | KvError]:
        writes = any(isinstance(job.operation, WRITES) for job in jobs)
        try:
            file = self._open(guild_id, create=writes)
        except GuildFileMissingError:
            return [_nothing(job.operation) for job in jobs]
        results = file.run([(job.operation, job.throttled) for job in jobs])
        if file.broken:
            self._drop(guild_id)
        return results

    def _control(self, message: Hold | Release | Sweep) -> None:
        match message:
            case Hold(guild_id, held):
                file = self._files.get(guild_id)
                version = file.last_version if file is not None else 0
                self._drop(guild_id)
                self._held[guild_id] = deque()
                held(version)
            case Release(guild_id):
                jobs = list(self._held.pop(guild_id))
                for start in range(0, len(jobs), MAX_BATCH):
                    self._run_group(guild_id, jobs[start : start + MAX_BATCH])
            case Sweep(also):
                for guild_id in (*self._files, *also):
                    self._sweep(guild_id)

    def _sweep(self, guild_id: GuildId) -> None:
        if guild_id in self._held:
            return
        was_open = guild_id in self._files
        try:
            file = self._open(guild_id, create=False)
        except (KvError, GuildFileMissingError) as error:
            log.debug("kv not swept", guild=guild_id, error=str(error))
            return
        if file.has_expired():
            self.statistics.swept += file.sweep()
        if file.broken or not was_open:
            self._drop(guild_id)

    def _open(self, guild_id: GuildId, *, create: bool) -> GuildFile:
        file = self._files.get(guild_id)
        if file is not None:
            self._files.move_to_end(guild_id)
            return file
        options = self._options
        file = GuildFile.open(
            options.folder / guild_id / FILE_NAME,
            options.limits,
            synchronous=options.synchronous,
            clock=options.clock,
            create=create,
        )
        self.statistics.opened += 1
        self._files[guild_id] = file
        while len(self._files) > options.max_open:
            _, oldest = self._files.popitem(last=False)
            oldest.close()
        self.statistics.open_files = len(self._files)
        return file

    def _drop(self, guild_id: GuildId) -> None:
        file = self._files.pop(guild_id, None)
        if file is not None:
            file.close()
        self.statistics.open_files = len(self._files)

    def _answer(self, answers: Sequence[tuple[Job, Outcome]]) -> None:
        """Have them delivered, by the end of the turn at the latest."""
        now = time.monotonic()
        if not self._answers:
            self._answers_since = now
        self._answers += answers
        if now - self._answers_since >= ANSWER_SECS:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._answers:
            answers, self._answers = self._answers, []
            self._call(lambda: self._deliver(answers))

    def _call(self, function: Callable[[], None]) -> None:
        try:
            self._trio.run_sync_soon(function)
        except trio.RunFinishedError:
            log.debug("kv answers for nobody")


def _own(error: KvError) -> KvError:
    """An error of its own for each waiter: a traceback grows on whoever raises it."""
    return type(error)(error.message, hint=error.hint)


def _nothing(operation: Operation) -> Result:
    """What a guild without a file answers to a read."""
    match operation:
        case Get():
            return None
        case List():
            return Page((), None)
        case Count():
            return 0
        case _:
            return ()
