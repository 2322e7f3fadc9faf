"""Builds of strangers' projects on a server: the code that the command line runs, in a sandbox.

A worker has a folder of its own outside the data directory, since the user of its tools may not go through
that. One build at a time; what it leaves is removed before the next one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import trio

from flora.build.archive import unpack
from flora.build.bundle import build_project
from flora.build.packages import NPM_REGISTRY, Installer, PackagesError, ensure_packages, read_manifest
from flora.build.process import run_tool, tool_environment
from flora.build.project import read_project
from flora.build.sandbox import Sandbox, SandboxReport, probe
from flora.build.sdk import types_file
from flora.build.toolchain import Progress, Toolchain, ToolchainError, find_npm
from flora.build.types import Bundle
from flora.errors import FloraError

# Above what guild processes use (flora.engine.child.seal), below 2**31.
BUILD_UID_BASE: Final = 1_950_000_000
MAX_INSTALLED_BYTES: Final = 1 * 2**30
_WATCH_SECS: Final = 1.0
_SETTINGS: Final = ("registry", "proxy", "https-proxy", "noproxy", "cafile")
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
# npm's cafile in the words of Node, which reads it beside its own.
_CA_VARIABLE: Final = "NODE_EXTRA_CA_CERTS"


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all workers share."""

    toolchain: Toolchain
    folder: Path
    report: SandboxReport
    own_user: bool

    @classmethod
    @asynccontextmanager
    async def open(cls, progress: Progress) -> AsyncIterator[Workshop]:
        """Finds the toolchain and tries the sandbox. Raises ToolchainError, OSError."""
        toolchain = await Toolchain.ensure(progress)
        with _folder() as folder:
            trial = Sandbox(folder, (), BUILD_UID_BASE if _is_root() else None)
            report = await probe(trial)
            own_user = _is_root() and await _reaches(trial, toolchain)
            if _is_root() and not own_user:
                missing = {**report.missing, "user": f"an unprivileged user cannot use {toolchain.root}"}
                report = replace(report, missing=missing)
            yield cls(toolchain, folder, report, own_user)

    def worker(self, number: int) -> Worker:
        return Worker(self, number)


class Worker:
    """Builds one project at a time."""

    def __init__(self, workshop: Workshop, number: int) -> None:
        self._workshop = workshop
        self._home = workshop.folder / f"worker-{number}"
        self._uid = BUILD_UID_BASE + number if workshop.own_user else None
        self._installer: Installer | None = None

    async def build(
        self, archive: Path, entry: str | None, *, check: bool, max_script_bytes: int, progress: Progress
    ) -> Bundle:
        """Build the project in the zip file `archive`; `entry` is its first file, by default what it says.

        The caller's cancel scope is its deadline; cancellation kills the tools.
        Raises BuildError, ArchiveError, ToolchainError, OSError.
        """
        project, scratch = self._home / "project", self._home / "scratch"
        try:
            size = await trio.to_thread.run_sync(self._unpack, archive, project, scratch)
            progress(f"unpacked {size:,} bytes")
            settings = await trio.to_thread.run_sync(read_project, project)
            tools = self._workshop.toolchain
            read = (tools.root, project, types_file().parent)
            sandbox = Sandbox(scratch, read, self._uid)
            await self._install(project, sandbox, progress)
            bundle = await build_project(
                project,
                entry or settings.entry or "src/main.ts",
                check=check,
                toolchain=replace(tools, sandbox=sandbox),
                max_script_bytes=max_script_bytes,
            )
            progress(f"built {bundle.entry_point}: {len(bundle.code.encode()):,} bytes")
            return bundle
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._clear, project, scratch)

    def _unpack(self, archive: Path, project: Path, scratch: Path) -> int:
        self._clear(project, scratch)
        for folder in (self._home, scratch, project, self._home / "npm-cache"):
            folder.mkdir(mode=0o700, exist_ok=True)
        size = unpack(archive.read_bytes(), project)
        if self._uid is not None:
            for path in (self._home, scratch, self._home / "npm-cache", project, *project.rglob("*")):
                os.chown(path, self._uid, self._uid, follow_symlinks=False)
        return size

    def _clear(self, *folders: Path) -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    async def _install(self, project: Path, sandbox: Sandbox, progress: Progress) -> None:
        """The project's packages, from the registry and from nowhere else."""
        await trio.to_thread.run_sync(shutil.rmtree, project / "node_modules", True)
        manifest = await trio.to_thread.run_sync(read_manifest, project)
        if manifest is None or not manifest.names:
            return
        if self._installer is None:
            self._installer = await find_installer(sandbox)
        cache = self._home / "npm-cache"
        installer = replace(
            self._installer,
            sandbox=replace(
                sandbox.with_network(
                    project, self._installer.sandbox.read, self._installer.sandbox.environment
                ),
                write=(project, cache),
                environment={**self._installer.sandbox.environment, "npm_config_cache": str(cache)},
                data_bytes=4 * 2**30,  # Node reserves for its heap
            ),
        )
        failure: FloraError | None = None
        too_large = False
        async with trio.open_nursery() as nursery:

            async def bound_size() -> None:
                nonlocal too_large
                while not too_large:
                    await trio.sleep(_WATCH_SECS)
                    too_large = await trio.to_thread.run_sync(_size, project) > MAX_INSTALLED_BYTES
                nursery.cancel_scope.cancel()

            nursery.start_soon(bound_size)
            try:
                await ensure_packages(project, progress, installer=installer)
            except FloraError as error:
                failure = error
            nursery.cancel_scope.cancel()
        if too_large:
            raise PackagesError(f"the packages are larger than {MAX_INSTALLED_BYTES // 2**30} GiB.")
        if failure is not None:
            raise failure


