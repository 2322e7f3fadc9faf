"""Discord's REST API, the routes that bots use, by resource."""

from __future__ import annotations

from typing import Final

from flora.playground.rest import (
    channels,
    commands,
    community,
    expressions,
    guilds,
    interactions,
    invites,
    members,
    messages,
    oauth,
    polls,
    reactions,
    records,
    users,
    voice,
    webhooks,
)

PARTS: Final = tuple(
    each.routes
    for each in (
        users,
        oauth,
        guilds,
        members,
        channels,
        messages,
        reactions,
        commands,
        interactions,
        webhooks,
        polls,
        expressions,
        invites,
        records,
        voice,
        community,
    )
)
