"""`/kv`: a guild's key-value stores, and backups of all of them."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field
from quart import Blueprint, Response, g
from quart.helpers import send_file
from quart_schema import tag_blueprint

from flora.api.auth import Permission, requires
from flora.api.kv_models import (
    BackupModel,
    BackupsModel,
    BulkBody,
    DeletedModel,
    EntryBody,
    ExportModel,
    KeyModel,
    KeysModel,
    RestoredModel,
    StoreModel,
    StoresModel,
    ValueBody,
    ValueModel,
    VersionModel,
)
from flora.api.models import Model
from flora.api.openapi import answers, answers_media, takes, takes_query
from flora.api.services import Services
from flora.errors import FloraError
from flora.ids import GuildId
from flora.storage.kv import GuildKv
from flora.storage.kv.errors import KvKeyNotFoundError
from flora.storage.kv.operations import (
    MAX_PAGE,
    CreateStore,
    Delete,
    DropStore,
    Get,
    List,
    Set,
    Step,
    StoreInfo,
    Transaction,
)

blueprint = Blueprint("kv", __name__)
tag_blueprint(blueprint, ["kv"])


class KvConditionError(FloraError):
    code = "KV_CONDITION_CONFLICT"


class KeysQuery(Model):
    prefix: str = ""
    cursor: str | None = None
    limit: int = Field(100, ge=1, le=MAX_PAGE)
    reverse: bool = False


def _kv() -> GuildKv:
    services: Services = g.services
    return services.kv


@blueprint.get("/kv/<guild_id>/stores")
@answers(StoresModel, fails=[503])
@requires(Permission.GUILD_READ)
async def list_stores(guild_id: GuildId) -> StoresModel:
    """The stores of this guild, by name"""
    return StoresModel(items=[_store(info) for info in await _kv().stores(guild_id)])


@blueprint.put("/kv/<guild_id>/stores/<store>")
@answers(StoreModel, fails=[409, 503])
@requires(Permission.GUILD_DEPLOY)
async def create_store(guild_id: GuildId, store: str) -> StoreModel:
    """Create an empty store; a script need not, since the first write does"""
    return _store(await _kv().run(guild_id, CreateStore(store)))


@blueprint.delete("/kv/<guild_id>/stores/<store>")
@answers(DeletedModel, fails=[503])
@requires(Permission.GUILD_DEPLOY)
async def delete_store(guild_id: GuildId, store: str) -> DeletedModel:
    """Delete a store with all that is in it"""
    await _kv().run(guild_id, DropStore(store))
    return DeletedModel(deleted=True)


@blueprint.get("/kv/<guild_id>/stores/<store>/keys")
@answers(KeysModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(KeysQuery)
async def list_keys(guild_id: GuildId, store: str, query_args: KeysQuery) -> KeysModel:
    """The keys of a store with their metadata"""
    page = await _kv().run(
        guild_id,
        List(store, query_args.prefix, query_args.cursor, query_args.limit, query_args.reverse),
    )
    items = [
        KeyModel(name=key.name, version=key.version, metadata=_json(key.metadata), expiration=key.expires_at)
        for key in page.keys
    ]
    return KeysModel(items=items, next_cursor=page.cursor)


@blueprint.get("/kv/<guild_id>/stores/<store>/keys/<path:key>")
@answers(ValueModel, fails=[503])
@requires(Permission.GUILD_READ)
async def get_value(guild_id: GuildId, store: str, key: str) -> ValueModel:
    """One value with all that is kept beside it"""
    entry = await _kv().run(guild_id, Get(store, key))
    if entry is None:
        raise KvKeyNotFoundError("there is no such key in this store.")
    return ValueModel(
        value=entry.value,
        version=entry.version,
        metadata=_json(entry.metadata),
        expiration=entry.expires_at,
    )


@blueprint.put("/kv/<guild_id>/stores/<store>/keys/<path:key>")
@answers(VersionModel, fails=[409, 503, 507])
@requires(Permission.GUILD_DEPLOY)
@takes(ValueBody)
async def put_value(guild_id: GuildId, store: str, key: str, body: ValueBody) -> VersionModel:
    """Write a value

    With `if_not_exists` or `if_version`: 409 when that does not hold, and nothing is written.
    """
    version = await _kv().run(
        guild_id,
        Set(
            store,
            key,
            body.value,
            metadata=_text(body.metadata),
            expires_at=body.expiration,
            ttl=body.ttl,
            if_absent=body.if_not_exists,
            if_version=body.if_version,
        ),
    )
    if version is None:
        raise KvConditionError("the key is not as the condition says; nothing was written.")
    return VersionModel(version=version)


@blueprint.delete("/kv/<guild_id>/stores/<store>/keys/<path:key>")
@answers(DeletedModel, fails=[503])
@requires(Permission.GUILD_DEPLOY)
async def delete_value(guild_id: GuildId, store: str, key: str) -> DeletedModel:
    """Delete a key; to do it twice is no error"""
    return DeletedModel(deleted=bool(await _kv().run(guild_id, Delete(store, key))))


@blueprint.post("/kv/<guild_id>/stores/<store>/bulk")
@answers(VersionModel, fails=[503, 507])
@requires(Permission.GUILD_DEPLOY)
@takes(BulkBody)
async def bulk(guild_id: GuildId, store: str, body: BulkBody) -> VersionModel:
    """Write and delete many keys, all of it or nothing"""
    steps: list[Step] = [_set(store, entry) for entry in body.set]
    steps += [Delete(store, key) for key in body.delete]
    done = await _kv().run(guild_id, Transaction(tuple(steps)))
    assert done is not None, "it has no condition"
    return VersionModel(version=done.version)


@blueprint.post("/kv/<guild_id>/export")
@answers(ExportModel, fails=[429, 503, 507])
@requires(Permission.GUILD_DEPLOY)
async def export(guild_id: GuildId) -> ExportModel:
    """Make a backup of all stores as they are now, while they are in use; the newest five are kept

    Once a minute for each guild.
    """
    return ExportModel(backup_id=(await _kv().export(guild_id, throttled=True)).id)


@blueprint.get("/kv/<guild_id>/backups")
@answers(BackupsModel, fails=[503])
@requires(Permission.GUILD_READ)
async def list_backups(guild_id: GuildId) -> BackupsModel:
    """The backups of this guild, newest first"""
    found = await _kv().backups(guild_id)
    return BackupsModel(
        items=[BackupModel(id=one.id, created_at=one.created_at, bytes=one.bytes) for one in found]
    )


@blueprint.get("/kv/<guild_id>/backups/<backup_id>")
@answers_media("application/vnd.sqlite3", "A SQLite database.")
@answers(None, fails=[503])
@requires(Permission.GUILD_READ)
async def download_backup(guild_id: GuildId, backup_id: str) -> Response:
    """Download a backup: a SQLite file that any SQLite shell opens"""
    file = await _kv().backup_file(guild_id, backup_id)
    return await send_file(
        file,
        mimetype="application/vnd.sqlite3",
        as_attachment=True,
        attachment_filename=f"kv-{guild_id}-{backup_id}.sqlite3",
    )


@blueprint.post("/kv/<guild_id>/backups/<backup_id>/restore")
@answers(RestoredModel, fails=[503, 507])
@requires(Permission.GUILD_DEPLOY)
async def restore(guild_id: GuildId, backup_id: str) -> RestoredModel:
    """Make all stores what they were at a backup, all of it or nothing"""
    await _kv().restore(guild_id, backup_id)
    return RestoredModel(restored=backup_id)


def _set(store: str, entry: EntryBody) -> Set:
    return Set(
        store,
        entry.key,
        entry.value,
        metadata=_text(entry.metadata),
        expires_at=entry.expiration,
        ttl=entry.ttl,
    )


def _store(info: StoreInfo) -> StoreModel:
    return StoreModel(name=info.name, keys=info.keys, bytes=info.bytes, created_at=info.created_at)


def _text(metadata: Any) -> str | None:
    return None if metadata is None else json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))


def _json(metadata: str | None) -> Any:
    return None if metadata is None else json.loads(metadata)
