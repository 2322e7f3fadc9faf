"""Failures that are the same everywhere, tried at every endpoint that the description names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from flora.api import Limits
from flora.api.buckets import RATES, Rate
from flora.storage.postgres import DatabaseUnavailableError
from tests.api.matrix import PARAMETERS, RIGHTS, concrete
from tests.api.served import Served, serving

NO_LIMIT = Rate(burst=10**6, per_second=1e6)
PATIENT = Limits(rates=replace(RATES, auth=NO_LIMIT), max_small_body_bytes=2_000, max_body_bytes=4_000)


async def described(api: httpx.AsyncClient) -> dict[tuple[str, str], dict[str, Any]]:
    paths = (await api.get("/openapi.json")).json()["paths"]
    return {(m.upper(), path): operation for path, each in paths.items() for m, operation in each.items()}


def with_body(operations: dict[tuple[str, str], dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Method, concrete path and media type of what takes a body."""
    for route, operation in operations.items():
        if "requestBody" in operation:
            (media_type,) = operation["requestBody"]["content"]
            yield *concrete(*route), media_type


def refused(answer: httpx.Response, status: int, *codes: str) -> None:
    assert answer.status_code == status, (answer.request.url, answer.text)
    error = answer.json()["error"]
    assert error["code"] in codes, answer.request.url
    assert error["request_id"] == answer.headers["X-Request-ID"]


async def test_bodies_that_are_none() -> None:
    async with serving(PATIENT) as served, served.client() as api:
        for method, path, media_type in with_body(await described(api)):
            if path == "/auth/device/confirm":
                continue  # for browsers only, as tests/api/test_tokens.py shows
            text = await api.request(method, path, content=b"x", headers={"Content-Type": "text/plain"})
            refused(text, 415, "UNSUPPORTED_MEDIA_TYPE")
            for broken in (b"", b"{", b"\xff", b'{"a":1}x'):
                answer = await api.request(method, path, content=broken, headers={"Content-Type": media_type})
                refused(answer, 400, "BAD_REQUEST")
            if media_type == "application/zip":
                continue
            for wrong in ([], "x", 1, {"nobody knows": 1}):
                refused(await api.request(method, path, json=wrong), 422, "VALIDATION_FAILED")


async def test_bodies_that_are_too_large_close_the_connection() -> None:
    async with serving(PATIENT) as served, served.client() as api:
        for method, path, media_type in with_body(await described(api)):
            headers = {"Content-Type": media_type}
            answer = await api.request(method, path, content=b'{"a":"' + b"x" * 50_000, headers=headers)
            if path == "/auth/device/confirm" and answer.status_code == 403:
                continue
            refused(answer, 413, "PAYLOAD_TOO_LARGE")
            assert answer.headers["Connection"] == "close"


async def test_guilds_that_are_none(served: Served, api: httpx.AsyncClient) -> None:
    for (method, path), _ in RIGHTS.items():
        if "{guild_id}" not in path:
            continue
        for text in ("x", "0", "012", "-1", "1" * 21, "٣", "1%00"):
            concrete_path = path.format_map({**PARAMETERS, "guild_id": text})
            refused(await api.request(method, concrete_path, json={}), 422, "INVALID_SNOWFLAKE")


async def test_queries_that_are_wrong(api: httpx.AsyncClient) -> None:
    for route, operation in (await described(api)).items():
        names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
        if "limit" not in names:
            continue
        method, path = concrete(*route)
        for limit in ("-1", "x", "1.5", "1000000000"):
            answer = await api.request(method, path, params={"limit": limit})
            refused(answer, 422, "VALIDATION_FAILED")
        if "cursor" in names and "/kv/" not in path and path != "/actors":
            refused(await api.request(method, path, params={"cursor": "é"}), 422, "INVALID_CURSOR")


async def test_methods_that_are_not_known(api: httpx.AsyncClient) -> None:
    for path in {path for _, path in RIGHTS}:
        answer = await api.request("PATCH", path.format_map(PARAMETERS))
        refused(answer, 405, "METHOD_NOT_ALLOWED")
        assert re.fullmatch(r"[A-Z]+(, [A-Z]+)*", answer.headers["Allow"])


async def test_every_write_has_its_rate() -> None:
    once = Rate(burst=1, per_second=0.001)
    limits = Limits(rates=replace(PATIENT.rates, operator_write=once, auth=once, address_write=NO_LIMIT))
    async with serving(limits) as served, served.client() as api:
        await api.post("/workers/0/reopen")
        await api.get("/auth/me")
        for route in RIGHTS:
            if route[0] == "GET" and not route[1].startswith("/auth/"):
                continue
            method, path = concrete(*route)
            answer = await api.request(method, path, json={})
            refused(answer, 429, "RATE_LIMITED")
            assert int(answer.headers["Retry-After"]) > 0


async def test_without_the_database_nobody_is_let_in_by_mistake(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: Any) -> Any:
        raise DatabaseUnavailableError("the database is away.")

    monkeypatch.setattr(served.tokens, "verify", away)
    monkeypatch.setattr(served.sessions, "find", away)
    text = f"{'A' * 12}.{'B' * 32}"
    async with served.client(token=text) as script, served.client() as operator:
        for route, needed in RIGHTS.items():
            if needed == "public":
                continue
            answer = await script.request(*concrete(*route), json={})
            refused(answer, 503, "DATABASE_UNAVAILABLE")
            assert answer.headers["Retry-After"] == "1"
        assert (await operator.get("/workers")).status_code == 200
        assert (await script.get("/health")).status_code == 200
