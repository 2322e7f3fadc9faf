"""Cron jobs and tasks over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from flora.storage.schedules import RunKind
from tests.api.schedules import MOST_TASKS
from tests.api.served import GARDEN, ORCHARD, Served


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


async def test_jobs_are_listed_with_their_last_run(served: Served, api: httpx.AsyncClient) -> None:
    assert (await api.get(f"/cron/{GARDEN}")).json() == {"items": []}
    served.schedules.add_job(GARDEN, "good morning")
    served.schedules.add_job(ORCHARD, "theirs")
    served.schedules.add_run(GARDEN, RunKind.CRON, "good morning", "TypeError: no")
    [job] = (await api.get(f"/cron/{GARDEN}")).json()["items"]
    last = job.pop("last_run")
    assert job == {
        "name": "good morning",
        "expression": "0 9 * * MON-FRI",
        "time_zone": "Europe/Berlin",
        "skip_if_running": False,
        "catch_up": "latest",
        "jitter_secs": 0.0,
        "next_at": "2026-06-01T12:00:00Z",
        "running": 0,
    }
    assert (last["outcome"], last["error"], last["trigger"]) == ("failed", "TypeError: no", "schedule")
    served.schedules.stopped = True
    assert (await api.get(f"/cron/{GARDEN}")).json()["items"][0]["next_at"] is None


async def test_a_job_is_run_by_hand(served: Served, api: httpx.AsyncClient) -> None:
    name = "a/b c.d"
    served.schedules.add_job(GARDEN, name)
    path = f"/cron/{GARDEN}/a%2Fb%20c.d/run"
    started = await api.post(path)
    assert started.status_code == 202
    assert started.json()["name"] == name
    served.schedules.running.add(name)
    busy = await api.post(path)
    assert (busy.status_code, code(busy)) == (409, "CRON_CONFLICT")
    served.schedules.running.clear()
    served.schedules.stopped = True
    assert (await api.post(path)).status_code == 404
    unknown = await api.post(f"/cron/{ORCHARD}/nothing/run")
    assert (unknown.status_code, code(unknown)) == (404, "CRON_NOT_FOUND")


async def test_histories_have_pages(served: Served, api: httpx.AsyncClient) -> None:
    for number in range(5):
        served.schedules.add_run(GARDEN, RunKind.CRON, "even" if number % 2 == 0 else "odd")
        served.schedules.add_run(GARDEN, RunKind.TASK, f"task:{number}")
    page = (await api.get(f"/cron/{GARDEN}/history", params={"limit": 3})).json()
    assert [run["name"] for run in page["items"]] == ["even", "odd", "even"]
    following = {"limit": "3", "cursor": page["next_cursor"]}
    page = (await api.get(f"/cron/{GARDEN}/history", params=following)).json()
    assert [run["name"] for run in page["items"]] == ["odd", "even"]
    assert page["next_cursor"] is None
    assert len((await api.get(f"/cron/{GARDEN}/odd/history")).json()["items"]) == 2
    assert len((await api.get(f"/tasks/{GARDEN}/history")).json()["items"]) == 5
    [run] = (await api.get(f"/tasks/{GARDEN}/task%3A3/history")).json()["items"]
    assert (run["name"], run["event_id"]) == ("task:3", "task:task:3")
    for path in ("cron", "tasks"):
        assert (await api.get(f"/{path}/{GARDEN}/history?cursor=x")).status_code == 422
        assert (await api.get(f"/{path}/{GARDEN}/history?limit=0")).status_code == 422


async def test_tasks_are_listed_run_and_cancelled(served: Served, api: httpx.AsyncClient) -> None:
    served.schedules.add_task(GARDEN, "reminder:1")
    served.schedules.add_task(GARDEN, "poll/2")
    served.schedules.add_task(ORCHARD, "theirs")
    served.schedules.running.add("poll/2")
    items = (await api.get(f"/tasks/{GARDEN}")).json()["items"]
    assert [(item["key"], item["state"], item["data"]) for item in items] == [
        ("reminder:1", "waiting", {"text": "hi"}),
        ("poll/2", "running", {"text": "hi"}),
    ]
    only = (await api.get(f"/tasks/{GARDEN}", params={"prefix": "rem"})).json()["items"]
    assert [item["key"] for item in only] == ["reminder:1"]
    ran = await api.post(f"/tasks/{GARDEN}/poll%2F2/run")
    assert (ran.status_code, ran.json()["key"]) == (202, "poll/2")
    assert (await api.delete(f"/tasks/{GARDEN}/poll%2F2")).json()["key"] == "poll/2"
    for answer in (
        await api.delete(f"/tasks/{GARDEN}/poll%2F2"),
        await api.post(f"/tasks/{GARDEN}/theirs/run"),
    ):
        assert (answer.status_code, code(answer)) == (404, "TASK_NOT_FOUND")


async def test_a_task_is_scheduled_once_for_each_key(served: Served, api: httpx.AsyncClient) -> None:
    path = f"/tasks/{GARDEN}"
    body = {"key": "tea/1", "at": "2030-01-01T13:00:00+01:00", "data": {"text": "hi"}, "channel_id": "7"}
    for _ in range(2):
        answer = await api.post(path, json=body)
        assert answer.status_code == 201
    task = answer.json()
    assert (task["key"], task["state"], task["due_at"]) == ("tea/1", "waiting", "2030-01-01T12:00:00Z")
    assert (task["data"], task["channel_id"]) == ({"text": "hi"}, "7")
    assert [item["key"] for item in (await api.get(path)).json()["items"]] == ["tea/1"]
    later = (await api.post(path, json={"key": "tea/1", "in": "90s"})).json()
    wait = datetime.fromisoformat(later["due_at"]) - datetime.now(UTC)
    assert timedelta(0) < wait <= timedelta(seconds=90)
    (entry, *_) = reversed(served.audit.entries)
    assert (entry.action, entry.guild_id, entry.status) == ("schedules.schedule_task", GARDEN, 201)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "key"),
        ({"key": "", "in": 1}, "key"),
        ({"key": "x" * 129, "in": 1}, "key"),
        ({"key": "a\nb", "in": 1}, "key"),
        ({"key": "a"}, "at"),
        ({"key": "a", "at": 0, "in": 0}, "at"),
        ({"key": "a", "at": "soon"}, "at"),
        ({"key": "a", "at": 1e300}, "at"),
        ({"key": "a", "at": True}, "at"),
        ({"key": "a", "in": "soon"}, "in"),
        ({"key": "a", "in": -1}, "in"),
        ({"key": "a", "in": 1e12}, "in"),
        ({"key": "a", "in": 1, "channel_id": "x"}, "channel_id"),
        ({"key": "a", "in": 1, "data": "x" * 20_000}, "data"),
        ({"key": "a", "in_": 1}, "in_"),
    ],
)
async def test_what_is_no_task_is_refused_with_its_field(
    served: Served, api: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await api.post(f"/tasks/{GARDEN}", json=body)
    assert (answer.status_code, code(answer)) == (422, "VALIDATION_FAILED")
    assert answer.json()["error"]["details"]["fields"][0]["field"].startswith(field)
    assert served.schedules.all_tasks == []


async def test_a_guild_has_so_many_tasks_and_no_more(served: Served, api: httpx.AsyncClient) -> None:
    for number in range(MOST_TASKS):
        served.schedules.add_task(GARDEN, f"task:{number}")
    refused = await api.post(f"/tasks/{GARDEN}", json={"key": "more", "in": 1})
    assert (refused.status_code, code(refused)) == (409, "TASK_LIMIT")
    assert (await api.post(f"/tasks/{GARDEN}", json={"key": "task:7", "in": 1})).status_code == 201
