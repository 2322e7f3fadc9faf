"""The log of a running flora passes the checker that the router's core is tested with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from flora.playground.demo import GARDEN
from tests.e2e.projects import Project
from tests.e2e.running import ROOT, eventually, running

SLOW = """
on("messageCreate", async (ctx) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (!ctx.msg.author.bot) await ctx.reply(`heard ${ctx.msg.content}`);
});
"""


def test_moves_crashes_and_deploys_leave_a_history_without_a_fault(tmp_path: Path) -> None:
    with running(tmp_path / "data", RUNTIME_EVENT_LOG="true", RUNTIME_MAX_WORKERS="2") as flora:
        flora.deploy(GARDEN, Project.write(tmp_path / "slow", main=SLOW))
        flora.say("one")
        for number in range(3):
            worker = flora.call("GET", f"/guilds/{GARDEN}").json()["worker"]
            flora.say(f"two {number}", wait=0)
            moved = flora.call(
                "POST", f"/runtime/guilds/{GARDEN}/migrate", json={"target_worker": 1 - worker}
            )
            assert moved.json()["outcome"] == "moved", moved.text
        os.kill(flora.call("GET", f"/guilds/{GARDEN}").json()["pid"], signal.SIGKILL)
        eventually(lambda: "heard three" in flora.say("three"), "it answers again", 30)
        flora.interrupt()
        assert flora.process.wait(10) == 0
    file = tmp_path / "data" / "events.jsonl"
    kinds = {json.loads(line)["t"] for line in file.read_text().splitlines()}
    assert {"opened", "accept", "own", "start", "commit", "control"} <= kinds
    checked = subprocess.run(
        [sys.executable, "-m", "flora.actors.core.history", str(file), "--complete"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
    assert "0 violation(s)" in checked.stdout
