"""People on Discord: OAuth2 with their own tokens, and guild membership as the bot sees it.

Source: Discord, "OAuth2" (authorization code grant, revocation), "Get Current User", "Get Current User
Guilds", "Get Guild Member"; RFC 6749, 7009 and 7636.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar
from urllib.parse import urlencode

import msgspec
from pydantic import SecretStr

from flora.api.accounts import (
    DiscordUnavailableError,
    LoginNotConfiguredError,
    LoginRefusedError,
    UserGuild,
    may_manage,
)
from flora.errors import FloraError
from flora.gateway.errors import DiscordHttpError
from flora.gateway.guilds import GuildCache
from flora.gateway.permissions import base_permissions
from flora.gateway.rest import DiscordRest
from flora.gateway.routes import Route
from flora.ids import GuildId
from flora.net.http import HttpClient, HttpError, HttpResponse
from flora.storage.sessions import DiscordTokens, User

SCOPE: Final = "identify guilds"
DEADLINE: Final = 8.0
"""Seconds for one call with a person's token."""
_VERSION: Final = re.compile(r"/api(?:/v\d+)?/?$")

T = TypeVar("T")


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: float
    refresh_token: str | None = None


class _User(msgspec.Struct):
    id: str
    username: str
    global_name: str | None = None
    avatar: str | None = None


class _Guild(msgspec.Struct):
    id: str
    name: str
    icon: str | None = None
    owner: bool = False
    permissions: str = "0"


class _Member(msgspec.Struct):
    roles: list[str]


class _Role(msgspec.Struct):
    id: str
    permissions: str


class _GuildInfo(msgspec.Struct):
    owner_id: str
    roles: list[_Role]


class DiscordAccounts:
    """`Accounts` on the real Discord or a playground. `client_secret` None: nobody can log in."""

    def __init__(
        self,
        http: HttpClient,
        rest: DiscordRest,
        guilds: GuildCache,
        *,
        api_url: str,
        client_id: str,
        client_secret: SecretStr | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._rest = rest
        self._guilds = guilds
        self._api_url = api_url.rstrip("/")
        self._authorize = f"{_VERSION.sub('', self._api_url)}/oauth2/authorize"
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock

    # ------------------------------------------------------------------ OAuth2

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        if self._client_secret is None:
            raise LoginNotConfiguredError
        query = {
            "client_id": self._client_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": SCOPE,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "prompt": "consent",
        }
        return f"{self._authorize}?{urlencode(query)}"

    async def exchange(self, code: str, *, verifier: str, redirect_uri: str) -> DiscordTokens:
        return await self._grant(
            grant_type="authorization_code", code=code, code_verifier=verifier, redirect_uri=redirect_uri
        )

    async def refresh(self, tokens: DiscordTokens) -> DiscordTokens:
        if tokens.refresh_token is None:
            raise LoginRefusedError("Discord gave no token to renew this login with.")
        return await self._grant(grant_type="refresh_token", refresh_token=tokens.refresh_token)

    async def revoke(self, tokens: DiscordTokens) -> None:
        await self._post_form("/oauth2/token/revoke", token=tokens.access_token)

    async def _grant(self, **form: str) -> DiscordTokens:
        response = await self._post_form("/oauth2/token", **form)
        if response.status in (400, 401, 403):
            raise LoginRefusedError("Discord refused the login.", hint="Try to log in again.")
        grant = _read(response, _Grant)
        return DiscordTokens(
            grant.access_token,
            grant.refresh_token or form.get("refresh_token"),
            self._clock() + grant.expires_in,
        )

    async def _post_form(self, path: str, **form: str) -> HttpResponse:
        if self._client_secret is None:
            raise LoginNotConfiguredError
        form |= {"client_id": self._client_id, "client_secret": self._client_secret.get_secret_value()}
        headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
        return await self._call("POST", path, headers, urlencode(form).encode())

    async def user(self, tokens: DiscordTokens) -> User:
        found = await self._get("/users/@me", tokens, _User)
        return User(found.id, found.username, found.global_name, found.avatar)

    async def guilds(self, tokens: DiscordTokens) -> Sequence[UserGuild]:
        # A user is in at most 200 guilds, which is one page.
        found = await self._get("/users/@me/guilds", tokens, list[_Guild])
        return [
            UserGuild(GuildId(guild.id), guild.name, guild.icon, guild.owner, _bits(guild.permissions))
            for guild in found
        ]

    async def _get(self, path: str, tokens: DiscordTokens, kind: type[T]) -> T:
        headers = [("Authorization", f"Bearer {tokens.access_token}"), ("Accept", "application/json")]
        response = await self._call("GET", path, headers)
        if response.status in (401, 403):
            raise LoginRefusedError("Discord has ended this login.")
        return _read(response, kind)

    async def _call(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b""
    ) -> HttpResponse:
        headers = [*headers, ("User-Agent", "DiscordBot (flora)")]
        try:
            return await self._http.request(
                method, f"{self._api_url}{path}", headers=headers, body=body, deadline=DEADLINE
            )
        except HttpError as error:
            raise DiscordUnavailableError("Discord does not answer.", hint="Try again.") from error

    # ------------------------------------------------------------------ as the bot sees it

    async def manages(self, user_id: str, guild_id: GuildId) -> bool:
        member = await self._ask(
            Route("GET", "/guilds/{guild_id}/members/{user_id}", guild_id=guild_id, user_id=user_id), _Member
        )
        if member is None:
            return False
        snapshot = self._guilds.snapshot(guild_id)
        if snapshot is not None:
            owner_id = str(snapshot.owner_id)
            roles = {str(role.id): role.permissions for role in snapshot.roles}
        else:
            info = await self._ask(Route("GET", "/guilds/{guild_id}", guild_id=guild_id), _GuildInfo)
            if info is None:
                return False
            owner_id = info.owner_id
            roles = {role.id: _bits(role.permissions) for role in info.roles}
        held = [roles.get(role, 0) for role in member.roles]
        return may_manage(base_permissions(roles.get(guild_id, 0), held, owner=owner_id == user_id))

    async def bot_is_in(self, guild_id: GuildId) -> bool:
        if self._guilds.snapshot(guild_id) is not None:
            return True
        return await self._ask(Route("GET", "/guilds/{guild_id}", guild_id=guild_id), _GuildInfo) is not None

    def changes(self, guild_id: GuildId) -> int:
        return self._guilds.changes(guild_id)

    async def _ask(self, route: Route, kind: type[T]) -> T | None:
        """What the bot is told; None for what it may not see or what is not there."""
        try:
            response = await self._rest.request(route)
            return msgspec.json.decode(response.body, type=kind)
        except DiscordHttpError as error:
            if error.status in (403, 404):
                return None
            raise DiscordUnavailableError("Discord does not answer.", hint="Try again.") from error
        except (FloraError, msgspec.DecodeError) as error:
            raise DiscordUnavailableError("Discord does not answer.", hint="Try again.") from error


def _read(response: HttpResponse, kind: type[T]) -> T:
    if response.status == 200:
        try:
            return msgspec.json.decode(response.body, type=kind)
        except msgspec.DecodeError:
            pass
    raise DiscordUnavailableError(
        f"Discord answered with status {response.status}, which says nothing.", hint="Try again."
    )


def _bits(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
