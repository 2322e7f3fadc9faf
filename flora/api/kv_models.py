"""Guild KV as it crosses the border. Times are unix seconds, as scripts give them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from flora.api.models import Model, Whole

MAX_BULK = 128
"""Of one bulk request: it is one transaction."""


class StoreModel(Model):
    name: str
    keys: int = Field(description="Expired keys count until they are swept.")
    bytes: int = Field(description="What counts against the quota.")
    created_at: float


class StoresModel(Model):
    items: list[StoreModel]


class KeyModel(Model):
    name: str
    version: int
    metadata: Any = None
    expiration: float | None = None


class KeysModel(Model):
    items: list[KeyModel]
    next_cursor: str | None = Field(description="Asks for the next page; null at the end.")


class ValueModel(Model):
    value: str
    version: int
    metadata: Any = None
    expiration: float | None = None


class ValueBody(Model):
    value: str
    metadata: Any = None
    expiration: float | None = Field(None, description="Unix time in seconds.")
    ttl: float | None = Field(None, description="Seconds from now.")
    if_not_exists: bool = False
    if_version: Whole | None = None


class VersionModel(Model):
    version: int


class EntryBody(Model):
    key: str
    value: str
    metadata: Any = None
    expiration: float | None = None
    ttl: float | None = None


class BulkBody(Model):
    """All of it or nothing: one transaction."""

    set: tuple[EntryBody, ...] = Field((), max_length=MAX_BULK)
    delete: tuple[str, ...] = Field((), max_length=MAX_BULK)


class DeletedModel(Model):
    deleted: bool = Field(description="Whether it was there.")


class BackupModel(Model):
    id: str
    created_at: float
    bytes: int


class BackupsModel(Model):
    items: list[BackupModel]


class ExportModel(Model):
    backup_id: str


class RestoredModel(Model):
    restored: str = Field(description="The id of the backup.")
