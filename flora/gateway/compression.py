"""Transport compression of the gateway: one stream for the whole connection, flushed after each payload.

Source: Discord, Gateway, "Transport Compression". What comes out of a payload is capped, so that a small
message cannot become all of the machine's memory.
"""

from __future__ import annotations

import zlib
from typing import Final, Literal, Protocol

import zstandard

from flora.errors import FloraError

Compression = Literal["none", "zlib-stream", "zstd-stream"]

MAX_PAYLOAD: Final = 64 * 2**20
"""Cap of one payload in bytes. A GUILD_CREATE of 60,000 members and presences has about 20 MiB."""

_ZLIB_FLUSH: Final = b"\x00\x00\xff\xff"  # the end of a Z_SYNC_FLUSH: here a payload is complete
_ZSTD_MAX_WINDOW: Final = 8 * 2**20  # what every zstd decoder must support (RFC 8878, 3.1.1.1.2)
_ZSTD_SLICE: Final = 1024  # four bytes may stand for a block of 128 KiB, so a slice gives at most 32 MiB


class DecompressionError(FloraError):
    """The stream is broken or a payload exceeds its cap; nothing after it can be read."""

    code = "GATEWAY_DECOMPRESSION_FAILED"


class Decompressor(Protocol):
    def feed(self, message: bytes) -> bytes | None:
        """Take one websocket message; give the payload that it completes, or None.

        Raises DecompressionError, after which the connection is of no use.
        """


class Plain:
    """No compression: a message is a payload."""

    def feed(self, message: bytes) -> bytes | None:
        return message


class ZlibStream:
    """zlib-stream: a payload may come in several messages; the one that ends with a flush completes it."""

    __slots__ = ("_max", "_parts", "_size", "_stream")

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self._stream = zlib.decompressobj()
        self._max = max_payload
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, message: bytes) -> bytes | None:
        try:
            out = self._stream.decompress(message, self._max - self._size + 1)
        except zlib.error as error:
            raise DecompressionError(f"the zlib stream is broken: {error}.") from error
        self._size += len(out)
        if self._size > self._max:
            raise DecompressionError(f"a payload has more than {self._max} bytes.")
        if self._stream.eof:
            raise DecompressionError("the zlib stream ended.")
        complete = message.endswith(_ZLIB_FLUSH)
        if complete and not self._parts:
            self._size = 0
            return out
        self._parts.append(out)
        if not complete:
            return None
        payload = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return payload


class ZstdStream:
    """zstd-stream: each message is flushed, so each completes a payload."""

    __slots__ = ("_max", "_stream")

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self._stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW).decompressobj()
        self._max = max_payload

    def feed(self, message: bytes) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        view = memoryview(message)
        try:
            for start in range(0, len(message), _ZSTD_SLICE):
                out = self._stream.decompress(view[start : start + _ZSTD_SLICE])
                size += len(out)
                if size > self._max:
                    raise DecompressionError(f"a payload has more than {self._max} bytes.")
                parts.append(out)
        except zstandard.ZstdError as error:
            raise DecompressionError(f"the zstd stream is broken: {error}.") from error
        return b"".join(parts) or None


def decompressor(compression: Compression, max_payload: int = MAX_PAYLOAD) -> Decompressor:
    """A fresh decompressor, for one connection."""
    if compression == "zlib-stream":
        return ZlibStream(max_payload)
    if compression == "zstd-stream":
        return ZstdStream(max_payload)
    return Plain()
