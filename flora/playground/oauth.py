"""OAuth2 of the playground: authorization codes, access and refresh tokens, without I/O.

One confidential client, the playground's application. A code lives a minute and works once; using it again
revokes what it brought. A refresh token is replaced by each refresh. Everything is forgotten with the
playground. Where it is kinder than Discord: a registered redirect URI of this machine matches under each of
its names and on every port (after RFC 8252, section 7.3), because flora's own API may listen on any.

Source: Discord, "OAuth2"; RFC 6749 (framework), 6750 (bearer tokens), 7009 (revocation), 7636 (PKCE).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from flora.playground.entities import Application, User
from flora.playground.errors import OAuthError
from flora.playground.loopback import is_loopback_host
from flora.playground.snowflake import Clock, Tokens

CODE_LIFETIME: Final = 60.0  # seconds
TOKEN_LIFETIME: Final = 604_800  # seconds: a week, as Discord's
SCOPES: Final = {
    "identify": "your name and picture, without your e-mail address",
    "email": "your e-mail address",
    "guilds": "which servers you are in, and what you may do there",
    "guilds.members.read": "your nickname and roles in those servers",
    "connections": "your connections to other services",
    "applications.commands.permissions.update": "who may use the bot's commands in servers that you manage",
}
# Which scope opens which route to a person's token; every other route is closed to it. None: any scope.
_ROUTES: Final = (
    ("GET", re.compile(r"/users/@me"), "identify"),
    ("GET", re.compile(r"/users/@me/guilds"), "guilds"),
    ("GET", re.compile(r"/users/@me/guilds/\d+/member"), "guilds.members.read"),
    ("GET", re.compile(r"/users/@me/connections"), "connections"),
    ("GET", re.compile(r"/oauth2/@me"), None),
    (
        "GET PUT",
        re.compile(r"/applications/\d+/guilds/\d+/commands(/\d+)?/permissions"),
        "applications.commands.permissions.update",
    ),
)
_VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")  # RFC 7636, section 4.1
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9\-_]{43}")  # of SHA-256, without padding


class AuthorizeError(Exception):
    """A request for authorization that cannot be shown; `redirect` is where its client hears of it.

    None: client or redirect URI are wrong themselves, so only the person is told (RFC 6749, 4.1.2.1).
    """

    def __init__(self, message: str, redirect: str | None = None) -> None:
        super().__init__(message)
        self.redirect = redirect


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client asks a person for, checked."""

    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    challenge: str | None
    prompt: str

    def back(self, **answer: str) -> str:
        """The client's redirect URI with the answer and the state."""
        return _with_query(self.redirect_uri, answer, self.state)


@dataclass(slots=True, eq=False)
class Grant:
    """What one person allowed, and every token that came of it."""

    user: User
    scopes: tuple[str, ...]
    revoked: bool = False


