"""The data directory: one host at a time, private, and its development secrets."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from flora.errors import StartupError
from flora.storage.datadir import DataDirectory, DataDirectoryInUseError, read_holder

HOLDER = """
import os, sys, time
from pathlib import Path
from flora.storage.datadir import DataDirectory
with DataDirectory.open(Path(sys.argv[1])) as data:
    data.announce({"api": "http://127.0.0.1:3000", "playground": "http://127.0.0.1:8080"})
    print("held", flush=True)
    time.sleep(120)
"""
ROOT = Path(__file__).parents[2]


def holder(directory: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


def test_it_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data"
    with DataDirectory.open(path) as data:
        assert data.path == path
        assert path.stat().st_mode & 0o777 == 0o700
        assert (path / "flora.lock").stat().st_mode & 0o777 == 0o600


def test_a_second_host_is_told_who_runs_there_and_where(tmp_path: Path) -> None:
    first = holder(tmp_path)
    try:
        with pytest.raises(DataDirectoryInUseError) as caught, DataDirectory.open(tmp_path):
            pass
        error = caught.value
        assert error.exit_code == 2
        assert error.holder is not None
        assert error.holder.pid == first.pid
        for fact in (str(tmp_path), f"pid {first.pid}", "http://127.0.0.1:3000", "http://127.0.0.1:8080"):
            assert fact in str(error)
        found = read_holder(tmp_path)
        assert found is not None
        assert found.urls["api"] == "http://127.0.0.1:3000"
    finally:
        end(first)


def test_a_killed_host_leaves_no_lock(tmp_path: Path) -> None:
    first = holder(tmp_path)
    end(first)
    assert read_holder(tmp_path) is None
    with DataDirectory.open(tmp_path):
        found = read_holder(tmp_path)
        assert found is not None
        assert found.pid == os.getpid()
    assert read_holder(tmp_path) is None


def test_a_dying_child_of_a_killed_host_is_waited_for(tmp_path: Path) -> None:
    """A forked child shares the lock until it ends, a moment after its host."""
    script = """
import os, sys, time
from pathlib import Path
from flora.storage.datadir import DataDirectory
with DataDirectory.open(Path(sys.argv[1])):
    if os.fork() == 0:
        print("held", flush=True)
        time.sleep(0.5)
        os._exit(0)
    time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    end(process)
    with DataDirectory.open(tmp_path):
        pass


def test_the_announcement_replaces_the_one_before(tmp_path: Path) -> None:
    with DataDirectory.open(tmp_path) as data:
        data.announce({"api": "http://127.0.0.1:3000/a/very/long/address"})
        data.announce({"api": "http://h"})
        text = json.loads((tmp_path / "flora.lock").read_text())
        assert text["urls"] == {"api": "http://h"}
        assert text["pid"] == os.getpid()


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    unwritable = DataDirectory.open(tmp_path / "file" / "data")
    with pytest.raises(StartupError, match="cannot write the data directory") as caught, unwritable:
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_a_directory_of_another_user_is_one_line(private_dir: Path) -> None:
    private_dir.chmod(0o755)
    script = """
import os, sys
from pathlib import Path
from flora.errors import StartupError
from flora.storage.datadir import DataDirectory
os.setuid(int(sys.argv[2]))
try:
    with DataDirectory.open(Path(sys.argv[1])): pass
except StartupError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(private_dir), str(pwd.getpwnam("nobody").pw_uid)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert result.stdout.startswith(f"cannot write the data directory {private_dir}: Permission denied.")
    assert result.stdout.count("\n") == 1


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    with DataDirectory.open(tmp_path) as data:
        made = data.development_secrets()
    file = tmp_path / "secrets.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    with DataDirectory.open(tmp_path) as data:
        assert data.development_secrets() == made
    assert len(bytes.fromhex(made.master_key)) == 32
    assert len(made.api_secret) >= 32
    assert len(made.operator_secret) >= 16
    assert made.api_secret not in repr(made)
    assert set(tomllib.loads(file.read_text())) == {"api_secret", "operator_secret", "master_key"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flora.lock", "secrets.toml"]


def test_secrets_that_others_can_read_are_closed(tmp_path: Path) -> None:
    with DataDirectory.open(tmp_path) as data:
        made = data.development_secrets()
        (tmp_path / "secrets.toml").chmod(0o644)
        assert data.development_secrets() == made
        assert (tmp_path / "secrets.toml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "api_secret = 1", "not toml", 'api_secret = "x"\nmaster_key = "y"'])
def test_a_damaged_secrets_file_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.toml").write_text(text)
    with DataDirectory.open(tmp_path) as data, pytest.raises(StartupError, match="damaged") as caught:
        data.development_secrets()
    assert (tmp_path / "secrets.toml").read_text() == text
    assert "\n" not in str(caught.value)
