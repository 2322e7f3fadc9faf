"""The cookies of a browser session, and the token that proves a write came from one of our own pages.

`flora_session` is `{id}.{MAC}`: base64url, without padding, of HMAC-SHA256 of the id with `api.secret`, so an
id that we never gave is refused without asking the database. With https its name begins with `__Host-`
(RFC 6265bis, 4.1.3.2). The CSRF token is another MAC of the same id: who can read our pages has it, who can
only make a browser send its cookies has not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final
from urllib.parse import urlsplit

from quart import Response
from werkzeug.datastructures import Headers
from werkzeug.http import parse_cookie

from flora.storage.sessions import ID_LENGTH

SESSION_COOKIE: Final = "flora_session"
LOGIN_COOKIE: Final = "flora_login"
"""Binds a login to the browser that began it."""
LOGIN_TTL: Final = 600
CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf_token"
_LOCAL: Final = frozenset({"same-origin", "none"})


class CookieJar:
    """Signs and reads cookies. `secure` where browsers reach us by https."""

    def __init__(self, secret: str, *, secure: bool) -> None:
        self._key = secret.encode()
        self._secure = secure
        self._prefix = "__Host-" if secure else ""

    def session_id(self, headers: Headers) -> str | None:
        """The id in the session's cookie, if it is one that we gave."""
        value = self._read(headers, SESSION_COOKIE)
        session_id, _, mac = (value or "").partition(".")
        if len(session_id) != ID_LENGTH or not (session_id.isascii() and session_id.isalnum()):
            return None
        good = hmac.compare_digest(mac.encode("utf-8", "replace"), self.sign(session_id).encode())
        return session_id if good else None

    def sign(self, session_id: str) -> str:
        return _mac(self._key, session_id.encode())

    def csrf_token(self, session_id: str) -> str:
        return _mac(self._key, b"csrf " + session_id.encode())

    def csrf_matches(self, session_id: str, sent: str) -> bool:
        return hmac.compare_digest(sent.encode("utf-8", "replace"), self.csrf_token(session_id).encode())

    def login_nonce(self, headers: Headers) -> str | None:
        return self._read(headers, LOGIN_COOKIE)

    def set_session(self, response: Response, session_id: str, ttl: int) -> None:
        self._set(response, SESSION_COOKIE, f"{session_id}.{self.sign(session_id)}", ttl)

    def set_login(self, response: Response, nonce: str) -> None:
        self._set(response, LOGIN_COOKIE, nonce, LOGIN_TTL)

    def clear(self, response: Response, name: str) -> None:
        self._set(response, name, "", 0)

    def _read(self, headers: Headers, name: str) -> str | None:
        cookies = parse_cookie(headers.get("Cookie"))
        return cookies.get(f"{self._prefix}{name}")

    def _set(self, response: Response, name: str, value: str, ttl: int) -> None:
        response.set_cookie(
            f"{self._prefix}{name}",
            value,
            max_age=ttl,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="Lax",
        )


def is_cross_site(headers: Headers) -> bool:
    """Whether a browser says that another site made it send this (Fetch Metadata; RFC 6454, 7)."""
    if (site := headers.get("Sec-Fetch-Site")) is not None and site not in _LOCAL:
        return True
    origin = headers.get("Origin")
    if origin is None:
        return False
    return urlsplit(origin).netloc.lower() != headers.get("Host", "").lower()


def _mac(key: bytes, message: bytes) -> str:
    return base64.urlsafe_b64encode(hmac.new(key, message, hashlib.sha256).digest()).rstrip(b"=").decode()
