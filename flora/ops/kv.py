"""The guild's key-value stores. Scope is by construction: the guild is the context's, never an argument."""

from __future__ import annotations

import msgspec

from flora.engine.api import OpCall
from flora.ops.arguments import NULL
from flora.ops.errors import invalid_input
from flora.ops.table import OpContext, op
from flora.storage.kv import operations as kv

Metadata = msgspec.Raw | msgspec.UnsetType


class Key(msgspec.Struct, rename="camel"):
    store: str
    key: str


class SetArgs(msgspec.Struct, rename="camel"):
    """`expiration` is a unix time, `ttl` a time from now, both in seconds."""

    store: str
    key: str
    value: str
    metadata: Metadata = msgspec.UNSET
    expiration: float | None = None
    ttl: float | None = None
    if_not_exists: bool = False
    if_version: int | None = None


class UpdateMetadataArgs(msgspec.Struct, rename="camel"):
    store: str
    key: str
    metadata: Metadata = msgspec.UNSET


class DeleteArgs(msgspec.Struct, rename="camel"):
    store: str
    key: str
    if_version: int | None = None


class IncrementArgs(msgspec.Struct, rename="camel"):
    store: str
    key: str
    by: int = 1
    expiration: float | None = None
    ttl: float | None = None


class ListArgs(msgspec.Struct, rename="camel"):
    store: str
    prefix: str | None = None
    cursor: str | None = None
    limit: int | None = None
    reverse: bool = False


class CountArgs(msgspec.Struct, rename="camel"):
    store: str
    prefix: str | None = None


class CheckStep(msgspec.Struct, tag_field="type", tag="check", rename="camel"):
    """`version` null: there must be no such key."""

    store: str
    key: str
    version: int | None


class SetStep(SetArgs, tag_field="type", tag="set", rename="camel"):
    pass


class UpdateMetadataStep(UpdateMetadataArgs, tag_field="type", tag="updateMetadata", rename="camel"):
    pass


class DeleteStep(DeleteArgs, tag_field="type", tag="delete", rename="camel"):
    pass


class IncrementStep(IncrementArgs, tag_field="type", tag="increment", rename="camel"):
    pass


class TransactionArgs(msgspec.Struct, rename="camel"):
    steps: list[CheckStep | SetStep | UpdateMetadataStep | DeleteStep | IncrementStep]


class ValueJson(msgspec.Struct, rename="camel", omit_defaults=True):
    value: str | None
    metadata: msgspec.Raw | None = None
    expiration: float | int | None = None
    version: int | None = None


class KeyJson(msgspec.Struct, rename="camel", omit_defaults=True):
    name: str
    version: int
    metadata: msgspec.Raw | None = None
    expiration: float | int | None = None


class PageJson(msgspec.Struct, rename="camel", omit_defaults=True):
    keys: list[KeyJson]
    list_complete: bool
    cursor: str | None = None


class CommittedJson(msgspec.Struct, rename="camel"):
    version: int
    results: tuple[int | bool | None, ...]


@op("kv_get")
async def kv_get(ctx: OpContext, args: Key, call: OpCall) -> bytes:
    entry = await ctx.kv.run(ctx.guild_id, kv.Get(args.store, args.key))
    return NULL if entry is None else msgspec.json.encode(entry.value)


@op("kv_get_with_metadata")
async def kv_get_with_metadata(ctx: OpContext, args: Key, call: OpCall) -> bytes:
    entry = await ctx.kv.run(ctx.guild_id, kv.Get(args.store, args.key))
    if entry is None:
        return b'{"value":null}'
    return msgspec.json.encode(
        ValueJson(entry.value, _raw(entry.metadata), seconds(entry.expires_at), entry.version)
    )


@op("kv_set")
async def kv_set(ctx: OpContext, args: SetArgs, call: OpCall) -> bytes:
    return msgspec.json.encode(await ctx.kv.run(ctx.guild_id, _set(args), throttled=True))


