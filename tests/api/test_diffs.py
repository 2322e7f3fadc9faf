"""How revisions differ, over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import httpx
import pytest
import trio

from flora.api.routes import diffs
from flora.build.changes import FileChange
from tests.api.served import GARDEN, ORCHARD, Served, until


async def deploy(api: httpx.AsyncClient, guild_id: str = GARDEN, **files: str) -> str:
    body = {
        "entry_point": "main.ts",
        "bundle": str(files),
        "files": [{"path": f"{name}.ts", "contents": text} for name, text in files.items()],
    }
    answer = await api.post(f"/deployments/{guild_id}", json=body)
    return str(answer.raise_for_status().json()["id"])


def path_of(revision: str, guild_id: str = GARDEN) -> str:
    return f"/deployments/{guild_id}/revisions/{revision}/diff"


async def test_a_revision_is_compared_with_the_one_before(api: httpx.AsyncClient) -> None:
    first = await deploy(api, main="one\nsame\n", old="gone\n")
    second = await deploy(api, main="two\nsame\n", new="here\n")
    answer = (await api.get(path_of(second))).json()
    assert (answer["guild_id"], answer["before"], answer["after"]) == (GARDEN, first, second)
    assert [(each["path"], each["kind"]) for each in answer["changes"]] == [
        ("main.ts", "modified"),
        ("new.ts", "added"),
        ("old.ts", "removed"),
    ]
    assert answer["changes"][0]["diff"].endswith("@@ -1,2 +1,2 @@\n-one\n+two\n same")
    assert answer["changes"][1]["diff"].startswith("--- /dev/null\n+++ b/new.ts\n@@ -0,0 +1 @@")


async def test_the_first_revision_is_compared_with_nothing(api: httpx.AsyncClient) -> None:
    only = await deploy(api, main="one\n")
    answer = (await api.get(path_of(only))).json()
    assert (answer["before"], [each["kind"] for each in answer["changes"]]) == (None, ["added"])


async def test_any_two_are_compared_in_either_direction(api: httpx.AsyncClient) -> None:
    first, _, third = [await deploy(api, main=f"{number}\n") for number in range(3)]
    forth = (await api.get(path_of(third), params={"against": first})).json()
    back = (await api.get(path_of(first), params={"against": third})).json()
    assert forth["changes"][0]["diff"].endswith("-0\n+2")
    assert back["changes"][0]["diff"].endswith("-2\n+0")
    same = (await api.get(path_of(first), params={"against": first})).json()
    assert same["changes"] == []


async def test_a_revision_that_is_not_there_is_not_compared(api: httpx.AsyncClient) -> None:
    mine, theirs = await deploy(api, main="1"), await deploy(api, ORCHARD, main="2")
    for path, against in (
        (path_of(theirs), mine),
        (path_of(mine), theirs),
        (path_of(mine), "x"),
        (path_of("x"), mine),
    ):
        answer = await api.get(path, params={"against": against})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "REVISION_NOT_FOUND")


class Held:
    """A comparison that ends when it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.let_go = threading.Event()

    def __call__(self, before: Mapping[str, str], after: Mapping[str, str]) -> list[FileChange]:
        self.begun += 1
        assert self.let_go.wait(60)
        return []


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held()
    monkeypatch.setattr(diffs, "compare", held)
    return held


async def test_a_long_comparison_holds_up_nobody_else(
    served: Served, held: Held, api: httpx.AsyncClient
) -> None:
    revision = await deploy(api, main="1")
    answers: list[int] = []

    async def ask() -> None:
        answers.append((await api.get(path_of(revision), timeout=60)).status_code)

    try:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
            await until(lambda: held.begun == 1)
            assert (await api.get("/health")).status_code == 200
            assert await deploy(api, main="2")
            assert (held.begun, answers) == (1, [])  # one at a time
            held.let_go.set()
    finally:
        held.let_go.set()
    assert answers == [200] * 3


async def test_who_waits_too_long_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch, held: Held, api: httpx.AsyncClient
) -> None:
    monkeypatch.setattr(diffs, "PATIENCE_SECS", 0.05)
    revision = await deploy(api, main="1")
    try:
        answer = await api.get(path_of(revision))
    finally:
        held.let_go.set()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "DIFF_BUSY")
    assert answer.headers["Retry-After"] == "1"
