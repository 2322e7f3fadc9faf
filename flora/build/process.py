"""Run one tool of the toolchain: bounded in time, output and memory, and gone when its caller is gone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from flora.build.sandbox import Sandbox

# What a tool says beyond this is cut: nobody reads more, and a hostile project must not fill our memory.
MAX_OUTPUT_BYTES: Final = 2**20
# esbuild takes 12 MB for a small project and tsc 60 MB; types that expand without end stop here.
MAX_DATA_BYTES: Final = 2 * 2**30
# No file that a tool writes may be larger (bundle and map of the largest allowed script are smaller).
MAX_WRITE_BYTES: Final = 256 * 2**20


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`status` is the exit code, negative for a signal; the texts are cut at MAX_OUTPUT_BYTES each."""

    status: int
    stdout: str
    stderr: str


async def run_tool(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    limited: bool = True,
    sandbox: Sandbox | None = None,
) -> ToolResult:
    """Run `command` to its end with nothing on its stdin and return what it said.

    Cancellation kills the process with SIGKILL and waits until it is gone; deadlines are the caller's cancel
    scope. `env` replaces the environment when given. `limited` sets limits on memory and file size where the
    platform can (Linux). In a `sandbox` the tool has its limits, and `env` with what the sandbox adds.
    Raises OSError when the command cannot be started.
    """
    out, err = bytearray(), bytearray()
    process = await trio.lowlevel.open_process(
        [str(part) for part in command] if sandbox is None else sandbox.wrap(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=_environment(env, sandbox),
    )
    try:
        if limited and sandbox is None:
            _limit(process.pid)
        async with trio.open_nursery() as readers:
            readers.start_soon(_read, process.stdout, out)
            readers.start_soon(_read, process.stderr, err)
        status = await process.wait()
    finally:
        with trio.CancelScope(shield=True):
            process.kill()  # does nothing when it has ended
            await process.wait()
    return ToolResult(status, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def _environment(env: Mapping[str, str] | None, sandbox: Sandbox | None) -> dict[str, str]:
    if sandbox is None:
        return dict(os.environ if env is None else env)
    return {**tool_environment(sandbox.scratch), **(env or {}), **sandbox.environment}


async def _read(stream: trio.abc.ReceiveStream | None, into: bytearray) -> None:
    assert stream is not None
    async with stream:
        async for chunk in stream:
            if room := MAX_OUTPUT_BYTES - len(into):  # the rest is read and dropped, so that the tool can end
                into += chunk[:room]


def _limit(pid: int) -> None:
    if sys.platform != "linux":
        return
    import resource

    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_DATA, (MAX_DATA_BYTES, MAX_DATA_BYTES))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (MAX_WRITE_BYTES, MAX_WRITE_BYTES))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


def tool_environment(scratch: Path) -> dict[str, str]:
    """The environment of a tool that reads a project: none of ours, which may hold secrets."""
    env = {"PATH": os.defpath, "HOME": str(scratch), "TMPDIR": str(scratch), "LANG": "C.UTF-8"}
    if sys.platform == "win32":
        env["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")
    return env
