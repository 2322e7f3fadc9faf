"""Login with Discord: the authorization code grant with state and PKCE (RFC 6749, 4.1; RFC 7636).

    begin   state and verifier are remembered for ten minutes; the browser gets a nonce as a cookie
    finish  the state works once, and only in the browser that began; the code becomes a session

`next`, where the browser goes afterwards, is a path of ours and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec

from flora.api.accounts import Accounts
from flora.api.authenticator import Sessions
from flora.api.cookies import LOGIN_TTL
from flora.errors import FloraError
from flora.storage.cache import Cache
from flora.storage.sessions import Session

CALLBACK: Final = "/auth/callback"
MAX_NEXT: Final = 2_000
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_LOOPBACK: Final = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_FORBIDDEN_IN_PATH: Final = re.compile(r"[\x00-\x20\x7f\\]")


class LoginFailedError(FloraError):
    """The callback does not belong to a login that this browser began here, or is too late."""

    code = "LOGIN_FAILED"


class LoginDeniedError(FloraError):
    """The person said no."""

    code = "LOGIN_DENIED"


class _Pending(msgspec.Struct):
    verifier: str
    next: str
    nonce: str  # hashed
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Begun:
    """`url` is Discord's page, `nonce` the browser's cookie."""

    url: str
    nonce: str


class Login:
    """Logins of one flora. `any_loopback`: the playground takes every address of this machine for a redirect,
    so a browser comes back to the one that it used.
    """

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        cache: Cache,
        *,
        redirect_uri: str,
        any_loopback: bool,
        session_ttl: timedelta,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._cache = cache
        self._redirect_uri = redirect_uri
        self._any_loopback = any_loopback
        self.session_ttl = session_ttl

    @property
    def secure(self) -> bool:
        """Whether browsers reach us by https."""
        return self._redirect_uri.startswith("https://")

    def base(self, host: str) -> str:
        """The URL under which a browser that asked for `host` should log in; without a slash at its end."""
        if self._any_loopback and _LOOPBACK.fullmatch(host):
            return f"http://{host}"
        return self._redirect_uri.removesuffix(CALLBACK)

    def is_elsewhere(self, host: str) -> bool:
        """A cookie for `host` would not be there when Discord sends the browser back."""
        return urlsplit(self.base(host)).netloc.lower() != host.lower()

    async def begin(self, next_path: str, nonce: str | None, host: str) -> Begun:
        """Raises LoginNotConfiguredError. `nonce` is that of a login that this browser began before: two tabs
        may log in side by side.
        """
        if nonce is None or not _NONCE.fullmatch(nonce):
            nonce = secrets.token_urlsafe(32)
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        redirect_uri = f"{self.base(host)}{CALLBACK}" if self._any_loopback else self._redirect_uri
        url = self._accounts.authorize_url(
            state=state, challenge=_base64url(verifier.encode()), redirect_uri=redirect_uri
        )
        pending = _Pending(verifier, safe_path(next_path), _base64url(nonce.encode()), redirect_uri)
        await self._cache.set(_key(state), msgspec.json.encode(pending), ttl=LOGIN_TTL)
        return Begun(url, nonce)

    async def finish(self, code: str, state: str, nonce: str | None) -> tuple[str, Session, str]:
        """(session id, session, where to go). Raises LoginFailedError, LoginRefusedError,
        DiscordUnavailableError, DatabaseError.
        """
        pending = await self._take(state, nonce)
        tokens = await self._accounts.exchange(
            code, verifier=pending.verifier, redirect_uri=pending.redirect_uri
        )
        user = await self._accounts.user(tokens)
        session_id, session = await self._sessions.create(user, tokens, self.session_ttl)
        return session_id, session, pending.next

    async def deny(self, state: str, nonce: str | None) -> None:
        """Discord says that the person said no. Raises LoginDeniedError, LoginFailedError."""
        await self._take(state, nonce)
        raise LoginDeniedError("you did not log in.", hint="Nothing was changed; /auth/login begins again.")

    async def _take(self, state: str, nonce: str | None) -> _Pending:
        found = await self._cache.take(_key(state[:100]))
        if found is not None:
            pending = msgspec.json.decode(found, type=_Pending)
            if hmac.compare_digest(pending.nonce, _base64url((nonce or "").encode())):
                return pending
        raise LoginFailedError(
            "this login was begun in another browser, has been used, or is older than ten minutes.",
            hint="Begin again at /auth/login.",
        )


def safe_path(text: str) -> str:
    r"""`text` when it is a path here, else "/": no scheme, no other host, nothing that a browser reads as
    one (`//host`, `/\host`, control characters; WHATWG URL, 4.4), and no way around in a circle.
    """
    if not text.startswith("/") or text.startswith("//") or len(text) > MAX_NEXT or not text.isascii():
        return "/"
    if _FORBIDDEN_IN_PATH.search(text) or text.startswith(("/auth/login", "/auth/callback")):
        return "/"
    return text


def _key(state: str) -> str:
    return f"oauth:state:{state}"


def _base64url(data: bytes) -> str:
    """Of the SHA-256 of `data`, without padding (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
