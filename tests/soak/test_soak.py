"""A short soak; CI sets FLORA_SOAK_SECONDS to 120, and `just soak MINUTES` is the long one."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.soak.report import markdown
from tests.soak.run import Options, run


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")
def test_a_host_in_misfortune_keeps_its_promises(tmp_path: Path) -> None:
    seconds = float(os.environ.get("FLORA_SOAK_SECONDS") or 30)
    seed = int(os.environ.get("FLORA_SOAK_SEED") or random.SystemRandom().randrange(2**32))
    done: list[str] = []
    print(f"FLORA_SOAK_SEED={seed}")
    try:
        outcome = run(Options(seconds, seed, guilds=4, rate=8.0), tmp_path, done.append)
    finally:
        print("\n".join(done[-20:]))
    print(markdown(outcome))
    assert outcome.problems == []