@dataclass(slots=True)
class _Code:
    grant: Grant
    redirect_uri: str
    challenge: str | None
    expires: float
    used: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """A person's access token: who they are and what the application may ask in their name."""

    grant: Grant
    expires: float

    @property
    def user(self) -> User:
        return self.grant.user

    @property
    def scopes(self) -> tuple[str, ...]:
        return self.grant.scopes


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """The body of a successful token request."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    scope: str


@dataclass(slots=True)
class OAuth:
    """Codes and tokens of one application."""

    application: Application
    clock: Clock
    tokens: Tokens = field(default_factory=Tokens)
    _codes: dict[str, _Code] = field(default_factory=dict)
    _access: dict[str, Access] = field(default_factory=dict)
    _refresh: dict[str, Grant] = field(default_factory=dict)

    def read_request(self, query: Mapping[str, str]) -> AuthorizationRequest:
        """Check the query of the authorize page. Raises AuthorizeError."""
        if query.get("client_id") != self.application.id:
            raise AuthorizeError("Unknown Application")
        registered = self.application.redirect_uris
        uri = query.get("redirect_uri") or (registered[0] if len(registered) == 1 else "")
        if not any(_same_redirect(uri, each) for each in registered):
            raise AuthorizeError("Invalid OAuth2 redirect_uri")
        state = query.get("state")

        def refuse(error: str, description: str) -> AuthorizeError:
            answer = {"error": error, "error_description": description}
            return AuthorizeError(description, _with_query(uri, answer, state))

        if query.get("response_type") != "code":
            raise refuse("unsupported_response_type", "The authorization server supports response_type=code.")
        scopes = tuple(dict.fromkeys(query.get("scope", "").split()))
        if not scopes or any(each not in SCOPES for each in scopes):
            raise refuse("invalid_scope", "The requested scope is invalid, unknown, or malformed.")
        challenge = query.get("code_challenge")
        if challenge is not None and query.get("code_challenge_method") != "S256":
            raise refuse("invalid_request", "code_challenge_method must be S256.")
        if challenge is not None and not _CHALLENGE.fullmatch(challenge):
            raise refuse("invalid_request", "code_challenge is not of S256.")
        prompt = query.get("prompt", "consent")
        if prompt not in ("consent", "none"):
            raise refuse("invalid_request", "prompt must be consent or none.")
        return AuthorizationRequest(uri, scopes, state, challenge, prompt)

    def has_allowed(self, user: User, scopes: tuple[str, ...]) -> bool:
        """Whether this person has already granted all of it, so that `prompt=none` needs no page."""
        grants = [*self._refresh.values(), *(each.grant for each in self._access.values())]
        return any(
            each.user is user and not each.revoked and set(scopes) <= set(each.scopes) for each in grants
        )

    def allow(self, request: AuthorizationRequest, user: User) -> str:
        """The redirect with a fresh code."""
        self._forget_expired()
        code = self.tokens.next(24)
        expires = self.clock.now() + CODE_LIFETIME
        grant = Grant(user, request.scopes)
        self._codes[code] = _Code(grant, request.redirect_uri, request.challenge, expires)
        return request.back(code=code)

    def deny(self, request: AuthorizationRequest) -> str:
        return request.back(
            error="access_denied",
            error_description="The resource owner or authorization server denied the request",
        )

    def check_client(self, form: Mapping[str, str], authorization: str | None) -> None:
        """Authenticate the client by HTTP Basic or by the body. Raises OAuthError `invalid_client`."""
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if authorization is not None:
            client_id, secret = _basic(authorization)
        known = hmac.compare_digest(client_id.encode(), self.application.id.encode())
        if not (known and hmac.compare_digest(secret.encode(), self.application.client_secret.encode())):
            raise OAuthError(401, "invalid_client")

    def exchange(self, form: Mapping[str, str]) -> TokenAnswer:
        """Answer a token request of the authenticated client. Raises OAuthError."""
        match form.get("grant_type"):
            case None:
                raise OAuthError(400, "invalid_request", "grant_type is required.")
            case "authorization_code":
                return self._issue(self._redeem(form))
            case "refresh_token":
                return self._issue(self._renew(form))
            case other:
                raise OAuthError(400, "unsupported_grant_type", f"Grant type {other[:64]} is not supported")

    def revoke(self, token: str) -> None:
        """End the whole authorization that an access or refresh token is of; an unknown token is no error."""
        access = self._access.get(token)
        grant = access.grant if access is not None else self._refresh.get(token)
        if grant is not None:
            self._end(grant)

    def authenticate(self, token: str) -> Access | None:
        """Whose access token it is, while it is valid."""
        access = self._access.get(token)
        return access if access is not None and access.expires > self.clock.now() else None

    def _redeem(self, form: Mapping[str, str]) -> Grant:
        code = self._codes.get(form.get("code", ""))
        if code is None or code.expires <= self.clock.now():
            raise OAuthError(400, "invalid_grant", 'Invalid "code" in request.')
        if code.used:
            self._end(code.grant)
            raise OAuthError(400, "invalid_grant", 'Invalid "code" in request.')
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthError(400, "invalid_grant", 'Invalid "redirect_uri" in request.')
        if code.challenge is not None and not _proves(form.get("code_verifier", ""), code.challenge):
            raise OAuthError(400, "invalid_grant", 'Invalid "code_verifier" in request.')
        code.used = True
        return code.grant

    def _renew(self, form: Mapping[str, str]) -> Grant:
        grant = self._refresh.pop(form.get("refresh_token", ""), None)
        if grant is None:
            raise OAuthError(400, "invalid_grant", 'Invalid "refresh_token" in request.')
        return grant

    def _issue(self, grant: Grant) -> TokenAnswer:
        access, refresh = self.tokens.next(32), self.tokens.next(32)
        self._access[access] = Access(grant, self.clock.now() + TOKEN_LIFETIME)
        self._refresh[refresh] = grant
        return TokenAnswer(access, "Bearer", TOKEN_LIFETIME, refresh, " ".join(grant.scopes))

    def _end(self, grant: Grant) -> None:
        grant.revoked = True
        self._access = {key: each for key, each in self._access.items() if each.grant is not grant}
        self._refresh = {key: each for key, each in self._refresh.items() if each is not grant}

    def _forget_expired(self) -> None:
        now = self.clock.now()
        self._codes = {key: each for key, each in self._codes.items() if each.expires > now}
        self._access = {key: each for key, each in self._access.items() if each.expires > now}


def may_ask(scopes: tuple[str, ...], method: str, path: str) -> bool:
    """Whether a token with these scopes opens the route (`path` below /api/v10)."""
    return any(
        method in methods.split() and route.fullmatch(path) and (scope is None or scope in scopes)
        for methods, route, scope in _ROUTES
    )


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise OAuthError(401, "invalid_client")
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        raise OAuthError(401, "invalid_client") from None
    return client_id, secret


def _proves(verifier: str, challenge: str) -> bool:
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode()).digest()
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)


def _same_redirect(uri: str, registered: str) -> bool:
    if uri == registered:
        return bool(uri)
    try:
        given, known = urlsplit(uri), urlsplit(registered)
    except ValueError:
        return False
    if given.scheme != "http" or "@" in given.netloc:
        return False
    on_this_machine = is_loopback_host(given.netloc) and is_loopback_host(known.netloc)
    return on_this_machine and given._replace(netloc="") == known._replace(netloc="")


def _with_query(uri: str, answer: Mapping[str, str], state: str | None) -> str:
    parts = urlsplit(uri)
    added = urlencode({**answer, **({} if state is None else {"state": state})})
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit(parts._replace(query=query))
