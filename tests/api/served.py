"""A really served API over a deployment service that keeps everything in memory."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

import httpx
import trio
from pydantic import SecretStr

from flora.actors.builds import BuildEndedError, BuildRequest, BuildsBusyError
from flora.actors.core import (
    GuildNotDeployedError,
    MigrationBusyError,
    MoveDone,
    MoveOutcome,
    RouterClosedError,
)
from flora.actors.dead_letters import DeadLetterNotFoundError, ReplayBusyError
from flora.actors.deployer import GuildNotPausedError, GuildPausedError, PendingChange
from flora.actors.guild_logs import GuildLogs
from flora.actors.loghub import LogHub
from flora.actors.runtime import LastWorkerError, WorkerNotFoundError
from flora.actors.status import Condition, GuildStatus, Relocated, Relocation, WorkerStatus
from flora.api import Check, Limits, Services, create_app, serve_api
from flora.api.auth import Authenticator
from flora.api.authenticator import IdentityService
from flora.api.cookies import CSRF_HEADER, CookieJar
from flora.api.devices import DeviceCodes
from flora.api.login import Login
from flora.api.services import People, Quotas, Usage
from flora.build.archive import check_archive
from flora.build.types import Bundle, SourceFile
from flora.config import ApiConfig
from flora.engine.api import ScriptFault, ScriptLoadError
from flora.errors import FloraError
from flora.ids import GuildId, GuildOrder
from flora.metrics import Metrics
from flora.storage.builds import BuildNotFoundError, BuildRecord
from flora.storage.cache import MemoryCache
from flora.storage.cursors import before
from flora.storage.dead_letters import DeadLetter, DeadLetterPage
from flora.storage.deployments import (
    Actor,
    Deployment,
    DeploymentHead,
    HistoryPage,
    NewRevision,
    Revision,
    RevisionNotFoundError,
    Source,
)
from flora.storage.guild_logs import GuildLogFiles
from flora.storage.kv import GuildKv
from flora.storage.secrets import SecretInfo
from flora.storage.secrets.vault import SecretInvalidError
from flora.storage.sessions import User
from tests.api.people import MemoryAudit, MemorySessions, MemoryTokens, PaperDiscord
from tests.api.schedules import MemorySchedules

OPERATOR_SECRET = "operator-secret-for-tests"
GARDEN = GuildId("100000000000000001")
ORCHARD = GuildId("100000000000000002")
API_SECRET = "x" * 32
PATIENCE = 60.0
"""Seconds that anything may take on a machine that has much else to do."""


class RollbackRefusedError(FloraError):
    code = "ROLLBACK_TARGET_FAILED"


class MemoryDeployer:
    """Deploys by keeping. A bundle that contains `throw` fails to load, as a real one would."""

    def __init__(self) -> None:
        self.current: dict[GuildId, Deployment] = {}
        self.revisions: list[tuple[Revision, NewRevision]] = []
        self.blocked: trio.Event | None = None
        self.waiting = 0
        self.under_way: dict[GuildId, PendingChange] = {}
        self.paused = GuildOrder()

    def pending(self, guild_id: GuildId) -> Sequence[PendingChange]:
        return [self.under_way[guild_id]] if guild_id in self.under_way else []

    async def deploy(self, new: NewRevision) -> Revision:
        if new.guild_id in self.paused:
            raise GuildPausedError(new.guild_id)
        if self.blocked is not None:
            self.waiting += 1
            await self.blocked.wait()
        base = self.current.get(new.guild_id)
        revision = Revision(
            id=uuid4(),
            guild_id=new.guild_id,
            entry_point=new.bundle.entry_point,
            status="success",
            deployed_at=datetime.now(UTC),
            source=new.source,
            actor=new.actor,
            error=None,
            build_id=new.build_id,
            base_revision_id=base.revision_id if base else None,
            change_summary=None,
        )
        if "throw" in new.bundle.code:
            fault = ScriptFault("TypeError", "x is not a function", "    at src/main.ts:3:7")
            failed = replace(revision, status="failed", error="TypeError: x is not a function")
            self.revisions.append((failed, new))
            raise ScriptLoadError(fault)
        self.revisions.append((revision, new))
        self.current[new.guild_id] = Deployment(
            guild_id=new.guild_id,
            entry_point=new.bundle.entry_point,
            code=new.bundle.code,
            source_map=new.bundle.source_map,
            revision_id=revision.id,
            created_at=base.created_at if base else revision.deployed_at,
            updated_at=revision.deployed_at,
            build_id=new.build_id,
        )
        return revision

    async def rollback(self, guild_id: GuildId, revision_id: UUID, source: Source, actor: Actor) -> Revision:
        revision, new = self._find(guild_id, revision_id)
        if revision.status != "success":
            raise RollbackRefusedError("only a successful revision can be rolled back to.")
        return await self.deploy(replace(new, source=source, actor=actor))

    async def undeploy(self, guild_id: GuildId, actor: Actor) -> None:
        del self.current[guild_id]

    async def pause(self, guild_id: GuildId, actor: Actor) -> None:
        if guild_id not in self.current:
            raise GuildNotDeployedError(guild_id)
        self.paused.add(guild_id)

    async def unpause(self, guild_id: GuildId) -> None:
        if guild_id not in self.paused:
            raise GuildNotPausedError(f"guild {guild_id} is not paused.")
        self.paused.discard(guild_id)

    async def list(self, after: int, limit: int, among: Collection[GuildId] | None) -> list[DeploymentHead]:
        return [
            self.current[guild_id]
            for guild_id in sorted(self.current, key=int)
            if int(guild_id) > after and (among is None or guild_id in among)
        ][:limit]

    async def get(self, guild_id: GuildId) -> Deployment | None:
        return self.current.get(guild_id)

    async def history(self, guild_id: GuildId, limit: int, cursor: str | None) -> HistoryPage:
        start = before(cursor)
        mine = [
            (number, revision)
            for number, (revision, _) in reversed(list(enumerate(self.revisions)))
            if revision.guild_id == guild_id and number < start
        ]
        page = tuple(revision for _, revision in mine[:limit])
        return HistoryPage(page, str(mine[limit - 1][0]) if len(mine) > limit else None)

    async def revision(self, guild_id: GuildId, revision_id: UUID) -> Revision:
        return self._find(guild_id, revision_id)[0]

    async def files(self, guild_id: GuildId, revision_id: UUID) -> Sequence[SourceFile]:
        return self._find(guild_id, revision_id)[1].bundle.files

    def _find(self, guild_id: GuildId, revision_id: UUID) -> tuple[Revision, NewRevision]:
        for revision, new in self.revisions:
            if (revision.guild_id, revision.id) == (guild_id, revision_id):
                return revision, new
        raise RevisionNotFoundError(f"there is no revision {revision_id} of this guild.")


class MemoryBuilds:
    """Keeps what it is sent; `finish` ends a build."""

    def __init__(self, deployer: MemoryDeployer) -> None:
        self._deployer = deployer
        self.records: dict[str, BuildRecord] = {}
        self.requests: list[BuildRequest] = []
        self.full = False
        self._changed = trio.Event()

    async def submit(self, request: BuildRequest) -> BuildRecord:
        if self.full:
            raise BuildsBusyError("too many builds wait.")
        check_archive(request.archive)
        self.requests.append(request)
        number = f"{len(self.requests):032x}"
        record = BuildRecord(
            number, request.guild_id, request.entry, request.check, request.deploy, time.time()
        )
        self.records[number] = record
        return record

    def finish(self, build_id: str, status: Literal["succeeded", "failed", "cancelled"], *lines: str) -> None:
        record = self.records[build_id]
        record.lines += lines
        record.status, record.finished_at = status, time.time()
        self._changed.set()

    async def list(self, guild_id: GuildId | None = None) -> Sequence[BuildRecord]:
        mine = [record for record in self.records.values() if guild_id in (None, record.guild_id)]
        return mine[::-1]

    async def cancel(self, build_id: str) -> BuildRecord:
        if (record := await self.get(build_id)).finished:
            raise BuildEndedError("it has ended.")
        self.finish(build_id, "cancelled")
        return record

    async def get(self, build_id: str) -> BuildRecord:
        if build_id not in self.records:
            raise BuildNotFoundError
        return self.records[build_id]

    async def bundle(self, build_id: str) -> Bundle:
        return Bundle("src/main.ts", "1", "", (SourceFile("src/main.ts", "1"),))

    async def changed(self, build_id: str) -> None:
        await self._changed.wait()


class MemoryRuntime:
    """Two workers. A guild that is deployed runs; it moves at once unless it is `busy`."""

    def __init__(self, deployer: MemoryDeployer) -> None:
        self._deployer = deployer
        self.placed: dict[GuildId, int] = {}
        self.drained: set[int] = set()
        self.busy: set[GuildId] = set()
        self.restarted: list[GuildId] = []
        self.restart_fails = False
        self.closing = False

    def guild(self, guild_id: GuildId) -> GuildStatus | None:
        if guild_id not in self._deployer.current:
            return None
        return GuildStatus(
            guild_id=guild_id,
            condition=Condition.RUNNING,
            worker=self.placed.get(guild_id, 0),
            epoch=3,
            pid=4711,
            waiting=5,
            in_flight=1,
            failures=0,
            moving_to=None,
            move_phase=None,
            resumes_in=None,
            last_error="it died of SIGKILL",
        )

    def guild_ids(self, after: int, limit: int) -> list[GuildId]:
        return GuildOrder(self._deployer.current).after(after, limit)

    def _all(self) -> Sequence[GuildStatus]:
        found = [self.guild(guild_id) for guild_id in self.guild_ids(0, 1_000)]
        return [status for status in found if status is not None]

    async def restart(self, guild_id: GuildId) -> None:
        if self.guild(guild_id) is None:
            raise GuildNotDeployedError(guild_id)
        if self.restart_fails:
            raise ScriptLoadError(ScriptFault("TypeError", "x is not a function", "    at src/main.ts:3:7"))
        self.restarted.append(guild_id)

    async def migrate_guild_runtime(self, guild_id: GuildId, target_worker: int) -> MoveDone | None:
        if self.closing:
            raise RouterClosedError
        status = self.guild(guild_id)
        if status is None or status.worker is None:
            raise GuildNotDeployedError(guild_id)
        if guild_id in self.busy:
            raise MigrationBusyError(guild_id, 1 - target_worker)
        if status.worker == target_worker:
            return None
        self.placed[guild_id] = target_worker
        return MoveDone(guild_id, 1, MoveOutcome.MOVED, status.worker, target_worker, target_worker, "")

    def workers(self) -> Sequence[WorkerStatus]:
        homes = [status.worker for status in self._all()]
        return [
            WorkerStatus(index, True, index in self.drained, homes.count(index), 5, 1, 0.25)
            for index in range(2)
        ]

    async def drain_worker(self, index: int) -> Sequence[Relocated]:
        self._check(index)
        if self.drained - {index}:
            raise LastWorkerError(index)
        self.drained.add(index)
        leaving = [status.guild_id for status in self._all() if status.worker == index]
        self.placed |= dict.fromkeys(leaving, 1 - index)
        return [Relocated(guild_id, Relocation.MOVED, 1 - index, "") for guild_id in leaving]

    def reopen_worker(self, index: int) -> None:
        self._check(index)
        self.drained.discard(index)

    def _check(self, index: int) -> None:
        if index > 1:
            raise WorkerNotFoundError(index, 2)


class MemoryDeadLetters:
    """Dead letters in a list, oldest first."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.replayed: list[DeadLetter] = []
        self.full = False

    def add(self, guild_id: GuildId, payload: bytes = b'{"content":"boom"}') -> DeadLetter:
        number = len(self.letters) + len(self.replayed) + 1
        letter = DeadLetter(
            number, guild_id, f"0:s:{number}", "MESSAGE_CREATE", payload, 3, "it died", datetime.now(UTC)
        )
        self.letters.append(letter)
        return letter

    async def page(self, guild_id: GuildId, limit: int, cursor: str | None) -> DeadLetterPage:
        start = before(cursor)
        mine = [
            letter for letter in reversed(self.letters) if letter.guild_id == guild_id and letter.id < start
        ]
        page = tuple(mine[:limit])
        return DeadLetterPage(page, str(page[-1].id) if len(mine) > limit else None)

    async def get(self, guild_id: GuildId, letter_id: int) -> DeadLetter:
        for letter in self.letters:
            if (letter.guild_id, letter.id) == (guild_id, letter_id):
                return letter
        raise DeadLetterNotFoundError(guild_id, letter_id)

    async def replay(self, guild_id: GuildId, letter_id: int) -> DeadLetter:
        letter = await self.get(guild_id, letter_id)
        if self.full:
            raise ReplayBusyError("too many events wait.")
        self.replayed.append(await self.drop(guild_id, letter_id))
        return letter

    async def drop(self, guild_id: GuildId, letter_id: int) -> DeadLetter:
        letter = await self.get(guild_id, letter_id)
        self.letters.remove(letter)
        return letter


