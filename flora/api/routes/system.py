"""What operators and their tools ask: is it well, what runs, how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import trio
from quart import Blueprint, Response, g, request
from quart_schema import tag_blueprint

from flora.api.auth import (
    Permission,
    identify_caller,
    public,
    requires,
)
from flora.api.guard import is_loopback
from flora.api.models import (
    ActorInfoModel,
    ActorsModel,
    ActorsQuery,
    CheckModel,
    HealthModel,
    HealthQuery,
    IndexModel,
    ReadyModel,
)
from flora.api.openapi import answers, answers_media, takes_query
from flora.api.services import Check, Services
from flora.errors import FloraError
from flora.metrics import CONTENT_TYPE

blueprint = Blueprint("system", __name__)
tag_blueprint(blueprint, ["system"])


class NotReadyError(FloraError):
    code = "NOT_READY"


@blueprint.get("/")
@public
@answers(IndexModel)
async def index() -> IndexModel:
    """Where to go from here"""
    services: Services = g.services
    return IndexModel(
        name="flora",
        version=services.version,
        docs="/docs",
        openapi="/openapi.json",
        health="/health",
        login="/auth/login",
    )


@blueprint.get("/health")
@public
@answers(HealthModel)
@answers(HealthModel, status=503)
@takes_query(HealthQuery)
async def health(query_args: HealthQuery) -> Response | tuple[HealthModel, int]:
    """Is flora well

    Without deep=1 it says only that flora answers, and asks nobody. With it, each dependency is asked, and
    the status is 503 when one of them is not well; what is wrong with it is told to the operator only.
    """
    now = datetime.now(UTC)
    if not query_args.deep:
        answer = HealthModel(status="ok", timestamp=now)
        return Response(answer.model_dump_json(exclude={"checks"}), content_type="application/json")
    services: Services = g.services
    checks: Sequence[Check] = ()
    with trio.move_on_after(services.limits.health_timeout_secs) as patience:
        checks = await services.health.check()
    if patience.cancelled_caught:
        checks = [Check("health", False, f"no result within {services.limits.health_timeout_secs:g} s")]
    if not await _is_operator(services):
        checks = [replace(check, detail="") for check in checks]
    well = all(check.ok for check in checks)
    answer = HealthModel(
        status="ok" if well else "degraded",
        timestamp=now,
        checks=[
            CheckModel(name=check.name, ok=check.ok, detail=check.detail, latency_ms=check.latency_ms)
            for check in checks
        ],
    )
    return answer, 200 if well else 503


async def _is_operator(services: Services) -> bool:
    """Raises nothing: a health check answers whatever is wrong, the database of identities too."""
    if "Authorization" not in request.headers:
        return False
    try:
        identity = await identify_caller()
        await services.authenticator.authorize(identity, Permission.OPERATE, None)
    except FloraError:
        return False
    return True


@blueprint.get("/ready")
@public
@answers(ReadyModel, fails=[503])
async def ready() -> ReadyModel:
    """Does flora take events and requests (503 while it starts or stops)"""
    services: Services = g.services
    if services.shutdown.is_set():
        raise NotReadyError("flora is shutting down.")
    if (reason := services.health.ready()) is not None:
        raise NotReadyError(f"flora is not ready: {reason}.")
    return ReadyModel(status="ready")


@blueprint.get("/actors")
@requires(Permission.OPERATE)
@answers(ActorsModel)
@takes_query(ActorsQuery)
async def actors(query_args: ActorsQuery) -> ActorsModel:
    """The supervision tree: every actor with its state, mailbox and last error"""
    services: Services = g.services
    after = query_args.cursor or ""
    behind = sorted((info for info in services.actors() if info.path > after), key=lambda info: info.path)
    page = behind[: query_args.limit]
    return ActorsModel(
        next_cursor=page[-1].path if len(behind) > len(page) else None,
        items=[
            ActorInfoModel(
                path=info.path,
                kind=info.kind,
                state=str(info.state),
                mailbox_depth=info.mailbox_depth,
                mailbox_capacity=info.mailbox_capacity,
                restarts=info.restarts,
                age_seconds=info.age_seconds,
                last_error=None if info.last_error is None else str(info.last_error),
            )
            for info in page
        ],
    )


@blueprint.get("/metrics")
@public
@answers(None, fails=[401, 403, 429])
@answers_media("text/plain", "Prometheus' text format, version 0.0.4.")
async def metrics() -> Response:
    """Metrics in Prometheus' text format

    For the operator; with `api.metrics_open` for anybody on flora's own machine.
    """
    services: Services = g.services
    if not (services.metrics_open and is_loopback(request.remote_addr, g.guard.address)):
        identity = await identify_caller()
        await services.authenticator.authorize(identity, Permission.OPERATE, None)
    return Response(await services.metrics.render(), content_type=CONTENT_TYPE)
