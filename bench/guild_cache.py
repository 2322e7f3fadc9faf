"""What the guild cache of 2,500 guilds costs: memory, and the time of one GUILD_CREATE.

    python -m bench.guild_cache [--guilds 2500]

2,500 guilds is where Discord demands another shard. The guilds have the sizes that communities have: most are
small, a few have Discord's maximum of 500 channels and 250 roles. Memory is the process's resident set before
and after, with everything freed that can be; the payloads are made one at a time and not kept.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import time
from typing import Any

import psutil

from bench.report import Report
from flora.gateway.events import GatewayEvent
from flora.gateway.guilds import GuildCache
from flora.ids import EventId, GuildId

BOT = "300000000000000001"
SIZES = ((0.70, 15, 8), (0.25, 60, 40), (0.045, 200, 100), (0.005, 500, 250))
"""Share of the guilds, channels, roles."""


def guild(number: int, chance: random.Random) -> dict[str, Any]:
    """GUILD_CREATE as Discord sends it, without members but the bot."""
    _, channels, roles = chance.choices(SIZES, weights=[size[0] for size in SIZES])[0]
    guild_id = str(10**17 + number * 10**6)
    role_ids = [guild_id, *(str(int(guild_id) + 1000 + each) for each in range(roles - 1))]
    return {
        "id": guild_id,
        "name": f"A guild of {channels} channels {number}",
        "icon": f"{chance.getrandbits(128):032x}",
        "owner_id": str(6 * 10**17 + number),
        "unavailable": False,
        "large": channels > 60,
        "member_count": channels * 20,
        "roles": [
            {
                "id": role_id,
                "name": f"Role {index} {chance.choice(['helpers', 'gardeners', 'moderators'])}",
                "color": chance.getrandbits(24),
                "hoist": index < 5,
                "icon": None,
                "unicode_emoji": None,
                "position": index,
                "permissions": str(chance.getrandbits(46)),
                "managed": False,
                "mentionable": True,
                "flags": 0,
            }
            for index, role_id in enumerate(role_ids)
        ],
        "channels": [channel(guild_id, index, role_ids, chance) for index in range(channels)],
        "threads": [
            {**channel(guild_id, 10_000 + index, [], chance), "type": 11, "owner_id": BOT}
            for index in range(channels // 6)
        ],
        "members": [{"user": {"id": BOT}, "roles": role_ids[1:3], "nick": None, "flags": 0}],
        "emojis": [],
        "stickers": [],
    }


def channel(guild_id: str, index: int, roles: list[str], chance: random.Random) -> dict[str, Any]:
    return {
        "id": str(int(guild_id) + 5000 + index),
        "type": 0,
        "name": f"channel-{chance.choice(['roses', 'tulips', 'announcements', 'off-topic'])}-{index}",
        "parent_id": str(int(guild_id) + 5000),
        "position": index,
        "nsfw": False,
        "topic": "What is talked about here",
        "last_message_id": str(chance.getrandbits(60)),
        "rate_limit_per_user": 0,
        "permission_overwrites": [
            {"id": role, "type": 0, "allow": str(chance.getrandbits(40)), "deny": "1024"}
            for role in roles[: chance.randrange(4)]
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--guilds", type=int, default=2500)
    measure(parser.parse_args().guilds)


def measure(count: int) -> None:
    chance = random.Random(1)
    cache = GuildCache()
    cache.observe(event(guild(10**6, chance)))  # what is loaded once
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    seconds = 0.0
    for number in range(count):
        one = event(guild(number, chance))
        began = time.perf_counter()
        cache.observe(one)
        seconds += time.perf_counter() - began
    gc.collect()
    megabytes = (process.memory_info().rss - before) / 2**20
    report = Report("guild_cache", "The guild cache", {"guilds": count})
    report.add("memory", "flora", megabytes, unit="MB", target="<= 60 MB of 2,500 guilds")
    report.add("one GUILD_CREATE", "flora", seconds / count * 1e6, unit="us")
    report.write()


def event(payload: dict[str, Any]) -> GatewayEvent:
    guild_id = GuildId(payload["id"])
    return GatewayEvent(EventId(0, "s", 1), "GUILD_CREATE", guild_id, json.dumps(payload).encode(), 0.0)


if __name__ == "__main__":
    main()
