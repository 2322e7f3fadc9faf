"""What a guild process costs: start, memory, round trip, throughput; beside engines that share a process.

    python -m bench.engine [--full] [--guilds 1000] [--dispatches 2000] [--contenders PYTHON]

Small sizes by default; `--full` takes the sizes of the targets (1,000 guilds, some 3 GB and two minutes). The
message is a MESSAGE_CREATE of about 700 bytes, the handler answers it with nothing, the way is host -> guild
process -> host from Trio. "CPU" is what the guild process itself used, which a busy machine changes least.

The contenders follow in the same run: Node's worker_threads (if there is a `node`), mini-racer and quickjs-ng
(if PYTHON, by default this one, has them). None of them is sealed, limited or killed without its neighbours,
and they run the bare handler without an SDK; the last two answer in the host's own thread: their round trip
crosses no process.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
import trio

from flora.build.sdk import script_file
from flora.config import RuntimeConfig
from flora.engine.api import Dispatch, GuildProcess, Script
from flora.engine.host import Engine
from flora.engine.selftest import SilentHost
from flora.ids import GuildId

WARM_UP = 500  # dispatches before any is timed
LANES = 64  # dispatches in flight
AT_ONCE = 8  # starts under way in a restore
CONTENDER_SECS = 120.0
MESSAGE = {
    "id": "1124412356423451234",
    "channel_id": "1124412356423450000",
    "guild_id": "81384788765712384",
    "author": {
        "id": "53908232506183680",
        "username": "mason",
        "discriminator": "0",
        "avatar": "a" * 32,
        "bot": False,
    },
    "member": {
        "roles": ["1124412356423459999"],
        "joined_at": "2020-01-01T00:00:00.000000+00:00",
        "nick": None,
    },
    "content": "hello there, this is a message of an ordinary length for a chat " * 3,
    "timestamp": "2026-01-01T00:00:00.000000+00:00",
    "mentions": [],
    "attachments": [],
    "embeds": [],
    "type": 0,
}


def bundle(size: int) -> str:
    """A script of about `size` bytes with one handler."""
    helpers: list[str] = []
    while sum(map(len, helpers)) < size:
        n = len(helpers)
        helpers.append(
            f"function helper{n}(a, b) {{ const list = [a, b, {n}]; return list.map((x) => x + {n}); }}\n"
        )
    return "".join(helpers) + "on('MESSAGE_CREATE', async (message) => { await null; return; });"


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def extremes(values: Sequence[float], share: float) -> tuple[float, float, float]:
    return min(values), statistics.median(values), percentile(values, share)


def proportional_kib(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except PermissionError:
        return None
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def cpu_secs(pid: int) -> float:
    """CPU time of a process, in seconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


