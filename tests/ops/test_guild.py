"""What a script is told of its guild: from the gateway, or after a restart from Discord, once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio

from flora.engine.api import OpError
from flora.gateway.events import GatewayEvent
from flora.gateway.permissions import ALL
from flora.ids import EventId, GuildId
from tests.ops.world import BOT, CHANNEL, FOREIGN, FOREIGN_CHANNEL, GUILD, MEMBER, THREAD, World

VIEW, SEND, SEND_IN_THREADS = 1 << 10, 1 << 11, 1 << 38
OPS = ("guild_info", "guild_channels", "guild_threads", "guild_roles", "guild_me", "guild_permissions")
OWNER = "161"
ROLES = [
    {"id": GUILD, "name": "@everyone", "permissions": str(VIEW | SEND | SEND_IN_THREADS)},
    {"id": "170", "name": "Gardener", "permissions": "2", "position": 1},
]
CHANNELS = [
    {
        "id": CHANNEL,
        "type": 0,
        "name": "general",
        "permission_overwrites": [
            {"id": GUILD, "type": 0, "allow": "0", "deny": str(SEND | SEND_IN_THREADS)},
            {"id": "170", "type": 0, "allow": str(SEND), "deny": "0"},
        ],
    }
]
THREADS = [{"id": THREAD, "type": 11, "name": "weeds", "parent_id": CHANNEL}]
ME = {"user": {"id": BOT}, "roles": ["170"], "nick": None}
GUILD_JSON = {"id": GUILD, "name": "Garden", "owner_id": OWNER, "icon": None, "roles": ROLES}


def arrive(discord: World) -> None:
    for name, guild, payload in (
        ("READY", None, {"user": {"id": BOT}}),
        ("GUILD_CREATE", GUILD, {**GUILD_JSON, "channels": CHANNELS, "threads": THREADS, "members": [ME]}),
    ):
        text = json.dumps(payload).encode()
        discord.guilds.observe(
            GatewayEvent(EventId(0, "s", 1), name, None if guild is None else GuildId(guild), text, 0.0)
        )


def answer(discord: World) -> None:
    discord.give("GET /users/@me", {"id": BOT})
    discord.give(f"GET /guilds/{GUILD}", GUILD_JSON)
    discord.give(f"GET /guilds/{GUILD}/channels", CHANNELS)
    discord.give(f"GET /guilds/{GUILD}/threads/active", {"threads": THREADS, "members": []})
    discord.give(f"GET /guilds/{GUILD}/members/{BOT}", ME)


async def all_of_it(discord: World) -> list[Any]:
    return [await discord.op(name, {}) for name in OPS]


async def test_the_gateways_guild_costs_no_request(discord: World) -> None:
    arrive(discord)
    info, channels, threads, roles, me, permissions = await all_of_it(discord)
    assert info == {"id": GUILD, "name": "Garden", "icon": None, "ownerId": OWNER}
    assert channels == [
        {
            "id": CHANNEL,
            "type": 0,
            "name": "general",
            "parentId": None,
            "position": 0,
            "nsfw": False,
            "permissionOverwrites": CHANNELS[0]["permission_overwrites"],
        }
    ]
    assert [(each["id"], each["parentId"]) for each in threads] == [(THREAD, CHANNEL)]
    assert [each["name"] for each in roles] == ["@everyone", "Gardener"]
    assert me == {"userId": BOT, "nick": None, "roles": ["170"], "communicationDisabledUntil": None}
    assert permissions == str(VIEW | SEND | SEND_IN_THREADS | 2)
    assert discord.asked == []


async def test_after_a_restart_discord_is_asked_once(discord: World) -> None:
    answer(discord)
    found: list[list[Any]] = []

    async def ask() -> None:
        found.append(await all_of_it(discord))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
    assert len(discord.asked) == 5
    arrive(discord)
    assert all(each == found[0] for each in [*found, await all_of_it(discord)])


async def test_another_guild_is_not_told_of(discord: World) -> None:
    arrive(discord)
    for name in OPS:
        with pytest.raises(OpError, match="guild is outside runtime scope"):
            await discord.op(name, {"guildId": FOREIGN})
    with pytest.raises(OpError, match="channel is outside runtime scope"):
        await discord.op("guild_permissions", {"channelId": FOREIGN_CHANNEL})


class TestPermissions:
    async def ask(self, discord: World, **subject: Any) -> int:
        return int(await discord.op("guild_permissions", subject))

    async def test_of_the_bot(self, discord: World) -> None:
        arrive(discord)
        assert await self.ask(discord, channelId=CHANNEL) == VIEW | SEND | 2
        assert await self.ask(discord, channelId=CHANNEL, userId=BOT) == VIEW | SEND | 2
        assert await self.ask(discord, channelId=THREAD) == VIEW | SEND | 2, "as in the thread's channel"
        assert discord.asked == []

    async def test_of_a_member_whose_roles_are_known(self, discord: World) -> None:
        arrive(discord)
        assert await self.ask(discord, userId=MEMBER, roles=[], channelId=CHANNEL) == VIEW
        assert await self.ask(discord, userId=MEMBER, roles=["170"], channelId=CHANNEL) == VIEW | SEND | 2
        assert discord.asked == []

    async def test_of_a_member_that_discord_tells_of(self, discord: World) -> None:
        arrive(discord)
        discord.give(f"GET /guilds/{GUILD}/members/{MEMBER}", {"user": {"id": MEMBER}, "roles": ["170"]})
        assert await self.ask(discord, userId=MEMBER, channelId=CHANNEL) == VIEW | SEND | 2
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        timed_out = {"user": {"id": MEMBER}, "roles": ["170"], "communication_disabled_until": until}
        discord.give(f"GET /guilds/{GUILD}/members/{MEMBER}", timed_out)
        assert await self.ask(discord, userId=MEMBER, channelId=CHANNEL) == VIEW

    async def test_of_the_owner(self, discord: World) -> None:
        arrive(discord)
        assert await self.ask(discord, userId=OWNER, roles=[], channelId=CHANNEL) == ALL

    async def test_of_a_stranger_there_are_none(self, discord: World) -> None:
        arrive(discord)
        discord.give(
            f"GET /guilds/{GUILD}/members/{MEMBER}", {"message": "Unknown Member", "code": 10007}, 404
        )
        with pytest.raises(OpError) as caught:
            await self.ask(discord, userId=MEMBER)
        assert caught.value.extra["discordCode"] == 10007

    async def test_in_an_archived_thread_which_the_gateway_does_not_tell_of(self, discord: World) -> None:
        arrive(discord)
        thread = {"id": "129", "type": 11, "guild_id": GUILD, "parent_id": CHANNEL}
        discord.give("GET /channels/129", thread)
        assert await self.ask(discord, channelId="129", userId=MEMBER, roles=[]) == VIEW