async def find_installer(sandbox: Sandbox) -> Installer:
    """npm as programs rather than as a script that looks for Node, and what this host has it set to.

    No credential of the host's is among that. Raises ToolchainError.
    """
    npm = await find_npm()
    if len(npm) == 1:
        node = shutil.which("node")
        assert node is not None  # find_npm has found it
        npm = (node, _real(npm[0]))
    result = await run_tool([*npm, "config", "get", *_SETTINGS], cwd=sandbox.scratch, limited=False)
    settings = dict(
        line.partition("=")[::2] for line in result.stdout.splitlines() if line.partition("=")[2] != "null"
    )
    registry = settings.get("registry") or NPM_REGISTRY
    if result.status != 0 or not registry.startswith(("https://", "http://")):
        raise ToolchainError(f"npm does not say which registry it uses (exit {result.status}).")
    environment = {name: os.environ[name] for name in _PROXIES if name in os.environ}
    environment |= {
        f"npm_config_{name.replace('-', '_')}": settings[name]
        for name in ("proxy", "https-proxy", "noproxy", "cafile")
        if settings.get(name)
    }
    authorities = [Path(settings["cafile"])] if settings.get("cafile") else []
    if (more := os.environ.get(_CA_VARIABLE)) is not None:
        environment[_CA_VARIABLE] = more
        authorities.append(Path(more))
    reads = (Path(_real(npm[0])), _package_of(npm[1]), *authorities)
    return Installer(
        npm,
        replace(sandbox, read=reads, environment=environment),
        registry if registry.endswith("/") else f"{registry}/",
    )


def _real(program: str | Path) -> str:
    return os.path.realpath(program)


def _package_of(script: str | Path) -> Path:
    """The folder of npm itself, of its `bin/npm-cli.js`."""
    return Path(_real(script)).parent.parent


def _size(folder: Path) -> int:
    total = 0
    for above, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(above, name)).st_blocks * 512
    return total


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="flora-builds-")).resolve()
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_root() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0


async def _reaches(sandbox: Sandbox, toolchain: Toolchain) -> bool:
    """Whether the tools' own user can run them."""
    trial = replace(sandbox, read=(toolchain.root,))
    with trio.move_on_after(20):
        ran = await run_tool(
            [toolchain.esbuild, "--version"],
            cwd=Path("/"),
            env=tool_environment(trial.scratch),
            sandbox=trial,
        )
        return ran.status == 0
    return False
