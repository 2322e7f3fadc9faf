"""What holds for every route: one error shape, headers, limits, who may do what, and the description."""

from __future__ import annotations

import dataclasses
import re
import threading
from dataclasses import MISSING, replace
from typing import Any

import httpx
import pytest
import trio
from quart import g
from quart_trio import QuartTrio

from flora.api import Limits, Services, create_app
from flora.api.buckets import RATES, Rate
from flora.api.openapi import FloraOpenAPI
from tests.api.matrix import RIGHTS, concrete
from tests.api.served import (
    GARDEN,
    OPERATOR_SECRET,
    Served,
    serving,
    until,
)

PROTECTED = [route for route, needed in RIGHTS.items() if needed != "public"]
PUBLIC = ["/", "/health", "/ready", "/openapi.json"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic b3BlcmF0b3I="},
        {"Authorization": "Bearer ü".encode()},
        {"Authorization": f"Bearer {'A' * 12}.{'B' * 32}"},
        {"Cookie": "flora_session=" + "a" * 24 + "." + "b" * 43},
        {"Cookie": "flora_session=x; flora_session=y"},
    ],
    ids=str,
)
async def test_strangers_are_refused(headers: dict[str, Any]) -> None:
    patient = replace(RATES, stranger=Rate(1_000, 1_000.0))
    async with (
        serving(Limits(rates=patient)) as served,
        httpx.AsyncClient(base_url=served.url) as stranger,
    ):
        for route in PROTECTED:
            method, path = concrete(*route)
            answer = await stranger.request(method, path, headers=headers)
            assert answer.status_code == 401, route
            assert answer.json()["error"]["code"] == "UNAUTHORIZED"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert served.audit.entries == []


async def test_a_stranger_is_refused_before_anything_else_is_looked_at(served: Served) -> None:
    async with served.client(token=None) as stranger:
        answer = await stranger.get("/deployments/not-a-guild")
    assert answer.status_code == 401


