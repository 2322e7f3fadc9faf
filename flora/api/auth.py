"""Who calls, and what they may do: the interface that every route is declared with.

    @blueprint.post("/deployments/<guild_id>/pause")
    @answers(GuildModel, fails=[409])
    @requires(Permission.GUILD_DEPLOY)          # the right, for the guild in the path
    async def pause(guild_id: GuildId) -> GuildModel: ...

Every route names its right with `requires`, or says `public`; `create_app` refuses one that says neither, and
`tests/api/matrix.py` holds a line for each. A route whose guild stands in the body calls `authorize_guild`; a
list of many guilds keeps those of `visible_guilds`. What is not GET, HEAD or OPTIONS is a write: it is
counted against the caller's rate limit, needs a CSRF token when the caller is a browser session, and is
entered in the audit log.

Three kinds of identity: the operator (its secret as a bearer token), an API token, a browser session.
`flora/api/authenticator.py` knows them.
"""

from __future__ import annotations

import enum
import functools
import hmac
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import trio
from pydantic import SecretStr
from quart import g, request
from werkzeug.datastructures import Headers

from flora.api.cookies import CSRF_FIELD, CSRF_HEADER
from flora.errors import FloraError
from flora.ids import GuildId, parse_guild_id
from flora.storage.deployments import Actor
from flora.storage.tokens import ApiToken

if TYPE_CHECKING:
    from flora.storage.sessions import Session

ACCESS_ATTRIBUTE: Final = "_flora_access"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

View = Callable[..., Awaitable[Any]]


class UnauthorizedError(FloraError):
    """Nobody, or somebody with a token or a session that is not known."""

    code = "UNAUTHORIZED"


class ForbiddenError(FloraError):
    """Somebody, but not with this right."""

    code = "FORBIDDEN"


class Permission(enum.Enum):
    """What a route asks for. The guild permissions are asked for one guild; each includes the one before."""

    IDENTIFIED = "identified"
    """Anybody that is known. What they see is then theirs to see."""
    PERSON = "person"
    """Whoever may hand out rights: a browser session or the operator, but no API token."""
    GUILD_READ = "guild:read"
    GUILD_DEPLOY = "guild:deploy"
    """Change what a guild runs, and its data."""
    GUILD_ADMIN = "guild:admin"
    """Its secrets and its audit log."""
    OPERATE = "operate"


GUILD_PERMISSIONS: Final = (Permission.GUILD_READ, Permission.GUILD_DEPLOY, Permission.GUILD_ADMIN)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls. `kind` is also what a revision's history shows as the kind of its actor.

    `user_id` is the Discord user behind a session or token; the operator has none, nor has a token that the
    operator made.
    """

    kind: Literal["operator", "token", "session"]
    user_id: str | None = None
    username: str | None = None
    token: ApiToken | None = None
    session: Session | None = None

    @property
    def key(self) -> str:
        """Names the caller for rate limits and the audit log."""
        match self.kind:
            case "operator":
                return "operator"
            case "token":
                return f"token:{self.token.id if self.token else ''}"
            case "session":
                return f"user:{self.user_id}"


class Authenticator(Protocol):
    async def identify(self, headers: Headers) -> Identity:
        """Who sent these headers. Raises UnauthorizedError, DatabaseError."""

    async def authorize(self, identity: Identity, permission: Permission, guild_id: GuildId | None) -> None:
        """Raises ForbiddenError when `identity` may not do this (to this guild), DiscordUnavailableError when
        Discord cannot be asked.
        """

    async def visible(self, identity: Identity, guild_ids: Iterable[GuildId]) -> list[GuildId]:
        """Those of `guild_ids` that `identity` may read, in their order."""

    async def reach(self, identity: Identity) -> Collection[GuildId] | None:
        """The guilds beside which `identity` can see none, where these are known; whether it may read each
        of them is for `visible` to say. None: it may be any.
        """

    def check_write(self, identity: Identity, headers: Headers, csrf_token: str) -> None:
        """Raises ForbiddenError for a browser's write that did not come from one of our own pages."""


