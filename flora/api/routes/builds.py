"""`/builds`: a project as a zip file becomes a bundle on the server, and if asked a deployment.

A build is a resource: it goes on when its client has gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field
from quart import Blueprint, Response, g, request
from quart_schema import tag_blueprint

from flora.actors.builds import BuildRequest
from flora.api.auth import ForbiddenError, Permission, author, authorize_guild, requires, visible_guilds
from flora.api.errors import InvalidRequestError
from flora.api.models import Cursor, FileModel, GuildIdText, Model
from flora.api.openapi import answers, answers_media, read_archive, takes_archive, takes_query
from flora.api.services import Builds, Services
from flora.api.sse import DONE, Event, event_stream
from flora.build.types import Bundle
from flora.errors import FloraError
from flora.ids import GuildId, parse_guild_id
from flora.storage.builds import BuildNotFoundError, BuildRecord
from flora.storage.cursors import before

blueprint = Blueprint("builds", __name__)
tag_blueprint(blueprint, ["builds"])


class BuildNotReadyError(FloraError):
    """There is no result, and perhaps there will be none."""

    code = "BUILD_NOT_READY"


class BuildQuery(Model):
    guild_id: GuildIdText | None = Field(
        None, description="For which guild; without one it is the operator's."
    )
    entry: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="The first file; by default what flora.config.ts says, or src/main.ts.",
    )
    check: bool = Field(True, description="Check types, too.")
    deploy: bool = Field(False, description="Deploy the result to the guild; the build ends as that does.")


class BuildDetailQuery(Model):
    include_bundle: bool = Field(False, description="With the bundle, its source map and the sources.")


class BuildsQuery(Model):
    guild_id: GuildIdText | None = Field(
        None, description="Of this guild; without one, of all that one may read."
    )
    limit: int = Field(25, ge=1, le=100, description="Builds of one page.")
    cursor: Cursor | None = None


class DiagnosticModel(Model):
    """A finding of the compiler; line and column count from 1, 0 when there is no position."""

    path: str
    line: int
    column: int
    message: str
    code_frame: str


class BuildErrorModel(Model):
    code: str = Field(description="As in the error of a request.", examples=["BUILD_FAILED"])
    message: str
    diagnostics: list[DiagnosticModel]
    stack: str | None = Field(None, description="Of a script that was built and did not load.")


class BuildModel(Model):
    """A build as it stands."""

    id: str
    guild_id: str | None
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    check: bool
    deploy: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: BuildErrorModel | None
    warnings: list[str]
    entry_point: str | None
    bundle_bytes: int | None
    file_count: int | None = Field(description="Source files that a revision of it would keep.")
    revision_id: str | None = Field(description="What it was deployed as.")
    bundle: str | None = None
    source_map: str | None = None
    files: list[FileModel] | None = None


class BuildsModel(Model):
    """Builds, newest first; `next_cursor` asks for the next page and is null on the last."""

    items: list[BuildModel]
    next_cursor: str | None


@blueprint.get("/builds")
@answers(BuildsModel)
@requires(Permission.GUILD_READ)
@takes_query(BuildsQuery)
async def list_builds(query_args: BuildsQuery) -> BuildsModel:
    """The builds that are known: those under way, and those of the last hour

    Whoever may read few of many guilds finds pages that are not full.
    """
    services: Services = g.services
    guild_id: GuildId | None = None
    if query_args.guild_id is not None:
        guild_id = await _authorize(Permission.GUILD_READ, query_args.guild_id)
    below = before(query_args.cursor)
    behind = [record for record in await services.builds.list(guild_id) if _microseconds(record) < below]
    page = behind[: query_args.limit]
    more = len(behind) > len(page)
    return BuildsModel(
        items=[_model(record) for record in (page if guild_id is not None else await _visible(page))],
        next_cursor=str(_microseconds(page[-1])) if more else None,
    )


@blueprint.post("/builds")
@answers(BuildModel, status=202, fails=[503])
@requires(Permission.GUILD_DEPLOY)
@takes_query(BuildQuery)
@takes_archive
async def create_build(query_args: BuildQuery) -> tuple[BuildModel, int]:
    """Build a project, which is sent as a zip file

    Answers when the build waits in its queue; GET /builds/{id} tells how it goes. Its code is read and never
    run: npm packages are installed as package-lock.json says, without their install scripts.
    """
    services: Services = g.services
    guild_id = await _authorize(Permission.GUILD_DEPLOY, query_args.guild_id)
    if query_args.deploy and guild_id is None:
        problem = "is missing: a deployment needs it"
        raise InvalidRequestError(f"guild_id: {problem}", [{"field": "guild_id", "problem": problem}])
    said = request.headers.get("X-Flora-Deploy-Source")
    record = await services.builds.submit(
        BuildRequest(
            await read_archive(),
            query_args.entry,
            guild_id,
            check=query_args.check,
            deploy=query_args.deploy,
            source="cli" if said == "cli" else "webui" if said == "webui" else "api",
            actor=author(g.identity),
        )
    )
    return _model(record), 202


@blueprint.get("/builds/<build_id>")
@answers(BuildModel, fails=[409])
@requires(Permission.IDENTIFIED)
@takes_query(BuildDetailQuery)
async def get_build(build_id: str, query_args: BuildDetailQuery) -> BuildModel:
    """How a build stands, or how it ended

    Results are kept for an hour. Reading needs the right to read the guild.
    """
    record = await _readable(build_id)
    if not query_args.include_bundle:
        return _model(record)
    services: Services = g.services
    if record.status != "succeeded":
        raise BuildNotReadyError(f"this build is {record.status}, it has no bundle.")
    bundle = await services.builds.bundle(build_id)
    files = [FileModel(path=file.path, contents=file.contents) for file in bundle.files]
    details = {"bundle": bundle.code, "source_map": bundle.source_map, "files": files}
    return _model(record).model_copy(update=details)


@blueprint.delete("/builds/<build_id>")
@answers(BuildModel, fails=[409])
@requires(Permission.IDENTIFIED)
async def cancel_build(build_id: str) -> BuildModel:
    """Cancel a build that waits or runs

    Answers when it has ended, its tools too; 409 when it has ended by itself or is being deployed. Needs the
    right to deploy to the guild.
    """
    services: Services = g.services
    record = await services.builds.get(build_id)
    await _authorize(Permission.GUILD_DEPLOY, record.guild_id)
    return _model(await services.builds.cancel(build_id))


@blueprint.get("/builds/<build_id>/logs")
@answers_media(
    "text/event-stream",
    'Events `log` (data is {"line": text}, id its number) from the first line on, then `done` (data is '
    '{"status": status}). Connecting again with Last-Event-ID goes on after that line.',
)
@answers(None)
@requires(Permission.IDENTIFIED)
async def build_logs(build_id: str) -> Response:
    """What a build does, as server-sent events"""
    services: Services = g.services
    record = await _readable(build_id)
    sent = request.headers.get("Last-Event-ID", "")
    after = int(sent) if sent.isascii() and sent.isdigit() and len(sent) <= 9 else 0
    return event_stream(
        _BuildLog(services.builds, record, after),
        shutdown=services.shutdown,
        keepalive_secs=services.limits.sse_keepalive_secs,
    )


async def built(builds: Builds, build_id: str, guild_id: GuildId) -> Bundle:
    """What a build made for this guild. Raises BuildNotFoundError, BuildNotReadyError."""
    record = await builds.get(build_id)
    if record.guild_id != guild_id:
        raise BuildNotFoundError
    if record.status != "succeeded":
        raise BuildNotReadyError(f"this build is {record.status}, there is nothing to deploy.")
    return await builds.bundle(build_id)


class _BuildLog:
    """What a stream sends: the record's lines, and that it has ended."""

    def __init__(self, builds: Builds, record: BuildRecord, after: int) -> None:
        self._builds = builds
        self._record = record
        self._sent = after

    def take(self) -> list[Event]:
        lines = self._record.lines[self._sent :]
        events = [
            Event("log", {"line": line}, str(number)) for number, line in enumerate(lines, self._sent + 1)
        ]
        self._sent += len(lines)
        if self._record.finished:
            events.append(Event(DONE, {"status": self._record.status}))
        return events

    async def wait(self) -> None:
        await self._builds.changed(self._record.id)

    def close(self) -> None:
        pass


