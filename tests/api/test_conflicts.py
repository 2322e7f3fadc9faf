"""What is not there, and what the present state does not allow: every endpoint that says 404 or 409."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import pytest

from flora.actors.deployer import DeployBusyError
from flora.api.authenticator import OPERATOR_OWNER
from flora.ids import Snowflake
from flora.storage.tokens import MAX_TOKENS
from tests.api.matrix import RIGHTS, concrete
from tests.api.schedules import MOST_TASKS
from tests.api.served import GARDEN, Served

Route = tuple[str, str]

# What is not there is, for these, an empty answer, or it is made, or there is nothing to do.
NOTHING_IS_AN_ANSWER: Final[set[Route]] = {
    ("POST", "/deployments/{guild_id}"),
    ("GET", "/deployments/{guild_id}/history"),
    ("GET", "/deployments/{guild_id}/status"),
    ("GET", "/commands/{guild_id}"),
    ("GET", "/kv/{guild_id}/stores"),
    ("PUT", "/kv/{guild_id}/stores/{store}"),
    ("DELETE", "/kv/{guild_id}/stores/{store}"),
    ("GET", "/kv/{guild_id}/stores/{store}/keys"),
    ("PUT", "/kv/{guild_id}/stores/{store}/keys/{key}"),
    ("DELETE", "/kv/{guild_id}/stores/{store}/keys/{key}"),
    ("POST", "/kv/{guild_id}/stores/{store}/bulk"),
    ("POST", "/kv/{guild_id}/export"),
    ("GET", "/kv/{guild_id}/backups"),
    ("GET", "/secrets/{guild_id}"),
    ("PUT", "/secrets/{guild_id}/{name}"),
    ("DELETE", "/secrets/{guild_id}/{name}"),
    ("GET", "/guilds/{guild_id}/dead-letters"),
    ("GET", "/logs/{guild_id}"),
    ("GET", "/cron/{guild_id}"),
    ("GET", "/cron/{guild_id}/history"),
    ("GET", "/cron/{guild_id}/{name}/history"),
    ("GET", "/tasks/{guild_id}"),
    ("POST", "/tasks/{guild_id}"),
    ("GET", "/tasks/{guild_id}/history"),
    ("GET", "/tasks/{guild_id}/{key}/history"),
    ("POST", "/deployments/{guild_id}/resume"),  # 409: it is not paused
}
BODIES: Final[dict[Route, Any]] = {
    ("POST", "/runtime/guilds/{guild_id}/migrate"): {"target_worker": 1},
    ("POST", "/deployments"): {"guild_id": GARDEN, "entry_point": "a.ts", "bundle": "1"},
    ("POST", "/deployments/{guild_id}"): {"entry_point": "a.ts", "bundle": "1"},
    ("POST", "/tasks/{guild_id}"): {"key": "one more", "in": 1},
}


async def call(api: httpx.AsyncClient, route: Route) -> httpx.Response:
    method, path = concrete(*route)
    if "/workers/" in path:
        path = path.replace("/0/", "/9/")
    return await api.request(method, path, json=BODIES.get(route))


async def test_what_is_not_there(api: httpx.AsyncClient) -> None:
    """Nothing was ever deployed, said or stored."""
    for route in RIGHTS:
        if "{" not in route[1] or route in NOTHING_IS_AN_ANSWER:
            continue
        answer = await call(api, route)
        assert answer.status_code == 404, (route, answer.text)
        assert answer.json()["error"]["code"].endswith(("_NOT_FOUND", "_NOT_DEPLOYED")), route


async def _paused(served: Served) -> None:
    await served.deployer.deploy(served.revision(GARDEN))
    served.deployer.paused.add(GARDEN)


async def _deployed(served: Served) -> None:
    await served.deployer.deploy(served.revision(GARDEN))


async def _busy(served: Served) -> None:
    """The guild has as many changes waiting as it may."""
    await _deployed(served)

    async def full(*_: object) -> None:
        raise DeployBusyError("guild has 8 changes waiting.")

    served.deployer.undeploy = full  # type: ignore[method-assign]
    served.deployer.pause = full  # type: ignore[method-assign]
    served.deployer.rollback = full  # type: ignore[method-assign, assignment]


async def _moving(served: Served) -> None:
    await _deployed(served)
    served.runtime.busy.add(GARDEN)


async def _one_worker_left(served: Served) -> None:
    served.runtime.drained.add(1)


async def _running(served: Served) -> None:
    served.schedules.add_job(GARDEN, "API_KEY")
    served.schedules.running.add("API_KEY")


async def _many_tasks(served: Served) -> None:
    for number in range(MOST_TASKS):
        served.schedules.add_task(GARDEN, f"task:{number}")


async def _many_tokens(served: Served) -> None:
    for _ in range(MAX_TOKENS):
        await served.tokens.create(Snowflake(OPERATOR_OWNER))


CONFLICTS: Final[dict[Route, tuple[Callable[[Served], Awaitable[None]], str]]] = {
    ("POST", "/tokens"): (_many_tokens, "TOKEN_LIMIT"),
    ("POST", "/deployments"): (_paused, "GUILD_PAUSED"),
    ("POST", "/deployments/{guild_id}"): (_paused, "GUILD_PAUSED"),
    ("DELETE", "/deployments/{guild_id}"): (_busy, "DEPLOY_IN_PROGRESS"),
    ("POST", "/deployments/{guild_id}/rollback/{revision_id}"): (_busy, "DEPLOY_IN_PROGRESS"),
    ("POST", "/deployments/{guild_id}/restart"): (_paused, "GUILD_PAUSED"),
    ("POST", "/deployments/{guild_id}/pause"): (_busy, "DEPLOY_IN_PROGRESS"),
    ("POST", "/deployments/{guild_id}/resume"): (_deployed, "GUILD_NOT_PAUSED"),
    ("POST", "/runtime/guilds/{guild_id}/migrate"): (_moving, "MIGRATION_BUSY"),
    ("POST", "/workers/{index}/drain"): (_one_worker_left, "LAST_WORKER"),
    ("POST", "/cron/{guild_id}/{name}/run"): (_running, "CRON_CONFLICT"),
    ("POST", "/tasks/{guild_id}"): (_many_tasks, "TASK_LIMIT"),
}
# tests/api/test_kv.py, test_builds.py and test_tokens.py have these, which take more than one step.
ELSEWHERE: Final[set[Route]] = {
    ("POST", "/auth/device/token"),
    ("GET", "/builds/{build_id}"),
    ("DELETE", "/builds/{build_id}"),
    ("PUT", "/kv/{guild_id}/stores/{store}"),
    ("PUT", "/kv/{guild_id}/stores/{store}/keys/{key}"),
}


async def test_every_conflict_that_is_described_is_tried(api: httpx.AsyncClient) -> None:
    paths = (await api.get("/openapi.json")).json()["paths"]
    described = {
        (method.upper(), path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if "409" in operation["responses"]
    }
    assert described == CONFLICTS.keys() | ELSEWHERE


@pytest.mark.parametrize("route", CONFLICTS, ids=" ".join)
async def test_what_the_present_state_does_not_allow(
    served: Served, api: httpx.AsyncClient, route: Route
) -> None:
    provoke, code = CONFLICTS[route]
    await provoke(served)
    method, path = concrete(*route)
    answer = await api.request(method, path, json=BODIES.get(route, {} if method == "POST" else None))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, code), answer.text
