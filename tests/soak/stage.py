"""A playground, a Redis and, in one life after the other, a host."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from flora.playground.demo import BOT_TOKEN
from tests.e2e.running import Flora, all_gone, eventually, playground, running
from tests.soak.talk import Place

HEARTBEAT_SECS: Final = 4.0
"""Discord ends a session after half as much again, and a busy machine may be late by a second or two."""
HOST: Final = {
    "DISCORD_TOKEN": BOT_TOKEN,
    "RUNTIME_EVENT_LOG": "true",
    "RUNTIME_GUILD_EVENT_CONCURRENCY": "1",  # so that the answers have an order
    "RUNTIME_HIBERNATE_AFTER_SECS": "2",
    "RUNTIME_MAX_WORKERS": "3",
    # What a busy machine makes slow is not what is tested here.
    "RUNTIME_DISPATCH_TIMEOUT_SECS": "60",
    "RUNTIME_BOOT_TIMEOUT_SECS": "20",
    "RUNTIME_REST_TIMEOUT_MS": "30000",
}


class Redis:
    """A server of the soak's own, without persistence."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        words = ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [*words, "--dir", str(self._folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Stage:
    """`control` is the playground's control API, `api` the HTTP API of the host's present life."""

    def __init__(self, folder: Path, url: str, redis: Redis, more: dict[str, str]) -> None:
        self._folder = folder
        self._env = {**HOST, "DISCORD_API_URL": f"{url}/api/v10", "CACHE_URL": redis.url, **more}
        self._life = ExitStack()
        self._flora: Flora | None = None
        self._api: httpx.Client | None = None
        self.redis = redis
        self.uses_redis = "CACHE_URL" not in more
        self.control = httpx.Client(base_url=f"{url}/playground/api", timeout=30, trust_env=False)
        self.lives = 0

    @property
    def flora(self) -> Flora:
        assert self._flora is not None, "no host runs"
        return self._flora

    @property
    def data(self) -> Path:
        return self._folder / "data"

    def start_host(self) -> float:
        """Seconds until it was ready."""
        began = time.monotonic()
        self._flora = self._life.enter_context(running(self.data, module="tests.soak.host", **self._env))
        self._api = self._life.enter_context(
            httpx.Client(
                base_url=self._flora.api,
                headers={"authorization": f"Bearer {self._flora.operator_secret}"},
                timeout=60,
                trust_env=False,
            )
        )
        self.lives += 1
        return time.monotonic() - began

    def kill_host(self) -> None:
        """SIGKILL; what it had started must end by itself."""
        children = self.flora.children()
        self.flora.kill()
        assert all_gone([child for child in children if child.is_running()], 30)
        self._end_life()

    def stop_host(self) -> None:
        """SIGTERM; it must end in order."""
        children = self.flora.children()
        self.flora.process.terminate()
        status = self.flora.process.wait(60)
        assert status == 0, f"the host ended with {status}"
        assert all_gone(children, 30)
        self._end_life()

    def close(self) -> None:
        self._end_life()
        self.control.close()

    def _end_life(self) -> None:
        self._flora = self._api = None
        self._life.close()

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        assert self._api is not None, "no host runs"
        return self._api.request(method, path, **options)

    def post(self, path: str, /, **body: Any) -> Any:
        """A request to the playground's control API."""
        answer = self.control.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def add_guilds(self, count: int) -> list[Place]:
        made = self.post("/guilds", name="Soak", count=count, owner="ann")
        return [
            Place(guild["id"], guild["channels"]["general"], ticks=bool(index % 2))
            for index, guild in enumerate(made)
        ]

    def guilds(self) -> dict[str, dict[str, Any]]:
        answer = self.call("GET", "/guilds", params={"limit": 100})
        answer.raise_for_status()
        return {guild["guild_id"]: guild for guild in answer.json()["items"]}

    def sessions(self) -> set[str]:
        connections = self.control.get("/faults").json()["gateway"]
        return {each["session_id"] for each in connections if each["user"] == "flora"}

    def until_connected(self, *, other_than: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        def look() -> bool:
            sessions = self.sessions()
            return bool(sessions - other_than) and not sessions & other_than

        eventually(look, "connected to the gateway", 60)

        def healthy() -> bool:
            return self.call("GET", "/health?deep=1").status_code == 200

        eventually(healthy, "healthy", 60)

    def postmaster(self) -> int | None:
        try:
            return int((self.data / "postgres" / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def fork_server(self) -> int | None:
        for child in psutil.Process(self.flora.process.pid).children():
            try:
                if any("zygote" in word for word in child.cmdline()):
                    return child.pid
            except psutil.NoSuchProcess:
                continue
        return None


@contextmanager
def stage(folder: Path, more: dict[str, str]) -> Iterator[Stage]:
    """`more`: environment of the host, such as DATABASE_URL."""
    redis = Redis(folder)
    with playground(folder / "playground") as url:
        redis.start()
        built = Stage(folder, url, redis, more)
        built.post(
            "/settings", rate_limit_scale=0, heartbeat_interval=HEARTBEAT_SECS, commands_per_minute=1_000_000
        )
        try:
            yield built
        finally:
            built.close()
            redis.kill()
