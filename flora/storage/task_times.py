"""When a task is wanted, as scripts and the HTTP API say it: `at` a time, or `in` so long."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from flora.storage.tasks import MAX_AHEAD, InvalidTaskError

_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(ms|s|m|h|d|w)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def due_at(at: str | float | None, in_: str | float | None, now: datetime) -> datetime:
    """One of `at`, ISO 8601 or milliseconds since 1970, and `in_`, seconds or text such as "90s" and "10m".

    What has passed is due at once. Raises InvalidTaskError.
    """
    if at is not None and in_ is None:
        return _moment(at)
    if in_ is None or at is not None:
        raise InvalidTaskError("at", "a task needs `at` or `in`, one of them")
    seconds = _seconds(in_)
    if not 0 <= seconds <= MAX_AHEAD.total_seconds():
        raise InvalidTaskError("in", f"from 0 seconds to {MAX_AHEAD.days} days")
    return now + timedelta(seconds=seconds)


def _moment(at: str | float) -> datetime:
    try:
        if not isinstance(at, str):
            return datetime.fromtimestamp(at / 1000, UTC)
        found = datetime.fromisoformat(at)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidTaskError("at", "not a time; give a Date, ISO 8601 or milliseconds") from None


def _seconds(given: str | float) -> float:
    if not isinstance(given, str):
        return given
    match = _DURATION.fullmatch(given.strip())
    if match is None:
        raise InvalidTaskError("in", 'not a duration; give seconds, or "90s", "10m", "2h", "1d", "1w"')
    return float(match[1]) * _UNITS[match[2]]
