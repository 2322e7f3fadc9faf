"""Which changes of a project `flora dev` sees."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from flora.cli.dev.watch import watch


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "bot"
    for path in ("src/main.ts", "src/data.json", "src/deep/er/x.ts", "data/db", "node_modules/a/index.js"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("1")
    (folder / ".gitignore").write_text("*.tmp\n/generated/\n")
    return folder


class Seen:
    def __init__(self) -> None:
        self.batches: list[frozenset[str]] = []

    async def until(self, *paths: str) -> None:
        """Exactly these have changed, in however many steps."""
        with trio.fail_after(10):
            while not set(paths) <= {path for batch in self.batches for path in batch}:
                await trio.sleep(0.01)
        assert {path for batch in self.batches for path in batch} == set(paths)
        self.batches.clear()


@asynccontextmanager
async def watching(root: Path) -> AsyncIterator[Seen]:
    seen = Seen()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, root, (root / "data",), seen.batches.append)
        (root / "begun").write_text("")
        with trio.fail_after(10):
            number = 0
            while not seen.batches:  # the first look may come after it
                number += 1
                (root / "begun").write_text("x" * number)
                await trio.sleep(0.2)
        await trio.sleep(0.2)
        seen.batches.clear()
        yield seen
        nursery.cancel_scope.cancel()


async def test_writing_making_removing_and_renaming_are_seen(root: Path) -> None:
    async with watching(root) as seen:
        (root / "src/main.ts").write_text("22")
        await seen.until("src/main.ts")
        (root / "src/new.ts").write_text("")
        await seen.until("src/new.ts")
        (root / "src/data.json").unlink()
        await seen.until("src/data.json")
        (root / "src/deep/er/x.ts").rename(root / "src/deep/er/y.ts")
        await seen.until("src/deep/er/x.ts", "src/deep/er/y.ts")
        shutil.rmtree(root / "src/deep")
        await seen.until("src/deep/er/y.ts")


async def test_an_editor_that_replaces_the_file_is_seen(root: Path) -> None:
    """Same size and same time of modification, another file."""
    async with watching(root) as seen:
        before = (root / "src/main.ts").stat()
        (root / "src/other.tmp").write_text("2")
        os.utime(root / "src/other.tmp", ns=(before.st_atime_ns, before.st_mtime_ns))
        (root / "src/other.tmp").rename(root / "src/main.ts")
        await seen.until("src/main.ts")


async def test_what_is_ignored_installed_or_data_is_not_seen(root: Path) -> None:
    async with watching(root) as seen:
        for path in ("x.tmp", "data/db", "node_modules/a/index.js", "generated/y.ts"):
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).write_text("changed")
        (root / "src/main.ts").write_text("changed")
        await seen.until("src/main.ts")


async def test_many_files_saved_at_once_are_one_change(root: Path) -> None:
    async with watching(root) as seen:
        paths = [f"src/{number}.ts" for number in range(50)]
        for path in paths:
            (root / path).write_text("")
        with trio.fail_after(10):
            while not seen.batches:
                await trio.sleep(0.01)
        assert len(seen.batches) == 1
        await seen.until(*paths)


async def test_a_project_that_vanishes_and_returns_is_followed(root: Path) -> None:
    async with watching(root) as seen:
        shutil.move(root, root.parent / "elsewhere")
        with trio.fail_after(10):
            while not seen.batches:
                await trio.sleep(0.01)
        seen.batches.clear()
        shutil.move(root.parent / "elsewhere", root)
        with trio.fail_after(10):
            while not any("src/main.ts" in batch for batch in seen.batches):
                await trio.sleep(0.01)
