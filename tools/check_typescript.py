"""Type check the SDK's sources and every example with the pinned compiler: a part of `just check`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from flora.build.bundle import build_project
from flora.build.project import read_project
from flora.build.toolchain import Toolchain
from flora.build.typecheck import check_types
from flora.build.types import BuildError, Diagnostic
from flora.errors import FloraError

ROOT = Path(__file__).resolve().parent.parent
SDK = ROOT / "sdk"
EXAMPLES = ROOT / "examples"


def main() -> int:
    started = time.monotonic()
    try:
        findings, checked = trio.run(check_all)
    except FloraError as error:
        print(f"check: {error}", file=sys.stderr)
        return 1
    for finding in findings:
        print(finding, file=sys.stderr)
    if findings:
        return 1
    print(f"TypeScript: no issues found in {', '.join(checked)} ({time.monotonic() - started:.1f} s)")
    return 0


async def check_all() -> tuple[list[str], list[str]]:
    """All findings as text, and the names of what was checked."""
    tools = await Toolchain.ensure()
    findings = await check_sdk(tools)
    examples = sorted(file.parent for file in EXAMPLES.glob("*/package.json"))
    for example in examples:
        findings += await check_example(tools, example)
    return findings, ["the SDK", *(example.relative_to(ROOT).as_posix() for example in examples)]


async def check_sdk(tools: Toolchain) -> list[str]:
    with tempfile.TemporaryDirectory() as scratch:
        result = await check_types(tools, SDK, ("src/index.ts",), None, Path(scratch))
    return ([result.failure] if result.failure else []) + shown("sdk", result.errors)


async def check_example(tools: Toolchain, example: Path) -> list[str]:
    settings = await trio.to_thread.run_sync(read_project, example)
    try:
        await build_project(example, settings.entry or "src/main.ts", toolchain=tools)
    except BuildError as error:
        name = example.relative_to(ROOT).as_posix()
        return shown(name, error.diagnostics) or [f"{name}: {error}"]
    return []


def shown(folder: str, diagnostics: Sequence[Diagnostic]) -> list[str]:
    return [f"{folder}/{item}\n{item.code_frame}".rstrip() for item in diagnostics]


if __name__ == "__main__":
    sys.exit(main())
