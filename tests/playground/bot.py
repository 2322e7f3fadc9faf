"""A small bot that speaks to the playground as any bot does: gateway and REST, nothing else."""

from __future__ import annotations

from typing import Any

import httpx
import trio
from trio_websocket import ConnectionClosed

from flora.playground import BOT_TOKEN, PlaygroundInfo

from .client import open_gateway

COMMANDS = [
    {
        "name": "hello",
        "description": "Say hello",
        "options": [{"type": 3, "name": "name", "description": "To whom"}],
    },
    {"name": "panel", "description": "Show an embed with buttons"},
    {"name": "silent", "description": "Never answer"},
    {"name": "slow", "description": "Answer late"},
    {"name": "ask", "description": "Open a modal"},
    {
        "name": "fruit",
        "description": "Choose a fruit",
        "options": [
            {"type": 3, "name": "kind", "description": "Which", "required": True, "autocomplete": True}
        ],
    },
    {
        "name": "counter",
        "description": "Count",
        "options": [
            {
                "type": 1,
                "name": "increment",
                "description": "Add",
                "options": [{"type": 4, "name": "by", "description": "How much", "min_value": 1}],
            },
            {"type": 1, "name": "get", "description": "Show"},
        ],
    },
]
PANEL = {
    "embeds": [
        {
            "title": "Garden report",
            "description": "Everything **grows**.",
            "color": 0x2ECC71,
            "fields": [{"name": "Beds", "value": "4", "inline": True}],
            "footer": {"text": "watered today"},
        }
    ],
    "components": [
        {
            "type": 1,
            "components": [
                {"type": 2, "style": 1, "label": "Water", "custom_id": "water"},
                {"type": 2, "style": 4, "label": "Broken", "custom_id": "broken", "disabled": True},
            ],
        },
        {
            "type": 1,
            "components": [
                {
                    "type": 3,
                    "custom_id": "plant",
                    "placeholder": "Choose a plant",
                    "options": [{"label": "Rose", "value": "rose"}, {"label": "Fern", "value": "fern"}],
                }
            ],
        },
    ],
}
FRUITS = ["apple", "apricot", "banana"]


async def run_bot(
    info: PlaygroundInfo, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Register the commands and answer until cancelled or disconnected."""
    headers = {"Authorization": f"Bot {BOT_TOKEN}"}
    async with httpx.AsyncClient(base_url=info.rest_url, headers=headers, timeout=30) as rest:
        registered = await rest.put(f"/applications/{info.application_id}/commands", json=COMMANDS)
        registered.raise_for_status()
        async with open_gateway(info.gateway_url) as gateway, trio.open_nursery() as nursery:
            await gateway.identify(BOT_TOKEN)
            task_status.started()
            try:
                while True:
                    frame = await forever(gateway)
                    if frame["op"] == 0:
                        nursery.start_soon(_handle, rest, info, frame["t"], frame["d"])
            except ConnectionClosed:
                nursery.cancel_scope.cancel()


async def forever(gateway: Any) -> dict[str, Any]:
    while True:
        try:
            frame: dict[str, Any] = await gateway.receive()
        except trio.TooSlowError:
            await gateway.send(1, gateway.seq)
        else:
            return frame


async def _handle(rest: httpx.AsyncClient, info: PlaygroundInfo, name: str, data: dict[str, Any]) -> None:
    if name == "MESSAGE_CREATE" and data["content"].startswith("!ping"):
        args = data["content"].removeprefix("!ping").strip()
        body = {"content": f"pong ({args})" if args else "pong"}
        (await rest.post(f"/channels/{data['channel_id']}/messages", json=body)).raise_for_status()
    elif name == "INTERACTION_CREATE":
        await _answer(rest, info, data)


async def _answer(rest: httpx.AsyncClient, info: PlaygroundInfo, data: dict[str, Any]) -> None:
    answer = _callback(data)
    if answer is None:
        return
    url = f"/interactions/{data['id']}/{data['token']}/callback"
    (await rest.post(url, json=answer)).raise_for_status()
    if answer["type"] == 5:
        await trio.sleep(0.2)
        original = f"/webhooks/{info.application_id}/{data['token']}/messages/@original"
        (await rest.patch(original, json={"content": "better late"})).raise_for_status()


def _callback(data: dict[str, Any]) -> dict[str, Any] | None:
    inner = data["data"]
    options = {each["name"]: each for each in inner.get("options", [])}
    key = (data["type"], inner.get("name") or inner.get("custom_id"))
    match key:
        case (2, "hello"):
            who = options.get("name", {}).get("value", "stranger")
            return {"type": 4, "data": {"content": f"hello {who}", "flags": 64}}
        case (2, "panel"):
            return {"type": 4, "data": PANEL}
        case (2, "slow"):
            return {"type": 5}
        case (2, "ask"):
            field = {"type": 4, "custom_id": "why", "style": 1, "label": "Why?"}
            components = [{"type": 1, "components": [field]}]
            return {"type": 9, "data": {"custom_id": "reason", "title": "Tell me", "components": components}}
        case (2, "fruit"):
            return {"type": 4, "data": {"content": f"one {options['kind']['value']}"}}
        case (4, "fruit"):
            typed = options["kind"]["value"]
            found = [{"name": each, "value": each} for each in FRUITS if each.startswith(typed)]
            return {"type": 8, "data": {"choices": found}}
        case (2, "counter"):
            [sub] = inner["options"]
            values = {each["name"]: each["value"] for each in sub.get("options", [])}
            return {"type": 4, "data": {"content": f"{sub['name']} {values}"}}
        case (3, "water"):
            return {"type": 7, "data": {"content": "watered", "components": []}}
        case (3, "plant"):
            return {"type": 4, "data": {"content": f"you like {inner['values'][0]}"}}
        case (5, "reason"):
            value = inner["components"][0]["components"][0]["value"]
            return {"type": 4, "data": {"content": f"because {value}"}}
        case _:
            return None
