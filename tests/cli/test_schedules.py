"""`flora cron` and `flora tasks`, as real processes against a served API."""

from __future__ import annotations

from flora.storage.schedules import RunKind
from tests.api.served import GARDEN, Served
from tests.cli.test_commands import Flora, flora

__all__ = ["flora"]


async def test_cron_jobs_are_listed_run_and_have_a_history(flora: Flora, served: Served) -> None:
    nothing = await flora("cron", "list", GARDEN)
    assert (nothing.code, nothing.out) == (0, "")
    assert "no cron jobs" in nothing.err
    served.schedules.add_job(GARDEN, "good morning")
    served.schedules.add_run(GARDEN, RunKind.CRON, "good morning", "TypeError: \x1b[2J no\n at x")
    [line] = (await flora("cron", "list", GARDEN)).out.splitlines()
    assert line.split("  ") == [
        "good morning",
        "0 9 * * MON-FRI",
        "Europe/Berlin",
        "2026-06-01 12:00:00",
        "2026-06-01 12:00:00",
        "failed",
    ]
    listed = (await flora("cron", "list", GARDEN, "--json")).json
    assert listed["items"][0]["catch_up"] == "latest"  # type: ignore[index]
    ran = await flora("cron", "run", GARDEN, "good morning")
    assert (ran.code, ran.out) == (0, "started good morning cron:good morning:1\n")
    history = (await flora("cron", "history", GARDEN, "good morning")).out
    assert "failed" in history
    assert "\x1b" not in history
    assert len(history.splitlines()) == 1
    assert (await flora("cron", "history", GARDEN, "--json")).json["next_cursor"] is None  # type: ignore[index]
    served.schedules.running.add("good morning")
    busy = await flora("cron", "run", GARDEN, "good morning")
    assert (busy.code, busy.err.count("\n")) == (1, 1)
    assert (await flora("cron", "run", GARDEN)).code == 2


async def test_tasks_are_listed_run_cancelled_and_have_a_history(flora: Flora, served: Served) -> None:
    assert (await flora("tasks", "list", GARDEN)).err == "there are none.\n"
    for key in ("reminder:1", "../poll/2"):
        served.schedules.add_task(GARDEN, key)
        served.schedules.add_run(GARDEN, RunKind.TASK, key)
    lines = (await flora("tasks", "list", GARDEN)).out.splitlines()
    assert [line.split()[:2] for line in lines] == [["reminder:1", "waiting"], ["../poll/2", "waiting"]]
    assert len((await flora("tasks", "list", GARDEN, "--prefix", "rem")).out.splitlines()) == 1
    assert (await flora("tasks", "run", GARDEN, "../poll/2")).out == "started ../poll/2\n"
    page = await flora("tasks", "history", GARDEN, "-n", "1")
    assert (len(page.out.splitlines()), page.err) == (1, "older ones: --cursor 2\n")
    assert len((await flora("tasks", "history", GARDEN, "reminder:1")).out.splitlines()) == 1
    cancelled = await flora("tasks", "cancel", GARDEN, "../poll/2", "--json")
    assert cancelled.json["key"] == "../poll/2"  # type: ignore[index]
    gone = await flora("tasks", "cancel", GARDEN, "../poll/2")
    assert (gone.code, gone.err.count("\n")) == (1, 1)


async def test_a_task_is_scheduled(flora: Flora, served: Served) -> None:
    data = '{"text":"tea"}'
    ran = await flora("tasks", "schedule", GARDEN, "tea", "--at", "2030-01-01T12:00", "--data", data)
    assert (ran.code, ran.out) == (0, "scheduled tea for 2030-01-01 12:00:00\n")
    assert [(task.key, task.data) for task in served.schedules.all_tasks] == [("tea", data.encode())]
    soon = await flora("tasks", "schedule", GARDEN, "tea", "--in", "10m", "--json")
    assert soon.json["data"] is None  # type: ignore[index]
    assert len(served.schedules.all_tasks) == 1
    for wrong in ([], ["--at", "0", "--in", "1s"], ["--in", "1s", "--data", "{"]):
        assert (await flora("tasks", "schedule", GARDEN, "tea", *wrong)).code == 2
    refused = await flora("tasks", "schedule", GARDEN, "tea", "--in", "soon")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
