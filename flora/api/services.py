"""What the HTTP API needs of the rest of flora, as small protocols that `flora/app.py` fills.

The routes know nothing else: no actor, no database. Whatever stands behind a protocol bounds its own time
and raises `FloraError`s, which `flora.api.errors` turns into answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

import trio

from flora.actors.builds import BuildRequest
from flora.actors.core import MoveDone
from flora.actors.deployer import PendingChange
from flora.actors.guild_logs import GuildLogs
from flora.actors.schedule.core import Run
from flora.actors.schedules import CronStatus, TaskStatus
from flora.actors.status import GuildStatus, Relocated, WorkerStatus
from flora.api.auth import Authenticator
from flora.api.authenticator import IdentityService, Tokens
from flora.api.buckets import RATES, RateLimits
from flora.api.cookies import CookieJar
from flora.api.devices import DeviceCodes
from flora.api.guard import Network
from flora.api.login import Login
from flora.build.types import Bundle, SourceFile
from flora.ids import GuildId, GuildOrder
from flora.metrics import Metrics
from flora.storage.audit import AuditPage, NewAuditEntry
from flora.storage.builds import BuildRecord
from flora.storage.dead_letters import DeadLetter, DeadLetterPage
from flora.storage.deployments import (
    Actor,
    Deployment,
    DeploymentHead,
    HistoryPage,
    NewRevision,
    Revision,
    Source,
)
from flora.storage.kv import GuildKv
from flora.storage.schedules import RunPage
from flora.storage.secrets import SecretInfo
from flora.storage.tasks import Task

MIB = 2**20


class Deployer(Protocol):
    """The deployment service. For a revision that is not there it raises RevisionNotFoundError."""

    async def deploy(self, new: NewRevision) -> Revision:
        """Load the script and make it current. Raises ScriptLoadError; what ran then runs on."""

    async def rollback(self, guild_id: GuildId, revision_id: UUID, source: Source, actor: Actor) -> Revision:
        """Deploy an earlier successful revision again, as a new revision."""

    async def undeploy(self, guild_id: GuildId, actor: Actor) -> None:
        """Stop the guild's script and forget it; its history stays."""

    async def pause(self, guild_id: GuildId, actor: Actor) -> None:
        """Stop the guild's script until `unpause`, also over restarts. Raises GuildNotDeployedError."""

    async def unpause(self, guild_id: GuildId) -> None:
        """Start it again. Raises GuildNotPausedError, ScriptLoadError; then it is paused still."""

    def pending(self, guild_id: GuildId) -> Sequence[PendingChange]:
        """The guild's changes that have not ended, in their order: the first one is under way."""

    @property
    def paused(self) -> GuildOrder:
        """The guilds that are paused."""

    async def list(self, after: int, limit: int, among: Collection[GuildId] | None) -> list[DeploymentHead]:
        """What runs now in the guilds with ids above `after`, at most `limit` of them in their order; in
        these only, where `among` names some.
        """

    async def get(self, guild_id: GuildId) -> Deployment | None:
        """What the guild runs; None when nothing."""

    async def history(self, guild_id: GuildId, limit: int, cursor: str | None) -> HistoryPage:
        """Revisions, newest first, failed ones too. Raises InvalidCursorError."""

    async def revision(self, guild_id: GuildId, revision_id: UUID) -> Revision: ...

    async def files(self, guild_id: GuildId, revision_id: UUID) -> Sequence[SourceFile]:
        """The source files stored with a revision."""


class Builds(Protocol):
    """The build service; `flora.actors.builds.BuildDesk` has these. Raises BuildNotFoundError."""

    async def submit(self, request: BuildRequest) -> BuildRecord:
        """Raises ArchiveError, BuildsBusyError, TooManyBuildsError."""

    async def get(self, build_id: str) -> BuildRecord: ...

    async def list(self, guild_id: GuildId | None = None) -> Sequence[BuildRecord]:
        """Newest first; with `guild_id` those of this guild."""

    async def cancel(self, build_id: str) -> BuildRecord:
        """End a build that is under way. Raises BuildEndedError."""

    async def bundle(self, build_id: str) -> Bundle: ...

    async def changed(self, build_id: str) -> None:
        """Until there is something new about a build that is under way; at once for any other."""