class MemorySecrets:
    """Keeps names and hosts; the values, which no test may see again, in a list."""

    def __init__(self) -> None:
        self.infos: dict[GuildId, dict[str, SecretInfo]] = {}
        self.values: list[str] = []

    def list(self, guild_id: GuildId) -> Sequence[SecretInfo]:
        return sorted(self.infos.get(guild_id, {}).values(), key=lambda info: info.name)

    async def put(self, guild_id: GuildId, name: str, value: str, allowed_hosts: Sequence[str]) -> SecretInfo:
        if any(" " in host for host in allowed_hosts):
            raise SecretInvalidError("it is not a host.")
        now = datetime.now(UTC)
        info = SecretInfo(name, tuple(allowed_hosts), now, now)
        self.infos.setdefault(guild_id, {})[name] = info
        self.values.append(value)
        return info

    async def delete(self, guild_id: GuildId, name: str) -> bool:
        return self.infos.get(guild_id, {}).pop(name, None) is not None

    async def rotate_key(self) -> tuple[str, int]:
        return "0123456789abcdef", sum(map(len, self.infos.values()))


@dataclass
class SettableHealth:
    checks: list[Check] = field(default_factory=lambda: [Check("postgres", True, "18.0", 0.4)])
    not_ready: str | None = None
    hang: bool = False

    async def check(self) -> Sequence[Check]:
        if self.hang:
            await trio.sleep_forever()
        return self.checks

    def ready(self) -> str | None:
        return self.not_ready


