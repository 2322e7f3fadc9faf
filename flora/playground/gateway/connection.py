"""One gateway connection as a sans-I/O machine: frames in, frames or a close code out.

The driver (`server.py`) feeds `receive`, sends what `take` returns and closes when `closing` is set.
Source: Discord API Reference, "Gateway" and "Opcodes and Status Codes".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from flora.playground import intents, records, voice
from flora.playground.errors import DiscordError, Json
from flora.playground.gateway.hub import CloseConnectionError, Hub, InvalidSessionError
from flora.playground.gateway.session import Session

HEARTBEAT: Final = 1
IDENTIFY: Final = 2
PRESENCE_UPDATE: Final = 3
VOICE_STATE_UPDATE: Final = 4
RESUME: Final = 6
RECONNECT: Final = 7
REQUEST_GUILD_MEMBERS: Final = 8
INVALID_SESSION: Final = 9
HELLO: Final = 10
HEARTBEAT_ACK: Final = 11
REQUEST_SOUNDBOARD_SOUNDS: Final = 31

MAX_PAYLOAD: Final = 4096  # bytes of a client's frame
HEARTBEAT_GRACE: Final = 1.5  # of the interval; then the client counts as gone
MEMBERS_PER_CHUNK: Final = 1000

_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.decode


@dataclass(slots=True)
class ConnectionFaults:
    """What is broken on purpose on this connection."""

    delay: float = 0.0  # seconds before each message to the client
    duplicate: int = 0  # so many of the next dispatches are sent twice
    mute_acks: bool = False  # a zombie: heartbeats are not acknowledged
    stalled: bool = False  # nothing is sent at all


@dataclass(slots=True)
class GatewayConnection:
    """Created after the websocket handshake; `start` queues HELLO. `now` is a monotonic time in seconds."""

    hub: Hub
    wake: Callable[[], None]  # something is there to send
    session: Session | None = None
    closing: CloseConnectionError | None = None
    compress_payloads: bool = False  # asked for in identify
    faults: ConnectionFaults = field(default_factory=ConnectionFaults)
    heartbeat_deadline: float = 0.0
    drop: bool = False  # cut the TCP connection without a close frame
    in_hand: int = 0  # frames that `take` gave out and the driver has not sent yet
    _control: deque[tuple[int, bytes]] = field(default_factory=deque)  # after which dispatch, what
    _sent: int = 0  # sequence number up to which the client has everything
    _received: deque[float] = field(default_factory=deque)  # times of the client's frames

    def start(self, now: float) -> None:
        interval = self.hub.settings.heartbeat_interval
        self._beat(now)
        data = {"heartbeat_interval": int(interval * 1000), "_trace": ["flora-playground"]}
        self._put(HELLO, data)
        self.hub.strike("hello", self)

    def receive(self, message: str | bytes, now: float) -> None:
        """Handle one frame of the client; a protocol error sets `closing`."""
        if self.closing is not None:
            return
        try:
            self._handle(message, now)
        except CloseConnectionError as close:
            self.close(close.close_code, close.reason)
        except InvalidSessionError as invalid:
            self._put(INVALID_SESSION, invalid.resumable)

    def check_heartbeat(self, now: float) -> None:
        """Close with 4009 when the client has not sent a heartbeat for too long."""
        if now >= self.heartbeat_deadline:
            if self.session is not None:
                self.hub.end(self.session)
            self.close(4009, "Session timed out.")

    def take(self) -> list[bytes]:
        """The frames that the client should get now, in order."""
        control, self._control = self._control, deque()
        frames = [frame for _, frame in control]
        session = self.session
        if session is None:
            return frames
        if session.notify is not self.wake:  # another connection has resumed the session
            self.session = None
            self.close(4000, "The session went on over another connection.")
            return frames
        waiting = session.after(self._sent)
        if waiting is None:  # the client reads so slowly that events were dropped
            self.hub.end(session)
            self.close(4000, "The client is too slow.")
            return frames
        if session.seq > self._sent and self.hub.strike("dispatch", self):
            return frames
        frames.clear()
        for seq, frame in enumerate(waiting, self._sent + 1):
            while control and control[0][0] < seq:
                frames.append(control.popleft()[1])
            frames.append(frame)
            if self.faults.duplicate > 0:
                self.faults.duplicate -= 1
                frames.append(frame)
        self._sent = session.seq
        frames += [frame for _, frame in control]
        return frames

    @property
    def backlog(self) -> int:
        """Frames that wait for this client."""
        return self.in_hand + (0 if self.session is None else self.session.seq - self._sent)

    def close(self, code: int, reason: str) -> None:
        if self.closing is None:
            self.closing = CloseConnectionError(code, reason)
        self.wake()

    def ended(self, client_code: int | None) -> None:
        """The connection is over: by the client's 1000 or 1001 the session too, else it can be resumed."""
        if self.session is None or self.session.notify is not self.wake:
            return
        if client_code in (1000, 1001):
            self.hub.end(self.session)
        else:
            self.hub.lost(self.session)

    # on purpose, by the control API

    def demand_heartbeat(self) -> None:
        self._put(HEARTBEAT, None)

    def demand_reconnect(self) -> None:
        self._put(RECONNECT, None)

    def invalidate(self, resumable: bool) -> None:
        """Leave the connection without a session: the client may resume or identify, over it or anew."""
        session, self.session = self.session, None
        if session is not None and session.notify is self.wake:
            (self.hub.lost if resumable else self.hub.end)(session)
        self._put(INVALID_SESSION, resumable)

    def clear_faults(self) -> None:
        self.faults = ConnectionFaults()
        self.wake()

    # frames of the client

    def _handle(self, message: str | bytes, now: float) -> None:
        self._spend(now)
        if len(message) > MAX_PAYLOAD:
            raise CloseConnectionError(4002, "Error while decoding payload.")
        try:
            payload = _decode(message)
        except msgspec.DecodeError:
            raise CloseConnectionError(4002, "Error while decoding payload.") from None
        if not isinstance(payload, dict):
            raise CloseConnectionError(4002, "Error while decoding payload.")
        opcode, data = payload.get("op"), payload.get("d")
        if opcode == HEARTBEAT:
            self._on_heartbeat(data, now)
        elif opcode == IDENTIFY:
            self._on_identify(data)
        elif opcode == RESUME:
            self._on_resume(data)
        elif opcode not in (
            PRESENCE_UPDATE,
            VOICE_STATE_UPDATE,
            REQUEST_GUILD_MEMBERS,
            REQUEST_SOUNDBOARD_SOUNDS,
        ):
            raise CloseConnectionError(4001, "Unknown opcode.")
        elif self.session is None:
            raise CloseConnectionError(4003, "Not authenticated.")
        elif not isinstance(data, dict):
            raise CloseConnectionError(4002, "Error while decoding payload.")
        elif opcode == REQUEST_GUILD_MEMBERS:
            self._on_request_members(self.session, data)
        elif opcode == VOICE_STATE_UPDATE:
            self._on_voice(self.session, data)
        elif opcode == REQUEST_SOUNDBOARD_SOUNDS:
            self._on_request_sounds(self.session, data)
        elif opcode == PRESENCE_UPDATE:
            self.session.show(data)

    def _on_heartbeat(self, data: Any, now: float) -> None:
        if data is not None and (not isinstance(data, int) or isinstance(data, bool)):
            raise CloseConnectionError(4002, "Error while decoding payload.")
        self._beat(now)
        if not self.faults.mute_acks:
            self._put(HEARTBEAT_ACK, None)

    def _on_identify(self, data: Any) -> None:
        if self.session is not None:
            raise CloseConnectionError(4005, "Already authenticated.")
        if self.hub.strike("identify", self):
            return
        self._adopt(self.hub.identify(data), sent=0)
        self.hub.strike("ready", self)
        self.compress_payloads = isinstance(data, dict) and data.get("compress") is True

    def _on_resume(self, data: Any) -> None:
        if self.session is not None:
            raise CloseConnectionError(4005, "Already authenticated.")
        if self.hub.strike("resume", self):
            return
        session, seq = self.hub.resume(data)
        if session.notify is not None:  # its old connection is still open: the new one takes over
            session.notify()
        self._adopt(session, sent=seq)
        session.push("RESUMED", _encode({"_trace": ["flora-playground"]}))

    def _adopt(self, session: Session, *, sent: int) -> None:
        self.session = session
        self._sent = sent
        session.notify = self.wake
        self.wake()

    def _on_request_members(self, session: Session, data: Json) -> None:
        guild = self.hub.model.guilds.get(str(data.get("guild_id")))
        if guild is None or session.user.id not in guild.members:
            return
        query, wanted, limit = data.get("query"), data.get("user_ids"), data.get("limit", 0)
        missing: list[str] = []
        members = list(guild.members.values())
        if wanted is not None:
            ids = [str(each) for each in (wanted if isinstance(wanted, list) else [wanted])][:100]
            members = [guild.members[each] for each in ids if each in guild.members]
            missing = [each for each in ids if each not in guild.members]
        elif isinstance(query, str) and query:
            start = query.lower()
            members = [
                each
                for each in members
                if each.user.username.lower().startswith(start) or each.display_name.lower().startswith(start)
            ]
            members = members[: limit or 100] if isinstance(limit, int) else members[:100]
        elif not session.intents & intents.GUILD_MEMBERS:
            return
        elif isinstance(limit, int) and limit > 0:
            members = members[:limit]
        size = MEMBERS_PER_CHUNK
        chunks = [members[index : index + size] for index in range(0, len(members), size)] or [[]]
        for index, chunk in enumerate(chunks):
            body: Json = {
                "guild_id": guild.id,
                "members": [each.json() for each in chunk],
                "chunk_index": index,
                "chunk_count": len(chunks),
                "not_found": missing,
            }
            if data.get("presences") is True:
                body["presences"] = []
            if isinstance(data.get("nonce"), str) and len(data["nonce"]) <= 32:
                body["nonce"] = data["nonce"]
            session.push("GUILD_MEMBERS_CHUNK", _encode(body))

    def _on_voice(self, session: Session, data: Json) -> None:
        """Join, move or leave; what cannot be is passed over in silence, as Discord does."""
        guild = self.hub.model.guilds.get(str(data.get("guild_id")))
        if guild is None or session.user.id not in guild.members:
            return
        channel_id = data.get("channel_id")
        mute, deaf = data.get("self_mute") is True, data.get("self_deaf") is True
        with suppress(DiscordError):
            voice.connect(
                self.hub.model,
                guild,
                session.user,
                None if channel_id is None else str(channel_id),
                self_mute=mute,
                self_deaf=deaf,
            )

    def _on_request_sounds(self, session: Session, data: Json) -> None:
        ids = data.get("guild_ids")
        for guild_id in ids if isinstance(ids, list) else []:
            guild = self.hub.model.guilds.get(str(guild_id))
            if guild is not None and session.user.id in guild.members:
                sounds = list(records.things(guild, records.SOUNDS).values())
                body = {"guild_id": guild.id, "soundboard_sounds": sounds}
                session.push("SOUNDBOARD_SOUNDS", _encode(body))

    def _spend(self, now: float) -> None:
        self._received.append(now)
        while self._received[0] <= now - 60:
            self._received.popleft()
        if len(self._received) > self.hub.settings.commands_per_minute:
            raise CloseConnectionError(4008, "Rate limited.")

    def _beat(self, now: float) -> None:
        self.heartbeat_deadline = now + self.hub.settings.heartbeat_interval * HEARTBEAT_GRACE

    def _put(self, opcode: int, data: Any) -> None:
        # Everything goes out in the order in which it came to be: an acknowledgement overtakes no event.
        place = 0 if self.session is None else self.session.seq
        self._control.append((place, _encode({"t": None, "s": None, "op": opcode, "d": data})))
        self.wake()
