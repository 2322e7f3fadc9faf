"""The HTTP API under wrk, beside plain Quart on asyncio and plain quart-trio: /health and a KV read.

    python -m bench.api [--seconds 5] [--connections 16] [--rounds 3]

Requests a second, the latency of the slowest hundredth, and the server's CPU time for one request, which is
what to compare on a machine that has other work. flora's side is the whole API, served as flora serves it:
identity, limits, metrics, request log (JSON lines, to nowhere), security headers; the others
(bench/contenders) do nothing but answer. quart-trio with Hypercorn's own server is what flora stands on.
Needs wrk (Debian: `apt-get install wrk`). wrk takes a core of its own, as the server does.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

from bench.report import Report
from flora.config import LogConfig
from flora.logs import configure_logging
from flora.storage.kv.operations import Set
from tests.api.served import GARDEN, OPERATOR_SECRET, serving

UNITS: Final = {"us": 1e-3, "ms": 1.0, "s": 1e3}
CONTENDERS: Final = {
    "quart, hypercorn.asyncio": "bench.contenders.quart_asyncio",
    "quart-trio, hypercorn.trio": "bench.contenders.quart_trio",
    "flora": "bench.api",
}
PATHS: Final = {"/health": "/health", "KV read": f"/kv/{GARDEN}/stores/settings/keys/a"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            configure_logging(LogConfig(format="json"), nowhere)
            trio.run(serve)
        return
    if shutil.which("wrk") is None:
        sys.exit("bench.api: there is no wrk here; on Debian `apt-get install wrk` brings it.")
    report = Report("api", "HTTP API", {"connections": options.connections, "seconds": options.seconds})
    for _ in range(options.rounds):
        for contender, module in CONTENDERS.items():
            with running(module) as (url, pid):
                for figure, path in PATHS.items():
                    before = cpu_seconds(pid)
                    rate, p99, requests = wrk(f"{url}{path}", options)
                    cpu = 1e6 * (cpu_seconds(pid) - before) / requests
                    report.add(figure, contender, rate, unit="requests/s")
                    report.add(f"{figure}, p99", contender, p99, unit="ms")
                    report.add(f"{figure}, CPU for one", contender, cpu, unit="us")
    report.write()


async def serve() -> None:
    """flora's API in a process of its own, until it is ended; the first line of its output is the URL."""
    async with serving() as served:
        await served.kv.run(GARDEN, Set("settings", "a", "hello"))
        print(served.url, flush=True)
        await trio.sleep_forever()


@contextmanager
def running(module: str) -> Iterator[tuple[str, int]]:
    """(URL, pid) of a server of its own."""
    if module == "bench.api":
        words, port = ["--serve"], None
    else:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        words = [str(port)]
    process = subprocess.Popen([sys.executable, "-m", module, *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None, "it was asked for"
        url = process.stdout.readline().strip() if port is None else f"http://127.0.0.1:{port}"
        wait_for(int(url.rpartition(":")[2]))
        yield url, process.pid
    finally:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """What a process has used until now, of its own and in the kernel (proc(5), fields 14 and 15)."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit("bench.api: the server did not start.")


def wrk(url: str, options: argparse.Namespace) -> tuple[float, float, int]:
    """(requests a second, p99 in milliseconds, requests). An answer that is no 2xx ends the benchmark."""
    words = ["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s", "--latency"]
    words += ["-H", f"Authorization: Bearer {OPERATOR_SECRET}", url]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"bench.api: {url} failed:\n{said}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    requests = re.search(r"(\d+) requests in", said)
    assert rate is not None, said
    assert p99 is not None, said
    assert requests is not None, said
    return float(rate[1]), float(p99[1]) * UNITS[p99[2]], int(requests[1])


if __name__ == "__main__":
    main()
