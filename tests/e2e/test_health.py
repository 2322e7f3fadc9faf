"""GET /health?deep=1 of a host that loses a part of itself: 503, the part's name, and 200 once it is back."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from flora.playground.demo import BOT_TOKEN
from tests.e2e.running import Flora, eventually, playground, running

pytestmark = pytest.mark.slow


def ill(flora: Flora) -> dict[str, str] | None:
    """The parts that are not well with what is said of them; None when the answer is not 503."""
    answer = flora.call("GET", "/health?deep=1")
    body: dict[str, Any] = answer.json()
    found = {check["name"]: check["detail"] for check in body["checks"] if not check["ok"]}
    assert (answer.status_code, body["status"]) == ((503, "degraded") if found else (200, "ok"))
    return found or None


def until_well(flora: Flora) -> None:
    eventually(lambda: ill(flora) is None, "all is well", 60)


def test_postgres_that_does_not_answer_is_named(flora: Flora) -> None:
    until_well(flora)
    servers = [process for process in flora.children() if process.name().startswith("postgres")]
    assert servers
    try:
        for process in servers:
            process.send_signal(signal.SIGSTOP)
        found = eventually(lambda: ill(flora), "it is missed", 60)
        assert "postgres" in found
        assert "gateway" not in found
        assert httpx.get(f"{flora.api}/health", timeout=60).status_code == 200, "flora itself answers"
        told = httpx.get(f"{flora.api}/health?deep=1", timeout=60)
        assert told.status_code == 503
        details = {check["name"]: check["detail"] for check in told.json()["checks"]}
        assert set(details.values()) == {""}, "what is wrong is the operator's to know"
    finally:
        for process in servers:
            if process.is_running():
                process.send_signal(signal.SIGCONT)
    until_well(flora)


def test_a_shard_that_is_not_ready_is_named(tmp_path: Path) -> None:
    with (
        playground(tmp_path / "playground") as url,
        running(tmp_path / "data", DISCORD_TOKEN=BOT_TOKEN, DISCORD_API_URL=f"{url}/api/v10") as flora,
        httpx.Client(base_url=f"{url}/playground/api", timeout=30, trust_env=False) as control,
    ):
        until_well(flora)
        # The next connection is never greeted, and the one that is there is ended.
        control.post("/faults/gateway", json={"at": "hello", "action": "stall"}).raise_for_status()
        control.post("/faults/gateway", json={"action": "drop"}).raise_for_status()
        found = eventually(lambda: ill(flora), "it is missed", 60)
        assert found.keys() == {"gateway"}
        assert found["gateway"].startswith("shards: ")
        assert "ready" not in found["gateway"]
        control.delete("/faults").raise_for_status()
        until_well(flora)
