"""The small parts of the gateway: compression, intents, routes, attachments, the breaker, gateway info."""

from __future__ import annotations

import itertools
import re
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from flora.gateway.breaker import (
    GLOBAL_SUSPEND,
    GUILD_SLOW,
    GUILD_SUSPEND,
    WINDOW,
    InvalidRequestBreaker,
    Verdict,
)
from flora.gateway.compression import Compression, DecompressionError, decompressor
from flora.gateway.envelope import EnvelopeError
from flora.gateway.info import fetch_gateway_info, shard_of
from flora.gateway.intents import EVENTS, PRIVILEGED, Intents, intents_for
from flora.gateway.limits import SendLimit
from flora.gateway.multipart import Attachment, InvalidAttachmentError, encode_multipart
from flora.gateway.rest import DiscordRest
from flora.gateway.routes import InvalidRouteError, Route
from flora.ids import GuildId
from flora.net.http import HttpClient
from tests.gateway.fake_gateway import Deflater
from tests.net.loopback import Answer, Request, http_server


@pytest.mark.parametrize("kind", ["none", "zlib-stream", "zstd-stream"])
@given(payloads=st.lists(st.binary(min_size=1, max_size=5000), max_size=8))
def test_what_was_compressed_comes_out(kind: Compression, payloads: list[bytes]) -> None:
    deflater, stream = Deflater(kind), decompressor(kind)
    for payload in payloads:
        if kind == "none":
            assert stream.feed(payload) == payload
        else:
            packed = deflater.message(payload)
            assert isinstance(packed, bytes)
            assert stream.feed(packed) == payload


