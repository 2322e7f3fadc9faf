"""Guild KV through the whole op path (JSON arguments in, JSON out), beside plain SQLite and Redis.

    python -m bench.kv [--guilds 50] [--in-flight 8] [--seconds 2] [--rounds 3] [--cold 1000]
                       [--redis redis://127.0.0.1:6379] [--full]

`set` is durable: each guild has its own file, and an answer means that its fsync is done. `--in-flight` is
how many operations of one guild are under way at once, as many as its handlers by default; with one each,
every write needs an fsync of its own. Plain SQLite is one connection for each guild, used in turn on one
thread, one transaction for each write; Redis is whatever durability the server is configured with. `--full`
makes 10,000 guild databases (minutes, on a busy disk) and opens them cold.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import trio

from bench.report import Report
from flora.actors.restorer import settle_garbage
from flora.engine.api import OpCall
from flora.ids import GuildId
from flora.ops.table import OpContext, run_op
from flora.storage.kv import GuildKv, KvLimits
from flora.storage.kv.operations import Get, Set

VALUE = "x" * 200
KEYS = 100
FULL = 10_000
TARGETS = {"set": ">= 15,000", "get": ">= 20,000"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--guilds", type=int, default=50)
    parser.add_argument("--in-flight", type=int, default=8, help="operations of one guild at once")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", type=int, default=1000, help="guilds that are opened cold")
    parser.add_argument("--redis", default=os.environ.get("CACHE_URL", "redis://127.0.0.1:6379"))
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} guild databases")
    options = parser.parse_args()
    report = Report(
        "kv",
        "Guild KV",
        {"guilds": options.guilds, "value bytes": len(VALUE), "seconds": options.seconds},
    )
    folder = Path(tempfile.mkdtemp(prefix="flora-bench-kv-"))
    try:
        for _ in range(options.rounds):
            trio.run(flora, folder, report, options)
            plain_sqlite(folder, report, options)
            asyncio.run(with_redis(report, options))
        trio.run(cold, folder / "cold", FULL if options.full else options.cold, report)
    finally:
        shutil.rmtree(folder)
    report.write()


def figure(kind: str) -> str:
    return "durable set" if kind == "set" else kind


async def flora(folder: Path, report: Report, options: argparse.Namespace) -> None:
    guilds = [GuildId(str(1000 + number)) for number in range(options.guilds)]
    async with GuildKv.open(folder / "kv", limits=KvLimits(writes_per_minute=0)) as kv:
        contexts = [context(guild, kv) for guild in guilds]
        for guild in guilds:  # the files are there, as those of guilds that live are
            for key in range(KEYS):
                await kv.run(guild, Set("s", f"k{key}", VALUE))
                await kv.run(guild, Set("n", f"k{key}", "0"))
        settle_garbage()  # as a host does when its guilds are there

        def op(name: str, args: dict[str, Any]) -> Callable[[int, int], Awaitable[object]]:
            bodies = [msgspec.json.encode({"store": "s", "key": f"k{key}", **args}) for key in range(KEYS)]

            async def call(guild: int, number: int) -> object:
                return await run_op(contexts[guild], OpCall(name, bodies[number % KEYS], None, 0))

            return call

        for in_flight in sorted({options.in_flight, 1}, reverse=True):
            contender = f"flora, {in_flight} in flight per guild"
            for kind, call in (("set", op("kv_set", {"value": VALUE})), ("get", op("kv_get", {}))):
                rate, cpu, p99 = await measure(call, in_flight, options)
                target = TARGETS[kind] if in_flight == options.in_flight else None
                report.add(figure(kind), contender, rate, unit="/s", target=target)
                report.add(f"{figure(kind)}: CPU", contender, cpu, unit="us")
                report.add(f"{figure(kind)}: p99", contender, p99, unit="ms")
        rate, _, _ = await measure(op("kv_increment", {"store": "n"}), options.in_flight, options)
        report.add("durable increment", f"flora, {options.in_flight} in flight per guild", rate, unit="/s")


def context(guild: GuildId, kv: GuildKv) -> OpContext:
    nobody: Any = None
    return OpContext(guild, "1", nobody, nobody, nobody, kv=kv)


async def measure(
    call: Callable[[int, int], Awaitable[object]], in_flight: int, options: argparse.Namespace
) -> tuple[float, float, float]:
    """Operations a second, CPU of one in us, and the 99th percentile of their times in ms."""
    waits: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    until = began + options.seconds

    async def worker(guild: int, number: int) -> None:
        while (now := time.perf_counter()) < until:
            await call(guild, number)
            number += in_flight
            waits.append(time.perf_counter() - now)

    async with trio.open_nursery() as nursery:
        for guild in range(options.guilds):
            for number in range(in_flight):
                nursery.start_soon(worker, guild, number)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    waits.sort()
    return len(waits) / seconds, cpu / len(waits) * 1e6, waits[int(len(waits) * 0.99)] * 1000


async def cold(folder: Path, count: int, report: Report) -> None:
    """The first read of a guild whose file is closed, one after another; opening more than stay open."""
    guilds = [GuildId(str(1_000_000 + number)) for number in range(count)]
    contender = f"flora, {count:,} guilds"
    async with GuildKv.open(folder, synchronous="normal") as kv:
        waiting = guilds[:]

        async def make() -> None:
            while waiting:
                await kv.run(waiting.pop(), Set("s", "k", "v"))

        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(make)
        made = count / (time.perf_counter() - began)
    times = []
    async with GuildKv.open(folder) as kv:
        for guild in guilds:
            began = time.perf_counter()
            await kv.run(guild, Get("s", "k"))
            times.append((time.perf_counter() - began) * 1000)
        kept_open = kv.statistics().open_files
    times.sort()
    report.add("cold open and get: p99", contender, times[int(count * 0.99)], unit="ms", target="<= 5")
    report.add("cold open and get: median", contender, times[count // 2], unit="ms")
    report.add("first writes of guilds, synchronous = normal, 50 at once", contender, made, unit="/s")
    report.add("files open after that", contender, kept_open)
    report.add("disk for each guild", contender, disk_bytes(folder) / count / 1024, unit="KiB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report.add("peak memory of the process", contender, peak, unit="MiB")


def disk_bytes(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def plain_sqlite(folder: Path, report: Report, options: argparse.Namespace) -> None:
    connections = []
    for number in range(options.guilds):
        con = sqlite3.connect(folder / f"plain-{number}.sqlite3", isolation_level=None)
        con.execute("pragma journal_mode = wal")
        con.execute("pragma synchronous = full")
        con.execute("create table if not exists t (k text primary key, v text)")
        con.executemany("insert or replace into t values (?, ?)", [(f"k{key}", VALUE) for key in range(KEYS)])
        connections.append(con)
    for kind, statement in (
        ("set", "insert or replace into t values (?, ?)"),
        ("get", "select v from t where k = ?"),
    ):
        done, began = 0, time.perf_counter()
        while (now := time.perf_counter()) < began + options.seconds:
            key = f"k{done % KEYS}"
            con = connections[done % len(connections)]
            con.execute(statement, (key, VALUE) if kind == "set" else (key,)).fetchall()
            done += 1
        report.add(figure(kind), "plain sqlite3, one thread", done / (now - began), unit="/s")
    for con in connections:
        con.close()


async def with_redis(report: Report, options: argparse.Namespace) -> None:
    """On asyncio, where its client is at home."""
    import redis.asyncio

    client = redis.asyncio.Redis.from_url(options.redis, max_connections=options.guilds)
    try:
        await client.ping()
    except redis.exceptions.RedisError as error:
        report.about["redis"] = f"not measured: {error}"
        return

    async def rate(kind: str, make: Callable[[str], Awaitable[object]]) -> None:
        done, until = 0, time.perf_counter() + options.seconds

        async def worker(guild: int) -> None:
            nonlocal done
            while time.perf_counter() < until:
                await make(f"flora-bench:{guild}:{done % KEYS}")
                done += 1

        await asyncio.gather(*(worker(guild) for guild in range(options.guilds)))
        report.add(figure(kind), "redis, 1 in flight per guild", done / options.seconds, unit="/s")

    await rate("set", lambda key: client.set(key, VALUE, ex=60))
    await rate("get", client.get)
    await client.aclose()


if __name__ == "__main__":
    main()
