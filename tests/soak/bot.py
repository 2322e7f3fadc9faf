"""The script that runs in every guild of the soak, and what its answers mean.

`say N` is answered with `re N vVERSION`, at once, after a pause (`slow N`) or after a write (`count N`);
`later N` also schedules a task, which says `task N`. Every version makes the same calls in the same order.
"""

from __future__ import annotations

import re
from typing import Any, Final

KINDS: Final = ("say", "say", "slow", "count", "later")
ANSWER: Final = re.compile(r"re (\d+) v(\d+)")
TASK: Final = re.compile(r"task (\d+)")
VERSION: Final = re.compile(r"const VERSION = (\d+);")

_SCRIPT: Final = """
const VERSION = %d;
const box = kv.store("soak");
on("messageCreate", async (ctx) => {
  if (ctx.msg.author.bot) return;
  const [kind, number] = ctx.msg.content.split(" ");
  if (kind === "slow") await new Promise((resolve) => setTimeout(resolve, 30));
  if (kind === "count") await box.set("last", number);
  if (kind === "later") {
    await tasks.schedule({ key: number, in: "1s", channelId: ctx.msg.channelId, data: { number } });
  }
  await ctx.reply(`re ${number} v${VERSION}`);
});
on("task", async (ctx) => { await ctx.reply(`task ${ctx.data.number}`); });
"""
_CRON: Final = """
cron("tick", "*/2 * * * * *", async (ctx) => { await box.set("tick", String(ctx.scheduledAt)); });
"""


def bundle(version: int, *, ticks: bool) -> dict[str, Any]:
    """The body of a deploy; `ticks`: with a cron job, which keeps the guild awake."""
    return {"entry_point": "main.js", "bundle": _SCRIPT % version + (_CRON if ticks else "")}


def broken() -> dict[str, Any]:
    """A deploy that must be refused, with the present script left as it is."""
    return {"entry_point": "main.js", "bundle": 'throw new Error("meant to fail");'}