@pytest.mark.parametrize("path", PUBLIC)
async def test_public_routes_answer_anybody(served: Served, path: str) -> None:
    async with served.client(token=None) as stranger:
        assert (await stranger.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", "/deployments/", 404, "NOT_FOUND"),
        ("PUT", "/health", 405, "METHOD_NOT_ALLOWED"),
        ("PATCH", f"/deployments/{GARDEN}", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/deployments/012", 422, "INVALID_SNOWFLAKE"),
        ("GET", "/logs/99999999999999999999999", 422, "INVALID_SNOWFLAKE"),
    ],
)
async def test_every_failure_has_the_same_shape(
    api: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await api.request(method, path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) - {"details"} == {"code", "message", "request_id"}
    assert error["code"] == code
    assert error["request_id"] == answer.headers["X-Request-ID"]
    if status == 405:
        assert "GET" in answer.headers["Allow"]


async def test_a_fault_of_ours_says_nothing_but_its_id(served: Served, api: httpx.AsyncClient) -> None:
    async def broken(*_: Any) -> Any:
        raise KeyError("a detail of the inside")

    served.deployer.list = broken  # type: ignore[method-assign]
    answer = await api.get("/deployments", headers={"X-Request-ID": "my-own-id-1"})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "INTERNAL_ERROR"
    assert answer.json()["error"]["request_id"] == "my-own-id-1"
    assert "inside" not in answer.text


@pytest.mark.parametrize("sent", ["short", "x" * 65, "with space", "semi;colon-123"])
async def test_a_request_id_that_looks_wrong_is_replaced(api: httpx.AsyncClient, sent: str) -> None:
    answer = await api.get("/health", headers={"X-Request-ID": sent})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


@pytest.mark.parametrize("path", ["/health", "/nowhere", f"/logs/{GARDEN}"])
async def test_every_answer_has_the_security_headers(api: httpx.AsyncClient, path: str) -> None:
    headers = (await api.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


async def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    async with serving(Limits(max_body_bytes=1_000_000)) as served, served.client() as api:
        headers = {"Content-Type": "application/json"}
        answer = await api.post("/deployments", content=b"x" * 5_000_000, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert answer.headers["Connection"] == "close"
        assert (await api.get("/health")).status_code == 200


async def test_a_body_without_a_length_is_bounded_too() -> None:
    async def chunks() -> Any:
        for _ in range(100):
            yield b"x" * 50_000

    async with serving(Limits(max_body_bytes=1_000_000)) as served, served.client() as api:
        headers = {"Content-Type": "application/json"}
        answer = await api.post("/deployments", content=chunks(), headers=headers)
        assert answer.status_code == 413
        assert (await api.get("/health")).status_code == 200


async def test_an_early_refusal_reaches_a_client_that_still_sends(served: Served) -> None:
    async with served.client(token="wrong") as stranger:
        for _ in range(10):
            answer = await stranger.post("/deployments", content=b"x" * 20_000_000)
            assert answer.status_code == 401


async def test_a_body_that_does_not_arrive_ends_in_408_and_the_connection_closes() -> None:
    async with serving(Limits(body_timeout_secs=0.2)) as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        async with stream:
            await stream.send_all(
                f"POST /deployments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OPERATOR_SECRET}\r\n"
                "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
            )
            with trio.fail_after(60):
                answer = b"".join([chunk async for chunk in stream])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in head.lower()
    assert b"REQUEST_TIMEOUT" in body


async def test_a_client_that_leaves_during_a_request_cancels_it(served: Served) -> None:
    served.deployer.blocked = trio.Event()
    async with served.client() as api:
        with trio.move_on_after(0.2):
            await api.post("/deployments", json={"guild_id": GARDEN, "entry_point": "a.ts", "bundle": "1"})
    async with served.client() as api:
        assert (await api.get("/health")).status_code == 200
    assert served.deployer.revisions == []


async def test_the_description_names_the_failures_of_a_route(api: httpx.AsyncClient) -> None:
    description = (await api.get("/openapi.json")).json()
    assert description["openapi"].startswith("3.1")
    assert description["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    deploy = description["paths"]["/deployments"]["post"]
    assert set(deploy["responses"]) >= {"200", "400", "401", "403", "408", "413", "415", "422", "500", "503"}
    assert deploy["security"] == [{"bearer": []}, {"session": []}]
    assert deploy["x-flora-permission"] == "guild:deploy"
    logs = description["paths"]["/logs/{guild_id}"]["get"]["responses"]["200"]["content"]
    assert set(logs) == {"application/json", "text/event-stream"}
    health = description["paths"]["/health"]["get"]
    assert health["security"] == []


async def test_the_description_is_made_once_and_beside_what_else_is_asked(
    served: Served, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    let_go = threading.Event()
    make = FloraOpenAPI.schema

    def held(self: FloraOpenAPI) -> Any:
        made.append(1)
        assert let_go.wait(60)
        return make(self)

    monkeypatch.setattr(FloraOpenAPI, "schema", held)
    answers: list[Any] = []

    async def ask() -> None:
        answers.append((await api.get("/openapi.json")).json())

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
            await until(lambda: made == [1])
            assert (await api.get("/health")).status_code == 200
            let_go.set()
    finally:
        let_go.set()
    assert (len(made), answers[0]) == (1, answers[1])


async def test_every_reference_of_the_description_leads_somewhere(api: httpx.AsyncClient) -> None:
    description = (await api.get("/openapi.json")).json()

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return here + [ref for value in node.values() for ref in references(value)]
        if isinstance(node, list):
            return [ref for value in node for ref in references(value)]
        return []

    found = set(references(description))
    assert found
    assert {ref.rpartition("/")[2] for ref in found} <= set(description["components"]["schemas"])
    operations = [op for path in description["paths"].values() for op in path.values()]
    assert len({op["operationId"] for op in operations}) == len(operations)


def test_a_route_that_names_no_permission_cannot_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_a_hole(app: QuartTrio) -> None:
        @app.get("/hole")
        async def hole() -> str:
            return str(g.services)

    monkeypatch.setattr("flora.api.app._serve_description", with_a_hole)
    fields = {field.name: None for field in dataclasses.fields(Services) if field.default is MISSING}
    fields.pop("shutdown")
    with pytest.raises(RuntimeError, match="hole"):
        create_app(Services(**fields))  # type: ignore[arg-type]
