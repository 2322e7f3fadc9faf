"""Why a REST call did not succeed. Messages are those that guild scripts have always seen."""

from __future__ import annotations

from typing import Any, Literal

from flora.errors import FloraError
from flora.gateway.routes import Route

RateLimitScope = Literal["user", "global", "shared", "local"]
"""Discord's scopes; `local` when flora knew beforehand and did not ask."""


class RestError(FloraError):
    """Any failure of a REST call. `route` names method and template, without ids or tokens."""

    code = "DISCORD_REST_FAILED"

    def __init__(self, message: str, *, route: Route, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.route = route


class DiscordHttpError(RestError):
    """Discord answered with an error. `errors` is its tree of invalid fields, untrusted JSON."""

    code = "DISCORD_HTTP_ERROR"

    def __init__(
        self, *, status: int, discord_code: int, discord_message: str, route: Route, errors: Any = None
    ) -> None:
        super().__init__(f"Discord HTTP error ({status}): {discord_message} (route: {route})", route=route)
        self.status = status
        self.discord_code = discord_code
        self.discord_message = discord_message
        self.errors = errors


class RateLimitedError(RestError):
    """The rate limit leaves no room within the deadline; try again after `retry_after` seconds."""

    code = "DISCORD_RATE_LIMITED"

    def __init__(self, *, retry_after: float, route: Route, scope: RateLimitScope) -> None:
        super().__init__(f"Discord rate limited for {route}", route=route)
        self.retry_after = retry_after
        self.scope = scope


class RestTimeoutError(RestError):
    """Discord did not answer within the deadline; the request may have been carried out."""

    code = "DISCORD_TIMEOUT"

    def __init__(self, *, deadline: float, route: Route) -> None:
        super().__init__(f"Discord did not answer within {deadline:g} s (route: {route})", route=route)
        self.deadline = deadline


class RestTransportError(RestError):
    """No usable answer from Discord. `sent` is False when it surely did not see the request."""

    code = "DISCORD_UNREACHABLE"

    def __init__(self, message: str, *, route: Route, sent: bool) -> None:
        super().__init__(f"Discord is unreachable: {message} (route: {route})", route=route)
        self.sent = sent


class UnsendableError(RestError):
    """The call's arguments cannot be written as a request, such as text with half a surrogate pair."""

    code = "INVALID_INPUT"


class RestSuspendedError(RestError):
    """Too many invalid requests: flora stops before Discord bans its address.

    `guild` tells whether only this guild is suspended, or every guild of the bot.
    """

    code = "DISCORD_SUSPENDED"

    def __init__(self, message: str, *, route: Route, guild: bool, retry_after: float) -> None:
        super().__init__(f"{message} (route: {route})", route=route)
        self.guild = guild
        self.retry_after = retry_after
