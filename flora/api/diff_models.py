"""Differences between revisions as they cross the border."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flora.api.models import Model


class FileChangeModel(Model):
    path: str
    kind: Literal["added", "removed", "modified"]
    diff: str | None = Field(
        description="In unified format; null where there is too much of it to show, or to compare."
    )


class RevisionDiffModel(Model):
    """What leads from one revision's sources to another's."""

    guild_id: str
    before: str | None = Field(description="The revision it is compared with; null: with nothing.")
    after: str
    changes: list[FileChangeModel] = Field(description="By path; files that are the same are not here.")


class DiffQuery(Model):
    against: str | None = Field(
        None,
        max_length=64,
        description="A revision of the same guild; by default the one that ran when this was deployed.",
        json_schema_extra={"format": "uuid"},
    )