class Runtime(Protocol):
    """Guilds on workers. Raises RouterErrors."""

    def guild_ids(self, after: int, limit: int) -> list[GuildId]:
        """At most `limit` guilds that were ever deployed to, with ids above `after`, in their order."""

    def guild(self, guild_id: GuildId) -> GuildStatus | None: ...

    async def restart(self, guild_id: GuildId) -> None:
        """Start the guild's script anew. Raises GuildNotDeployedError, ScriptLoadError."""

    async def migrate_guild_runtime(self, guild_id: GuildId, target_worker: int) -> MoveDone | None:
        """Move a guild; None when it is there already. Raises MigrationBusyError, GuildNotDeployedError."""

    def workers(self) -> Sequence[WorkerStatus]: ...

    async def drain_worker(self, index: int) -> Sequence[Relocated]:
        """Move all guilds of a worker elsewhere. Raises WorkerNotFoundError, LastWorkerError."""

    def reopen_worker(self, index: int) -> None:
        """Raises WorkerNotFoundError."""


class DeadLetters(Protocol):
    """Events that a guild's script could not handle. Raises DeadLetterNotFoundError."""

    async def page(self, guild_id: GuildId, limit: int, cursor: str | None) -> DeadLetterPage:
        """Newest first. Raises InvalidCursorError."""

    async def get(self, guild_id: GuildId, letter_id: int) -> DeadLetter: ...

    async def replay(self, guild_id: GuildId, letter_id: int) -> DeadLetter:
        """Give the event to the script again. Raises GuildNotDeployedError, ReplayBusyError."""

    async def drop(self, guild_id: GuildId, letter_id: int) -> DeadLetter: ...


class Schedules(Protocol):
    """Cron jobs and tasks; `flora.actors.schedules.Schedules` has these.

    Histories raise InvalidCursorError.
    """

    async def jobs(self, guild_id: GuildId) -> Sequence[CronStatus]:
        """By name."""

    def run_job(self, guild_id: GuildId, name: str) -> Run:
        """Run it now. Raises CronNotFoundError, CronRunningError, GuildNotDeployedError."""

    async def job_history(
        self, guild_id: GuildId, name: str | None, limit: int, cursor: str | None
    ) -> RunPage:
        """Of one job or, without a name, of all, newest first."""

    async def tasks(self, guild_id: GuildId, prefix: str = "") -> Sequence[TaskStatus]:
        """The next one first."""

    async def schedule_task(
        self, guild_id: GuildId, key: str, due_at: datetime, data: bytes, channel_id: str | None
    ) -> Task:
        """Keep a task in place of one of the same key; `data` is JSON. Raises InvalidTaskError,
        TaskLimitError.
        """

    async def run_task(self, guild_id: GuildId, key: str) -> Task:
        """Have it done now. Raises TaskNotFoundError."""

    async def cancel_task(self, guild_id: GuildId, key: str) -> Task:
        """Raises TaskNotFoundError."""

    async def task_history(
        self, guild_id: GuildId, key: str | None, limit: int, cursor: str | None
    ) -> RunPage:
        """Of one task or, without a key, of all, newest first."""


class Secrets(Protocol):
    """Guild secrets; `flora.actors.secrets.SecretDesk` has these. A running script sees a change at once."""

    def list(self, guild_id: GuildId) -> Sequence[SecretInfo]:
        """By name."""

    async def put(self, guild_id: GuildId, name: str, value: str, allowed_hosts: Sequence[str]) -> SecretInfo:
        """Raises SecretInvalidError, SecretLimitError."""

    async def delete(self, guild_id: GuildId, name: str) -> bool:
        """Whether it was there."""

    async def rotate_key(self) -> tuple[str, int]:
        """(id of the key that encrypts now, how many secrets were encrypted anew)."""