async def _authorize(permission: Permission, guild: str | None) -> GuildId | None:
    """Raises ForbiddenError."""
    if guild is None:
        services: Services = g.services
        await services.authenticator.authorize(g.identity, Permission.OPERATE, None)
        return None
    guild_id = parse_guild_id(guild)
    await authorize_guild(permission, guild_id)
    return guild_id


async def _readable(build_id: str) -> BuildRecord:
    services: Services = g.services
    record = await services.builds.get(build_id)
    await _authorize(Permission.GUILD_READ, record.guild_id)
    return record


async def _visible(records: Sequence[BuildRecord]) -> list[BuildRecord]:
    """Those that the caller may read; nobody's builds are the operator's."""
    guilds = {record.guild_id for record in records}
    visible: set[GuildId | None] = {*await visible_guilds(guild for guild in guilds if guild is not None)}
    if None in guilds:
        with suppress(ForbiddenError):
            visible.add(await _authorize(Permission.GUILD_READ, None))
    return [record for record in records if record.guild_id in visible]


def _microseconds(record: BuildRecord) -> int:
    return round(record.created_at * 1_000_000)


def _model(record: BuildRecord) -> BuildModel:
    failure = record.failure
    return BuildModel(
        id=record.id,
        guild_id=record.guild_id,
        status=record.status,
        check=record.check,
        deploy=record.deploy,
        created_at=datetime.fromtimestamp(record.created_at, UTC),
        started_at=_time(record.started_at),
        finished_at=_time(record.finished_at),
        error=None
        if failure is None
        else BuildErrorModel(
            code=failure.code,
            message=failure.message,
            stack=failure.stack,
            diagnostics=[
                DiagnosticModel(
                    path=each.path,
                    line=each.line,
                    column=each.column,
                    message=each.message,
                    code_frame=each.code_frame,
                )
                for each in failure.diagnostics
            ],
        ),
        warnings=list(record.warnings),
        entry_point=record.entry_point,
        bundle_bytes=record.bundle_bytes,
        file_count=record.file_count,
        revision_id=record.revision_id,
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
