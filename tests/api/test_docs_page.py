"""The reference page at /docs: everything that it loads comes from here."""

from __future__ import annotations

import re

import httpx


async def test_the_page_loads_nothing_from_elsewhere(api: httpx.AsyncClient) -> None:
    page = await api.get("/docs")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assert len(loaded) >= 3
    for path in loaded:
        assert path.startswith("/docs/")
        answer = await api.get(path)
        assert answer.status_code == 200
        assert answer.content
    policy = page.headers["Content-Security-Policy"]
    assert "http" not in policy
    assert "default-src" in policy


async def test_its_description_is_of_a_version_that_it_reads(api: httpx.AsyncClient) -> None:
    older = (await api.get("/docs/openapi.json")).json()
    newer = (await api.get("/openapi.json")).json()
    assert older["openapi"] == "3.0.3"
    assert newer["openapi"].startswith("3.1")
    assert older["paths"].keys() == newer["paths"].keys()
    assert '"type": "null"' not in str(older).replace("'", '"')
