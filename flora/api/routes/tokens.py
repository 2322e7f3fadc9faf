"""`/tokens`: API tokens for scripts and command lines; made once, shown once, with a scope and an end."""

from __future__ import annotations

from datetime import timedelta

from quart import Blueprint, g
from quart_schema import tag_blueprint

from flora.api.auth import Identity, Permission, requires
from flora.api.auth_models import NewTokenModel, RevokedModel, TokenBody, TokenModel, TokensModel
from flora.api.authenticator import OPERATOR_OWNER
from flora.api.openapi import answers, takes
from flora.api.services import Services
from flora.errors import FloraError
from flora.ids import Snowflake, parse_guild_id
from flora.storage.tokens import ApiToken

blueprint = Blueprint("tokens", __name__)
tag_blueprint(blueprint, ["tokens"])


class TokenNotFoundError(FloraError):
    code = "TOKEN_NOT_FOUND"


@blueprint.get("/tokens")
@answers(TokensModel)
@requires(Permission.PERSON)
async def list_tokens() -> TokensModel:
    """The caller's API tokens: scope, end and last use"""
    services: Services = g.services
    return TokensModel(items=[token_model(token) for token in await services.tokens.list(_owner())])


@blueprint.post("/tokens")
@answers(NewTokenModel, status=201, fails=[409])
@requires(Permission.PERSON)
@takes(TokenBody)
async def create_token(body: TokenBody) -> tuple[NewTokenModel, int]:
    """Make an API token

    Its text is in this answer and nowhere else. It acts for its user where they may manage the guild, and
    within its scope; one that the operator makes is bound by its scope alone. API tokens make no tokens.
    """
    services: Services = g.services
    token, text = await services.tokens.create(
        _owner(),
        label=body.label,
        rights=body.rights,
        guild_ids=None if body.guild_ids is None else [parse_guild_id(each) for each in body.guild_ids],
        lifetime=None if body.lifetime_days is None else timedelta(days=body.lifetime_days),
    )
    return NewTokenModel(token=text, **token_model(token).model_dump()), 201


@blueprint.delete("/tokens/<token_id>")
@answers(RevokedModel)
@requires(Permission.PERSON)
async def revoke_token(token_id: str) -> RevokedModel:
    """Revoke one of the caller's tokens; it is refused from now on"""
    services: Services = g.services
    if not await services.tokens.revoke(_owner(), token_id):
        raise TokenNotFoundError("you have no token with this id.")
    return RevokedModel(revoked=token_id)


def token_model(token: ApiToken) -> TokenModel:
    return TokenModel(
        id=token.id,
        label=token.label,
        rights=token.rights,
        guild_ids=None if token.guild_ids is None else list(token.guild_ids),
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
    )


def _owner() -> Snowflake:
    identity: Identity = g.identity
    return Snowflake(OPERATOR_OWNER if identity.user_id is None else identity.user_id)
