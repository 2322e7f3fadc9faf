"""The host's side of the wire: every frame of ours arrives whole, and nothing else gets through.

`FLORA_FUZZ` sets the number of frames that the fuzzer throws at the decoder (20,000 by default; `just fuzz`
throws a million in each round), `FLORA_FUZZ_SEED` where it begins.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flora.engine import protocol
from flora.engine.api import Dispatch, Script
from flora.engine.limits import TokenBucket

LIMIT = 4096
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
ids = st.integers(0, 2**53 - 1)
names = st.text(max_size=40)
errors = st.fixed_dictionaries({"name": names, "message": names, "stack": names, "code": names})
valid = st.one_of(
    st.fixed_dictionaries({"t": st.just("done"), "id": ids}),
    st.fixed_dictionaries({"t": st.just("cpu"), "id": ids}),
    st.fixed_dictionaries({"t": st.just("failed"), "id": ids, "error": errors}),
    st.fixed_dictionaries({"t": st.just("load_failed"), "error": errors}),
    st.fixed_dictionaries({"t": st.just("op"), "id": ids, "d": ids, "name": names, "args": json_values}),
    st.fixed_dictionaries(
        {"t": st.just("log"), "level": st.sampled_from(["info", "error"]), "d": ids, "text": names}
    ),
    st.fixed_dictionaries({"t": st.just("fault"), "origin": names, "error": errors}),
    st.fixed_dictionaries(
        {
            "t": st.just("loaded"),
            "listens": st.lists(names),
            "prefix": st.none() | st.text(min_size=1, max_size=64),
            "commands": json_values,
            "crons": json_values,
        }
    ),
    st.fixed_dictionaries({"t": st.just("pong"), "n": ids, "timers": ids, "due": st.none() | st.just(1.5)}),
)


def wire(value: Any) -> bytes:
    return protocol.frame(json.dumps(value).encode())


def as_plain(frame: protocol.GuildFrame) -> Any:
    return msgspec.json.decode(msgspec.json.encode(frame))


@settings(deadline=None)
@given(st.lists(valid, max_size=4), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_frames_arrive_whole_however_they_are_cut(values: list[Any], cuts: list[int]) -> None:
    stream = b"".join(wire(value) for value in values)
    decoder = protocol.FrameDecoder(1 << 20)
    frames: list[protocol.GuildFrame] = []
    sizes = itertools.cycle(cuts)
    while stream:
        size = next(sizes)
        decoder.feed(stream[:size])
        frames += decoder.frames()
        stream = stream[size:]
    assert [as_plain(frame) for frame in frames] == values


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_frames_or_a_violation_and_nothing_else(data: bytes) -> None:
    decoder = protocol.FrameDecoder(LIMIT)
    decoder.feed(data)
    with contextlib.suppress(protocol.ProtocolViolationError):
        for frame in decoder.frames():
            assert isinstance(frame, msgspec.Struct)


@settings(deadline=None)
@given(valid, st.data())
def test_a_frame_with_anything_changed_in_its_types_is_refused(
    value: dict[str, Any], data: st.DataObject
) -> None:
    field = data.draw(st.sampled_from(sorted(value)))
    mutation = data.draw(st.sampled_from(["drop", "retype", "extra"]))
    changed = dict(value)
    match mutation:
        case "drop":
            del changed[field]
        case "retype":
            if field in {"args", "commands", "crons"}:
                return  # any JSON is right there
            changed[field] = {"no": "such type"} if not isinstance(value[field], dict) else 7
        case "extra":
            changed["one_more"] = 1
    with pytest.raises(protocol.ProtocolViolationError):
        protocol.decode(json.dumps(changed).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b'"done"',
        b"null",
        b'{"t":"done","id":-1}',
        b'{"t":"done","id":1.5}',
        b'{"t":"done","id":"1"}',
        b'{"t":"done","id":9007199254740992}',
        b'{"t":"done","id":1}{"t":"done","id":2}',
        b'{"t":"log","level":"fatal","d":0,"text":""}',
        b'{"t":"log","level":"info","d":0,"text":"' + b"x" * 20_000 + b'"}',
        b'{"t":"loaded","listens":['
        + b",".join([b'"A"'] * 257)
        + b'],"prefix":null,"commands":null,"crons":null}',
        b'{"t":"op","id":1,"d":0,"name":"' + b"x" * 300 + b'","args":null}',
        b'{"t":"op","id":1,"d":0,"name":"x","args":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"t":"op","id":1,"d":0,"name":"x","args":\xff}',
        b'{"t":"op","id":1,"d":0,"name":"\xed\xa0\x80","args":1}',
        b'{"t":"op","id":1,"d":0,"name":"x","args":}',
        b'{"t":"op","id":1,"d":0,"name":"x"}',
    ],
)
def test_what_no_honest_process_sends_is_refused(body: bytes) -> None:
    with pytest.raises(protocol.ProtocolViolationError):
        protocol.decode(body)


@pytest.mark.parametrize("size", [0, 1, LIMIT + 1, 2**31, 2**32 - 1])
def test_a_length_out_of_bounds_is_refused_before_the_frame_is_there(size: int) -> None:
    decoder = protocol.FrameDecoder(LIMIT)
    decoder.feed(struct.pack("<I", size))
    with pytest.raises(protocol.ProtocolViolationError, match=f"{size} bytes"):
        list(decoder.frames())


@pytest.mark.fuzz
def test_the_decoder_withstands_a_flood_of_mutated_frames() -> None:
    """Valid frames with bytes flipped, cut, doubled and swapped: a typed frame or a violation, each time."""
    rng = random.Random(int(os.environ.get("FLORA_FUZZ_SEED", "4")))
    examples = [
        b'{"t":"done","id":7}',
        b'{"t":"op","id":1,"d":2,"name":"send_message","args":{"content":"hi \\u00e9 \\ud83d\\ude00"}}',
        b'{"t":"log","level":"info","d":0,"text":"line"}',
        b'{"t":"failed","id":3,"error":{"name":"E","message":"m","stack":"s","code":""}}',
        b'{"t":"loaded","listens":["MESSAGE_CREATE"],"prefix":"!","commands":[{"name":"x"}],"crons":null}',
        b'{"t":"pong","n":1,"timers":0,"due":1.5}',
    ]
    accepted = refused = 0
    for _ in range(int(os.environ.get("FLORA_FUZZ", "20000"))):
        body = bytearray(rng.choice(examples))
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(body))
            match rng.randrange(4):
                case 0:
                    body[at] = rng.randrange(256)
                case 1:
                    del body[at : at + rng.randrange(1, 8)]
                case 2:
                    body[at:at] = body[at : at + rng.randrange(1, 8)]
                case 3:
                    body[at:at] = rng.choice([b"[", b"{", b'"', b"\\u", b"1e999", b"-", b"\0", b"null", b","])
            if not body:
                body = bytearray(b"{}")
        decoder = protocol.FrameDecoder(LIMIT)
        decoder.feed(protocol.frame(bytes(body)))
        try:
            (frame,) = decoder.frames()
            msgspec.json.encode(frame)
            accepted += 1
        except protocol.ProtocolViolationError:
            refused += 1
    assert accepted > 0
    assert refused > 0


def test_what_the_host_sends_is_a_letter_a_header_and_the_payload_untouched() -> None:
    payload = b'{"content": "\\n raw \xc3\xa9"}'
    data = protocol.dispatch_frame(7, Dispatch("MESSAGE_CREATE", payload, "0:s:1", attempt=2))
    (size,) = struct.unpack_from("<I", data)
    assert size == len(data) - 4
    head, _, rest = data[5:].partition(b"\n")
    assert data[4:5] == b"D"
    assert json.loads(head) == {"id": 7, "name": "MESSAGE_CREATE", "event_id": "0:s:1", "attempt": 2}
    assert rest == payload
    assert protocol.load_frame(Script("n", "code"), 1.5)[4:] == b'L{"name":"n","cpu":1.5}\ncode'
    assert protocol.result_frame(3, b"[1]")[4:] == b"R3\n[1]"
    assert protocol.failure_frame(3, name="E", message="m", code="C", extra={"n": 1})[4:] == (
        b'X3\n{"name":"E","message":"m","code":"C","extra":{"n":1}}'
    )
    assert [protocol.abandon_frame(9)[4:], protocol.ping_frame(1)[4:], protocol.quit_frame()[4:]] == [
        b"A9\n",
        b"P1",
        b"Q",
    ]


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 50)), max_size=30))
def test_a_bucket_never_gives_more_than_its_rate_and_burst(steps: list[tuple[float, float]]) -> None:
    now = 0.0
    bucket = TokenBucket(rate=10, burst=20, clock=lambda: now)
    given_out = 0.0
    for pause, amount in steps:
        now += pause
        if bucket.try_take(amount):
            given_out += amount
        assert given_out <= 20 + 10 * now + 1e-6


def test_a_bucket_says_how_long_to_wait() -> None:
    now = 0.0
    bucket = TokenBucket(rate=10, burst=20, clock=lambda: now)
    assert bucket.take(20) == 0
    assert bucket.take(5) == pytest.approx(0.5)
    now = 0.5
    assert bucket.take(0) == 0
