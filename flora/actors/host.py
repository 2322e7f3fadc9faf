"""What a guild process gets from flora: its ops, its log, its declarations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flora.actors.loghub import LogHub
from flora.actors.schedule.jobs import CronJob, InvalidCronError, parse_jobs
from flora.actors.script import DeployedScript
from flora.actors.switchboard import Switchboard
from flora.build.sourcemap import has_stack
from flora.config import RuntimeConfig
from flora.engine.api import LogLevel, Manifest, OpCall, OpError, ScriptFault
from flora.engine.host import Engine
from flora.engine.limits import TokenBucket
from flora.gateway.rest import DiscordRest
from flora.ids import GuildId
from flora.metrics import Metrics
from flora.ops.fetcher import Fetcher
from flora.ops.scope import ChannelScope
from flora.ops.table import OpContext, run_op
from flora.storage.kv import GuildKv
from flora.storage.secrets import SecretVault
from flora.storage.tasks import TaskStore

RUNTIME = "flora:runtime"  # the log target of what flora says about a script


@dataclass(frozen=True, slots=True)
class GuildServices:
    """The parts of the host that guild actors use; the same for all of them."""

    config: RuntimeConfig
    engine: Engine
    board: Switchboard
    logs: LogHub
    metrics: Metrics
    rest: DiscordRest
    channels: ChannelScope
    kv: GuildKv
    secrets: SecretVault
    application_id: str
    fetcher: Fetcher
    commands_declared: Callable[[GuildId, bytes | None], None]
    """Told which application commands the running script of a guild wants; never waits."""
    crons_declared: Callable[[GuildId, int, tuple[CronJob, ...] | None], None] = lambda *_: None
    """Told which cron jobs the script of a guild has in its process of this incarnation, None when it has no
    script any more; never waits.
    """
    tasks: TaskStore | None = None


CRON_CHANGES_PER_SEC: Final = 0.2
CRON_CHANGES_BURST: Final = 10.0
"""Each change is parsed and searched for its next time, which a hostile one makes last milliseconds."""
STACKS_PER_SEC: Final = 1.0
STACKS_BURST: Final = 10.0
"""Log lines whose stacks are mapped: each reads the script's source map anew, some milliseconds of a
large one."""


class ScriptHost:
    """The `GuildHost` of one process under one owner (`epoch`)."""

    __slots__ = (
        "_context",
        "_cron_changes",
        "_crons",
        "_services",
        "_stacks",
        "epoch",
        "incarnation",
        "script",
    )

    def __init__(
        self,
        services: GuildServices,
        context: OpContext,
        script: DeployedScript,
        *,
        epoch: int,
        incarnation: int,
    ) -> None:
        self._services = services
        self._context = context
        self._crons: bytes | None = None
        self._cron_changes = TokenBucket(rate=CRON_CHANGES_PER_SEC, burst=CRON_CHANGES_BURST)
        self._stacks = TokenBucket(rate=STACKS_PER_SEC, burst=STACKS_BURST)
        self.script = script
        self.epoch = epoch
        self.incarnation = incarnation

    @property
    def guild_id(self) -> GuildId:
        return self._context.guild_id

    async def op(self, call: OpCall) -> bytes:
        if not self._services.board.is_current(self.guild_id, self.epoch):
            raise OpError("this guild is owned by another worker now", code="STALE_OWNER")
        return await run_op(self._context, call)

    def log(self, level: LogLevel, text: str, event_id: str | None) -> None:
        if has_stack(text) and self._stacks.try_take():
            text = self.script.readable(text, show_internal=self._services.config.show_internal_stack_frames)
        self._services.logs.append(self.guild_id, level, text, event_id=event_id)

    def fault(self, fault: ScriptFault, origin: str) -> None:
        text = f"{origin}: {self.describe(fault)}"
        self._services.logs.append(self.guild_id, LogLevel.ERROR, text, target=RUNTIME)

    def declared(self, manifest: Manifest) -> None:
        self._services.board.declared(self.guild_id, self.incarnation, manifest)
        self._services.commands_declared(self.guild_id, manifest.commands)
        self._declare_crons(manifest.crons)

    def _declare_crons(self, declared: bytes | None) -> None:
        """What the script has changed after it loaded."""
        if declared == self._crons:
            return
        self._crons = declared
        if not self._cron_changes.try_take():
            self._warn("its cron jobs change too often; this change does not count")
            return
        try:
            jobs = parse_jobs(declared, max_jobs=self._services.config.max_cron_jobs)
        except InvalidCronError as error:
            self._warn(error.message)
        else:
            self._services.crons_declared(self.guild_id, self.incarnation, jobs)

    def _warn(self, text: str) -> None:
        self._services.logs.append(self.guild_id, LogLevel.ERROR, text, target=RUNTIME)

    def describe(self, fault: ScriptFault) -> str:
        return self.script.describe(fault, show_internal=self._services.config.show_internal_stack_frames)
