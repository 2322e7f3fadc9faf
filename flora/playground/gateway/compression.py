"""Transport compression of the gateway: one compressor per connection, flushed after each message.

Source: Discord API Reference, "Gateway", section "Transport Compression".
"""

from __future__ import annotations

import zlib
from typing import Final, Protocol

import zstandard


class Encoder(Protocol):
    def encode(self, frame: bytes) -> bytes | str:
        """The websocket message for one frame: text, or a part of the connection's compressed stream."""


class PlainEncoder:
    def encode(self, frame: bytes) -> str:
        return frame.decode()


class ZlibEncoder:
    """zlib-stream: each message ends in the sync flush marker 00 00 FF FF."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj()

    def encode(self, frame: bytes) -> bytes:
        return self._stream.compress(frame) + self._stream.flush(zlib.Z_SYNC_FLUSH)


class ZstdEncoder:
    """zstd-stream: one endless zstd frame, flushed at block borders."""

    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor().compressobj()

    def encode(self, frame: bytes) -> bytes:
        return self._stream.compress(frame) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


class PayloadEncoder:
    """The older payload compression, asked for in identify: large messages come as whole zlib documents."""

    LARGE: Final = 8192  # bytes; Discord does not document where it begins

    def encode(self, frame: bytes) -> bytes | str:
        return zlib.compress(frame) if len(frame) > self.LARGE else frame.decode()


_TRANSPORT: Final[dict[str, type[Encoder]]] = {
    "": PlainEncoder,
    "zlib-stream": ZlibEncoder,
    "zstd-stream": ZstdEncoder,
}


def transport_encoder(name: str) -> Encoder | None:
    """The encoder for the query parameter `compress`; None when the name is unknown."""
    kind = _TRANSPORT.get(name)
    return None if kind is None else kind()
