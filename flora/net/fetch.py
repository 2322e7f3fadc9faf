"""One request of a script, from its URL to the last byte of the body: the driver.

Nothing runs in the background. `open_fetch` returns when the head of the final response is there; the body is
read from the connection when the script asks for more (`FetchedResponse.read`), so a script that does not
read holds up its server and nobody else. Each request has a connection of its own, to an address that the
policy permits; redirects start over with everything: policy, resolution, secrets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import h11
import trio

from flora.errors import FloraError
from flora.net.connector import ByteStream, ConnectError, Connector, Endpoint, abort
from flora.net.egress import EgressDeniedError, EgressUrlError, Policy, Target, join_url
from flora.net.fetch_coding import Decoder, decoder_of
from flora.net.fetch_rules import (
    REDIRECTS,
    FetchRequestError,
    Headers,
    check_header,
    checked_headers,
    checked_method,
    incoming_headers,
    outgoing_headers,
    redirected,
    redirected_headers,
)

CHUNK: Final = 64 * 1024
"""Bytes of a body that are handed on at once, about."""
_READ_SIZE: Final = 64 * 1024
_MAX_HEAD: Final = 64 * 1024

Escape = Callable[[str], str]


class Substitute(Protocol):
    """Fills secrets into a text for a request to `host`; `escape` fits a value into its surroundings.

    Raises a FloraError for a secret that must not go there.
    """

    def __call__(self, text: str, host: str, escape: Escape | None = None) -> str: ...


class FetchError(FloraError):
    """There is no response, or no more of it."""

    code = "FETCH_FAILED"


class FetchTimeoutError(FetchError):
    code = "FETCH_TIMEOUT"


class FetchTooLargeError(FetchError):
    """A body is larger than the operator allows."""

    code = "FETCH_TOO_LARGE"


class FetchRedirectError(FetchError):
    """A redirect that is not followed."""

    code = "FETCH_REDIRECT"


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What a script asks for; placeholders of secrets may be anywhere in it but in the host."""

    url: str
    method: str = "GET"
    headers: Headers = field(default_factory=list)
    body: bytes | None = field(default=None, repr=False)
    redirect: Literal["follow", "error", "manual"] = "follow"


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """`deadline` is on Trio's clock, for everything; sizes are bytes."""

    deadline: float = math.inf
    max_request: int = 2**63
    max_response: int = 2**63
    max_redirects: int = 20


def keep_text(text: str, host: str, escape: Escape | None = None) -> str:
    """The `Substitute` of somebody who has no secrets."""
    return text


async def open_fetch(
    connector: Connector,
    policy: Policy,
    request: FetchRequest,
    limits: FetchLimits,
    *,
    substitute: Substitute = keep_text,
) -> FetchedResponse:
    """Send `request`, follow its redirects, and return when the head of the response is there.

    Raises EgressDeniedError, EgressUrlError, FetchRequestError, FetchErrors, and what `substitute` raises.
    When cancelled, no connection is left; what was sent has been sent.
    """
    try:
        with trio.fail_at(limits.deadline):
            return await _follow(connector, policy, request, limits, substitute)
    except trio.TooSlowError:
        raise FetchTimeoutError("there was no answer in time.") from None


async def _follow(
    connector: Connector, policy: Policy, request: FetchRequest, limits: FetchLimits, substitute: Substitute
) -> FetchedResponse:
    method, url, body = checked_method(request.method), request.url, request.body
    headers = checked_headers(request.headers)
    if body is not None and method in {"GET", "HEAD"}:
        raise FetchRequestError(f"a {method} request has no body.")
    for hops in range(limits.max_redirects + 1):
        shown = policy.target(url)
        target = _filled(policy, url, shown, substitute)
        filled_body = _filled_body(body, headers, target.host, substitute)
        if filled_body is not None and len(filled_body) > limits.max_request:
            raise FetchTooLargeError(f"the body has more than {limits.max_request} bytes.")
        filled = _filled_headers(headers, target.host, substitute)
        response = await _exchange(connector, target, method, filled, filled_body, limits)
        response.url, response.redirected = shown.url, hops > 0
        location = response.header("location")
        if response.status not in REDIRECTS or location is None or request.redirect == "manual":
            return response
        response.close()
        if request.redirect == "error":
            raise FetchRedirectError(f"{shown.host} answered with a redirect.")
        url = join_url(shown.url, location)
        try:
            following = policy.target(url)
        except (EgressDeniedError, EgressUrlError) as error:
            raise type(error)(f"{shown.host} redirects to where no request may go: {error.message}") from None
        method, keeps_body = redirected(response.status, method)
        if not keeps_body:
            body = None
        headers = redirected_headers(
            headers, same_origin=following.origin == shown.origin, keeps_body=keeps_body
        )
    raise FetchRedirectError(f"more than {limits.max_redirects} redirects.")


def _filled(policy: Policy, url: str, shown: Target, substitute: Substitute) -> Target:
    """The URL with its secrets. A secret cannot choose where the request goes."""
    filled = substitute(url, shown.host)
    if filled == url:
        return shown
    target = policy.target(filled)
    if target.origin != shown.origin:
        raise FetchRequestError("a secret cannot be in the host of a URL.")
    return target


def _filled_headers(headers: Headers, host: str, substitute: Substitute) -> Headers:
    filled = [(name, substitute(value, host)) for name, value in headers]
    for name, value in filled:
        check_header(name, value)
    return filled


def _filled_body(body: bytes | None, headers: Headers, host: str, substitute: Substitute) -> bytes | None:
    """Values are written as the body's type has them: escaped in JSON, else as they are."""
    if body is None:
        return None
    text = body.decode("utf-8", "surrogateescape")
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    essence = kind.partition(";")[0].strip().lower()
    is_json = essence == "application/json" or essence.endswith("+json")
    filled = substitute(text, host, _in_json if is_json else None)
    return body if filled is text else filled.encode("utf-8", "surrogateescape")