@given(cuts=st.lists(st.integers(1, 400), max_size=5))
def test_a_zlib_payload_may_come_in_several_messages(cuts: list[int]) -> None:
    packer, stream = zlib.compressobj(), decompressor("zlib-stream")
    payload = bytes(range(256)) * 8
    for _ in range(3):
        packed = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
        places = [0, *sorted({min(cut, len(packed) - 5) for cut in cuts}), len(packed)]
        pieces = [packed[a:b] for a, b in itertools.pairwise(places) if a < b]
        assert [stream.feed(piece) for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
        assert stream.feed(pieces[-1]) == payload


@pytest.mark.parametrize("kind", ["zlib-stream", "zstd-stream"])
def test_a_bomb_is_refused(kind: Compression) -> None:
    packed = Deflater(kind).message(bytes(5_000_000))
    assert isinstance(packed, bytes)
    with pytest.raises(DecompressionError, match="1000000 bytes"):
        decompressor(kind, max_payload=1_000_000).feed(packed)


@pytest.mark.parametrize("kind", ["zlib-stream", "zstd-stream"])
@pytest.mark.parametrize("raw", [b"nothing that was compressed\x00\x00\xff\xff", b"\x78\x9c\xff\xff\xff\xff"])
def test_a_broken_stream_is_an_error(kind: Compression, raw: bytes) -> None:
    with pytest.raises(DecompressionError):
        decompressor(kind).feed(raw)


def test_a_zlib_stream_does_not_end() -> None:
    with pytest.raises(DecompressionError):
        decompressor("zlib-stream").feed(zlib.compress(b"x") + b"\x00\x00\xff\xff")


def test_a_zstd_window_larger_than_every_decoder_must_take_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=27, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(b"x" * 100) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    with pytest.raises(DecompressionError):
        decompressor("zstd-stream").feed(packed)


def test_intents_follow_from_what_is_listened_to() -> None:
    assert intents_for([]) == Intents.GUILDS
    assert intents_for(["INTERACTION_CREATE", "SOMETHING_NEW"]) == Intents.GUILDS
    assert (
        intents_for(["MESSAGE_CREATE"]) == Intents.GUILDS | Intents.GUILD_MESSAGES | Intents.MESSAGE_CONTENT
    )
    assert intents_for(["MESSAGE_CREATE"], content=False) == Intents.GUILDS | Intents.GUILD_MESSAGES
    assert intents_for(["TYPING_START"], direct=True) == (
        Intents.GUILDS | Intents.GUILD_MESSAGE_TYPING | Intents.DIRECT_MESSAGE_TYPING
    )
    assert intents_for(["GUILD_MEMBER_ADD"]) & PRIVILEGED == Intents.GUILD_MEMBERS


@given(st.sets(st.sampled_from([name for names in EVENTS.values() for name in names])))
def test_every_event_listened_to_is_carried(names: set[str]) -> None:
    intents = intents_for(names)
    carried = {name for intent, events in EVENTS.items() if intent in intents for name in events}
    assert names <= carried


def test_a_route_knows_its_path_and_its_limits() -> None:
    route = Route(
        "PUT",
        "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/@me",
        channel_id=5,
        message_id=6,
        emoji="👍/x",
    )
    assert route.path == "/channels/5/messages/6/reactions/%F0%9F%91%8D%2Fx/@me"
    assert (route.major, route.authorized, route.idempotent) == ("5", True, True)
    assert str(route) == "PUT /channels/{channel_id}/messages/{message_id}/reactions/{emoji}/@me"
    assert Route("GET", "/users/{user_id}", user_id=1).major == ""


def test_a_token_in_a_path_is_the_authorization_and_stays_hidden() -> None:
    route = Route(
        "POST", "/webhooks/{webhook_id}/{interaction_token}", webhook_id=5, interaction_token="secret"
    )
    assert route.path == "/webhooks/5/secret"
    assert not route.authorized
    assert not route.global_limited
    assert "secret" not in f"{route} {route!r}"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_parameter_cannot_change_the_path(value: str) -> None:
    with pytest.raises(InvalidRouteError):
        Route("GET", "/channels/{channel_id}", channel_id=value)


@given(st.text(min_size=1))
def test_no_parameter_leaves_its_segment(value: str) -> None:
    try:
        path = Route("GET", "/channels/{channel_id}/pins", channel_id=value).path
    except InvalidRouteError:
        return
    assert re.fullmatch(r"/channels/[\w.~%@-]+/pins", path, re.ASCII)


def test_parameters_must_fit_the_path() -> None:
    with pytest.raises(InvalidRouteError):
        Route("GET", "/channels/{channel_id}")
    with pytest.raises(InvalidRouteError):
        Route("GET", "/users/@me", user_id=1)


@pytest.mark.parametrize(
    ("name", "kind"), [("", "a/b"), ("x" * 300, "a/b"), ("x", "a"), ("x", "a/b\r\nX: 1")]
)
def test_attachments_that_cannot_be_sent(name: str, kind: str) -> None:
    with pytest.raises(InvalidAttachmentError):
        Attachment(name, b"", kind)


@given(st.text(min_size=1, max_size=100))
def test_no_file_name_leaves_its_header(name: str) -> None:
    try:
        _, parts = encode_multipart(None, [Attachment(name, b"")])
    except InvalidAttachmentError:
        return
    head = parts[0].decode()
    assert head.count("\r\n") == 4
    assert head.count('"') == 4


def test_the_breaker_acts_on_the_guild_first_and_forgets() -> None:
    breaker, one, other = InvalidRequestBreaker(), GuildId("1"), GuildId("2")
    for number in range(GUILD_SUSPEND):
        assert breaker.verdict(one, 1.0) is (Verdict.CLOSED if number < GUILD_SLOW else Verdict.SLOWED)
        breaker.record(one, 1.0)
    suspension = breaker.suspension(one, 1.0)
    assert suspension is not None
    assert suspension.guild
    assert breaker.suspension(other, 1.0) is None
    assert breaker.suspension(one, 1.0 + suspension.retry_after) is None
    assert 0 < suspension.retry_after <= WINDOW + 10


def test_the_breaker_stops_everyone_well_below_discords_limit() -> None:
    breaker = InvalidRequestBreaker()
    for number in range(GLOBAL_SUSPEND):
        breaker.record(GuildId(str(number)), number / 100)
    suspension = breaker.suspension(GuildId("new"), 41.0)
    assert suspension is not None
    assert not suspension.guild
    assert GLOBAL_SUSPEND <= 5000
    assert breaker.suspension(None, 41.0 + suspension.retry_after) is None


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=400))
def test_the_send_limit_holds_and_keeps_its_reserve(steps: list[tuple[float, bool]]) -> None:
    limit, now, sent = SendLimit(), 0.0, []
    for pause, urgent in steps:
        now += pause / 30
        if limit.ready_at(now, urgent=urgent) <= now:
            limit.record(now)
            sent.append((now, urgent))
    for index, (time, urgent) in enumerate(sent):
        recent = sum(1 for earlier, _ in sent[: index + 1] if earlier > time - 60)
        assert recent <= (120 if urgent else 110)


async def test_gateway_info() -> None:
    async def handler(_: Request) -> Answer:
        return Answer(
            200,
            b'{"url":"wss://gateway.discord.gg","shards":9,"session_start_limit":'
            b'{"total":1000,"remaining":999,"reset_after":14400000,"max_concurrency":2}}',
        )

    async with http_server(handler) as server, HttpClient() as http:
        info = await fetch_gateway_info(DiscordRest(http, base_url=server.url("/api/v10"), token="t"))
    assert (info.url, info.shards, info.gate().remaining) == ("wss://gateway.discord.gg", 9, 999)
    assert server.requests[0].target == "/api/v10/gateway/bot"


async def test_gateway_info_that_is_none() -> None:
    async def handler(_: Request) -> Answer:
        return Answer(200, b"<html>")

    async with http_server(handler) as server, HttpClient() as http:
        with pytest.raises(EnvelopeError):
            await fetch_gateway_info(DiscordRest(http, base_url=server.url(), token="t"))


def test_the_shard_of_a_guild() -> None:
    assert shard_of(GuildId("197038439483310086"), 4) == (197038439483310086 >> 22) % 4
    assert shard_of(GuildId("197038439483310086"), 1) == 0
