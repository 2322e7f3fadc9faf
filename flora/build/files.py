"""Which files are a project's sources: what a revision keeps beside its bundle."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from flora.build.ignore import IgnoreFile, is_ignored
from flora.build.types import BuildError, Diagnostic, SourceFile

MAX_FILES: Final = 1000
MAX_FILE_BYTES: Final = 10 * 2**20
MAX_PROJECT_BYTES: Final = 200 * 2**20

_EXTENSIONS: Final = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
_NAMES: Final = frozenset(
    {
        "package.json",
        "package-lock.json",
        "pnpm-lock.yaml",
        "yarn.lock",
        "tsconfig.json",
        "flora.json",
    }
)
_SKIPPED_FOLDERS: Final = frozenset(
    {
        "node_modules",
        "target",
        "dist",
        ".output",
        ".next",
        ".nuxt",
        ".svelte-kit",
        "build",
        "out",
        ".turbo",
        ".cache",
        "coverage",
        ".parcel-cache",
        ".vite",
        ".git",
    }
)
_IGNORE_FILES: Final = (".gitignore", ".ignore")


def collect_files(root: Path, bundled: Iterable[str] = ()) -> tuple[SourceFile, ...]:
    """The sources below `root`, sorted by path, always with those that went into the bundle (`bundled`).

    Ignore files are honoured at every level, symbolic links are not followed. Blocks on the file system:
    run it in a thread. Raises BuildError when a limit is passed or a file is not UTF-8 text.
    """
    paths = sorted({*walk(root, is_source), *bundled})
    if len(paths) > MAX_FILES:
        raise BuildError(f"The project has {len(paths)} source files; the limit is {MAX_FILES}.")
    files: list[SourceFile] = []
    total = 0
    for path in paths:
        contents = read_source(root, path)
        total += len(contents)
        if total > MAX_PROJECT_BYTES:
            raise BuildError(f"The project's sources exceed the limit of {MAX_PROJECT_BYTES // 2**20} MiB.")
        files.append(SourceFile(path, contents))
    return tuple(files)


def read_source(root: Path, path: str) -> str:
    """The text of one source, `path` relative to `root`. Raises BuildError."""
    try:
        with (root / path).open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise BuildError(
                f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB.",
                (Diagnostic(path, 0, 0, "the file is too large"),),
            )
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BuildError(f"{path} is not UTF-8 text.", (Diagnostic(path, 0, 0, "not UTF-8 text"),)) from error
    except OSError as error:
        raise BuildError(f"Cannot read {path}: {error.strerror}.") from error


FileStamp = tuple[int, int, int]
"""Modification time in ns, size, inode: what changes when a file is saved."""


def stamp_files(root: Path, skipped: Iterable[Path] = ()) -> dict[str, FileStamp]:
    """All files of the project by path, for a look at what has changed; without ignored ones and folders in
    `skipped` (absolute). Blocks on the file system; a file that vanishes meanwhile is not there.
    """
    left_out = frozenset(skipped)
    stamps: dict[str, FileStamp] = {}
    for path in walk(root, lambda _: True, skipped=left_out):
        with contextlib.suppress(OSError):
            stat = (root / path).stat()
            stamps[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return stamps


def walk(
    root: Path,
    wanted: Callable[[str], bool],
    folder: str = "",
    ignores: tuple[IgnoreFile, ...] = (),
    skipped: frozenset[Path] = frozenset(),
) -> Iterator[str]:
    here = root / folder
    active = [*ignores]
    for name in _IGNORE_FILES:
        file = here / name
        if file.is_file() and not file.is_symlink():
            active.append(IgnoreFile.parse(file.read_text("utf-8", "replace"), folder))
    with os.scandir(here) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_symlink():
            continue
        if entry.is_dir():
            if (
                entry.name not in _SKIPPED_FOLDERS
                and not is_ignored(path, True, active)
                and root / path not in skipped
            ):
                yield from walk(root, wanted, path, tuple(active), skipped)
        elif entry.is_file() and wanted(entry.name) and not is_ignored(path, False, active):
            yield path


def is_source(name: str) -> bool:
    return name in _NAMES or name.endswith(_EXTENSIONS)
