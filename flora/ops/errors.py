"""Why an op was refused, as the script sees it: error class name, `code`, and fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flora.engine.api import OpError
from flora.gateway.errors import DiscordHttpError, RateLimitedError, RestError, RestSuspendedError

_MAX_FAULTS: Final = 5
"""Of a refused body in a message; `errors` has them all."""
_MAX_FAULT: Final = 200  # characters
_MAX_DEPTH: Final = 16


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
    faults = list(_faults(error.errors, "", _MAX_DEPTH))
    more = [] if len(faults) <= _MAX_FAULTS else [f"  … and {len(faults) - _MAX_FAULTS} more"]
    return OpError(
        "\n".join([error.message, *(f"  {each[:_MAX_FAULT]}" for each in faults[:_MAX_FAULTS]), *more]),
        name="DiscordHttpError",
        code=error.code,
        extra={
            "status": error.status,
            "discordCode": error.discord_code,
            "route": str(error.route),
            **({"errors": error.errors} if error.errors is not None else {}),
        },
    )


def _faults(tree: Any, path: str, depth: int) -> Iterator[str]:
    """Discord's tree of invalid fields as `embeds[0].title: Must be 256 or fewer in length.`, one by one.

    Source: Discord API Reference, "Error Messages": each key is a field or the index of an element, the
    leaf is a list `_errors`. What does not look like it is passed over.
    """
    if not isinstance(tree, dict) or depth == 0:
        return
    for key, value in tree.items():
        if key == "_errors" and isinstance(value, list):
            for each in value:
                if isinstance(each, dict) and isinstance(each.get("message"), str):
                    yield f"{path}: {each['message']}" if path else each["message"]
        elif key.isdecimal():
            yield from _faults(value, f"{path}[{key}]", depth - 1)
        else:
            yield from _faults(value, f"{path}.{key}" if path else key, depth - 1)


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
