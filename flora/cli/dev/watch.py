"""Sees when files of a project change, by looking at them again and again: that works everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from flora.build.files import FileStamp, stamp_files

# Between two looks, in seconds; 50 ms are a tenth of what a save may take until it runs.
PAUSE: Final = 0.05
# Of a core that looking may take, however large the project is.
SHARE: Final = 0.05
# Editors write in several steps, and "save all" writes many files: it is over when two looks see the same.
SETTLE: Final = 0.015
SETTLE_AT_MOST: Final = 1.0

Stamps = dict[str, FileStamp]


async def watch(root: Path, skipped: tuple[Path, ...], changed: Callable[[frozenset[str]], None]) -> None:
    """Call `changed` with the paths of what was written, made or removed, until cancelled."""
    seen, _ = await _look(root, skipped)
    while True:
        now, took = await _look(root, skipped)
        if now != seen:
            before, seen = seen, await _settled(root, skipped, now)
            changed(frozenset(path for path, _ in before.items() ^ seen.items()))
        await trio.sleep(max(PAUSE, took / SHARE))


async def _settled(root: Path, skipped: tuple[Path, ...], seen: Stamps) -> Stamps:
    with trio.move_on_after(SETTLE_AT_MOST):
        while True:
            await trio.sleep(SETTLE)
            now, _ = await _look(root, skipped)
            if now == seen:
                break
            seen = now
    return seen


async def _look(root: Path, skipped: tuple[Path, ...]) -> tuple[Stamps, float]:
    began = time.perf_counter()
    try:
        stamps = await trio.to_thread.run_sync(stamp_files, root, skipped)
    except OSError:
        stamps = {}  # a folder vanished while it was being read; the next look shows what is left
    return stamps, time.perf_counter() - began
