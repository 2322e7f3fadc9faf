"""A tool runs bounded: its output, its memory, its life."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import trio

from flora.build.process import MAX_OUTPUT_BYTES, run_tool

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="resource limits are Linux's")


async def test_what_a_tool_says_and_how_it_ends(tmp_path: Path) -> None:
    result = await run_tool(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], cwd=tmp_path)
    assert (result.status, result.stdout, result.stderr) == (3, "out\n", "err\n")


async def test_output_is_cut_and_the_tool_still_ends(tmp_path: Path) -> None:
    with trio.fail_after(30):
        result = await run_tool(["/bin/sh", "-c", "head -c 20000000 /dev/zero; exit 5"], cwd=tmp_path)
    assert result.status == 5
    assert len(result.stdout) == MAX_OUTPUT_BYTES


async def test_a_tool_that_is_not_there_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        await run_tool([tmp_path / "none"], cwd=tmp_path)


@LINUX
async def test_memory_is_limited(tmp_path: Path) -> None:
    code = "import time; time.sleep(0.5); bytearray(3 * 2**30)"
    with trio.fail_after(30):
        result = await run_tool([sys.executable, "-c", code], cwd=tmp_path)
    assert "MemoryError" in result.stderr
