"""Imports point one way, as the design draws them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "flora"

# What each part may import of flora, itself aside. `config`, `errors` and `ids` are open to almost all.
BASE = {"config", "errors", "ids"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "ids": {"errors"},
    "config": {"errors"},
    "logs": BASE,
    "metrics": BASE,
    "net": BASE,
    "build": BASE,
    "storage": BASE | {"build", "net"},
    "gateway": BASE | {"net"},
    "engine": BASE,
    "ops": BASE | {"engine", "gateway", "storage", "net"},
    "actors": BASE | {"build", "engine", "gateway", "metrics", "net", "ops", "storage"},
    "playground": BASE | {"net"},
    "api": BASE | {"actors", "build", "engine", "logs", "metrics", "storage"},
    "testkit": BASE | {"actors", "build", "engine", "gateway", "net", "ops", "playground", "storage"},
    "cli": BASE | {"api", "app", "build", "engine", "logs", "playground", "storage", "actors", "testkit"},
    "host": {"*"},
    "app": {"*"},
    "__main__": {"cli"},
    "__init__": set(),
}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add(f"relative import in line {node.lineno}")
        found |= {name.split(".")[1] for name in names if name.startswith("flora.")}
    return found


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_one_way(file: Path) -> None:
    part = file.relative_to(ROOT).parts[0].removesuffix(".py")
    allowed = ALLOWED[part] | {part, "__version__"}
    found = imports(file)
    if file.is_relative_to(ROOT / "engine" / "child"):
        allowed = set()  # the guild process holds nothing of flora, and its files know only each other
        found = {name for name in found if not name.startswith("relative import")}
    if "*" not in allowed:
        assert found <= allowed


def test_the_kernel_is_a_library_of_its_own() -> None:
    for file in (ROOT / "actors" / "kernel").glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        outside = {name for name in modules if name.startswith("flora.")} - {"flora.errors"}
        assert all(name.startswith("flora.actors.kernel") for name in outside), file
