"""Say something in a running playground, as its command line does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import httpx

from flora.playground.errors import PlaygroundRefusedError, PlaygroundUnreachableError

DEFAULT_URL: Final = "http://127.0.0.1:8080"
DEADLINE: Final = 10.0  # seconds for the request itself, besides the wait


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of a bot. `raw` has all of it, as Discord's API describes a message."""

    author: str
    content: str
    embeds: list[dict[str, Any]]
    ephemeral: bool
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """Where it was said, and what came back within the wait."""

    guild: str
    channel: str
    user: str
    answers: tuple[Answer, ...]


async def say(
    text: str,
    *,
    guild: str | None = None,
    channel: str | None = None,
    user: str | None = None,
    wait: float = 0.0,
    url: str = DEFAULT_URL,
) -> Said:
    """Post `text` (or, with a leading slash, use a command) as `user`; names or ids, by default ann in the
    first guild's #general. With `wait` (seconds, at most 60) the bots' answers come back, as soon as the
    first one is there and nothing follows it for a moment.

    Raises PlaygroundUnreachableError when nothing answers at `url`, PlaygroundRefusedError with the
    playground's own message. Cancelling leaves what was posted.
    """
    body = {"text": text, "guild": guild, "channel": channel, "user": user, "wait": wait}
    value = await post(url, "/say", body, wait=wait)
    return Said(
        guild=value["guild"]["name"],
        channel=value["channel"]["name"],
        user=value["user"]["username"],
        answers=tuple(_answer(each) for each in value.get("answers", [])),
    )


async def post(url: str, path: str, body: dict[str, Any], *, wait: float = 0.0) -> dict[str, Any]:
    """Ask the control API of the playground at `url`, with `wait` seconds more than a request takes.

    Raises PlaygroundUnreachableError, PlaygroundRefusedError.
    """
    try:
        async with httpx.AsyncClient(base_url=url, timeout=DEADLINE + wait, trust_env=False) as client:
            response = await client.post(f"/playground/api{path}", json=body)
    except httpx.HTTPError as error:
        raise PlaygroundUnreachableError(
            f"No playground answers at {url} ({type(error).__name__}).",
            hint="Start one with `flora playground` or `flora run` without DISCORD_TOKEN.",
        ) from error
    try:
        value: dict[str, Any] = response.json()
    except ValueError as error:
        raise PlaygroundUnreachableError(f"What answers at {url} is not a playground.") from error
    if response.is_error:
        raise PlaygroundRefusedError(str(value.get("message", response.reason_phrase)))
    return value


def _answer(message: dict[str, Any]) -> Answer:
    return Answer(
        author=message["author"]["username"],
        content=message["content"],
        embeds=message["embeds"],
        ephemeral=bool(message["flags"] & 64),
        raw=message,
    )
