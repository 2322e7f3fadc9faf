"""`/audit`: who wrote what."""

from __future__ import annotations

from dataclasses import asdict

from quart import Blueprint, g
from quart_schema import tag_blueprint

from flora.api.auth import Identity, Permission, authorize_guild, requires
from flora.api.auth_models import AuditEntryModel, AuditModel, AuditQuery
from flora.api.openapi import answers, takes_query
from flora.api.services import Services
from flora.ids import parse_guild_id

blueprint = Blueprint("audit", __name__)
tag_blueprint(blueprint, ["audit"])


@blueprint.get("/audit")
@answers(AuditModel)
@requires(Permission.IDENTIFIED)
@takes_query(AuditQuery)
async def audit_log(query_args: AuditQuery) -> AuditModel:
    """The audit log: every write, newest first

    With `guild_id` for whoever administers that guild; without for the operator.
    """
    services: Services = g.services
    identity: Identity = g.identity
    guild_id = None if query_args.guild_id is None else parse_guild_id(query_args.guild_id)
    if guild_id is None:
        await services.authenticator.authorize(identity, Permission.OPERATE, None)
    else:
        await authorize_guild(Permission.GUILD_ADMIN, guild_id)
    page = await services.audit.page(
        guild_id=guild_id, user_id=query_args.user_id, limit=query_args.limit, cursor=query_args.cursor
    )
    return AuditModel(
        items=[AuditEntryModel.model_validate(asdict(entry)) for entry in page.entries],
        next_cursor=page.cursor,
    )
