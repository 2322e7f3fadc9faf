"""`/builds`: uploads, what became of them, their log, and deployments of their results."""

from __future__ import annotations

import httpx
import pytest
import trio

from flora.ids import Snowflake
from tests.api.people import ANN, BOB, MANAGE_GUILD
from tests.api.served import GARDEN, ORCHARD, Served
from tests.build.archives import entry, zipped

PROJECT = zipped({"src/main.ts": "on('ready', () => 1)\n"})
ZIP = {"Content-Type": "application/zip"}


async def upload(api: httpx.AsyncClient, data: bytes = PROJECT, **query: object) -> httpx.Response:
    return await api.post("/builds", content=data, headers=ZIP, params={"guild_id": GARDEN, **query})


async def test_a_build_is_taken_and_told_of(served: Served, api: httpx.AsyncClient) -> None:
    answer = await upload(api, entry="src/main.ts", check=False)
    assert answer.status_code == 202
    build = answer.json()
    assert (build["status"], build["guild_id"], build["check"]) == ("queued", GARDEN, False)
    (request,) = served.builds.requests
    assert (request.archive, request.entry) == (PROJECT, "src/main.ts")
    assert (await api.get(f"/builds/{build['id']}")).json() == build
    early = await api.get(f"/builds/{build['id']}", params={"include_bundle": True})
    assert (early.status_code, early.json()["error"]["code"]) == (409, "BUILD_NOT_READY")
    served.builds.finish(build["id"], "succeeded")
    done = (await api.get(f"/builds/{build['id']}", params={"include_bundle": True})).json()
    assert (done["status"], done["bundle"]) == ("succeeded", "1")
    assert done["files"] == [{"path": "src/main.ts", "contents": "1"}]


async def test_a_build_is_deployed_by_its_id(served: Served, api: httpx.AsyncClient) -> None:
    build = (await upload(api)).json()["id"]
    early = await api.post(f"/deployments/{GARDEN}", json={"build_id": build})
    assert (early.status_code, early.json()["error"]["code"]) == (409, "BUILD_NOT_READY")
    served.builds.finish(build, "succeeded")
    elsewhere = await api.post(f"/deployments/{ORCHARD}", json={"build_id": build})
    assert elsewhere.status_code == 404
    both = await api.post(f"/deployments/{GARDEN}", json={"build_id": build, "bundle": "2"})
    assert both.status_code == 422
    deployed = await api.post(f"/deployments/{GARDEN}", json={"build_id": build})
    assert (deployed.status_code, deployed.json()["build_id"]) == (200, build)
    assert (await api.get(f"/deployments/{GARDEN}")).json()["build_id"] == build
    (revision,) = (await api.get(f"/deployments/{GARDEN}/history")).json()["items"]
    assert revision["build_id"] == build
    assert served.deployer.current[GARDEN].code == "1"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "BAD_REQUEST"),
        (b"PK\x03\x04 no zip", 400, "BAD_REQUEST"),
        (entry("../evil.ts"), 422, "INVALID_ARCHIVE"),
        (entry("link", mode=0o120777), 422, "INVALID_ARCHIVE"),
    ],
)
async def test_uploads_that_are_refused(
    served: Served, api: httpx.AsyncClient, data: bytes, status: int, code: str
) -> None:
    answer = await upload(api, data)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert served.builds.requests == []


async def test_queries_that_are_wrong(served: Served, api: httpx.AsyncClient) -> None:
    for query in ({"guild_id": "x"}, {"entry": ""}, {"check": "perhaps"}, {"more": "1"}):
        assert (await upload(api, **query)).status_code == 422, query
    nowhere = await api.post("/builds", content=PROJECT, headers=ZIP, params={"deploy": True})
    assert nowhere.status_code == 422
    served.builds.full = True
    busy = await upload(api)
    assert (busy.status_code, busy.json()["error"]["code"]) == (503, "BUILDS_BUSY")


async def test_the_log_is_followed_and_ends(served: Served, api: httpx.AsyncClient) -> None:
    build = (await upload(api)).json()["id"]
    served.builds.records[build].lines += ["unpacked", "built"]
    got = b""
    with trio.fail_after(30):
        async with api.stream("GET", f"/builds/{build}/logs", headers={"Last-Event-ID": "1"}) as stream:
            async for part in stream.aiter_bytes():
                got += part
                if b"built" in got and b"done" not in got:
                    served.builds.finish(build, "failed", "failed: no")
    assert b'id: 2\nevent: log\ndata: {"line":"built"}\n\n' in got
    assert b"unpacked" not in got
    assert got.endswith(
        b'id: 3\nevent: log\ndata: {"line":"failed: no"}\n\nevent: done\ndata: {"status":"failed"}\n\n'
    )


