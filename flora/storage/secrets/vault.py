"""The secrets of all guilds: encrypted rows in the database, kept in memory as they are stored.

Nothing is decrypted but for the moment it is filled into a request. Writes go through this object alone, so
its memory is what the database has.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote
from uuid import UUID, uuid4

import structlog
import trio

from flora.errors import FloraError
from flora.ids import GuildId
from flora.storage.postgres import Database
from flora.storage.secrets.hosts import allowed, normal_pattern
from flora.storage.secrets.keys import KeyRing, MasterKey, MasterKeyError, UndecryptableError

if TYPE_CHECKING:
    import asyncpg

    from flora.storage.postgres import Connection

log = structlog.get_logger("flora.secrets")

MAX_SECRETS: Final = 100
MAX_NAME: Final = 128
MAX_VALUE: Final = 32 * 1024
"""Bytes of UTF-8; a private key with its chain fits."""
MAX_HOSTS: Final = 50
ROTATE_ROWS: Final = 100
"""Rows that are encrypted anew in one transaction."""

_PREFIX: Final = "__FLORA_SECRET__"
# As a script got it, and as URLSearchParams writes it into a URL.
_PLACEHOLDER: Final = re.compile(
    _PREFIX + r"(?P<colon>:|%3[Aa])(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?P=colon)"
    r"(?P<tag>[0-9a-f]{12})"
)


class SecretError(FloraError):
    code = "SECRET_ERROR"


class SecretInvalidError(SecretError):
    """A name, value or host pattern that is not accepted."""

    code = "INVALID_SECRET"


class SecretLimitError(SecretError):
    code = "SECRET_LIMIT"


class SecretHostError(SecretError):
    """The secret may not be sent to this host."""

    code = "SECRET_HOST_FORBIDDEN"


class SecretUnreadableError(SecretError):
    """A stored value does not open with the key that it names."""

    code = "SECRET_UNREADABLE"


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """A secret as it may be shown. Without `allowed_hosts` it can be sent nowhere."""

    name: str
    allowed_hosts: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class _Row:
    id: UUID
    guild_id: GuildId
    name: str
    tag: str
    key_id: str
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    info: SecretInfo

    @property
    def placeholder(self) -> str:
        return placeholder(self.id, self.tag)


def placeholder(secret_id: UUID, tag: str) -> str:
    return f"{_PREFIX}:{secret_id}:{tag}"


class GuildSecrets:
    """The secrets of one guild as they are now. Does no I/O; the host's ops use it."""

    __slots__ = ("_by_id", "_by_name", "_keys")

    def __init__(self, rows: Sequence[_Row] = (), keys: KeyRing | None = None) -> None:
        self._keys = keys
        self._by_id = {row.id: row for row in rows}
        self._by_name = {row.name: row for row in rows}

    def placeholder(self, name: str) -> str | None:
        row = self._by_name.get(name)
        return row.placeholder if row else None

    def placeholders(self) -> dict[str, str]:
        """Name -> placeholder."""
        return {name: row.placeholder for name, row in self._by_name.items()}

    def substitute(self, text: str, host: str | None, escape: Callable[[str], str] | None = None) -> str:
        """`text` with the guild's placeholders replaced, for a request to `host` (no port, no scheme).

        A placeholder whose colons are percent-encoded is taken to stand in a URL: its value is encoded, too.
        `escape` fits the other values into what surrounds them, such as JSON.
        Texts that only look like a placeholder stay. Raises SecretHostError when a secret is not allowed for
        `host`, SecretUnreadableError; neither says anything of the value.
        """
        if _PREFIX not in text:
            return text

        def replace(match: re.Match[str]) -> str:
            row = self._by_id.get(UUID(match["id"]))
            if row is None or not hmac.compare_digest(row.tag, match["tag"]):
                return match[0]
            if not allowed(host, row.info.allowed_hosts):
                raise SecretHostError(
                    "secret not allowed for request host",
                    hint=f"Add the host to the allowed hosts of the secret {row.name!r}.",
                )
            value = self._reveal(row)
            if match["colon"] != ":":
                return quote(value, safe="")
            return escape(value) if escape else value

        return _PLACEHOLDER.sub(replace, text)

    def _reveal(self, row: _Row) -> str:
        key = self._keys.find(row.key_id) if self._keys else None
        try:
            if key is None:
                raise UndecryptableError
            return key.decrypt(row.guild_id, row.name, row.nonce, row.ciphertext)
        except UndecryptableError:
            raise SecretUnreadableError(
                f"the secret {row.name!r} cannot be decrypted.", hint="Set it again."
            ) from None

    def infos(self) -> list[SecretInfo]:
        """By name."""
        return [self._by_name[name].info for name in sorted(self._by_name)]

    def __len__(self) -> int:
        return len(self._by_id)


