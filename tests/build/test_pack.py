"""What of a project is sent to a build service, and that it comes back as it was."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from flora.build.archive import check_archive, unpack
from flora.build.pack import pack_project
from flora.build.types import BuildError
from tests.build.conftest import MakeProject

ENTRY = "src/main.ts"


def names(archive: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.namelist()


def test_what_a_build_reads_is_sent_and_nothing_else(project: MakeProject) -> None:
    sent = {
        ENTRY: "import words from './words.json'",
        "src/words.json": "{}",
        "src/note.txt": "a note",
        "flora.config.ts": "export default {}",
        "package.json": "{}",
        "package-lock.json": "{}",
        "tsconfig.json": "{}",
    }
    kept = {
        ".env": "TOKEN=1",
        ".npmrc": "//registry/:_authToken=1",
        ".gitignore": "secret.json\n/generated/\n",
        "secret.json": "{}",
        "generated/a.ts": "",
        "node_modules/zod/index.js": "",
        "dist/main.js": "",
        ".git/config.json": "{}",
        "picture.png": "",
    }
    assert names(pack_project(project(sent | kept), ENTRY)) == sorted(sent)


def test_it_unpacks_to_the_same_bytes(project: MakeProject, tmp_path: Path) -> None:
    root = project({ENTRY: "// ü 😀\r\n", "src/a/b/c.ts": "", "src/données.ts": "1"})
    archive = pack_project(root, ENTRY)
    assert archive == pack_project(root, ENTRY), "the same files, the same bytes"
    check_archive(archive)
    there = tmp_path / "there"
    there.mkdir()
    unpack(archive, there)
    for path in (ENTRY, "src/a/b/c.ts", "src/données.ts"):
        assert (there / path).read_bytes() == (root / path).read_bytes()


def test_the_entry_is_sent_even_if_it_is_ignored(project: MakeProject) -> None:
    root = project({".gitignore": "main.ts\n", ENTRY: "1", "src/other.ts": "2"})
    assert names(pack_project(root, ENTRY)) == [ENTRY, "src/other.ts"]


def test_links_are_not_followed(project: MakeProject, tmp_path: Path) -> None:
    (tmp_path / "secret.ts").write_text("hunter2")
    root = project({ENTRY: "1"})
    os.symlink(tmp_path / "secret.ts", root / "src/link.ts")
    os.symlink(tmp_path, root / "src/folder")
    assert names(pack_project(root, ENTRY)) == [ENTRY]
    for outside in ("src/link.ts", "src/folder/secret.ts", "../secret.ts", str(tmp_path / "secret.ts")):
        with pytest.raises(BuildError, match="is not inside"):
            pack_project(root, outside)
    os.symlink(root / ENTRY, root / "src/again.ts")
    assert names(pack_project(root, "src/again.ts")) == [ENTRY]


def test_limits_and_refusals_come_before_anything_is_sent(project: MakeProject, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"no entry file src/main\.ts"):
        pack_project(project({"notes.md": ""}), ENTRY)
    with pytest.raises(BuildError, match="no project folder"):
        pack_project(tmp_path / "none", ENTRY)
    hooked = project({ENTRY: "", ".npmrc": "", "package.json": '{"dependencies": {"zod": "^4"}}'})
    with pytest.raises(BuildError, match=r"a file \.npmrc"):
        pack_project(hooked, ENTRY)
    (hooked / "package.json").write_text('{"dependencies": {"zod": "file:../../etc"}}')
    with pytest.raises(BuildError, match="zod"):
        pack_project(hooked, ENTRY)
    (hooked / "package.json").unlink()
    (hooked / "src/big.ts").write_bytes(b"/" * (10 * 2**20 + 1))
    with pytest.raises(BuildError, match=r"src/big\.ts is larger than 10 MiB"):
        pack_project(hooked, ENTRY)
    (hooked / "src/big.ts").unlink()
    for number in range(1000):
        (hooked / f"src/f{number}.ts").touch()
    with pytest.raises(BuildError, match="1001 files to send; the limit is 1000"):
        pack_project(hooked, ENTRY)
