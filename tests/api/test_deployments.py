from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from flora.actors.deployer import ChangeTimeoutError, PendingChange
from flora.storage.deployments import Actor
from tests.api.served import GARDEN, Served

GREENHOUSE = "200000000000000002"


def body(**changes: Any) -> dict[str, Any]:
    return {
        "guild_id": GARDEN,
        "entry_point": "src/main.ts",
        "bundle": "console.log('hi')",
        "source_map": '{"version":3,"sources":["src/main.ts"],"mappings":""}',
        "files": [{"path": "src/main.ts", "contents": "console.log('hi')"}],
        **changes,
    }


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert error["request_id"] == answer.headers["X-Request-ID"]
    return error


async def test_a_deployed_script_is_what_runs(api: httpx.AsyncClient) -> None:
    deployed = await api.post("/deployments", json=body())
    assert deployed.status_code == 200
    revision = deployed.json()
    assert (revision["status"], revision["guild_id"], revision["source"]) == ("success", GARDEN, "unknown")
    assert revision["actor"] == {"kind": "operator", "user_id": None, "username": None}

    running = (await api.get(f"/deployments/{GARDEN}")).json()
    assert running["revision_id"] == revision["id"]
    assert running["bundle"] is None
    listed = (await api.get("/deployments")).json()
    assert [item["guild_id"] for item in listed["items"]] == [GARDEN]


async def test_the_guild_may_stand_in_the_path(api: httpx.AsyncClient, served: Served) -> None:
    named = await api.post(f"/deployments/{GARDEN}", json=body(guild_id=None))
    both = await api.post(f"/deployments/{GARDEN}", json=body())
    other = await api.post(f"/deployments/{GREENHOUSE}", json=body())
    assert (named.status_code, both.status_code, other.status_code) == (200, 200, 422)
    assert error_of(other)["details"]["fields"][0]["field"] == "guild_id"
    assert list(served.deployer.current) == [GARDEN]


async def test_the_bundle_comes_back_when_asked_for(api: httpx.AsyncClient) -> None:
    await api.post("/deployments", json=body())
    answer = (await api.get(f"/deployments/{GARDEN}", params={"include_bundle": "true"})).json()
    assert answer["bundle"] == "console.log('hi')"
    assert answer["source_map"].startswith('{"version":3')


async def test_a_source_map_may_be_an_object(api: httpx.AsyncClient, served: Served) -> None:
    answer = await api.post("/deployments", json=body(source_map={"version": 3, "sources": ["ä.ts"]}))
    assert answer.status_code == 200
    assert served.deployer.current[GARDEN].source_map == '{"version":3,"sources":["ä.ts"]}'


async def test_a_script_that_throws_while_it_loads_is_refused_and_the_old_one_stays(
    api: httpx.AsyncClient,
) -> None:
    good = (await api.post("/deployments", json=body())).json()
    answer = await api.post("/deployments", json=body(bundle="throw new TypeError()"))
    error = error_of(answer)
    assert answer.status_code == 422
    assert error["code"] == "SCRIPT_LOAD_FAILED"
    assert error["message"] == "TypeError: x is not a function"
    assert error["details"] == {"stack": "    at src/main.ts:3:7"}
    assert (await api.get(f"/deployments/{GARDEN}")).json()["revision_id"] == good["id"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"bundle": "  "}, "bundle"),
        ({"entry_point": ""}, "entry_point"),
        ({"bundle": 5}, "bundle"),
        ({"guild_id": None}, "guild_id"),
        ({"guild_id": "garden"}, "guild_id"),
        ({"guild_id": 100000000000000001}, "guild_id"),
        ({"source_map": "{}"}, "source_map"),
        ({"source_map": '{"version":2}'}, "source_map"),
        ({"source_map": "not json"}, "source_map"),
        ({"files": [{"path": "../x", "contents": ""}]}, "files.0.path"),
        ({"files": [{"path": "/etc/passwd", "contents": ""}]}, "files.0.path"),
        ({"files": [{"path": "a\\b", "contents": ""}]}, "files.0.path"),
        ({"files": [{"path": "a", "contents": ""}, {"path": "a", "contents": ""}]}, "files"),
        ({"files": [{"path": f"f{n}", "contents": ""} for n in range(1001)]}, "files"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_body_that_says_something_wrong_is_told_which_field(
    api: httpx.AsyncClient, served: Served, changes: dict[str, Any], field: str
) -> None:
    answer = await api.post("/deployments", json=body(**changes))
    error = error_of(answer)
    assert answer.status_code == 422
    assert error["code"] == "VALIDATION_FAILED"
    assert error["details"]["fields"][0]["field"].startswith(field)
    assert served.deployer.revisions == []


async def test_the_limits_are_for_each_part(api: httpx.AsyncClient) -> None:
    answer = await api.post("/deployments", json=body(bundle="x" * (8 * 2**20 + 1)))
    assert answer.status_code == 422
    assert "8,388,609 bytes" in error_of(answer)["message"]
    assert (await api.post("/deployments", json=body(bundle="x" * 8 * 2**20))).status_code == 200


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "BAD_REQUEST"),
        (b"", "application/json", 400, "BAD_REQUEST"),
        (b"\xff\xfe", "application/json", 400, "BAD_REQUEST"),
        (b"[]", "application/json", 422, "VALIDATION_FAILED"),
        (b"null", "application/json", 422, "VALIDATION_FAILED"),
        (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(
    api: httpx.AsyncClient, content: bytes, content_type: str, status: int, code: str
) -> None:
    answer = await api.post("/deployments", content=content, headers={"Content-Type": content_type})
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)


