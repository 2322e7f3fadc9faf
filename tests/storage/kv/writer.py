"""A process for the crash tests: eight writers on four guilds that say what was acknowledged.

Run as `python -m tests.storage.kv.writer FOLDER`. Prints `ready`, then `GUILD NUMBER` for each write.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from flora.ids import GuildId
from flora.storage.kv import GuildKv
from flora.storage.kv.operations import Count, Increment, Set, Transaction


async def write(kv: GuildKv, guild: GuildId, writer: int, first: int) -> None:
    number = first + writer
    while True:
        key = f"{number:08}"
        done = await kv.run(
            guild, Transaction((Set("numbers", key, "x" * (number % 3000)), Increment("counters", "all")))
        )
        assert done is not None
        sys.stdout.write(f"{guild} {number}\n")
        sys.stdout.flush()
        number += 2


async def main(folder: Path) -> None:
    async with GuildKv.open(folder, max_open=4) as kv, trio.open_nursery() as nursery:
        for guild in ("1", "2", "3", "4"):
            first = 10 * await kv.run(GuildId(guild), Count("numbers"))
            for writer in range(2):
                nursery.start_soon(write, kv, GuildId(guild), writer, first)
        sys.stdout.write("ready\n")


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