class Audit(Protocol):
    """The audit log; `flora.actors.audit.AuditLog` has these."""

    async def record(self, entry: NewAuditEntry) -> None:
        """Returns when it is stored, or will be once the database is back."""

    def note(self, entry: NewAuditEntry) -> None: ...

    async def page(
        self, *, guild_id: GuildId | None, user_id: str | None, limit: int, cursor: str | None
    ) -> AuditPage:
        """Newest first. Raises InvalidCursorError."""


@dataclass(frozen=True, slots=True)
class People:
    """Logins, and what they leave behind."""

    login: Login
    cookies: CookieJar
    devices: DeviceCodes
    identities: IdentityService


@dataclass(frozen=True, slots=True)
class Usage:
    """What a guild uses now of what it may use; None where it is not known."""

    memory_bytes: int | None
    cpu_seconds: float | None
    kv_bytes: int | None
    secrets: int


@dataclass(frozen=True, slots=True)
class Quotas:
    """What every guild may use."""

    heap_bytes: int
    cpu_ms: int
    dispatch_timeout_secs: float
    queue_capacity: int
    concurrency: int
    kv_bytes: int
    secrets: int


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency as a health check saw it. `latency_ms` is how long the check took."""

    name: str
    ok: bool
    detail: str = ""
    latency_ms: float | None = None


class Health(Protocol):
    async def check(self) -> Sequence[Check]:
        """Look at every dependency now. Bounds its own time; the route gives up after some seconds."""

    def ready(self) -> str | None:
        """None when flora takes events and requests; otherwise why not, in a few words."""


class ActorInfo(Protocol):
    """What `GET /actors` shows of an actor; `flora.actors.ActorInfo` has these fields."""

    @property
    def path(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def mailbox_depth(self) -> int: ...
    @property
    def mailbox_capacity(self) -> int: ...
    @property
    def restarts(self) -> int: ...
    @property
    def age_seconds(self) -> float: ...
    @property
    def last_error(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What the API accepts. A whole request body is bounded by `max_body_bytes`, before it is parsed."""

    max_bundle_bytes: int = 8 * MIB
    max_source_map_bytes: int = 16 * MIB
    max_files: int = 1_000
    max_files_bytes: int = 8 * MIB
    # The three above in sum, and a quarter for JSON's escapes.
    max_body_bytes: int = 40 * MIB
    # Every request that is no deployment.
    max_small_body_bytes: int = 64 * 1024
    body_timeout_secs: float = 30.0
    # Parts are given 3 s, a database that hangs 2 s more to let go of the question; the rest is air, so that
    # one part that hangs does not hide how the others are.
    health_timeout_secs: float = 10.0
    sse_keepalive_secs: float = 15.0
    rates: RateLimits = RATES


@dataclass(frozen=True)
class Services:
    """Everything behind the API. `shutdown` ends the event streams, so that nobody waits for them."""

    deployer: Deployer
    builds: Builds
    runtime: Runtime
    dead_letters: DeadLetters
    schedules: Schedules
    kv: GuildKv
    secrets: Secrets
    logs: GuildLogs
    health: Health
    actors: Callable[[], Sequence[ActorInfo]]
    metrics: Metrics
    authenticator: Authenticator
    audit: Audit
    tokens: Tokens
    people: People
    commands: Callable[[GuildId], Awaitable[tuple[bytes | None, bool]]]
    """A guild's application commands: a JSON array or None, and whether Discord has taken it."""
    usage: Callable[[GuildId, int | None], Awaitable[Usage]]
    """Given the guild and its process' pid."""
    quotas: Quotas
    trusted_proxies: tuple[Network, ...] = ()
    metrics_open: bool = False
    """GET /metrics answers anybody on this machine."""
    comparing: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(1))
    """Of threads that compare sources."""
    shutdown: trio.Event = field(default_factory=trio.Event)
    limits: Limits = Limits()
    version: str = "0"
