"""The API's values as they cross the border: what a request may say, what an answer says."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

from flora.actors.core import MoveOutcome
from flora.actors.status import Relocation
from flora.engine.api import LogLevel

SNOWFLAKE: Final = r"^(?:[1-9][0-9]{0,18}|1[0-7][0-9]{18})$"
"""What 64 bits hold, but for ids that Discord will not give before the year 2154."""

GuildIdText = Annotated[
    str,
    StringConstraints(pattern=SNOWFLAKE),
    Field(description="A guild's id: a Discord snowflake.", examples=["100000000000000001"]),
]


def whole(value: object) -> object:
    """JSON Schema takes 3.0 for an integer."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


Whole = Annotated[int, BeforeValidator(whole)]
Cursor = Annotated[
    str,
    StringConstraints(max_length=256),
    Field(description="`next_cursor` of the page before.", json_schema_extra={"pattern": "^[0-9]{1,20}$"}),
]
SourceName = Literal["cli", "webui", "bootstrap", "api", "unknown"]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ErrorBody(Model):
    code: str = Field(description="A stable name in UPPER_SNAKE_CASE.", examples=["SCRIPT_LOAD_FAILED"])
    message: str = Field(description="What happened, and what to do next.")
    details: dict[str, Any] | None = Field(None, description="Facts for programs; depends on the code.")
    request_id: str = Field(description="The same as in the header X-Request-ID and in flora's log.")


class ErrorModel(Model):
    """The request failed."""

    error: ErrorBody


class FileModel(Model):
    path: str = Field(min_length=1, max_length=512, description="Relative to the project, with slashes.")
    contents: str

    @field_validator("path")
    @classmethod
    def stays_inside(cls, path: str) -> str:
        parts = path.split("/")
        if path.startswith("/") or "\\" in path or "\0" in path or any(p in {"", ".", ".."} for p in parts):
            raise ValueError("is not a path inside the project")
        return path


class _MapHead(msgspec.Struct):
    version: int


class DeployBody(Model):
    """A script to run: a bundle as `flora build` makes it."""

    guild_id: GuildIdText | None = Field(None, description="Where to run it; may stand in the path instead.")
    build_id: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{32}$",
        description="A build of this guild (POST /builds), instead of all that follows.",
    )
    entry_point: str | None = Field(None, min_length=1, max_length=512, examples=["src/main.ts"])
    bundle: str | None = Field(
        None, description="One JavaScript file, at most 8 MiB.", examples=["console.log('hi')"]
    )
    source_map: str | dict[str, Any] | None = Field(
        None, description="Its version 3 source map: JSON text or object, at most 16 MiB."
    )
    files: tuple[FileModel, ...] | None = Field(
        None, description="The project's sources, kept for its history: at most 1,000, 8 MiB in sum."
    )

    @field_validator("bundle", "entry_point")
    @classmethod
    def says_something(cls, text: str | None) -> str | None:
        if text is not None and not text.strip():
            raise ValueError("must not be empty")
        return text

    @field_validator("source_map")
    @classmethod
    def is_version_3(cls, value: str | dict[str, Any] | None) -> str | None:
        if value is None or value == "":
            return None
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        try:
            head = msgspec.json.decode(text, type=_MapHead)
        except (msgspec.DecodeError, UnicodeEncodeError):
            raise ValueError("is not a source map (a JSON object with version 3)") from None
        if head.version != 3:
            raise ValueError(f"is a source map of version {head.version}, not 3")
        return text


class ActorModel(Model):
    kind: Literal["session", "token", "system", "operator"]
    user_id: str | None = None
    username: str | None = None


class ChangeSummaryModel(Model):
    added_files: int
    removed_files: int
    modified_files: int


