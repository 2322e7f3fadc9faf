"""`fetch` in pieces. A script numbers its requests.

`fetch_start` answers with the head of the response, and with its body when that is short; `fetch_read` gives
the next piece of it, so that a script gets only what it asks for; `fetch_cancel` ends a request in any state.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from flora.engine.api import OpCall, OpError
from flora.net.fetch import FetchRequest
from flora.ops.arguments import NULL
from flora.ops.errors import invalid_input
from flora.ops.fetcher import FetchSession
from flora.ops.table import OpContext, op


class StartFetch(msgspec.Struct, rename="camel", kw_only=True):
    """`headers` are lines, "name: value"; `body` is base64."""

    id: int
    url: str
    method: str = "GET"
    headers: str = ""
    body: bytes | None = None
    redirect: Literal["follow", "error", "manual"] = "follow"


class OpenFetch(msgspec.Struct):
    id: int


@op("fetch_start")
async def fetch_start(ctx: OpContext, args: StartFetch, call: OpCall) -> bytes:
    request = FetchRequest(args.url, args.method, _lines(args.headers), args.body, args.redirect)
    return msgspec.json.encode(await _session(ctx).start(args.id, request, ctx.secrets().substitute))


@op("fetch_read")
async def fetch_read(ctx: OpContext, args: OpenFetch, call: OpCall) -> bytes:
    return msgspec.json.encode(await _session(ctx).read(args.id))


@op("fetch_cancel")
async def fetch_cancel(ctx: OpContext, args: OpenFetch, call: OpCall) -> bytes:
    _session(ctx).cancel(args.id)
    return NULL


def _session(ctx: OpContext) -> FetchSession:
    if ctx.fetch is None:
        raise OpError("this host makes no requests for scripts", code="FETCH_UNAVAILABLE")
    return ctx.fetch


def _lines(text: str) -> list[tuple[str, str]]:
    pairs = []
    for line in text.split("\n") if text else ():
        name, colon, value = line.partition(": ")
        if not colon:
            raise invalid_input("headers", 'lines such as "name: value"')
        pairs.append((name, value))
    return pairs
