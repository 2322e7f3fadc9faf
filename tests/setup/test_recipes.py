"""The justfile and the CI script say what the README says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
README = "python3 -m venv .venv && .venv/bin/pip install -q rust-just && .venv/bin/just test"


def just(*arguments: str) -> str:
    program = Path(sys.prefix, "bin", "just")
    found = str(program) if program.exists() else shutil.which("just")
    if found is None:
        pytest.skip("just is not installed")
    command = [found, "--justfile", str(ROOT / "justfile"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


def test_every_promised_recipe_is_there() -> None:
    recipes = json.loads(just("--dump", "--dump-format", "json"))["recipes"]
    assert {"setup", "run", "dev", "test", "check", "bench", "fuzz", "clean"} <= set(recipes)
    assert all(recipe["doc"] for recipe in recipes.values())


def test_run_sets_up_and_then_is_flora() -> None:
    recipe = json.loads(just("--dump", "--dump-format", "json"))["recipes"]["run"]
    assert [item["recipe"] for item in recipe["dependencies"]] == ["setup"]
    assert recipe["body"][0][0].endswith('.venv/bin/flora run "$@"')


def test_ci_runs_the_commands_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"
    subprocess.run(["bash", "-n", script], check=True, timeout=30)
    assert script.read_text().rstrip().endswith(f"\n{README}")
