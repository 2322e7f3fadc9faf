"""A request, its answer and the way from one to the other, without framework and without I/O.

The chat page needs a web framework; an API that is to carry load tests does not. Routes are written as
Quart's are, `@routes.get("/channels/<channel_id>")`, and found segment by segment: a literal wins over a
parameter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote

from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

if TYPE_CHECKING:
    from flora.playground.entities import User
    from flora.playground.faults import RestFault
    from flora.playground.limits import Verdict
    from flora.playground.oauth import Access
    from flora.playground.state import Playground

Handler = Callable[..., Awaitable["Answer"]]
Headers = list[tuple[bytes, bytes]]

JSON: Final = "application/json"
MAX_FORM: Final = 2 * 2**20  # bytes of the fields of a form, files aside


@dataclass(slots=True)
class Answer:
    """What goes back: `body` is complete, its length is the driver's business."""

    body: bytes = b""
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Call:
    """One request, whole. Header names are lower case; `path` is still percent-encoded."""

    playground: Playground
    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    address: str
    user: User | None = None  # whose token came
    access: Access | None = None  # the OAuth2 access token, when it was one
    verdict: Verdict | None = None
    late_faults: list[RestFault] = field(default_factory=list)
    _args: dict[str, list[str]] | None = None

    def header(self, name: bytes) -> str | None:
        """The first header of this name (lower case)."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None

    @property
    def media_type(self) -> str:
        return parse_options_header(self.header(b"content-type"))[0].lower()

    def arg(self, name: str) -> str | None:
        """The first value of a query parameter."""
        values = self.args(name)
        return values[0] if values else None

    def args(self, name: str) -> list[str]:
        if self._args is None:
            self._args = parse_qs(self.query, keep_blank_values=True) if self.query else {}
        return self._args.get(name, [])

    def form(self) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
        """The fields and the files of a form. Raises werkzeug's RequestEntityTooLarge."""
        media_type, options = parse_options_header(self.header(b"content-type"))
        parser = FormDataParser(stream_factory=_in_memory, max_form_memory_size=MAX_FORM)
        _, fields, files = parser.parse(BytesIO(self.body), media_type, len(self.body), options)
        return fields, files


def _in_memory(*_: object, **__: object) -> BytesIO:
    return BytesIO()


_current: Final = ContextVar[Call]("call")


def enter(call: Call) -> None:
    """Make it the request that `current` answers in this task."""
    _current.set(call)


def current() -> Call:
    return _current.get()


class Routes:
    """The handlers of one part of the API, by method and path."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, Handler]] = []

    def get(self, path: str) -> Callable[[Handler], Handler]:
        return self._route("GET", path)

    def post(self, path: str) -> Callable[[Handler], Handler]:
        return self._route("POST", path)

    def put(self, path: str) -> Callable[[Handler], Handler]:
        return self._route("PUT", path)

    def patch(self, path: str) -> Callable[[Handler], Handler]:
        return self._route("PATCH", path)

    def delete(self, path: str) -> Callable[[Handler], Handler]:
        return self._route("DELETE", path)

    def _route(self, method: str, path: str) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            self.found.append((method, path, handler))
            return handler

        return add


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    handlers: dict[str, tuple[Handler, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """Where a path leads: no handler is 404, or 405 when `others` are the methods that it has."""

    handler: Handler | None
    parameters: dict[str, str]
    others: tuple[str, ...] = ()


class Router:
    """All routes below one prefix."""

    def __init__(self, parts: Iterable[Routes]) -> None:
        self._root = _Node()
        for part in parts:
            for method, path, handler in part.found:
                self._add(method, path, handler)

    def _add(self, method: str, path: str, handler: Handler) -> None:
        node, names = self._root, []
        for segment in path.strip("/").split("/"):
            if segment.startswith("<"):
                names.append(segment[1:-1])
                node.parameter = node = node.parameter or _Node()
            else:
                node = node.literals.setdefault(segment, _Node())
        node.handlers[method] = handler, tuple(names)

    def find(self, method: str, path: str) -> Match:
        """The handler of a percent-encoded path, with its parameters decoded."""
        segments = path.strip("/").split("/")
        others: list[str] = []
        found = self._walk(self._root, "GET" if method == "HEAD" else method, segments, 0, [], others)
        if found is None:
            return Match(None, {}, tuple(others))
        (handler, names), values = found
        decoded = [unquote(each) if "%" in each else each for each in values]
        return Match(handler, dict(zip(names, decoded, strict=True)))

    def _walk(
        self, node: _Node, method: str, segments: list[str], index: int, values: list[str], others: list[str]
    ) -> tuple[tuple[Handler, tuple[str, ...]], list[str]] | None:
        if index == len(segments):
            handler = node.handlers.get(method)
            if handler is None:
                others += node.handlers
                return None
            return handler, values
        segment = segments[index]
        if (literal := node.literals.get(segment)) is not None:
            found = self._walk(literal, method, segments, index + 1, values, others)
            if found is not None:
                return found
        if node.parameter is None or not segment:
            return None
        return self._walk(node.parameter, method, segments, index + 1, [*values, segment], others)
