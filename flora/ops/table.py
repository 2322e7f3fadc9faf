"""The table of ops: name -> typed arguments and the function that carries them out.

An op is declared beside its code, or as data (`flora.ops.calls`):

    @op("send_message")
    async def send_message(ctx: OpContext, args: SendMessage, call: OpCall) -> bytes: ...

Arguments come from a guild script and are untrusted: they are decoded strictly into the declared type, and
a mismatch is an InvalidInputError that names the field.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, get_type_hints

import msgspec
import trio

from flora.engine.api import OpCall, OpError
from flora.engine.limits import TokenBucket
from flora.errors import FloraError
from flora.gateway.errors import (
    DiscordHttpError,
    RateLimitedError,
    RestError,
    RestSuspendedError,
    UnsendableError,
)
from flora.gateway.multipart import InvalidAttachmentError
from flora.gateway.rest import DiscordRest
from flora.gateway.routes import InvalidRouteError
from flora.ids import GuildId
from flora.ops.arguments import NULL
from flora.ops.errors import discord_http, discord_unreachable, invalid_input, rate_limited, unknown_op
from flora.ops.fetcher import FetchSession
from flora.ops.scope import ChannelScope, InteractionBook
from flora.storage.kv import GuildKv, KvError
from flora.storage.secrets import GuildSecrets
from flora.storage.tasks import TaskStore

Args = TypeVar("Args")
Function = Callable[["OpContext", Any, OpCall], Awaitable[bytes]]

_HUMP: Final = re.compile(r"(?<=[a-z])[A-Z]")


@dataclass(frozen=True, slots=True)
class OpContext:
    """What an op may use: the guild it acts for and the host's connections. Made once per guild runtime."""

    guild_id: GuildId
    application_id: str
    rest: DiscordRest
    channels: ChannelScope
    interactions: InteractionBook
    kv: GuildKv
    loading: trio.Lock = field(default_factory=trio.Lock)
    """Held while the guild is read from Discord."""
    secrets: Callable[[], GuildSecrets] = GuildSecrets
    """The guild's secrets as they are now; by default none."""
    fetch: FetchSession | None = None
    tasks: TaskStore | None = None
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""
    task_writes: TokenBucket = field(default_factory=lambda: TokenBucket(rate=2.0, burst=120.0))
    """The requests of the guild process; None where scripts make none."""

    def close(self) -> None:
        """The guild process has ended: nothing is left open for it."""
        if self.fetch is not None:
            self.fetch.close()


@dataclass(frozen=True, slots=True)
class _Op:
    decoder: msgspec.json.Decoder[Any]
    function: Function


_OPS: dict[str, _Op] = {}


def op(
    name: str,
) -> Callable[
    [Callable[[OpContext, Args, OpCall], Awaitable[bytes]]],
    Callable[[OpContext, Args, OpCall], Awaitable[bytes]],
]:
    """Register a function `(ctx, args, call) -> JSON bytes` under `name`."""

    def declare(
        function: Callable[[OpContext, Args, OpCall], Awaitable[bytes]],
    ) -> Callable[[OpContext, Args, OpCall], Awaitable[bytes]]:
        register(name, get_type_hints(function, include_extras=True)["args"], function)
        return function

    return declare


def register(name: str, args: type, function: Function) -> None:
    assert name not in _OPS, name
    _OPS[name] = _Op(msgspec.json.Decoder(args), function)


def op_names() -> list[str]:
    return sorted(_OPS)


async def run_op(ctx: OpContext, call: OpCall) -> bytes:
    """Carry out one call and return its result as JSON text. Raises OpError for whatever goes wrong.

    When cancelled, what the op asked of Discord may have been done.
    """
    entry = _OPS.get(call.name)
    if entry is None:
        raise unknown_op(call.name)
    try:
        args = entry.decoder.decode(call.args)
    except msgspec.ValidationError as error:
        raise _mismatch(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid_input("payload", "not JSON, or text with half a character (surrogate)") from None
    try:
        return _checked(await entry.function(ctx, args, call))
    except OpError:
        raise
    except DiscordHttpError as error:
        raise discord_http(error) from error
    except (RateLimitedError, RestSuspendedError) as error:
        raise rate_limited(error) from error
    except (UnsendableError, InvalidRouteError) as error:
        raise invalid_input("payload", error.message) from error
    except InvalidAttachmentError as error:
        raise invalid_input("attachments", error.message) from error
    except KvError as error:
        raise OpError(error.message, name="KvError", code=error.code) from error
    except RestError as error:
        raise discord_unreachable(error) from error
    except FloraError as error:
        raise OpError(error.message, code=error.code) from error
    except msgspec.DecodeError as error:
        raise OpError(f"Discord's answer to {call.name} is not JSON", code="DISCORD_BAD_ANSWER") from error


def _checked(result: bytes) -> bytes:
    """What goes to the guild process is JSON, whatever a proxy made of Discord's answer."""
    if not result:
        return NULL
    msgspec.json.decode(result, type=msgspec.Raw)
    return result


def _mismatch(error: msgspec.ValidationError) -> OpError:
    """It says "Expected `str`, got `int` - at `$.content`"."""
    reason, _, path = str(error).partition(" - at `$")
    field = path.rstrip("`").lstrip(".") or "payload"
    if "matching regex" in reason:
        return invalid_input(_HUMP.sub(lambda hump: f"_{hump[0].lower()}", field), "invalid snowflake")
    return invalid_input(field, reason)
