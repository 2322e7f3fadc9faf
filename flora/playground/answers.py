"""Waiting for what the bots say, and messages as the chat page shows them."""

from __future__ import annotations

from typing import Final

import trio

from flora.playground.actions.messages import gateway_json
from flora.playground.entities import LOADING, Channel, Message, User
from flora.playground.errors import Json
from flora.playground.model import Model, visible
from flora.playground.state import Playground

SETTLE: Final = 0.3  # seconds without news after which the answer counts as complete
_NEWS: Final = frozenset({"MESSAGE_CREATE", "MESSAGE_UPDATE", "INTERACTION_FAILURE"})


async def collect_answers(
    playground: Playground, channel: Channel, user: User, start: str, wait: float
) -> list[Message]:
    """The bots' messages in the channel with ids after `start` that the user sees.

    Returns when the first came and nothing followed for a moment, at an interaction's failure, or after
    `wait` seconds with what is there. A deferred answer counts only when it is filled.
    """
    subscription = playground.feed.subscribe(user)
    failed = False
    try:
        with trio.move_on_after(wait):
            while not failed:
                complete = bool(_answers(channel, user, start)) and not _pending(channel, user, start)
                with trio.move_on_after(SETTLE if complete else wait) as quiet:
                    dispatch = await subscription.events.receive()
                    while dispatch.name not in _NEWS or dispatch.channel_id != channel.id:
                        dispatch = await subscription.events.receive()
                    failed = dispatch.name == "INTERACTION_FAILURE"
                if quiet.cancelled_caught:
                    break
    except trio.EndOfChannel:
        pass
    finally:
        subscription.close()
    return _answers(channel, user, start)


def message_view(model: Model, channel: Channel, message: Message, user: User) -> Json:
    """A message as one person sees it, with the member data of the gateway's form."""
    body = gateway_json(model, channel, message)
    if message.reactions:
        body["reactions"] = [each.json(user.id) for each in message.reactions.values()]
    return body


def _answers(channel: Channel, user: User, start: str) -> list[Message]:
    return [each for each in _of_bots(channel, user, start) if not each.flags & LOADING]


def _pending(channel: Channel, user: User, start: str) -> bool:
    return any(each.flags & LOADING for each in _of_bots(channel, user, start))


def _of_bots(channel: Channel, user: User, start: str) -> list[Message]:
    return [
        each
        for each in channel.messages.values()
        if int(each.id) > int(start) and each.author.bot and visible(each, user.id)
    ]
