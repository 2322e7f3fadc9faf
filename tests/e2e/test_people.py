"""People in a real browser: log in with (the playground's) Discord, hand a command line its token, log out.

And what of it all is there again after a kill.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from flora.playground.demo import GARDEN
from tests.e2e.projects import Project
from tests.e2e.running import Flora, eventually, running
from tests.playground.test_page import CHROMIUM

pytestmark = pytest.mark.slow

TALK = """
on("messageCreate", async (ctx) => {
    if (ctx.msg.author.bot) return;
    console.log("heard " + ctx.msg.content);
    await ctx.reply("yes");
});
console.log("loaded");
"""


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists() and "CI" not in os.environ, reason=f"there is no {CHROMIUM}")
def test_a_person_logs_in_and_connects_a_command_line(tmp_path: Path) -> None:
    # In a thread of its own: Playwright leaves an asyncio loop behind in the one that it ran in.
    with running(tmp_path / "data") as flora, ThreadPoolExecutor(1) as thread:
        thread.submit(log_in, flora).result()


def log_in(flora: Flora) -> None:
    asked = httpx.post(f"{flora.api}/auth/device", json={"label": "ann's laptop"}).json()
    # Playwright wants a plain asyncio loop; trio-asyncio, once it is imported, has none unless told so.
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        ) as chromium,
    ):
        page = chromium.new_page()
        expect.set_options(timeout=30_000)
        page.goto(asked["verification_uri_complete"])
        consent(page, "allow")
        expect(page.get_by_role("heading")).to_have_text("Connect a command line")
        expect(page.locator("code")).to_have_text(asked["user_code"])
        page.get_by_role("button", name="Allow").click()
        expect(page.get_by_role("heading")).to_have_text("Connected")
        polled = httpx.post(f"{flora.api}/auth/device/token", json={"device_code": asked["device_code"]})
        granted = polled.json()
        assert granted["status"] == "granted"

        page.goto(f"{flora.api}/docs")
        expect(page.locator(".opblock").first).to_be_visible(timeout=30_000)
        assert page.locator(".errors-wrapper").count() == 0

        me = page.evaluate("fetch('/auth/me').then((answer) => answer.json())")
        assert me["user"]["id"] == granted["user_id"]
        assert page.evaluate("document.cookie") == ""  # no script can read them
        status = f"(headers) => fetch('/deployments/{GARDEN}/restart', {{method: 'POST', headers}})"
        status += ".then((answer) => answer.status)"
        assert page.evaluate(status, {}) == 403
        assert page.evaluate(status, {"X-CSRF-Token": me["csrf_token"]}) == 200

        token = {"Authorization": f"Bearer {granted['token']}"}
        guilds = httpx.get(f"{flora.api}/guilds", headers=token).json()["items"]
        assert GARDEN in {guild["guild_id"] for guild in guilds}
        assert httpx.get(f"{flora.api}/workers", headers=token).status_code == 403

        page.goto(f"{flora.api}/auth/login?next=https://evil.test/")
        consent(page, "deny")
        expect(page.get_by_role("heading")).to_have_text("That did not work")
        page.goto(f"{flora.api}/docs")  # whose policy lets its scripts ask us
        logout = "(token) => fetch('/auth/logout', {method: 'POST', body: '{}', headers: token})"
        headers = {"X-CSRF-Token": me["csrf_token"], "Content-Type": "application/json"}
        page.evaluate(logout, headers)
        assert page.evaluate("fetch('/auth/me').then((answer) => answer.status)") == 401


def consent(page: Page, decision: str) -> None:
    """The playground's page, as the person that it proposes."""
    page.locator(f"button[value={decision}]").click()


def test_what_outlives_a_kill(tmp_path: Path) -> None:
    with running(tmp_path / "data") as flora:
        flora.deploy(GARDEN, Project.write(tmp_path / "bot", main=TALK))
        flora.say("hello")
        line = eventually(lambda: newest(flora), "the script spoke")
        eventually(lambda: list((flora.data / "logs").glob("*/*.jsonl")) or None, "the log is on the disk")
        token = flora.call("POST", "/tokens", json={"rights": "deploy", "guild_ids": [GARDEN]}).json()[
            "token"
        ]
        assert flora.call("POST", f"/deployments/{GARDEN}/pause").json()["status"] == "paused"
        eventually(lambda: "heard hello" in stored(flora), "what it heard is on the disk")
        flora.kill()
    with running(tmp_path / "data") as flora:
        guild = flora.call("GET", f"/guilds/{GARDEN}").json()
        assert (guild["status"], guild["pid"]) == ("paused", None)
        script = httpx.Client(base_url=flora.api, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        with script:
            assert script.post(f"/deployments/{GARDEN}/resume").json()["status"] == "running"
            headers = {"Last-Event-ID": str(line)}
            with script.stream("GET", f"/logs/{GARDEN}?follow=true", headers=headers) as stream:
                heard = next(text for text in stream.iter_lines() if text.startswith("data:"))
            assert "loaded" in heard  # of the second start: nothing between, and nothing again
        actions = [entry["action"] for entry in flora.call("GET", "/audit").json()["items"]]
        assert {"deployments.deploy", "tokens.create_token", "guilds.pause", "guilds.resume"} <= set(actions)
        checks = {
            check["name"]: check["ok"] for check in flora.call("GET", "/health?deep=1").json()["checks"]
        }
        assert checks == dict.fromkeys(("postgres", "cache", "gateway", "workers", "zygote"), True)
        metrics = flora.call("GET", "/metrics").text
        for name in (
            "flora_queue_depth",
            "flora_rest_buckets",
            "flora_gateway_latency",
            "flora_isolate_memory",
        ):
            assert f"# TYPE {name} gauge" in metrics


def newest(flora: Flora) -> int | None:
    lines = flora.call("GET", f"/logs/{GARDEN}?limit=1").json()["items"]
    return lines[0]["id"] if lines and lines[0]["message"] == "heard hello" else None


def stored(flora: Flora) -> str:
    return "".join(path.read_text() for path in (flora.data / "logs" / GARDEN).glob("*.jsonl"))
