"""`/deployments`: run a script, see what runs and what ran, go back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args
from uuid import UUID

from quart import Blueprint, g, request
from quart_schema import tag_blueprint

from flora.api.auth import Identity, Permission, author, authorize_guild, requires
from flora.api.errors import InvalidRequestError
from flora.api.models import (
    ActorModel,
    BundleQuery,
    ChangeSummaryModel,
    DeployBody,
    DeploymentModel,
    DeploymentsModel,
    FileModel,
    FilesQuery,
    GuildPageQuery,
    HistoryModel,
    HistoryQuery,
    RevisionModel,
    SourceName,
)
from flora.api.openapi import answers, takes, takes_query
from flora.api.paging import visible_page
from flora.api.routes.builds import built
from flora.api.services import Limits, Services
from flora.build.types import Bundle, SourceFile
from flora.errors import FloraError
from flora.ids import GuildId, parse_guild_id
from flora.storage.deployments import (
    Actor,
    Deployment,
    DeploymentHead,
    NewRevision,
    Revision,
    RevisionNotFoundError,
    Source,
)

blueprint = Blueprint("deployments", __name__)
tag_blueprint(blueprint, ["deployments"])

SOURCE_HEADER = "X-Flora-Deploy-Source"


class DeploymentNotFoundError(FloraError):
    code = "DEPLOYMENT_NOT_FOUND"


@blueprint.post("/deployments")
@answers(RevisionModel, fails=[404, 409, 503, 504])
@requires(Permission.GUILD_DEPLOY)
@takes(DeployBody)
async def deploy(body: DeployBody) -> RevisionModel:
    """Deploy a script to the guild that the body names

    Answers when the script has loaded and runs. When it fails to load, the answer is 422 with the code
    SCRIPT_LOAD_FAILED and the error at its position in the sources, and the previous script keeps running.
    """
    if body.guild_id is None:
        raise _invalid("guild_id", "is missing: name the guild in the body or in the path")
    return await _deploy(parse_guild_id(body.guild_id), body)


@blueprint.post("/deployments/<guild_id>")
@answers(RevisionModel, fails=[404, 409, 503, 504])
@requires(Permission.GUILD_DEPLOY)
@takes(DeployBody)
async def deploy_to(guild_id: GuildId, body: DeployBody) -> RevisionModel:
    """Deploy a script to this guild

    As POST /deployments; `guild_id` may stand in the body too if it is the same.
    """
    if body.guild_id is not None and body.guild_id != guild_id:
        raise _invalid("guild_id", "names another guild than the path")
    return await _deploy(guild_id, body)


@blueprint.get("/deployments")
@answers(DeploymentsModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(GuildPageQuery)
async def list_deployments(query_args: GuildPageQuery) -> DeploymentsModel:
    """What runs in the guilds that the caller may see"""
    services: Services = g.services
    page, cursor = await visible_page(
        services.deployer.list,
        lambda deployment: deployment.guild_id,
        limit=query_args.limit,
        cursor=query_args.cursor,
    )
    items = [_deployment_model(deployment) for deployment in page]
    return DeploymentsModel(items=items, next_cursor=cursor)


@blueprint.get("/deployments/<guild_id>")
@answers(DeploymentModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(BundleQuery)
async def get_deployment(guild_id: GuildId, query_args: BundleQuery) -> DeploymentModel:
    """What runs in this guild"""
    deployment = await _running(guild_id)
    answer = _deployment_model(deployment)
    if not query_args.include_bundle:
        return answer
    return answer.model_copy(update={"bundle": deployment.code, "source_map": deployment.source_map})


@blueprint.delete("/deployments/<guild_id>")
@answers(DeploymentModel, fails=[409, 503, 504])
@requires(Permission.GUILD_DEPLOY)
async def undeploy(guild_id: GuildId) -> DeploymentModel:
    """Stop this guild's script

    Answers with what ran until now. The history stays, so that a rollback brings the script back.
    """
    services: Services = g.services
    deployment = await _running(guild_id)
    await services.deployer.undeploy(guild_id, author(g.identity))
    return _deployment_model(deployment)


@blueprint.get("/deployments/<guild_id>/history")
@answers(HistoryModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(HistoryQuery)
async def history(guild_id: GuildId, query_args: HistoryQuery) -> HistoryModel:
    """Every revision of this guild, newest first, failed ones too"""
    services: Services = g.services
    page = await services.deployer.history(guild_id, query_args.limit, query_args.cursor)
    return HistoryModel(items=[revision_model(item) for item in page.revisions], next_cursor=page.cursor)


@blueprint.get("/deployments/<guild_id>/revisions/<revision_id>")
@answers(RevisionModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(FilesQuery)
async def revision(guild_id: GuildId, revision_id: str, query_args: FilesQuery) -> RevisionModel:
    """One revision"""
    services: Services = g.services
    identifier = parse_revision_id(revision_id)
    found = await services.deployer.revision(guild_id, identifier)
    if not query_args.include_files:
        return revision_model(found)
    return revision_model(found, await services.deployer.files(guild_id, identifier))


@blueprint.post("/deployments/<guild_id>/rollback/<revision_id>")
@answers(RevisionModel, fails=[409, 503, 504])
@requires(Permission.GUILD_DEPLOY)
async def rollback(guild_id: GuildId, revision_id: str) -> RevisionModel:
    """Deploy an earlier successful revision again, as a new revision"""
    services: Services = g.services
    return revision_model(
        await services.deployer.rollback(
            guild_id, parse_revision_id(revision_id), _source("api"), author(g.identity)
        )
    )


async def _running(guild_id: GuildId) -> Deployment:
    services: Services = g.services
    if (deployment := await services.deployer.get(guild_id)) is None:
        raise DeploymentNotFoundError(
            f"guild {guild_id} runs no script.", hint="Deploy one: `flora deploy`, or POST /deployments."
        )
    return deployment


def parse_revision_id(text: str) -> UUID:
    """Raises RevisionNotFoundError."""
    try:
        return UUID(text)
    except ValueError:
        raise RevisionNotFoundError(f"there is no revision {text[:40]!r} of this guild.") from None


async def _deploy(guild_id: GuildId, body: DeployBody) -> RevisionModel:
    services: Services = g.services
    identity = await authorize_guild(Permission.GUILD_DEPLOY, guild_id)
    if body.build_id is None:
        bundle = _bundle(body, services.limits)
    elif body.model_fields_set - {"guild_id", "build_id"}:
        raise _invalid("build_id", "stands for all else; leave the rest out")
    else:
        bundle = await built(services.builds, body.build_id, guild_id)
    new = NewRevision(guild_id, bundle, _source("unknown"), author(identity), build_id=body.build_id)
    return revision_model(await services.deployer.deploy(new))


def _bundle(body: DeployBody, limits: Limits) -> Bundle:
    if body.entry_point is None:
        raise _invalid("entry_point", "Field required")
    if body.bundle is None:
        raise _invalid("bundle", "Field required")
    files = tuple(SourceFile(file.path, file.contents) for file in body.files or ())
    source_map = body.source_map if isinstance(body.source_map, str) else ""
    _bound("bundle", len(body.bundle.encode()), limits.max_bundle_bytes, "bytes")
    _bound("source_map", len(source_map.encode()), limits.max_source_map_bytes, "bytes")
    _bound("files", len(files), limits.max_files, "files")
    _bound("files", sum(len(file.contents.encode()) for file in files), limits.max_files_bytes, "bytes")
    if len({file.path for file in files}) != len(files):
        raise _invalid("files", "name a path twice")
    return Bundle(body.entry_point, body.bundle, source_map, files)


def _bound(field: str, amount: int, limit: int, unit: str) -> None:
    if amount > limit:
        raise _invalid(field, f"has {amount:,} {unit}, more than the {limit:,} that are allowed")


def _invalid(field: str, problem: str) -> InvalidRequestError:
    return InvalidRequestError(f"{field}: {problem}", [{"field": field, "problem": problem}])


def _source(default: SourceName) -> Source:
    """What the client says it is, for the history; only flora's own bootstrap may say so."""
    said = request.headers.get(SOURCE_HEADER, default)
    if said not in get_args(SourceName):
        raise _invalid(SOURCE_HEADER, f"must be one of {', '.join(get_args(SourceName))}")
    identity: Identity = g.identity
    if said == "bootstrap" and identity.kind != "operator":
        raise _invalid(SOURCE_HEADER, "may be bootstrap only for the operator")
    return said  # type: ignore[return-value]


