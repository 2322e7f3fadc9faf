"""The way of one request through the API: guard, authentication, faults, limits, handler, errors, headers."""

from __future__ import annotations

import re
from typing import Final

import structlog
import trio
from werkzeug.exceptions import HTTPException

from flora.errors import FloraError
from flora.playground import control, rest, world
from flora.playground.errors import DiscordError, OAuthError, PlaygroundRefusedError, unauthorized
from flora.playground.faults import RestFault
from flora.playground.forms import is_snowflake
from flora.playground.load import api as load_api
from flora.playground.loopback import is_loopback_host, is_loopback_origin
from flora.playground.oauth import may_ask
from flora.playground.rest.context import query_fault, reply
from flora.playground.snowflake import WorldClock
from flora.playground.web import Answer, Call, Router, enter

log = structlog.get_logger("flora.playground")

MAX_BODY: Final = 26 * 2**20  # ten files are refused one by one; this bounds the whole
_REST: Final = re.compile(r"^/api(?:/v10|/v9)?(?=/(?!v\d))")
_CONTROL: Final = "/playground/api"
_CLIENT_ROUTES: Final = "/oauth2/token"  # whose Authorization is the client's

_rest: Final = Router(rest.PARTS)
_control: Final = Router([control.routes, world.routes, load_api.routes])


def is_api(path: str) -> bool:
    """True for what `answer` answers; the rest is the pages'."""
    return path.startswith("/api/") or (path.startswith(_CONTROL + "/") and path != control.EVENTS_PATH)


def is_route(method: str, path: str) -> bool:
    """True for a path below /api/v10 that has a handler."""
    return _rest.find(method, path).handler is not None


async def answer(call: Call) -> Answer:
    """Answer one request of the REST or control API. Raises nothing but a cancellation."""
    if (refused := guard(call)) is not None:
        return refused
    enter(call)
    prefix = _REST.match(call.path)
    if prefix is None:
        return await _handle(_control, call, call.path.removeprefix(_CONTROL))
    path = call.path[prefix.end() :]
    try:
        result = await _admit(call, path) or await _handle(_rest, call, path)
    except DiscordError as error:
        result = error_answer(error, call)
    for fault in call.late_faults:
        result = await _apply(fault) or result
    result.headers.append(("Via", "1.1 flora-playground"))  # without it a 429 is taken for a Cloudflare ban
    if call.verdict is not None:
        result.headers += call.verdict.headers()
    return result


def guard(call: Call) -> Answer | None:
    """The refusal of a request that comes from another site's page, or under another name."""
    if is_loopback_host(call.header(b"host") or "") and is_loopback_origin(call.header(b"origin")):
        return None
    return reply({"message": "The playground answers to loopback addresses only.", "code": 0}, 403)


async def _handle(router: Router, call: Call, path: str) -> Answer:
    match = router.find(call.method, path)
    try:
        if match.handler is None:
            status, name = (405, "Method Not Allowed") if match.others else (404, "Not Found")
            return reply({"message": f"{status}: {name}", "code": 0}, status)
        for name, value in match.parameters.items():
            if name.endswith("_id") and value != "@me" and router is _rest and not is_snowflake(value):
                raise query_fault(name, "NUMBER_TYPE_COERCE", f'Value "{value[:64]}" is not snowflake.')
        return await match.handler(**match.parameters)
    except Exception as error:  # noqa: BLE001 - it is logged and answered
        return error_answer(error, call)


async def _admit(call: Call, path: str) -> Answer | None:
    """Authentication, faults and rate limits of Discord's API, in this order; an answer when it ends here."""
    header = call.header(b"authorization")
    if header is not None and not path.startswith(_CLIENT_ROUTES):
        _authenticate(call, header, path)
    playground = call.playground
    if playground.faults.waiting:
        faults = playground.faults.take(call.method, path)
        call.late_faults = [each for each in faults if each.after]
        for fault in faults:
            if not fault.after and (broken := await _apply(fault)) is not None:
                return broken
    clock = playground.model.clock
    if isinstance(clock, WorldClock) and clock.stands:  # no window of a limit would ever end
        return None
    client = call.address if call.user is None else call.user.id
    verdict = call.verdict = playground.limits.check(client, call.method, path, clock.now())
    if verdict is not None and not verdict.allowed:
        return _limited(verdict.reset_after, verdict.scope)
    return None


def _authenticate(call: Call, header: str, path: str) -> None:
    """Set the user, and the access token where a person's OAuth2 token came. Raises 401."""
    scheme, _, token = header.partition(" ")
    if scheme == "Bearer":
        call.access = call.playground.oauth.authenticate(token.strip())
        if call.access is None or not may_ask(call.access.scopes, call.method, path):
            raise unauthorized()
        call.user = call.access.user
        return
    call.user = call.playground.model.authenticate(header.removeprefix("Bot ").strip())
    if call.user is None:
        raise unauthorized()


async def _apply(fault: RestFault) -> Answer | None:
    if fault.kind == "delay":
        await trio.sleep(fault.seconds)
        return None
    if fault.kind == "rate_limit":
        return _limited(fault.seconds, fault.scope)
    return reply({"message": f"{fault.status}: Injected Fault", "code": 0}, fault.status)


def _limited(seconds: float, scope: str) -> Answer:
    everything = scope == "global"
    body = {"message": "You are being rate limited.", "retry_after": round(seconds, 3), "global": everything}
    result = reply(body | {"code": 0}, 429)
    result.headers.append(("Retry-After", str(max(1, int(seconds + 0.999)))))
    result.headers.append(("X-RateLimit-Scope", scope))
    if everything:
        result.headers.append(("X-RateLimit-Global", "true"))
    return result


def error_answer(error: Exception, call: Call) -> Answer:
    """What a client hears of an error."""
    match error:
        case DiscordError():
            return reply(error.body(), error.status)
        case OAuthError():
            result = reply(error.body(), error.status)
            result.headers.append(("Cache-Control", "no-store"))
            if error.status == 401:
                result.headers.append(("WWW-Authenticate", 'Basic realm="playground"'))
            return result
        case PlaygroundRefusedError():
            return reply({"message": str(error), "code": error.code}, 400)
        case FloraError():
            return reply({"message": str(error), "code": error.code}, 500)
        case HTTPException(code=413):
            return too_large()
        case HTTPException():
            status = error.code or 500
            return reply({"message": f"{status}: {error.name}", "code": 0}, status)
        case _:
            log.error("request crashed", method=call.method, path=call.path, exc_info=error)
            return reply({"message": "500: Internal Server Error", "code": 0}, 500)


def too_large() -> Answer:
    """The answer to a body beyond MAX_BODY."""
    return reply({"message": "Request entity too large", "code": 40005}, 413)
