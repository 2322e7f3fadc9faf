"""Digests and signatures for scripts: what the Web Cryptography API asks for and C does better.

Keys are those of the script, in the call; none of flora's is ever used here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final, Literal, TypeVar

import msgspec
import trio
from nacl.bindings import (
    crypto_sign,
    crypto_sign_BYTES,
    crypto_sign_open,
    crypto_sign_PUBLICKEYBYTES,
    crypto_sign_seed_keypair,
    crypto_sign_SEEDBYTES,
)
from nacl.exceptions import CryptoError

from flora.engine.api import OpCall
from flora.ops.errors import invalid_input
from flora.ops.table import OpContext, op

Hash = Literal["SHA-1", "SHA-256", "SHA-384", "SHA-512"]
T = TypeVar("T")

_NAMES: Final = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_AT_ONCE: Final = 64 * 1024
"""Bytes that are hashed on Trio's thread: about 0.1 ms, what a thread costs to hand over to."""
_THREADS: Final = 2


class Digest(msgspec.Struct):
    hash: Hash
    data: bytes


class Hmac(msgspec.Struct):
    hash: Hash
    key: bytes
    data: bytes


class Sign(msgspec.Struct):
    """Ed25519 (RFC 8032); `key` is the private key's seed."""

    key: bytes
    data: bytes


class PublicKey(msgspec.Struct):
    """Of the private key of Ed25519 with this seed."""

    key: bytes


class Verify(msgspec.Struct):
    """Ed25519 (RFC 8032)."""

    key: bytes
    signature: bytes
    data: bytes


@op("crypto_digest")
async def crypto_digest(ctx: OpContext, args: Digest, call: OpCall) -> bytes:
    result = await _computed(len(args.data), lambda: hashlib.new(_NAMES[args.hash], args.data).digest())
    return msgspec.json.encode(result)


@op("crypto_hmac")
async def crypto_hmac(ctx: OpContext, args: Hmac, call: OpCall) -> bytes:
    name = _NAMES[args.hash]
    return msgspec.json.encode(
        await _computed(len(args.data), lambda: hmac.digest(args.key, args.data, name))
    )


@op("crypto_sign")
async def crypto_sign_ed25519(ctx: OpContext, args: Sign, call: OpCall) -> bytes:
    _, secret = _key_pair(args.key)
    signed = await _computed(len(args.data), lambda: crypto_sign(args.data, secret))
    return msgspec.json.encode(signed[:crypto_sign_BYTES])


@op("crypto_public_key")
async def crypto_public_key(ctx: OpContext, args: PublicKey, call: OpCall) -> bytes:
    return msgspec.json.encode(_key_pair(args.key)[0])


def _key_pair(seed: bytes) -> tuple[bytes, bytes]:
    if len(seed) != crypto_sign_SEEDBYTES:
        raise invalid_input("key", f"a private key of Ed25519 has {crypto_sign_SEEDBYTES} bytes")
    pair: tuple[bytes, bytes] = crypto_sign_seed_keypair(seed)
    return pair


@op("crypto_verify")
async def crypto_verify(ctx: OpContext, args: Verify, call: OpCall) -> bytes:
    """Whether the signature is right; one of another length is wrong."""
    if len(args.key) != crypto_sign_PUBLICKEYBYTES:
        raise invalid_input("key", f"a public key of Ed25519 has {crypto_sign_PUBLICKEYBYTES} bytes")
    if len(args.signature) != crypto_sign_BYTES:
        return msgspec.json.encode(False)

    def verify() -> bool:
        try:
            crypto_sign_open(args.signature + args.data, args.key)
        except CryptoError:
            return False
        return True

    return msgspec.json.encode(await _computed(len(args.data), verify))


_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("crypto")


async def _computed(size: int, compute: Callable[[], T]) -> T:
    """`compute()`, in a thread when it takes long."""
    if size <= _AT_ONCE:
        return compute()
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(_THREADS)
        _limiter.set(limiter)
    return await trio.to_thread.run_sync(compute, limiter=limiter)
