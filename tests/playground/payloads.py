"""Gateway payloads against Discord's description: which schema describes which part of which dispatch.

The description is of REST. Where the gateway sends the same object, it must have the same shape, but for what
the gateway adds (Discord, Gateway Events: "Message Create", "Guild Create").
"""

from __future__ import annotations

from typing import Any

from tests import openapi

Json = dict[str, Any]

MESSAGE_ADDS = {"guild_id", "member", "channel_type"}
GUILD_ADDS = {
    "channels",
    "members",
    "threads",
    "presences",
    "voice_states",
    "stage_instances",
    "guild_scheduled_events",
    "soundboard_sounds",
    "joined_at",
    "large",
    "member_count",
    "unavailable",
}


def problems(name: str, data: Json) -> list[str] | None:
    """What is wrong with a dispatch; None when the description has nothing to say about it."""
    match name:
        case "READY":
            return openapi.check_schema("UserPIIResponse", data["user"])
        case "MESSAGE_CREATE" | "MESSAGE_UPDATE":
            found = openapi.check_schema("MessageResponse", _without(data, MESSAGE_ADDS))
            return found + _partial_member(data.get("member"))
        case "GUILD_CREATE":
            found = openapi.check_schema("GuildResponse", _without(data, GUILD_ADDS))
            for channel in data["channels"]:
                found += openapi.check_schema("GuildChannelResponse", channel | {"guild_id": data["id"]})
            for member in data["members"]:
                found += openapi.check_schema("GuildMemberResponse", member)
            return found
        case "CHANNEL_CREATE" | "CHANNEL_UPDATE" | "CHANNEL_DELETE":
            return openapi.check_schema("GuildChannelResponse", data)
        case "THREAD_CREATE" | "THREAD_UPDATE":
            return openapi.check_schema("ThreadResponse", data)
        case "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE":
            return openapi.check_schema("GuildRoleResponse", data["role"])
        case "GUILD_MEMBER_ADD" | "GUILD_MEMBER_UPDATE":
            return openapi.check_schema("GuildMemberResponse", data)
        case "GUILD_BAN_ADD" | "GUILD_BAN_REMOVE" | "GUILD_MEMBER_REMOVE":
            return openapi.check_schema("UserResponse", data["user"])
        case "INTERACTION_CREATE":
            found = openapi.check_schema("GuildMemberResponse", data["member"]) if "member" in data else []
            if "message" in data:
                found += openapi.check_schema("MessageResponse", data["message"])
            return found
        case _:
            return None


def _partial_member(member: Json | None) -> list[str]:
    """Of a message: without its user, who is the author."""
    found = [] if member is None else openapi.check_schema("GuildMemberResponse", member)
    return [each for each in found if each != "$: user is missing"]


def _without(data: Json, names: set[str]) -> Json:
    return {key: value for key, value in data.items() if key not in names}
