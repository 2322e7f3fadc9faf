"""Browser sessions: who logged in with Discord, and what Discord gave us for them.

A session's id is 24 letters and digits (142 bits); the cookie carries it with a MAC, the database its hash.
Discord's tokens are encrypted with a key derived from `api.secret`, bound to the session that they belong to.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError
from nacl.utils import random as random_bytes

from flora.storage.postgres import Database
from flora.storage.texts import no_nul
from flora.storage.tokens import random_text

if TYPE_CHECKING:
    import asyncpg

    from flora.storage.postgres import Connection

ID_LENGTH: Final = 24
MAX_SESSIONS: Final = 20
"""Of one user: browsers that stay logged in. The oldest end when there are more."""
NONCE_BYTES: Final = 24
MAX_NAME: Final = 100


class DiscordTokens(msgspec.Struct, frozen=True):
    """What the token endpoint answered. `expires_at` is unix time in seconds."""

    access_token: str
    refresh_token: str | None
    expires_at: float

    def __repr__(self) -> str:
        return "<DiscordTokens>"


@dataclass(frozen=True, slots=True)
class User:
    """A Discord user, as `/users/@me` tells."""

    id: str
    username: str
    global_name: str | None = None
    avatar: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """`sha256` is of the id, which nobody but the browser keeps."""

    sha256: bytes
    user: User
    created_at: datetime
    expires_at: datetime


class SessionStore:
    """The one place where sessions are written. Errors: those of `Database.run`."""

    def __init__(
        self, db: Database, secret: str, *, make_id: Callable[[], str] = lambda: random_text(ID_LENGTH)
    ) -> None:
        self._db = db
        self._key = hmac.new(secret.encode(), b"flora sessions: discord tokens v1", hashlib.sha256).digest()
        self._make_id = make_id

    async def create(self, user: User, tokens: DiscordTokens, lifetime: timedelta) -> tuple[str, Session]:
        """A new session and its id, which is returned here and never again."""
        session_id = self._make_id()
        digest = hash_id(session_id)

        async def unit(con: Connection) -> asyncpg.Record | None:
            await con.execute(
                """delete from sessions where user_id = $1 and sha256 not in (
                       select sha256 from sessions where user_id = $1
                       order by created_at desc limit $2)""",
                user.id,
                MAX_SESSIONS - 1,
            )
            return await con.fetchrow(
                """insert into sessions (sha256, user_id, username, global_name, avatar, discord, expires_at)
                   values ($1, $2, $3, $4, $5, $6, now() + $7::interval) returning *""",
                digest,
                user.id,
                no_nul(user.username)[:MAX_NAME],
                no_nul(user.global_name)[:MAX_NAME] if user.global_name else None,
                no_nul(user.avatar)[:MAX_NAME] if user.avatar else None,
                self._seal(digest, tokens),
                lifetime,
            )

        row = await self._db.transact(unit)
        assert row is not None, "an insert returns its row"
        return session_id, _session(row)

    async def find(self, session_id: str) -> Session | None:
        """The session with this id, unless it has expired."""
        digest = hash_id(session_id)

        async def unit(con: Connection) -> asyncpg.Record | None:
            return await con.fetchrow(
                """select sha256, user_id, username, global_name, avatar, created_at, expires_at
                   from sessions where sha256 = $1 and expires_at > now()""",
                digest,
            )

        row = await self._db.run(unit, idempotent=True)
        return _session(row) if row else None

    async def tokens(self, sha256: bytes) -> DiscordTokens | None:
        """What Discord gave for this session; None when the session is gone, or `api.secret` is another."""

        async def unit(con: Connection) -> asyncpg.Record | None:
            return await con.fetchrow("select discord from sessions where sha256 = $1", sha256)

        row = await self._db.run(unit, idempotent=True)
        return None if row is None else self._open(sha256, bytes(row["discord"]))

    async def renew(self, sha256: bytes, tokens: DiscordTokens) -> None:
        """Discord gave new ones."""

        async def unit(con: Connection) -> None:
            await con.execute(
                "update sessions set discord = $2 where sha256 = $1", sha256, self._seal(sha256, tokens)
            )

        await self._db.run(unit, idempotent=True)

    async def end(self, sha256: bytes) -> None:
        """To do it twice is no error."""

        async def unit(con: Connection) -> None:
            await con.execute("delete from sessions where sha256 = $1", sha256)

        await self._db.run(unit, idempotent=True)

    async def end_all(self, user_id: str) -> int:
        """End every session of a user; how many there were."""

        async def unit(con: Connection) -> str:
            return await con.execute("delete from sessions where user_id = $1", user_id)

        return int((await self._db.run(unit, idempotent=True)).removeprefix("DELETE "))

    async def sweep(self) -> int:
        """Remove what has expired; how many there were."""

        async def unit(con: Connection) -> str:
            return await con.execute("delete from sessions where expires_at < now()")

        return int((await self._db.run(unit, idempotent=True)).removeprefix("DELETE "))

    def _seal(self, digest: bytes, tokens: DiscordTokens) -> bytes:
        nonce = random_bytes(NONCE_BYTES)
        return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(
            msgspec.json.encode(tokens), digest, nonce, self._key
        )

    def _open(self, digest: bytes, sealed: bytes) -> DiscordTokens | None:
        try:
            plain = crypto_aead_xchacha20poly1305_ietf_decrypt(
                sealed[NONCE_BYTES:], digest, sealed[:NONCE_BYTES], self._key
            )
        except (CryptoError, ValueError):
            return None
        return msgspec.json.decode(plain, type=DiscordTokens)


def hash_id(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()


def _session(row: asyncpg.Record) -> Session:
    user = User(row["user_id"], row["username"], row["global_name"], row["avatar"])
    return Session(bytes(row["sha256"]), user, row["created_at"], row["expires_at"])