class Bench:
    """One engine and the figures taken from it. `targets` are those of the issue; None is only shown."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.script = Script("file:///guild/1/bundle.js", bundle(arguments.bundle))
        self.message = Dispatch("MESSAGE_CREATE", json.dumps(MESSAGE).encode(), "bench")
        self.figures: dict[str, float] = {}
        self.rows: list[tuple[str, str, str]] = []
        sdk = arguments.sdk.read_text() if arguments.sdk else script_file().read_text()
        self.engine = Engine(RuntimeConfig(jit=arguments.jit), sdk)
        self.started = 0

    def row(self, name: str, value: str, target: str = "") -> None:
        self.rows.append((name, value, target))

    async def start(self) -> GuildProcess:
        self.started += 1
        process = await self.engine.spawn(GuildId(str(self.started)), SilentHost())
        await process.load(self.script, timeout_secs=60)
        return process

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            began = time.perf_counter()
            await nursery.start(self.engine.run)
            self.row("engine up, self-test included", f"{(time.perf_counter() - began) * 1e3:.0f} ms")
            report = self.engine.report()
            self.row("seal, JIT", f"{report.seal}, {'on' if report.jit else 'off'}")
            guilds = await self.starts()
            await self.round_trips(guilds[0])
            await self.pipelined(guilds[0])
            await self.side_by_side(guilds)
            await self.restore(guilds)
            self.memory(guilds)
            nursery.cancel_scope.cancel()

    async def starts(self) -> list[GuildProcess]:
        guilds, times = [], []
        for _ in range(30):
            began = time.perf_counter()
            guilds.append(await self.start())
            times.append(time.perf_counter() - began)
        cpu = statistics.median(cpu_secs(guild.pid) for guild in guilds)
        self.figures["ready_ms"] = statistics.median(times) * 1e3
        spread = " / ".join(f"{x * 1e3:.1f}" for x in extremes(times, 0.95))
        self.row(
            f"fork to loaded, {len(self.script.code) // 1000} kB, min / p50 / p95 (CPU)",
            f"{spread} ms ({cpu * 1e3:.1f} ms)",
            "p50 6 ms",
        )
        return guilds

    async def round_trips(self, guild: GuildProcess) -> None:
        for _ in range(WARM_UP):
            await guild.dispatch(self.message)
        before, times = cpu_secs(guild.pid), []
        for _ in range(self.arguments.dispatches):
            began = time.perf_counter()
            await guild.dispatch(self.message)
            times.append(time.perf_counter() - began)
        cpu = (cpu_secs(guild.pid) - before) / len(times)
        self.figures["trip_us"] = statistics.median(times) * 1e6
        spread = " / ".join(f"{x * 1e6:.0f}" for x in extremes(times, 0.99))
        self.row(
            f"round trip of {len(self.message.payload)} B, min / p50 / p99 (CPU)",
            f"{spread} us ({cpu * 1e6:.0f} us)",
            "p50 120 us",
        )

    async def pipelined(self, guild: GuildProcess) -> None:
        each = max(1, self.arguments.dispatches * 4 // LANES)
        before, began = cpu_secs(guild.pid), time.perf_counter()
        async with trio.open_nursery() as lanes:
            for _ in range(LANES):
                lanes.start_soon(self.dispatch_often, guild, each)
        rate = each * LANES / (time.perf_counter() - began)
        cpu = (cpu_secs(guild.pid) - before) / (each * LANES)
        self.figures["pipelined"] = rate
        self.row(f"one guild, {LANES} in flight (CPU)", f"{rate:,.0f}/s ({cpu * 1e6:.0f} us)", "15,000/s")

    async def side_by_side(self, guilds: Sequence[GuildProcess]) -> None:
        each = max(1, self.arguments.dispatches * 4 // len(guilds))
        began = time.perf_counter()
        async with trio.open_nursery() as lanes:
            for guild in guilds:
                lanes.start_soon(self.dispatch_often, guild, each)
        rate = each * len(guilds) / (time.perf_counter() - began)
        self.row(f"{len(guilds)} guilds at once", f"{rate:,.0f}/s")

    async def dispatch_often(self, guild: GuildProcess, count: int) -> None:
        for _ in range(count):
            await guild.dispatch(self.message)

    async def restore(self, guilds: list[GuildProcess]) -> None:
        wanted = self.arguments.guilds
        restored: list[GuildProcess] = []
        limiter = trio.CapacityLimiter(AT_ONCE)

        async def one() -> None:
            async with limiter:
                restored.append(await self.start())

        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(wanted):
                nursery.start_soon(one)
        elapsed = time.perf_counter() - began
        guilds[:] = restored
        self.row(
            f"{wanted} guilds restored, {AT_ONCE} at a time",
            f"{elapsed:.1f} s ({elapsed / wanted * 1e3:.1f} ms each)",
            "10 s for 1,000",
        )

    def memory(self, guilds: Sequence[GuildProcess]) -> None:
        sample = guilds[:: max(1, len(guilds) // 100)]
        shares = [share for guild in sample if (share := proportional_kib(guild.pid)) is not None]
        if not shares:
            self.row("PSS per idle guild", "not readable by this user")
            return
        self.figures["guild_mib"] = statistics.mean(shares) / 1024
        self.row(f"PSS per idle guild of {len(guilds)}", f"{self.figures['guild_mib']:.2f} MiB", "3 MiB")


def contenders(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The same figures of others; one that is not there says so instead."""
    folder = Path(__file__).parent / "contenders"
    node = shutil.which("node")
    in_process = [arguments.contenders, str(folder / "in_process.py")]
    commands = {
        "worker_threads": [node, str(folder / "worker_threads.mjs")] if node else None,
        "mini-racer": [*in_process, "mini_racer"],
        "quickjs-ng": [*in_process, "quickjs"],
    }
    task = {
        "bundle": bundle(arguments.bundle),
        "message": MESSAGE,
        "guilds": min(arguments.guilds, 50),
        "dispatches": arguments.dispatches,
    }
    return [run_contender(name, command, task) for name, command in commands.items()]


