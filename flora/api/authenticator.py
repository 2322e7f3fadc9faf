"""Tells identities apart and asks what they may do: operator, API tokens, browser sessions.

A session may do what its user may do on Discord: manage the guild (ADMINISTRATOR, MANAGE_GUILD or owner), as
Discord tells with the user's own token. An API token may do what its user may do, as the bot sees it, and no
more than its own scope; one that the operator made is bound by its scope alone. In both cases the bot has to
be in the guild. What Discord said counts for PERMISSION_TTL seconds, and no longer than until roles or owner
of the guild change.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import timedelta
from typing import Final, Protocol

import msgspec
import structlog
import trio
from pydantic import SecretStr
from werkzeug.datastructures import Headers

from flora.api.accounts import Accounts, LoginRefusedError, UserGuild
from flora.api.auth import (
    GUILD_PERMISSIONS,
    ForbiddenError,
    Identity,
    OperatorOnly,
    Permission,
    UnauthorizedError,
    bearer_token,
)
from flora.api.cookies import CSRF_HEADER, CookieJar, is_cross_site
from flora.errors import FloraError
from flora.ids import GuildId, Snowflake
from flora.storage.cache import Cache
from flora.storage.sessions import DiscordTokens, Session, User
from flora.storage.tokens import ApiToken, Rights

log = structlog.get_logger("flora.auth")

PERMISSION_TTL: Final = 30.0
OPERATOR_OWNER: Final = "operator"
"""The user of API tokens that the operator made."""
REFRESH_EARLY: Final = 60.0
"""Discord's access token is renewed when it has less than these seconds left."""
CHECKS_AT_ONCE: Final = 10
"""Guilds that Discord is asked about side by side for one list."""

RIGHTS_FOR: Final[dict[Permission, Rights]] = {
    Permission.GUILD_READ: "read",
    Permission.GUILD_DEPLOY: "deploy",
    Permission.GUILD_ADMIN: "admin",
}


class Tokens(Protocol):
    """`flora.storage.tokens.TokenStore`."""

    async def create(
        self,
        user_id: Snowflake,
        *,
        label: str = ...,
        rights: Rights = ...,
        guild_ids: Sequence[GuildId] | None = ...,
        lifetime: timedelta | None = ...,
    ) -> tuple[ApiToken, str]: ...

    async def verify(self, text: str) -> ApiToken | None: ...

    async def list(self, user_id: Snowflake) -> list[ApiToken]: ...

    async def revoke(self, user_id: Snowflake, token_id: str) -> bool: ...


class Sessions(Protocol):
    """`flora.storage.sessions.SessionStore`."""

    async def create(self, user: User, tokens: DiscordTokens, lifetime: timedelta) -> tuple[str, Session]: ...

    async def find(self, session_id: str) -> Session | None: ...

    async def tokens(self, sha256: bytes) -> DiscordTokens | None: ...

    async def renew(self, sha256: bytes, tokens: DiscordTokens) -> None: ...

    async def end(self, sha256: bytes) -> None: ...

    async def end_all(self, user_id: str) -> int: ...


