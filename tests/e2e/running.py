"""flora as its users run it: the real executable, its real parts, ports and data of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx
import psutil

from flora.storage.datadir import read_holder
from tests.e2e.projects import Project

ROOT = Path(__file__).parent.parent.parent
START_SECS = 60.0
T = TypeVar("T")


def eventually(look: Callable[[], T | None], what: str, secs: float = 15.0) -> T:
    """What `look` returns once it is neither None nor False; fails when it is not so in time."""
    until = time.monotonic() + secs
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        assert time.monotonic() < until, f"not within {secs:g} s: {what}"
        time.sleep(0.02)


def environment(data: Path, **more: str) -> dict[str, str]:
    """The environment of a host with data and ports of its own, without what this machine has set."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return {
        **kept,
        "FLORA_DATA_DIR": str(data),
        "XDG_CONFIG_HOME": str(data.parent / "config"),
        "API_PORT": "0",
        "PLAYGROUND_PORT": "0",
        "PLAYGROUND_GATEWAY_PORT": "0",
        "NO_COLOR": "1",
        **more,
    }


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "flora", *words]


@dataclass
class Flora:
    """One host that runs. `output` is everything it printed, log and all."""

    process: subprocess.Popen[bytes]
    data: Path
    log: Path
    env: dict[str, str]
    urls: dict[str, str]

    @property
    def api(self) -> str:
        return self.urls["api"]

    @property
    def page(self) -> str:
        return self.urls["playground"]

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def cli(self, *words: str, expect: int = 0, stdin: str | None = None) -> str:
        """Run the command line against this host; returns its standard output."""
        done = subprocess.run(
            command(*words),
            env=self.env,
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr if expect else done.stdout

    def say(self, text: str, *, guild: str = "Garden", user: str = "ann", wait: float = 10.0) -> str:
        """Say something in #general as a person; returns what the bots answered."""
        return self.cli("playground", "say", "--guild", guild, "--user", user, "--wait", str(wait), text)

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request to the HTTP API as the operator."""
        return httpx.request(
            method,
            f"{self.api}{path}",
            headers={"authorization": f"Bearer {self.operator_secret}"},
            timeout=60,
            **options,
        )

    @property
    def operator_secret(self) -> str:
        for line in (self.data / "secrets.toml").read_text().splitlines():
            if line.startswith("operator_secret"):
                return line.split('"')[1]
        raise AssertionError("no operator secret")

    def deploy(self, guild_id: str, project: Project, *, expect: int = 0) -> str:
        return self.cli("deploy", "--guild", guild_id, "--root", str(project.root), expect=expect)

    def guild_log(self, guild_id: str) -> str:
        return self.cli("logs", guild_id, "--limit", "200")

    def children(self) -> list[psutil.Process]:
        """Every process that this host has brought about: Postgres, fork server, guild processes."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def running(data: Path, *, module: str = "flora", **more: str) -> Iterator[Flora]:
    """A host on `data` that is ready; ended by the end of the block, if not before."""
    with _running(data, environment(data, **more), module) as flora:
        yield flora


@contextmanager
def playground(folder: Path, *, module: str = "flora", **more: str) -> Iterator[str]:
    """A playground by itself; gives the URL of its page. Flora runs against it as against Discord."""
    env = environment(folder, PLAYGROUND_PORT="0", PLAYGROUND_GATEWAY_PORT="0", **more)
    words = [sys.executable, "-m", module, "playground"]
    log = folder.parent / "playground.log"
    with log.open("ab") as output:
        told = output.tell()
        process = subprocess.Popen(
            words, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )

    def page() -> str | None:
        text = log.read_bytes()[told:].decode(errors="replace")
        assert process.poll() is None, text[-3000:]
        found = re.search(r"^chat page +(http://\S+)$", text, re.MULTILINE)
        return found[1] if found else None

    try:
        url = eventually(page, "the playground is ready", START_SECS)
        eventually(lambda: _answers(url), "the playground answers", START_SECS)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v10/gateway", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def _running(data: Path, env: dict[str, str], module: str) -> Iterator[Flora]:
    log = data.parent / f"{data.name}.log"
    with log.open("ab") as output:
        process = _start(env, output, module)
    everything: list[psutil.Process] = []
    try:
        urls = eventually(lambda: _urls(process, data, log), f"ready\n{log.read_text()}", START_SECS)
        flora = Flora(process, data, log, env, urls)
        everything = flora.children()
        yield flora
    finally:
        if process.poll() is None:
            everything += psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in everything:
            if child.is_running():
                child.kill()


def _start(env: dict[str, str], output: IO[bytes], module: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", module, "run"]
    return subprocess.Popen(words, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def _urls(process: subprocess.Popen[bytes], data: Path, log: Path) -> dict[str, str] | None:
    assert process.poll() is None, f"flora ended: {process.returncode}\n{log.read_text()}"
    holder = read_holder(data)
    if holder is None or holder.pid != process.pid or "api" not in holder.urls:
        return None
    try:
        ready = httpx.get(f"{holder.urls['api']}/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return None
    return holder.urls if ready else None


def alive(processes: list[psutil.Process]) -> list[str]:
    """Those that still run, as text; a zombie has ended."""
    found = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {process.name()}")
        except psutil.NoSuchProcess:
            continue
    return found


def all_gone(processes: list[psutil.Process], secs: float = 10.0) -> bool:
    """Whether they have all ended within `secs`; fails with the names of those that have not."""
    until = time.monotonic() + secs
    while left := alive(processes):
        assert time.monotonic() < until, f"still running: {left}"
        time.sleep(0.02)
    return True
