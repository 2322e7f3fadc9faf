"""Small TypeScript projects for the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Project:
    root: Path

    @classmethod
    def write(cls, root: Path, **files: str) -> Project:
        """`main="..."` becomes src/main.ts."""
        (root / "src").mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (root / "src" / f"{name}.ts").write_text(text)
        return cls(root)
