from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from flora.build.toolchain import Toolchain

MakeProject = Callable[[Mapping[str, str]], Path]


@pytest.fixture
async def toolchain() -> Toolchain:
    return await Toolchain.ensure()


@pytest.fixture
def project(tmp_path: Path) -> MakeProject:
    """Writes files into a fresh project folder and returns it."""

    def make(files: Mapping[str, str]) -> Path:
        root = tmp_path / "project"
        for name, text in files.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        return root

    return make
