"""Cron jobs as a script declares them in its manifest. What it says is untrusted."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from flora.actors.schedule.expression import Expression
from flora.errors import FloraError
from flora.storage.schedules import CatchUp

MAX_NAME: Final = 100
MAX_JITTER_SECS: Final = 3600.0
MAX_STACK: Final = 4000
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

Text = Annotated[str, msgspec.Meta(max_length=MAX_STACK)]


class InvalidCronError(FloraError):
    """A script's cron job is refused. `stack` is where it was declared, raw."""

    code = "INVALID_CRON_JOB"

    def __init__(self, message: str, stack: str = "") -> None:
        super().__init__(message)
        self.stack = stack


@dataclass(frozen=True, slots=True)
class CronJob:
    """`expression` and `time_zone` as the author wrote them; `schedule` is both, parsed."""

    name: str
    expression: str
    time_zone: str = "UTC"
    skip_if_running: bool = False
    catch_up: CatchUp = CatchUp.NONE
    jitter_secs: float = 0.0
    schedule: Expression = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Raises CronSyntaxError, TimeZoneError."""
        object.__setattr__(self, "schedule", Expression(self.expression, self.time_zone))

    def same_times(self, other: CronJob) -> bool:
        return (self.expression, self.time_zone) == (other.expression, other.time_zone)

    def delay(self, guild_id: str, scheduled_at: float) -> float:
        """Seconds of jitter of one occurrence, the same whenever it is asked for, also after a restart."""
        if self.jitter_secs == 0:
            return 0.0
        place = f"{guild_id}\0{self.name}\0{scheduled_at:.0f}".encode()
        share = int.from_bytes(hashlib.blake2b(place, digest_size=6).digest()) / 2**48
        return share * self.jitter_secs


class _Declared(msgspec.Struct, rename="camel"):
    name: Text
    expression: Text
    time_zone: Text = "UTC"
    skip_if_running: bool = False
    catch_up: CatchUp = CatchUp.NONE
    jitter: float = 0.0
    stack: Text = ""


_DECODER: Final = msgspec.json.Decoder(list[_Declared])


def parse_jobs(declared: bytes | None, *, max_jobs: int) -> tuple[CronJob, ...]:
    """The jobs of a manifest, JSON text or None. Raises InvalidCronError for the first that is refused."""
    if declared is None:
        return ()
    try:
        found = _DECODER.decode(declared)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidCronError(f"a cron job is not valid: {str(error)[:200]}") from None
    jobs: dict[str, CronJob] = {}
    now = datetime.now(UTC)
    for item in found:
        if len(jobs) >= max_jobs:
            raise InvalidCronError(
                f"max cron jobs exceeded for this guild/runtime: {len(found)}, the limit is {max_jobs}.",
                item.stack,
            )
        jobs[item.name] = _job(item, now, known=item.name in jobs)
    return tuple(jobs.values())


def _job(item: _Declared, now: datetime, *, known: bool) -> CronJob:
    if known:
        raise InvalidCronError(f"cron job with name '{item.name[:MAX_NAME]}' already exists", item.stack)
    if not 0 < len(item.name) <= MAX_NAME or _UNPRINTABLE.search(item.name):
        raise InvalidCronError(
            f"a cron job's name must have 1 to {MAX_NAME} characters, all of them printable.", item.stack
        )
    if not 0 <= item.jitter <= MAX_JITTER_SECS:
        raise InvalidCronError(
            f"the jitter of cron job '{item.name}' must be 0 to {MAX_JITTER_SECS:g} seconds.", item.stack
        )
    try:
        job = CronJob(
            item.name, item.expression, item.time_zone, item.skip_if_running, item.catch_up, item.jitter
        )
    except FloraError as error:
        raise InvalidCronError(f"cron job '{item.name}': {error}", item.stack) from None
    if job.schedule.after(now) is None:
        raise InvalidCronError(
            f"cron schedule has no future occurrences: '{item.expression}' of cron job '{item.name}'",
            item.stack,
        )
    return job
