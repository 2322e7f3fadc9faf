"""How long a warm build takes, without and with the type check, here and in the build service's sandbox.

    python -m bench.build [--files 5 50 200] [--rounds 15]

The toolchain is installed and in the page cache. Measured around `build_project`, and around a worker's build
of the same project as a zip file, which is unpacked and cleared away each time.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from bench.dev import write_project
from bench.report import Report, in_turn
from flora.build.bundle import build_project
from flora.build.toolchain import Toolchain
from flora.build.worker import Workshop

TARGETS = {False: "<= 300 ms", True: "<= 1,500 ms"}
WARM_UP = 2
MAX_SCRIPT_BYTES = 8 * 2**20


def zipped(root: Path, file: Path) -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*.ts")):
            archive.write(path, path.relative_to(root))
    file.write_bytes(buffer.getvalue())
    return file


async def measure(report: Report, folder: Path, files: int, rounds: int) -> None:
    root = folder / f"bot{files}"
    write_project(root, files)
    upload = zipped(root, folder / f"bot{files}.zip")
    toolchain = await Toolchain.ensure()
    async with Workshop.open(lambda _: None) as workshop:
        worker = workshop.worker(0)

        def here(check: bool) -> Callable[[], Awaitable[object]]:
            return lambda: build_project(root, check=check, toolchain=toolchain)

        def there(check: bool) -> Callable[[], Awaitable[object]]:
            return lambda: worker.build(
                upload, None, check=check, max_script_bytes=MAX_SCRIPT_BYTES, progress=lambda _: None
            )

        for check in (False, True):
            figure = f"build of {files} files, {'with' if check else 'without'} check"
            target = TARGETS[check] if files == 5 else None
            contenders = (("here", here(check)), ("in the sandbox", there(check)))
            for number, (name, build) in enumerate(in_turn(contenders, rounds + WARM_UP)):
                began = time.perf_counter()
                await build()
                if number >= WARM_UP * len(contenders):
                    millis = (time.perf_counter() - began) * 1000
                    report.add(figure, name, millis, unit="ms", target=target)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, nargs="+", default=[5, 50, 200])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    report = Report("build", "Builds", {"rounds": options.rounds})
    with tempfile.TemporaryDirectory(prefix="flora-bench-") as folder:
        for files in options.files:
            trio.run(measure, report, Path(folder), files, options.rounds)
    report.write()


if __name__ == "__main__":
    main()
