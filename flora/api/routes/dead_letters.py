"""`/guilds/{guild}/dead-letters`: events that a script could not handle; look, try again, drop."""

from __future__ import annotations

from typing import Any

import msgspec
from quart import Blueprint, g
from quart_schema import tag_blueprint

from flora.actors.dead_letters import DeadLetterNotFoundError
from flora.api.auth import Permission, requires
from flora.api.models import DeadLetterModel, DeadLettersModel, DeadLettersQuery
from flora.api.openapi import answers, takes_query
from flora.api.services import Services
from flora.ids import GuildId
from flora.storage.dead_letters import DeadLetter

blueprint = Blueprint("dead_letters", __name__)
tag_blueprint(blueprint, ["dead letters"])


@blueprint.get("/guilds/<guild_id>/dead-letters")
@answers(DeadLettersModel, fails=[503])
@requires(Permission.GUILD_READ)
@takes_query(DeadLettersQuery)
async def list_letters(guild_id: GuildId, query_args: DeadLettersQuery) -> DeadLettersModel:
    """Events that this guild's script could not handle, newest first"""
    services: Services = g.services
    page = await services.dead_letters.page(guild_id, query_args.limit, query_args.cursor)
    return DeadLettersModel(items=[_model(letter) for letter in page.letters], next_cursor=page.cursor)


@blueprint.get("/guilds/<guild_id>/dead-letters/<letter_id>")
@answers(DeadLetterModel, fails=[503])
@requires(Permission.GUILD_READ)
async def get_letter(guild_id: GuildId, letter_id: str) -> DeadLetterModel:
    """One of them, with what Discord sent"""
    services: Services = g.services
    letter = await services.dead_letters.get(guild_id, _number(guild_id, letter_id))
    return _model(letter, payload=_decoded(letter.payload))


@blueprint.post("/guilds/<guild_id>/dead-letters/<letter_id>/replay")
@answers(DeadLetterModel, fails=[503])
@requires(Permission.GUILD_DEPLOY)
async def replay(guild_id: GuildId, letter_id: str) -> DeadLetterModel:
    """Give the event to this guild's script again, behind what waits

    It stays until the event has been handled; when that fails again, it is the same dead letter, with the
    attempts added up.
    """
    services: Services = g.services
    return _model(await services.dead_letters.replay(guild_id, _number(guild_id, letter_id)))


@blueprint.delete("/guilds/<guild_id>/dead-letters/<letter_id>")
@answers(DeadLetterModel, fails=[503])
@requires(Permission.GUILD_DEPLOY)
async def drop(guild_id: GuildId, letter_id: str) -> DeadLetterModel:
    """Remove it for good"""
    services: Services = g.services
    return _model(await services.dead_letters.drop(guild_id, _number(guild_id, letter_id)))


def _number(guild_id: GuildId, text: str) -> int:
    """The id in the path. Not a converter in the route: quart-schema garbles one behind a plain argument."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise DeadLetterNotFoundError(guild_id, text)
    return int(text)


def _decoded(payload: bytes) -> Any:
    """As JSON; as text should it be none."""
    try:
        return msgspec.json.decode(payload)
    except msgspec.DecodeError:
        return payload.decode("utf-8", "replace")


def _model(letter: DeadLetter, *, payload: Any = None) -> DeadLetterModel:
    return DeadLetterModel(
        id=letter.id,
        guild_id=letter.guild_id,
        event_id=letter.event_id,
        name=letter.name,
        attempts=letter.attempts,
        reason=letter.reason,
        at=letter.at,
        payload=payload,
    )
