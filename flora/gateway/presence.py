"""What members see of the bot: its status and what it is doing.

Source: Discord, Gateway Events, "Gateway Presence Update Structure" and "Activity Types".
"""

from __future__ import annotations

from typing import Any, Final, Literal

Status = Literal["online", "idle", "dnd", "invisible"]
ActivityType = Literal["custom", "playing", "listening", "watching", "competing"]

ACTIVITY_TYPES: Final[dict[ActivityType, int]] = {
    "playing": 0,
    "listening": 2,
    "watching": 3,
    "custom": 4,
    "competing": 5,
}


def presence(
    status: Status, activity: str | None = None, activity_type: ActivityType = "custom"
) -> dict[str, Any] | None:
    """`presence` of IDENTIFY; None for what Discord assumes anyway."""
    if status == "online" and activity is None:
        return None
    activities: list[dict[str, Any]] = []
    if activity is not None:
        shown: dict[str, Any] = {"name": activity, "type": ACTIVITY_TYPES[activity_type]}
        if activity_type == "custom":  # its text is its state, and its name is never shown
            shown |= {"name": "Custom Status", "state": activity}
        activities.append(shown)
    return {"since": None, "activities": activities, "status": status, "afk": False}
