"""The project that a command works with: where it is, where it starts, and its way to a bundle."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from flora.build.toolchain import Progress
    from flora.build.types import Bundle

DEFAULT_ENTRY: Final = "src/main.ts"


@dataclass(frozen=True, slots=True)
class Project:
    """`entry` is relative to `folder`, with forward slashes."""

    folder: Path
    entry: str


def find_project(root: Path | None, entry: str | None) -> Project:
    """The order is: option, the project's configuration, default. Raises TargetError, BuildError."""
    from flora.build.project import read_project
    from flora.cli.target import TargetError

    folder = root or Path()
    if not folder.is_dir():
        raise TargetError(f"there is no folder {folder}.", hint="Name the project's folder with --root.")
    settings = read_project(folder)
    if root is None and settings.root is not None:
        folder /= settings.root
    first = entry or settings.entry or DEFAULT_ENTRY
    # A path as the shell completes it counts from here, one as a configuration has it from the root.
    inside = Path(os.path.relpath(first, folder)) if entry and (Path.cwd() / first).is_file() else Path(first)
    return Project(folder, inside.as_posix())


def open_project(folder: Path) -> Project:
    """The project whose configuration is in `folder`. Raises BuildError."""
    from flora.build.project import read_project

    settings = read_project(folder)
    return Project(folder / (settings.root or ""), settings.entry or DEFAULT_ENTRY)


async def build(project: Project, progress: Progress, *, check: bool, install: bool) -> Bundle:
    """Build the project; `install` installs its packages first where they are missing.

    Raises BuildError, PackagesError, ToolchainError.
    """
    import trio

    from flora.build.bundle import build_project
    from flora.build.packages import ensure_packages
    from flora.cli.scaffold import refresh_types

    await trio.to_thread.run_sync(refresh_types, project.folder)
    if install:
        await ensure_packages(project.folder, progress)
    return await build_project(project.folder, project.entry, check=check, progress=progress)


def deploy_body(guild_id: str, bundle: Bundle) -> dict[str, Any]:
    """What the API takes as a script to run."""
    return {
        "guild_id": guild_id,
        "entry_point": bundle.entry_point,
        "bundle": bundle.code,
        "source_map": bundle.source_map,
        "files": [{"path": file.path, "contents": file.contents} for file in bundle.files],
    }
