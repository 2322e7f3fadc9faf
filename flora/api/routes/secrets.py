"""`/secrets`: set and remove a guild's secrets. No answer ever has a value."""

from __future__ import annotations

from quart import Blueprint, g
from quart_schema import tag_blueprint

from flora.api.auth import Permission, requires
from flora.api.kv_models import DeletedModel
from flora.api.openapi import answers, takes
from flora.api.secret_models import RotatedModel, SecretBody, SecretModel, SecretsModel
from flora.api.services import Services
from flora.ids import GuildId
from flora.storage.secrets import SecretInfo

blueprint = Blueprint("secrets", __name__)
tag_blueprint(blueprint, ["secrets"])


@blueprint.get("/secrets/<guild_id>")
@answers(SecretsModel, fails=[503])
@requires(Permission.GUILD_ADMIN)
async def list_secrets(guild_id: GuildId) -> SecretsModel:
    """The names of this guild's secrets, and where each may be sent"""
    services: Services = g.services
    return SecretsModel(items=[_model(info) for info in services.secrets.list(guild_id)])


@blueprint.put("/secrets/<guild_id>/<path:name>")
@answers(SecretModel, fails=[503])
@requires(Permission.GUILD_ADMIN)
@takes(SecretBody)
async def put_secret(guild_id: GuildId, name: str, body: SecretBody) -> SecretModel:
    """Set a secret

    A running script sees it at once. Without `allowed_hosts` it can be sent nowhere.
    """
    services: Services = g.services
    return _model(await services.secrets.put(guild_id, name, body.value, body.allowed_hosts))


@blueprint.delete("/secrets/<guild_id>/<path:name>")
@answers(DeletedModel, fails=[503])
@requires(Permission.GUILD_ADMIN)
async def delete_secret(guild_id: GuildId, name: str) -> DeletedModel:
    """Remove a secret; to do it twice is no error"""
    services: Services = g.services
    return DeletedModel(deleted=await services.secrets.delete(guild_id, name))


@blueprint.post("/secrets/rotate-key")
@answers(RotatedModel, fails=[500, 503])
@requires(Permission.OPERATE)
async def rotate_key() -> RotatedModel:
    """Encrypt all secrets with a new master key

    A key that flora made for itself is replaced by a new one; a configured one is what SECRETS_MASTER_KEY
    says now. May be repeated.
    """
    services: Services = g.services
    key_id, count = await services.secrets.rotate_key()
    return RotatedModel(key_id=key_id, rotated=count)


def _model(info: SecretInfo) -> SecretModel:
    return SecretModel(
        name=info.name,
        allowed_hosts=list(info.allowed_hosts),
        created_at=info.created_at,
        updated_at=info.updated_at,
    )
