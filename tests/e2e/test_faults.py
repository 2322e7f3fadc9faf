"""Every fault at every phase of the gateway's and REST's life: no event is lost, doubled or reordered.

One flora and one playground for all of it, so the faults also follow each other. A script answers each
message; the answers in the playground's channel are compared. Where Discord ends the session (INVALID_SESSION
false, 4003, 4007, 4009) or there is none yet, it sends nothing of what happens before the next READY; there
the messages are said after it.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from flora.gateway.session import CLOSE_CODES, Consequence
from flora.playground.demo import BOT_TOKEN, GARDEN, GARDEN_GENERAL
from tests.e2e.projects import Project
from tests.e2e.running import ROOT, Flora, environment, eventually, playground, running

pytestmark = pytest.mark.slow

ECHO = """
on("messageCreate", async (ctx) => {
    if (ctx.msg.content.startsWith("say ")) await ctx.reply(ctx.msg.content.replace("say", "said"));
});
"""
HEARTBEAT_SECS = 1.0
BOUND_SECS = 20.0
"""For one fault, all included. A zombie is found after two heartbeats at the latest."""


@dataclass(frozen=True)
class Fault:
    name: str
    body: dict[str, Any]
    ends_session: bool = False

    def __str__(self) -> str:
        return self.name


def close(code: int) -> Fault:
    meaning = CLOSE_CODES.get(code)
    ends = meaning is not None and meaning.consequence is Consequence.RESTART
    return Fault(f"close-{code}", {"action": "close", "code": code}, ends)


FAULTS = [
    Fault("drop", {"action": "drop"}),
    Fault("delay", {"action": "delay", "seconds": 0.05}),
    Fault("duplicate", {"action": "duplicate", "times": 4}),
    Fault("stall", {"action": "stall"}),
    Fault("zombie", {"action": "zombie"}),
    Fault("reconnect", {"action": "reconnect"}),
    Fault("invalid-resumable", {"action": "invalid_session", "resumable": True}),
    Fault("invalid", {"action": "invalid_session", "resumable": False}, ends_session=True),
    close(4000),
    close(4009),
]
CODES = [close(code) for code in (1000, 1001, 4001, 4002, 4003, 4005, 4007, 4008, 4999)]
PHASES = ("hello", "identify", "ready", "dispatch", "resume", "rest")


@dataclass
class Stage:
    """A flora and a playground that are connected."""

    flora: Flora
    control: httpx.Client
    numbers: Iterator[int] = field(default_factory=itertools.count)
    expected: list[str] = field(default_factory=list)
    since: int = 0  # the last message that was checked

    def say(self, count: int) -> None:
        for _ in range(count):
            text = f"say {next(self.numbers)}"
            self.post("/say", text=text)
            self.expected.append(text.replace("say", "said"))

    def post(self, path: str, /, **body: Any) -> None:
        response = self.control.post(path, json=body)
        assert response.is_success, response.text

    def fault(self, **body: Any) -> None:
        self.post("/faults/gateway", **body)

    def sessions(self) -> list[str]:
        """The sessions of flora that have a connection."""
        connections = self.control.get("/faults").json()["gateway"]
        return [each["session_id"] for each in connections if each["user"] == "flora"]

    def until_connected(self, *, other_than: str | None = None) -> str:
        def look() -> str | None:
            sessions = self.sessions()
            return sessions[0] if len(sessions) == 1 and sessions[0] != other_than else None

        return eventually(look, f"connected {self.flora.output[-3000:]}", BOUND_SECS)

    def said(self) -> list[dict[str, Any]]:
        """The bot's answers since the last check, oldest first."""
        messages = self.control.get(f"/channels/{GARDEN_GENERAL}/messages", params={"limit": 1000}).json()
        return [item for item in messages if item["author"].get("bot") and int(item["id"]) > self.since]

    def check(self) -> None:
        """Everything that was said is answered once, in order, and nothing else."""
        eventually(lambda: len(self.said()) >= len(self.expected), "all are answered", BOUND_SECS)
        said = self.said()
        assert [item["content"] for item in said] == self.expected, self.flora.output[-3000:]
        self.since = int(said[-1]["id"])
        self.expected.clear()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("faults")
    with playground(folder / "playground") as url, connected(url, folder) as stage:
        yield stage


