"""The playground's errors: what Discord answers to a bad request, and why the playground cannot start.

Bodies and codes follow the Discord API Reference, "Opcodes and Status Codes", section "JSON", and the
form-error shape of "Error Messages".
"""

from __future__ import annotations

from typing import Any

from flora.errors import FloraError

Json = dict[str, Any]


class NotLoopbackError(FloraError):
    """The playground has no security of its own, so it never listens beyond this machine."""

    code = "PLAYGROUND_NOT_LOOPBACK"


class PlaygroundUnreachableError(FloraError):
    """Nobody answers at the playground's address, or what answers is not the playground."""

    code = "PLAYGROUND_UNREACHABLE"


class PlaygroundRefusedError(FloraError):
    """The playground understood the request and refused it; the message is its own."""

    code = "PLAYGROUND_REFUSED"


class DiscordError(FloraError):
    """One of Discord's REST errors: HTTP `status`, JSON error `error_code`, message and form errors."""

    code = "DISCORD_ERROR"

    def __init__(self, status: int, error_code: int, message: str, *, errors: Json | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.errors = errors

    def body(self) -> Json:
        body: Json = {"message": self.message, "code": self.error_code}
        if self.errors is not None:
            body["errors"] = self.errors
        return body


class OAuthError(FloraError):
    """An error of OAuth2's token endpoints: HTTP `status`, RFC 6749's error code, and its description."""

    code = "OAUTH_ERROR"

    def __init__(self, status: int, error: str, description: str | None = None) -> None:
        super().__init__(description or error)
        self.status = status
        self.error = error
        self.description = description

    def body(self) -> Json:
        body: Json = {"error": self.error}
        if self.description is not None:
            body["error_description"] = self.description
        return body


_UNKNOWN = {
    "application": 10002,
    "channel": 10003,
    "guild": 10004,
    "member": 10007,
    "message": 10008,
    "role": 10011,
    "user": 10013,
    "integration": 10005,
    "emoji": 10014,
    "webhook": 10015,
    "invite": 10006,
    "sticker": 10060,
    "guild template": 10057,
    "voice state": 10065,
    "stage instance": 10067,
    "guild welcome screen": 10069,
    "scheduled event": 10070,
    "sound": 10097,
    "auto moderation rule": 0,
    "poll answer": 10101,
    "ban": 10026,
    "interaction": 10062,
    "application command": 10063,
    "application command permissions": 10066,
}


def unknown(what: str) -> DiscordError:
    """404 for a thing that is not there, or that the caller may not know to be there."""
    return DiscordError(404, _UNKNOWN[what], "Unknown " + what)


def unauthorized() -> DiscordError:
    return DiscordError(401, 0, "401: Unauthorized")


def not_found() -> DiscordError:
    return DiscordError(404, 0, "404: Not Found")


def missing_access() -> DiscordError:
    return DiscordError(403, 50001, "Missing Access")


def missing_permissions() -> DiscordError:
    return DiscordError(403, 50013, "Missing Permissions")


def empty_message() -> DiscordError:
    return DiscordError(400, 50006, "Cannot send an empty message")


def invalid_form(errors: Json) -> DiscordError:
    return DiscordError(400, 50035, "Invalid Form Body", errors=errors)
