"""What can be asked of a guild's KV, and the answers, as values.

Texts are Unicode without lone surrogates; metadata is JSON text; times are unix seconds. A *version* is a
positive whole number that grows with every write of the guild and is never given twice, so that a version
says exactly which write a reader saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_PAGE: Final = 1000
DEFAULT_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Get:
    """-> Entry | None."""

    store: str
    key: str


@dataclass(frozen=True, slots=True)
class Set:
    """-> the new version, or None when `if_absent` or `if_version` did not hold.

    `ttl` (seconds from now) and `expires_at` exclude each other.
    """

    store: str
    key: str
    value: str
    metadata: str | None = None
    expires_at: float | None = None
    ttl: float | None = None
    if_absent: bool = False
    if_version: int | None = None


@dataclass(frozen=True, slots=True)
class UpdateMetadata:
    """-> the new version. Value and expiry stay. Raises KvKeyNotFoundError."""

    store: str
    key: str
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """-> whether the key was there, or None when `if_version` did not hold."""

    store: str
    key: str
    if_version: int | None = None


@dataclass(frozen=True, slots=True)
class Increment:
    """-> Counted. An absent key counts from 0. The expiry stays unless a new one is given."""

    store: str
    key: str
    by: int = 1
    expires_at: float | None = None
    ttl: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A condition of a transaction: the key's version, None for "there is no such key"."""

    store: str
    key: str
    version: int | None


Step: TypeAlias = Check | Set | UpdateMetadata | Delete | Increment


@dataclass(frozen=True, slots=True)
class Transaction:
    """All steps in order, or nothing. -> Committed, or None when a condition did not hold."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class List:
    """-> Page of keys in the order of their UTF-8 bytes; `cursor` is the last key of the page before."""

    store: str
    prefix: str = ""
    cursor: str | None = None
    limit: int = DEFAULT_PAGE
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """-> int."""

    store: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Stores:
    """-> tuple of StoreInfo, by name."""


@dataclass(frozen=True, slots=True)
class CreateStore:
    """-> StoreInfo. Raises KvStoreExistsError."""

    store: str


@dataclass(frozen=True, slots=True)
class DropStore:
    """-> None. Raises KvStoreNotFoundError."""

    store: str


Write: TypeAlias = Set | UpdateMetadata | Delete | Increment | Transaction | CreateStore | DropStore
Read: TypeAlias = Get | List | Count | Stores
Operation: TypeAlias = Read | Write
WRITES: Final = (Set, UpdateMetadata, Delete, Increment, Transaction, CreateStore, DropStore)


@dataclass(frozen=True, slots=True)
class Entry:
    value: str
    metadata: str | None
    expires_at: float | None
    version: int


@dataclass(frozen=True, slots=True)
class KeyInfo:
    name: str
    metadata: str | None
    expires_at: float | None
    version: int


@dataclass(frozen=True, slots=True)
class Page:
    """`cursor` asks for the next page, None at the end."""

    keys: tuple[KeyInfo, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Counted:
    value: int
    version: int


@dataclass(frozen=True, slots=True)
class Committed:
    """`results` has one item for each step that is no check: a number for an increment, whether the key was
    there for a delete, else None.
    """

    version: int
    results: tuple[int | bool | None, ...]


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """`bytes` counts as the quota does; expired keys count until they are swept."""

    name: str
    keys: int
    bytes: int
    created_at: float


Result: TypeAlias = Entry | Page | Counted | Committed | StoreInfo | tuple[StoreInfo, ...] | int | bool | None
