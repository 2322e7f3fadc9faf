"""Discord's REST API: every call of flora goes through `DiscordRest.request`.

A call waits for its turn (`limiter.py`), is sent, and is repeated where that is safe, all within one
deadline. There is no background task: of the calls that wait, one is the alarm that wakes at the limiter's
next time.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
import structlog
import trio

import flora
from flora.gateway.breaker import SLOW_SPACING, InvalidRequestBreaker, Suspension, Verdict
from flora.gateway.buckets import read_bucket_state
from flora.gateway.errors import (
    DiscordHttpError,
    RateLimitedError,
    RateLimitScope,
    RestError,
    RestSuspendedError,
    RestTimeoutError,
    RestTransportError,
    UnsendableError,
)
from flora.gateway.limiter import GUILD_CONCURRENCY, RateLimiter, Ticket
from flora.gateway.multipart import Attachment, encode_form, encode_multipart
from flora.gateway.routes import Route
from flora.ids import GuildId
from flora.net.http import (
    HttpBodyTooLargeError,
    HttpClient,
    HttpError,
    HttpResponse,
    HttpTimeoutError,
    InvalidRequestError,
)

log = structlog.get_logger("flora.gateway.rest")

DEADLINE: Final = 8.0
MAX_RETRIES: Final = 2
"""Repetitions after a failure of the network or of Discord; waiting out a 429 is not one."""

RETRY_BASE: Final = 0.25
RETRY_MAX: Final = 2.0
MAX_LIMITED: Final = 5
"""Answers of 429 that one call waits out."""

MIN_RETRY_AFTER: Final = 0.05
MAX_RETRY_AFTER: Final = 86400.0
MAX_REASON: Final = 512
"""Characters of an audit-log reason."""

USER_AGENT: Final = f"DiscordBot (flora, {flora.__version__})"

_INVALID: Final = frozenset({401, 403, 429})
_NEVER: Final = float("inf")


class RestResponse:
    """A response with a status of 2xx."""

    __slots__ = ("body", "status")

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body

    def json(self) -> Any:
        """The parsed body, None when there is none (204)."""
        return msgspec.json.decode(self.body) if self.body else None

    def __repr__(self) -> str:
        return f"<RestResponse {self.status}, {len(self.body)} bytes>"


class _ErrorBody(msgspec.Struct, gc=False):
    message: str = ""
    code: int = 0
    retry_after: float | None = None
    is_global: bool = msgspec.field(default=False, name="global")
    errors: Any = None


class _Call(Ticket):
    """A ticket with someone who waits for it."""

    __slots__ = ("woken",)

    def __init__(self, route: Route, guild: GuildId | None) -> None:
        super().__init__(route, guild)
        self.woken = trio.Event()


class DiscordRest:
    """One for each bot token. `deadline` is in seconds, for a whole call with its waiting and repetitions.

    `on_notice(guild_id, text)` is told once when a guild is slowed or suspended for invalid requests.
    """

    def __init__(
        self,
        http: HttpClient,
        *,
        base_url: str,
        token: str,
        deadline: float = DEADLINE,
        guild_concurrency: int = GUILD_CONCURRENCY,
        limiter: RateLimiter | None = None,
        breaker: InvalidRequestBreaker | None = None,
        on_notice: Callable[[GuildId, str], None] = lambda _guild, _text: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._authorization = f"Bot {token}"
        self._deadline = deadline
        self._limiter = limiter or RateLimiter(guild_concurrency=guild_concurrency)
        self._breaker = breaker or InvalidRequestBreaker()
        self._verdicts: dict[GuildId, Verdict] = {}
        self._on_notice = on_notice
        self._jitter = jitter
        self._alarm: trio.CancelScope | None = None
        self._wake_at = _NEVER
        self._calls: dict[_Call, None] = {}  # that wait, the oldest first

    @property
    def limiter(self) -> RateLimiter:
        """To be read, for metrics."""
        return self._limiter

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return len(self._calls)

    async def request(
        self,
        route: Route,
        *,
        json: Any = None,
        files: Sequence[Attachment] = (),
        form: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        reason: str | None = None,
        guild_id: GuildId | None = None,
        deadline: float | None = None,
    ) -> RestResponse:
        """Call Discord for `guild_id` (None: for flora itself) and give its answer. The body is `json`,
        with `files` beside it, or a `form` with one file.

        Raises DiscordHttpError for an answer that is an error, RateLimitedError when the limits leave no room
        within the deadline, RestTimeoutError, RestTransportError, RestSuspendedError and UnsendableError.
        When cancelled, a call that has been sent may have been carried out.

        Repeated are: any call after a 429 or when it never reached Discord; after a 5xx or a lost connection
        those that may happen twice (GET, PUT, DELETE, and messages with an enforced nonce).
        """
        seconds = self._deadline if deadline is None else deadline
        ends = trio.current_time() + seconds
        url = f"{self._base_url}{route.path}"
        try:
            if query:
                url += "?" + urlencode(_query_values(query))
            headers, body = self._encode(route, json, files, form, reason)
        except UnicodeEncodeError as cause:
            raise UnsendableError(f"Invalid text for {route}: {cause.reason}", route=route) from cause
        repeatable = route.idempotent or _has_enforced_nonce(json)
        failures = limited = 0
        while True:
            error: RestError
            call = _Call(route, guild_id)
            await self._turn(call, ends)
            try:
                response = await self._http.request(
                    route.method,
                    url,
                    headers=headers,
                    body=body,
                    deadline=max(0.0, ends - trio.current_time()),
                )
            except HttpTimeoutError as failure:
                self._settle_failed(call)
                if not failure.sent:
                    raise RestTransportError(failure.message, route=route, sent=False) from failure
                raise RestTimeoutError(deadline=seconds, route=route) from failure
            except HttpError as failure:
                self._settle_failed(call)
                error = RestTransportError(failure.message, route=route, sent=failure.sent)
                hopeless = isinstance(failure, InvalidRequestError | HttpBodyTooLargeError)
                if hopeless or (failure.sent and not repeatable):
                    raise error from failure
            except BaseException:
                self._settle_failed(call)
                raise
            else:
                outcome = self._settle(call, response)
                if isinstance(outcome, RestResponse):
                    return outcome
                error = outcome
                if isinstance(error, RateLimitedError):
                    limited += 1
                    if limited > MAX_LIMITED or trio.current_time() + error.retry_after >= ends:
                        raise error
                    continue  # the limiter holds the next attempt back for as long as Discord asked
                if response.status < 500 or not repeatable:
                    raise error
            failures += 1
            pause = self._jitter() * min(RETRY_BASE * 2**failures, RETRY_MAX)
            if failures > MAX_RETRIES or trio.current_time() + pause >= ends:
                raise error
            log.info("rest retry", route=route.key, attempt=failures, error=type(error).__name__)
            await trio.sleep(pause)

    def _encode(
        self,
        route: Route,
        json: Any,
        files: Sequence[Attachment],
        form: Mapping[str, str] | None,
        reason: str | None,
    ) -> tuple[list[tuple[str, str]], bytes | list[bytes]]:
        headers = [("User-Agent", USER_AGENT), ("Accept", "application/json")]
        if route.authorized:
            headers.append(("Authorization", self._authorization))
        if reason:
            headers.append(("X-Audit-Log-Reason", quote(reason[:MAX_REASON], safe="")))
        payload = msgspec.json.encode(json) if json is not None else None
        body: bytes | list[bytes] = payload or b""
        if form is not None:
            content_type, body = encode_form(form, files[0])
            headers.append(("Content-Type", content_type))
        elif files:
            content_type, body = encode_multipart(payload, files)
            headers.append(("Content-Type", content_type))
        elif payload is not None:
            headers.append(("Content-Type", "application/json"))
        return headers, body

    async def _turn(self, call: _Call, ends: float) -> None:
        """Wait until the limiter grants `call`; raises RestError when it does not until `ends`."""
        now = trio.current_time()
        self._refuse_suspended(call, now)
        estimate = self._limiter.estimate(call, now)
        if estimate >= ends:
            raise RateLimitedError(retry_after=estimate - now, route=call.route, scope="local")
        self._limiter.submit(call)
        self._calls[call] = None
        self._pump()
        if call not in self._calls:
            return
        deadline = trio.CancelScope(deadline=ends)
        returned = False
        try:
            with deadline:
                while call in self._calls:
                    await self._wait(call)
            returned = not deadline.cancelled_caught
        finally:
            if call in self._calls:
                del self._calls[call]
                self._limiter.withdraw(call)
            elif not returned:
                self._settle_failed(call)  # granted in the moment in which it was cancelled
            if self._alarm is None and self._calls:
                next(iter(self._calls)).woken.set()
        now = trio.current_time()
        if not returned:
            retry_after = max(0.0, self._limiter.estimate(call, now) - now)
            raise RateLimitedError(retry_after=retry_after, route=call.route, scope="local")
        try:
            self._refuse_suspended(call, now)
        except RestSuspendedError:
            self._settle_failed(call)
            raise

    async def _wait(self, call: _Call) -> None:
        """Sleep until `call` is granted or something is to be done; the first to come is the alarm."""
        if self._alarm is not None:
            await call.woken.wait()
        else:
            self._alarm = alarm = trio.CancelScope(deadline=self._wake_at)
            try:
                with alarm:
                    await call.woken.wait()
            finally:
                self._alarm = None
            if alarm.cancelled_caught:
                self._pump()
        if call in self._calls:
            call.woken = trio.Event()

    def _pump(self) -> None:
        """Let go what may go now, and set the alarm."""
        granted, self._wake_at = self._limiter.poll(trio.current_time())
        for call in granted:
            assert isinstance(call, _Call)
            self._calls.pop(call, None)
            call.woken.set()
        if self._alarm is not None:
            self._alarm.deadline = self._wake_at

    def _settle_failed(self, call: _Call) -> None:
        self._limiter.fail(call, trio.current_time())
        self._pump()

    def _settle(
        self, call: _Call, response: HttpResponse
    ) -> RestResponse | DiscordHttpError | RateLimitedError:
        """Learn from the response, and turn it into the call's outcome."""
        now = trio.current_time()
        status = response.status
        conclusive = status < 500 and status != 429
        self._limiter.complete(call, read_bucket_state(response.header), now, conclusive=conclusive)
        try:
            if 200 <= status < 300:
                return RestResponse(status, response.body)
            body = _read_error(response.body)
            scope: RateLimitScope = "user"
            if status == 429:
                scope = _scope(response, body)
                retry_after = _retry_after(response, body)
                if scope == "global" and call.route.global_limited:
                    self._limiter.overall.block(now + retry_after)
                else:
                    self._limiter.block(call.route, now + retry_after)
                log.warning("rate limited", route=call.route.key, scope=scope, retry_after=retry_after)
            if status in _INVALID and scope != "shared":
                self._count_invalid(call, status, now)
            if status == 429:
                return RateLimitedError(retry_after=retry_after, route=call.route, scope=scope)
            return DiscordHttpError(
                status=status,
                discord_code=body.code,
                discord_message=body.message or f"HTTP status {status}",
                route=call.route,
                errors=body.errors,
            )
        finally:
            self._pump()

    def _count_invalid(self, call: _Call, status: int, now: float) -> None:
        # A 401 with the bot's token is flora's own fault, whoever asked.
        guild = None if status == 401 and call.route.authorized else call.guild
        self._breaker.record(guild, now)
        if call.guild is not None:
            self._review(call.guild, now)

    def _review(self, guild: GuildId, now: float) -> None:
        """Slow a guild down or stop it when it deserves it, and let it go when it does not any more."""
        verdict = self._breaker.verdict(guild, now)
        before = self._verdicts.get(guild, Verdict.CLOSED)
        if verdict is before:
            return
        if verdict is Verdict.CLOSED:
            del self._verdicts[guild]
        else:
            self._verdicts[guild] = verdict
        self._limiter.space(guild, 0.0 if verdict is Verdict.CLOSED else SLOW_SPACING, now)
        log.warning("invalid requests", guild=guild, verdict=verdict.value)
        if verdict is Verdict.SLOWED and before is Verdict.CLOSED:
            self._on_notice(
                guild,
                "Many requests of this script were refused by Discord (401, 403, 429): it is slowed down to "
                f"one request in {SLOW_SPACING:g} s. Check its permissions and how often it acts.",
            )
        elif verdict is Verdict.SUSPENDED:
            self._on_notice(
                guild,
                "Too many requests of this script were refused by Discord (401, 403, 429): its requests are "
                "stopped for some minutes, so that the bot is not banned.",
            )

    def _refuse_suspended(self, call: _Call, now: float) -> None:
        if call.guild is not None and call.guild in self._verdicts:
            self._review(call.guild, now)
        suspension = self._breaker.suspension(call.guild, now)
        if suspension is not None:
            raise _suspended(suspension, call.route)