class RevisionModel(Model):
    """One attempt to deploy: successful revisions can be rolled back to."""

    id: str
    guild_id: str
    entry_point: str
    status: Literal["success", "failed"]
    deployed_at: datetime
    source: SourceName
    actor: ActorModel
    error: str | None = None
    build_id: str | None = Field(None, description="The build of this host that it came from.")
    base_revision_id: str | None = None
    change_summary: ChangeSummaryModel | None = None
    files: tuple[FileModel, ...] | None = Field(None, description="Only with include_files=true.")


class DeploymentModel(Model):
    """What runs for a guild."""

    guild_id: str
    entry_point: str
    revision_id: str
    build_id: str | None = Field(description="The build of this host that it came from.")
    created_at: datetime
    updated_at: datetime
    bundle: str | None = Field(None, description="Only with include_bundle=true.")
    source_map: str | None = Field(None, description="Only with include_bundle=true.")


class DeploymentsModel(Model):
    """Deployments that the caller may see, in the order of guild ids."""

    items: list[DeploymentModel]
    next_cursor: str | None = Field(None, description="Asks for the next page; null on the last.")


class HistoryModel(Model):
    """Revisions, newest first; `next_cursor` asks for the next page and is null on the last."""

    items: list[RevisionModel]
    next_cursor: str | None = None


class LogEntryModel(Model):
    """One line of a script's log. `timestamp` is in milliseconds since 1970."""

    id: int
    timestamp: int
    level: LogLevel
    target: str
    guild_id: str
    message: str
    event_id: str | None = None


class LogsModel(Model):
    """Lines, oldest first."""

    items: list[LogEntryModel]


class CheckModel(Model):
    name: str
    ok: bool
    detail: str = ""
    latency_ms: float | None = None


class HealthModel(Model):
    """flora answers. `checks` only with deep=1."""

    status: Literal["ok", "degraded"]
    timestamp: datetime
    checks: list[CheckModel] | None = None


class ReadyModel(Model):
    """flora takes events and requests."""

    status: Literal["ready"]


class ActorInfoModel(Model):
    path: str
    kind: str
    state: str
    mailbox_depth: int
    mailbox_capacity: int
    restarts: int
    age_seconds: float
    last_error: str | None = None


class ActorsModel(Model):
    """The supervision tree, in the order of paths."""

    items: list[ActorInfoModel]
    next_cursor: str | None = Field(None, description="Asks for the next page; null on the last.")


class LimitModel(Model):
    """What is used of a limit now; null where it is not known."""

    used: float | None
    limit: float


class GuildLimitsModel(Model):
    """What the guild uses of what it may use."""

    memory_bytes: LimitModel = Field(description="Of its process.")
    queue: LimitModel = Field(description="Events and changes that wait.")
    in_flight: LimitModel = Field(description="Events that are being handled.")
    kv_bytes: LimitModel
    secrets: LimitModel
    cpu_ms: float = Field(description="JavaScript without a pause, in milliseconds.")
    dispatch_timeout_secs: float = Field(description="One event, wall clock.")


class GuildModel(Model):
    """How a guild's runtime is. Times are in seconds."""

    guild_id: str
    status: str = Field(
        description="`running`, `starting`, `moving`, `restarting` (after a failure), `quarantined` (it "
        "keeps failing and waits out a pause), `hibernating` (idle, until its next event), `paused` (by "
        "hand) or `stopped`."
    )
    worker: int | None = Field(None, description="The worker that it runs on; null when it does not run.")
    epoch: int = Field(description="Grows whenever the guild gets another owner.")
    pid: int | None = Field(None, description="Of its process.")
    waiting: int = Field(description="Events and changes that wait for their turn.")
    in_flight: int = Field(description="Events that are being handled.")
    failures: int = Field(description="Starts and processes lost since an event ended well.")
    moving_to: int | None = None
    move_phase: str | None = None
    resumes_in: float | None = Field(None, description="What remains of the pause before the next start.")
    last_error: str | None = Field(None, description="What went wrong last since the script was deployed.")
    memory_bytes: int | None = Field(None, description="Of its process; only when one guild is asked for.")
    cpu_seconds: float | None = Field(None, description="Of its process; only when one guild is asked for.")
    limits: GuildLimitsModel | None = Field(None, description="Only when one guild is asked for.")


