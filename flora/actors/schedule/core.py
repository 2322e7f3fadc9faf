"""The scheduler's machine: which cron jobs and tasks are due, and what becomes of their runs. Sans I/O.

    declare(jobs), restore(job), add_task(alarm)      what there is
    due(now) -> runs, claimed()                       what is to be given to the guilds now
    ended(run, ...) | refused(run)                    what became of it
    take() -> Records                                 what is to be written

Times are seconds since the epoch, by the wall clock that the caller reads.

A job's `mark` is how far it has come: every occurrence up to it has ended or does not count. It is what
outlives the host; what lies between it and now was missed, and `catch_up` says what becomes of that.

Rules
-----
* An occurrence that is late by more than LATE_SECS, or that another one has overtaken, was missed. It makes
  no difference whether flora was down, the guild had no script, the clock jumped or the host was busy.
* While a guild has no script, it is parked: nothing of it runs. What it missed meanwhile is looked at when it
  has one again; with `catch_up` "none" it is dropped, be it late or not.
* A clock that is set back makes no second copy: nothing is due before the mark. Set back by more than
  CLOCK_WAS_WRONG, the mark was wrong, and the job begins anew.
* A job whose times are changed begins anew. One that is declared again within PUT_BACK_SECS, because a deploy
  was put back, goes on as if nothing had been.
* A task is given to its guild until it has been done, and given up after `retry.attempts` failures, or when
  its guild process has died of it.
"""

from __future__ import annotations

import enum
import heapq
import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from flora.actors.schedule.jobs import CronJob
from flora.ids import GuildId
from flora.storage.schedules import CatchUp, NewRun, RunKind, RunOutcome, Trigger
from flora.storage.tasks import TaskEnd

