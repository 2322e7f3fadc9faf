"""Run the tests marked `fuzz` again and again, each time from a new seed, for as long as asked.

    FLORA_FUZZ_SECONDS=600 python -m tools.fuzz [PYTEST ARGUMENT...]

Stops at the first failure and names the seed that repeats it. Exit code: 0, or pytest's. Tests that make
their own input, not with Hypothesis, take how much from FLORA_FUZZ (here a million) and FLORA_FUZZ_SEED.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

DEFAULT_SECONDS = 60.0
INPUTS = 1_000_000


def main(arguments: list[str]) -> int:
    try:
        seconds = float(os.environ.get("FLORA_FUZZ_SECONDS") or DEFAULT_SECONDS)
    except ValueError:
        print("fuzz: FLORA_FUZZ_SECONDS is not a number", file=sys.stderr)
        return 2
    end = time.monotonic() + seconds
    rounds = 0
    while rounds == 0 or time.monotonic() < end:
        seed = random.SystemRandom().randrange(2**32)
        command = ["-m", "pytest", "-m", "fuzz", f"--hypothesis-seed={seed}", *arguments]
        environment = {"FLORA_FUZZ": str(INPUTS), **os.environ, "FLORA_FUZZ_SEED": str(seed)}
        status = subprocess.run([sys.executable, *command], env=environment, check=False).returncode
        rounds += 1
        if status != 0:
            print(
                f"fuzz: failed in round {rounds} with --hypothesis-seed={seed} and FLORA_FUZZ_SEED={seed}",
                file=sys.stderr,
            )
            return status
    print(f"fuzz: {rounds} round(s) in {seconds:.0f} s found nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
