"""`/workers`: units of placement; take one out of service and back."""

from __future__ import annotations

from quart import Blueprint, g
from quart_schema import tag_blueprint

from flora.actors.status import WorkerStatus
from flora.api.auth import Permission, requires
from flora.api.models import DrainModel, RelocationModel, WorkerModel, WorkersModel
from flora.api.openapi import answers
from flora.api.services import Services

blueprint = Blueprint("workers", __name__)
tag_blueprint(blueprint, ["workers"])


@blueprint.get("/workers")
@answers(WorkersModel)
@requires(Permission.OPERATE)
async def list_workers() -> WorkersModel:
    """Every worker with its load"""
    services: Services = g.services
    return WorkersModel(items=[_model(status) for status in services.runtime.workers()])


@blueprint.post("/workers/<int:index>/drain")
@answers(DrainModel, fails=[409])
@requires(Permission.OPERATE)
async def drain(index: int) -> DrainModel:
    """Move all guilds of this worker elsewhere, and place none on it until it is reopened

    Answers when every guild was tried. The last worker that takes guilds cannot be drained.
    """
    services: Services = g.services
    done = await services.runtime.drain_worker(index)
    return DrainModel(
        worker=_model(services.runtime.workers()[index]),
        guilds=[
            RelocationModel(
                guild_id=item.guild_id, outcome=item.outcome, worker=item.worker, reason=item.reason or None
            )
            for item in done
        ],
    )


@blueprint.post("/workers/<int:index>/reopen")
@answers(WorkerModel)
@requires(Permission.OPERATE)
async def reopen(index: int) -> WorkerModel:
    """Place guilds on this worker again

    Guilds that left it stay where they are.
    """
    services: Services = g.services
    services.runtime.reopen_worker(index)
    return _model(services.runtime.workers()[index])


def _model(status: WorkerStatus) -> WorkerModel:
    return WorkerModel(
        index=status.index,
        alive=status.alive,
        drained=status.drained,
        guilds=status.guilds,
        waiting=status.waiting,
        in_flight=status.in_flight,
        queue_delay=status.queue_delay,
    )
