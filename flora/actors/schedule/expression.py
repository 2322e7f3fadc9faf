"""Cron expressions: when a job is due, in a time zone.

    second? minute hour day-of-month month day-of-week year?

Five fields start with the minute, six with the second, seven end with the year. Fields know `*`, lists,
ranges, steps and English names; day-of-month also `L` (last), `LW` (last weekday), `15W` (weekday nearest to
the 15th); day-of-week also `5L` (last Friday) and `MON#2` (second Monday). When both day fields are
restricted, either is enough; a `+` before the day-of-week asks for both. `@hourly`, `@daily`, `@weekly`,
`@monthly` and `@yearly` are short for what they say.

Daylight saving, as Debian's cron has it: what names its hour and minute runs once a day, after the gap when
its time is skipped, and at the first of the two when it comes twice. What has a `*` there follows elapsed
time.

The calendar is cronsim's; years, `W`, `?`, `+` and six fields in a daylight saving change are here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from flora.errors import FloraError

MAX_LENGTH: Final = 200
NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_DAY_NAMES: Final = re.compile("|".join(_DAYS))
_NEAREST: Final = re.compile(r"(\d{1,2})W")
_YEARS: Final = re.compile(r"(\*|\d{4}(?:-\d{4})?)(?:/(\d{1,3}))?")
_WIDEST_FOLD: Final = timedelta(hours=24)
"""A whole day came twice where a zone crossed the date line."""
_FAR: Final = timedelta(hours=48)
_NEAR: Final = timedelta(hours=26)
"""More than two offsets can differ by; and no zone has changed its offset twice within two days."""
_MOMENT: Final = timedelta(seconds=1)


class CronSyntaxError(FloraError):
    code = "INVALID_CRON_EXPRESSION"

    def __init__(self, expression: str, detail: str) -> None:
        super().__init__(f"invalid cron expression '{expression[:MAX_LENGTH]}': {detail}")


class TimeZoneError(FloraError):
    code = "INVALID_TIME_ZONE"


class Expression:
    """A parsed expression in a time zone. Times are aware, in UTC, in whole seconds."""

    __slots__ = ("_calendar", "_fixed", "_zone")

    def __init__(self, text: str, time_zone: str = "UTC") -> None:
        """Raises CronSyntaxError, TimeZoneError."""
        self._zone = find_zone(time_zone)
        self._calendar = _Calendar(text)
        self._fixed = self._calendar.names_its_time

    def after(self, moment: datetime) -> datetime | None:
        """The first occurrence after `moment`; None when there is none within 50 years."""
        return next(self._walk(moment), None)

    def last(self, until: datetime, count: int, after: datetime) -> list[datetime]:
        """The last `count` occurrences at or before `until` that are after `after`, in order."""
        found: list[datetime] = []
        for moment in self._walk_back(until):
            if moment <= after or len(found) == count:
                break
            found.append(moment)
        return found[::-1]

    def _walk(self, moment: datetime) -> Iterator[datetime]:
        """Occurrences after `moment`."""
        return self._fixed_times(moment) if self._fixed else self._elapsed(moment)

    def _walk_back(self, moment: datetime) -> Iterator[datetime]:
        """Occurrences at or before `moment`, the latest first."""
        return self._fixed_times_back(moment) if self._fixed else self._elapsed_back(moment)

    def _fixed_times(self, moment: datetime) -> Iterator[datetime]:
        last = moment
        for found in self._calendar.begin(_wall(moment, self._offset(moment))):
            instant = self._instant(found)
            if instant > last:  # else it is the second time of the same, or fell into a gap with another
                last = instant
                yield instant

    def _fixed_times_back(self, moment: datetime) -> Iterator[datetime]:
        last = moment + _MOMENT
        for found in self._calendar.begin(_wall(last, self._offset(last)) + _WIDEST_FOLD, back=True):
            instant = self._instant(found)
            if instant < last:
                last = instant
                yield instant

    def _elapsed(self, low: datetime) -> Iterator[datetime]:
        """From one change of the offset to the next: between them the wall clock is plain."""
        offset = self._offset(low)
        while (found := next(self._calendar.begin(_wall(low, offset)), None)) is not None:
            instant = found.replace(tzinfo=UTC) - offset
            if instant - low > _FAR:  # what the offset is there, is seen from nearby
                low = instant - _NEAR
                offset = self._offset(low)
            elif self._offset(instant) != offset:
                low = _change(low, instant, self._zone) - _MOMENT
                offset = self._offset(low + _MOMENT)
            else:
                low = instant
                yield instant

    def _elapsed_back(self, moment: datetime) -> Iterator[datetime]:
        high = moment + _MOMENT
        offset = self._offset(moment)
        while (found := next(self._calendar.begin(_wall(high, offset), back=True), None)) is not None:
            instant = found.replace(tzinfo=UTC) - offset
            if high - instant > _FAR:
                high = instant + _NEAR
                offset = self._offset(high - _MOMENT)
            elif self._offset(instant) != offset:
                high = _change(instant, high - _MOMENT, self._zone)
                offset = self._offset(high - _MOMENT)
            else:
                high = instant
                yield instant

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta(0)

    def _instant(self, found: datetime) -> datetime:
        """Of a wall-clock time; one that comes twice is the first, one that does not exist the gap's end."""
        aware = found.replace(tzinfo=self._zone)
        instant = aware.astimezone(UTC)
        real = instant.astimezone(self._zone)
        if real.replace(tzinfo=None) == found:
            return instant
        # The offset before the gap puts `instant` as far behind its end as `found` is behind its beginning.
        before = aware.replace(fold=1).astimezone(UTC)
        return _change(before, instant, self._zone)