class OperatorOnly:
    """Knows one identity: whoever sends the operator's secret as a bearer token. It may do everything."""

    def __init__(self, secret: SecretStr) -> None:
        self._secret = secret.get_secret_value().encode()

    def is_operator(self, text: str) -> bool:
        # In constant time: how long the comparison takes says nothing about the secret.
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._secret)

    async def identify(self, headers: Headers) -> Identity:
        if not self.is_operator(bearer_token(headers)):
            raise UnauthorizedError("the bearer token is not valid.")
        return Identity("operator")

    async def authorize(self, identity: Identity, permission: Permission, guild_id: GuildId | None) -> None:
        if identity.kind != "operator":
            raise ForbiddenError(f"this needs the permission {permission.value}.")

    async def visible(self, identity: Identity, guild_ids: Iterable[GuildId]) -> list[GuildId]:
        return list(guild_ids)

    async def reach(self, identity: Identity) -> Collection[GuildId] | None:
        return None

    def check_write(self, identity: Identity, headers: Headers, csrf_token: str) -> None:
        return None


def bearer_token(headers: Headers) -> str:
    """The token of the Authorization header (RFC 6750, 2.1). Raises UnauthorizedError when there is none."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthorizedError(
            "this needs a login, or a bearer token: send the header Authorization: Bearer <token>."
        )
    return token.strip()


def requires(permission: Permission) -> Callable[[View], View]:
    """The route needs `permission`; for the guild in its path, when it has one.

    Runs before the request's body is read.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            authenticator: Authenticator = g.services.authenticator
            await identify_caller()
            writes = request.method not in SAFE_METHODS
            if writes:
                g.guard.count_write(g.identity)
                authenticator.check_write(g.identity, request.headers, await _csrf_token())
                g.audited = True
            guild_id: GuildId | None = None
            if "guild_id" in kwargs:
                kwargs["guild_id"] = guild_id = parse_guild_id(kwargs["guild_id"])
                g.guild_id = guild_id
            if guild_id is not None or permission not in GUILD_PERMISSIONS:
                await authenticator.authorize(g.identity, permission, guild_id)
            try:
                return await view(*args, **kwargs)
            except trio.Cancelled:
                if writes:  # it may go on behind the request, so it is entered all the same
                    g.guard.note_abandoned()
                raise

        setattr(guarded, ACCESS_ATTRIBUTE, permission)
        return guarded

    return decorate


async def _csrf_token() -> str:
    """From the header, or from the form that a page of ours posts."""
    if (sent := request.headers.get(CSRF_HEADER)) is not None:
        return sent
    if request.path.startswith("/auth/") and request.mimetype == "application/x-www-form-urlencoded":
        return str((await request.form).get(CSRF_FIELD, ""))
    return ""


def public(view: View) -> View:
    """The route answers anybody."""
    setattr(view, ACCESS_ATTRIBUTE, "public")
    return view


async def identify_caller() -> Identity:
    """The caller, also kept as `g.identity`. Raises UnauthorizedError, TooManyRequestsError."""
    g.guard.before_identification()
    try:
        identity: Identity = await g.services.authenticator.identify(request.headers)
    except UnauthorizedError:
        g.guard.count_stranger()
        raise
    g.identity = identity
    return identity


async def authorize_guild(permission: Permission, guild_id: GuildId) -> Identity:
    """The caller, who may do this to this guild. Raises ForbiddenError."""
    identity: Identity = g.identity
    g.guild_id = guild_id
    await g.services.authenticator.authorize(identity, permission, guild_id)
    return identity


def standing() -> Callable[[], Awaitable[bool]]:
    """Whether the caller may still read the guild of this request, or operate where it has none; to be asked
    while it is answered.

    Its token may have been revoked, its session ended, its rights on Discord taken away. Where that cannot be
    known, because the database or Discord is away, what was known before counts.
    """
    authenticator: Authenticator = g.services.authenticator
    headers, guild_id = request.headers, g.get("guild_id")
    permission = Permission.OPERATE if guild_id is None else Permission.GUILD_READ

    async def may_still() -> bool:
        try:
            identity = await authenticator.identify(headers)
            await authenticator.authorize(identity, permission, guild_id)
        except (UnauthorizedError, ForbiddenError):
            return False
        except FloraError:
            return True
        return True

    return may_still


def author(identity: Identity) -> Actor:
    """The caller, as the author of a change."""
    return Actor(identity.kind, identity.user_id, identity.username)


async def visible_guilds(guild_ids: Iterable[GuildId]) -> list[GuildId]:
    """Those of `guild_ids` that the caller may read, in their order."""
    visible: list[GuildId] = await g.services.authenticator.visible(g.identity, guild_ids)
    return visible
