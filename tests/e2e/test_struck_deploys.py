"""A deploy that is struck at any of its steps: afterwards, what runs is what the database has."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from flora.playground.demo import GARDEN, GARDEN_GENERAL
from tests.e2e.running import Flora, eventually, running
from tests.e2e.struck import STEPS

BOT = 'on("messageCreate", (ctx) => ctx.msg.author.bot ? null : ctx.reply("it is version %d"));'
pytestmark = pytest.mark.slow


class Versions:
    """Deploys one version after the other."""

    last = 0

    def deploy(self, flora: Flora) -> bool:
        """Whether it was acknowledged."""
        self.last += 1
        body = {"entry_point": "main.js", "bundle": BOT % self.last}
        try:
            return flora.call("POST", f"/deployments/{GARDEN}", json=body).is_success
        except httpx.HTTPError:
            return False


def recorded(flora: Flora) -> int:
    answer = flora.call("GET", f"/deployments/{GARDEN}", params={"include_bundle": "true"})
    assert answer.status_code == 200, answer.text
    found = re.search(r"it is version (\d+)", answer.json()["bundle"])
    assert found is not None
    return int(found[1])


def runs(flora: Flora) -> int | None:
    """Who answers in the chat; None when nobody does for a while."""
    chat = f"{flora.page.rstrip('/')}/playground/api"

    def messages() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{chat}/channels/{GARDEN_GENERAL}/messages").json()
        return found

    since = max((int(item["id"]) for item in messages()), default=0)
    httpx.post(f"{chat}/say", json={"text": "which"}).raise_for_status()
    until = time.monotonic() + 1  # said again then
    while time.monotonic() < until:
        for item in messages():
            if int(item["id"]) > since and (said := re.search(r"it is version (\d+)", item["content"])):
                return int(said[1])
        time.sleep(0.02)
    return None


def agreed(flora: Flora) -> int:
    """The version that both say, once they do."""

    def look() -> int | None:
        version = recorded(flora)
        return version if runs(flora) == version else None

    return eventually(look, "code and database agree", 60)


def test_the_host_is_killed(tmp_path: Path) -> None:
    data, versions = tmp_path / "data", Versions()
    expected = None
    for step in (*STEPS, "end"):
        with running(data, module="tests.e2e.struck") as flora:
            if expected is None:
                assert versions.deploy(flora)
                expected = versions.last
            assert agreed(flora) == expected, step
            if step == "end":
                break
            (data / "strike").write_text(f"{step} host")
            assert not versions.deploy(flora)
            if step == "recorded":  # it was not acknowledged, but it is there
                expected = versions.last


@pytest.mark.parametrize("victim", ["postgres", "guild"])
def test_the_host_survives_what_strikes_beside_it(tmp_path: Path, victim: str) -> None:
    data, versions = tmp_path / "data", Versions()
    with running(data, module="tests.e2e.struck") as flora:
        assert versions.deploy(flora)
        expected = versions.last
        for step in STEPS:
            (data / "strike").write_text(f"{step} {victim}")
            acknowledged = versions.deploy(flora)
            assert not (data / "strike").exists(), "it has struck"
            version = agreed(flora)
            assert version in (expected, versions.last)
            if acknowledged:
                assert version == versions.last, "what was acknowledged is there"
            expected = version
        assert flora.process.poll() is None
    with running(data) as flora:
        assert agreed(flora) == expected
