"""Cron jobs and tasks of a real host in the playground: over redeploys, a restart and a kill -9."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flora.playground.demo import GARDEN, GARDEN_GENERAL
from tests.e2e.projects import Project
from tests.e2e.running import Flora, eventually, running

SCRIPT = f"""
const seen = kv.store("seen");

cron("tick", "* * * * * *", async (ctx) => {{
    await ctx.reply(`VERSION ${{ctx.name}} ${{ctx.msg.name}} ${{ctx.scheduledAt}}`);
}}, {{ channelId: "{GARDEN_GENERAL}", catchUp: "latest" }});

on("messageCreate", async (ctx) => {{
    if (ctx.msg.content !== "go") return;
    for (const [delay, text] of [["1h", "later"], ["0s", "quick"], ["0s", "slow"]]) {{
        await tasks.schedule({{ key: text, in: delay, channelId: ctx.msg.channelId, data: {{ text }} }});
    }}
}});
on("task", async (ctx) => {{
    const times = await seen.increment(ctx.key);
    console.log(`begins ${{ctx.key}} ${{ctx.attempt}}`);
    if (ctx.key === "slow" && times === 1) await new Promise(() => {{}});
    await ctx.reply(`done ${{ctx.data.text}}`);
}});
"""


def runs(flora: Flora, kind: str, name: str) -> list[dict[str, Any]]:
    """The history, newest first."""
    items = flora.call("GET", f"/{kind}/{GARDEN}/{name}/history?limit=100").json()["items"]
    assert isinstance(items, list)
    return items


def runs_on(flora: Flora) -> None:
    """Until the job has run twice more."""
    count = len(runs(flora, "cron", "tick"))
    eventually(lambda: len(runs(flora, "cron", "tick")) > count + 1, "the job runs", 30)


def test_over_redeploys_a_restart_and_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = Project.write(tmp_path / "first", main=SCRIPT.replace("VERSION", "first"))
    second = Project.write(tmp_path / "second", main=SCRIPT.replace("VERSION", "second"))
    broken = Project.write(tmp_path / "broken", main='cron("other", "61 * * * *", () => {});')
    with running(data, RUNTIME_CRON_TIMEOUT_SECS="120") as flora:
        flora.deploy(GARDEN, first)
        runs_on(flora)
        assert {run["outcome"] for run in runs(flora, "cron", "tick")} == {"done"}

        refused = flora.deploy(GARDEN, broken, expect=1)
        assert "invalid cron expression '61 * * * *': bad minute" in refused
        [job] = json.loads(flora.cli("cron", "list", GARDEN, "--json"))["items"]
        assert (job["name"], job["last_run"]["outcome"]) == ("tick", "done")
        runs_on(flora)

        flora.deploy(GARDEN, second)
        flora.cli("cron", "run", GARDEN, "tick")
        eventually(
            lambda: "manual" in [run["trigger"] for run in runs(flora, "cron", "tick")], "it was run by hand"
        )
        eventually(lambda: "second tick tick" in flora.say("look"), "the second script posts")
        flora.say("go", wait=0)
        eventually(lambda: runs(flora, "tasks", "quick") or None, "the quick task is done")
        eventually(lambda: "begins slow 1" in flora.guild_log(GARDEN), "the slow one has begun")
        before = runs(flora, "cron", "tick")
        flora.kill()
    with running(data) as flora:
        assert before[-1] in runs(flora, "cron", "tick"), "what ran before is remembered"
        runs_on(flora)
        eventually(lambda: runs(flora, "tasks", "slow") or None, "the slow task was done again", 30)
        assert [run["outcome"] for run in runs(flora, "tasks", "slow")] == ["done"]
        assert len(runs(flora, "tasks", "quick")) == 1, "what was done is not done again"
        metrics = flora.call("GET", "/metrics").text
        assert 'flora_schedule_runs_total{kind="task",outcome="done"} 1.0' in metrics
        assert 'flora_schedule_depth{kind="task"} 0.0' in metrics
    with running(data) as flora:
        runs_on(flora)
        times = [run["scheduled_at"] for run in runs(flora, "cron", "tick") if run["trigger"] != "manual"]
        assert len(times) == len(set(times)), "each occurrence ran once"
        assert "done" in flora.cli("cron", "history", GARDEN)

        [task] = json.loads(flora.cli("tasks", "list", GARDEN, "--json"))["items"]
        assert (task["key"], task["state"], task["data"]) == ("later", "waiting", {"text": "later"})
        flora.cli("tasks", "run", GARDEN, "later")
        eventually(lambda: runs(flora, "tasks", "later") or None, "it was run by hand")
        assert flora.call("GET", f"/tasks/{GARDEN}").json()["items"] == []