LATE_SECS: Final = 60.0
"""A host that is busy, or sleeps for a moment, is late; after a minute an occurrence is missed."""
CLOCK_WAS_WRONG: Final = 86_400.0
PUT_BACK_SECS: Final = 120.0
MAX_CAUGHT_UP: Final = 100
"""Occurrences of one job that are made up for, the newest; a job of every second misses 86,400 in a day."""
MAX_AT_ONCE: Final = 8
"""Runs of one job that have not ended: more are a job that takes longer than its interval."""
MAX_TASKS_AT_ONCE: Final = 32
"""Tasks of one guild that have not ended; a thousand that are due at once must not fill its mailbox."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a task is tried, and the pauses (seconds) between the attempts."""

    attempts: int = 5
    first: float = 10.0
    factor: float = 3.0
    longest: float = 3600.0

    def pause(self, failures: int) -> float:
        return float(min(self.first * self.factor ** (failures - 1), self.longest))


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One run, from when it is given to its guild until it has ended. Compared by identity."""

    guild_id: GuildId
    kind: RunKind
    name: str
    event_id: str
    trigger: Trigger
    attempt: int
    scheduled_at: float
    started_at: float
    task_id: UUID | None = None


class Refusal(enum.Enum):
    """Why a job cannot be run by hand."""

    UNKNOWN = "unknown"
    RUNNING = "running"


@dataclass(slots=True)
class Records:
    """What has happened and is not written yet."""

    declared: dict[GuildId, tuple[tuple[CronJob, float], ...]] = field(default_factory=dict)
    marks: dict[tuple[GuildId, str], float] = field(default_factory=dict)
    tasks: list[TaskEnd] = field(default_factory=list)
    runs: list[NewRun] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.declared or self.marks or self.tasks or self.runs)


@dataclass(slots=True, eq=False)
class _Job:
    guild_id: GuildId
    spec: CronJob
    base: float  # where it began
    considered: float  # occurrences up to then have become runs, wait in `backlog`, or do not count
    next: float | None = None  # the next occurrence
    backlog: deque[float] = field(default_factory=deque)  # missed ones, run one after another
    running: set[Run] = field(default_factory=set)
    token: int = 0  # of the entry in the heap that counts

    @property
    def mark(self) -> float:
        open_ = [run.scheduled_at for run in self.running if run.trigger is not Trigger.MANUAL]
        open_ += list(self.backlog)[:1]
        return max(self.base, min(open_) - 1.0) if open_ else self.considered

    def begin(self, mark: float) -> None:
        """From `mark` on, as if there had been nothing before."""
        self.base = self.considered = mark
        self.backlog.clear()


@dataclass(slots=True, eq=False)
class _Task:
    id: UUID
    guild_id: GuildId
    at: float
    failures: int = 0  # the database may not know of the last ones yet
    token: int = 0
    busy: bool = False  # it waits for its turn, or is being looked up, or runs


class Schedule:
    """The jobs and tasks of all guilds. Every method is one synchronous step."""

    def __init__(self, retry: Retry | None = None) -> None:
        self._retry = retry or Retry()
        self.endings: Counter[tuple[RunKind, RunOutcome]] = Counter()
        """How many runs have ended how."""
        self._jobs: dict[GuildId, dict[str, _Job]] = {}
        self._removed: dict[tuple[GuildId, str], tuple[CronJob, float, float]] = {}  # spec, mark, when
        self._tasks: dict[UUID, _Task] = {}
        self._tasks_of: dict[GuildId, set[UUID]] = {}
        self._claimed: deque[UUID] = deque()
        self._waiting: dict[GuildId, deque[UUID]] = {}  # tasks whose guild has enough of them
        self._at_once: dict[GuildId, int] = {}  # tasks of a guild that are claimed or run
        self._parked: set[GuildId] = set()
        self._heap: list[tuple[float, int, _Job | _Task]] = []
        self._tokens = itertools.count(1)
        self._records = Records()
        self._settled: set[UUID] = set()  # tasks that have ended, while the database does not know it
        self._now = 0.0

    # ------------------------------------------------------------------ what there is

    def restore(self, guild_id: GuildId, spec: CronJob, mark: float, now: float) -> None:
        """A job as it was stored. Its guild is parked until its script runs."""
        self._jobs.setdefault(guild_id, {})[spec.name] = _job(guild_id, spec, _plausible(mark, now))
        self._parked.add(guild_id)

    def restore_removed(self, guild_id: GuildId, spec: CronJob, mark: float, removed_at: float) -> None:
        self._removed[guild_id, spec.name] = (spec, mark, removed_at)

    def declare(self, guild_id: GuildId, specs: Iterable[CronJob], now: float) -> None:
        """The whole of the guild's jobs, as its running script has them."""
        old = self._jobs.get(guild_id, {})
        new: dict[str, _Job] = {}
        changed = False
        for spec in specs:
            job = old.get(spec.name)
            if job is None:
                changed = True
                job = _job(guild_id, spec, self._mark_of_new(guild_id, spec, now))
            elif job.spec != spec:
                changed = True
                if not job.spec.same_times(spec):
                    job.begin(now)
                job.spec = spec
                job.token = 0
            new[spec.name] = job
        for name in old.keys() - new.keys():
            changed = True
            gone = old[name]
            gone.token = 0
            self._removed[guild_id, name] = (gone.spec, gone.mark, now)
        if new:
            self._jobs[guild_id] = new
        else:
            self._jobs.pop(guild_id, None)
        if changed:
            self._declared(guild_id)
        if guild_id in self._parked:
            self.unpark(guild_id, now)
        else:
            for job in new.values():
                if job.token == 0:
                    self._arm(job)

    def withdraw(self, guild_id: GuildId, now: float) -> None:
        """The guild has no script any more, and its jobs are none. Its tasks wait for another one."""
        self.declare(guild_id, (), now)
        self.park(guild_id)

    def _mark_of_new(self, guild_id: GuildId, spec: CronJob, now: float) -> float:
        was, mark, removed_at = self._removed.pop((guild_id, spec.name), (spec, now, 0.0))
        for key in [key for key, (_, _, at) in self._removed.items() if now - at > PUT_BACK_SECS]:
            del self._removed[key]
        put_back = was.same_times(spec) and 0 <= now - removed_at <= PUT_BACK_SECS
        return _plausible(mark, now) if put_back else now

    def _declared(self, guild_id: GuildId) -> None:
        jobs = self._jobs.get(guild_id, {})
        self._records.declared[guild_id] = tuple((job.spec, job.mark) for job in jobs.values())
        for name in [name for owner, name in self._records.marks if owner == guild_id]:
            del self._records.marks[guild_id, name]  # the declaration has it

    def add_task(self, task_id: UUID, guild_id: GuildId, at: float) -> None:
        """A task is due at `at`; said again, the new time counts unless it runs."""
        if task_id in self._settled:
            return
        task = self._tasks.get(task_id)
        if task is None:
            task = self._tasks[task_id] = _Task(task_id, guild_id, at)
            self._tasks_of.setdefault(guild_id, set()).add(task_id)
        elif task.busy:
            return
        task.at = at
        self._push(task, at)

    def remove_task(self, task_id: UUID) -> None:
        """Cancelled or replaced. A run of it goes on."""
        task = self._tasks.get(task_id)
        if task is not None and not task.busy:
            self._forget(task)

    # ------------------------------------------------------------------ parked guilds

    @property
    def parked(self) -> frozenset[GuildId]:
        return frozenset(self._parked)

    def park(self, guild_id: GuildId) -> None:
        """The guild has no script: nothing of it is due."""
        self._parked.add(guild_id)
        for job in self._jobs.get(guild_id, {}).values():
            if job.backlog:
                job.considered = min(job.considered, job.backlog[0] - 1.0)
                job.backlog.clear()

    def unpark(self, guild_id: GuildId, now: float) -> None:
        """It has one."""
        if guild_id not in self._parked:
            return
        self._parked.discard(guild_id)
        for job in self._jobs.get(guild_id, {}).values():
            if job.spec.catch_up is CatchUp.NONE:
                job.considered = max(job.considered, now)
            self._arm(job)
        for task_id in self._tasks_of.get(guild_id, ()):
            task = self._tasks[task_id]
            if not task.busy:
                self._push(task, task.at)

    # ------------------------------------------------------------------ what is due

    def next_at(self) -> float | None:
        """When something is due next; it may turn out to be nothing."""
        while self._heap:
            at, token, item = self._heap[0]
            if token == item.token:
                return at
            heapq.heappop(self._heap)
        return None

    def due(self, now: float) -> list[Run]:
        """The cron runs to be given to their guilds now; tasks that are due are then `claimed`."""
        runs: list[Run] = []
        if now < self._now - CLOCK_WAS_WRONG:
            self._clock_was_wrong(now)
        self._now = now
        while (at := self.next_at()) is not None and at <= now:
            _, _, item = heapq.heappop(self._heap)
            item.token = 0
            if item.guild_id in self._parked:
                continue
            if isinstance(item, _Job):
                self._consider(item, now, runs)
            else:
                self._claim(item)
        return runs

    def claimed(self, limit: int = 100) -> list[UUID]:
        """Tasks to be looked up and then begun, or dropped where they are gone."""
        return [self._claimed.popleft() for _ in range(min(limit, len(self._claimed)))]

    def begin_task(
        self, task_id: UUID, key: str, *, failures: int, due_at: float, now: float, by_hand: bool = False
    ) -> Run | None:
        """A claimed task as it is stored; None when its guild has been parked meanwhile."""
        task = self._tasks[task_id]
        if task.guild_id in self._parked:
            self._release(task)
            return None
        failures = max(failures, task.failures)
        trigger = Trigger.MANUAL if by_hand else Trigger.RETRY if failures else Trigger.SCHEDULE
        event_id = f"task:{task_id}"
        return Run(
            task.guild_id, RunKind.TASK, key, event_id, trigger, failures + 1, due_at, now, task_id=task_id
        )

    def drop_task(self, task_id: UUID) -> None:
        """A claimed task that is not there any more."""
        self._settle(self._tasks[task_id])

    def put_off(self, task_ids: Iterable[UUID], until: float) -> None:
        """Claimed tasks that could not be looked up: again later."""
        for task_id in task_ids:
            task = self._tasks[task_id]
            self._release(task)
            task.at = until
            self._push(task, until)

    def run_now(self, guild_id: GuildId, name: str, now: float, event_id: str) -> Run | Refusal:
        """A run by hand, beside the job's own times."""
        job = self._jobs.get(guild_id, {}).get(name)
        if job is None:
            return Refusal.UNKNOWN
        if job.running and (job.spec.skip_if_running or len(job.running) >= MAX_AT_ONCE):
            return Refusal.RUNNING
        run = Run(guild_id, RunKind.CRON, name, event_id, Trigger.MANUAL, 1, now, now)
        job.running.add(run)
        return run

    def _clock_was_wrong(self, now: float) -> None:
        for jobs in self._jobs.values():
            for job in jobs.values():
                if job.considered > now + CLOCK_WAS_WRONG:
                    job.begin(now)
                    self._arm(job)

    def _consider(self, job: _Job, now: float, runs: list[Run]) -> None:
        """What has become due of a job: run it, queue it, skip it, or let it go."""
        missed = self._since(job, now)
        if missed:
            latest = missed[-1]
            late = now - latest - job.spec.delay(job.guild_id, latest)
            match job.spec.catch_up:
                case CatchUp.ALL:
                    job.backlog.extend(missed)
                case CatchUp.LATEST:
                    job.backlog.append(latest)
                case CatchUp.NONE if late <= LATE_SECS:
                    job.backlog.append(latest)
            while len(job.backlog) > MAX_CAUGHT_UP:
                job.backlog.popleft()
            job.considered = latest
        if job.backlog:
            self._work_off(job, now, runs)
        self._arm(job)

    def _since(self, job: _Job, now: float) -> list[float]:
        """Occurrences after `considered` that are due by now, at most the newest MAX_CAUGHT_UP, in order."""
        schedule = job.spec.schedule
        first = job.next
        if first is None or first > now:
            return []
        second = schedule.after(_moment(first))
        if second is None or second.timestamp() > now:
            found = [first]
        else:
            moments = schedule.last(_moment(now), MAX_CAUGHT_UP, _moment(job.considered))
            found = [moment.timestamp() for moment in moments]
        guild_id, delay = job.guild_id, job.spec.delay
        while found and found[-1] + delay(guild_id, found[-1]) > now:
            found.pop()  # its jitter is not over
        return found

    def _work_off(self, job: _Job, now: float, runs: list[Run]) -> None:
        """Begin the next one of the backlog. What is made up for runs one after another."""
        alone = len(job.backlog) == 1
        at = job.backlog[0]
        on_time = now - at - job.spec.delay(job.guild_id, at) <= LATE_SECS
        busy = len(job.running)
        if not busy or (alone and on_time and not job.spec.skip_if_running and busy < MAX_AT_ONCE):
            job.backlog.popleft()
            trigger = Trigger.SCHEDULE if alone and on_time else Trigger.CATCH_UP
            event_id = f"cron:{job.spec.name}:{iso(at)}"
            run = Run(job.guild_id, RunKind.CRON, job.spec.name, event_id, trigger, 1, at, now)
            job.running.add(run)
            runs.append(run)
        elif alone and on_time:
            job.backlog.popleft()
            event_id = f"cron:{job.spec.name}:{iso(at)}"
            skipped = Run(job.guild_id, RunKind.CRON, job.spec.name, event_id, Trigger.SCHEDULE, 1, at, now)
            reason = "the run before had not ended" if busy == 1 else f"{busy} runs had not ended"
            self._record(skipped, RunOutcome.SKIPPED, reason, now)

    # ------------------------------------------------------------------ what became of it

    def ended(self, run: Run, outcome: RunOutcome, error: str | None, now: float) -> list[Run]:
        """A run has ended; returns what may begin now that it has."""
        if run.task_id is not None:
            self._task_ended(run, run.task_id, outcome, error, now)
            self._record(run, outcome, error, now)
            return []
        job = self._jobs.get(run.guild_id, {}).get(run.name)
        runs: list[Run] = []
        if job is not None and run in job.running:
            job.running.discard(run)
            if job.backlog and run.guild_id not in self._parked:
                self._work_off(job, now, runs)
        self._record(run, outcome, error, now)
        return runs

    def refused(self, run: Run) -> None:
        """The guild has no script: it is parked, and the run was never given to it."""
        self.park(run.guild_id)
        if run.task_id is not None:
            task = self._tasks.get(run.task_id)
            if task is not None:
                self._release(task)
            return
        job = self._jobs.get(run.guild_id, {}).get(run.name)
        if job is not None and run in job.running:
            job.running.discard(run)
            if run.trigger is not Trigger.MANUAL:
                job.considered = min(job.considered, run.scheduled_at - 1.0)

    def _task_ended(
        self, run: Run, task_id: UUID, outcome: RunOutcome, error: str | None, now: float
    ) -> None:
        task = self._tasks.get(task_id)
        again: float | None = None
        match outcome:
            case RunOutcome.DONE:
                self._records.tasks.append(TaskEnd(task_id))
                self._settled.add(task_id)
            case RunOutcome.SHED:  # not its fault
                again = now + self._retry.pause(1)
            case _:
                given_up = outcome is RunOutcome.CRASHED or run.attempt >= self._retry.attempts
                again = None if given_up else now + self._retry.pause(run.attempt)
                text = error or outcome.value
                self._records.tasks.append(TaskEnd(task_id, text, None if again is None else _moment(again)))
                if given_up:
                    self._settled.add(task_id)
        if task is None:
            return
        if again is None:
            self._settle(task)
        else:
            self._release(task)
            task.failures = run.attempt if outcome is not RunOutcome.SHED else run.attempt - 1
            task.at = again
            self._push(task, again)

    def take(self) -> Records:
        """What is to be written. The caller says what became of it: `written` or `untake`."""
        records, self._records = self._records, Records()
        return records

    def untake(self, records: Records, *, most_runs: int) -> None:
        """It was not written: put it back, before what is newer; of the history the newest `most_runs`."""
        newer = self._records
        for guild_id, jobs in newer.declared.items():
            records.declared[guild_id] = jobs
            for key in [key for key in records.marks if key[0] == guild_id]:
                del records.marks[key]
        records.marks.update(newer.marks)
        records.tasks.extend(newer.tasks)
        records.runs = (records.runs + newer.runs)[-most_runs:]
        self._records = records

    def written(self, records: Records) -> None:
        self._settled.difference_update(end.id for end in records.tasks)

    @property
    def has_records(self) -> bool:
        return bool(self._records)

    # ------------------------------------------------------------------ looking in

    def jobs(self, guild_id: GuildId) -> Iterator[tuple[CronJob, float | None, int]]:
        """(job, when it runs next by itself, runs that have not ended), in the order of names."""
        for name in sorted(self._jobs.get(guild_id, {})):
            job = self._jobs[guild_id][name]
            at = None
            if guild_id not in self._parked and job.next is not None:
                at = job.next + job.spec.delay(guild_id, job.next)
            yield job.spec, at, len(job.running)

    def runs_task(self, task_id: UUID) -> bool:
        task = self._tasks.get(task_id)
        return task is not None and task.busy

    def depths(self) -> dict[RunKind, int]:
        """Runs that are due and have not ended: given to their guild, or about to be, or after others."""
        tasks = sum(self._at_once.values()) + sum(len(waiting) for waiting in self._waiting.values())
        jobs = (job for of_guild in self._jobs.values() for job in of_guild.values())
        return {
            RunKind.CRON: sum(len(job.running) + len(job.backlog) for job in jobs),
            RunKind.TASK: tasks,
        }

    # ------------------------------------------------------------------ small things

    def _arm(self, job: _Job) -> None:
        found = job.spec.schedule.after(_moment(job.considered))
        if found is None:
            job.next = None
            job.token = 0
            return
        job.next = found.timestamp()
        self._push(job, job.next + job.spec.delay(job.guild_id, job.next))

    def _push(self, item: _Job | _Task, at: float) -> None:
        item.token = next(self._tokens)
        heapq.heappush(self._heap, (at, item.token, item))

    def _claim(self, task: _Task) -> None:
        task.busy = True
        if self._at_once.get(task.guild_id, 0) >= MAX_TASKS_AT_ONCE:
            self._waiting.setdefault(task.guild_id, deque()).append(task.id)
        else:
            self._at_once[task.guild_id] = self._at_once.get(task.guild_id, 0) + 1
            self._claimed.append(task.id)

    def _release(self, task: _Task) -> None:
        """It is claimed no longer; another one of its guild may be."""
        task.busy = False
        guild_id = task.guild_id
        left = self._at_once.get(guild_id, 0) - 1
        waiting = self._waiting.get(guild_id)
        if waiting:
            self._claimed.append(waiting.popleft())
            left += 1
            if not waiting:
                del self._waiting[guild_id]
        if left > 0:
            self._at_once[guild_id] = left
        else:
            self._at_once.pop(guild_id, None)

    def _settle(self, task: _Task) -> None:
        """It is done, given up or gone."""
        self._release(task)
        self._forget(task)

    def _forget(self, task: _Task) -> None:
        task.token = 0
        del self._tasks[task.id]
        of_guild = self._tasks_of[task.guild_id]
        of_guild.discard(task.id)
        if not of_guild:
            del self._tasks_of[task.guild_id]

    def _record(self, run: Run, outcome: RunOutcome, error: str | None, now: float) -> None:
        job = None if run.task_id is not None else self._jobs.get(run.guild_id, {}).get(run.name)
        if job is not None and run.trigger is not Trigger.MANUAL:
            self._records.marks[run.guild_id, run.name] = job.mark
        self.endings[run.kind, outcome] += 1
        self._records.runs.append(
            NewRun(
                guild_id=run.guild_id,
                kind=run.kind,
                name=run.name,
                event_id=run.event_id,
                trigger=run.trigger,
                attempt=run.attempt,
                scheduled_at=_moment(run.scheduled_at),
                started_at=_moment(run.started_at),
                ended_at=_moment(max(now, run.started_at)),
                outcome=outcome,
                error=error,
            )
        )


def iso(at: float) -> str:
    """As JavaScript's `toISOString`: 2026-11-22T21:00:00.000Z."""
    return _moment(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _job(guild_id: GuildId, spec: CronJob, mark: float) -> _Job:
    return _Job(guild_id, spec, mark, mark)


def _plausible(mark: float, now: float) -> float:
    return now if mark > now + CLOCK_WAS_WRONG else mark
