r"""The Discord gateway session, version 10, as a state machine without I/O.

The driver (`shard.py`) tells it what happened (`connected`, `received`, `lost`) and what time it is; it asks
what to send (`outgoing`), when to come back (`deadline`), and whether the connection is to be dropped
(`closing`). Everything that affects the session lives in this file.

    DOWN --connected--> HELLO --hello--> IDENTIFYING --READY------> READY
     ^                     \------------> RESUMING ----RESUMED---> READY
     |                                                              |
     +----- lost: the connection is over, for whatever reason <-----+

A session outlives its connections: it is Discord's queue of events for us, named by a session id and read
from `seq` on. It ends when Discord says so (INVALID_SESSION false, some close codes) or when we close with
1000 or 1001. Until then every new connection resumes it and Discord replays what was missed.

Source: Discord, Gateway: "Connection Lifecycle", "Preserving Sessions", "Sending Heartbeats", "Rate
Limiting"; Opcodes and Status Codes, "Gateway Close Event Codes".
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

import msgspec

from flora.errors import FloraError
from flora.gateway.envelope import (
    Envelope,
    EnvelopeError,
    Op,
    Ready,
    open_envelope,
    peek_guild_id,
    read_boolean,
    read_hello,
    read_ready,
)
from flora.gateway.events import GatewayEvent
from flora.gateway.intents import Intents, privileged_names
from flora.gateway.limits import SendLimit
from flora.ids import EventId

GATEWAY_VERSION: Final = 10

HELLO_DEADLINE: Final = 20.0
"""Seconds from the connection to HELLO; Discord sends it at once."""

READY_DEADLINE: Final = 60.0
"""Seconds without any dispatch between IDENTIFY or RESUME and its answer."""

INVALID_SESSION_PAUSE: Final = (1.0, 5.0)
"""Seconds, at random, before a new IDENTIFY (Discord, Gateway, "Invalid Session")."""

MAX_SEND: Final = 4096
"""Bytes of one payload we send; more is close code 4002."""

MAX_QUEUED: Final = 1000
"""Commands that wait for the send limit: more than eight minutes of it."""

LARGE_THRESHOLD: Final = 50
"""Members from which GUILD_CREATE leaves out those offline; the least that Discord takes."""

CLOSE_KEEP: Final = 4000
"""Our close code when the session is to be resumed; 1000 and 1001 would end it."""

CLOSE_END: Final = 1000


class Consequence(Enum):
    """What a close code of Discord's means for the session."""

    RESUME = "resume"
    RESTART = "restart"
    """The session is over: identify anew."""
    FATAL = "fatal"
    """The same would happen again: stop and tell the operator."""


@dataclass(frozen=True, slots=True)
class CloseCode:
    consequence: Consequence
    name: str
    hint: str = ""


CLOSE_CODES: Final[Mapping[int, CloseCode]] = {
    4000: CloseCode(Consequence.RESUME, "unknown error"),
    4001: CloseCode(Consequence.RESUME, "unknown opcode"),
    4002: CloseCode(Consequence.RESUME, "decode error"),
    4003: CloseCode(Consequence.RESTART, "not authenticated"),
    4004: CloseCode(
        Consequence.FATAL,
        "authentication failed",
        "Discord does not know this bot token: set DISCORD_TOKEN to the one in the developer portal.",
    ),
    4005: CloseCode(Consequence.RESUME, "already authenticated"),
    4007: CloseCode(Consequence.RESTART, "invalid seq"),
    4008: CloseCode(Consequence.RESUME, "rate limited"),
    4009: CloseCode(Consequence.RESTART, "session timed out"),
    4010: CloseCode(Consequence.FATAL, "invalid shard", "Shard id and count do not fit each other."),
    4011: CloseCode(
        Consequence.FATAL, "sharding required", "This bot is in too many guilds for so few shards: use more."
    ),
    4012: CloseCode(Consequence.FATAL, "invalid API version", "Discord has dropped v10: update flora."),
    4013: CloseCode(Consequence.FATAL, "invalid intents", "Correct discord.intents in the configuration."),
    4014: CloseCode(
        Consequence.FATAL,
        "disallowed intents",
        "Switch on the privileged intents in the developer portal under Bot, or set discord.intents without "
        "them.",
    ),
}
"""Codes that are not here (1000, 1001, 1006, new ones) resume: where that is wrong, Discord answers with
INVALID_SESSION and the session starts anew."""


