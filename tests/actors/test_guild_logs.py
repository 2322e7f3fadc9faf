"""Guild logs in memory and on the disk as one: over restarts, and with one guild that never stops talking."""

from __future__ import annotations

from pathlib import Path

import trio

from flora.actors.guild_logs import GuildLogs
from flora.actors.kernel import ActorSystem, ChildSpec
from flora.actors.loghub import Dropped, LogEntry, LogHub
from flora.engine.api import LogLevel
from flora.ids import GuildId
from flora.storage.guild_logs import GuildLogFiles

GARDEN, ORCHARD = GuildId("10"), GuildId("20")


def logs_on(folder: Path, *, max_lines: int = 5_000, share: int = 8 * 2**20) -> GuildLogs:
    return GuildLogs(
        LogHub(max_lines=max_lines), GuildLogFiles(folder, max_guild_bytes=share), retention_days=14
    )


def say(logs: GuildLogs, *texts: str, guild_id: GuildId = GARDEN, level: LogLevel = LogLevel.INFO) -> int:
    for text in texts:
        entry = logs.hub.append(guild_id, level, text)
    return entry.id


def texts(lines: object) -> list[object]:
    assert isinstance(lines, list | tuple)
    return [each.count if isinstance(each, Dropped) else each.message for each in lines]


async def test_a_follower_goes_on_where_it_was_in_an_earlier_life(tmp_path: Path) -> None:
    first = logs_on(tmp_path)
    say(first, "a", "b")
    had = say(first, "c")
    say(first, "d", "e")
    await first.flush()
    second = logs_on(tmp_path)
    say(second, "f")
    missed, follower = await second.follow(GARDEN, had)
    assert texts(missed) == ["d", "e"]
    assert texts(follower.take()) == ["f"]
    say(second, "g")
    assert texts(follower.take()) == ["g"]
    follower.close()


async def test_a_follower_is_told_when_its_place_is_gone(tmp_path: Path) -> None:
    first = logs_on(tmp_path, share=4_000)
    had = say(first, "first")
    for number in range(100):
        say(first, f"{number} " + "x" * 100)
        await first.flush()
    missed, follower = await logs_on(tmp_path).follow(GARDEN, had)
    assert isinstance(missed[0], Dropped)
    assert texts(missed)[-1] == "99 " + "x" * 100
    follower.close()


async def test_reading_goes_on_in_the_files(tmp_path: Path) -> None:
    logs = logs_on(tmp_path, max_lines=10)
    for number in range(50):
        say(logs, str(number), level=LogLevel.WARN if number % 10 == 0 else LogLevel.INFO)
        await logs.flush()
    assert texts(await logs.recent(GARDEN, 30)) == [str(number) for number in range(20, 50)]
    assert texts(await logs.recent(GARDEN, 3, LogLevel.WARN)) == ["20", "30", "40"]
    lines = await logs.recent(GARDEN, 1_000)
    assert len(lines) == 50
    since = lines[25].timestamp
    assert all(each.timestamp >= since for each in await logs.recent(GARDEN, 1_000, None, since))
    missed, follower = await logs.follow(GARDEN, lines[4].id)
    assert texts(missed) + texts(follower.take()) == [str(number) for number in range(5, 50)]
    follower.close()
    missed, follower = await logs.follow_recent(GARDEN, 12)
    assert len(missed) == 12
    follower.close()
    await logs.forget(GARDEN)
    assert await logs.recent(GARDEN, 1_000) == []


async def test_one_guild_that_never_stops_costs_no_other_a_line(tmp_path: Path) -> None:
    """10,000 lines a second are 2,500 between two writes; here it is twenty times that."""
    logs = logs_on(tmp_path, share=2**20)
    said = 0
    heard: list[str] = []

    async def listen() -> None:
        async for item in logs.hub.follow(ORCHARD):
            assert isinstance(item, LogEntry)
            heard.append(item.message)

    async with ActorSystem.open("test") as system, trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        ref = await system.spawn(ChildSpec("logs", lambda: logs))
        for round_ in range(20):
            for number in range(2_500):
                say(logs, f"noise {number} " + "x" * 100)
            for _ in range(5):
                say(logs, f"quiet {said}", guild_id=ORCHARD)
                said += 1
            if round_ % 4 == 0:
                await logs.flush()
            await trio.lowlevel.checkpoint()
        await logs.flush()
        with trio.fail_after(30):
            while len(heard) < said:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
        await system.stop_actor(ref)
    expected = [f"quiet {number}" for number in range(said)]
    assert heard == expected
    assert texts(await logs_on(tmp_path).recent(ORCHARD, 1_000)) == expected
    assert logs.hub.statistics().bytes < 10 * 2**20
    assert logs.lines_lost > 0  # its own, which it said faster than the disk was asked


async def test_a_disk_that_is_away_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.write_text("in the way")
    logs = logs_on(folder)
    say(logs, "a")
    await logs.flush()
    folder.unlink()
    await logs.flush()
    assert texts(await logs_on(folder).recent(GARDEN)) == ["a"]