@dataclass(frozen=True)
class ActorRow:
    path: str
    kind: str = "Worker"
    state: str = "running"
    mailbox_depth: int = 2
    mailbox_capacity: int = 1024
    restarts: int = 1
    age_seconds: float = 3.5
    last_error: str | None = "ValueError: no"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that announces itself to nobody."""
    with trio.fail_after(PATIENCE):
        while not condition():
            await trio.sleep(0.01)


@dataclass
class Served:
    """A served API and what stands behind it."""

    url: str
    deployer: MemoryDeployer
    builds: MemoryBuilds
    runtime: MemoryRuntime
    dead_letters: MemoryDeadLetters
    schedules: MemorySchedules
    kv: GuildKv
    secrets: MemorySecrets
    logs: LogHub
    health: SettableHealth
    metrics: Metrics
    tokens: MemoryTokens
    sessions: MemorySessions
    discord: PaperDiscord
    audit: MemoryAudit
    people: People
    commands: dict[GuildId, bytes]
    shutdown: trio.Event
    stopped: trio.Event

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @staticmethod
    def revision(guild_id: GuildId) -> NewRevision:
        """What can be deployed to a guild."""
        return NewRevision(
            guild_id, Bundle("src/main.ts", "1", "", ()), source="cli", actor=Actor("operator")
        )

    async def browser(self, user: User) -> httpx.AsyncClient:
        """The client of a browser that is logged in, whose pages send the CSRF token."""
        session_id, _ = await self.sessions.create(
            user, self.discord.grant(user.id), self.people.login.session_ttl
        )
        cookies = self.people.cookies
        return httpx.AsyncClient(
            base_url=self.url,
            headers={CSRF_HEADER: cookies.csrf_token(session_id)},
            cookies={"flora_session": f"{session_id}.{cookies.sign(session_id)}"},
            timeout=PATIENCE,
        )

    def client(self, *, token: str | None = OPERATOR_SECRET) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=PATIENCE)


@asynccontextmanager
async def serving(
    limits: Limits | None = None,
    *,
    authenticator: Authenticator | None = None,
    metrics_open: bool = False,
    public_url: str | None = None,
) -> AsyncIterator[Served]:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            GuildKv.open(Path(folder) / "kv") as kv,
            _serving(
                kv,
                Path(folder) / "logs",
                limits,
                authenticator=authenticator,
                metrics_open=metrics_open,
                public_url=public_url,
            ) as served,
        ):
            yield served


@asynccontextmanager
async def _serving(
    kv: GuildKv,
    logs_folder: Path,
    limits: Limits | None,
    *,
    authenticator: Authenticator | None,
    metrics_open: bool,
    public_url: str | None,
) -> AsyncIterator[Served]:
    deployer, logs, health, metrics = MemoryDeployer(), LogHub(), SettableHealth(), Metrics()
    runtime, dead_letters = MemoryRuntime(deployer), MemoryDeadLetters()
    secrets = MemorySecrets()
    tokens, sessions, discord, cache = MemoryTokens(), MemorySessions(), PaperDiscord(), MemoryCache()
    discord.now = time.time()
    cookies = CookieJar(API_SECRET, secure=public_url is not None)
    login = Login(
        discord,
        sessions,
        cache,
        redirect_uri=f"{public_url or 'http://localhost:3000'}/auth/callback",
        any_loopback=public_url is None,
        session_ttl=timedelta(days=30),
    )
    identities = IdentityService(SecretStr(OPERATOR_SECRET), tokens, sessions, discord, cache, cookies)
    people = People(login, cookies, DeviceCodes(cache, tokens), identities)
    audit, commands = MemoryAudit(), dict[GuildId, bytes]()

    async def commands_of(guild_id: GuildId) -> tuple[bytes | None, bool]:
        return commands.get(guild_id), True

    async def usage(guild_id: GuildId, pid: int | None) -> Usage:
        return Usage(11_000_000 if pid else None, 0.5 if pid else None, 4_096, 2)

    schedules = MemorySchedules()
    shutdown, stopped = trio.Event(), trio.Event()
    builds = MemoryBuilds(deployer)
    services = Services(
        deployer=deployer,
        builds=builds,
        runtime=runtime,
        dead_letters=dead_letters,
        schedules=schedules,
        kv=kv,
        secrets=secrets,
        logs=GuildLogs(logs, GuildLogFiles(logs_folder, max_guild_bytes=2**20), retention_days=1),
        health=health,
        actors=lambda: [ActorRow("/flora/workers/worker-0"), ActorRow("/flora/gateway")],
        metrics=metrics,
        authenticator=authenticator or identities,
        people=people,
        tokens=tokens,
        audit=audit,
        commands=commands_of,
        usage=usage,
        quotas=Quotas(128 * 2**20, 500, 3.0, 1024, 8, 500 * 2**20, 100),
        metrics_open=metrics_open,
        shutdown=shutdown,
        limits=limits or Limits(sse_keepalive_secs=0.2),
        version="0.1.0",
    )

    async def serve(task_status: trio.TaskStatus[str]) -> None:
        await serve_api(create_app(services), ApiConfig(port=0), shutdown=shutdown, task_status=task_status)
        stopped.set()

    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve)
        yield Served(
            url=url,
            deployer=deployer,
            builds=builds,
            runtime=runtime,
            dead_letters=dead_letters,
            schedules=schedules,
            kv=kv,
            secrets=secrets,
            logs=logs,
            health=health,
            metrics=metrics,
            tokens=tokens,
            sessions=sessions,
            discord=discord,
            audit=audit,
            people=people,
            commands=commands,
            shutdown=shutdown,
            stopped=stopped,
        )
        shutdown.set()
        with trio.fail_after(PATIENCE):
            await stopped.wait()