class FatalGatewayError(FloraError):
    """Discord refuses this configuration; connecting again would not help. `close_code` is its reason."""

    code = "GATEWAY_REFUSED"

    def __init__(self, close_code: int, intents: int = 0) -> None:
        """`intents` are those that were asked for."""
        meaning = CLOSE_CODES[close_code]
        hint = meaning.hint
        if close_code == 4014 and (asked := privileged_names(Intents(intents))):
            hint += f" Asked for: {', '.join(asked)}."
        super().__init__(f"Discord closed the gateway for good: {meaning.name} ({close_code}).", hint=hint)
        self.close_code = close_code


class GatewayCommandError(FloraError):
    """A command for the gateway is too large, or too many wait already."""

    code = "GATEWAY_COMMAND_REFUSED"


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where to go on reading a session: everything after `seq` is replayed."""

    session_id: str
    resume_gateway_url: str
    seq: int
    intents: int = field(default=0, compare=False)
    """What the session was identified with, and so what it is sent; 0 when it is not known."""


class Phase(Enum):
    DOWN = "down"
    HELLO = "hello"
    IDENTIFYING = "identifying"
    RESUMING = "resuming"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is to be closed with `code`."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What IDENTIFY says. `token` is without "Bot"."""

    token: str = field(repr=False)
    intents: int
    shard_id: int = 0
    shard_count: int = 1
    presence: Mapping[str, Any] | None = None


_encode: Final = msgspec.json.Encoder().encode


