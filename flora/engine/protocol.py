"""The frames between the host and a guild process. Sans-I/O.

Host to guild (trusted): u32 length, little endian, then a letter, a header up to the first line break, a
payload:
  `L` {"name", "cpu"}            bundle        run its top level
  `D` {"id", "name", "event_id", "attempt"}  payload   one event
  `R` id                         JSON          an op's result
  `X` id                         JSON          an op's failure: {"name", "message", "code", "extra"}
  `A` id                                       the host no longer waits for this event
  `P` n                                        ping
  `Q`                                          end
Payloads are passed on as they are: the host never parses an event's body.

Guild to host (untrusted): u32 length, then one JSON object whose `t` names it, strictly one of the types
below. Anything else ends the process: an honest one cannot produce it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from flora.engine.api import Dispatch, EngineError, Script

_LENGTH: Final = struct.Struct("<I")
_MAX_TEXT: Final = 16_384 + 1  # characters of a console line or stack; the guild cuts there and adds one
_MAX_NUMBER: Final = 2**53 - 1

Text = Annotated[str, msgspec.Meta(max_length=_MAX_TEXT)]
Name = Annotated[str, msgspec.Meta(max_length=256 + 1)]
Id = Annotated[int, msgspec.Meta(ge=0, le=_MAX_NUMBER)]


class ProtocolViolationError(EngineError):
    """A guild process sent something that flora's side of it cannot have written."""

    code = "GUILD_PROTOCOL_VIOLATION"


class _Frame(msgspec.Struct, frozen=True, tag_field="t", forbid_unknown_fields=True):
    pass


class ErrorBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    message: Text
    stack: Text
    code: Name


class Ready(_Frame, tag="ready", frozen=True):
    """Sent before any guild code runs, and therefore true."""

    sealed: Annotated[list[Name], msgspec.Meta(max_length=32)]
    unsealed: dict[Name, Name]
    internal_jobs: bool
    soft_interrupt: bool
    tracks_rejections: bool


class Loaded(_Frame, tag="loaded", frozen=True):
    listens: Annotated[list[Name], msgspec.Meta(max_length=256)]
    prefix: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None
    commands: msgspec.Raw
    crons: msgspec.Raw


class Declare(_Frame, tag="declare", frozen=True):
    listens: Annotated[list[Name], msgspec.Meta(max_length=256)]
    prefix: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None
    commands: msgspec.Raw
    crons: msgspec.Raw


class LoadFailed(_Frame, tag="load_failed", frozen=True):
    error: ErrorBody


class Done(_Frame, tag="done", frozen=True):
    id: Id


class Failed(_Frame, tag="failed", frozen=True):
    id: Id
    error: ErrorBody


class CpuExceeded(_Frame, tag="cpu", frozen=True):
    id: Id


class Op(_Frame, tag="op", frozen=True):
    """`d` is the number of the event it belongs to, 0 for none."""

    id: Id
    d: Id
    name: Name
    args: msgspec.Raw


class Log(_Frame, tag="log", frozen=True):
    level: Literal["trace", "debug", "info", "warn", "error"]
    d: Id
    text: Text


class Fault(_Frame, tag="fault", frozen=True):
    origin: Name
    error: ErrorBody


class Pong(_Frame, tag="pong", frozen=True):
    """`timers` are pending, the next one `due` in so many seconds."""

    n: Id
    timers: Id
    due: float | None


GuildFrame = Ready | Loaded | Declare | LoadFailed | Done | Failed | CpuExceeded | Op | Log | Fault | Pong

_decoder: Final = msgspec.json.Decoder(GuildFrame, strict=True)
_encoder: Final = msgspec.json.Encoder()


class FrameDecoder:
    """Bytes of a guild process in, typed frames out. After a violation it is of no more use."""

    def __init__(self, max_frame_bytes: int) -> None:
        self._max = max_frame_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def frames(self) -> Iterator[GuildFrame]:
        """The complete frames so far. Raises ProtocolViolationError at the first that is none."""
        buffer, at = self._buffer, 0
        try:
            while len(buffer) - at >= _LENGTH.size:
                (size,) = _LENGTH.unpack_from(buffer, at)
                if not 2 <= size <= self._max:
                    raise ProtocolViolationError(f"a frame of {size} bytes (the limit is {self._max})")
                if len(buffer) - at - _LENGTH.size < size:
                    return
                start = at + _LENGTH.size
                at = start + size
                yield decode(buffer[start:at])
        finally:
            del buffer[:at]


def decode(body: bytes | bytearray) -> GuildFrame:
    """One frame without its length. Raises ProtocolViolationError."""
    try:
        decoded: GuildFrame = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolViolationError(f"a frame that is not valid: {str(error)[:200]}") from None
    return decoded


def frame(*parts: bytes) -> bytes:
    return b"".join((_LENGTH.pack(sum(map(len, parts))), *parts))


def load_frame(script: Script, cpu_secs: float) -> bytes:
    head = _encoder.encode({"name": script.name, "cpu": cpu_secs})
    return frame(b"L", head, b"\n", script.code.encode("utf-8", "replace"))


def dispatch_frame(number: int, dispatch: Dispatch) -> bytes:
    head = _encoder.encode(
        {"id": number, "name": dispatch.name, "event_id": dispatch.event_id, "attempt": dispatch.attempt}
    )
    return frame(b"D", head, b"\n", dispatch.payload)


def result_frame(op_id: int, result: bytes) -> bytes:
    return frame(b"R%d\n" % op_id, result)


def failure_frame(op_id: int, *, name: str, message: str, code: str, extra: Mapping[str, Any]) -> bytes:
    body = _encoder.encode({"name": name, "message": message, "code": code, "extra": extra})
    return frame(b"X%d\n" % op_id, body)


def abandon_frame(number: int) -> bytes:
    return frame(b"A%d\n" % number)


def ping_frame(number: int) -> bytes:
    return frame(b"P%d" % number)


def quit_frame() -> bytes:
    return frame(b"Q")
