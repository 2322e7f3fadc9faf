"""Deployments: what each guild runs now, and the history of how it came to be.

Every deploy, also a failed one, is a revision. Bundles are content-addressed by SHA-256, so that the same
project deployed a hundred times, or in a hundred guilds, is stored once. All writes for a guild take turns
(an advisory lock of the transaction), so that history is in one order and each revision's base is the one it
replaced.

A revision's id is a random UUID (version 4): order comes from the column `number`, which no clock can turn
around, so the id need tell nothing but itself. There is no cache in front of `get`: it is read when a guild
starts, by primary key, which costs less than keeping a second copy right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID, uuid4

import msgspec
import structlog

from flora.build.types import Bundle, SourceFile
from flora.errors import FloraError
from flora.ids import GuildId
from flora.storage import cursors
from flora.storage.postgres import Database, DatabaseError
from flora.storage.texts import no_nul

if TYPE_CHECKING:
    import asyncpg

    from flora.storage.postgres import Connection

log = structlog.get_logger("flora.storage.deployments")

Source = Literal["cli", "webui", "bootstrap", "api", "unknown"]
ActorKind = Literal["session", "token", "system", "operator"]

LOCK_CLASS: Final = 0x666C6F72
"""First half of the advisory locks of this table: the bytes of "flor"."""
MAX_PAGE: Final = 100


class RevisionNotFoundError(FloraError):
    code = "REVISION_NOT_FOUND"


class InvalidBundleError(FloraError):
    """A text of the bundle cannot be written as UTF-8 (a lone surrogate)."""

    code = "INVALID_BUNDLE"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who deployed."""

    kind: ActorKind
    user_id: str | None = None
    username: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    """Files against the revision that was replaced, by path and contents."""

    added_files: int
    removed_files: int
    modified_files: int


