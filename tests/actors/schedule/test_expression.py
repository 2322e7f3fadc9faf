"""Cron expressions: what they mean, in time zones, across daylight saving."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flora.actors.schedule.expression import CronSyntaxError, Expression, TimeZoneError

START = "2026-10-31T00:00:00+00:00"  # a Saturday


def times(text: str, count: int, *, after: str = START, zone: str = "UTC") -> list[str]:
    """The next occurrences on the wall clock, without the offset; and looking back finds the same."""
    schedule = Expression(text, zone)
    begin = moment = datetime.fromisoformat(after).astimezone(UTC)
    found: list[datetime] = []
    for _ in range(count):
        following = schedule.after(moment)
        if following is None:
            break
        found.append(moment := following)
    if found:
        assert schedule.last(found[-1], count, begin) == found
    return [each.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S") for each in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/20 9 * * *", ["2026-10-31 09:00:00", "2026-10-31 09:20:00", "2026-10-31 09:40:00"]),
        ("* * * * * *", ["2026-10-31 00:00:01", "2026-10-31 00:00:02", "2026-10-31 00:00:03"]),
        ("15,45 0 9 * * *", ["2026-10-31 09:00:15", "2026-10-31 09:00:45", "2026-11-01 09:00:15"]),
        (
            "0 0 9 1 jan * 2028,2030-2031",
            ["2028-01-01 09:00:00", "2030-01-01 09:00:00", "2031-01-01 09:00:00"],
        ),
        ("0 0 9 1 1 ? 2027/2", ["2027-01-01 09:00:00", "2029-01-01 09:00:00"]),
        ("0 9 * * MON-FRI", ["2026-11-02 09:00:00", "2026-11-03 09:00:00"]),
        ("0 9 * * 7", ["2026-11-01 09:00:00", "2026-11-08 09:00:00"]),
        ("0 9 L * *", ["2026-10-31 09:00:00", "2026-11-30 09:00:00"]),
        ("0 9 LW * *", ["2026-11-30 09:00:00", "2026-12-31 09:00:00", "2027-01-29 09:00:00"]),
        ("0 9 15W * *", ["2026-11-16 09:00:00", "2026-12-15 09:00:00", "2027-01-15 09:00:00"]),
        ("0 9 1W * *", ["2026-11-02 09:00:00", "2026-12-01 09:00:00", "2027-01-01 09:00:00"]),
        ("0 9 31W * *", ["2026-12-31 09:00:00", "2027-01-29 09:00:00", "2027-03-31 09:00:00"]),
        ("0 9 * * FRIL", ["2026-11-27 09:00:00", "2026-12-25 09:00:00"]),
        ("0 9 * * MON#2", ["2026-11-09 09:00:00", "2026-12-14 09:00:00"]),
        ("0 9 13 * FRI", ["2026-11-06 09:00:00", "2026-11-13 09:00:00"]),  # either
        ("0 9 13 * +FRI", ["2026-11-13 09:00:00", "2027-08-13 09:00:00"]),  # both
        ("@hourly", ["2026-10-31 01:00:00", "2026-10-31 02:00:00"]),
        ("@daily", ["2026-11-01 00:00:00", "2026-11-02 00:00:00"]),
        ("@weekly", ["2026-11-01 00:00:00", "2026-11-08 00:00:00"]),
        ("@MONTHLY", ["2026-11-01 00:00:00", "2026-12-01 00:00:00"]),
        ("@yearly", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
    ],
)
def test_what_it_means(text: str, expected: list[str]) -> None:
    assert times(text, len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        # 02:00 to 03:00 does not exist on 8 March.
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", ["03-08 03:00", "03-09 02:30"]),
        ("0 30 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", ["03-08 03:00", "03-09 02:30"]),
        ("15,45 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", ["03-08 03:00", "03-09 02:15"]),
        ("*/30 * * * *", "America/New_York", "2026-03-08T01:15:00-05:00", ["03-08 01:30", "03-08 03:00"]),
        # 01:00 to 02:00 comes twice on 1 November.
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00:00-04:00", ["11-01 01:30", "11-02 01:30"]),
        ("30 1 * * *", "America/New_York", "2026-11-01T01:10:00-05:00", ["11-02 01:30"]),
        ("0 30 1 * * *", "America/New_York", "2026-10-31T12:00:00-04:00", ["11-01 01:30", "11-02 01:30"]),
        (
            "*/30 * * * *",
            "America/New_York",
            "2026-11-01T00:45:00-04:00",
            ["11-01 01:00", "11-01 01:30", "11-01 01:00", "11-01 01:30", "11-01 02:00"],
        ),
        # Half an hour, and at midnight.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30", ["10-04 02:30", "10-05 02:15"]),
        ("@daily", "Africa/Cairo", "2026-04-23T12:00:00+02:00", ["04-24 01:00", "04-25 00:00"]),
        ("0 */6 * * *", "Australia/Lord_Howe", "2009-10-03T20:00:00+10:30", ["10-04 00:00", "10-04 06:00"]),
        ("45 */1 * * *", "Australia/Lord_Howe", "2009-10-04T01:00:00+10:30", ["10-04 01:45", "10-04 02:45"]),
        # A day that did not exist: Samoa crossed the date line.
        ("0 9 * * *", "Pacific/Apia", "2011-12-29T12:00:00-10:00", ["12-31 00:00", "12-31 09:00"]),
    ],
)
def test_daylight_saving(text: str, zone: str, after: str, expected: list[str]) -> None:
    assert [each[5:16] for each in times(text, len(expected), after=after, zone=zone)] == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("* * * *", "4 fields"),
        ("* * * * * * * *", "8 fields"),
        ("", "0 fields"),
        ("60 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("* * 0 * *", "bad day-of-month"),
        ("* * 32W * *", "bad day-of-month"),
        ("* * 30 2 *", "bad day-of-month"),
        ("* * * 13 *", "bad month"),
        ("* * * * 8", "bad day-of-week"),
        ("* * * * MON#6", "bad day-of-week"),
        ("99 * * * * *", "bad second"),
        ("*/0 * * * *", "bad minute"),
        ("5-1 * * * *", "bad minute"),
        ("0 0 0 1 1 * 1969", "bad year"),
        ("0 0 0 1 1 * soon", "bad year"),
        ("@reboot", "the nicknames are"),
        ("0" * 300, "longer than"),
        ("٣ * * * *", "bad minute"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(CronSyntaxError, match="invalid cron expression") as caught:
        Expression(text)
    assert says in str(caught.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "x" * 1000, "Europe"])
def test_unknown_time_zones_are_refused(zone: str) -> None:
    with pytest.raises(TimeZoneError):
        Expression("* * * * *", zone)


def test_the_past_has_no_next() -> None:
    assert times("0 0 0 1 1 * 2020", 1) == []
    assert times("0 0 0 1 1 * 2190", 1) == []  # more than 50 years away


ZONES = ["UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia", "Asia/Kathmandu"]
TEXTS = [
    "* * * * *",
    "*/7 * * * *",
    "30 2 * * *",
    "45 * * * *",
    "15 */2 * * *",
    "*/9 * 1 1,10 *",
    "0 */6 * * *",
    "0 0 1,15 * *",
    "15 1 * * SUN",
    "@daily",
]


@settings(max_examples=150, deadline=None)
@given(
    text=st.sampled_from(TEXTS),
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1)),
)
def test_forth_and_back_agree(text: str, zone: str, start: datetime) -> None:
    """Whatever the zone does, time goes forward, nothing comes twice, and looking back finds the same."""
    schedule = Expression(text, zone)
    begin = moment = start.replace(tzinfo=UTC, microsecond=0)
    found: list[datetime] = []
    for _ in range(6):
        following = schedule.after(moment)
        assert following is not None
        assert following > moment
        found.append(moment := following)
    assert schedule.last(moment, 100, begin) == found
    assert schedule.last(moment - timedelta(seconds=1), 100, begin) == found[:-1]


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("America/New_York", "2026-03-08T07:00:00+00:00"),
        ("America/New_York", "2026-11-01T06:00:00+00:00"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00+00:00"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00+00:00"),
        ("Pacific/Apia", "2011-12-30T10:00:00+00:00"),
    ],
)
@pytest.mark.parametrize(
    ("text", "minutes", "hours"), [("45 * * * *", {45}, 1), ("0,30 */6 * * *", {0, 30}, 6)]
)
def test_what_follows_elapsed_time_is_every_minute_that_matches(
    zone: str, change: str, text: str, minutes: set[int], hours: int
) -> None:
    """Held against a look at each minute around a change of the clocks."""
    middle = datetime.fromisoformat(change)
    begin, end = middle - timedelta(hours=20), middle + timedelta(hours=20)
    each = [begin + timedelta(minutes=number) for number in range(1, 40 * 60 + 1)]
    local = [(moment, moment.astimezone(ZoneInfo(zone))) for moment in each]
    expected = [moment for moment, at in local if at.minute in minutes and at.hour % hours == 0]
    schedule = Expression(text, zone)
    assert schedule.last(end, 1000, begin) == expected
    found, moment = [], begin
    while (following := schedule.after(moment)) is not None and following <= end:
        found.append(moment := following)
    assert found == expected
