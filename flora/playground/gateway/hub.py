"""Which session gets which event: identify, resume and routing, without any I/O.

Source: Discord API Reference, "Gateway", sections "Identifying", "Sharding", "Gateway Intents".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec
import structlog

from flora.errors import FloraError
from flora.playground import intents
from flora.playground import permissions as may
from flora.playground.actions.guilds import guild_create_json
from flora.playground.entities import User
from flora.playground.errors import Json
from flora.playground.gateway.session import RESUME_WINDOW, Session
from flora.playground.model import Dispatch, Model

log = structlog.get_logger("flora.playground")
_encode: Final = msgspec.json.encode

Point = Literal["hello", "identify", "ready", "resume", "dispatch"]
"""Of a connection: it opens; IDENTIFY came; READY goes out; RESUME came; an event goes out."""

IDENTIFY_BUDGET: Final = 1000  # per day
DAY: Final = 24 * 3600.0
GUILDS_PER_SHARD: Final = 2500  # above it Discord demands more shards
_WITH_CONTENT: Final = frozenset({"MESSAGE_CREATE", "MESSAGE_UPDATE"})
_CONTENT_FIELDS: Final[Json] = {"content": "", "embeds": [], "attachments": [], "components": []}


class CloseConnectionError(FloraError):
    """The protocol ends the connection with this close code."""

    code = "GATEWAY_CLOSED"

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(f"{close_code} {reason}")
        self.close_code = close_code
        self.reason = reason


class InvalidSessionError(FloraError):
    """Answered with opcode 9; `resumable` is its `d`."""

    code = "INVALID_SESSION"

    def __init__(self, resumable: bool) -> None:
        super().__init__("invalid session")
        self.resumable = resumable


@dataclass(slots=True)
class GatewaySettings:
    """What a developer may turn; all of it can be changed while the playground runs."""

    heartbeat_interval: float = 41.25  # seconds
    max_concurrency: int = 16
    identify_interval: float = 0.0  # seconds between identifies of one rate-limit key; Discord's is 5
    allowed_privileged: int = intents.PRIVILEGED
    commands_per_minute: int = 120


@dataclass(frozen=True, slots=True)
class Armed:
    """A fault that waits for the next connection to come to a point of its life."""

    at: Point
    strike: Callable[[Any], bool]  # takes the connection; True when the client gets nothing else


@dataclass(slots=True)
class Hub:
    """All sessions of the gateway, and the model's listener that feeds them."""

    model: Model
    settings: GatewaySettings = field(default_factory=GatewaySettings)
    sessions: dict[str, Session] = field(default_factory=dict)
    identifies: list[float] = field(default_factory=list)  # times within the last day
    armed: list[Armed] = field(default_factory=list)
    _last_identify: dict[int, float] = field(default_factory=dict)  # per rate-limit key

    # sessions

    def start_limit(self) -> Json:
        """`session_start_limit` of /gateway/bot."""
        now = self.model.clock.now()
        self.identifies = [each for each in self.identifies if each > now - DAY]
        reset = (self.identifies[0] + DAY - now) if self.identifies else 0
        return {
            "total": IDENTIFY_BUDGET,
            "remaining": max(0, IDENTIFY_BUDGET - len(self.identifies)),
            "reset_after": int(reset * 1000),
            "max_concurrency": self.settings.max_concurrency,
        }

    def identify(self, data: Any) -> Session:
        """A new session with READY and the guilds in it.

        Raises CloseConnectionError or InvalidSessionError.
        """
        if not isinstance(data, dict):
            raise CloseConnectionError(4002, "Error while decoding payload.")
        user = self._user(data.get("token"))
        wanted = data.get("intents")
        if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 0 or wanted & ~intents.KNOWN:
            raise CloseConnectionError(4013, "Invalid intent(s).")
        if user.bot and wanted & intents.PRIVILEGED & ~self.settings.allowed_privileged:
            raise CloseConnectionError(4014, "Disallowed intent(s).")
        shard, count = self._shard(data.get("shard"), user)
        self._spend_identify(shard)
        threshold = data.get("large_threshold")
        session = Session(
            id=self.model.tokens.next(16),
            user=user,
            token=user.token,
            intents=wanted,
            shard=shard,
            shard_count=count,
            large_threshold=threshold if isinstance(threshold, int) and 50 <= threshold <= 250 else 50,
        )
        session.show(data.get("presence"))
        self._forget_lost()
        self.sessions[session.id] = session
        self._welcome(session)
        self._changed(user)
        log.info("identified", user=user.username, shard=shard, shards=count, intents=wanted)
        return session

    def resume(self, data: Any) -> tuple[Session, int]:
        """The session to go on with and the client's last number.

        Raises CloseConnectionError or InvalidSessionError.
        """
        if not isinstance(data, dict):
            raise CloseConnectionError(4002, "Error while decoding payload.")
        user = self._user(data.get("token"))
        self._forget_lost()
        session = self.sessions.get(str(data.get("session_id")))
        seq = data.get("seq")
        if session is None or session.user.id != user.id:
            raise InvalidSessionError(resumable=False)
        if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq <= session.seq:
            self.end(session)
            raise CloseConnectionError(4007, "Invalid seq.")
        if session.after(seq) is None:
            self.end(session)
            raise InvalidSessionError(resumable=False)
        log.info("resumed", user=user.username, shard=session.shard, replayed=session.seq - seq)
        session.lost_at = None
        self._changed(user)
        return session, seq

    def lost(self, session: Session) -> None:
        """Its connection is gone; the session waits for a resume."""
        session.notify = None
        session.lost_at = self.model.clock.now()
        self._changed(session.user)

    def strike(self, at: Point, connection: Any) -> bool:
        """Carry out the first fault that waits for `at`; True when the client gets nothing else."""
        for index, armed in enumerate(self.armed):
            if armed.at == at:
                del self.armed[index]
                return armed.strike(connection)
        return False

    def end(self, session: Session) -> None:
        session.notify = None
        self.sessions.pop(session.id, None)
        self._changed(session.user)

    def _changed(self, user: User) -> None:
        """News for the page alone: who is connected."""
        self.model.emit(Dispatch("GATEWAY_UPDATE", {"user_id": user.id}, page_only=True))

    def _user(self, token: object) -> User:
        text = token.removeprefix("Bot ") if isinstance(token, str) else ""
        user = self.model.authenticate(text)
        if user is None:
            raise CloseConnectionError(4004, "Authentication failed.")
        return user

    def _shard(self, value: Any, user: User) -> tuple[int, int]:
        guilds = sum(1 for _ in self.model.guilds_of(user.id))
        if value is None:
            if guilds > GUILDS_PER_SHARD:
                raise CloseConnectionError(4011, "Sharding required.")
            return 0, 1
        match value:
            case [int(shard), int(count)] if 0 <= shard < count:
                if guilds > GUILDS_PER_SHARD * count:
                    raise CloseConnectionError(4011, "Sharding required.")
                return shard, count
            case _:
                raise CloseConnectionError(4010, "Invalid shard.")

    def _spend_identify(self, shard: int) -> None:
        now = self.model.clock.now()
        if self.start_limit()["remaining"] == 0:
            raise InvalidSessionError(resumable=False)
        key = shard % self.settings.max_concurrency
        if now - self._last_identify.get(key, -DAY) < self.settings.identify_interval:
            raise InvalidSessionError(resumable=False)
        self._last_identify[key] = now
        self.identifies.append(now)

    def _forget_lost(self) -> None:
        oldest = self.model.clock.now() - RESUME_WINDOW
        for session in list(self.sessions.values()):
            if session.lost_at is not None and session.lost_at < oldest:
                self.end(session)

    def _welcome(self, session: Session) -> None:
        user = session.user
        guilds = [each for each in self.model.guilds_of(user.id) if session.serves(each.id)]
        application = self.model.application
        ready: Json = {
            "v": 10,
            "user": {**user.private_json(), "bot": user.bot},
            "user_settings": {},
            "session_type": "normal",
            "session_id": session.id,
            "resume_gateway_url": self.model.gateway_url,
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guilds": [{"id": guild.id, "unavailable": True} for guild in guilds],
            "guild_join_requests": [],
            "geo_ordered_rtc_regions": [],
            "auth": {},
            "application": {"id": application.id, "flags": application.flags},
            "shard": [session.shard, session.shard_count],
            "_trace": ["flora-playground"],
        }
        session.push("READY", _encode(ready))
        if session.intents & intents.GUILDS:
            for guild in guilds:
                if guild.available:
                    session.push("GUILD_CREATE", _encode(self._guild_json(session, guild.id)))

    # events

    def on_dispatch(self, dispatch: Dispatch) -> None:
        """The model's listener: every session that should get the event gets it, in the model's order."""
        if dispatch.page_only:
            return
        encoded: bytes | None = None
        for session in self.sessions.values():
            if not self._wants(session, dispatch):
                continue
            if dispatch.name == "GUILD_CREATE" and dispatch.guild_id is not None:
                session.push(dispatch.name, _encode(self._guild_json(session, dispatch.guild_id)))
                continue
            if self._hides_content(session, dispatch):
                session.push(dispatch.name, _encode(dispatch.data | _CONTENT_FIELDS))
                continue
            if encoded is None:
                encoded = _encode(dispatch.data)
            session.push(dispatch.name, encoded)

    def _wants(self, session: Session, dispatch: Dispatch) -> bool:
        if not session.serves(dispatch.guild_id):
            return False
        need = intents.needed(dispatch.name, in_guild=dispatch.guild_id is not None)
        if need and not session.intents & need and not self._always(session, dispatch):
            return False
        if dispatch.only is not None:
            return session.user.id in dispatch.only
        if dispatch.guild_id is not None:
            guild = self.model.guilds.get(dispatch.guild_id)
            if guild is None or session.user.id not in guild.members:
                return False
        channel = self.model.channels.get(dispatch.channel_id or "")
        return channel is None or bool(self.model.permissions(channel, session.user.id) & may.VIEW_CHANNEL)

    def _always(self, session: Session, dispatch: Dispatch) -> bool:
        """A bot always hears about its own member, whatever its intents."""
        if dispatch.name != "GUILD_MEMBER_UPDATE":
            return False
        return bool(dispatch.data["user"]["id"] == session.user.id)

    def _hides_content(self, session: Session, dispatch: Dispatch) -> bool:
        if dispatch.name not in _WITH_CONTENT or dispatch.guild_id is None or not session.user.bot:
            return False
        if session.intents & intents.MESSAGE_CONTENT or dispatch.author_id == session.user.id:
            return False
        return all(user["id"] != session.user.id for user in dispatch.data["mentions"])

    def _guild_json(self, session: Session, guild_id: str) -> Json:
        guild = self.model.guilds[guild_id]
        with_members = bool(session.intents & intents.GUILD_PRESENCES)
        return guild_create_json(
            self.model, guild, session.user, session.large_threshold if with_members else 0
        )
