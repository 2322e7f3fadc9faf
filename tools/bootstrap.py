"""What `just setup` runs: a virtual environment with all that flora needs, from the pinned locks.

Only the standard library, and no syntax or function newer than Python 3.7, since the first thing to say may
be that Python is too old. What is already there is not done again: `.venv/flora-setup.json` holds the hashes
of the locks that were installed. Two runs at once wait for each other. Exit codes: 0 done, 1 failed with one
line that says what to do, 130 interrupted.

    python3 tools/bootstrap.py [--dev]      --dev adds the tools of the tests
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
MIN_PYTHON = (3, 11)
# trio-asyncio, the bridge to PostgreSQL and Redis, uses asyncio's child watchers, which Python 3.14 removed.
MAX_PYTHON = (3, 13)
RANGE = "{}.{} to {}.{}".format(*MIN_PYTHON, *MAX_PYTHON)

RUNTIME_LOCK = "requirements.lock"
DEV_LOCK = "requirements-dev.lock"  # holds everything of the runtime lock, in the same versions
NODE_LOCK = "requirements-node.lock"
STAMP = "flora-setup.json"
# `python -m flora.build.sdk` found no Node.js to install the TypeScript toolchain with.
EXIT_NODE_MISSING = 3
# As pip writes it when the path of the interpreter is long: a shell script that is Python as well.
COMMAND = """\
#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from flora.cli import main

sys.exit(main())
"""


class SetupError(Exception):
    """Setup cannot go on; the text is the one line to show."""


def say(line: str) -> None:
    print("flora: " + line, flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bootstrap", description="Set up flora's virtual environment.")
    parser.add_argument("--dev", action="store_true", help="with the tools of the tests")
    options = parser.parse_args(argv)
    try:
        setup(options.dev)
    except SetupError as error:
        print(f"flora: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("flora: setup interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


def setup(dev: bool) -> None:
    python = ensure_venv()
    with only_one():
        install_lock(python, dev)
        install_project(python)
        build_sdk(python)


def ensure_venv() -> pathlib.Path:
    """The interpreter of `.venv`, which is made with a Python that fits when it is missing."""
    python = VENV / "bin" / "python"
    if not VENV.exists():
        base = fitting_python()
        say(f"making .venv with {base}")
        done = run([base, "-m", "venv", VENV])
        if done.returncode != 0:
            shutil.rmtree(str(VENV), ignore_errors=True)
            raise SetupError(
                "cannot make .venv: Python's venv module is missing or broken "
                f"(on Debian: apt install python3-venv): {last_line(done)}"
            )
    version = python_version(python)
    if version is None:
        raise SetupError(".venv/bin/python does not run; delete the folder .venv and try again")
    if not MIN_PYTHON <= version <= MAX_PYTHON:
        raise SetupError(
            f".venv has Python {version[0]}.{version[1]}, flora needs {RANGE}; "
            "delete the folder .venv and make it with such a Python"
        )
    return python


def fitting_python() -> str:
    """The running interpreter, or another one of this machine when it is too old or too new."""
    if MIN_PYTHON <= sys.version_info[:2] <= MAX_PYTHON:
        return sys.executable
    for minor in range(MAX_PYTHON[1], MIN_PYTHON[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and python_version(pathlib.Path(found)) == (3, minor):
            return found
    raise SetupError(
        f"Python {sys.version_info[0]}.{sys.version_info[1]} is not supported: flora needs Python {RANGE}"
    )


def python_version(python: pathlib.Path) -> tuple[int, int] | None:
    try:
        done = run([python, "-I", "-c", "import sys; print(*sys.version_info[:2])"])
        major, minor = done.stdout.split()
    except (OSError, ValueError):
        return None
    return int(major), int(minor)


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold `.venv`'s lock; the system lets go of it however this process ends."""
    import fcntl

    with (VENV / "flora-setup.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another setup is running, waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install_lock(python: pathlib.Path, dev: bool) -> None:
    """Install the lock unless it, and the interpreter, are those of last time."""
    version = python_version(python)
    wanted = {name: stamp_of(name, version) for name in (RUNTIME_LOCK, *((DEV_LOCK,) if dev else ()))}
    installed = read_stamp()
    if all(installed.get(name) == stamp for name, stamp in wanted.items()):
        return
    lock = DEV_LOCK if dev else RUNTIME_LOCK
    say(f"completing .venv from {lock}")
    pip_install(python, lock)
    write_stamp(wanted)


def stamp_of(name: str, version: object) -> str:
    try:
        content = (ROOT / name).read_bytes()
    except OSError as error:
        raise SetupError(f"cannot read {name}: {error.strerror}") from error
    return hashlib.sha256(content + repr(version).encode()).hexdigest()


def read_stamp() -> dict[str, str]:
    try:
        stamp = json.loads((VENV / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(stamp: dict[str, str]) -> None:
    new = VENV / (STAMP + ".new")
    new.write_text(json.dumps(stamp, indent=1))
    new.replace(VENV / STAMP)


def pip_install(python: pathlib.Path, lock: str) -> None:
    """Exactly what the lock names, with its hashes, and nothing that its packages ask for by themselves."""
    if run([python, "-m", "pip", "--version"]).returncode != 0:
        done = run([python, "-m", "ensurepip"])
        if done.returncode != 0:
            raise SetupError(f"there is no pip in .venv and it cannot be added: {last_line(done)}")
    env = dict(os.environ, PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0")
    flags = ["--quiet", "--no-input", "--no-deps", "--require-hashes", "--no-warn-script-location"]
    done = run([python, "-m", "pip", "install", *flags, "-r", ROOT / lock], env=env)
    if done.returncode != 0:
        said = last_line(done).rstrip(".")
        todo = "" if "DO NOT MATCH THE HASHES" in said else "; check the network and try again"
        raise SetupError(f"pip could not install {lock}: {said}{todo}")


def install_project(python: pathlib.Path) -> None:
    """Put this source tree on the environment's path and `flora` among its commands.

    Without pip: an editable install would need a build backend that no lock pins.
    """
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = pathlib.Path(run([python, "-I", "-c", code]).stdout.strip())
    write_if_other(packages / "flora.pth", f"{ROOT}\n", 0o644)
    write_if_other(VENV / "bin" / "flora", COMMAND.format(python=python), 0o755)


def write_if_other(file: pathlib.Path, content: str, mode: int) -> None:
    if not (file.exists() and file.read_text() == content):
        file.write_text(content)
    file.chmod(mode)


def build_sdk(python: pathlib.Path) -> None:
    """Install the TypeScript toolchain and build the SDK; with Node.js from a wheel when there is none."""
    command = [python, "-m", "flora.build.sdk"]
    done = run(command, show=True)
    if done.returncode == EXIT_NODE_MISSING:
        say("no Node.js here, installing it into .venv")
        pip_install(python, NODE_LOCK)
        done = run(command, show=True)
    if done.returncode != 0:
        raise SetupError(done.stderr.strip().replace("flora: ", "", 1) or "the SDK could not be built")


def run(
    command: Sequence[object], env: dict[str, str] | None = None, show: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. `show` lets its standard output through."""
    return subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=None if show else subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=str(ROOT),
        env=env,
        check=False,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed command said last, errors first."""
    lines = [line.strip() for line in (done.stderr or done.stdout or "").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or [f"exit {done.returncode}"])[-1].replace("ERROR: ", "", 1)


if __name__ == "__main__":
    sys.exit(main())