@contextmanager
def connected(url: str, folder: Path) -> Iterator[Stage]:
    """flora against the playground at `url`, with the echo script."""
    settings = {"rate_limit_scale": 0, "heartbeat_interval": HEARTBEAT_SECS, "commands_per_minute": 10000}
    with httpx.Client(base_url=f"{url}/playground/api", timeout=10, trust_env=False) as control:
        control.post("/settings", json=settings).raise_for_status()
        with running(
            folder / "data",
            module="tests.e2e.impatient",
            DISCORD_TOKEN=BOT_TOKEN,
            DISCORD_API_URL=f"{url}/api/v10",
            RUNTIME_GUILD_EVENT_CONCURRENCY="1",  # so that the answers have an order
        ) as flora:
            flora.deploy(GARDEN, Project.write(folder / "echo", main=ECHO))
            yield Stage(flora, control)


@pytest.fixture
def stage(whole: Stage) -> Iterator[Stage]:
    """Each case begins connected and without faults."""
    whole.until_connected()
    whole.say(1)
    whole.check()
    yield whole
    whole.control.delete("/faults").raise_for_status()


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_at_a_phase(stage: Stage, fault: Fault, phase: str) -> None:
    session = stage.until_connected()
    if phase == "rest":  # answers are under way, and REST is slow, while the gateway breaks
        stage.post("/faults/rest", kind="delay", seconds=0.3, times=2, method="POST", path="/messages$")
        stage.say(1)
        stage.fault(**fault.body)
    elif phase == "dispatch":
        stage.fault(at="dispatch", **fault.body)
        if fault.ends_session:
            stage.post("/say", text="what Discord takes with the session")
    else:
        stage.fault(at=phase, **fault.body)
        fresh = phase in ("identify", "ready")
        stage.fault(action="invalid_session" if fresh else "drop")
        if fresh:
            until_used(stage)
    if fault.ends_session or phase in ("identify", "ready"):
        until_settled(stage, session)
    stage.say(5)
    stage.check()


@pytest.mark.parametrize("fault", CODES, ids=str)
def test_a_close_code(stage: Stage, fault: Fault) -> None:
    session = stage.until_connected()
    stage.fault(**fault.body)
    if fault.ends_session:
        until_settled(stage, session)
    stage.say(5)
    stage.check()


def until_used(stage: Stage) -> None:
    """The fault that waited has struck."""
    eventually(lambda: not stage.control.get("/faults").json()["armed"], "the fault struck", BOUND_SECS)


def until_settled(stage: Stage, old: str) -> None:
    """A new session is there and stays: what Discord has from now on belongs to it."""

    def ready() -> bool:
        return stage.flora.call("GET", "/health?deep=1").status_code == 200

    stage.until_connected(other_than=old)
    eventually(ready, "ready", BOUND_SECS)


REST = [
    *({"kind": "rate_limit", "seconds": 0.2, "scope": scope} for scope in ("user", "shared", "global")),
    *({"kind": "status", "status": status} for status in (500, 502, 503)),
    {"kind": "status", "status": 500, "after": True},
    {"kind": "delay", "seconds": 1.0},
]


@pytest.mark.parametrize("fault", REST, ids=lambda fault: "-".join(str(part) for part in fault.values()))
def test_a_fault_of_rest(stage: Stage, fault: dict[str, Any]) -> None:
    stage.post("/faults/rest", **fault, times=2, method="POST", path="/messages$")
    stage.say(5)
    stage.check()


def test_many_faults_at_once_under_load(stage: Stage) -> None:
    for round_ in range(6):
        stage.say(5)
        for fault in ("drop", "reconnect"):
            stage.fault(action=fault)
            stage.say(3)
        # One at a time: three in a row would use up the tries of one answer, which then fails rightly.
        eventually(
            lambda: not stage.control.get("/faults").json()["rest"], "the last one is spent", BOUND_SECS
        )
        stage.post("/faults/rest", kind="status", status=502, after=bool(round_ % 2), method="POST")
    stage.check()


FATAL = sorted(code for code, meaning in CLOSE_CODES.items() if meaning.consequence is Consequence.FATAL)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """A playground and the environment of one flora after the other, which have a data folder in common."""
    folder = tmp_path_factory.mktemp("fatal")
    with playground(folder / "playground") as url:
        yield (
            url,
            environment(folder / "data", DISCORD_TOKEN=BOT_TOKEN, DISCORD_API_URL=f"{url}/api/v10"),
        )


@pytest.mark.parametrize("code", FATAL)
def test_a_fatal_close_code_ends_flora_with_one_clear_line(
    refusing: tuple[str, dict[str, str]], code: int
) -> None:
    url, env = refusing
    armed = {"at": "identify", "action": "close", "code": code}
    httpx.post(f"{url}/playground/api/faults/gateway", json=armed).raise_for_status()
    done = subprocess.run(
        [sys.executable, "-m", "flora", "run"],
        env=env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1, done.stderr
    assert f"({code})" in said[0]
    assert CLOSE_CODES[code].hint in said[0]
    if code == 4014:
        assert "Message Content Intent" in said[0]
