"""A guild that nobody speaks in sleeps; the next message wakes it, and finds what the last one left."""

from __future__ import annotations

from pathlib import Path

from flora.playground.demo import GARDEN, GREENHOUSE
from tests.e2e.projects import Project
from tests.e2e.running import Flora, eventually, running

COUNTER = """
const box = kv.store("box");
let heap = 0;
on("messageCreate", async (ctx) => {
    if (ctx.msg.author.bot) return;
    heap += 1;
    const seen = Number((await box.get("seen")) ?? "0") + 1;
    await box.set("seen", String(seen));
    await ctx.reply(`message ${seen}, ${heap} since it woke: ${ctx.msg.content}`);
});
"""
TICKER = """
let ticks = 0;
setInterval(() => { ticks += 1; }, 500);
on("messageCreate", async (ctx) => {
    if (!ctx.msg.author.bot) await ctx.reply(ticks > 0 ? "ticking" : "still");
});
"""


def status(flora: Flora, guild: str = GARDEN) -> str:
    return str(flora.call("GET", f"/guilds/{guild}").json()["status"])


def metric(flora: Flora, name: str) -> float:
    lines = flora.call("GET", "/metrics").text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


def test_an_idle_guild_hibernates_and_its_next_message_wakes_it(tmp_path: Path) -> None:
    counter = Project.write(tmp_path / "counter", main=COUNTER)
    ticker = Project.write(tmp_path / "ticker", main=TICKER)
    with running(tmp_path / "data", RUNTIME_HIBERNATE_AFTER_SECS="0.2") as flora:
        flora.deploy(GARDEN, counter)
        flora.deploy(GREENHOUSE, ticker)
        assert "message 1, 1 since it woke: one" in flora.say("one")
        eventually(lambda: status(flora) == "hibernating", "the guild sleeps", 60)
        assert "hibernating" in flora.cli("guilds", "list")
        assert flora.call("GET", f"/guilds/{GARDEN}").json()["pid"] is None
        assert status(flora, GREENHOUSE) == "running", "a timer keeps it awake"
        assert "message 2, 1 since it woke: two" in flora.say("two", wait=30)
        assert metric(flora, "flora_guild_hibernated_total") >= 1
        assert metric(flora, "flora_guild_woken_total") >= 1
        assert metric(flora, "flora_wake_duration_count") >= 1
        eventually(lambda: status(flora) == "hibernating", "it sleeps again", 60)
        flora.deploy(GARDEN, Project.write(counter.root, main=COUNTER.replace("message ", "number ")))
        assert "number 3" in flora.say("three", wait=30)
