"""A program without a browser of its own gets an API token from a person with one (RFC 8628, in shape).

What `flora login` does:

1. POST /auth/device {"label": "ann's laptop", "rights": "admin", "guild_ids": null, "lifetime_days": 90}
   -> {"device_code", "user_code", "verification_uri", "verification_uri_complete", "expires_in", "interval"}
   The two URIs are absolute. `device_code` is a secret of the program's.
2. Print user_code and verification_uri, and open verification_uri_complete in a browser. The person logs in
   with Discord if need be, sees who asks for what, and allows or denies it.
3. Every `interval` seconds POST /auth/device/token {"device_code"} -> 200
       {"status": "pending"}
       {"status": "denied"}
       {"status": "granted", "token": "...", "id", "user_id", "username", "rights", "guild_ids", "expires_at"}
   The token is given once. 404 with the code DEVICE_CODE_NOT_FOUND: given already, unknown, or older than
   ten minutes. 429 with Retry-After: asked too often.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import msgspec

from flora.api.auth import Identity
from flora.api.authenticator import Tokens
from flora.errors import FloraError
from flora.ids import GuildId, Snowflake
from flora.storage.cache import Cache
from flora.storage.tokens import ApiToken, Rights

EXPIRES_IN: Final = 600
INTERVAL: Final = 2
ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""RFC 8628, 6.1: no vowels, so no words, and nothing that looks like something else."""
CODE_LENGTH: Final = 8


class DeviceCodeNotFoundError(FloraError):
    code = "DEVICE_CODE_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__(
            "there is no such request: it was answered already, or is older than ten minutes.",
            hint="Begin again with `flora login`.",
        )


class DeviceRequest(msgspec.Struct, frozen=True):
    """What a program asks for, and what became of it. `address` is where it asked from."""

    label: str
    rights: Rights
    guild_ids: list[GuildId] | None
    lifetime_days: int | None
    address: str
    status: Literal["pending", "denied", "granted"] = "pending"
    user_id: str | None = None
    username: str | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    token: ApiToken
    text: str
    username: str | None


class DeviceCodes:
    """Requests wait in the cache. Raises DatabaseError where a token is made."""

    def __init__(self, cache: Cache, tokens: Tokens) -> None:
        self._cache = cache
        self._tokens = tokens

    async def begin(self, request: DeviceRequest) -> tuple[str, str]:
        """(device code, user code)."""
        device_code = secrets.token_urlsafe(32)
        digest = _digest(device_code)
        while True:
            user_code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
            if await self._cache.add(_user_key(user_code), digest.encode(), ttl=EXPIRES_IN):
                break
        await self._cache.set(_key(digest), msgspec.json.encode(request), ttl=EXPIRES_IN)
        return device_code, f"{user_code[:4]}-{user_code[4:]}"

    async def find(self, user_code: str) -> DeviceRequest:
        """What waits for an answer under this code. Raises DeviceCodeNotFoundError."""
        digest = await self._cache.get(_user_key(_plain(user_code)))
        found = None if digest is None else await self._cache.get(_key(digest.decode()))
        if found is None:
            raise DeviceCodeNotFoundError
        return msgspec.json.decode(found, type=DeviceRequest)

    async def decide(self, user_code: str, person: Identity, *, allow: bool) -> DeviceRequest:
        """Answer, once. Raises DeviceCodeNotFoundError."""
        digest = await self._cache.take(_user_key(_plain(user_code)))
        found = None if digest is None else await self._cache.get(_key(digest.decode()))
        if digest is None or found is None:
            raise DeviceCodeNotFoundError
        request = msgspec.structs.replace(
            msgspec.json.decode(found, type=DeviceRequest),
            status="granted" if allow else "denied",
            user_id=person.user_id,
            username=person.username,
        )
        await self._cache.set(_key(digest.decode()), msgspec.json.encode(request), ttl=EXPIRES_IN)
        return request

    async def poll(self, device_code: str) -> Granted | Literal["pending", "denied"]:
        """Raises DeviceCodeNotFoundError, TokenLimitError."""
        key = _key(_digest(device_code))
        found = await self._cache.get(key)
        if found is None:
            raise DeviceCodeNotFoundError
        if msgspec.json.decode(found, type=DeviceRequest).status == "pending":
            return "pending"
        # Of many that ask at once, one is told.
        if (found := await self._cache.take(key)) is None:
            raise DeviceCodeNotFoundError
        request = msgspec.json.decode(found, type=DeviceRequest)
        if request.status == "denied" or request.user_id is None:
            return "denied"
        token, text = await self._tokens.create(
            Snowflake(request.user_id),
            label=request.label,
            rights=request.rights,
            guild_ids=request.guild_ids,
            lifetime=None if request.lifetime_days is None else timedelta(days=request.lifetime_days),
        )
        return Granted(token, text, request.username)


def _plain(user_code: str) -> str:
    return "".join(char for char in user_code.upper() if char in ALPHABET)[: CODE_LENGTH + 1]


def _digest(device_code: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(device_code.encode()).digest()).decode()


def _key(digest: str) -> str:
    return f"device:{digest}"


def _user_key(user_code: str) -> str:
    return f"device:user:{user_code}"