async def test_a_build_is_its_guild_s_business(served: Served, api: httpx.AsyncClient) -> None:
    build = (await upload(api)).json()["id"]
    nobodys = (await api.post("/builds", content=PROJECT, headers=ZIP)).json()["id"]
    served.discord.permissions[ANN.id, GARDEN] = MANAGE_GUILD
    _, ann = await served.tokens.create(Snowflake(ANN.id), rights="read")
    _, bob = await served.tokens.create(Snowflake(BOB.id), rights="admin")
    async with served.client(token=ann) as reader, served.client(token=bob) as stranger:
        for path in (f"/builds/{build}", f"/builds/{nobodys}", f"/builds/{nobodys}/logs"):
            assert (await stranger.get(path)).status_code == 403
        assert (await reader.get(f"/builds/{build}")).status_code == 200
        assert (await reader.get(f"/builds/{nobodys}")).status_code == 403
        assert (await upload(reader)).status_code == 403, "a token that may only read"
        assert (await reader.post("/builds", content=PROJECT, headers=ZIP)).status_code == 403
        for unknown in ("0" * 32, "x", "..%2Fx"):
            assert (await reader.get(f"/builds/{unknown}")).status_code == 404


async def test_builds_are_listed_newest_first_page_by_page(served: Served, api: httpx.AsyncClient) -> None:
    assert (await api.get("/builds")).json() == {"items": [], "next_cursor": None}
    ids = [(await upload(api, guild_id=guild)).json()["id"] for guild in (GARDEN, ORCHARD, GARDEN)]
    nobodys = (await api.post("/builds", content=PROJECT, headers=ZIP)).json()["id"]
    for number, record in enumerate(served.builds.records.values()):
        record.created_at = 1_700_000_000 + number
    listed = (await api.get("/builds")).json()
    assert [item["id"] for item in listed["items"]] == [nobodys, *reversed(ids)]
    assert listed["next_cursor"] is None
    seen = []
    query: dict[str, object] = {"guild_id": GARDEN, "limit": 1}
    while True:
        page = (await api.get("/builds", params=query)).json()  # type: ignore[arg-type]
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [ids[2], ids[0]]
    for wrong in ({"limit": 0}, {"limit": 101}, {"cursor": "x"}, {"cursor": "-1"}, {"guild_id": "1 2"}):
        assert (await api.get("/builds", params=wrong)).status_code == 422, wrong


async def test_whose_builds_are_listed(served: Served, api: httpx.AsyncClient) -> None:
    mine = (await upload(api)).json()["id"]
    await upload(api, guild_id=ORCHARD)
    await api.post("/builds", content=PROJECT, headers=ZIP)
    served.discord.permissions[ANN.id, GARDEN] = MANAGE_GUILD
    _, ann = await served.tokens.create(Snowflake(ANN.id), rights="read")
    async with served.client(token=ann) as reader:
        assert [item["id"] for item in (await reader.get("/builds")).json()["items"]] == [mine]
        assert (await reader.get("/builds", params={"guild_id": ORCHARD})).status_code == 403


async def test_a_build_is_cancelled_by_whom_it_concerns(served: Served, api: httpx.AsyncClient) -> None:
    build = (await upload(api)).json()["id"]
    nobodys = (await api.post("/builds", content=PROJECT, headers=ZIP)).json()["id"]
    served.discord.permissions[ANN.id, GARDEN] = MANAGE_GUILD
    _, reading = await served.tokens.create(Snowflake(ANN.id), rights="read")
    _, deploying = await served.tokens.create(Snowflake(ANN.id), rights="deploy")
    async with served.client(token=reading) as reader, served.client(token=deploying) as deployer:
        assert (await reader.delete(f"/builds/{build}")).status_code == 403
        assert (await deployer.delete(f"/builds/{nobodys}")).status_code == 403
        assert not served.builds.records[build].finished
        answer = await deployer.delete(f"/builds/{build}")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        again = await deployer.delete(f"/builds/{build}")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "BUILD_ENDED")
        for unknown in ("0" * 32, "x"):
            assert (await deployer.delete(f"/builds/{unknown}")).status_code == 404
    written = [
        (entry["action"], entry["guild_id"], entry["status"], entry["user_id"])
        for entry in (await api.get("/audit", params={"guild_id": GARDEN})).json()["items"]
        if entry["action"] == "builds.cancel_build"
    ]
    assert ("builds.cancel_build", GARDEN, 200, ANN.id) in written
    assert ("builds.cancel_build", GARDEN, 403, ANN.id) in written
