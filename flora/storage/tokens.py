"""API tokens: made once, shown once, kept as a hash.

A token is `{id}.{secret}`, 12 and 32 letters and digits. The secret half has 190 bits, so a plain SHA-256 of
the whole is as good as a slow hash would be for a password, and it can be looked up by an index. Found by
its hash, a token's comparison leaks nothing that helps to guess another.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from flora.errors import FloraError
from flora.ids import GuildId, Snowflake
from flora.storage.postgres import Database
from flora.storage.texts import no_nul

if TYPE_CHECKING:
    import asyncpg

    from flora.storage.postgres import Connection

Rights = Literal["read", "deploy", "admin"]
"""Each includes the one before."""

ID_LENGTH: Final = 12
SECRET_LENGTH: Final = 32
MAX_TOKENS: Final = 50
"""Of one user; more is a script that forgets to clean up."""
MAX_LABEL: Final = 100
USE_GRANULARITY: Final = timedelta(minutes=1)
"""`last_used_at` is not written more often, so that reading a token is not a write each time."""
EXPIRED_KEPT: Final = timedelta(days=30)
"""How long an expired token is still listed, so that one sees why it stopped."""
_ALPHABET: Final = string.ascii_letters + string.digits


class TokenLimitError(FloraError):
    code = "TOKEN_LIMIT"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as it may be shown. `guild_ids` None means every guild that its user may manage."""

    id: str
    user_id: Snowflake
    label: str
    rights: Rights
    guild_ids: tuple[GuildId, ...] | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def allows(self, rights: Rights, guild_id: GuildId) -> bool:
        """Whether the token's own scope covers this; what its user may do is asked elsewhere."""
        if self.guild_ids is not None and guild_id not in self.guild_ids:
            return False
        return _ORDER[self.rights] >= _ORDER[rights]


_ORDER: Final[dict[Rights, int]] = {"read": 0, "deploy": 1, "admin": 2}


class TokenStore:
    """The one place where API tokens are written. Errors: those of `Database.run`, and TokenLimitError."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(
        self,
        user_id: Snowflake,
        *,
        label: str = "",
        rights: Rights = "admin",
        guild_ids: Sequence[GuildId] | None = None,
        lifetime: timedelta | None = None,
    ) -> tuple[ApiToken, str]:
        """Make a token; the text is returned here and never again. Raises TokenLimitError at MAX_TOKENS."""
        text = f"{random_text(ID_LENGTH)}.{random_text(SECRET_LENGTH)}"
        expires = None if lifetime is None else datetime.now(UTC) + lifetime

        async def unit(con: Connection) -> asyncpg.Record | None:
            await con.execute("select pg_advisory_xact_lock($1, hashtext($2))", _LOCK_CLASS, user_id)
            return await con.fetchrow(
                """insert into api_tokens (id, sha256, user_id, label, rights, guild_ids, expires_at)
                   select $1, $2, $3, $4, $5, $6, $7
                   where (select count(*) from api_tokens where user_id = $3) < $8 returning *""",
                text[:ID_LENGTH],
                hash_token(text),
                user_id,
                no_nul(label)[:MAX_LABEL],
                rights,
                guild_ids and list(guild_ids),
                expires,
                MAX_TOKENS,
            )

        row = await self._db.transact(unit)
        if row is None:
            raise TokenLimitError(
                f"there are {MAX_TOKENS} tokens already.", hint="Delete those that are not used any more."
            )
        return _token(row), text

    async def verify(self, text: str) -> ApiToken | None:
        """The token with this text, if it is one and has not expired; its use is noted."""
        if not _well_formed(text):
            return None
        digest = hash_token(text)

        async def unit(con: Connection) -> asyncpg.Record | None:
            row = await con.fetchrow(
                """select *, last_used_at is null or last_used_at < now() - $2::interval as stale
                   from api_tokens where sha256 = $1 and (expires_at is null or expires_at > now())""",
                digest,
                USE_GRANULARITY,
            )
            if row is not None and row["stale"]:
                await con.execute("update api_tokens set last_used_at = now() where sha256 = $1", digest)
            return row

        row = await self._db.run(unit, idempotent=True)
        return _token(row) if row else None

    async def list(self, user_id: Snowflake) -> list[ApiToken]:
        """The user's tokens, newest first, with those that expired lately."""

        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch(
                "select * from api_tokens where user_id = $1 order by created_at desc, id", user_id
            )

        return [_token(row) for row in await self._db.run(unit, idempotent=True)]

    async def revoke(self, user_id: Snowflake, token_id: str) -> bool:
        """Delete one of the user's tokens. False when there is none of this id, or it is another user's."""

        async def unit(con: Connection) -> str:
            return await con.execute(
                "delete from api_tokens where user_id = $1 and id = $2", user_id, no_nul(token_id)
            )

        return await self._db.run(unit) != "DELETE 0"

    async def sweep(self) -> int:
        """Delete what expired EXPIRED_KEPT ago; how many there were."""

        async def unit(con: Connection) -> str:
            return await con.execute(
                "delete from api_tokens where expires_at < now() - $1::interval", EXPIRED_KEPT
            )

        return int((await self._db.run(unit, idempotent=True)).removeprefix("DELETE "))


_LOCK_CLASS: Final = 0x746F6B65
"""First half of the advisory locks of this table: the bytes of "toke"."""


def hash_token(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def random_text(length: int) -> str:
    """Letters and digits that nobody can guess; about six bits each."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _well_formed(text: str) -> bool:
    head, dot, tail = text.partition(".")
    return (
        dot == "."
        and len(head) == ID_LENGTH
        and len(tail) == SECRET_LENGTH
        and (head + tail).isascii()
        and (head + tail).isalnum()
    )


def _token(row: asyncpg.Record) -> ApiToken:
    guilds = row["guild_ids"]
    return ApiToken(
        id=row["id"],
        user_id=Snowflake(row["user_id"]),
        label=row["label"],
        rights=row["rights"],
        guild_ids=None if guilds is None else tuple(GuildId(guild) for guild in guilds),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
    )
