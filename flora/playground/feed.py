"""What happens, as one person of the playground sees it: the source of the chat page's event stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import trio

from flora.playground import permissions as may
from flora.playground.entities import User
from flora.playground.model import Dispatch, Model

BACKLOG: Final = 1000  # events that one slow reader may be behind; then its stream ends and it starts anew


@dataclass(slots=True, eq=False)
class Subscription:
    user: User
    events: trio.MemoryReceiveChannel[Dispatch]
    _send: trio.MemorySendChannel[Dispatch]
    _feed: Feed

    def close(self) -> None:
        self._feed.subscriptions.discard(self)
        self._send.close()

    def offer(self, dispatch: Dispatch) -> None:
        try:
            self._send.send_nowait(dispatch)
        except (trio.WouldBlock, trio.BrokenResourceError):
            self.close()


@dataclass(slots=True)
class Feed:
    """Listens to the model for as long as the playground lives; `close` ends every stream."""

    model: Model
    subscriptions: set[Subscription] = field(default_factory=set)

    def subscribe(self, user: User) -> Subscription:
        send, receive = trio.open_memory_channel[Dispatch](BACKLOG)
        subscription = Subscription(user, receive, send, self)
        self.subscriptions.add(subscription)
        return subscription

    def close(self) -> None:
        for subscription in tuple(self.subscriptions):
            subscription.close()

    def on_dispatch(self, dispatch: Dispatch) -> None:
        for subscription in tuple(self.subscriptions):
            if self.sees(subscription.user, dispatch):
                subscription.offer(dispatch)

    def sees(self, user: User, dispatch: Dispatch) -> bool:
        if dispatch.only is not None:
            return user.id in dispatch.only
        channel = self.model.channels.get(dispatch.channel_id or "")
        if channel is not None:
            return bool(self.model.permissions(channel, user.id) & may.VIEW_CHANNEL)
        guild = self.model.guilds.get(dispatch.guild_id or "")
        return guild is None or user.id in guild.members
