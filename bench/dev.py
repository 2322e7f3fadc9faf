"""How long a save takes until `flora dev` has redeployed it, and until the new script has spoken.

    python -m bench.dev [--files 5 50 200] [--saves 15]

The real executable with its own host, an own data directory and real files. Measured from before the write:
to the line `deployed`, to the first line of the new script's log, and to the next message's answer by it.
The type check runs beside, as it does for an author.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.report import Report

START_SECS = 120.0
STEP_SECS = 30.0


class Dev:
    """A running `flora dev`; what it says is kept with the time when it came."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: list[tuple[float, str]] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self._lines.append((time.perf_counter(), line))
                self._more.notify_all()

    @property
    def count(self) -> int:
        return len(self._lines)

    def when(self, text: str, after: int, secs: float = STEP_SECS) -> float:
        """When the first line with `text` came, of those behind the first `after` ones."""

        def found() -> float | None:
            return next((at for at, line in self._lines[after:] if text in line), None)

        with self._more:
            if not self._more.wait_for(lambda: found() is not None, secs):
                raise SystemExit(f"no {text!r} in {secs:g} s:\n{''.join(line for _, line in self._lines)}")
            at = found()
            assert at is not None
            return at


@contextmanager
def running(project: Path, data: Path) -> Iterator[Dev]:
    env = {
        **os.environ,
        "FLORA_DATA_DIR": str(data),
        "API_PORT": "0",
        "PLAYGROUND_PORT": "0",
        "PLAYGROUND_GATEWAY_PORT": "0",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
    }
    env.pop("DISCORD_TOKEN", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "flora", "dev", str(project)],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        dev = Dev(process)
        dev.when("deployed", 0, START_SECS)
        yield dev
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def write_project(root: Path, files: int) -> Path:
    """`files` modules with types worth checking; returns the one that is saved again and again."""
    (root / "src").mkdir(parents=True)
    names = [f"part{number}" for number in range(files - 1)]
    for name in names:
        (root / "src" / f"{name}.ts").write_text(
            f"export interface Plan {{ name: string; steps: readonly number[] }}\n"
            f'export const {name}: Plan = {{ name: "{name}", steps: [1, 2, 3].map((step) => step * 2) }};\n'
        )
    imports = "".join(f'import {{ {name} }} from "./{name}";\n' for name in names)
    uses = f"on('ready', () => console.log([{', '.join(names)}].length));\n"
    main = root / "src" / "main.ts"
    main.write_text(imports + uses)
    return main


def measure(dev: Dev, main: Path, saves: int) -> tuple[list[float], list[float]]:
    source = main.read_text()
    deployed, spoken = [], []
    for number in range(saves):
        time.sleep(0.5 + 0.037 * (number % 5))  # not in step with the looks at the files
        mark, seen = f"save {number} of {saves}", dev.count
        began = time.perf_counter()
        main.write_text(f'{source}console.log("{mark}");\n')
        spoken.append((dev.when(mark, seen) - began) * 1000)
        deployed.append((dev.when("deployed", seen) - began) * 1000)
    return deployed, spoken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, nargs="+", default=[5, 50, 200])
    parser.add_argument("--saves", type=int, default=15)
    options = parser.parse_args()
    report = Report("dev", "flora dev", {"saves": options.saves})
    with tempfile.TemporaryDirectory(prefix="flora-bench-") as folder:
        for files in options.files:
            project = Path(folder, f"bot{files}")
            saved = write_project(project, files)
            with running(project, Path(folder, "data")) as dev:
                deployed, spoken = measure(dev, saved, options.saves)
            report.add("save to deployed", f"{files} files", *deployed, unit="ms", target="< 500 ms")
            report.add("save to the script's first line", f"{files} files", *spoken, unit="ms")
    report.write()


if __name__ == "__main__":
    main()
