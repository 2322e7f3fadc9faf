"""The SDK as the engine loads it: `sdk/src/index.ts` becomes `flora/engine/sdk/flora_sdk.js`.

The file is one script whose value is the SDK's `install` function, `(host) => sdk`; it leaves nothing in the
global scope by itself. The authors' types, `sdk/flora.d.ts`, stand beside it. An installed wheel carries
both and has no sources; in a source tree `python -m flora.build.sdk` makes them anew when a source changed.

Beside it stands `flora_test_sdk.js`, which `flora test` puts under it: see `sdk/src/testing/`.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import trio

from flora.build.diagnostics import parse_esbuild, summary
from flora.build.process import run_tool, tool_environment
from flora.build.toolchain import NodeMissingError, Progress, Toolchain, ToolchainError, lock_name
from flora.build.types import BuildError
from flora.errors import FloraError

_PACKAGE: Final = Path(__file__).resolve().parent.parent
BUILT_DIR: Final = _PACKAGE / "engine" / "sdk"
SOURCE_DIR: Final = _PACKAGE.parent / "sdk"
SCRIPT_NAME: Final = "flora_sdk.js"
TEST_SCRIPT_NAME: Final = "flora_test_sdk.js"
TYPES_NAME: Final = "flora.d.ts"
_STAMP_NAME: Final = ".stamp"
_DEADLINE: Final = 60.0
EXIT_NODE_MISSING: Final = 3
_GLOBAL: Final = "__flora_sdk"
_FLAGS: Final = (
    "--bundle",
    "--format=iife",
    f"--global-name={_GLOBAL}",
    "--platform=neutral",
    "--target=firefox136",
    "--charset=ascii",  # half the memory: the engine keeps text beyond Latin-1 in two bytes a character
    "--legal-comments=none",
    "--color=false",
    "--main-fields=module,main",
    # The wrapper keeps the name that esbuild needs out of the global scope.
    "--banner:js=(() => {",
    f"--footer:js=return {_GLOBAL}.install;\n}})()",
)

# npm's packages, as text that the SDK compiles when it is needed (`sdk/src/web/late.ts`): late/<name>.cjs is
# `late-<name>` to the SDK's sources, and leaves its exports in `late`. All of it is CommonJS: what esbuild
# adds to the other kind does not survive a script that has extended `Object.prototype`.
_LATE: Final = "src/late"
_LATE_FLAGS: Final = (
    "--bundle",
    "--minify",
    "--format=iife",
    "--global-name=late",
    "--platform=neutral",
    "--target=firefox136",
    "--charset=ascii",
    "--legal-comments=none",
    "--color=false",
    "--main-fields=main",
)

# What the SDK evaluates late, npm's code included, gets the globals of this file: as they were before any
# guild code.
_REALM: Final = "src/web/realm.ts"


class SdkMissingError(FloraError):
    """There is neither a built SDK nor sources to build it from."""

    code = "SDK_MISSING"


def script_file() -> Path:
    """The built SDK. Raises SdkMissingError."""
    return _built(SCRIPT_NAME)


def test_script() -> str:
    """The SDK of processes that run tests: the built SDK on top of the test kit. Raises SdkMissingError."""
    kit, production = (_built(name).read_text("utf-8") for name in (TEST_SCRIPT_NAME, SCRIPT_NAME))
    return f"(() => {{ const kit = {kit}; return kit(() => {production}); }})()"


def types_file() -> Path:
    """The types that every guild script sees. Raises SdkMissingError."""
    source = SOURCE_DIR / TYPES_NAME
    return source if source.is_file() else _built(TYPES_NAME)


def _built(name: str) -> Path:
    file = BUILT_DIR / name
    if not file.is_file():
        raise SdkMissingError(f"The SDK is not built: {file} is missing.", hint="Run `just setup`.")
    return file


async def ensure_sdk(progress: Progress = lambda _: None, toolchain: Toolchain | None = None) -> Path:
    """The built SDK script, made anew first when its sources, flags or toolchain changed.

    Safe against several processes at once: each file is renamed into place, the stamp last.
    Raises BuildError when the sources do not build, ToolchainError, SdkMissingError.
    """
    entry = SOURCE_DIR / "src" / "index.ts"
    if not entry.is_file():
        return script_file()
    stamp = _stamp()
    stamp_file = BUILT_DIR / _STAMP_NAME
    if (BUILT_DIR / SCRIPT_NAME).is_file() and _read(stamp_file) == stamp:
        return BUILT_DIR / SCRIPT_NAME
    tools = toolchain or await Toolchain.ensure(progress)
    BUILT_DIR.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=BUILT_DIR))
    try:
        realm = SOURCE_DIR / _REALM
        flags = [f"--inject:{realm}"] if realm.is_file() else []
        for source in sorted((SOURCE_DIR / _LATE).glob("*.cjs")):
            text = scratch / f"{source.stem}.txt"
            await _bundle(tools, source, text, *_LATE_FLAGS)
            flags.append(f"--alias:late-{source.stem}={text}")
        await _bundle(tools, entry, scratch / SCRIPT_NAME, *_FLAGS, *flags)
        await _bundle(tools, entry.parent / "testing" / "index.ts", scratch / TEST_SCRIPT_NAME, *_FLAGS)
        shutil.copy(SOURCE_DIR / TYPES_NAME, scratch / TYPES_NAME)
        (scratch / _STAMP_NAME).write_text(stamp, "ascii")
        for name in (SCRIPT_NAME, TEST_SCRIPT_NAME, TYPES_NAME, _STAMP_NAME):
            (scratch / name).replace(BUILT_DIR / name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    progress("SDK built")
    return BUILT_DIR / SCRIPT_NAME


async def _bundle(tools: Toolchain, entry: Path, script: Path, *flags: str) -> None:
    env = {**tool_environment(script.parent), "NODE_PATH": str(tools.node_modules)}
    with trio.move_on_after(_DEADLINE) as scope:
        result = await run_tool(
            [tools.esbuild, entry, *flags, f"--outfile={script}"], cwd=SOURCE_DIR, env=env
        )
    if scope.cancelled_caught:
        raise ToolchainError(f"esbuild did not finish the SDK within {_DEADLINE:.0f} s.")
    errors, _ = parse_esbuild(result.stderr, SOURCE_DIR)
    if errors:
        raise BuildError(f"sdk: {summary(tuple(errors))}", tuple(errors))
    if result.status != 0:
        raise ToolchainError(f"esbuild failed on the SDK (exit {result.status}): {result.stderr[-300:]}")


def _stamp() -> str:
    digest = hashlib.sha256("\0".join((lock_name(), *_FLAGS, *_LATE_FLAGS)).encode())
    for file in sorted([*SOURCE_DIR.glob("src/**/*"), SOURCE_DIR / TYPES_NAME, SOURCE_DIR / "tsconfig.json"]):
        if file.is_file():
            digest.update(f"{file.relative_to(SOURCE_DIR).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""


async def _ensure_all() -> None:
    def progress(line: str) -> None:
        print(f"flora: {line}", flush=True)

    await ensure_sdk(progress, await Toolchain.ensure(progress))


def main() -> int:
    """Install the toolchain and build the SDK; EXIT_NODE_MISSING tells `just setup` to get a Node.js."""
    try:
        trio.run(_ensure_all)
    except NodeMissingError as error:
        print(f"flora: {error}", file=sys.stderr)
        return EXIT_NODE_MISSING
    except FloraError as error:
        print(f"flora: {error}", file=sys.stderr)
        for item in getattr(error, "diagnostics", ()):
            print(f"{item}\n{item.code_frame}".rstrip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