class SecretVault:
    """Made by `open`. Errors: those of `Database.run`, and SecretErrors."""

    def __init__(self, db: Database, keys: KeyRing, rows: Mapping[GuildId, dict[str, _Row]]) -> None:
        self._db = db
        self._keys = keys
        self._rows = dict(rows)
        self._writing = trio.Lock()

    @classmethod
    async def open(cls, db: Database, keys: KeyRing) -> SecretVault:
        """Read what is stored, and make sure that it can be read with `keys`.

        Raises MasterKeyError when a stored secret needs another key; then nothing has been written.
        """

        async def unit(con: Connection) -> list[asyncpg.Record]:
            # Hosts that start together see one key list.
            await con.execute("lock table secret_keys in share row exclusive mode")
            known = {
                row["id"]: bytes(row["check_value"]) for row in await con.fetch("select * from secret_keys")
            }
            rows = await con.fetch("select * from guild_secrets order by guild_id, name")
            _check_keys({row["key_id"] for row in rows}, known, keys)
            await _remember_key(con, keys.current)
            return rows

        found: dict[GuildId, dict[str, _Row]] = {}
        for record in await db.transact(unit):
            row = _row(record)
            found.setdefault(row.guild_id, {})[row.name] = row
        return cls(db, keys, found)

    @property
    def key_id(self) -> str:
        """Names the key that encrypts."""
        return self._keys.current.id

    def of(self, guild_id: GuildId) -> GuildSecrets:
        return GuildSecrets(list(self._rows.get(guild_id, {}).values()), self._keys)

    async def put(
        self, guild_id: GuildId, name: str, value: str, allowed_hosts: Sequence[str] = ()
    ) -> SecretInfo:
        """Store a secret, or give one a new value and new hosts; its placeholder stays.

        Raises SecretInvalidError, SecretLimitError.
        """
        _check_name(name)
        if not value or len(_encoded(value, "the value")) > MAX_VALUE:
            raise SecretInvalidError(f"a secret's value has 1 to {MAX_VALUE} bytes.")
        hosts = _check_hosts(allowed_hosts)
        rows = self._rows.setdefault(guild_id, {})
        if name not in rows and len(rows) >= MAX_SECRETS:
            raise SecretLimitError(f"a guild has at most {MAX_SECRETS} secrets.", hint="Delete some.")
        key = self._keys.current
        nonce, ciphertext = key.encrypt(guild_id, name, value)
        secret_id = uuid4()

        async def unit(con: Connection) -> asyncpg.Record:
            row = await con.fetchrow(
                """insert into guild_secrets as old
                       (id, guild_id, name, tag, key_id, nonce, ciphertext, allowed_hosts)
                   values ($1, $2, $3, $4, $5, $6, $7, $8)
                   on conflict (guild_id, name) do update set
                       key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext,
                       allowed_hosts = excluded.allowed_hosts, updated_at = now()
                   returning *""",
                secret_id,
                guild_id,
                name,
                key.tag(secret_id),
                key.id,
                nonce,
                ciphertext,
                hosts,
            )
            assert row is not None
            return row

        async with self._alone():
            row = _row(await self._db.run(unit, idempotent=True))
            self._rows.setdefault(guild_id, {})[name] = row
        log.info("secret stored", guild=guild_id, name=name, hosts=len(hosts))
        return row.info

    async def delete(self, guild_id: GuildId, name: str) -> bool:
        """Whether it was there."""

        async def unit(con: Connection) -> str:
            return await con.execute(
                "delete from guild_secrets where guild_id = $1 and name = $2", guild_id, name
            )

        async with self._alone():
            await self._db.run(unit, idempotent=True)
            was_there = self._rows.get(guild_id, {}).pop(name, None) is not None
        if was_there:
            log.info("secret deleted", guild=guild_id, name=name)
        return was_there

    async def forget(self, guild_id: GuildId) -> int:
        """Delete all secrets of a guild; how many there were."""

        async def unit(con: Connection) -> str:
            return await con.execute("delete from guild_secrets where guild_id = $1", guild_id)

        async with self._alone():
            await self._db.run(unit, idempotent=True)
            return len(self._rows.pop(guild_id, {}))

    async def rotate(self, key: MasterKey | None = None) -> int:
        """Encrypt everything with `key` (default: the current one) that is not yet; how many secrets were.

        May be repeated after a failure: what is done stays done, and both keys are needed until it ends.
        Placeholders stay. Raises SecretUnreadableError before anything that cannot be read would be lost.
        """
        if key is not None:
            self._keys.rotate(key)
        current = self._keys.current
        await self._db.transact(lambda con: _remember_key(con, current))
        stale = [row for rows in self._rows.values() for row in rows.values() if row.key_id != current.id]
        done = 0
        for start in range(0, len(stale), ROTATE_ROWS):
            async with self._alone():
                done += await self._rotate(stale[start : start + ROTATE_ROWS], current)

        async def drop_unused(con: Connection) -> None:
            await con.execute(
                """delete from secret_keys k where id <> $1
                   and not exists (select from guild_secrets s where s.key_id = k.id)""",
                current.id,
            )

        await self._db.run(drop_unused, idempotent=True)
        log.info("master key rotated", key=current.id, secrets=done)
        return done

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """One write at a time, and whole: the memory must not miss what the database got. The database's
        deadline bounds it.
        """
        async with self._writing:
            with trio.CancelScope(shield=True):
                yield

    async def _rotate(self, rows: Sequence[_Row], current: MasterKey) -> int:
        fresh = []
        for row in rows:
            value = GuildSecrets([row], self._keys)._reveal(row)
            fresh.append((row.id, row.nonce, current.id, *current.encrypt(row.guild_id, row.name, value)))

        async def unit(con: Connection) -> list[asyncpg.Record]:
            changed = []
            for item in fresh:
                # Not one that was written meanwhile: that has the current key already.
                changed += await con.fetch(
                    """update guild_secrets set key_id = $3, nonce = $4, ciphertext = $5
                       where id = $1 and nonce = $2 returning *""",
                    *item,
                )
            return changed

        records = await self._db.transact(unit)
        for record in records:
            row = _row(record)
            kept = self._rows.get(row.guild_id, {})
            # Neither one that was written nor one that was deleted meanwhile.
            if row.name in kept and kept[row.name].key_id != current.id:
                kept[row.name] = row
        return len(records)


