"""The rules of fetch that need no connection: methods, headers, redirects (Fetch Standard).

flora is a server-side runtime: there is no origin to protect a user's cookies of, hence no CORS and no opaque
responses; "manual" gives the redirect itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import flora
from flora.errors import FloraError

Headers = list[tuple[str, str]]

USER_AGENT: Final = f"flora/{flora.__version__}"
ACCEPT_ENCODING: Final = "gzip, deflate, zstd"

MAX_HEADERS: Final = 128
MAX_HEADER_BYTES: Final = 32 * 1024
"""Of all names and values, before secrets are filled in."""

_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}")
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_FORBIDDEN_METHODS: Final = frozenset({"CONNECT", "TRACE", "TRACK"})
_UPPER_CASE: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"})

# Those that the connection or flora itself decides about (RFC 9110, 7.6.1, and request framing).
_FORBIDDEN: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer", "upgrade"}
    | {"transfer-encoding"}
)
_OF_BODY: Final = frozenset({"content-encoding", "content-language", "content-location", "content-type"})
_OF_ORIGIN: Final = frozenset({"authorization", "cookie"})
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class FetchRequestError(FloraError):
    """The request cannot be sent as it is."""

    code = "INVALID_REQUEST"


def checked_method(method: str) -> str:
    """Raises FetchRequestError."""
    upper = method.upper()
    if not _METHOD.fullmatch(method) or upper in _FORBIDDEN_METHODS:
        raise FetchRequestError(f"{method[:32]!r} is not a method that can be requested.")
    return upper if upper in _UPPER_CASE else method


def checked_headers(headers: Sequence[tuple[str, str]]) -> Headers:
    """Those that a script may set, in its order; the others are left out silently, as the standard has it.

    Raises FetchRequestError.
    """
    if len(headers) > MAX_HEADERS:
        raise FetchRequestError(f"a request has at most {MAX_HEADERS} headers.")
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        raise FetchRequestError(f"the headers have more than {MAX_HEADER_BYTES} characters.")
    kept = []
    for name, value in headers:
        check_header(name, value)
        if name.lower() not in _FORBIDDEN and not name.lower().startswith(("proxy-", "sec-")):
            kept.append((name, value))
    return kept


def check_header(name: str, value: str) -> None:
    """Raises FetchRequestError, which does not show the value."""
    if not _NAME.fullmatch(name):
        raise FetchRequestError(f"{name[:64]!r} is not the name of a header.")
    if any(ord(char) > 0xFF or char in "\r\n\0" for char in value):
        raise FetchRequestError(f"the value of the header {name} has a character that cannot be sent.")


def outgoing_headers(headers: Headers, authority: str, length: int | None) -> Headers:
    """What goes over the wire: the script's, and what flora adds."""
    given = {name.lower() for name, _ in headers}
    out = [("Host", authority)]
    for name, value in (("Accept", "*/*"), ("Accept-Language", "*"), ("User-Agent", USER_AGENT)):
        if name.lower() not in given:
            out.append((name, value))
    out += headers
    out += [("Accept-Encoding", ACCEPT_ENCODING), ("Connection", "close")]
    if length is not None:
        out.append(("Content-Length", str(length)))
    return out


def incoming_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """What a script sees of a response's: all but those of the connection."""
    found = list(headers)
    named = {
        option.strip().lower()
        for name, value in found
        if name.lower() == "connection"
        for option in value.split(",")
    }
    return [(name, value) for name, value in found if name.lower() not in _HOP_BY_HOP | named]


def redirected(status: int, method: str) -> tuple[str, bool]:
    """The next request's method, and whether it keeps the body (Fetch Standard, "HTTP-redirect fetch")."""
    if (status in {301, 302} and method == "POST") or (status == 303 and method not in {"GET", "HEAD"}):
        return "GET", False
    return method, True


def redirected_headers(headers: Headers, *, same_origin: bool, keeps_body: bool) -> Headers:
    """Credentials stay with the origin that they were meant for."""
    dropped: frozenset[str] = frozenset() if same_origin else _OF_ORIGIN
    if not keeps_body:
        dropped |= _OF_BODY
    return [(name, value) for name, value in headers if name.lower() not in dropped]
