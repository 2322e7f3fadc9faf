"""Starting and stopping: what is left behind, and what a wrong start says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.running import ROOT, all_gone, command, environment, eventually, running


def test_ctrl_c_stops_in_order_and_keeps_the_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as flora:
        children = flora.children()
        assert "Count is now: 1" in flora.say("/counter increment")
        assert len(children) >= 4, "Postgres, the fork server and two guild processes"
        flora.interrupt()
        assert flora.process.wait(5) == 0
        assert all_gone(children, 2)
        lines = [line for line in flora.output.splitlines() if "stage stopped" in line]
        for stage in ("api", "shard-0", "deployer", "runtime", "engine", "storage", "postgres"):
            assert sum(f'"stage": "{stage}"' in line for line in lines) == 1, f"one line for {stage}"
        assert "Traceback" not in flora.output
    with running(data) as flora:
        history = flora.call("GET", "/deployments").json()["items"]
        assert len(history) == 2
        assert "pong" in flora.say("!ping")
        assert "Hello, Bo!" in flora.say("/hello Bo"), "commands are registered with the new playground"
        assert "Current count: 1" in flora.say("/counter get"), "the guild's KV is kept"


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    with running(tmp_path / "data") as flora:
        children = flora.children()
        # A stopped guild process makes the orderly stop take its time.
        guild = next(child for child in children if child.ppid() not in (flora.process.pid, 1))
        guild.suspend()
        flora.interrupt()
        eventually(lambda: "again to stop at once" in flora.output, "the first one is heeded")
        flora.interrupt()
        assert flora.process.wait(3) == 130
        assert all_gone(children)


def test_kill_9_leaves_nothing_behind_and_the_next_start_is_clean(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for _ in range(2):
        with running(data) as flora:
            children = flora.children()
            assert "Count is now" in flora.say("/counter increment")
            flora.kill()
            assert all_gone(children)
    with running(data) as flora:
        assert len(flora.call("GET", "/deployments").json()["items"]) == 2
        assert "Current count: 2" in flora.say("/counter get"), "what was acknowledged is there"


def test_sigterm_during_the_start_ends_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command("run"), env=environment(tmp_path / "data"), cwd=ROOT, stdout=output, stderr=output
        )
    try:
        eventually(lambda: "starting" in log.read_text(), "it has begun")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()


def test_a_second_host_says_what_runs_where(tmp_path: Path) -> None:
    with running(tmp_path / "data") as flora:
        text = fails(flora.env, expect=2)
        assert "already runs" in text
        assert str(flora.process.pid) in text
        assert flora.api in text


@pytest.mark.parametrize("variable", ["API_PORT", "PLAYGROUND_PORT", "PLAYGROUND_GATEWAY_PORT"])
def test_a_taken_port_is_one_clear_line(tmp_path: Path, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        text = fails(environment(tmp_path / "data", **{variable: port}), expect=1)
        assert f"ort {port}" in text


def test_a_data_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    text = fails(environment(tmp_path / "file" / "data"), expect=1)
    assert "data directory" in text
    assert "FLORA_DATA_DIR" in text


def test_a_broken_configuration_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[api\nport = 1\n")
    text = fails(environment(tmp_path / "data"), "--config", str(tmp_path / "config.toml"), expect=2)
    assert "not valid TOML" in text
    (tmp_path / "config.toml").write_text("[runtime]\nmax_workers = 99\n")
    text = fails(environment(tmp_path / "data"), "--config", str(tmp_path / "config.toml"), expect=2)
    assert "runtime.max_workers" in text


def test_the_playground_never_runs_beside_a_token(tmp_path: Path) -> None:
    done = subprocess.run(
        command("playground"),
        env=environment(tmp_path, DISCORD_TOKEN="a.b.c"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "DISCORD_TOKEN" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused by what it may not become")
def test_root_in_a_private_directory_works(tmp_path: Path) -> None:
    """Postgres refuses to run as root; a checkout in /root is not readable by anybody else."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with running(private / "data") as flora:
        assert "pong" in flora.say("!ping")
    assert (private.stat().st_mode & 0o777) == 0o700


def fails(env: dict[str, str], *words: str, expect: int) -> str:
    """Start a host that cannot start; returns the line it says."""
    done = subprocess.run(
        command("run", *words),
        env=env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith(("{", "20"))]
    assert len(said) == 1, said
    return said[0]