def _suspended(suspension: Suspension, route: Route) -> RestSuspendedError:
    whose = "of this guild" if suspension.guild else "of this bot"
    return RestSuspendedError(
        f"Requests {whose} are stopped for {suspension.retry_after:.0f} s: Discord refused "
        f"{suspension.count} of them within ten minutes",
        route=route,
        guild=suspension.guild,
        retry_after=suspension.retry_after,
    )


def _read_error(body: bytes) -> _ErrorBody:
    try:
        return msgspec.json.decode(body, type=_ErrorBody)
    except msgspec.DecodeError:
        return _ErrorBody()  # a proxy's page


def _scope(response: HttpResponse, body: _ErrorBody) -> RateLimitScope:
    if body.is_global or response.header("x-ratelimit-global") == "true":
        return "global"
    match response.header("x-ratelimit-scope"):
        case "shared":
            return "shared"
        case "global":
            return "global"
        case "user":
            return "user"
    # Without Discord's headers and body it is its proxy that refuses us, whatever the route.
    return "user" if body.retry_after is not None else "global"


def _retry_after(response: HttpResponse, body: _ErrorBody) -> float:
    seconds = body.retry_after
    if seconds is None:
        try:
            seconds = float(response.header("retry-after") or "")
        except ValueError:
            seconds = 1.0
    return 1.0 if math.isnan(seconds) else min(max(seconds, MIN_RETRY_AFTER), MAX_RETRY_AFTER)


def _query_values(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = []
    for key, value in query.items():
        for item in value if isinstance(value, list | tuple) else (value,):
            if item is not None:
                pairs.append((key, str(item).lower() if isinstance(item, bool) else str(item)))
    return pairs


def _has_enforced_nonce(json: Any) -> bool:
    """Discord makes a message with an enforced nonce at most once within some minutes (Create Message)."""
    return isinstance(json, Mapping) and json.get("enforce_nonce") is True and bool(json.get("nonce"))
