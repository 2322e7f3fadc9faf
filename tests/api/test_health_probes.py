"""GET /health?deep=1 of a host: each part by itself, one that hangs as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import trio
from trio.testing import MockClock

from flora.errors import FloraError
from flora.host.health import Health, cache_probe, workers_probe, zygote_probe


@dataclass
class Says:
    """An object whose methods return what they are told to."""

    answers: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return lambda: self.answers[name]


@dataclass
class Facts:
    index: int = 1
    alive: bool = False
    degraded: bool = True
    reason: str = "connection refused"
    kind: str = "redis"
    fork_server_pid: int | None = None
    processes: int = 3
    seal: str = "full"


async def well() -> str:
    return "fine"


async def test_what_is_ill_does_not_hide_what_is_well(autojump_clock: MockClock) -> None:
    async def hangs() -> str:
        await trio.sleep_forever()
        raise AssertionError

    async def fails() -> str:
        raise FloraError("password authentication failed.")

    checks = await Health({"a": hangs, "b": fails, "c": well}).check()
    assert [(check.name, check.ok, check.detail) for check in checks] == [
        ("a", False, "no answer in 3 s"),
        ("b", False, "password authentication failed."),
        ("c", True, "fine"),
    ]


async def test_each_part_says_when_it_is_ill() -> None:
    ill = Facts()
    health = Health(
        {
            "cache": cache_probe(cast(Any, Says({"status": ill}))),
            "workers": workers_probe(cast(Any, Says({"workers": [ill, Facts(0, alive=True)]}))),
            "zygote": zygote_probe(cast(Any, Says({"report": ill}))),
        }
    )
    checks = await health.check()
    assert [check.ok for check in checks] == [False, False, False]
    assert [check.detail for check in checks] == [
        "degraded: connection refused",
        "workers that are not there: 1",
        "the fork server is not there; it is started again",
    ]


async def test_each_part_says_when_it_is_well() -> None:
    fine = Facts(alive=True, degraded=False, fork_server_pid=7)
    health = Health(
        {
            "cache": cache_probe(cast(Any, Says({"status": fine}))),
            "workers": workers_probe(cast(Any, Says({"workers": [fine]}))),
            "zygote": zygote_probe(cast(Any, Says({"report": fine}))),
        }
    )
    assert [check.ok for check in await health.check()] == [True, True, True]
