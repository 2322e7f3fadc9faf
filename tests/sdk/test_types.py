"""The SDK's sources, the types for authors and the examples are checked by tsc, strictly."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from flora.build.process import run_tool, tool_environment
from flora.build.sdk import SOURCE_DIR, types_file
from flora.build.toolchain import Toolchain
from flora.build.typecheck import check_types

AUTHORS = Path(__file__).parent / "authors"
EXAMPLES = sorted(folder.parent for folder in (SOURCE_DIR.parent / "examples").glob("*/package.json"))


async def test_the_sources_of_the_sdk(tmp_path: Path) -> None:
    tools = await Toolchain.ensure()
    config = {
        "extends": str(SOURCE_DIR / "tsconfig.json"),
        "compilerOptions": {
            "paths": {"discord-api-types/*": [str(tools.node_modules / "discord-api-types" / "*")]}
        },
        "include": [str(SOURCE_DIR / "src"), str(SOURCE_DIR / "flora.d.ts")],
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps(config), "utf-8")
    command: list[str | Path] = [tools.tsc, "--pretty", "false", "-p", tmp_path]
    result = await run_tool(command, cwd=tmp_path, env=tool_environment(tmp_path))
    assert (result.stdout, result.status) == ("", 0)


async def test_what_the_types_promise_to_authors(tmp_path: Path) -> None:
    """Every line under @ts-expect-error must fail: tsc reports those that do not."""
    tools = await Toolchain.ensure()
    result = await check_types(tools, AUTHORS, ("src/main.ts",), types_file(), tmp_path)
    assert [str(error) for error in result.errors] == []
    assert result.failure == ""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda folder: folder.name)
async def test_the_examples(example: Path, tmp_path: Path) -> None:
    tools = await Toolchain.ensure()
    result = await check_types(tools, example, ("src/main.ts",), types_file(), tmp_path)
    assert [str(error) for error in result.errors] == []
    assert result.failure == ""


def test_the_types_import_nothing() -> None:
    assert not re.search(
        r"^\s*(import|export)\b|/// <reference|import\(", types_file().read_text("utf-8"), re.MULTILINE
    )
