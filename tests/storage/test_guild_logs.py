"""Guild logs on the disk: segments that go one by one, and what a crash leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flora.ids import GuildId
from flora.storage.guild_logs import SEGMENTS, GuildLogError, GuildLogFiles, StoredLine

GARDEN, ORCHARD = GuildId("10"), GuildId("20")


def line(number: int, text: str = "hello") -> StoredLine:
    return StoredLine(number, 1_000 + number, "info", "flora:js", text, None)


def ids(files: GuildLogFiles, guild_id: GuildId = GARDEN, before: int | None = None) -> list[int]:
    return [each.id for each in files.newest_first(guild_id, before)]


def test_lines_are_there_again_newest_first(tmp_path: Path) -> None:
    files = GuildLogFiles(tmp_path / "logs", max_guild_bytes=100_000)
    assert ids(files) == []
    files.write(GARDEN, [line(1), line(2, 'two\n"lines" \ud7ff \U0001f600')])
    files.write(GARDEN, [line(9)])
    files.write(ORCHARD, [line(4)])
    again = GuildLogFiles(tmp_path / "logs", max_guild_bytes=100_000)
    assert ids(again) == [9, 2, 1]
    assert ids(again, before=9) == [2, 1]
    assert list(again.newest_first(GARDEN))[1].message == 'two\n"lines" \ud7ff \U0001f600'
    again.forget(GARDEN)
    again.forget(GARDEN)
    assert (ids(again), ids(again, ORCHARD)) == ([], [4])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(0, 3_000), min_size=1, max_size=20), max_size=20))
def test_a_guild_keeps_its_newest_lines_within_its_share(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]]
) -> None:
    files = GuildLogFiles(tmp_path_factory.mktemp("logs"), max_guild_bytes=40_000)
    number, largest = 0, 0
    for sizes in batches:
        lines = [line(number := number + 1, "x" * size) for size in sizes]
        files.write(GARDEN, lines)
        largest = max(largest, sum(size + 60 for size in sizes))
    found = ids(files)
    assert found == list(range(number, number - len(found), -1))
    # a segment may grow past its size by the batch that was being written
    assert files.bytes_used(GARDEN) <= 40_000 + SEGMENTS * largest
    if len(found) < number:
        assert files.bytes_used(GARDEN) >= 40_000 // SEGMENTS * (SEGMENTS - 1)


def test_half_a_line_costs_no_other(tmp_path: Path) -> None:
    files = GuildLogFiles(tmp_path, max_guild_bytes=100_000)
    files.write(GARDEN, [line(1), line(2)])
    (segment,) = (tmp_path / GARDEN).iterdir()
    os.truncate(segment, segment.stat().st_size - 4)
    files.write(GARDEN, [line(3)])
    assert ids(files) == [3, 1]


def test_old_segments_go(tmp_path: Path) -> None:
    now = [1_000_000_000.0]
    files = GuildLogFiles(tmp_path, max_guild_bytes=100_000, clock=lambda: now[0])
    files.write(GARDEN, [line(1)])
    (segment,) = (tmp_path / GARDEN).iterdir()
    os.utime(segment, (now[0], now[0]))
    assert files.sweep(60) == 0
    now[0] += 61
    assert files.sweep(60) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("not a folder")
    with pytest.raises(GuildLogError):
        GuildLogFiles(tmp_path / "logs", max_guild_bytes=100).write(GARDEN, [line(1)])
