"""People, their tokens and sessions, kept in memory; and a Discord on paper that says who may manage what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import urlencode

from flora.api.accounts import DiscordUnavailableError, LoginRefusedError, UserGuild
from flora.ids import GuildId, Snowflake
from flora.storage.audit import AuditEntry, AuditPage, NewAuditEntry
from flora.storage.cursors import before
from flora.storage.sessions import ID_LENGTH, DiscordTokens, Session, User, hash_id
from flora.storage.tokens import (
    ID_LENGTH as TOKEN_ID_LENGTH,
)
from flora.storage.tokens import (
    MAX_TOKENS,
    SECRET_LENGTH,
    ApiToken,
    Rights,
    TokenLimitError,
    random_text,
)

ANN = User("300000000000000001", "ann", "Ann")
BOB = User("300000000000000002", "bob")
ADMINISTRATOR, MANAGE_GUILD, SEND_MESSAGES = 1 << 3, 1 << 5, 1 << 11


class MemoryTokens:
    def __init__(self) -> None:
        self.rows: dict[str, ApiToken] = {}

    async def create(
        self,
        user_id: Snowflake,
        *,
        label: str = "",
        rights: Rights = "admin",
        guild_ids: Sequence[GuildId] | None = None,
        lifetime: timedelta | None = None,
    ) -> tuple[ApiToken, str]:
        if len(await self.list(user_id)) >= MAX_TOKENS:
            raise TokenLimitError("there are too many tokens already.")
        now = datetime.now(UTC)
        text = f"{random_text(TOKEN_ID_LENGTH)}.{random_text(SECRET_LENGTH)}"
        ends = None if lifetime is None else now + lifetime
        scope = None if guild_ids is None else tuple(guild_ids)
        token = ApiToken(text[:TOKEN_ID_LENGTH], user_id, label, rights, scope, now, ends, None)
        self.rows[text] = token
        return token, text

    async def verify(self, text: str) -> ApiToken | None:
        token = self.rows.get(text)
        expired = token is not None and token.expires_at is not None and token.expires_at < datetime.now(UTC)
        return None if expired else token

    async def list(self, user_id: Snowflake) -> list[ApiToken]:
        return [token for token in reversed(self.rows.values()) if token.user_id == user_id]

    async def revoke(self, user_id: Snowflake, token_id: str) -> bool:
        for text, token in self.rows.items():
            if (token.user_id, token.id) == (user_id, token_id):
                del self.rows[text]
                return True
        return False


class MemorySessions:
    def __init__(self) -> None:
        self.rows: dict[bytes, tuple[Session, DiscordTokens]] = {}

    async def create(self, user: User, tokens: DiscordTokens, lifetime: timedelta) -> tuple[str, Session]:
        session_id = random_text(ID_LENGTH)
        now = datetime.now(UTC)
        session = Session(hash_id(session_id), user, now, now + lifetime)
        self.rows[session.sha256] = (session, tokens)
        return session_id, session

    async def find(self, session_id: str) -> Session | None:
        found = self.rows.get(hash_id(session_id))
        return None if found is None else found[0]

    async def tokens(self, sha256: bytes) -> DiscordTokens | None:
        found = self.rows.get(sha256)
        return None if found is None else found[1]

    async def renew(self, sha256: bytes, tokens: DiscordTokens) -> None:
        self.rows[sha256] = (self.rows[sha256][0], tokens)

    async def end(self, sha256: bytes) -> None:
        self.rows.pop(sha256, None)

    async def end_all(self, user_id: str) -> int:
        ended = [key for key, (session, _) in self.rows.items() if session.user.id == user_id]
        for key in ended:
            del self.rows[key]
        return len(ended)


class MemoryAudit:
    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    async def record(self, entry: NewAuditEntry) -> None:
        self.note(entry)

    def note(self, entry: NewAuditEntry) -> None:
        fields = {name: getattr(entry, name) for name in NewAuditEntry.__slots__}
        self.entries.append(AuditEntry(id=len(self.entries) + 1, at=datetime.now(UTC), **fields))

    async def page(
        self, *, guild_id: GuildId | None, user_id: str | None, limit: int, cursor: str | None
    ) -> AuditPage:
        start = before(cursor)
        wanted = [
            entry
            for entry in reversed(self.entries)
            if (guild_id is None or entry.guild_id == guild_id)
            and (user_id is None or entry.user_id == user_id)
            and entry.id < start
        ]
        page = wanted[:limit]
        return AuditPage(tuple(page), str(page[-1].id) if len(wanted) > limit else None)


@dataclass
class PaperDiscord:
    """`permissions` of users in guilds. Codes and tokens of logins are the user's id with a number."""

    users: dict[str, User] = field(default_factory=lambda: {user.id: user for user in (ANN, BOB)})
    permissions: dict[tuple[str, GuildId], int] = field(default_factory=dict)
    bot_in: set[GuildId] = field(default_factory=set)
    change: int = 0
    asked: int = 0
    lifetime: float = 604_800.0
    away: bool = False
    revoked: set[str] = field(default_factory=set)
    refreshed: int = 0
    now: float = 1_000_000.0
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        query = {"state": state, "code_challenge": challenge, "redirect_uri": redirect_uri}
        return f"https://discord.test/oauth2/authorize?{urlencode(query)}"

    def grant(self, user_id: str) -> DiscordTokens:
        number = next(self._numbers)
        return DiscordTokens(
            f"access-{user_id}-{number}", f"refresh-{user_id}-{number}", self.now + self.lifetime
        )

    async def exchange(self, code: str, *, verifier: str, redirect_uri: str) -> DiscordTokens:
        self._look()
        if code.removeprefix("code-") not in self.users:
            raise LoginRefusedError("Discord refused the login.")
        return self.grant(code.removeprefix("code-"))

    async def refresh(self, tokens: DiscordTokens) -> DiscordTokens:
        self._look()
        self.refreshed += 1
        return self.grant(self._user(tokens.refresh_token or ""))

    async def revoke(self, tokens: DiscordTokens) -> None:
        self._look()
        self.revoked.add(tokens.access_token)

    async def user(self, tokens: DiscordTokens) -> User:
        return self.users[self._user(tokens.access_token)]

    async def guilds(self, tokens: DiscordTokens) -> Sequence[UserGuild]:
        self._look()
        user_id = self._user(tokens.access_token)
        return [
            UserGuild(guild_id, f"guild {guild_id}", None, False, bits)
            for (member, guild_id), bits in self.permissions.items()
            if member == user_id
        ]

    async def manages(self, user_id: str, guild_id: GuildId) -> bool:
        self._look()
        return bool(self.permissions.get((user_id, guild_id), 0) & (ADMINISTRATOR | MANAGE_GUILD))

    async def bot_is_in(self, guild_id: GuildId) -> bool:
        self._look()
        return guild_id in self.bot_in

    def changes(self, guild_id: GuildId) -> int:
        return self.change

    def _user(self, token: str) -> str:
        if token in self.revoked:
            raise LoginRefusedError("Discord has ended this login.")
        return token.split("-")[1]

    def _look(self) -> None:
        self.asked += 1
        if self.away:
            raise DiscordUnavailableError("Discord does not answer.")
