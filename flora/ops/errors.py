"""Why an op was refused, as the script sees it: error class name, `code`, and fields."""

from __future__ import annotations

from flora.engine.api import OpError
from flora.gateway.errors import DiscordHttpError, RateLimitedError, RestError, RestSuspendedError


def invalid_input(field: str, reason: str) -> OpError:
    return OpError(
        f"Invalid input for {field}: {reason}",
        name="InvalidInputError",
        code="INVALID_INPUT",
        extra={"field": field},
    )


def scope_forbidden(reason: str) -> OpError:
    return OpError(f"Forbidden: {reason}", name="ScopeForbiddenError", code="SCOPE_FORBIDDEN")


def unknown_op(name: str) -> OpError:
    return OpError(f"this host has no op {name[:64]!r}", name="UnknownOpError", code="UNKNOWN_OP")


def discord_http(error: DiscordHttpError) -> OpError:
    return OpError(
        error.message,
        name="DiscordHttpError",
        code=error.code,
        extra={
            "status": error.status,
            "discordCode": error.discord_code,
            "route": str(error.route),
            **({"errors": error.errors} if error.errors is not None else {}),
        },
    )


def rate_limited(error: RateLimitedError | RestSuspendedError) -> OpError:
    return OpError(
        error.message,
        name="RateLimitedError",
        code=error.code,
        extra={"retryAfterMs": round(error.retry_after * 1000), "route": str(error.route)},
    )


def discord_unreachable(error: RestError) -> OpError:
    """No answer of Discord's, which scripts have always seen as status 500 without a code of Discord's."""
    return OpError(
        error.message,
        name="DiscordHttpError",
        code=error.code,
        extra={"status": 500, "discordCode": 0, "route": str(error.route)},
    )
