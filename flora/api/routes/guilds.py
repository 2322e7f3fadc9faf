"""`/guilds`: how each guild's runtime is; move it, start it anew, pause it."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Final

from quart import Blueprint, g
from quart_schema import tag_blueprint

from flora.actors.core import GuildNotDeployedError
from flora.actors.deployer import GuildPausedError
from flora.actors.status import Condition, GuildStatus, stopped
from flora.api.auth import Permission, author, requires
from flora.api.errors import InvalidRequestError
from flora.api.models import (
    GuildLimitsModel,
    GuildModel,
    GuildPageQuery,
    GuildsModel,
    LimitModel,
    MigrateBody,
    MigrationModel,
)
from flora.api.openapi import answers, takes, takes_query
from flora.api.paging import visible_page
from flora.api.services import Services
from flora.ids import GuildId

QUARANTINE_FAILURES: Final = 3
"""Starts or processes lost in a row, before a guild that waits for its next start counts as quarantined."""

blueprint = Blueprint("guilds", __name__)
tag_blueprint(blueprint, ["guilds"])


@blueprint.get("/guilds")
@answers(GuildsModel)
@requires(Permission.GUILD_READ)
@takes_query(GuildPageQuery)
async def list_guilds(query_args: GuildPageQuery) -> GuildsModel:
    """How the runtimes of the guilds are that the caller may see"""
    page, cursor = await visible_page(
        _with_script, lambda guild_id: guild_id, limit=query_args.limit, cursor=query_args.cursor
    )
    return GuildsModel(items=[_model(_known(guild_id)) for guild_id in page], next_cursor=cursor)


@blueprint.get("/guilds/<guild_id>")
@answers(GuildModel)
@requires(Permission.GUILD_READ)
async def get_guild(guild_id: GuildId) -> GuildModel:
    """How this guild's runtime is, and what it uses of what it may use"""
    return await _detailed(_known(guild_id))


@blueprint.post("/runtime/guilds/<guild_id>/migrate")
@answers(MigrationModel, fails=[409, 503])
@requires(Permission.GUILD_DEPLOY)
@takes(MigrateBody)
async def migrate(guild_id: GuildId, body: MigrateBody) -> MigrationModel:
    """Move this guild to another worker, with its live process

    Answers when the move has ended, with its outcome. To ask twice for the same target is to ask once;
    while a move to another target is under way, the answer is 409.
    """
    services: Services = g.services
    target = body.target_worker
    count = len(services.runtime.workers())
    if target >= count:
        problem = f"is {target}; the workers are numbered 0 to {count - 1}"
        raise InvalidRequestError(
            f"target_worker: {problem}", [{"field": "target_worker", "problem": problem}]
        )
    done = await services.runtime.migrate_guild_runtime(guild_id, target)
    if done is None:
        return MigrationModel(
            guild_id=guild_id, outcome="already_there", source=target, target=target, worker=target
        )
    return MigrationModel(
        guild_id=guild_id,
        outcome=done.outcome,
        source=done.source,
        target=done.target,
        worker=done.worker,
        reason=done.reason or None,
    )


@blueprint.post("/deployments/<guild_id>/restart")
@answers(GuildModel, fails=[409, 503, 504])
@requires(Permission.GUILD_DEPLOY)
async def restart(guild_id: GuildId) -> GuildModel:
    """Start this guild's script anew, with a fresh heap

    It takes its place behind the events that have started; those that wait are handled by the new process.
    When the script does not load any more, the answer is 422 and the present process goes on.
    """
    services: Services = g.services
    if guild_id in services.deployer.paused:
        raise GuildPausedError(guild_id)
    await services.runtime.restart(guild_id)
    return _model(_known(guild_id))


@blueprint.post("/deployments/<guild_id>/pause")
@answers(GuildModel, fails=[409, 504])
@requires(Permission.GUILD_DEPLOY)
async def pause(guild_id: GuildId) -> GuildModel:
    """Stop this guild's script until it is resumed

    Over restarts of flora too. Its deployment stays; until then a deploy is refused with 409. To pause twice
    is no error.
    """
    services: Services = g.services
    await services.deployer.pause(guild_id, author(g.identity))
    return _model(_known(guild_id))


@blueprint.post("/deployments/<guild_id>/resume")
@answers(GuildModel, fails=[409, 504])
@requires(Permission.GUILD_DEPLOY)
async def resume(guild_id: GuildId) -> GuildModel:
    """Start this guild's paused script again

    When it does not load any more, the answer is 422 and it stays paused; not paused is 409.
    """
    services: Services = g.services
    await services.deployer.unpause(guild_id)
    return _model(_known(guild_id))


async def _with_script(after: int, limit: int, among: Collection[GuildId] | None) -> list[GuildId]:
    """Guilds that have a script, also those that were paused before flora started; as `paging.Read`."""
    services: Services = g.services
    if among is None:
        paused = services.deployer.paused.after(after, limit)
        both = {*services.runtime.guild_ids(after, limit), *paused}
        return sorted(both, key=int)[:limit]
    behind = sorted((each for each in among if int(each) > after), key=int)
    return list(islice((each for each in behind if _status(each) is not None), limit))


def _status(guild_id: GuildId) -> GuildStatus | None:
    services: Services = g.services
    status = services.runtime.guild(guild_id)
    if status is None and guild_id in services.deployer.paused:
        status = stopped(guild_id)
    return status


def _known(guild_id: GuildId) -> GuildStatus:
    if (status := _status(guild_id)) is None:
        raise GuildNotDeployedError(guild_id)
    return status


async def _detailed(status: GuildStatus) -> GuildModel:
    services: Services = g.services
    quotas = services.quotas
    usage = await services.usage(status.guild_id, status.pid)
    limits = GuildLimitsModel(
        memory_bytes=LimitModel(used=usage.memory_bytes, limit=quotas.heap_bytes),
        queue=LimitModel(used=status.waiting, limit=quotas.queue_capacity),
        in_flight=LimitModel(used=status.in_flight, limit=quotas.concurrency),
        kv_bytes=LimitModel(used=usage.kv_bytes, limit=quotas.kv_bytes),
        secrets=LimitModel(used=usage.secrets, limit=quotas.secrets),
        cpu_ms=quotas.cpu_ms,
        dispatch_timeout_secs=quotas.dispatch_timeout_secs,
    )
    return _model(status).model_copy(
        update={
            "memory_bytes": usage.memory_bytes,
            "cpu_seconds": usage.cpu_seconds,
            "limits": limits,
        }
    )


def _word(status: GuildStatus) -> str:
    """How a guild is, in one word: what its actor says, and what only the API knows."""
    services: Services = g.services
    if status.guild_id in services.deployer.paused:
        return "paused"
    if status.condition is Condition.RESTARTING and status.failures >= QUARANTINE_FAILURES:
        return "quarantined"
    return status.condition.value


def _model(status: GuildStatus) -> GuildModel:
    return GuildModel(
        guild_id=status.guild_id,
        status=_word(status),
        worker=status.worker,
        epoch=status.epoch,
        pid=status.pid,
        waiting=status.waiting,
        in_flight=status.in_flight,
        failures=status.failures,
        moving_to=status.moving_to,
        move_phase=status.move_phase,
        resumes_in=status.resumes_in,
        last_error=status.last_error,
    )
