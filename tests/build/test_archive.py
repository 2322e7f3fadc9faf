"""Uploads: what is taken, and everything that is not."""

from __future__ import annotations

import contextlib
import io
import random
import zipfile
from pathlib import Path

import pytest

from flora.build.archive import ArchiveError, NoArchiveError, check_archive, unpack
from flora.build.files import MAX_FILE_BYTES, MAX_FILES
from tests.build.archives import entry, zipped


def written(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def test_a_project_is_unpacked(tmp_path: Path) -> None:
    files = {"src/main.ts": "1", "src/ä/b.ts": "é", "package.json": "{}"}
    assert unpack(zipped(files), tmp_path) == 5
    assert written(tmp_path) == files


def test_folders_of_an_archive_are_no_files(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.mkdir("src")
        archive.writestr("src/main.ts", "1")
    unpack(buffer.getvalue(), tmp_path)
    assert written(tmp_path) == {"src/main.ts": "1"}


@pytest.mark.parametrize(
    "name",
    [
        "../evil.ts",
        "a/../../evil.ts",
        "/etc/evil.ts",
        "//host/evil.ts",
        "C:/evil.ts",
        "C:evil.ts",
        "..\\evil.ts",
        "a\\b.ts",
        "./a.ts",
        "a//b.ts",
        "a/./b.ts",
        "a\0.ts",
        "a\n.ts",
        "a\u202e.ts",
        "file.ts:stream",
        "nul",
        "src/CON.ts",
        "trailing./a.ts",
        "trailing ",
        "a\u0308.ts",  # not in NFC
        "x" * 600,
        "/".join("a" * 40),
        "",
    ],
)
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    with pytest.raises(ArchiveError):
        unpack(entry(name), project)
    assert list(tmp_path.iterdir()) == [project]
    assert list(project.iterdir()) == []


@pytest.mark.parametrize("mode", [0o120777, 0o060644, 0o010644, 0o140644])
def test_links_and_devices(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ArchiveError, match="link or a device"):
        unpack(entry("link", mode=mode, contents=b"/etc/passwd"), tmp_path)


def test_encrypted_files() -> None:
    with pytest.raises(ArchiveError, match="encrypted"):
        check_archive(entry("a.ts", flags=1))


@pytest.mark.parametrize(
    "names",
    [
        ("a.ts", "a.ts"),
        ("a.ts", "A.ts"),
        ("src/a.ts", "SRC/b.ts"),
        ("straße.ts", "STRASSE.ts"),
        ("src", "src/a.ts"),
        ("src/a.ts", "src"),
        ("src/a.ts", "SRC"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_the_same_somewhere(tmp_path: Path, names: tuple[str, ...]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    with pytest.raises(ArchiveError):
        unpack(buffer.getvalue(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_counts_and_sizes(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="limit"):
        check_archive(zipped({f"{number}.ts": "" for number in range(MAX_FILES + 1)}))
    bomb = zipped({"bomb.ts": b"\0" * (MAX_FILE_BYTES + 1)})
    assert len(bomb) < 20_000
    with pytest.raises(ArchiveError, match="larger than 10 MiB"):
        check_archive(bomb)
    many = zipped({f"{number}.ts": b"\0" * MAX_FILE_BYTES for number in range(21)})
    with pytest.raises(ArchiveError, match="in sum"):
        check_archive(many)


def test_an_archive_that_lies_about_a_size(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.ts": b"\0" * 100_000}))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.index(signature) + at
        data[place : place + 4] = (10).to_bytes(4, "little")
    with pytest.raises(ArchiveError):
        unpack(bytes(data), tmp_path)
    assert sum(len(text) for text in written(tmp_path).values()) <= 10


def test_a_directory_that_is_too_large() -> None:
    data = bytearray(zipped({"a.ts": "1"}))
    data[-10:-6] = (2**30).to_bytes(4, "little")
    with pytest.raises(ArchiveError, match="directory"):
        check_archive(bytes(data))


def test_compression_that_is_not_known() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.ts", "1")
    with pytest.raises(ArchiveError, match="deflate"):
        check_archive(buffer.getvalue())


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"x" * 1000, zipped({"a.ts": "1"})[:-1], zipped({"a": ""}) + b"x"]
)
def test_what_is_no_archive(data: bytes) -> None:
    with pytest.raises(NoArchiveError):
        check_archive(data)
    with pytest.raises(ArchiveError):
        check_archive(zipped({}))


def test_damaged_archives_raise_nothing_else(tmp_path: Path) -> None:
    good = zipped({"src/main.ts": "on('ready', () => 1)\n" * 20, "src/b.ts": "2"})
    dice = random.Random(8)
    for number in range(400):
        data = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        folder = tmp_path / str(number)
        folder.mkdir()
        with contextlib.suppress(ArchiveError):
            unpack(bytes(data), folder)
    assert {path.name for path in tmp_path.iterdir()} == {str(number) for number in range(400)}