@dataclass(frozen=True, slots=True)
class NewRevision:
    guild_id: GuildId
    bundle: Bundle
    source: Source
    actor: Actor
    build_id: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """One deploy. `change_summary` is None when neither side has source files."""

    id: UUID
    guild_id: GuildId
    entry_point: str
    status: Literal["success", "failed"]
    deployed_at: datetime
    source: Source
    actor: Actor
    error: str | None
    build_id: str | None
    base_revision_id: UUID | None
    change_summary: ChangeSummary | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentHead:
    """What a guild runs now, without the script itself."""

    guild_id: GuildId
    entry_point: str
    revision_id: UUID
    created_at: datetime
    updated_at: datetime
    build_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(DeploymentHead):
    """What a guild runs now."""

    code: str
    source_map: str


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Revisions, newest first; `cursor` asks for the next page, None at the end."""

    revisions: tuple[Revision, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Retention:
    """How much history a guild keeps: at most so many revisions, none older. The current one is always
    kept.
    """

    max_revisions: int = 100
    max_age: timedelta = timedelta(days=365)


class DeploymentStore:
    """The one place where deployments are written. Errors: those of `Database.run`, and the ones named here.

    Cancellation: a cancelled write was applied as a whole or not at all; read to know.
    """

    def __init__(self, db: Database, *, retention: Retention | None = None) -> None:
        self._db = db
        self._retention = retention or Retention()

    async def active(self) -> list[Deployment]:
        """What every guild runs now, in the order of guild ids. Guilds with one bundle share its text in
        memory.
        """

        async def unit(con: Connection) -> list[Deployment]:
            async with con.transaction(isolation="repeatable_read", readonly=True):
                rows = await con.fetch(f"{_DEPLOYMENTS} order by d.guild_id")
                codes = await con.fetch(
                    """select sha256, code, source_map from bundles where sha256 in
                       (select r.bundle_sha256 from deployments d join revisions r on r.id = d.revision_id)"""
                )
            texts = {row["sha256"]: (row["code"].decode(), row["source_map"].decode()) for row in codes}
            return [_deployment(row, *texts[row["bundle_sha256"]]) for row in rows]

        return await self._db.run(unit, idempotent=True)

    async def page(
        self, *, after: int, limit: int, among: Collection[GuildId] | None = None
    ) -> list[DeploymentHead]:
        """What the guilds with ids above `after` run, at most `limit` of them, in the order of ids; those
        guilds only that `among` names, where it is not None.
        """

        async def unit(con: Connection) -> list[asyncpg.Record]:
            # Ids are text without leading zeros: the shorter one is the smaller one.
            return await con.fetch(
                f"""{_DEPLOYMENTS}
                    where (length(d.guild_id), d.guild_id collate "C") > (length($1), $1 collate "C")
                    and ($2::text[] is null or d.guild_id = any($2))
                    order by length(d.guild_id), d.guild_id collate "C" limit $3""",
                str(after),
                None if among is None else list(among),
                limit,
            )

        rows = await self._db.run(unit, idempotent=True)
        return [DeploymentHead(**_head(row)) for row in rows]

    async def get(self, guild_id: GuildId) -> Deployment | None:
        """What the guild runs now; None when nothing."""

        async def unit(con: Connection) -> Deployment | None:
            row = await con.fetchrow(f"{_DEPLOYMENTS_WITH_CODE} where d.guild_id = $1", guild_id)
            return _deployment(row, row["code"].decode(), row["source_map"].decode()) if row else None

        return await self._db.run(unit, idempotent=True)

    async def record_success(self, new: NewRevision) -> Revision:
        """The new script runs: store its revision and make it the guild's current one, in one transaction.

        Then history beyond the retention is removed; if that fails, it is tried again at the next deploy.
        """
        revision = await self._record(new, None)
        await self._prune_quietly(new.guild_id)
        return revision

    async def record_failure(self, new: NewRevision, error: str) -> Revision:
        """The new script was refused: store its revision with `error`; the guild's current one stays."""
        revision = await self._record(new, error)
        await self._prune_quietly(new.guild_id)
        return revision

    async def history(self, guild_id: GuildId, *, limit: int = 20, cursor: str | None = None) -> HistoryPage:
        """A page of the guild's revisions, newest first; `limit` is cut to 1..MAX_PAGE.

        `cursor` is of an earlier page; revisions made since do not move it. Raises InvalidCursorError.
        """
        limit = max(1, min(limit, MAX_PAGE))
        before = cursors.before(cursor)

        async def unit(con: Connection) -> list[asyncpg.Record]:
            return await con.fetch(
                "select * from revisions where guild_id = $1 and number < $2 order by number desc limit $3",
                guild_id,
                before,
                limit + 1,
            )

        rows = await self._db.run(unit, idempotent=True)
        more = len(rows) > limit
        rows = rows[:limit]
        return HistoryPage(tuple(_revision(row) for row in rows), str(rows[-1]["number"]) if more else None)

    async def revision(self, guild_id: GuildId, revision_id: UUID) -> Revision:
        """Raises RevisionNotFoundError, also when the revision is another guild's."""

        async def unit(con: Connection) -> asyncpg.Record | None:
            return await con.fetchrow(
                "select * from revisions where guild_id = $1 and id = $2", guild_id, revision_id
            )

        row = await self._db.run(unit, idempotent=True)
        if row is None:
            raise _not_found(revision_id)
        return _revision(row)

    async def bundle(self, guild_id: GuildId, revision_id: UUID) -> Bundle:
        """Code, source map and source files of a revision, to show it or to roll back to it.

        Raises RevisionNotFoundError, also when the revision is another guild's.
        """

        async def unit(con: Connection) -> asyncpg.Record | None:
            return await con.fetchrow(
                """select b.* from revisions r join bundles b on b.sha256 = r.bundle_sha256
                   where r.guild_id = $1 and r.id = $2""",
                guild_id,
                revision_id,
            )

        row = await self._db.run(unit, idempotent=True)
        if row is None:
            raise _not_found(revision_id)
        return Bundle(
            entry_point=row["entry_point"],
            code=row["code"].decode(),
            source_map=row["source_map"].decode(),
            files=_decode_files(row["files"]),
        )

    async def files(self, guild_id: GuildId, revision_id: UUID) -> tuple[SourceFile, ...]:
        """The source files of a revision. Raises RevisionNotFoundError."""

        async def unit(con: Connection) -> asyncpg.Record | None:
            return await con.fetchrow(
                """select b.files from revisions r join bundles b on b.sha256 = r.bundle_sha256
                   where r.guild_id = $1 and r.id = $2""",
                guild_id,
                revision_id,
            )

        row = await self._db.run(unit, idempotent=True)
        if row is None:
            raise _not_found(revision_id)
        return _decode_files(row["files"])

    async def remove(self, guild_id: GuildId) -> bool:
        """The guild runs nothing from now on; its history stays. False when nothing was deployed."""

        async def unit(con: Connection) -> bool:
            await _lock(con, guild_id)
            status = await con.execute("delete from deployments where guild_id = $1", guild_id)
            return status != "DELETE 0"

        return await self._db.transact(unit)

    async def forget(self, guild_id: GuildId) -> None:
        """Remove the guild's deployment and all its history."""

        async def unit(con: Connection) -> list[bytes]:
            await _lock(con, guild_id)
            await con.execute("delete from deployments where guild_id = $1", guild_id)
            rows = await con.fetch(
                "delete from revisions where guild_id = $1 returning bundle_sha256", guild_id
            )
            return [row["bundle_sha256"] for row in rows]

        await self._drop_unused(await self._db.transact(unit))

    async def prune(self, guild_id: GuildId) -> int:
        """Remove the guild's revisions beyond the retention, and bundles that nothing refers to any more.

        Returns how many revisions were removed.
        """
        oldest = datetime.now(UTC) - self._retention.max_age

        # Successes and failures are counted apart: a run of failed deploys must not drive out what one could
        # roll back to.
        async def unit(con: Connection) -> list[bytes]:
            await _lock(con, guild_id)
            rows = await con.fetch(
                """delete from revisions where id in (
                       select id from (
                           select id, deployed_at,
                                  row_number() over (partition by status order by number desc) as place
                           from revisions where guild_id = $1) as history
                       where (deployed_at < $2 or place > $3)
                       and id not in (select revision_id from deployments where guild_id = $1))
                   returning bundle_sha256""",
                guild_id,
                oldest,
                self._retention.max_revisions,
            )
            return [row["bundle_sha256"] for row in rows]

        removed = await self._db.transact(unit)
        await self._drop_unused(removed)
        return len(removed)

    async def sweep(self) -> None:
        """Remove bundles left by a crash between a revision's removal and its bundle's. To be run at
        start.
        """

        async def unit(con: Connection) -> list[bytes]:
            rows = await con.fetch(
                """select sha256 from bundles b
                   where not exists (select from revisions r where r.bundle_sha256 = b.sha256)"""
            )
            return [row["sha256"] for row in rows]

        await self._drop_unused(await self._db.run(unit, idempotent=True))

    async def _record(self, new: NewRevision, error: str | None) -> Revision:
        bundle = new.bundle
        files = _encode_files(bundle.files)
        code, source_map = _utf8(bundle.code, "the code"), _utf8(bundle.source_map, "the source map")
        digest = _digest(_utf8(bundle.entry_point, "the entry point"), code, source_map, files)
        revision_id = uuid4()

        async def unit(con: Connection) -> Revision:
            await _lock(con, new.guild_id)
            # Touches the row even when it is there: that holds off the collection of unused bundles.
            await con.execute(
                """insert into bundles (sha256, entry_point, code, source_map, files)
                   values ($1, $2, $3, $4, $5) on conflict (sha256) do update set used_at = now()""",
                digest,
                no_nul(bundle.entry_point),
                code,
                source_map,
                files,
            )
            base = await con.fetchrow(
                """select r.id, b.files from deployments d join revisions r on r.id = d.revision_id
                   join bundles b on b.sha256 = r.bundle_sha256 where d.guild_id = $1""",
                new.guild_id,
            )
            summary = _summary(_decode_files(base["files"]) if base else (), bundle.files)
            row = await con.fetchrow(
                """insert into revisions (id, guild_id, entry_point, status, source, actor_kind,
                       actor_user_id, actor_username, error, build_id, base_revision_id,
                       added_files, removed_files, modified_files, bundle_sha256)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
                   on conflict (id) do nothing returning *""",
                revision_id,
                new.guild_id,
                no_nul(bundle.entry_point),
                "success" if error is None else "failed",
                new.source,
                new.actor.kind,
                new.actor.user_id,
                new.actor.username and no_nul(new.actor.username),
                None if error is None else no_nul(error),
                new.build_id and no_nul(new.build_id),
                base and base["id"],
                summary and summary.added_files,
                summary and summary.removed_files,
                summary and summary.modified_files,
                digest,
            )
            if row is None:  # an attempt that lost its connection in the commit had been applied
                row = await con.fetchrow("select * from revisions where id = $1", revision_id)
                assert row is not None
                return _revision(row)
            if error is None:
                await con.execute(
                    """insert into deployments (guild_id, revision_id) values ($1, $2)
                       on conflict (guild_id) do update
                       set revision_id = excluded.revision_id, updated_at = now()""",
                    new.guild_id,
                    row["id"],
                )
            return _revision(row)

        return await self._db.transact(unit, idempotent=True)

    async def _prune_quietly(self, guild_id: GuildId) -> None:
        try:
            await self.prune(guild_id)
        except DatabaseError as error:
            log.warning("history not pruned", guild_id=guild_id, error=str(error))

    async def _drop_unused(self, candidates: Iterable[bytes]) -> None:
        """Delete those bundles that no revision refers to.

        Two statements: after the first holds the rows, no transaction can begin to refer to them, and the
        second sees every reference made before. One order of locking, so that two of these cannot deadlock.
        """
        hashes = sorted(set(candidates))
        if not hashes:
            return

        async def unit(con: Connection) -> None:
            await con.execute("select from bundles where sha256 = any($1) order by sha256 for update", hashes)
            await con.execute(
                """delete from bundles b where sha256 = any($1)
                   and not exists (select from revisions r where r.bundle_sha256 = b.sha256)""",
                hashes,
            )

        await self._db.transact(unit)


