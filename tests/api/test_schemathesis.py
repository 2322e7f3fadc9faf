"""The description held against the answers, by schemathesis: it makes up requests, right ones and wrong ones.

With its checks: no 5xx, and no status, media type, header or body that is not described; what violates the
description is refused, what fits is taken, and without credentials nothing is. `just fuzz tests/api` runs it
for longer, each time from another seed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from flora.api import Limits
from flora.api.buckets import RATES, Rate
from tests.api.served import GARDEN, OPERATOR_SECRET, serving

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
NO_LIMIT = Rate(burst=10**6, per_second=1e6)


@pytest.mark.slow
@pytest.mark.fuzz
async def test_every_answer_is_as_described(tmp_path: Path) -> None:
    seed = os.environ.get("FLORA_FUZZ_SEED")
    examples, seconds = ("20", "240") if seed else ("1", "10")
    phases = "examples,coverage,fuzzing,stateful" if seed else "coverage,fuzzing"
    rates = replace(
        RATES,
        auth=NO_LIMIT,
        stranger=NO_LIMIT,
        write=NO_LIMIT,
        operator_write=NO_LIMIT,
        address_write=NO_LIMIT,
    )
    async with serving(Limits(rates=rates)) as served:
        await served.deployer.deploy(served.revision(GARDEN))
        served.dead_letters.add(GARDEN)
        done = await trio.run_process(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                f"--config-file={CONFIG}",
                "run",
                f"{served.url}/openapi.json",
                "--header",
                f"Authorization: Bearer {OPERATOR_SECRET}",
                "--checks=all",
                # Two routes share paths such as `/secrets/rotate-key`, so the methods of both are known
                # there; tests/api/test_contract.py tries a method that is not at every path.
                "--exclude-checks=allow_header_conformance,unsupported_method",
                # A machine that has much else to do is slow to answer, and slow to make examples up; by
                # itself neither is an error of ours. What hangs still is.
                "--request-timeout=90",
                "--suppress-health-check=too_slow",
                f"--max-examples={examples}",
                f"--max-time={seconds}",
                f"--phases={phases}",
                f"--seed={seed or 1}",
                # Endless answers: tests/api/test_logs_stream.py and test_builds.py follow them.
                "--exclude-path-regex=^/logs/|/logs$",
                "--warnings=off",
                "--no-color",
                "--no-shrink",
            ],
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks"},
        )
    assert done.returncode == 0, done.stdout.decode()[-8_000:]
