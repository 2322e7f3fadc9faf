"""REST routes as data: method, path template, and what the rate limits need to know of them.

Source: Discord, Rate Limits ("Per-Route" and its top-level resources) and Interactions, Receiving and
Responding ("Interaction endpoints are not bound to the bot's Global Rate Limit").
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from flora.errors import FloraError

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_MAJOR: Final = (
    "channel_id",
    "guild_id",
    "webhook_id",
    "webhook_token",
    "interaction_id",
    "interaction_token",
)
_TOKENS: Final = frozenset({"webhook_token", "interaction_token"})
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class InvalidRouteError(FloraError):
    """A path parameter is missing, unknown, or would change the path."""

    code = "INVALID_ROUTE"


class Route:
    """`Route("POST", "/channels/{channel_id}/messages", channel_id=...)`. Immutable; parameters are quoted.

    A token in a path is always called `webhook_token` or `interaction_token`: such a route carries no
    Authorization header, is outside the global limit, and never shows the token (`str`, `repr`).
    Raises InvalidRouteError.
    """

    __slots__ = ("authorized", "key", "major", "method", "path", "template")

    def __init__(self, method: str, template: str, **params: str | int) -> None:
        names = placeholders(template)
        if set(names) != params.keys():
            odd = ", ".join(sorted(set(names) ^ params.keys()))
            raise InvalidRouteError(f"{method} {template}: parameters do not fit the path: {odd}.")
        values = {name: _quoted(template, name, str(value)) for name, value in params.items()}
        self.method: Final = method
        self.template: Final = template
        self.path: Final = _PLACEHOLDER.sub(lambda match: values[match[1]], template)
        self.key: Final = f"{method} {template}"
        """Names the route in errors, logs and metrics; has no ids and no tokens."""
        self.major: Final = "/".join(values[name] for name in _MAJOR if name in values)
        """The parameters that have rate limits of their own."""
        self.authorized: Final = _TOKENS.isdisjoint(values)
        """False where a token in the path is the authorization: then the bot's token is not sent."""

    @property
    def global_limited(self) -> bool:
        return self.authorized

    @property
    def idempotent(self) -> bool:
        """True when doing it twice is the same as doing it once (RFC 9110, 9.2.2)."""
        return self.method in _IDEMPOTENT

    @property
    def lane(self) -> tuple[str, str]:
        """Requests of one lane are granted in order."""
        return self.key, self.major

    def __str__(self) -> str:
        return self.key

    def __repr__(self) -> str:
        return f"<Route {self.key}>"


def placeholders(template: str) -> list[str]:
    """The names of a template's parameters, in order."""
    return _PLACEHOLDER.findall(template)


def _quoted(template: str, name: str, value: str) -> str:
    if value in {"", ".", ".."}:
        raise InvalidRouteError(f"{template}: {name} must not be {value!r}.")
    try:
        return quote(value, safe="@")
    except UnicodeEncodeError as error:
        raise InvalidRouteError(f"{template}: {name} is not valid Unicode.") from error