@pytest.mark.parametrize(
    ("header", "status", "source"),
    [("cli", 200, "cli"), ("bootstrap", 200, "bootstrap"), ("mars", 422, None)],
)
async def test_who_deploys_says_from_where(
    api: httpx.AsyncClient, header: str, status: int, source: str | None
) -> None:
    answer = await api.post("/deployments", json=body(), headers={"X-Flora-Deploy-Source": header})
    assert answer.status_code == status
    if source:
        assert answer.json()["source"] == source


async def test_history_comes_in_pages_newest_first_with_failures(api: httpx.AsyncClient) -> None:
    for number in range(5):
        await api.post("/deployments", json=body(bundle="throw" if number == 3 else f"{number}"))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(f"/deployments/{GARDEN}/history", params=params)).json()
        seen += [item["status"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == ["success", "failed", "success", "success", "success"]


@pytest.mark.parametrize("params", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"cursors": "1"}])
async def test_a_query_that_says_something_wrong_is_refused(
    api: httpx.AsyncClient, params: dict[str, str]
) -> None:
    answer = await api.get(f"/deployments/{GARDEN}/history", params=params)
    assert (answer.status_code, error_of(answer)["code"]) == (422, "VALIDATION_FAILED")


async def test_a_revision_shows_its_files_when_asked(api: httpx.AsyncClient) -> None:
    revision = (await api.post("/deployments", json=body())).json()
    path = f"/deployments/{GARDEN}/revisions/{revision['id']}"
    assert (await api.get(path)).json() == revision
    with_files = (await api.get(path, params={"include_files": "1"})).json()
    assert with_files["files"] == [{"path": "src/main.ts", "contents": "console.log('hi')"}]


@pytest.mark.parametrize("revision", ["72411e99-5d06-464e-b27d-e1b91fc68c0c", "not-a-revision", "..%2f"])
async def test_a_revision_that_is_not_there_is_not_found(api: httpx.AsyncClient, revision: str) -> None:
    seen = await api.get(f"/deployments/{GARDEN}/revisions/{revision}")
    rolled = await api.post(f"/deployments/{GARDEN}/rollback/{revision}")
    assert (seen.status_code, rolled.status_code) == (404, 404)


async def test_a_rollback_is_a_new_revision_of_the_old_script(api: httpx.AsyncClient) -> None:
    old = (await api.post("/deployments", json=body(bundle="1"))).json()
    await api.post("/deployments", json=body(bundle="2"))
    rolled = (await api.post(f"/deployments/{GARDEN}/rollback/{old['id']}")).json()
    assert rolled["id"] != old["id"]
    assert rolled["source"] == "api"
    running = (await api.get(f"/deployments/{GARDEN}", params={"include_bundle": "1"})).json()
    assert (running["bundle"], running["revision_id"]) == ("1", rolled["id"])


async def test_a_failed_revision_is_nothing_to_go_back_to(api: httpx.AsyncClient) -> None:
    await api.post("/deployments", json=body(bundle="throw"))
    failed = (await api.get(f"/deployments/{GARDEN}/history")).json()["items"][0]
    answer = await api.post(f"/deployments/{GARDEN}/rollback/{failed['id']}")
    assert (answer.status_code, error_of(answer)["code"]) == (409, "ROLLBACK_TARGET_FAILED")


async def test_undeploy_stops_the_script_and_keeps_its_history(api: httpx.AsyncClient) -> None:
    await api.post("/deployments", json=body())
    assert (await api.delete(f"/deployments/{GARDEN}")).json()["guild_id"] == GARDEN
    gone = await api.get(f"/deployments/{GARDEN}")
    again = await api.delete(f"/deployments/{GARDEN}")
    assert (gone.status_code, error_of(gone)["code"]) == (404, "DEPLOYMENT_NOT_FOUND")
    assert again.status_code == 404
    assert len((await api.get(f"/deployments/{GARDEN}/history")).json()["items"]) == 1


async def test_the_status_tells_what_is_under_way_and_how_the_last_deploy_ended(
    served: Served, api: httpx.AsyncClient
) -> None:
    path = f"/deployments/{GARDEN}/status"
    nothing = {
        "guild_id": GARDEN,
        "revision_id": None,
        "paused": False,
        "changes": [],
        "last_revision": None,
    }
    assert (await api.get(path)).json() == nothing
    asked_at = datetime(2026, 6, 1, tzinfo=UTC)
    served.deployer.under_way[GARDEN] = PendingChange("deploy", asked_at, Actor("session", "7", "ann"))
    [change] = (await api.get(path)).json()["changes"]
    assert change == {
        "kind": "deploy",
        "state": "under_way",
        "asked_at": "2026-06-01T00:00:00Z",
        "actor": {"kind": "session", "user_id": "7", "username": "ann"},
    }
    del served.deployer.under_way[GARDEN]
    good = (await api.post("/deployments", json=body())).json()
    await api.post("/deployments", json=body(bundle="throw"))
    status = (await api.get(path)).json()
    assert (status["revision_id"], status["changes"]) == (good["id"], [])
    assert (status["last_revision"]["status"], status["last_revision"]["id"] != good["id"]) == (
        "failed",
        True,
    )


async def test_a_deploy_that_takes_too_long_says_where_to_look(
    served: Served, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(_: object) -> None:
        raise ChangeTimeoutError("it has not ended in 60 s; it goes on.", hint="GET …/status tells.")

    monkeypatch.setattr(served.deployer, "deploy", slow)
    answer = await api.post("/deployments", json=body())
    assert (answer.status_code, error_of(answer)["code"]) == (504, "CHANGE_TIMEOUT")