class IdentityService:
    """The `Authenticator` of a running flora. Raises DatabaseError and DiscordUnavailableError throughout."""

    def __init__(
        self,
        operator_secret: SecretStr,
        tokens: Tokens,
        sessions: Sessions,
        accounts: Accounts,
        cache: Cache,
        cookies: CookieJar,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._operator = OperatorOnly(operator_secret)
        self._tokens = tokens
        self._sessions = sessions
        self._accounts = accounts
        self._cache = cache
        self._cookies = cookies
        self._clock = clock
        self._renewing: dict[bytes, trio.Lock] = {}

    # ------------------------------------------------------------------ who

    async def identify(self, headers: Headers) -> Identity:
        """A bearer token when there is one, else the session's cookie."""
        if "Authorization" in headers:
            return await self._bearer(bearer_token(headers))
        session_id = self._cookies.session_id(headers)
        session = None if session_id is None else await self._sessions.find(session_id)
        if session is None:
            bearer_token(headers)  # says what is missing
            raise UnauthorizedError("the session has ended.", hint="Log in again at /auth/login.")
        return Identity("session", session.user.id, session.user.username, session=session)

    async def _bearer(self, text: str) -> Identity:
        if self._operator.is_operator(text):
            return Identity("operator")
        token = await self._tokens.verify(text)
        if token is None:
            raise UnauthorizedError("the bearer token is not valid, or has expired.")
        return Identity("token", None if token.user_id == OPERATOR_OWNER else token.user_id, token=token)

    def check_write(self, identity: Identity, headers: Headers, csrf_token: str) -> None:
        if identity.kind != "session":
            return
        session_id = self._cookies.session_id(headers)
        if session_id is None or is_cross_site(headers):
            raise ForbiddenError("this came from another site.")
        if not self._cookies.csrf_matches(session_id, csrf_token):
            raise ForbiddenError(
                f"this needs the header {CSRF_HEADER}.", hint="GET /auth/me gives its value as csrf_token."
            )

    # ------------------------------------------------------------------ what

    async def authorize(self, identity: Identity, permission: Permission, guild_id: GuildId | None) -> None:
        if identity.kind == "operator" or permission is Permission.IDENTIFIED:
            return
        if permission is Permission.PERSON:
            if identity.kind == "token":
                raise ForbiddenError("an API token cannot do this.", hint="Log in, or ask the operator.")
            return
        if permission not in GUILD_PERMISSIONS:
            raise ForbiddenError("only the operator may do this.")
        if guild_id is None:
            raise ForbiddenError(f"this needs the permission {permission.value} for one guild.")
        if not self._in_scope(identity, permission, guild_id):
            raise ForbiddenError(f"this token's scope does not cover {permission.value} for this guild.")
        if not await self._manages(identity, guild_id):
            raise ForbiddenError(
                f"you may not manage guild {guild_id}, or the bot is not in it.",
                hint="It takes Discord's permission Manage Server or Administrator.",
            )

    async def visible(self, identity: Identity, guild_ids: Iterable[GuildId]) -> list[GuildId]:
        wanted = list(guild_ids)
        if identity.kind == "operator":
            return wanted
        candidates = [each for each in wanted if self._in_scope(identity, Permission.GUILD_READ, each)]
        if identity.session is not None:
            theirs = {guild.id for guild in await self.guilds_of(identity.session) if guild.manages}
            candidates = [each for each in candidates if each in theirs]
        found: set[GuildId] = set()
        failures: list[FloraError] = []
        limiter = trio.CapacityLimiter(CHECKS_AT_ONCE)

        async def check(guild_id: GuildId) -> None:
            async with limiter:
                try:
                    if not failures and await self._manages(identity, guild_id):
                        found.add(guild_id)
                except FloraError as error:
                    failures.append(error)

        async with trio.open_nursery() as nursery:
            for guild_id in candidates:
                nursery.start_soon(check, guild_id)
        if failures:
            raise failures[0]
        return [each for each in candidates if each in found]

    async def reach(self, identity: Identity) -> Collection[GuildId] | None:
        if identity.session is not None:
            return [guild.id for guild in await self.guilds_of(identity.session) if guild.manages]
        return None if identity.token is None else identity.token.guild_ids

    def _in_scope(self, identity: Identity, permission: Permission, guild_id: GuildId) -> bool:
        return identity.token is None or identity.token.allows(RIGHTS_FOR[permission], guild_id)

    async def _manages(self, identity: Identity, guild_id: GuildId) -> bool:
        token, session = identity.token, identity.session
        if token is not None and token.user_id == OPERATOR_OWNER:
            return True
        if session is not None:
            theirs = await self.guilds_of(session, guild_id)
            if not any(guild.id == guild_id and guild.manages for guild in theirs):
                return False
            return await self._remembered(
                f"flora:bot_in:{guild_id}", lambda: self._accounts.bot_is_in(guild_id)
            )
        user_id = identity.user_id
        if user_id is None:
            return False
        changes = self._accounts.changes(guild_id)
        return await self._remembered(
            f"flora:manages:{user_id}:{guild_id}:{changes}",
            lambda: self._accounts.manages(user_id, guild_id),
        )

    async def _remembered(self, key: str, ask: Callable[[], Awaitable[bool]]) -> bool:
        if (known := await self._cache.get(key)) is not None:
            return known == b"1"
        answer = await ask()
        await self._cache.set(key, b"1" if answer else b"0", ttl=PERMISSION_TTL)
        return answer

    # ------------------------------------------------------------------ a user's guilds

    async def guilds_of(self, session: Session, about: GuildId | None = None) -> Sequence[UserGuild]:
        """The guilds of the session's user; asked again when `about` has changed meanwhile.

        Raises UnauthorizedError when Discord does not take the session's tokens any more; it is ended then.
        """
        changes = 0 if about is None else self._accounts.changes(about)
        key = guilds_key(session.user.id)
        if (known := await self._cache.get(key)) is not None:
            remembered = msgspec.json.decode(known, type=_UserGuilds)
            if about is None or remembered.changes.get(about, changes) == changes:
                return remembered.guilds
        try:
            guilds = await self._accounts.guilds(await self._usable(session))
        except LoginRefusedError as error:
            await self._sessions.end(session.sha256)
            raise UnauthorizedError("Discord has ended this login.", hint="Log in again.") from error
        seen = {guild.id: self._accounts.changes(guild.id) for guild in guilds if guild.manages}
        await self._cache.set(key, msgspec.json.encode(_UserGuilds(list(guilds), seen)), ttl=PERMISSION_TTL)
        return guilds

    async def _usable(self, session: Session) -> DiscordTokens:
        """Discord's tokens of a session, renewed when they are about to expire. Raises LoginRefusedError."""
        async with self._renewing.setdefault(session.sha256, trio.Lock()):
            try:
                tokens = await self._sessions.tokens(session.sha256)
                if tokens is None:
                    raise LoginRefusedError("the session has ended.")
                if tokens.expires_at - self._clock() > REFRESH_EARLY:
                    return tokens
                # Shielded: Discord has replaced the refresh token once it answers, so the new one is kept.
                with trio.CancelScope(shield=True):
                    fresh = await self._accounts.refresh(tokens)
                    await self._sessions.renew(session.sha256, fresh)
                return fresh
            finally:
                if not self._renewing[session.sha256].statistics().tasks_waiting:
                    del self._renewing[session.sha256]

    async def end(self, session: Session, *, everywhere: bool = False) -> int:
        """Log out: here at once, at Discord if it answers. Returns how many sessions have ended."""
        tokens = await self._sessions.tokens(session.sha256)
        if everywhere:
            ended = await self._sessions.end_all(session.user.id)
        else:
            await self._sessions.end(session.sha256)
            ended = 1
        await self._cache.delete(guilds_key(session.user.id))
        if tokens is not None:
            try:
                await self._accounts.revoke(tokens)
            except FloraError as error:
                log.warning("discord token not revoked", error=str(error))
        return ended


class _UserGuilds(msgspec.Struct, frozen=True):
    guilds: list[UserGuild]
    changes: dict[GuildId, int]


def guilds_key(user_id: str) -> str:
    return f"oauth:user_guilds:{user_id}"
