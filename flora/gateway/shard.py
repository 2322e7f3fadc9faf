"""One gateway shard: keeps a session connected, through every loss, until it is cancelled.

Each connection lives in a nursery of its own: one task reads and delivers, one task sends. The session
machine (`session.py`) decides; this file only moves bytes and waits.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

import structlog
import trio

from flora.gateway.compression import Compression, DecompressionError, decompressor
from flora.gateway.envelope import EnvelopeError, Op, Ready
from flora.gateway.events import GatewayEvent
from flora.gateway.identify import IdentifyGate, IdentifySlot
from flora.gateway.session import (
    CLOSE_KEEP,
    GATEWAY_VERSION,
    FatalGatewayError,
    Phase,
    ResumePoint,
    Session,
    SessionConfig,
)
from flora.net.connector import ConnectError, Connector
from flora.net.websocket import (
    WebSocket,
    WebSocketClosedError,
    WebSocketHandshakeError,
    connect,
)

log = structlog.get_logger("flora.gateway")

BACKOFF_FIRST: Final = 1.0
BACKOFF_MAX: Final = 60.0
SEND_DEADLINE: Final = 20.0
"""Seconds for one payload to leave; a socket that takes longer is dead, and is dropped with what it tore."""

LAST_WORD: Final = 1.0
"""Seconds that the reader has, after a failed send, to find the close frame that says why."""

STABLE_AFTER: Final = 30.0
"""Seconds a connection must have been ready for its loss to be followed by an attempt without delay."""

RESUME_URL_TRIES: Final = 3
"""Failed connections to the resume URL before the general one is tried, which can resume too."""


ShardPhase = Literal["connecting", "identifying", "resuming", "ready", "waiting", "stopped", "refused"]


@dataclass(frozen=True, slots=True)
class ShardState:
    """What a shard is doing, for health and metrics.

    `phase`: connecting, identifying, resuming, ready, waiting (until the next attempt), stopped (cancelled
    or crashed) or refused (FatalGatewayError). `ready` is the last READY. `latency` is the heartbeat's, in
    seconds.
    """

    phase: ShardPhase
    shard_id: int
    shard_count: int
    strikes: int = 0
    """Connections in a row that failed or ended early; they make the next attempt wait longer."""
    retry_in: float | None = None
    close_code: int | None = None
    reason: str | None = None
    ready: Ready | None = None
    latency: float | None = None
    session_id: str | None = None


class Shard:
    """Connects to the gateway and calls `deliver` for each event, in order, from the reading task.

    `deliver` and `on_state` are synchronous; an exception of theirs ends `run`. `resume` continues a session
    of an earlier process. `gate` is shared by all shards of the bot.
    """

    def __init__(
        self,
        *,
        token: str,
        gateway_url: str,
        intents: int,
        deliver: Callable[[GatewayEvent], None],
        on_state: Callable[[ShardState], None] = lambda _: None,
        shard_id: int = 0,
        shard_count: int = 1,
        resume: ResumePoint | None = None,
        presence: Mapping[str, Any] | None = None,
        compression: Compression = "zlib-stream",
        connector: Connector | None = None,
        gate: IdentifyGate | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        config = SessionConfig(token, intents, shard_id, shard_count, presence)
        self._session = Session(config, resume, jitter=jitter)
        self._gateway_url = gateway_url
        self._deliver = deliver
        self._on_state = on_state
        self._compression = compression
        self._connector = connector or Connector()
        self._gate = gate or IdentifyGate()
        self._jitter = jitter
        self._wake = trio.Event()
        self._news = trio.Event()
        self._state = ShardState("connecting", shard_id, shard_count)
        self._announced: Phase | None = None
        self._ready_since: float | None = None
        self._strikes = 0
        self._delay = 0.0
        self._log = log.bind(shard=shard_id)

    @property
    def state(self) -> ShardState:
        """The last state told, with the latency of now."""
        return replace(self._state, latency=self._session.latency)

    @property
    def session(self) -> Session:
        """The session machine, to be read: its counters and where it would resume."""
        return self._session

    @property
    def is_ready(self) -> bool:
        """Whether the session's connection is open and past its handshake."""
        return self._session.phase is Phase.READY

    def command(self, op: Op, data: Any) -> None:
        """Queue a gateway command (presence, request for members); see Session.command for its errors.

        Commands wait for the session to be ready and for the send limit. One that was sent just before the
        connection broke is not repeated.
        """
        self._session.command(op, data)
        self._wake.set()

    def use_intents(self, intents: int) -> None:
        """What the next session identifies with; the present one stays as it is."""
        self._session.use_intents(intents)

    async def caught_up(self) -> None:
        """Return when all that Discord had for this session so far has been delivered.

        Takes a round trip; while the connection is lost, until the session has been resumed. As long as that
        takes: bring a deadline.
        """
        session = self._session
        while True:
            await self.until(lambda: self.is_ready)
            beat, since = session.probe(), self._ready_since
            self._wake.set()
            await self.until(
                lambda beat=beat, since=since: (  # type: ignore[misc]
                    session.answered(beat) or not self.is_ready or self._ready_since is not since
                )
            )
            if self.is_ready and self._ready_since is since:
                return

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that is true of this shard's state or session."""
        while not condition():
            await self._news.wait()

    async def run(self) -> None:
        """Stay connected until cancelled; then close with 4000, so that the session can be resumed.

        Raises FatalGatewayError when Discord refuses this bot or its configuration.
        """
        try:
            while True:
                await self._pause()
                await self._connect_once()
        except FatalGatewayError as error:
            self._tell("refused", close_code=error.close_code, reason=str(error))
            raise
        finally:
            if self._state.phase != "refused":
                self._tell("stopped")

    async def _pause(self) -> None:
        delay = max(self._delay, self._session.not_before - trio.current_time())
        if delay > 0:
            self._tell("waiting", retry_in=delay)
            await trio.sleep(delay)

    async def _connect_once(self) -> None:
        self._tell("connecting")
        self._announced = self._ready_since = None
        url = self._url()
        try:
            if self._session.resume is None:
                async with self._gate.slot(self._state.shard_id) as slot:
                    end = await self._connection(url, slot)
            else:
                end = await self._connection(url, None)
        except (ConnectError, WebSocketHandshakeError) as error:
            end = _EndedError(None, str(error))
        self._log.info("gateway connection ended", close_code=end.close_code, reason=end.reason)
        self._state = replace(self._state, close_code=end.close_code, reason=end.reason)
        self._judge()
        self._session.lost(trio.current_time(), end.close_code)

    def _judge(self) -> None:
        """Set the delay of the next attempt: none after a stable connection, doubling after bad ones."""
        if self._ready_since is None:
            self._strikes += 1
            doublings = self._strikes - 1
        elif trio.current_time() - self._ready_since < STABLE_AFTER:
            self._strikes += 1
            doublings = self._strikes - 2  # the first one is not yet a pattern
        else:
            self._strikes = 0
            doublings = -1
        ceiling = min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** min(doublings, 10)) if doublings >= 0 else 0.0
        self._delay = ceiling * (0.5 + self._jitter() / 2)

    async def _connection(self, url: str, slot: IdentifySlot | None) -> _EndedError:
        """One websocket from open to close; says how it ended."""
        ends: list[_EndedError] = []
        async with connect(url, connector=self._connector, close_code=CLOSE_KEEP) as socket:
            self._session.connected(trio.current_time())
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send, socket, slot)
                    nursery.start_soon(self._receive, socket)
            except* _EndedError as group:
                ends = [error for error in group.exceptions if isinstance(error, _EndedError)]
            closing = self._session.closing
            if closing is not None:
                await socket.close(closing.code, closing.reason)
        # Discord's own close code tells more than what we noticed at the same moment.
        return max(ends, key=lambda end: end.close_code or 0)

    async def _receive(self, socket: WebSocket) -> None:
        feed = decompressor(self._compression).feed
        session, deliver = self._session, self._deliver
        try:
            while True:
                payload = feed(await socket.recv())
                if payload is None:
                    continue
                event = session.received(payload, trio.current_time())
                if session.phase is not self._announced:
                    self._announce()
                if event is None:
                    self._wake.set()  # hello, a heartbeat demand, an end: the sender has something to do
                    self._stir()
                else:
                    deliver(event)
        except WebSocketClosedError as error:
            raise _EndedError(error.close_code, error.reason) from None
        except (DecompressionError, EnvelopeError) as error:
            raise _EndedError(None, str(error)) from None

    async def _send(self, socket: WebSocket, slot: IdentifySlot | None) -> None:
        session = self._session
        try:
            while True:
                self._wake = trio.Event()
                while (payload := session.outgoing(trio.current_time())) is not None:
                    with trio.move_on_after(SEND_DEADLINE) as scope:
                        await socket.send(payload.decode())
                    if scope.cancelled_caught:
                        raise _EndedError(None, "a payload could not be sent")
                    if slot is not None and session.identified:
                        slot.used()
                if session.closing is not None:
                    raise _EndedError(None, session.closing.reason)
                with trio.move_on_at(session.deadline(trio.current_time())):
                    await self._wake.wait()
        except WebSocketClosedError as error:
            await trio.sleep(LAST_WORD)
            raise _EndedError(error.close_code, error.reason) from None

    def _announce(self) -> None:
        self._announced = phase = self._session.phase
        if phase is Phase.IDENTIFYING:
            self._tell("identifying")
        elif phase is Phase.RESUMING:
            self._tell("resuming")
        elif phase is Phase.READY:
            self._ready_since = trio.current_time()
            self._tell("ready", close_code=None, reason=None)
            self._wake.set()  # commands may be sent now

    def _tell(self, phase: ShardPhase, **facts: Any) -> None:
        resume = self._session.resume
        facts.setdefault("retry_in", None)
        self._state = replace(
            self._state,
            phase=phase,
            strikes=self._strikes,
            ready=self._session.ready,
            latency=self._session.latency,
            session_id=resume.session_id if resume else None,
            **facts,
        )
        self._on_state(self._state)
        self._stir()

    def _stir(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def _url(self) -> str:
        resume = self._session.resume
        base = self._gateway_url
        if resume is not None and self._strikes < RESUME_URL_TRIES and _no_downgrade(base, resume):
            base = resume.resume_gateway_url
        parts = urlsplit(base)
        query = {"v": str(GATEWAY_VERSION), "encoding": "json"}
        if self._compression != "none":
            query["compress"] = self._compression
        return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", urlencode(query), ""))


class _EndedError(Exception):
    """Carries how a connection ended out of its nursery. No `close_code`: it was we who ended it."""

    def __init__(self, close_code: int | None, reason: str) -> None:
        super().__init__(close_code, reason)
        self.close_code = close_code
        self.reason = reason


def _no_downgrade(gateway_url: str, resume: ResumePoint) -> bool:
    """The token goes to the resume URL: never without TLS where the gateway has it."""
    scheme = urlsplit(resume.resume_gateway_url).scheme
    return scheme == "wss" or (scheme == "ws" and urlsplit(gateway_url).scheme == "ws")
