"""The TypeScript in the documentation compiles against the types that authors get."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flora.build.bundle import build_project
from flora.build.sdk import types_file
from tools.generate_sdk_docs import PAGES, pages

DOCS = Path(__file__).parent.parent.parent
BLOCKS = [
    pytest.param(block, id=f"{page}-{number}")
    for page in ("README.md", "docs/users.md", "docs/sdk/README.md", "docs/sdk/web.md")
    for number, block in enumerate(re.findall(r"```ts\n(.*?)```", (DOCS / page).read_text("utf-8"), re.S))
]


def test_the_reference_is_made_from_the_types() -> None:
    """`python -m tools.generate_sdk_docs` makes it anew."""
    there = {file.name: file.read_text("utf-8") for file in PAGES.glob("*.md")}
    assert there == pages(types_file().read_text("utf-8"))


@pytest.mark.parametrize("block", BLOCKS)
async def test_a_block_of_the_documentation_compiles(block: str, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.ts").write_text(block)
    bundle = await build_project(tmp_path)
    assert bundle.code
