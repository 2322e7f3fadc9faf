"""`GET /deployments/{guild_id}/status`: what is being changed, and how the last deploy ended.

A deploy goes on when its request ends early, because the client left or its patience was over. Here is how
one learns what became of it.
"""

from __future__ import annotations

from quart import Blueprint, g
from quart_schema import tag_blueprint

from flora.api.auth import Permission, requires
from flora.api.change_models import DeploymentStatusModel, PendingChangeModel
from flora.api.openapi import answers
from flora.api.routes.deployments import actor_model, revision_model
from flora.api.services import Services
from flora.ids import GuildId

blueprint = Blueprint("changes", __name__)
tag_blueprint(blueprint, ["deployments"])


@blueprint.get("/deployments/<guild_id>/status")
@answers(DeploymentStatusModel, fails=[503])
@requires(Permission.GUILD_READ)
async def status(guild_id: GuildId) -> DeploymentStatusModel:
    """What is being changed about this guild's script, and how the last deploy ended

    For a deploy whose request ended before it did: once `changes` is empty, `last_revision` is how it went.
    """
    services: Services = g.services
    # Looked at before the database is: what has ended by now is there.
    pending = services.deployer.pending(guild_id)
    history = await services.deployer.history(guild_id, 1, None)
    running = await services.deployer.list(int(guild_id) - 1, 1, [guild_id])
    return DeploymentStatusModel(
        guild_id=guild_id,
        revision_id=str(running[0].revision_id) if running else None,
        paused=guild_id in services.deployer.paused,
        changes=[
            PendingChangeModel(
                kind=change.kind,
                state="waiting" if place else "under_way",
                asked_at=change.asked_at,
                actor=None if change.author is None else actor_model(change.author),
            )
            for place, change in enumerate(pending)
        ],
        last_revision=revision_model(history.revisions[0]) if history.revisions else None,
    )
