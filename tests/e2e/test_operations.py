"""An operator looks at guilds and workers and moves them, while people talk to their bots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.projects import Project
from tests.e2e.running import Flora, eventually

SCRIPT = """
let seen = 0;
on("messageCreate", async (ctx) => {
    if (ctx.msg.content !== "next") return;
    seen += 1;
    await ctx.reply(`counted ${seen}`);
});
"""


def guilds(flora: Flora) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(flora.cli("guilds", "list", "--json"))["items"]
    return items


@pytest.mark.slow
def test_a_guild_is_moved_drained_and_restarted(flora: Flora, tmp_path: Path) -> None:
    guild = guilds(flora)[0]["guild_id"]
    name = "Garden"
    flora.deploy(guild, Project.write(tmp_path, main=SCRIPT))
    before = json.loads(flora.cli("guilds", "show", guild, "--json"))
    assert before["status"] == "running"
    assert "counted 1" in flora.say("next", guild=name)

    target = (before["worker"] + 1) % 2
    assert f"it is on worker {target} now" in flora.cli("guilds", "migrate", guild, "--to", str(target))
    after = json.loads(flora.cli("guilds", "show", guild, "--json"))
    assert (after["worker"], after["pid"]) == (target, before["pid"])
    assert "counted 2" in flora.say("next", guild=name)

    drained = json.loads(flora.cli("workers", "drain", str(target), "--json"))
    assert (drained["worker"]["guilds"], drained["worker"]["drained"]) == (0, True)
    assert "counted 3" in flora.say("next", guild=name)
    flora.cli("workers", "reopen", str(target))

    flora.cli("restart", guild)
    assert "counted 1" in flora.say("next", guild=name)
    eventually(lambda: all(item["status"] == "running" for item in guilds(flora)), "all guilds run")
    assert flora.cli("dead-letters", "list", guild) == ""
