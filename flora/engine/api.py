"""What the rest of flora sees of a guild process: values, errors, and what it must offer in return.

The engine knows no Discord: it runs a script, hands it named events as JSON bytes, and passes the
script's host calls ("ops"), log lines and declarations to a `GuildHost`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flora.errors import FloraError
from flora.ids import GuildId


@dataclass(frozen=True, slots=True)
class Script:
    """A bundle as the engine loads it. `name` appears in stack traces; `code` is JavaScript."""

    name: str
    code: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a script declared while it loaded.

    `listens` are the Discord dispatch names (`MESSAGE_CREATE`) with at least one handler; with a `prefix` it
    wants only those messages of people that begin with it. `commands` is the JSON text of the application
    commands it wants registered, None when it declared none; `crons` that of its cron jobs.
    """

    listens: frozenset[str]
    commands: bytes | None = None
    crons: bytes | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One event for a script. `payload` is JSON text, UTF-8, handed through unparsed.

    `event_id` and `attempt` (1 for the first) are shown to the script as `ctx.event`.
    `wall_secs` is the deadline of this event; 0 means none.
    """

    name: str
    payload: bytes
    event_id: str
    attempt: int = 1
    wall_secs: float = 3.0


@dataclass(frozen=True, slots=True)
class OpCall:
    """A script asks the host for something. `args` is JSON text, UTF-8, untrusted.

    `event_id` names the event whose handler asked, None outside one; `call_index` counts the ops of
    that event from 0, so that (guild, event_id, call_index) is the same when an event is replayed.
    """

    name: str
    args: bytes
    event_id: str | None
    call_index: int


class LogLevel(enum.StrEnum):
    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ScriptFault:
    """A JavaScript error as the script threw it. `stack` is raw, with positions in the bundle."""

    name: str
    message: str
    stack: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


class OpError(FloraError):
    """An op failed; becomes a typed JavaScript error: class `name`, `code`, and the fields of `extra`.

    `name` is one of DiscordHttpError, RateLimitedError, ScopeForbiddenError, InvalidInputError,
    KvError, UnknownOpError, Error.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str = "Error",
        code: str = "ERROR",
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.error_code = code
        self.extra = dict(extra or {})


class GuildHost(Protocol):
    """What a guild process needs of its owner. Replaced as a whole when the guild moves (`attach`)."""

    async def op(self, call: OpCall) -> bytes:
        """Carry out one op and return its result as JSON text. Raises OpError. May be cancelled."""

    def log(self, level: LogLevel, text: str, event_id: str | None) -> None:
        """A line of the script's console. Never blocks."""

    def fault(self, fault: ScriptFault, origin: str) -> None:
        """An error outside any dispatch: unhandled rejection, timer callback. Never blocks."""

    def declared(self, manifest: Manifest) -> None:
        """The script changed what it listens to after it loaded. Never blocks."""


class ExitKind(enum.StrEnum):
    """How a guild process ended."""

    STOPPED = "stopped"  # we asked it to
    KILLED = "killed"  # we killed it for a reason (`ExitReport.reason`)
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class ExitReport:
    kind: ExitKind
    reason: str
    status: int | None = None  # as os.waitstatus_to_exitcode: negative is a signal


class EngineError(FloraError):
    code = "ENGINE_ERROR"


class EngineUnavailableError(EngineError):
    """No guild process can be started right now (fork server down, out of processes)."""

    code = "ENGINE_UNAVAILABLE"


class ScriptLoadError(EngineError):
    """The script threw while it loaded, did not parse, is too large, or took too long."""

    code = "SCRIPT_LOAD_FAILED"

    def __init__(self, fault: ScriptFault) -> None:
        super().__init__(f"{fault.name}: {fault.message}")
        self.fault = fault


class HandlerError(EngineError):
    """A handler threw. The process goes on."""

    code = "HANDLER_FAILED"

    def __init__(self, fault: ScriptFault) -> None:
        super().__init__(f"{fault.name}: {fault.message}")
        self.fault = fault


class DispatchTimeoutError(EngineError):
    """The event ran past its wall or CPU limit (`limit` is "wall" or "cpu"). The process goes on."""

    code = "DISPATCH_TIMEOUT"

    def __init__(self, message: str, *, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class ProcessDiedError(EngineError):
    """The guild process ended while it was needed."""

    code = "GUILD_PROCESS_DIED"

    def __init__(self, report: ExitReport) -> None:
        super().__init__(f"the guild process ended: {report.reason}")
        self.report = report


@dataclass(frozen=True, slots=True)
class Idleness:
    """What a guild process has before it: pending timers, seconds to the next one, ops under way."""

    timers: int
    next_timer_secs: float | None
    ops: int
    dispatches: int


class GuildProcess(Protocol):
    """One sealed process that runs one guild's script. Owned by the engine, used by the guild's actor."""

    @property
    def guild_id(self) -> GuildId: ...

    @property
    def pid(self) -> int: ...

    @property
    def exit_report(self) -> ExitReport | None:
        """None while it runs."""

    def attach(self, host: GuildHost) -> None:
        """Direct everything the script asks from now on to `host`; ops under way go on and are answered."""

    async def load(self, script: Script, *, timeout_secs: float) -> Manifest:
        """Run the script's top level, once. Raises ScriptLoadError, ProcessDiedError."""

    async def dispatch(self, dispatch: Dispatch) -> None:
        """Run the handlers of one event to their end; several may be in flight, started in call order.

        Raises HandlerError, DispatchTimeoutError, ProcessDiedError. When cancelled, the event is abandoned
        in the script as if its deadline had passed.
        """

    async def wait(self) -> ExitReport:
        """Until the process has ended."""

    async def idleness(self, *, timeout_secs: float = 1.0) -> Idleness | None:
        """What is pending in it; None when it does not say so in time. Raises ProcessDiedError."""

    def kill(self, reason: str) -> None:
        """SIGKILL now. Returns at once; idempotent."""

    async def stop(self, *, grace_secs: float = 1.0) -> ExitReport:
        """Ask it to end, kill it when `grace_secs` have passed; returns when it is gone."""