def run_contender(name: str, command: list[str] | None, task: dict[str, Any]) -> dict[str, Any]:
    if command is None:
        return {"name": name, "skipped": "not installed"}
    try:
        process = subprocess.run(
            command,
            input=json.dumps(task),
            capture_output=True,
            text=True,
            timeout=CONTENDER_SECS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"name": name, "skipped": str(error)}
    if process.returncode == 3:
        return {"name": name, "skipped": "not installed"}
    if process.returncode:
        return {"name": name, "skipped": process.stderr.strip().rsplit("\n", 1)[-1]}
    return {"name": name, **json.loads(process.stdout)}


def show(bench: Bench, others: Sequence[dict[str, Any]]) -> None:
    print(f"cores: {os.cpu_count()}, load: {os.getloadavg()[0]:.1f}")
    width = max(len(name) for name, _, _ in bench.rows)
    for name, value, target in bench.rows:
        print(f"{name:<{width}}  {value}" + (f"  (target: {target})" if target else ""))
    print()
    print(f"{'beside others':<26}{'ready':>14}{'memory':>14}{'round trip':>16}{'pipelined':>18}")
    for other in ({"name": "flora", **bench.figures}, *others):
        if "skipped" in other:
            print(f"{other['name']:<26}  skipped: {other['skipped']}")
            continue
        columns = (
            ("ready_ms", "ms", 14),
            ("guild_mib", "MiB", 14),
            ("trip_us", "us", 16),
            ("pipelined", "/s", 18),
        )
        cells = ""
        for key, unit, size in columns:
            if key not in other:
                cells += f"{'-':>{size}}"
                continue
            figure = other[key]
            ratio = f" x{figure / bench.figures[key]:.2f}" if key in bench.figures else ""
            text = f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}"
            cells += f"{text + ' ' + unit + ratio:>{size}}"
        print(f"{other['name'] + ' ' + str(other.get('version', '')).split(' ')[-1]:<26}{cells}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--full", action="store_true", help="the sizes of the targets")
    parser.add_argument("--guilds", type=int, help="idle guilds (50; 1,000 with --full)")
    parser.add_argument("--dispatches", type=int, help="timed round trips (1,000; 4,000 with --full)")
    parser.add_argument("--bundle", type=int, default=20_000, help="bytes of the bundle")
    parser.add_argument("--jit", choices=["auto", "on", "off"], default="auto")
    parser.add_argument("--sdk", type=Path, help="another SDK than the built one")
    parser.add_argument(
        "--contenders", default=sys.executable, help="the Python with mini-racer and quickjs-ng"
    )
    arguments = parser.parse_args()
    arguments.guilds = arguments.guilds or (1000 if arguments.full else 50)
    arguments.dispatches = arguments.dispatches or (4000 if arguments.full else 1000)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    bench = Bench(arguments)
    trio.run(bench.run)
    show(bench, contenders(arguments))


if __name__ == "__main__":
    main()
