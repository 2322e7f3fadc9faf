"""The Discord that this host talks to: the real one, or a playground of its own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import structlog
import trio
from pydantic import SecretStr

from flora.actors.intents import IntentPlan
from flora.config import Config
from flora.errors import StartupError
from flora.gateway.errors import DiscordHttpError
from flora.gateway.info import fetch_application
from flora.gateway.intents import granted
from flora.gateway.rest import DiscordRest
from flora.host.stages import Stages
from flora.net.http import HttpClient
from flora.playground.server import PlaygroundInfo, serve

log = structlog.get_logger("flora")


@dataclass(frozen=True, slots=True)
class Discord:
    token: str
    api_url: str
    application_id: str
    intents: IntentPlan
    realm: str
    """Names this Discord in the database. A playground forgets everything when it ends, so each run of it is
    another one."""
    playground: PlaygroundInfo | None
    client_id: str
    """Of the OAuth2 client; Discord gives the application and its client the same id."""
    client_secret: SecretStr | None
    """None: nobody configured one, so people cannot log in with Discord. A playground has its own."""


async def find_discord(stages: Stages, config: Config) -> tuple[Discord, HttpClient]:
    """Start the playground if there is no token, and ask who we are. Raises StartupError, RestError.

    The HTTP client starts behind the playground, so that at the end its connections are closed when the
    playground waits for that.
    """
    playground = await _start_playground(stages, config) if config.uses_playground else None
    http = await stages.resource("http", HttpClient)
    if playground is not None:
        token, api_url = playground.bot_token, playground.rest_url
    else:
        assert config.discord.bot_token is not None, "without a token there is a playground"
        token, api_url = config.discord.bot_token.get_secret_value(), config.discord.api_url
    try:
        application = await fetch_application(DiscordRest(http, base_url=api_url, token=token))
    except DiscordHttpError as error:
        if error.status == 401:
            raise StartupError("Discord refuses the bot token.", hint="Check DISCORD_TOKEN.") from error
        raise
    log.info("discord ready", application=application.id)
    plan = IntentPlan(config.discord.intents, granted(application.flags))
    realm = application.id if playground is None else f"playground-{secrets.token_hex(8)}"
    client_id, client_secret = config.discord.client_id or application.id, config.discord.client_secret
    if playground is not None:  # which knows nothing of the client that is configured for Discord
        client_id, client_secret = playground.application_id, SecretStr(playground.client_secret)
    found = Discord(token, api_url, application.id, plan, realm, playground, client_id, client_secret)
    return found, http


async def _start_playground(stages: Stages, config: Config) -> PlaygroundInfo:
    async def run(status: trio.TaskStatus[PlaygroundInfo]) -> None:
        redirect_uris = (config.discord.redirect_uri,)
        await serve(config.playground, redirect_uris=redirect_uris, task_status=status)

    return await stages.background("playground", run)