def _wall(moment: datetime, offset: timedelta) -> datetime:
    """What a wall clock shows, without its zone."""
    return (moment + offset).replace(tzinfo=None)


def _change(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """The instant, in whole seconds, at which the offset changes between `low` and `high`."""
    offset = low.astimezone(zone).utcoffset()
    while high - low > _MOMENT:
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


class _Calendar(CronSim):
    """cronsim with years, `W`, `?` and `+`; one is parsed, and copied for each walk."""

    def __init__(self, text: str) -> None:
        fields, self._years = _fields(text)
        self._nearest = frozenset[int]()
        days, weekdays = fields[3], fields[5]
        both = weekdays.startswith("+")
        weekdays = _DAY_NAMES.sub(lambda match: str(_DAYS.index(match[0])), weekdays.removeprefix("+"))
        if "W" in days:
            rest = [item for item in days.split(",") if _NEAREST.fullmatch(item) is None]
            nearest = [int(match[1]) for item in days.split(",") if (match := _NEAREST.fullmatch(item))]
            if any(not 1 <= day <= 31 for day in nearest):
                raise CronSyntaxError(text, "bad day-of-month")
            self._nearest = frozenset(nearest)
            days = ",".join(rest) or "31"
        fields[3], fields[5] = days, weekdays
        try:
            super().__init__(" ".join(fields), datetime(2000, 1, 1))
        except CronSimError as error:
            detail = str(error).replace("Bad", "bad", 1)
            raise CronSyntaxError(text, detail) from None
        if self._nearest and days == "31":
            self.days = set()
        if both:
            self.day_and = True
        starts_free = self.parts[1].startswith("*") or self.parts[2].startswith("*")
        self.names_its_time = not starts_free

    def begin(self, moment: datetime, *, back: bool = False) -> _Calendar:
        """An iterator of what comes after (before) `moment`, on the wall clock."""
        walk = copy.copy(self)
        walk.skip_initial_tick = False
        if back and moment.microsecond:
            moment += _MOMENT
        walk.dt = moment.replace(microsecond=0)
        walk.tick_direction = -1 if back else 1
        return walk

    def __next__(self) -> datetime:
        try:
            return super().__next__()
        except (OverflowError, ValueError):  # the end of the calendar
            raise StopIteration from None

    def match_day(self, d: date) -> bool:
        if self._years is not None and d.year not in self._years:
            return False
        return super().match_day(d)

    def match_dom(self, d: date) -> bool:
        return super().match_dom(d) or any(_nearest_weekday(d, day) for day in self._nearest)


def _nearest_weekday(d: date, day: int) -> bool:
    """Whether `d` is the weekday nearest to the `day`th of its month, within the month."""
    try:
        wanted = d.replace(day=day)
    except ValueError:
        return False
    match wanted.weekday():
        case 5:  # Saturday
            nearest = wanted - timedelta(days=1) if day > 1 else wanted + timedelta(days=2)
        case 6:
            nearest = wanted + timedelta(days=1)
            if nearest.month != wanted.month:
                nearest = wanted - timedelta(days=2)
        case _:
            nearest = wanted
    return d == nearest


def _fields(text: str) -> tuple[list[str], frozenset[int] | None]:
    """Six fields, from the second to the day-of-week, in upper case; and the years, None for all."""
    if len(text) > MAX_LENGTH:
        raise CronSyntaxError(text, f"longer than {MAX_LENGTH} characters")
    short = text.strip()
    if short.startswith("@"):
        if short.lower() not in NICKNAMES:
            raise CronSyntaxError(text, f"the nicknames are {', '.join(NICKNAMES)}")
        short = NICKNAMES[short.lower()]
    fields = short.upper().split()
    if not 5 <= len(fields) <= 7:
        raise CronSyntaxError(text, f"it has {len(fields)} fields, not 5, 6 or 7")
    years = _year_set(text, fields.pop()) if len(fields) == 7 else None
    if len(fields) == 5:
        fields.insert(0, "0")
    for at in (3, 5):
        if fields[at] == "?":
            fields[at] = "*"
    return fields, years


def _year_set(text: str, field: str) -> frozenset[int] | None:
    if field in {"*", "?"}:
        return None
    years: set[int] = set()
    for item in field.split(","):
        match = _YEARS.fullmatch(item)
        if match is None:
            raise CronSyntaxError(text, "bad year")
        span, step = match[1], int(match[2] or 1)
        first, _, end = span.partition("-")
        low = FIRST_YEAR if span == "*" else int(first)
        # `2026/2` is from 2026 on, as in the other fields.
        high = int(end) if end else (LAST_YEAR if span == "*" or match[2] else low)
        if step < 1 or not FIRST_YEAR <= low <= high <= LAST_YEAR:
            raise CronSyntaxError(text, f"bad year, they go from {FIRST_YEAR} to {LAST_YEAR}")
        years.update(range(low, high + 1, step))
    return frozenset(years)


@lru_cache(maxsize=1024)
def find_zone(name: str) -> tzinfo:
    """A time zone by its IANA name, which a guild's script gave. Raises TimeZoneError."""
    if name in {"UTC", "Etc/UTC", "Z"}:
        return UTC
    try:
        if len(name) > 64 or name not in _names():
            raise ZoneInfoNotFoundError
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if not _names():
            raise TimeZoneError(
                f"this machine has no time zone data, so '{name[:64]}' is not known.",
                hint="Install the system's or Python's package tzdata, or use UTC.",
            ) from None
        raise TimeZoneError(
            f"unknown time zone '{name[:64]}'.", hint="Use an IANA name such as Europe/Berlin."
        ) from None


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    """Looked up once: it reads the whole folder. Only these are opened, whatever a script names."""
    return frozenset(available_timezones())
