"""`cron` and `tasks` as scripts see them: what is declared, and what handlers get."""

from __future__ import annotations

import json

import pytest

from flora.engine.api import HandlerError
from flora.engine.host import Engine
from tests.sdk.guilds import guild

RUN = {"name": "tick", "scheduledAt": "2026-06-01T12:00:00.000Z", "trigger": "catchUp"}
TASK = {
    "key": "tea:1",
    "data": {"some_key": [1]},
    "channelId": "20",
    "scheduledAt": "2026-06-01T12:00:00.000Z",
    "attempt": 2,
    "trigger": "retry",
}


async def test_jobs_are_declared_as_they_were_written(engine: Engine) -> None:
    script = """
    cron("plain", "@daily", () => {});
    cron("tick", "* * * * *", () => {}, {
        timeZone: "Europe/Berlin", skipIfRunning: true, catchUp: "all", jitter: 5, channelId: "20",
    });
    """
    async with guild(engine, script) as bot:
        assert bot.manifest.crons is not None
        jobs = json.loads(bot.manifest.crons)
        assert all(job.pop("stack") for job in jobs)
        assert jobs == [
            {"name": "plain", "expression": "@daily"},
            {
                "name": "tick",
                "expression": "* * * * *",
                "timeZone": "Europe/Berlin",
                "skipIfRunning": True,
                "catchUp": "all",
                "jitter": 5,
            },
        ]
    async with guild(engine, "on('ready', () => {});") as bot:
        assert bot.manifest.crons is None


async def test_a_run_has_its_name_its_time_and_somewhere_to_send(engine: Engine) -> None:
    script = """
    cron("tick", "@daily", async (ctx) => {
        const { name, scheduledAt, trigger, msg, raw, event } = ctx;
        console.log(JSON.stringify([name, scheduledAt, trigger, msg, raw.name, event.id]));
        await ctx.reply("hello");
        await ctx.edit("bye");
    }, { channelId: "20" });
    cron("nowhere", "@daily", (ctx) => ctx.reply("hello"));
    """
    async with guild(engine, script, {"send_message": {"id": "10", "channel_id": "20"}}) as bot:
        assert await bot.dispatch("__cron:tick", RUN) == [
            ("send_message", {"channelId": "20", "content": "hello"}),
            ("edit_message", {"channelId": "20", "messageId": "10", "content": "bye"}),
        ]
        name, at, trigger, msg, raw, event = json.loads(bot.host.logs[0][1])
        assert (name, at, trigger, raw, event) == ("tick", RUN["scheduledAt"], "catchUp", "tick", "event-1")
        assert msg == {"name": "tick", "scheduledAt": at, "guildId": "900", "channelId": "20"}
        with pytest.raises(HandlerError, match="no channel to reply in"):
            await bot.dispatch("__cron:nowhere", RUN | {"name": "nowhere"})
        with pytest.raises(HandlerError, match="no cron job 'gone' any more"):
            await bot.dispatch("__cron:gone", RUN)


async def test_a_task_has_its_data_and_somewhere_to_send(engine: Engine) -> None:
    script = """
    on("task", async (ctx) => {
        const { key, data, attempt, scheduledAt, trigger, msg } = ctx;
        console.log(JSON.stringify([key, data, attempt, scheduledAt, trigger, msg.key]));
        await ctx.reply("tea");
    });
    """
    async with guild(engine, script) as bot:
        assert bot.manifest.listens == {"TASK"}
        sent = await bot.dispatch("TASK", TASK)
        assert sent == [("send_message", {"channelId": "20", "content": "tea"})]
        assert json.loads(bot.host.logs[0][1]) == [
            "tea:1",
            {"some_key": [1]},
            2,
            TASK["scheduledAt"],
            "retry",
            "tea:1",
        ]
    async with guild(engine, "on('ready', () => {});") as bot:
        with pytest.raises(HandlerError, match="nobody does tasks"):
            await bot.dispatch("TASK", TASK)


async def test_tasks_are_ops_of_the_host(engine: Engine) -> None:
    script = """
    on("ready", async () => {
        await tasks.schedule({ key: "a", at: new Date(0), data: { x: undefined, y: 1 }, other: 1 });
        await tasks.schedule({ in: 5 });
        console.log(JSON.stringify([await tasks.cancel("a"), await tasks.list({ prefix: "a" })]));
        await tasks.list();
    });
    """
    async with guild(engine, script, {"task_cancel": True, "task_list": []}) as bot:
        assert await bot.dispatch("READY", {}) == [
            ("task_schedule", {"key": "a", "at": "1970-01-01T00:00:00.000Z", "data": {"y": 1}}),
            ("task_schedule", {"in": 5}),
            ("task_cancel", {"key": "a"}),
            ("task_list", {"prefix": "a"}),
            ("task_list", {}),
        ]
        assert bot.host.logs == [("info", "[true,[]]")]
