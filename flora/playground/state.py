"""The parts of one running playground, as its HTTP handlers and its tasks share them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import trio

from flora.playground.actions import interactions
from flora.playground.faults import RestFaults
from flora.playground.feed import Feed
from flora.playground.gateway.hub import Hub
from flora.playground.gateway.server import GatewayServer
from flora.playground.limits import RateLimiter
from flora.playground.load.runs import Runs
from flora.playground.model import Dispatch, Model
from flora.playground.oauth import OAuth

MAX_WAITING: Final = 100_000  # interactions within their three seconds


@dataclass(slots=True)
class Playground:
    """One world with its gateway, feed, limits and faults; `over` wires them to the model."""

    model: Model
    hub: Hub
    gateway: GatewayServer
    feed: Feed
    oauth: OAuth
    loads: Runs = field(default_factory=Runs)
    limits: RateLimiter = field(default_factory=RateLimiter)
    faults: RestFaults = field(default_factory=RestFaults)

    @classmethod
    def over(cls, model: Model) -> Playground:
        hub, feed = Hub(model), Feed(model)
        model.listen(hub.on_dispatch)
        model.listen(feed.on_dispatch)
        return cls(model, hub, GatewayServer(hub), feed, OAuth(model.application, model.clock, model.tokens))

    async def watch_interactions(self) -> None:
        """Tell people whose interaction nobody answered in time. Runs until cancelled."""
        send, receive = trio.open_memory_channel[tuple[str, float]](MAX_WAITING)

        def on_dispatch(dispatch: Dispatch) -> None:
            if dispatch.name == "INTERACTION_CREATE":
                send.send_nowait((dispatch.data["id"], trio.current_time() + interactions.ANSWER_WITHIN))

        stop = self.model.listen(on_dispatch)
        try:
            async for interaction_id, deadline in receive:
                await trio.sleep_until(deadline)
                interaction = self.model.interactions.get(interaction_id)
                if interaction is not None:
                    interactions.expire(self.model, interaction)
        finally:
            stop()
