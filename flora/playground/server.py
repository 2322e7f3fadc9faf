"""Running the playground: two loopback ports, served until cancelled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from flora.config import PlaygroundConfig
from flora.playground import demo
from flora.playground.app import make_app
from flora.playground.loopback import bind
from flora.playground.model import Model
from flora.playground.state import Playground
from flora.playground.wire import HttpServer

log = structlog.get_logger("flora.playground")

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class PlaygroundInfo:
    """Where it runs and who is in it."""

    page_url: str
    rest_url: str
    gateway_url: str
    bot_token: str
    application_id: str
    client_secret: str
    guild_ids: tuple[str, ...]


async def serve(
    config: PlaygroundConfig,
    *,
    state: Model | None = None,
    address: str = LOOPBACK,
    redirect_uris: tuple[str, ...] = (),
    task_status: trio.TaskStatus[PlaygroundInfo] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `state` (default: the demo world) until cancelled; port 0 takes any.

    `redirect_uris` are registered with the application's OAuth2 client, besides its own.

    `started` gives PlaygroundInfo with the real URLs, when both ports answer. On cancellation open event
    streams end, gateway connections get 1001 and requests in flight have a second; then it returns.
    Raises NotLoopbackError for an address of the network, StartupError for a port that is taken.
    """
    model = state if state is not None else demo.demo_model()
    model.application.redirect_uris += [
        each for each in redirect_uris if each not in model.application.redirect_uris
    ]
    page_socket = bind(address, config.port, "playground.port")
    try:
        gateway_socket = bind(address, config.gateway_port, "playground.gateway_port")
    except BaseException:
        page_socket.close()
        raise
    host = f"[{address}]" if ":" in address else address
    model.page_url = f"http://{host}:{page_socket.getsockname()[1]}"
    model.gateway_url = f"ws://{host}:{gateway_socket.getsockname()[1]}"
    playground = Playground.over(model)
    info = PlaygroundInfo(
        page_url=model.page_url,
        rest_url=f"{model.page_url}/api/v10",
        gateway_url=model.gateway_url,
        bot_token=model.application.bot.token,
        application_id=model.application.id,
        client_secret=model.application.client_secret,
        guild_ids=tuple(guild.id for guild in model.guilds_of(model.application.bot.id)),
    )
    page_listener = trio.SocketListener(trio.socket.from_stdlib_socket(page_socket))
    gateway_listener = trio.SocketListener(trio.socket.from_stdlib_socket(gateway_socket))
    app = make_app(playground)
    http = HttpServer(playground, app)
    stopping = trio.Event()

    async def parts(task_status: trio.TaskStatus[None]) -> None:
        # Shielded, so that a cancellation does not cut the connections: `stopping` ends them in good order.
        with trio.CancelScope(shield=True):
            await app.startup()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(http.serve, page_listener, stopping)
                nursery.start_soon(playground.gateway.serve, gateway_listener, stopping)
                nursery.start_soon(_run_until, stopping, playground.watch_interactions)
                nursery.start_soon(_run_until, stopping, playground.loads.serve)
                task_status.started()

    async with trio.open_nursery() as nursery:
        await nursery.start(parts)
        log.info("playground ready", page=info.page_url, rest=info.rest_url, gateway=info.gateway_url)
        task_status.started(info)
        try:
            await trio.sleep_forever()
        finally:
            stopping.set()
            playground.feed.close()


async def _run_until(stopping: trio.Event, task: Callable[[], Awaitable[None]]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(task)
        await stopping.wait()
        nursery.cancel_scope.cancel()
