"""Content codings of responses (RFC 9110, 8.4.1), undone in pieces of which none exceeds a bound.

A few bytes can stand for gigabytes, so a decoder gets as little at a time as bounds what comes out.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

import zstandard

from flora.errors import FloraError

PIECE: Final = 64 * 1024
"""Bytes that leave a decoder at once; zstd's blocks may exceed it by what `_ZSTD_SLICE` can hold."""
_ZSTD_SLICE: Final = 64
"""Bytes of zstd: a block of four bytes stands for at most 128 KiB (RFC 8878, 3.1.1.2), so 2 MiB at once."""
_ZSTD_WINDOW: Final = 8 * 2**20
"""Bytes, what RFC 9659 obliges decoders of this coding to take."""
MAX_CODINGS: Final = 3


class ContentCodingError(FloraError):
    """The body is not coded as its header says."""

    code = "FETCH_BAD_CODING"


class Decoder(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]:
        """What follows from `data`, in pieces. Raises ContentCodingError."""

    def end(self) -> Iterator[bytes]:
        """What is left when nothing more comes. Raises ContentCodingError when something is missing."""


def decoder_of(codings: Iterable[str]) -> Decoder | None:
    """For the values of Content-Encoding; None when there is nothing to undo.

    A body whose coding flora does not know is passed on as it is. Raises ContentCodingError for too many.
    """
    names = [name.strip().lower() for value in codings for name in value.split(",")]
    names = [name for name in names if name and name != "identity"]
    if len(names) > MAX_CODINGS:
        raise ContentCodingError(f"a response with more than {MAX_CODINGS} content codings.")
    if not names or any(name not in _DECODERS for name in names):
        return None
    chain: Decoder = _DECODERS[names[-1]]()
    for name in reversed(names[:-1]):
        chain = _Chain(chain, _DECODERS[name]())
    return chain


class _Chain:
    def __init__(self, first: Decoder, second: Decoder) -> None:
        self._first = first
        self._second = second

    def feed(self, data: bytes) -> Iterator[bytes]:
        for piece in self._first.feed(data):
            yield from self._second.feed(piece)

    def end(self) -> Iterator[bytes]:
        for piece in self._first.end():
            yield from self._second.feed(piece)
        yield from self._second.end()


class _Gzip:
    """RFC 1952; members may follow each other."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(wbits=31)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflater.eof:
                self._inflater = zlib.decompressobj(wbits=31)
            self._begun = True
            yield _inflate(self._inflater, data)
            data = self._inflater.unconsumed_tail or self._inflater.unused_data

    def end(self) -> Iterator[bytes]:
        if self._begun and not self._inflater.eof:
            raise ContentCodingError("the response ended in the middle of its compressed body.")
        return iter(())


class _Deflate:
    """RFC 1950 as the standard has it, or RFC 1951 as some servers do."""

    def __init__(self) -> None:
        self._inflater: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inflater is None:
            wrapped = data[0] & 0x0F == 8 and data[0] >> 4 <= 7
            self._inflater = zlib.decompressobj(wbits=15 if wrapped else -15)
        while data and not self._inflater.eof:
            yield _inflate(self._inflater, data)
            data = self._inflater.unconsumed_tail

    def end(self) -> Iterator[bytes]:
        if self._inflater is not None and not self._inflater.eof:
            raise ContentCodingError("the response ended in the middle of its compressed body.")
        return iter(())


def _inflate(inflater: zlib._Decompress, data: bytes) -> bytes:
    try:
        return inflater.decompress(data, PIECE)
    except zlib.error as error:
        raise ContentCodingError(f"the compressed body of the response is damaged: {error}.") from error


class _Zstd:
    """RFC 8878; frames may follow each other."""

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._frame = self._context.decompressobj()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            piece = data[at : at + _ZSTD_SLICE]
            if self._frame.eof:
                self._frame = self._context.decompressobj()
            self._begun = True
            try:
                out = self._frame.decompress(piece)
            except zstandard.ZstdError as error:
                raise ContentCodingError(
                    f"the compressed body of the response is damaged: {error}."
                ) from error
            at += len(piece) - len(self._frame.unused_data)
            if out:
                yield out

    def end(self) -> Iterator[bytes]:
        if self._begun and not self._frame.eof:
            raise ContentCodingError("the response ended in the middle of its compressed body.")
        return iter(())


_DECODERS: Final[Mapping[str, Callable[[], Decoder]]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "zstd": _Zstd,
}