class GuildsModel(Model):
    """Guilds that the caller may see, in the order of ids."""

    items: list[GuildModel]
    next_cursor: str | None = Field(None, description="Asks for the next page; null on the last.")


class MigrateBody(Model):
    """Where to move a guild."""

    target_worker: Whole = Field(ge=0, description="A worker's index; GET /workers lists them.")


class MigrationModel(Model):
    """How a move ended. `moved`: with its live process. `failed_over`: started anew, nothing is lost."""

    guild_id: str
    outcome: MoveOutcome | Literal["already_there"]
    source: int
    target: int
    worker: int | None = Field(None, description="Where the guild is now.")
    reason: str | None = Field(None, description="Why it did not just move.")


class WorkerModel(Model):
    """A unit of placement of guilds."""

    index: int
    alive: bool
    drained: bool = Field(description="No further guild is placed on it.")
    guilds: int
    waiting: int = Field(description="Events and changes of its guilds that wait for their turn.")
    in_flight: int
    queue_delay: float = Field(
        description="Seconds that the oldest event has waited for a slot of this worker; 0 with a free one."
    )


class WorkersModel(Model):
    """All workers, in order."""

    items: list[WorkerModel]


class RelocationModel(Model):
    guild_id: str
    outcome: Relocation
    worker: int | None = Field(None, description="Where the guild is now.")
    reason: str | None = None


class DrainModel(Model):
    """What became of each guild of the worker. One that could not be moved goes on where it is."""

    worker: WorkerModel
    guilds: list[RelocationModel]


class DeadLetterModel(Model):
    """An event that the guild's script could not handle."""

    id: int
    guild_id: str
    event_id: str
    name: str = Field(description="Discord's name of it.", examples=["MESSAGE_CREATE"])
    attempts: int
    reason: str
    at: datetime
    payload: Any | None = Field(None, description="What Discord sent; only when one letter is asked for.")


class DeadLettersModel(Model):
    """Dead letters, newest first; `next_cursor` asks for the next page and is null on the last."""

    items: list[DeadLetterModel]
    next_cursor: str | None = None


class IndexModel(Model):
    """Where to go from here."""

    name: Literal["flora"]
    version: str
    docs: str
    openapi: str
    health: str
    login: str


class BundleQuery(Model):
    include_bundle: bool = Field(False, description="Answer with the bundle and its source map too.")


class FilesQuery(Model):
    include_files: bool = Field(False, description="Answer with the source files too.")


class GuildPageQuery(Model):
    limit: int = Field(100, ge=1, le=1000, description="Guilds of one page.")
    cursor: Cursor | None = None


class ActorsQuery(Model):
    limit: int = Field(500, ge=1, le=5000, description="Actors of one page.")
    cursor: str | None = Field(None, max_length=400, description="`next_cursor` of the page before.")


class HistoryQuery(Model):
    limit: int = Field(25, ge=1, le=100, description="Revisions of one page.")
    cursor: Cursor | None = None


class DeadLettersQuery(Model):
    limit: int = Field(25, ge=1, le=100, description="Letters of one page.")
    cursor: Cursor | None = None


class HealthQuery(Model):
    deep: bool = Field(False, description="Ask every dependency; 503 when one of them is not well.")


class LogsQuery(Model):
    limit: int = Field(100, ge=0, le=1000, description="The newest so many lines.")
    level: LogLevel | None = Field(None, description="Lines of at least this level.")
    since: datetime | None = Field(
        None,
        description="Lines from this time on: ISO 8601 (UTC unless it says otherwise), or seconds or "
        "milliseconds since 1970.",
    )
    follow: bool = Field(False, description="Then go on with what comes, as server-sent events.")
