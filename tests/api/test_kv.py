"""Guild KV and secrets over HTTP."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from flora.storage.kv.operations import Set
from tests.api.served import GARDEN, Served

KV = f"/kv/{GARDEN}"
KEYS = f"{KV}/stores/s/keys"


async def test_a_value_and_all_beside_it(api: httpx.AsyncClient) -> None:
    body = {"value": "ä\0", "metadata": {"a": [1, None]}, "expiration": 4_000_000_000}
    assert (await api.put(f"{KEYS}/a%2Fb%20c", json=body)).json() == {"version": 1}
    assert (await api.get(f"{KEYS}/a%2Fb%20c")).json() == {**body, "version": 1}
    listed = (await api.get(KEYS, params={"prefix": "a/"})).json()
    assert listed["items"] == [
        {"name": "a/b c", "version": 1, "metadata": body["metadata"], "expiration": body["expiration"]}
    ]
    [store] = (await api.get(f"{KV}/stores")).json()["items"]
    assert (store["name"], store["keys"]) == ("s", 1)
    assert (await api.delete(f"{KEYS}/a%2Fb%20c")).json() == {"deleted": True}
    assert (await api.delete(f"{KEYS}/a%2Fb%20c")).json() == {"deleted": False}
    missing = await api.get(f"{KEYS}/a%2Fb%20c")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "KV_KEY_NOT_FOUND")


async def test_metadata_may_hold_what_utf_8_does_not(served: Served, api: httpx.AsyncClient) -> None:
    await served.kv.run(GARDEN, Set("s", "k", "v", metadata='"\\ud800"'))  # as a script may have it
    assert (await api.get(f"{KEYS}/k")).json()["metadata"] == "\ud800"
    [listed] = (await api.get(KEYS)).json()["items"]
    assert listed["metadata"] == "\ud800"


async def test_pages_and_bulk(api: httpx.AsyncClient) -> None:
    entries = [{"key": f"k{number}", "value": "v"} for number in range(5)]
    assert (await api.post(f"{KV}/stores/s/bulk", json={"set": entries})).status_code == 200
    seen, cursor = [], None
    while True:
        page = (await api.get(KEYS, params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [item["name"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [f"k{number}" for number in range(5)]
    bulk = {"set": [{"key": "n", "value": "v"}, {"key": "", "value": "v"}], "delete": ["k1"]}
    assert (await api.post(f"{KV}/stores/s/bulk", json=bulk)).status_code == 422
    assert len((await api.get(KEYS)).json()["items"]) == 5, "nothing of it"


async def test_conditions_are_conflicts(api: httpx.AsyncClient) -> None:
    await api.put(f"{KEYS}/k", json={"value": "1"})
    for condition in ({"if_not_exists": True}, {"if_version": 99}):
        refused = await api.put(f"{KEYS}/k", json={"value": "2", **condition})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "KV_CONDITION_CONFLICT")
    assert (await api.put(f"{KEYS}/k", json={"value": "2", "if_version": 1})).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (f"{KV}/stores/a.b/keys/k", {"value": "v"}, 422, "KV_INVALID_INPUT"),
        (f"{KEYS}/{'x' * 513}", {"value": "v"}, 422, "KV_INVALID_INPUT"),
        (f"{KEYS}/k", {"value": "x" * (2**20 + 1)}, 422, "KV_TOO_LARGE"),
        (f"{KEYS}/k", {"value": "v", "ttl": -1}, 422, "KV_INVALID_INPUT"),
        (f"{KEYS}/k", {"value": 5}, 422, "VALIDATION_FAILED"),
        (f"{KEYS}/k", {}, 422, "VALIDATION_FAILED"),
    ],
)
async def test_refusals_say_why(
    api: httpx.AsyncClient, path: str, body: dict[str, object], status: int, code: str
) -> None:
    answer = await api.put(path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_stores(api: httpx.AsyncClient) -> None:
    assert (await api.put(f"{KV}/stores/tags")).json()["keys"] == 0
    again = await api.put(f"{KV}/stores/tags")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "KV_STORE_CONFLICT")
    assert (await api.delete(f"{KV}/stores/tags")).json() == {"deleted": True}
    assert (await api.delete(f"{KV}/stores/tags")).status_code == 404


async def test_backups(api: httpx.AsyncClient, tmp_path: Path) -> None:
    assert (await api.post(f"{KV}/export")).status_code == 404, "there is nothing yet"
    await api.put(f"{KEYS}/k", json={"value": "before"})
    backup = (await api.post(f"{KV}/export")).json()["backup_id"]
    soon = await api.post(f"{KV}/export")
    assert (soon.status_code, soon.json()["error"]["code"]) == (429, "KV_RATE_LIMITED")
    [listed] = (await api.get(f"{KV}/backups")).json()["items"]
    assert listed["id"] == backup
    download = await api.get(f"{KV}/backups/{backup}")
    file = tmp_path / "kv.sqlite3"
    file.write_bytes(download.content)
    assert len(download.content) == listed["bytes"]
    with closing(sqlite3.connect(file)) as shell:
        assert shell.execute("select key, value from entries").fetchall() == [("k", "before")]
    await api.put(f"{KEYS}/k", json={"value": "after"})
    assert (await api.post(f"{KV}/backups/{backup}/restore")).json() == {"restored": backup}
    assert (await api.get(f"{KEYS}/k")).json()["value"] == "before"
    for unknown in ("none", "..%2F..%2Fx"):
        assert (await api.get(f"{KV}/backups/{unknown}")).status_code == 404


async def test_secrets_come_in_and_never_out(served: Served, api: httpx.AsyncClient) -> None:
    value = "tok-5ecret"
    put = await api.put(
        f"/secrets/{GARDEN}/github", json={"value": value, "allowed_hosts": ["api.github.com"]}
    )
    assert put.json()["allowed_hosts"] == ["api.github.com"]
    listed = await api.get(f"/secrets/{GARDEN}")
    assert [item["name"] for item in listed.json()["items"]] == ["github"]
    refused = await api.put(f"/secrets/{GARDEN}/x", json={"value": value, "allowed_hosts": ["no host"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "INVALID_SECRET")
    malformed = await api.put(f"/secrets/{GARDEN}/x", json={"value": value, "hosts": [value]})
    assert malformed.status_code == 422
    assert (await api.post("/secrets/rotate-key")).json() == {"key_id": "0123456789abcdef", "rotated": 1}
    assert (await api.delete(f"/secrets/{GARDEN}/github")).json() == {"deleted": True}
    assert (await api.delete(f"/secrets/{GARDEN}/github")).json() == {"deleted": False}
    assert served.secrets.values == [value]
    for answer in (put, listed, refused, malformed):
        assert value not in answer.text


async def test_strangers_get_nothing(served: Served) -> None:
    async with served.client(token=None) as stranger:
        for method, path in (
            ("GET", f"{KV}/stores"),
            ("GET", f"{KEYS}/k"),
            ("PUT", f"{KEYS}/k"),
            ("POST", f"{KV}/export"),
            ("GET", f"/secrets/{GARDEN}"),
            ("PUT", f"/secrets/{GARDEN}/x"),
            ("POST", "/secrets/rotate-key"),
        ):
            assert (await stranger.request(method, path)).status_code == 401
