"""One context per guild in the host's own process: mini-racer (V8) or quickjs-ng.

    python in_process.py mini_racer|quickjs < {"bundle", "message", "guilds", "dispatches"}

Prints the figures of bench/engine.py as JSON; exit status 3 where the package is not installed.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

HARNESS = """
const handlers = {};
globalThis.on = (name, handler) => { handlers[name] = handler; };
globalThis.dispatch = (text) => { handlers.MESSAGE_CREATE(JSON.parse(text)); return 0; };
"""


def mini_racer() -> tuple[str, Callable[[str], Callable[[str], Any]]]:
    from py_mini_racer import MiniRacer

    def make(code: str) -> Callable[[str], Any]:
        context = MiniRacer()
        context.eval(HARNESS + code)
        return lambda text: context.eval(f"dispatch({text!r})")

    return f"mini-racer {version('mini-racer')}", make


def quickjs() -> tuple[str, Callable[[str], Callable[[str], Any]]]:
    from quickjs import Context

    def make(code: str) -> Callable[[str], Any]:
        context = Context()
        context.eval(HARNESS + code)
        dispatch = context.get("dispatch")

        def call(text: str) -> None:
            dispatch(text)
            while context.execute_pending_job():
                pass

        return call

    return f"quickjs-ng {version('quickjs-ng')}", make


def resident_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def main() -> None:
    task = json.load(sys.stdin)
    try:
        name, make = {"mini_racer": mini_racer, "quickjs": quickjs}[sys.argv[1]]()
    except ImportError:
        sys.exit(3)
    text = json.dumps(task["message"])
    before = resident_kib()
    guilds, starts = [], []
    for _ in range(task["guilds"]):
        began = time.perf_counter()
        guilds.append(make(task["bundle"]))
        starts.append(time.perf_counter() - began)
    grown = resident_kib() - before
    for _ in range(200):
        guilds[0](text)
    trips = []
    for _ in range(task["dispatches"]):
        began = time.perf_counter()
        guilds[0](text)
        trips.append(time.perf_counter() - began)
    figures = {
        "version": name,
        "ready_ms": statistics.median(starts) * 1e3,
        "guild_mib": grown / 1024 / len(guilds),
        "trip_us": statistics.median(trips) * 1e6,
        "pipelined": len(trips) / sum(trips),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
