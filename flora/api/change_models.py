"""Changes of a guild's script as they cross the border, while they are carried out and afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from flora.actors.deployer import ChangeKind
from flora.api.models import ActorModel, Model, RevisionModel


class PendingChangeModel(Model):
    kind: ChangeKind = Field(
        description="`suspend` and `restore` are flora's own, for a guild that the bot left and came back to."
    )
    state: Literal["under_way", "waiting"]
    asked_at: datetime
    actor: ActorModel | None = Field(description="Who asked for it; null for flora itself, and for `resume`.")


class DeploymentStatusModel(Model):
    """Where a guild's script stands. A change is done as a whole or not at all."""

    guild_id: str
    revision_id: str | None = Field(description="What runs, or would if it were not paused; null: nothing.")
    paused: bool
    changes: list[PendingChangeModel] = Field(description="What has not ended, in its order.")
    last_revision: RevisionModel | None = Field(
        description="How the last deploy or rollback that has ended went."
    )
