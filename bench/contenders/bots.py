"""The contenders of the end-to-end benchmark: each as a whole process tree against a playground of its own.

A `Scene` is a playground with so many guilds; `Started` is a bot that has given its first reply.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from flora.playground.demo import BOT_TOKEN
from tests.e2e.running import Flora, eventually, playground, running

HERE: Final = Path(__file__).parent
DISCORD_JS: Final = "14.28.1"
INSTALL_SECS: Final = 180
FIRST_REPLY_SECS: Final = 120.0
SAY_SECS: Final = 0.1


@dataclass
class Scene:
    """A playground of its own process; `guilds` are ids, `channel` is that of the first guild."""

    url: str
    control: httpx.Client
    guilds: list[str]
    channel: str

    def load(self, **body: Any) -> dict[str, Any]:
        """Run the load generator to the end; its result (`flora/playground/load`)."""
        body = {"guilds": self.guilds, "wait": True, "timeout": 10, **body}
        answer = self.control.post("/load", json=body, timeout=body["duration"] + 60)
        assert answer.is_success, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def has_replied(self) -> bool:
        found = self.control.get(f"/channels/{self.channel}/messages", params={"limit": 5}).json()
        return any(message["author"].get("bot") for message in found)


@contextmanager
def scene(folder: Path, guilds: int) -> Iterator[Scene]:
    folder.mkdir(parents=True, exist_ok=True)
    with playground(folder / "playground") as url, ExitStack() as stack:
        control = stack.enter_context(
            httpx.Client(base_url=f"{url}/playground/api", timeout=60, trust_env=False)
        )
        settings = {"rate_limit_scale": 0, "commands_per_minute": 1_000_000}
        control.post("/settings", json=settings).raise_for_status()
        answer = control.post("/guilds", json={"name": "Bench", "count": guilds, "owner": "ann"})
        made = answer.raise_for_status().json()
        yield Scene(url, control, [guild["id"] for guild in made], made[0]["channels"]["general"])


@dataclass
class Started:
    """`pid` is the root of its process tree, `first_reply` in seconds since its start."""

    pid: int
    first_reply: float
    flora: Flora | None = None

    def _tree(self) -> list[psutil.Process]:
        root = psutil.Process(self.pid)
        return [root, *root.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds of CPU of the whole tree so far, ended children of its root included."""
        used = 0.0
        for process in self._tree():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            used += times.user + times.system
            if process.pid == self.pid:
                used += times.children_user + times.children_system
        return used

    def pss(self) -> float:
        """Memory of the whole tree in MiB, shared pages by their share."""
        return sum(_pss(process.pid) for process in self._tree())


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


@dataclass(frozen=True)
class Contender:
    """A bot; `start` gives it as `Started` for the length of a block."""

    name: str
    guilds: int
    start: Callable[[Scene, Path], AbstractContextManager[Started]]


class _FirstReply(threading.Thread):
    """Says something again and again from its start until a bot answers."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(daemon=True)
        self._scene = scene
        self._began = time.monotonic()
        self.seconds: float | None = None
        self.over = False

    def run(self) -> None:
        body = {"text": "!echo first", "guild": self._scene.guilds[0], "user": "ann"}
        with httpx.Client(base_url=self._scene.control.base_url, timeout=30, trust_env=False) as client:
            while not self.over:
                client.post("/say", json=body)
                for _ in range(5):
                    if self._scene.has_replied():
                        self.seconds = time.monotonic() - self._began
                        return
                    time.sleep(SAY_SECS / 5)

    def wait(self) -> float:
        self.join(FIRST_REPLY_SECS)
        self.over = True
        assert self.seconds is not None, f"no reply within {FIRST_REPLY_SECS:g} s"
        return self.seconds


@contextmanager
def _program(scene: Scene, words: list[str], folder: Path, cwd: Path | None = None) -> Iterator[Started]:
    words = [*words, f"{scene.url}/api/v10", BOT_TOKEN, str(folder / "counter.log")]
    first = _FirstReply(scene)
    with (folder / "bot.log").open("ab") as output:
        process = subprocess.Popen(words, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    first.start()
    try:
        yield Started(process.pid, first.wait())
    finally:
        first.over = True
        process.kill()
        process.wait()


def discord_py(guilds: int) -> Contender:
    words = [sys.executable, str(HERE / "bot_discord_py.py")]
    return Contender("discord.py", guilds, lambda scene, folder: _program(scene, words, folder))


def hikari(guilds: int) -> Contender:
    words = [sys.executable, str(HERE / "bot_hikari.py")]
    return Contender("hikari", guilds, lambda scene, folder: _program(scene, words, folder))


def discord_js(guilds: int, folder: Path) -> Contender | None:
    """Installs discord.js into `folder`; None without Node or npm's registry."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"private": True, "dependencies": {"discord.js": DISCORD_JS}}
    (folder / "package.json").write_text(json.dumps(manifest))
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        capture_output=True,
        timeout=INSTALL_SECS,
        check=False,
    )
    if done.returncode != 0:
        return None
    words = [node, str(HERE / "bot_discord_js.mjs")]
    return Contender("discord.js", guilds, lambda scene, own: _program(scene, words, own, folder))


def flora(guilds: int, **environment: str) -> Contender:
    """Each guild has a script of its own; the first reply is that of a second start, with all deployments."""

    def start(scene: Scene, folder: Path) -> AbstractContextManager[Started]:
        return _flora(scene, folder, environment)

    return Contender(f"flora, {guilds} guild{'s' if guilds > 1 else ''}", guilds, start)


@dataclass
class _Host:
    scene: Scene
    data: Path
    env: dict[str, str] = field(default_factory=dict)

    def running(self) -> AbstractContextManager[Flora]:
        own = {
            "DISCORD_TOKEN": BOT_TOKEN,
            "DISCORD_API_URL": f"{self.scene.url}/api/v10",
            "DISCORD_REQUESTS_PER_SECOND": "1000000",  # as the others, which meet no limit here
        }
        return running(self.data, **{**own, **self.env})


@contextmanager
def _flora(scene: Scene, folder: Path, environment: dict[str, str]) -> Iterator[Started]:
    host = _Host(scene, folder / "data", environment)
    body = {"entry_point": "main.js", "bundle": (HERE / "bot_flora.js").read_text()}
    with host.running() as flora:
        headers = {"authorization": f"Bearer {flora.operator_secret}"}
        with httpx.Client(base_url=flora.api, headers=headers, timeout=60, trust_env=False) as api:
            for guild in scene.guilds:
                api.post(f"/deployments/{guild}", json=body).raise_for_status()
        eventually(lambda: _registered(scene), "the commands of all guilds are there", 120)
    first = _FirstReply(scene)
    first.start()
    try:
        with host.running() as flora:
            yield Started(flora.process.pid, first.wait(), flora)
    finally:
        first.over = True


def _registered(scene: Scene) -> bool:
    guilds = scene.control.get("/state").json()["guilds"]
    wanted = set(scene.guilds)
    return all(guild["commands"] for guild in guilds if guild["id"] in wanted)