_DEPLOYMENTS: Final = """
    select d.guild_id, d.revision_id, d.created_at, d.updated_at, r.entry_point, r.build_id,
        r.bundle_sha256
    from deployments d join revisions r on r.id = d.revision_id"""
_DEPLOYMENTS_WITH_CODE: Final = """
    select d.guild_id, d.revision_id, d.created_at, d.updated_at, r.entry_point, r.build_id,
        b.code, b.source_map
    from deployments d join revisions r on r.id = d.revision_id
    join bundles b on b.sha256 = r.bundle_sha256"""


async def _lock(con: Connection, guild_id: GuildId) -> None:
    await con.execute("select pg_advisory_xact_lock($1, hashtext($2))", LOCK_CLASS, guild_id)


def _head(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "guild_id": GuildId(row["guild_id"]),
        "entry_point": row["entry_point"],
        "revision_id": row["revision_id"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "build_id": row["build_id"],
    }


def _deployment(row: asyncpg.Record, code: str, source_map: str) -> Deployment:
    return Deployment(**_head(row), code=code, source_map=source_map)


def _revision(row: asyncpg.Record) -> Revision:
    summary = None
    if row["added_files"] is not None:
        summary = ChangeSummary(row["added_files"], row["removed_files"], row["modified_files"])
    return Revision(
        id=row["id"],
        guild_id=GuildId(row["guild_id"]),
        entry_point=row["entry_point"],
        status=row["status"],
        deployed_at=row["deployed_at"],
        source=row["source"],
        actor=Actor(row["actor_kind"], row["actor_user_id"], row["actor_username"]),
        error=row["error"],
        build_id=row["build_id"],
        base_revision_id=row["base_revision_id"],
        change_summary=summary,
    )


def _summary(before: Sequence[SourceFile], after: Sequence[SourceFile]) -> ChangeSummary | None:
    if not before and not after:
        return None
    old = {file.path: file.contents for file in before}
    new = {file.path: file.contents for file in after}
    return ChangeSummary(
        added_files=len(new.keys() - old.keys()),
        removed_files=len(old.keys() - new.keys()),
        modified_files=sum(1 for path in new.keys() & old.keys() if new[path] != old[path]),
    )


def _digest(*parts: bytes) -> bytes:
    """SHA-256 over the parts, each headed by its length, so that no two bundles run into each other."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _encode_files(files: Sequence[SourceFile]) -> bytes:
    try:
        return msgspec.json.encode(files)
    except UnicodeEncodeError as error:
        raise InvalidBundleError(f"a source file is not valid Unicode: {error.reason}.") from error


def _decode_files(data: bytes) -> tuple[SourceFile, ...]:
    return msgspec.json.decode(data, type=tuple[SourceFile, ...])


def _utf8(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidBundleError(f"{what} is not valid Unicode: {error.reason}.") from error


def _not_found(revision_id: UUID) -> RevisionNotFoundError:
    return RevisionNotFoundError(f"there is no revision {revision_id} of this guild.")
