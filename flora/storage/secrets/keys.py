"""Master keys: what they encrypt, and how they are told apart without being stored.

A value is encrypted with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under a fresh random nonce. Guild
and name are bound to it as associated data, so a row copied to another guild or name does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError
from nacl.utils import random as random_bytes

from flora.errors import StartupError
from flora.ids import GuildId

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24
TAG_DIGITS: Final = 12
_HEX_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
_CONTEXT: Final = b"flora secret v1\0"


class MasterKeyError(StartupError):
    """The master key is missing, malformed, or not the one that the stored secrets need."""

    code = "MASTER_KEY_INVALID"


class UndecryptableError(Exception):
    """The value was not encrypted with this key for this guild and name."""


class MasterKey:
    """A key and what is derived from it. `id` names it in the database and may be shown."""

    __slots__ = ("_key", "check_value", "id")

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES
        self._key = key
        self.id = self._mac(b"flora master key id").hex()[:16]
        self.check_value = self._mac(b"flora master key check")

    @classmethod
    def parse(cls, text: str) -> MasterKey:
        """64 hex digits, or exactly 32 bytes of UTF-8. Raises MasterKeyError, which does not show it."""
        if _HEX_KEY.fullmatch(text):
            return cls(bytes.fromhex(text))
        raw = text.encode(errors="surrogateescape")
        if len(raw) != KEY_BYTES:
            raise MasterKeyError(
                f"SECRETS_MASTER_KEY must be 32 bytes (got {len(raw)}).",
                hint="Make one with `openssl rand -hex 32`.",
                exit_code=2,
            )
        return cls(raw)

    def encrypt(self, guild_id: GuildId, name: str, value: str) -> tuple[bytes, bytes]:
        """(nonce, ciphertext)."""
        nonce = random_bytes(NONCE_BYTES)
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(
            value.encode(), _associated(guild_id, name), nonce, self._key
        )
        return nonce, sealed

    def decrypt(self, guild_id: GuildId, name: str, nonce: bytes, ciphertext: bytes) -> str:
        """Raises UndecryptableError."""
        try:
            opened = crypto_aead_xchacha20poly1305_ietf_decrypt(
                ciphertext, _associated(guild_id, name), nonce, self._key
            )
        except (CryptoError, ValueError, TypeError):
            raise UndecryptableError from None
        return opened.decode()

    def tag(self, secret_id: UUID) -> str:
        """The half of a placeholder that nobody can guess from its other half."""
        return self._mac(secret_id.bytes).hex()[:TAG_DIGITS]

    def _mac(self, message: bytes) -> bytes:
        return hmac.new(self._key, message, hashlib.sha256).digest()

    def __repr__(self) -> str:
        return f"<MasterKey {self.id}>"


class KeyRing:
    """The key that encrypts, and those that may still be needed to read."""

    def __init__(self, current: MasterKey, others: Iterable[MasterKey] = ()) -> None:
        self.current = current
        self._keys = {key.id: key for key in (*others, current)}

    @classmethod
    def parse(cls, current: str, previous: str | None = None) -> KeyRing:
        """Raises MasterKeyError."""
        return cls(MasterKey.parse(current), [MasterKey.parse(previous)] if previous else [])

    def find(self, key_id: str) -> MasterKey | None:
        return self._keys.get(key_id)

    def rotate(self, key: MasterKey) -> None:
        """Encrypt with `key` from now on."""
        self._keys[key.id] = key
        self.current = key

    def __repr__(self) -> str:
        return f"<KeyRing {self.current.id}>"


def _associated(guild_id: GuildId, name: str) -> bytes:
    return _CONTEXT + guild_id.encode() + b"\0" + name.encode()
