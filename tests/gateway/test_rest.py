"""DiscordRest: under virtual time against a Discord that is a function, and once over a real socket."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio

from flora.gateway.breaker import GUILD_SLOW, GUILD_SUSPEND, SLOW_SPACING
from flora.gateway.errors import (
    DiscordHttpError,
    RateLimitedError,
    RestSuspendedError,
    RestTimeoutError,
    RestTransportError,
    UnsendableError,
)
from flora.gateway.multipart import Attachment
from flora.gateway.rest import DiscordRest
from flora.gateway.routes import Route
from flora.ids import GuildId
from flora.net.http import (
    HttpClient,
    HttpConnectError,
    HttpConnectionLostError,
    HttpResponse,
    HttpTimeoutError,
)
from tests.net.loopback import Answer, Request, http_server

GUILD = GuildId("9")
MESSAGES = Route("POST", "/channels/{channel_id}/messages", channel_id="5")
READ = Route("GET", "/channels/{channel_id}", channel_id="5")
CALLBACK = Route(
    "POST",
    "/interactions/{interaction_id}/{interaction_token}/callback",
    interaction_id="5",
    interaction_token="secret-interaction",
)


@dataclass
class Call:
    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    time: float


Handler = Callable[[Call], Awaitable[HttpResponse]]


class FakeHttp(HttpClient):
    """Discord as a function, in virtual time; a deadline is a deadline here too."""

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self.handler = handler
        self.calls: list[Call] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | Sequence[bytes] = b"",
        deadline: float,
        max_body: int = 0,
    ) -> HttpResponse:
        call = Call(
            method,
            url,
            dict(headers),
            body if isinstance(body, bytes) else b"".join(body),
            trio.current_time(),
        )
        self.calls.append(call)
        with trio.move_on_after(deadline):
            return await self.handler(call)
        raise HttpTimeoutError("too slow", phase="receiving", sent=True)


def answer(status: int = 200, body: Any = None, **headers: str) -> HttpResponse:
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpResponse(status, fields, json.dumps(body if body is not None else {"ok": True}).encode())


def refused(retry_after: float, *, scope: str = "user", **headers: str) -> HttpResponse:
    body = {"message": "You are being rate limited.", "retry_after": retry_after, "global": scope == "global"}
    return answer(429, body, x_ratelimit_scope=scope, retry_after=str(int(retry_after) + 1), **headers)


def script(*answers: HttpResponse | Exception) -> Handler:
    """Gives `answers` one after the other, the last one for ever."""
    left = list(answers)

    async def handler(_: Call) -> HttpResponse:
        item = left.pop(0) if len(left) > 1 else left[0]
        await trio.sleep(0.01)
        if isinstance(item, Exception):
            raise item
        return item

    return handler


def client(handler: Handler, **options: Any) -> tuple[DiscordRest, FakeHttp]:
    http = FakeHttp(handler)
    return DiscordRest(http, base_url="https://discord.test/api/v10", token="secret-bot", **options), http


async def test_over_a_real_socket() -> None:
    async def handler(request: Request) -> Answer:
        return Answer(200, b'{"id":"1"}')

    async with http_server(handler) as server, HttpClient() as http:
        rest = DiscordRest(http, base_url=server.url("/api/v10"), token="secret-bot")
        response = await rest.request(
            MESSAGES,
            json={"content": "hä"},
            query={"wait": True, "none": None, "a": ["1", "2"]},
            reason="weil grün",
        )
        assert (response.status, response.json()) == (200, {"id": "1"})
        await rest.request(CALLBACK, json={"type": 5})
    first, second = server.requests
    assert (first.method, first.target) == ("POST", "/api/v10/channels/5/messages?wait=true&a=1&a=2")
    assert json.loads(first.body) == {"content": "hä"}
    assert first.headers["authorization"] == "Bot secret-bot"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["x-audit-log-reason"] == "weil%20gr%C3%BCn"
    assert first.headers["user-agent"].startswith("DiscordBot (")
    assert "authorization" not in second.headers


async def test_files_go_as_multipart() -> None:
    async def handler(request: Request) -> Answer:
        return Answer(200, b"{}")

    async with http_server(handler) as server, HttpClient() as http:
        rest = DiscordRest(http, base_url=server.url(), token="t")
        files = [Attachment('a"\r\n.txt', b"one", "text/plain"), Attachment("b.bin", b"\x00\r\n--")]
        await rest.request(MESSAGES, json={"content": "x"}, files=files)
    request = server.requests[0]
    kind, _, boundary = request.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    parts = request.body.split(b"--" + boundary.encode())
    assert [part.split(b"\r\n\r\n", 1)[1] for part in parts[1:-1]] == [
        b'{"content":"x"}\r\n',
        b"one\r\n",
        b"\x00\r\n--\r\n",
    ]
    assert b'name="payload_json"' in parts[1]
    assert b'name="files[0]"; filename="a___.txt"' in parts[2]
    assert parts[-1] == b"--\r\n"


async def test_an_error_of_discord_is_told_in_full(autojump_clock: trio.testing.MockClock) -> None:
    errors = {"content": {"_errors": [{"code": "BASE_TYPE_REQUIRED", "message": "This field is required"}]}}
    rest, http = client(
        script(answer(400, {"code": 50035, "message": "Invalid Form Body", "errors": errors}))
    )
    with pytest.raises(DiscordHttpError) as caught:
        await rest.request(MESSAGES, json={})
    error = caught.value
    assert (error.status, error.discord_code, error.errors) == (400, 50035, errors)
    assert str(error) == (
        "Discord HTTP error (400): Invalid Form Body (route: POST /channels/{channel_id}/messages)"
    )
    assert len(http.calls) == 1


async def test_a_proxys_page_is_an_error_too(autojump_clock: trio.testing.MockClock) -> None:
    rest, _ = client(script(HttpResponse(403, (), b"<html>")))
    with pytest.raises(DiscordHttpError, match="HTTP status 403"):
        await rest.request(READ)


async def test_no_token_is_in_any_error(autojump_clock: trio.testing.MockClock) -> None:
    rest, _ = client(script(answer(404, {"code": 10062, "message": "Unknown interaction"})))
    with pytest.raises(DiscordHttpError) as caught:
        await rest.request(CALLBACK, json={})
    assert "secret" not in f"{caught.value} {caught.value!r} {caught.value.route!r}"


@pytest.mark.parametrize(
    "failure", [answer(500), answer(503), HttpConnectionLostError("lost", sent=True)], ids=str
)
@pytest.mark.parametrize(
    ("route", "body", "repeated"),
    [
        (READ, None, True),
        (Route("PUT", "/channels/{channel_id}/pins/{message_id}", channel_id=1, message_id=2), None, True),
        (Route("DELETE", "/channels/{channel_id}", channel_id=1), None, True),
        (MESSAGES, {"content": "x"}, False),
        (MESSAGES, {"content": "x", "nonce": "n"}, False),
        (MESSAGES, {"content": "x", "nonce": "n", "enforce_nonce": True}, True),
        (CALLBACK, {"type": 4}, False),
    ],
    ids=str,
)
async def test_what_may_have_happened_is_repeated_only_where_that_is_safe(
    failure: HttpResponse | Exception,
    route: Route,
    body: Any,
    repeated: bool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    rest, http = client(script(failure, answer()))
    if repeated:
        assert (await rest.request(route, json=body)).status == 200
        assert len(http.calls) == 2
    else:
        with pytest.raises((DiscordHttpError, RestTransportError)):
            await rest.request(route, json=body)
        assert len(http.calls) == 1


async def test_what_never_reached_discord_is_repeated_always(autojump_clock: trio.testing.MockClock) -> None:
    rest, http = client(script(HttpConnectError("refused", sent=False), answer()))
    assert (await rest.request(MESSAGES, json={})).status == 200
    assert len(http.calls) == 2


async def test_repeating_ends(autojump_clock: trio.testing.MockClock) -> None:
    rest, http = client(script(answer(502)))
    with pytest.raises(DiscordHttpError):
        await rest.request(READ)
    assert len(http.calls) == 3


async def test_the_deadline_is_for_everything(autojump_clock: trio.testing.MockClock) -> None:
    async def slow(_: Call) -> HttpResponse:
        await trio.sleep(100)
        raise AssertionError

    rest, _ = client(slow)
    start = trio.current_time()
    with pytest.raises(RestTimeoutError):
        await rest.request(READ)
    assert trio.current_time() - start == pytest.approx(8.0)


async def test_waiting_for_the_guilds_share_is_within_the_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def slow(_: Call) -> HttpResponse:
        await trio.sleep(7.9)
        return answer()

    rest, _http = client(slow)
    ends: list[tuple[str, float]] = []

    async def one(number: int) -> None:
        route = Route("GET", "/channels/{channel_id}", channel_id=number)
        try:
            await rest.request(route, guild_id=GUILD)
            ends.append(("ok", trio.current_time() - start))
        except (RateLimitedError, RestTimeoutError) as error:
            ends.append((type(error).__name__, trio.current_time() - start))

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(one, number)
    assert Counter(kind for kind, _ in ends) == {"ok": 4, "RestTimeoutError": 2}
    assert all(time <= 8.0 + 1e-6 for _, time in ends)


async def test_a_429_is_waited_out(autojump_clock: trio.testing.MockClock) -> None:
    rest, http = client(script(refused(1.5), answer()))
    assert (await rest.request(MESSAGES, json={})).status == 200
    first, second = http.calls
    assert second.time - first.time >= 1.5


async def test_a_429_longer_than_the_deadline_is_told_at_once(autojump_clock: trio.testing.MockClock) -> None:
    rest, http = client(script(refused(60.0, scope="shared"), answer()))
    start = trio.current_time()
    with pytest.raises(RateLimitedError) as caught:
        await rest.request(MESSAGES, json={})
    assert (caught.value.scope, caught.value.retry_after) == ("shared", 60.0)
    assert str(caught.value) == "Discord rate limited for POST /channels/{channel_id}/messages"
    with pytest.raises(RateLimitedError) as caught:  # and not even asked again
        await rest.request(MESSAGES, json={})
    assert (caught.value.scope, len(http.calls)) == ("local", 1)
    assert trio.current_time() - start < 1
    await rest.request(READ)  # another bucket


async def test_a_global_429_stops_everything_but_interactions(autojump_clock: trio.testing.MockClock) -> None:
    rest, http = client(script(refused(3.0, scope="global"), answer()))
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: rest.request(MESSAGES, json={}))
        await trio.sleep(0.1)
        nursery.start_soon(lambda: rest.request(READ))
        await rest.request(CALLBACK, json={})
        assert trio.current_time() - start < 1
    assert [call.time - start >= 3.0 for call in http.calls] == [False, False, True, True]


async def test_a_429_without_discords_words_is_the_proxys_and_stops_everything(
    autojump_clock: trio.testing.MockClock,
) -> None:
    rest, http = client(script(HttpResponse(429, (("retry-after", "5"),), b"error code: 1015"), answer()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: rest.request(MESSAGES, json={}))
        await trio.sleep(0.1)
        nursery.start_soon(lambda: rest.request(READ))
    assert all(call.time - http.calls[0].time >= 5.0 for call in http.calls[1:])


async def test_endless_429_without_a_pause_is_no_endless_loop(autojump_clock: trio.testing.MockClock) -> None:
    rest, http = client(script(refused(0.0)))
    with pytest.raises(RateLimitedError):
        await rest.request(MESSAGES, json={})
    assert len(http.calls) <= 6


@dataclass
class StrictDiscord:
    """Enforces a bucket of 5 in 2 s for each channel and 50/s in sum, and counts what breaks them."""

    windows: dict[str, tuple[float, int]] = field(default_factory=dict)
    recent: list[float] = field(default_factory=list)
    violations: int = 0
    served: Counter[str] = field(default_factory=Counter)
    latency: float = 0.05

    async def __call__(self, call: Call) -> HttpResponse:
        await trio.sleep(self.latency / 2)
        now = trio.current_time()
        self.recent = [time for time in self.recent if time > now - 0.99]
        channel = call.url.split("/")[-2]
        ends, used = self.windows.get(channel, (0.0, 0))
        if now >= ends:
            ends, used = now + 2.0, 0
        if used >= 5 or len(self.recent) >= 50:
            self.violations += 1
            return refused(ends - now)
        used += 1
        self.recent.append(now)
        self.windows[channel] = (ends, used)
        self.served[channel] += 1
        await trio.sleep(self.latency / 2)
        return answer(
            x_ratelimit_bucket="b",
            x_ratelimit_limit="5",
            x_ratelimit_remaining=str(5 - used),
            x_ratelimit_reset=f"{1e9 + ends:.3f}",
            x_ratelimit_reset_after=f"{ends - now:.3f}",
        )


async def test_many_guilds_never_exceed_a_limit_and_none_starves(
    autojump_clock: trio.testing.MockClock,
) -> None:
    discord = StrictDiscord()
    rest, _ = client(discord, deadline=30.0)
    done: Counter[str] = Counter()

    async def script_of(guild: str, count: int) -> None:
        async def one() -> None:
            try:
                await rest.request(
                    Route("POST", "/channels/{channel_id}/messages", channel_id=guild),
                    guild_id=GuildId(guild),
                    json={},
                )
                done[guild] += 1
            except RateLimitedError:
                pass

        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(one)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(script_of, "1", 500)  # one guild asks for all it can
        for guild in range(2, 22):
            nursery.start_soon(script_of, str(guild), 15)
    assert discord.violations == 0
    assert all(done[str(guild)] == 15 for guild in range(2, 22))
    assert done["1"] >= 65  # five in two seconds, for thirty seconds


async def test_a_storm_of_cancellations_leaves_the_limiter_whole(
    autojump_clock: trio.testing.MockClock,
) -> None:
    discord = StrictDiscord()
    rest, _ = client(discord)

    async def one(number: int) -> None:
        with trio.move_on_after(number % 37 * 0.11):
            route = Route("POST", "/channels/{channel_id}/messages", channel_id=number % 3)
            with contextlib.suppress(RateLimitedError):
                await rest.request(route, guild_id=GuildId(str(number % 5)), json={})

    async with trio.open_nursery() as nursery:
        for number in range(400):
            nursery.start_soon(one, number)
    assert all(rest.limiter.waiting(GuildId(str(guild))) == 0 for guild in range(5))
    assert all(rest.limiter.in_flight(GuildId(str(guild))) == 0 for guild in range(5))
    assert discord.violations == 0
    await trio.sleep(5)
    assert (await rest.request(MESSAGES, json={}, guild_id=GuildId("1"))).status == 200


async def test_a_guild_that_earns_refusals_is_slowed_then_suspended_and_let_go(
    autojump_clock: trio.testing.MockClock,
) -> None:
    notices: list[tuple[str, str]] = []
    rest, http = client(
        script(answer(403, {"code": 50013, "message": "Missing Permissions"})),
        on_notice=lambda guild, text: notices.append((guild, text)),
    )

    async def until_suspended() -> None:
        while True:
            with contextlib.suppress(DiscordHttpError):
                await rest.request(READ, guild_id=GUILD)

    start = trio.current_time()
    with pytest.raises(RestSuspendedError) as caught:
        await until_suspended()
    assert caught.value.guild
    assert len(http.calls) == GUILD_SUSPEND
    assert trio.current_time() - start >= (GUILD_SUSPEND - GUILD_SLOW - 1) * SLOW_SPACING
    assert [guild for guild, _ in notices] == [GUILD, GUILD]
    assert "slowed" in notices[0][1]
    assert "stopped" in notices[1][1]

    with pytest.raises(DiscordHttpError):  # its neighbours are not affected
        await rest.request(READ, guild_id=GuildId("10"))

    await trio.sleep(caught.value.retry_after + 1)
    with pytest.raises(DiscordHttpError):
        await rest.request(READ, guild_id=GUILD)


async def test_shared_429s_and_flora_s_own_401s_are_not_held_against_a_guild(
    autojump_clock: trio.testing.MockClock,
) -> None:
    rest, _ = client(script(answer(401, {"message": "401: Unauthorized", "code": 0})))
    for _ in range(GUILD_SUSPEND + 10):
        with pytest.raises(DiscordHttpError):
            await rest.request(READ, guild_id=GUILD)
    rest, _ = client(script(refused(10.0, scope="shared")))
    for _ in range(GUILD_SUSPEND + 10):
        with pytest.raises(RateLimitedError):
            await rest.request(READ, guild_id=GUILD)
        await trio.sleep(10.1)


@pytest.mark.parametrize(
    "arguments",
    [{"json": {"content": "half \ud83d"}}, {"reason": "\ud83d"}, {"query": {"q": "\ud83d"}}],
    ids=str,
)
async def test_text_that_cannot_be_sent_is_refused(arguments: dict[str, Any]) -> None:
    rest, http = client(script(answer()))
    with pytest.raises(UnsendableError):
        await rest.request(MESSAGES, **arguments)
    assert http.calls == []