def _deployment_model(deployment: DeploymentHead) -> DeploymentModel:
    return DeploymentModel(
        guild_id=deployment.guild_id,
        entry_point=deployment.entry_point,
        revision_id=str(deployment.revision_id),
        build_id=deployment.build_id,
        created_at=deployment.created_at,
        updated_at=deployment.updated_at,
    )


def actor_model(actor: Actor) -> ActorModel:
    return ActorModel(kind=actor.kind, user_id=actor.user_id, username=actor.username)


def revision_model(found: Revision, files: Iterable[SourceFile] | None = None) -> RevisionModel:
    summary = found.change_summary
    return RevisionModel(
        id=str(found.id),
        guild_id=found.guild_id,
        entry_point=found.entry_point,
        status=found.status,
        deployed_at=found.deployed_at,
        source=found.source,
        actor=actor_model(found.actor),
        error=found.error,
        build_id=found.build_id,
        base_revision_id=str(found.base_revision_id) if found.base_revision_id else None,
        change_summary=ChangeSummaryModel(
            added_files=summary.added_files,
            removed_files=summary.removed_files,
            modified_files=summary.modified_files,
        )
        if summary
        else None,
        files=tuple(FileModel(path=file.path, contents=file.contents) for file in files)
        if files is not None
        else None,
    )
