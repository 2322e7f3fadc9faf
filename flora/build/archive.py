"""A project out of an uploaded zip file: untrusted in every byte.

Nothing is written before the whole directory of the archive has been reviewed. Only plain files are taken;
names are relative, in Unicode NFC, and no two of them are the same to a file system that ignores case. Sizes
are counted while unpacking, since what an archive says of itself need not be so.
"""

from __future__ import annotations

import io
import os
import stat
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from flora.build.files import MAX_FILE_BYTES, MAX_FILES, MAX_PROJECT_BYTES
from flora.errors import FloraError

MAX_PATH: Final = 512
MAX_DEPTH: Final = 32
MAX_ENTRIES: Final = 2 * MAX_FILES  # folders are entries, too
MAX_DIRECTORY_BYTES: Final = 4 * 2**20
_END_BYTES: Final = 22
_CHUNK: Final = 64 * 1024
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED: Final = 1
# What other systems than ours read differently: device names, streams, trailing dots.
_RESERVED: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
)


class ArchiveError(FloraError):
    """The upload is no zip file, or one that is not taken."""

    code = "INVALID_ARCHIVE"


class NoArchiveError(ArchiveError):
    """It is no zip file at all."""

    code = "BAD_REQUEST"


@dataclass(frozen=True, slots=True)
class _File:
    info: zipfile.ZipInfo
    path: PurePosixPath


def check_archive(data: bytes) -> None:
    """Look at the archive's directory only. Raises ArchiveError."""
    with _open(data) as archive:
        _review(archive)


def unpack(data: bytes, folder: Path) -> int:
    """Write the archive's files into `folder`, which is empty; how many bytes they have.

    Blocks on the file system: run it in a thread. Raises ArchiveError, and leaves what it has written.
    """
    total = 0
    with _open(data) as archive:
        for file in _review(archive):
            target = folder / file.path
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            total += _write(archive, file, target, MAX_PROJECT_BYTES - total)
    return total


def _open(data: bytes) -> zipfile.ZipFile:
    # The end record (PKWARE APPNOTE, 4.3.16) says how large the directory is, before anybody parses it.
    end = data[-_END_BYTES:]
    if len(end) < _END_BYTES or end[:4] != b"PK\x05\x06" or end[-2:] != b"\0\0":
        raise NoArchiveError("this is not a zip file, or one with a comment.")
    if data[-_END_BYTES - 20 : -_END_BYTES][:4] == b"PK\x06\x07":
        raise ArchiveError("the archive is in the ZIP64 format; it is too large.")
    if int.from_bytes(end[12:16], "little") > MAX_DIRECTORY_BYTES:
        raise ArchiveError(f"the archive's directory is larger than {MAX_DIRECTORY_BYTES // 2**20} MiB.")
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, OverflowError) as error:
        raise NoArchiveError(f"this is not a zip file: {error}.") from error


def _review(archive: zipfile.ZipFile) -> list[_File]:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise ArchiveError(f"the archive has {len(entries)} entries; the limit is {MAX_ENTRIES}.")
    files: list[_File] = []
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    total = 0
    for info in entries:
        path = _path(info)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArchiveError(f"{_shown(info)} is a link or a device; only files are taken.")
        for depth in range(1, len(path.parts)):
            above = "/".join(path.parts[:depth])
            if folders.setdefault(above.casefold(), above) != above:
                raise ArchiveError(
                    f"{_shown(info)} is in a folder whose name differs from another's in case only."
                )
        if info.is_dir():
            name = str(path)
            if folders.setdefault(name.casefold(), name) != name:
                raise ArchiveError(f"{_shown(info)} differs from another folder in case only.")
            continue
        if info.flag_bits & _ENCRYPTED:
            raise ArchiveError(f"{_shown(info)} is encrypted.")
        if info.compress_type not in _METHODS:
            raise ArchiveError(f"{_shown(info)} is compressed in a way that is not known; use deflate.")
        if info.file_size > MAX_FILE_BYTES:
            raise ArchiveError(f"{_shown(info)} is larger than {MAX_FILE_BYTES // 2**20} MiB.")
        total += info.file_size
        if total > MAX_PROJECT_BYTES:
            raise ArchiveError(f"the files are larger than {MAX_PROJECT_BYTES // 2**20} MiB in sum.")
        if (folded := str(path).casefold()) in seen:
            raise ArchiveError(
                f"{_shown(info)} is the same file as {seen[folded]} where case does not count."
            )
        seen[folded] = _shown(info)
        files.append(_File(info, path))
    if len(files) > MAX_FILES:
        raise ArchiveError(f"the archive has {len(files)} files; the limit is {MAX_FILES}.")
    for file in files:
        if str(file.path).casefold() in folders:
            raise ArchiveError(f"{_shown(file.info)} is a file and a folder.")
    if not files:
        raise ArchiveError("the archive has no files.")
    return files


def _path(info: zipfile.ZipInfo) -> PurePosixPath:
    """The entry's path. Raises ArchiveError for one that leads elsewhere, or not everywhere to the same."""
    # zipfile cuts a name at its first NUL; what it was stands in orig_filename.
    name = info.orig_filename
    text = name[:-1] if name.endswith("/") else name
    parts = text.split("/")
    if (
        not text
        or len(text) > MAX_PATH
        or len(parts) > MAX_DEPTH
        or "\\" in text
        or ":" in text
        or any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn") for char in text)
        or unicodedata.normalize("NFC", text) != text
    ):
        raise ArchiveError(f"{_shown(info)} is not a name that is taken.")
    for part in parts:
        if part in ("", ".", "..") or part[-1] in ". " or part.partition(".")[0].casefold() in _RESERVED:
            raise ArchiveError(f"{_shown(info)} is not a path inside the project.")
    return PurePosixPath(text)


def _write(archive: zipfile.ZipFile, file: _File, target: Path, room: int) -> int:
    limit = min(MAX_FILE_BYTES, room, file.info.file_size)
    size = 0
    try:
        # O_EXCL: nothing that is there is ever written through, whatever the review has missed.
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as output, archive.open(file.info) as source:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise ArchiveError(f"{_shown(file.info)} is larger than the archive says.")
                output.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise ArchiveError(f"{_shown(file.info)} is damaged: {error}.") from error
    except FileExistsError:
        raise ArchiveError(f"{_shown(file.info)} is there twice.") from None
    return size


def _shown(info: zipfile.ZipInfo) -> str:
    return ascii(info.orig_filename[:120])