def _in_json(value: str) -> str:
    out = []
    for char in value:
        if char in '"\\':
            out.append(f"\\{char}")
        else:
            out.append(char if char >= " " else f"\\u{ord(char):04x}")
    return "".join(out)


async def _exchange(
    connector: Connector,
    target: Target,
    method: str,
    headers: Headers,
    body: bytes | None,
    limits: FetchLimits,
) -> FetchedResponse:
    length = len(body) if body is not None else (0 if method in {"POST", "PUT"} else None)
    fields = outgoing_headers(headers, target.authority, length)
    try:
        head = h11.Request(
            method=method,
            target=target.path,
            headers=[
                (name.encode("latin-1"), value.strip(" \t").encode("latin-1")) for name, value in fields
            ],
        )
    except (h11.LocalProtocolError, UnicodeEncodeError):
        raise FetchRequestError("the request has a character that cannot be sent.") from None
    try:
        stream = await connector.connect(Endpoint(target.host, target.port, target.tls))
    except ConnectError as error:
        raise FetchError(error.message) from error
    response = FetchedResponse(stream, target.host, limits)
    try:
        await response.begin(head, body)
    except BaseException:
        response.close()
        raise
    return response


class FetchedResponse:
    """A response whose body is still to be read, by one task at a time. `close` it when it is not wanted."""

    def __init__(self, stream: ByteStream, host: str, limits: FetchLimits) -> None:
        self._stream = stream
        self._host = host
        self._limits = limits
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        self._decoder: Decoder | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._last = False
        self._received = 0
        self.closed = False
        self.done = False
        self.status = 0
        self.reason = ""
        self.headers: Headers = []
        self.url = ""
        self.redirected = False

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def deadline(self) -> float:
        return self._limits.deadline

    @property
    def length(self) -> int | None:
        """The bytes to come as Content-Length says, None when it says nothing."""
        text = self.header("content-length") or ""
        return int(text) if text.isascii() and text.isdigit() else None

    def close(self) -> None:
        """Close the connection; may be called more than once, and by anybody."""
        if not self.closed:
            self.closed = True
            abort(self._stream)

    async def begin(self, head: h11.Request, body: bytes | None) -> None:
        """Send the request and read the head of the response."""
        try:
            await self._send(head, body)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._protocol.send_failed()  # it may have answered before it closed
        event = await self._next()
        while isinstance(event, h11.InformationalResponse):
            event = await self._next()
        if not isinstance(event, h11.Response):
            raise FetchError(f"{self._host} closed the connection without an answer.")
        self.status = event.status_code
        self.reason = bytes(event.reason).decode("latin-1")
        self.headers = incoming_headers(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items()
        )
        if head.method != b"HEAD" and self.status not in {204, 304}:
            self._decoder = decoder_of(
                value for name, value in self.headers if name.lower() == "content-encoding"
            )

    async def read(self) -> bytes:
        """The next piece of the body, about `CHUNK` bytes; b"" at its end, when the connection is closed.

        Raises FetchErrors and ContentCodingError. Then, and when cancelled, the connection is closed.
        """
        try:
            with trio.fail_at(self._limits.deadline):
                return await self._read()
        except trio.TooSlowError:
            self.close()
            raise FetchTimeoutError(f"{self._host} did not send all of its answer in time.") from None
        except BaseException:
            self.close()
            raise

    async def _read(self) -> bytes:
        """What is at hand; waits only for the first of it."""
        out: list[bytes] = []
        size = 0
        while size < CHUNK:
            piece = next(self._pieces, None)
            if piece is None:
                if self._last:
                    self.done = True
                    self.close()
                    break
                event = await self._next(wait=not out)
                if event is None:
                    break
                self._pieces = self._decoded(event)
            elif piece:
                size += len(piece)
                self._received += len(piece)
                if self._received > self._limits.max_response:
                    raise FetchTooLargeError(
                        f"the answer of {self._host} has more than {self._limits.max_response} bytes."
                    )
                out.append(piece)
        return b"".join(out)

    def _decoded(self, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]) -> Iterator[bytes]:
        if isinstance(event, h11.Data):
            data = bytes(event.data)
            return self._decoder.feed(data) if self._decoder else iter((data,))
        if isinstance(event, h11.EndOfMessage):
            self._last = True
            return self._decoder.end() if self._decoder else iter(())
        raise FetchError(f"{self._host} closed the connection before its answer was complete.")

    async def _send(self, head: h11.Request, body: bytes | None) -> None:
        out = self._protocol.send(head) or b""
        if body:
            out += self._protocol.send(h11.Data(data=body)) or b""
        out += self._protocol.send(h11.EndOfMessage()) or b""
        await self._stream.send_all(out)

    async def _next(self, *, wait: bool = True) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED] | None:
        """The next event; None when it would have to be waited for and `wait` is false."""
        ended = False
        while True:
            try:
                event = self._protocol.next_event()
            except h11.RemoteProtocolError as error:
                if ended:
                    raise FetchError(
                        f"{self._host} closed the connection before its answer was complete."
                    ) from error
                raise FetchError(f"{self._host} sent something that is not HTTP: {error}.") from error
            if isinstance(event, h11.Event) or event is h11.PAUSED:
                return event
            if not wait:
                return None
            try:
                data = bytes(await self._stream.receive_some(_READ_SIZE))
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise FetchError(f"{self._host} broke the connection.") from error
            ended = not data
            self._protocol.receive_data(data)
