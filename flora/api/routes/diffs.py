"""`GET /deployments/{guild_id}/revisions/{revision_id}/diff`: how the sources of two revisions differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio
from quart import Blueprint, g
from quart_schema import tag_blueprint

from flora.api.auth import Permission, requires
from flora.api.diff_models import DiffQuery, FileChangeModel, RevisionDiffModel
from flora.api.openapi import answers, takes_query
from flora.api.routes.deployments import parse_revision_id
from flora.api.services import Services
from flora.build.changes import FileChange, compare
from flora.build.types import SourceFile
from flora.errors import FloraError
from flora.ids import GuildId

blueprint = Blueprint("diffs", __name__)
tag_blueprint(blueprint, ["deployments"])

PATIENCE_SECS: Final = 20.0
"""For its turn and the comparison, which has a bound of its own: one takes a second or two at most."""


class DiffBusyError(FloraError):
    code = "DIFF_BUSY"


@blueprint.get("/deployments/<guild_id>/revisions/<revision_id>/diff")
@answers(RevisionDiffModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(DiffQuery)
async def diff(guild_id: GuildId, revision_id: str, query_args: DiffQuery) -> RevisionDiffModel:
    """How the sources of a revision differ from another's

    By default from those of the revision that it replaced; from nothing for the first one, and where that is
    not kept any more. A file that is too large for a comparison line by line has a null for its difference.
    """
    deployer = _services().deployer
    after = parse_revision_id(revision_id)
    before = (
        (await deployer.revision(guild_id, after)).base_revision_id
        if query_args.against is None
        else parse_revision_id(query_args.against)
    )
    new = await deployer.files(guild_id, after)
    old = () if before is None else await deployer.files(guild_id, before)
    return RevisionDiffModel(
        guild_id=guild_id,
        before=None if before is None else str(before),
        after=str(after),
        changes=[
            FileChangeModel(path=change.path, kind=change.kind, diff=change.diff)
            for change in await _compared(old, new)
        ],
    )


async def _compared(old: Sequence[SourceFile], new: Sequence[SourceFile]) -> list[FileChange]:
    """In a thread, one comparison at a time: scripts are anybody's. Raises DiffBusyError."""
    before, after = ({file.path: file.contents for file in files} for files in (old, new))
    with trio.move_on_after(PATIENCE_SECS):
        return await trio.to_thread.run_sync(
            compare, before, after, limiter=_services().comparing, abandon_on_cancel=True
        )
    raise DiffBusyError("too many comparisons wait.", hint="Try again in a moment.")


def _services() -> Services:
    services: Services = g.services
    return services
