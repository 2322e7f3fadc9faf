"""Limits of the KV store, checked before an operation is queued. Lengths are bytes of UTF-8."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from flora.storage.kv.errors import KvInvalidInputError, KvTooLargeError
from flora.storage.kv.operations import (
    Check,
    Count,
    CreateStore,
    DropStore,
    Get,
    Increment,
    List,
    Operation,
    Set,
    Step,
    Stores,
    Transaction,
    UpdateMetadata,
)

KIB: Final = 2**10
MIB: Final = 2**20

MAX_STORE_NAME: Final = 64
MAX_KEY: Final = 512
MAX_VALUE: Final = MIB
MAX_ENTRY: Final = 2 * MIB
"""Key, value and metadata of one entry."""
ENTRY_OVERHEAD: Final = 64
"""Counted for each entry beside its bytes: what SQLite needs for a row and its index, so that very small
entries cannot take many times their quota of disk."""
MAX_STEPS: Final = 128
MAX_SAFE_INTEGER: Final = 2**53 - 1
"""What a JavaScript number holds exactly."""
MAX_EXPIRY: Final = 253_402_300_800.0
"""The end of the year 9999."""


@dataclass(frozen=True, slots=True)
class KvLimits:
    """Quotas in bytes. `writes_per_minute` is of one store, over a rolling minute; 0 is no limit."""

    store_bytes: int = 100 * MIB
    guild_bytes: int = 500 * MIB
    stores: int = 200
    writes_per_minute: int = 6000
    page_bytes: int = 4 * MIB
    """A page of keys ends early at this size, so that its metadata fits one answer."""


def entry_size(key: str, value: str, metadata: str | None) -> int:
    """What an entry counts. Raises KvTooLargeError."""
    value_bytes = len(value) if value.isascii() else len(value.encode())
    if value_bytes > MAX_VALUE:
        raise KvTooLargeError("value exceeds maximum size of 1MB")
    size = value_bytes + len(key.encode()) + (len(metadata.encode()) if metadata else 0)
    if size > MAX_ENTRY:
        raise KvTooLargeError("kv entry exceeds maximum size of 2MB")
    return size + ENTRY_OVERHEAD


def check(operation: Operation) -> None:
    """Raises KvInvalidInputError and KvTooLargeError for what no state of the store would take."""
    match operation:
        case Transaction(steps):
            if not steps:
                raise KvInvalidInputError("a transaction needs at least one step")
            if len(steps) > MAX_STEPS:
                raise KvTooLargeError(f"a transaction takes at most {MAX_STEPS} steps")
            for step in steps:
                _check_keyed(step)
        case List():
            _check_store(operation.store)
            _check_prefix(operation.prefix)
            if operation.cursor is not None:
                _check_prefix(operation.cursor, "cursor")
            if operation.limit < 0:
                raise KvInvalidInputError("limit cannot be negative")
        case Count():
            _check_store(operation.store)
            _check_prefix(operation.prefix)
        case CreateStore() | DropStore():
            _check_store(operation.store)
        case Stores():
            pass
        case _:
            _check_keyed(operation)


def _check_keyed(step: Step | Get) -> None:
    _check_store(step.store)
    _check_key(step.key)
    match step:
        case Set():
            _check_text(step.value, "value")
            _check_text(step.metadata or "", "metadata")
            _check_expiry(step.expires_at, step.ttl)
            entry_size(step.key, step.value, step.metadata)
            if step.if_absent and step.if_version is not None:
                raise KvInvalidInputError("ifNotExists and ifVersion exclude each other")
        case UpdateMetadata():
            _check_text(step.metadata or "", "metadata")
            entry_size(step.key, "", step.metadata)
        case Increment():
            _check_expiry(step.expires_at, step.ttl)
            if abs(step.by) > MAX_SAFE_INTEGER:
                raise KvInvalidInputError("increment is not a safe integer")
        case Check():
            if step.version is not None and step.version < 0:
                raise KvInvalidInputError("version cannot be negative")


def _check_store(name: str) -> None:
    if not name:
        raise KvInvalidInputError("store_name cannot be empty")
    if _length(name, "store_name") > MAX_STORE_NAME:
        raise KvInvalidInputError("store_name exceeds maximum size of 64 characters")
    if "/" in name or "." in name or "\0" in name:
        raise KvInvalidInputError("store_name contains invalid characters")


def _check_key(key: str) -> None:
    if not key:
        raise KvInvalidInputError("key cannot be empty")
    if _length(key, "key") > MAX_KEY:
        raise KvInvalidInputError("key exceeds maximum size of 512 characters")
    if "\0" in key:
        raise KvInvalidInputError("key contains null character")


def _check_prefix(prefix: str, name: str = "prefix") -> None:
    if _length(prefix, name) > MAX_KEY:
        raise KvInvalidInputError(f"{name} exceeds maximum size of 512 characters")
    if "\0" in prefix:
        raise KvInvalidInputError(f"{name} contains null character")


def _check_text(text: str, name: str) -> None:
    if not text.isascii():
        _length(text, name)


def _length(text: str, name: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise KvInvalidInputError(f"{name} is not valid Unicode") from None


def _check_expiry(expires_at: float | None, ttl: float | None) -> None:
    if expires_at is not None and ttl is not None:
        raise KvInvalidInputError("expiration and ttl exclude each other")
    if expires_at is not None and not (math.isfinite(expires_at) and 0 <= expires_at <= MAX_EXPIRY):
        raise KvInvalidInputError("expiration is not a unix time in seconds")
    if ttl is not None and not (math.isfinite(ttl) and 0 < ttl <= MAX_EXPIRY):
        raise KvInvalidInputError("ttl is not a positive number of seconds")