def _check_keys(used: set[str], known: Mapping[str, bytes], keys: KeyRing) -> None:
    for key_id in sorted(used):
        key = keys.find(key_id)
        if key is None or not hmac.compare_digest(key.check_value, known[key_id]):
            raise MasterKeyError(
                f"the stored secrets are encrypted with the master key {key_id}, and the configured one is "
                f"{keys.current.id}; nothing was changed.",
                hint="Set SECRETS_MASTER_KEY to the key that they were stored with (to change it, give that "
                "one as SECRETS_PREVIOUS_MASTER_KEY and run `flora secrets rotate-key`).",
            )


async def _remember_key(con: Connection, key: MasterKey) -> None:
    await con.execute(
        "insert into secret_keys (id, check_value) values ($1, $2) on conflict (id) do nothing",
        key.id,
        key.check_value,
    )


def _check_name(name: str) -> None:
    if not name or len(_encoded(name, "the name")) > MAX_NAME or any(ord(letter) < 32 for letter in name):
        raise SecretInvalidError(f"a secret's name has 1 to {MAX_NAME} bytes and no control characters.")


def _check_hosts(hosts: Sequence[str]) -> list[str]:
    if len(hosts) > MAX_HOSTS:
        raise SecretInvalidError(f"a secret has at most {MAX_HOSTS} allowed hosts.")
    for host in hosts:
        if normal_pattern(host) is None:
            raise SecretInvalidError(
                f"{host[:100]!r} is not a host.", hint='Write "api.example.com" or "*.example.com".'
            )
    return [host.strip() for host in hosts]


def _encoded(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise SecretInvalidError(f"{what} of a secret is not valid Unicode.") from None


def _row(record: asyncpg.Record) -> _Row:
    return _Row(
        record["id"],
        GuildId(record["guild_id"]),
        record["name"],
        record["tag"],
        record["key_id"],
        bytes(record["nonce"]),
        bytes(record["ciphertext"]),
        SecretInfo(
            record["name"], tuple(record["allowed_hosts"]), record["created_at"], record["updated_at"]
        ),
    )
