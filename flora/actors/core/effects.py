"""The key that makes an effect outside flora happen once, however often its event is tried."""

from __future__ import annotations

import base64
import hashlib

# Discord's bound for a message's `nonce` (API Reference, "Create Message") is 25 characters: 15 bytes are
# 24 characters of base32, and 120 bits do not collide.
_BYTES = 15


def effect_key(guild_id: str, event_id: str, call_index: int) -> str:
    """A nonce of 24 characters for the `call_index`-th op of an event, the same at every attempt.

    With `enforce_nonce` Discord answers a second create-message of the same nonce with the first message.
    """
    place = f"{guild_id}\0{event_id}\0{call_index}".encode()
    return base64.b32encode(hashlib.blake2b(place, digest_size=_BYTES).digest()).decode().lower()