class Session:
    """See the module. Times are seconds of one monotonic clock, the caller's."""

    def __init__(
        self,
        config: SessionConfig,
        resume: ResumePoint | None = None,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.config = config
        self.phase = Phase.DOWN
        self.closing: Close | None = None
        """Set when the driver must close the connection and then tell `lost`."""
        self.ready: Ready | None = None
        self.latency: float | None = None
        """Seconds from the last heartbeat to its acknowledgement."""
        self.duplicates = 0
        """Dispatches that came again within a session and were left out."""
        self.unroutable = 0
        """Dispatches whose guild id was unreadable."""
        self.not_before = 0.0
        """The next connection must wait until then."""
        self._resume = resume
        self._jitter = jitter
        self._limit = SendLimit()
        self._commands: deque[bytes] = deque()
        self._handshake: bytes | None = None
        self._interval = 0.0
        self._beat_at: float | None = None  # the next regular heartbeat
        self._beat_due = False
        self._beat_sent: float | None = None  # of the heartbeat that waits for its acknowledgement
        self._beats = self._acks = 0  # of this connection
        self._identified = False
        self._identified_with = 0
        self._patience = 0.0  # HELLO, READY or RESUMED must have come by then

    @property
    def resume(self) -> ResumePoint | None:
        """Where the session stands now: what a new connection would resume from; None identifies anew."""
        return self._resume

    @property
    def identified(self) -> bool:
        """True from the moment when `outgoing` gave IDENTIFY until the connection ends."""
        return self._identified

    def use_intents(self, intents: int) -> None:
        """What the next session identifies with; the present one stays as it is."""
        self.config = replace(self.config, intents=intents)

    def probe(self) -> int:
        """Send a heartbeat now; returns its number on this connection, for `answered`."""
        self._beat_due = True
        return self._beats + 1

    def answered(self, beat: int) -> bool:
        """Whether this heartbeat of the present connection was acknowledged.

        What Discord sends goes out in order, so all that it had for the session before is there then.
        """
        return self._acks >= beat

    def connected(self, now: float) -> None:
        """A websocket to the gateway is open."""
        self.phase = Phase.HELLO
        self._beats = self._acks = 0
        self.closing = None
        self._limit = SendLimit()  # it counts per connection
        self._handshake = None
        self._identified = False
        self._beat_at = self._beat_sent = None
        self._beat_due = False
        self._patience = now + HELLO_DEADLINE

    def received(self, payload: bytes, now: float) -> GatewayEvent | None:
        """Take one payload; give the event that it dispatches, if any.

        Raises EnvelopeError for what is not Discord's protocol; close the connection then.
        """
        envelope = open_envelope(payload)
        op = envelope.op
        if op == Op.DISPATCH:
            return self._dispatched(envelope, now)
        if op == Op.HEARTBEAT_ACK:
            self._acks += 1
            if self._beat_sent is not None:
                self.latency = now - self._beat_sent
                self._beat_sent = None
        elif op == Op.HEARTBEAT:
            self._beat_due = True
        elif op == Op.HELLO:
            self._hello(envelope, now)
        elif op == Op.RECONNECT:
            self._close(CLOSE_KEEP, "Discord asked for a reconnect")
        elif op == Op.INVALID_SESSION:
            if read_boolean(envelope.d):
                self._close(CLOSE_KEEP, "the session was interrupted")
            else:
                self._restart(now)
                self._close(CLOSE_END, "the session is invalid")
        return None  # what Discord may add one day must not hurt

    def lost(self, now: float, close_code: int | None = None) -> None:
        """The connection is over, with Discord's `close_code` if it sent one.

        Raises FatalGatewayError when Discord would close every other connection in the same way.
        """
        self.phase = Phase.DOWN
        self.closing = None
        self._handshake = None
        self._identified = False
        self._beat_at = None
        meaning = CLOSE_CODES.get(close_code) if close_code is not None else None
        if meaning is None or close_code is None or meaning.consequence is Consequence.RESUME:
            return
        self._restart(now)
        if meaning.consequence is Consequence.FATAL:
            raise FatalGatewayError(close_code, int(self.config.intents))

    def command(self, op: Op, data: Any) -> None:
        """Queue a command (presence, member request, ...); it is sent once the session is ready.

        Raises GatewayCommandError.
        """
        payload = _encode({"op": int(op), "d": data})
        if len(payload) > MAX_SEND:
            raise GatewayCommandError(f"a gateway command of {len(payload)} bytes; Discord takes {MAX_SEND}.")
        if len(self._commands) >= MAX_QUEUED:
            raise GatewayCommandError(f"{MAX_QUEUED} gateway commands wait already.", hint="Send fewer.")
        self._commands.append(payload)

    def outgoing(self, now: float) -> bytes | None:
        """The next payload to send now, or None.

        It counts as sent: when it cannot be sent, the connection is of no use any more.
        """
        if self.phase is Phase.DOWN or self.closing is not None or self._overdue(now):
            return None
        if self._beat_at is not None and now >= self._beat_at:
            self._beat_due = True
            self._beat_at = now + self._interval
        if self._beat_due and self._limit.ready_at(now, urgent=True) <= now:
            self._beat_due = False
            self._beats += 1
            if self._beat_sent is None:
                self._beat_sent = now
            self._limit.record(now)
            return _encode({"op": int(Op.HEARTBEAT), "d": self._resume.seq if self._resume else None})
        if self._handshake is not None:
            payload, self._handshake = self._handshake, None
            self._identified = self.phase is Phase.IDENTIFYING
        elif self._commands and self.phase is Phase.READY and self._limit.ready_at(now) <= now:
            payload = self._commands.popleft()
        else:
            return None
        self._limit.record(now)
        return payload

    def deadline(self, now: float) -> float:
        """When `outgoing` must be asked again at the latest, if nothing comes in until then."""
        times = []
        if self.phase is not Phase.DOWN and self.closing is None:
            if self._beat_at is not None:
                times.append(self._beat_at)
            if self._beat_sent is not None:
                times.append(self._beat_sent + self._interval)
            if self._beat_due:
                times.append(self._limit.ready_at(now, urgent=True))
            if self.phase is not Phase.READY:
                times.append(self._patience)
            if self._handshake is not None:
                times.append(now)
            elif self._commands and self.phase is Phase.READY:
                times.append(self._limit.ready_at(now))
        return min(times, default=float("inf"))

    def _overdue(self, now: float) -> bool:
        if self.phase is not Phase.READY and now >= self._patience:
            self._close(CLOSE_KEEP, f"no answer from the gateway ({self.phase.value})")
        elif self._beat_sent is not None and now >= self._beat_sent + self._interval:
            # A zombie: the connection looks open and carries nothing.
            self._close(CLOSE_KEEP, "a heartbeat was not acknowledged")
        return self.closing is not None

    def _hello(self, envelope: Envelope, now: float) -> None:
        self._interval = read_hello(envelope.d).heartbeat_interval / 1000
        self._beat_at = now + self._interval * self._jitter()
        if self.phase is not Phase.HELLO:
            return
        self._patience = now + READY_DEADLINE
        if self._resume is not None:
            self.phase = Phase.RESUMING
            data: dict[str, Any] = {
                "token": self.config.token,
                "session_id": self._resume.session_id,
                "seq": self._resume.seq,
            }
            self._handshake = _encode({"op": int(Op.RESUME), "d": data})
            return
        self.phase = Phase.IDENTIFYING
        self._identified_with = int(self.config.intents)
        data = {
            "token": self.config.token,
            "intents": self._identified_with,
            "properties": {"os": sys.platform, "browser": "flora", "device": "flora"},
            "compress": False,
            "large_threshold": LARGE_THRESHOLD,
            "shard": [self.config.shard_id, self.config.shard_count],
        }
        if self.config.presence is not None:
            data["presence"] = self.config.presence
        self._handshake = _encode({"op": int(Op.IDENTIFY), "d": data})

    def _dispatched(self, envelope: Envelope, now: float) -> GatewayEvent | None:
        name, seq = envelope.t, envelope.s
        if name is None or seq is None:
            self._close(CLOSE_KEEP, "a dispatch without a name or number")
            return None
        if name == "READY":
            ready = read_ready(envelope.d)
            old = self._resume
            if old is not None and old.session_id == ready.session_id and seq <= old.seq:
                self.duplicates += 1
                return None
            self.ready = ready
            self._resume = ResumePoint(ready.session_id, ready.resume_gateway_url, seq, self._identified_with)
            self.phase = Phase.READY
        else:
            resume = self._resume
            if resume is None:
                self._close(CLOSE_KEEP, "a dispatch before READY")
                return None
            if name == "RESUMED":
                self.phase = Phase.READY
            if seq <= resume.seq:
                self.duplicates += 1
                return None
            self._resume = ResumePoint(resume.session_id, resume.resume_gateway_url, seq, resume.intents)
            self._patience = now + READY_DEADLINE
        session_id = self._resume.session_id
        try:
            guild_id = peek_guild_id(name, envelope.d)
        except EnvelopeError:
            guild_id = None  # nobody can be given it; the session goes on
            self.unroutable += 1
        return GatewayEvent(
            EventId(self.config.shard_id, session_id, seq), name, guild_id, bytes(envelope.d), now
        )

    def _restart(self, now: float) -> None:
        self._resume = None
        shortest, longest = INVALID_SESSION_PAUSE
        self.not_before = now + shortest + (longest - shortest) * self._jitter()

    def _close(self, code: int, reason: str) -> None:
        if self.closing is None:
            self.closing = Close(code, reason)
