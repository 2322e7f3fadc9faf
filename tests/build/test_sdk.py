"""The SDK is built when its sources change, into one script that leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import trio

from flora.build import sdk
from flora.build.sdk import SdkMissingError, ensure_sdk
from flora.build.types import BuildError


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sdk"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "index.ts").write_text('export { install } from "./install"\nexport const other = 1\n')
    (folder / "src" / "install.ts").write_text(
        "export const install = (host: { guildId: string }) => `sdk of ${host.guildId}`\n"
    )
    (folder / "src" / "testing").mkdir()
    (folder / "src" / "testing" / "index.ts").write_text("export const install = () => 'test kit'\n")
    (folder / "flora.d.ts").write_text("declare const x: 1\n")
    monkeypatch.setattr(sdk, "SOURCE_DIR", folder)
    monkeypatch.setattr(sdk, "BUILT_DIR", tmp_path / "built")
    return folder


async def test_the_script_s_value_is_the_install_function(sources: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node to run the script")
    script = await ensure_sdk()
    code = (
        "const before = Object.getOwnPropertyNames(globalThis).join();"
        f"const install = (0, eval)({json.dumps(script.read_text())});"
        "console.log(install({guildId: '7'}), before === Object.getOwnPropertyNames(globalThis).join())"
    )
    with trio.fail_after(30):
        done = await trio.run_process([node, "-e", code], capture_stdout=True)
    assert done.stdout == b"sdk of 7 true\n"
    assert (script.parent / "flora.d.ts").read_text() == "declare const x: 1\n"


async def test_it_is_built_again_only_when_a_source_changed(sources: Path) -> None:
    said: list[str] = []
    script = await ensure_sdk(said.append)
    first = script.stat().st_mtime_ns
    await ensure_sdk(said.append)
    assert script.stat().st_mtime_ns == first
    assert said == ["SDK built"]
    (sources / "src" / "install.ts").write_text("export const install = () => 'changed'\n")
    await ensure_sdk(said.append)
    assert "changed" in script.read_text()
    assert said == ["SDK built", "SDK built"]


async def test_a_mistake_in_the_sources_keeps_what_was_built(sources: Path) -> None:
    script = await ensure_sdk()
    before = script.read_text()
    (sources / "src" / "install.ts").write_text("export const install = {\n")
    with pytest.raises(BuildError, match=r"src/install\.ts"):
        await ensure_sdk()
    assert script.read_text() == before
    assert sorted(item.name for item in script.parent.iterdir()) == [
        ".stamp",
        "flora.d.ts",
        "flora_sdk.js",
        "flora_test_sdk.js",
    ]


async def test_without_sources_the_packaged_files_are_used(sources: Path) -> None:
    script = await ensure_sdk()
    shutil.rmtree(sources)
    assert await ensure_sdk() == script
    assert sdk.types_file() == script.parent / "flora.d.ts"
    shutil.rmtree(script.parent)
    with pytest.raises(SdkMissingError, match="just setup"):
        await ensure_sdk()
