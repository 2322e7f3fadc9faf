"""A project as the zip file that a build service takes: what `flora.build.archive` unpacks.

In it is what a build reads: sources, the manifest and its lock, and files of the kinds that can be imported.
Nothing else leaves the machine (`.env`, `.npmrc`), nor do ignored files or `node_modules`. The same files
give the same bytes.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

from flora.build.bundle import entry_path
from flora.build.files import MAX_FILE_BYTES, MAX_FILES, MAX_PROJECT_BYTES, is_source, walk
from flora.build.packages import read_manifest, review_files
from flora.build.types import BuildError, Diagnostic

_IMPORTED: Final = (".json", ".txt", ".css")  # by esbuild as data, beside the sources
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)  # that a zip file can say
_MODE: Final = 0o100644 << 16


def pack_project(root: Path, entry: str) -> bytes:
    """The zip file of the project in `root`, always with its file `entry`, as `entry_path` gives it.

    Blocks on the file system: run it in a thread. Raises BuildError when the project passes a limit of build
    services or its packages are refused, before anything is sent.
    """
    root = root.resolve()
    entry = entry_path(root, entry)  # a project that was cloned may name a file of its author's choice
    if (manifest := read_manifest(root)) is not None and manifest.names:
        review_files(root)
    paths = {entry, *walk(root, lambda name: is_source(name) or name.endswith(_IMPORTED))}
    if len(paths) > MAX_FILES:
        raise BuildError(f"The project has {len(paths)} files to send; the limit is {MAX_FILES}.")
    buffer = io.BytesIO()
    total = 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(paths):
            contents = _read(root, path)
            total += len(contents)
            if total > MAX_PROJECT_BYTES:
                raise BuildError(f"The project exceeds the limit of {MAX_PROJECT_BYTES // 2**20} MiB.")
            info = zipfile.ZipInfo(path, _EARLIEST)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = _MODE
            archive.writestr(info, contents)
    return buffer.getvalue()


def _read(root: Path, path: str) -> bytes:
    try:
        with (root / path).open("rb") as file:
            contents = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BuildError(f"Cannot read {path}: {error.strerror}.") from error
    if len(contents) > MAX_FILE_BYTES:
        raise BuildError(
            f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB.",
            (Diagnostic(path, 0, 0, "the file is too large"),),
        )
    return contents