@op("kv_update_metadata")
async def kv_update_metadata(ctx: OpContext, args: UpdateMetadataArgs, call: OpCall) -> bytes:
    return msgspec.json.encode(await ctx.kv.run(ctx.guild_id, _update(args), throttled=True))


@op("kv_delete")
async def kv_delete(ctx: OpContext, args: DeleteArgs, call: OpCall) -> bytes:
    return msgspec.json.encode(await ctx.kv.run(ctx.guild_id, _delete(args), throttled=True))


@op("kv_list")
async def kv_list(ctx: OpContext, args: ListArgs, call: OpCall) -> bytes:
    page = await ctx.kv.run(
        ctx.guild_id,
        kv.List(
            args.store,
            prefix=args.prefix or "",
            cursor=args.cursor,
            limit=kv.DEFAULT_PAGE if args.limit is None else args.limit,
            reverse=args.reverse,
        ),
    )
    keys = [KeyJson(key.name, key.version, _raw(key.metadata), seconds(key.expires_at)) for key in page.keys]
    return msgspec.json.encode(PageJson(keys, page.cursor is None, page.cursor))


@op("kv_count")
async def kv_count(ctx: OpContext, args: CountArgs, call: OpCall) -> bytes:
    return msgspec.json.encode(await ctx.kv.run(ctx.guild_id, kv.Count(args.store, args.prefix or "")))


@op("kv_increment")
async def kv_increment(ctx: OpContext, args: IncrementArgs, call: OpCall) -> bytes:
    counted = await ctx.kv.run(ctx.guild_id, _increment(args), throttled=True)
    return msgspec.json.encode(counted.value)


@op("kv_transaction")
async def kv_transaction(ctx: OpContext, args: TransactionArgs, call: OpCall) -> bytes:
    steps = tuple(_step(step) for step in args.steps)
    done = await ctx.kv.run(ctx.guild_id, kv.Transaction(steps), throttled=True)
    return NULL if done is None else msgspec.json.encode(CommittedJson(done.version, done.results))


def seconds(expires_at: float | None) -> float | int | None:
    """A whole number where it is one, as authors wrote it."""
    return int(expires_at) if expires_at is not None and expires_at.is_integer() else expires_at


def _step(
    step: CheckStep | SetStep | UpdateMetadataStep | DeleteStep | IncrementStep,
) -> kv.Step:
    match step:
        case CheckStep():
            return kv.Check(step.store, step.key, step.version)
        case SetStep():
            return _set(step)
        case UpdateMetadataStep():
            return _update(step)
        case DeleteStep():
            return _delete(step)
        case IncrementStep():
            return _increment(step)


def _set(args: SetArgs) -> kv.Set:
    return kv.Set(
        args.store,
        args.key,
        args.value,
        metadata=_metadata(args.metadata),
        expires_at=args.expiration,
        ttl=args.ttl,
        if_absent=args.if_not_exists,
        if_version=args.if_version,
    )


def _update(args: UpdateMetadataArgs) -> kv.UpdateMetadata:
    return kv.UpdateMetadata(args.store, args.key, _metadata(args.metadata))


def _delete(args: DeleteArgs) -> kv.Delete:
    return kv.Delete(args.store, args.key, args.if_version)


def _increment(args: IncrementArgs) -> kv.Increment:
    return kv.Increment(args.store, args.key, args.by, args.expiration, args.ttl)


def _metadata(given: Metadata) -> str | None:
    """JSON text; null is none."""
    if isinstance(given, msgspec.UnsetType) or bytes(given) == NULL:
        return None
    try:
        return bytes(given).decode()
    except UnicodeDecodeError:
        raise invalid_input("metadata", "not JSON") from None


def _raw(metadata: str | None) -> msgspec.Raw | None:
    return None if metadata is None else msgspec.Raw(metadata.encode())
