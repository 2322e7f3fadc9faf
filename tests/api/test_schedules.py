"""Cron jobs and tasks over HTTP."""

from __future__ import annotations

import httpx

from flora.storage.schedules import RunKind
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
