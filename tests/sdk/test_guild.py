"""`guild`: what the host knows of the script's guild."""

from __future__ import annotations

import json
from typing import Any

from flora.engine.host import Engine

from .guilds import GUILD, Answer, guild, message

CHANNEL = {"id": "20", "type": 0, "name": "general", "parentId": None}
THREAD = {"id": "21", "type": 11, "name": "weeds", "parentId": "20"}
ROLE = {"id": "55", "name": "Gardener"}
ANSWERS: dict[str, Answer] = {
    "guild_info": {"id": GUILD, "name": "Garden"},
    "guild_channels": [CHANNEL],
    "guild_threads": [THREAD],
    "guild_roles": [ROLE],
    "guild_me": {"userId": "2", "roles": ["55"]},
    "guild_permissions": "2048",
    "fetch_member": {"user": {"id": "44", "username": "ann"}, "roles": ["55"], "joined_at": "2024"},
}


async def asked(engine: Engine, expression: str) -> tuple[Any, list[Any]]:
    """What an expression comes to, and the ops that it took."""
    script = f"on('messageCreate', async () => console.log(JSON.stringify([{expression}])));"
    async with guild(engine, script, ANSWERS) as bot:
        ops = await bot.dispatch("MESSAGE_CREATE", message())
        return json.loads(bot.host.logs[0][1])[0], ops


async def test_what_there_is(engine: Engine) -> None:
    for expression, value in {
        "guild.id": GUILD,
        "(await guild.info()).name": "Garden",
        "await guild.channels()": [CHANNEL],
        "await guild.threads()": [THREAD],
        "await guild.channel('20')": CHANNEL,
        "await guild.channel('21')": THREAD,
        "await guild.channel('22')": None,
        "await guild.roles()": [ROLE],
        "await guild.role('55')": ROLE,
        "await guild.role('56')": None,
        "(await guild.me()).roles": ["55"],
        "await guild.permissions()": "2048",
        "await guild.can('SendMessages')": True,
        "await guild.can(['SendMessages', 'ManageMessages'])": False,
    }.items():
        assert (await asked(engine, expression))[0] == value, expression


async def test_a_member_has_the_shape_of_events(engine: Engine) -> None:
    found, ops = await asked(engine, "await guild.member('44')")
    assert found["user"]["globalName"] is None
    assert found["joinedAt"] == "2024"
    assert ops == [("fetch_member", {"userId": "44"})]


async def test_permissions_of_others_in_a_channel(engine: Engine) -> None:
    _, ops = await asked(engine, "await guild.can('SendMessages', { userId: '44', channelId: '20' })")
    assert ops == [("guild_permissions", {"userId": "44", "channelId": "20"})]
