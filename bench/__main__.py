"""One entry for all benchmarks: `python -m bench [NAME...] [OPTION...]`.

Runs bench/NAME.py for each name in turn, without a name all that have a `main`. Options, from the first word
with a dash on, go to each of them. Exit status: that of the first that fails.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    """Every module here with a `main`."""
    files = sorted(HERE.glob("[a-z]*.py"))
    return [file.stem for file in files if "\ndef main(" in file.read_text(encoding="utf-8")]


def main(arguments: list[str]) -> int:
    at = next((index for index, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    wanted, options = arguments[:at], arguments[at:]
    known = names()
    if unknown := [name for name in wanted if name not in known]:
        print(f"bench: there is no {', '.join(unknown)}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    for name in wanted or known:
        print(f"bench: {name}", flush=True)
        status = subprocess.run([sys.executable, "-m", f"bench.{name}", *options], check=False).returncode
        if status != 0:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
