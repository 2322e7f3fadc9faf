"""Onboarding, welcome screen, widget, templates, integrations, prune and followers."""

from __future__ import annotations

from typing import Any

from flora.playground import community
from flora.playground import permissions as may
from flora.playground.forms import Form, is_snowflake
from flora.playground.rest.context import (
    caller,
    model,
    no_content,
    query_fault,
    query_int,
    query_texts,
    read_json,
    reason,
    reply,
)
from flora.playground.web import Answer, Routes

routes = Routes()
_GUILD = "/guilds/<guild_id>"
_TEMPLATE = _GUILD + "/templates/<code>"


@routes.get(_GUILD + "/onboarding")
async def onboarding(guild_id: str) -> Answer:
    return reply(community.onboarding(model().guild(guild_id, caller())))


@routes.put(_GUILD + "/onboarding")
async def set_onboarding(guild_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    changed = community.set_onboarding(model(), user, guild, await read_json())
    model().record(user, "ONBOARDING_UPDATE", guild_id, reason(), guild_id)
    return reply(changed)


@routes.get(_GUILD + "/welcome-screen")
async def welcome_screen(guild_id: str) -> Answer:
    user = caller()
    return reply(community.welcome_screen(model(), user, model().guild(guild_id, user)))


@routes.patch(_GUILD + "/welcome-screen")
async def set_welcome_screen(guild_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    changed = community.set_welcome_screen(model(), user, guild, await read_json())
    model().record(user, "GUILD_UPDATE", guild_id, reason(), guild_id)
    return reply(changed)


@routes.get(_GUILD + "/widget")
async def widget(guild_id: str) -> Answer:
    user = caller()
    return reply(community.widget(model(), user, model().guild(guild_id, user)))


@routes.patch(_GUILD + "/widget")
async def set_widget(guild_id: str) -> Answer:
    user = caller()
    changed = community.set_widget(model(), user, model().guild(guild_id, user), await read_json())
    model().record(user, "GUILD_UPDATE", guild_id, reason(), guild_id)
    return reply(changed)


@routes.put(_GUILD + "/incident-actions")
async def set_incidents(guild_id: str) -> Answer:
    user = caller()
    return reply(community.set_incidents(model(), user, model().guild(guild_id, user), await read_json()))


@routes.get(_GUILD + "/vanity-url")
async def vanity_url(guild_id: str) -> Answer:
    """No guild of the playground has one."""
    user = caller()
    model().require(model().guild(guild_id, user), user, may.MANAGE_GUILD)
    return reply({"code": None, "uses": 0})


@routes.get(_GUILD + "/integrations")
async def integrations(guild_id: str) -> Answer:
    user = caller()
    return reply(community.integrations(model(), user, model().guild(guild_id, user)))


@routes.delete(_GUILD + "/integrations/<integration_id>")
async def remove_integration(guild_id: str, integration_id: str) -> Answer:
    user = caller()
    community.remove_integration(model(), user, model().guild(guild_id, user), integration_id)
    model().record(user, "INTEGRATION_DELETE", integration_id, reason(), guild_id)
    return no_content()


@routes.get(_GUILD + "/prune")
async def prune_count(guild_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    days = query_int("days", default=community.INACTIVE_DAYS, least=1, most=30)
    roles = [each for text in query_texts("include_roles") for each in text.split(",") if each]
    if not all(map(is_snowflake, roles)):
        raise query_fault("include_roles", "NUMBER_TYPE_COERCE", "Value is not snowflake.")
    return reply({"pruned": len(community.inactive(model(), user, guild, days, roles))})


@routes.post(_GUILD + "/prune")
async def prune(guild_id: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    value: Any = await read_json()
    form = Form(value)
    days = form.integer("days", least=1, most=30) or community.INACTIVE_DAYS
    counts = form.boolean("compute_prune_count", default=True)
    if isinstance(form.data.get("include_roles"), str):
        form.data["include_roles"] = [each for each in form.data["include_roles"].split(",") if each]
    roles = form.snowflakes("include_roles", most=100) or []
    form.finish()
    pruned = community.prune(model(), user, guild, days, roles, reason())
    return reply({"pruned": pruned if counts else None})


@routes.get(_GUILD + "/templates")
async def templates(guild_id: str) -> Answer:
    user = caller()
    return reply(community.templates(model(), user, model().guild(guild_id, user)))


@routes.post(_GUILD + "/templates")
async def create_template(guild_id: str) -> Answer:
    user = caller()
    return reply(community.create_template(model(), user, model().guild(guild_id, user), await read_json()))


@routes.patch(_TEMPLATE)
async def change_template(guild_id: str, code: str) -> Answer:
    user = caller()
    guild = model().guild(guild_id, user)
    return reply(community.change_template(model(), user, guild, code, await read_json()))


@routes.put(_TEMPLATE)
async def sync_template(guild_id: str, code: str) -> Answer:
    user = caller()
    return reply(community.sync_template(model(), user, model().guild(guild_id, user), code))


@routes.delete(_TEMPLATE)
async def delete_template(guild_id: str, code: str) -> Answer:
    user = caller()
    return reply(community.delete_template(model(), user, model().guild(guild_id, user), code))


@routes.post("/channels/<channel_id>/followers")
async def follow(channel_id: str) -> Answer:
    user = caller()
    source = model().channel(channel_id, user)
    return reply(community.follow(model(), user, source, await read_json(), reason()))
