"""What a gateway shard hands on: one dispatched event, its payload still the bytes that Discord sent."""

from __future__ import annotations

from dataclasses import dataclass

from flora.ids import EventId, GuildId


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """One `op 0` dispatch.

    `name` is Discord's (`MESSAGE_CREATE`); `guild_id` is None for events outside a guild;
    `payload` is the JSON text of `d`, UTF-8, unparsed; `received_at` is `trio.current_time()`.
    """

    id: EventId
    name: str
    guild_id: GuildId | None
    payload: bytes
    received_at: float
