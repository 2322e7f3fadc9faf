"""The HTTP client of the command line: one API error, one connection error, and event streams that resume."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from flora.cli.target import Target, resolve_target
from flora.errors import FloraError

TIMEOUT: Final = httpx.Timeout(10.0, read=30.0)
# A script may take half a minute to load, and the answer waits for it.
DEPLOY_TIMEOUT: Final = httpx.Timeout(10.0, read=120.0, write=60.0)
# The server says something at least every 15 seconds; a stream silent for three times that is dead.
STREAM_TIMEOUT: Final = httpx.Timeout(10.0, read=45.0)
# How long a stream that broke off is tried again.
RESUME_FOR: Final = 60.0
# How much of a large body is sent before it is told of.
PIECE: Final = 64 * 1024


class ApiError(FloraError):
    """flora refused. `api_code` and `details` are of its error body."""

    code = "API_ERROR"

    def __init__(
        self, status: int, api_code: str, message: str, details: Mapping[str, Any], hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.api_code = api_code
        self.details = details


class UnreachableError(FloraError):
    code = "UNREACHABLE"


@dataclass(frozen=True, slots=True)
class StreamEvent:
    name: str
    data: Any
    id: str | None


class Client:
    """Calls one flora. Raises ApiError for its refusals, UnreachableError when it does not answer."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._http = httpx.Client(**client_options(target))

    @property
    def url(self) -> str:
        return self._target.url

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(
        self, path: str, query: Mapping[str, object] | None = None, *, accept: tuple[int, ...] = ()
    ) -> Any:
        """The JSON answer; statuses in `accept` count as success too."""
        return self._call("GET", path, accept=accept, params=_params(query or {}))

    def pages(self, path: str) -> dict[str, Any]:
        """A list as if it came in one page: `items` of all of them."""
        items: list[Any] = []
        cursor: str | None = None
        while True:
            page = self.get(path, {"limit": 1000, "cursor": cursor})
            items += page["items"]
            if (cursor := page.get("next_cursor")) is None:
                return {"items": items}

    def post_large(self, path: str, body: bytes, sent: Callable[[int], None]) -> Any:
        """Send JSON in pieces; `sent` hears how many bytes have gone."""

        def pieces() -> Iterator[bytes]:
            for start in range(0, len(body), PIECE):
                piece = body[start : start + PIECE]
                yield piece
                sent(start + len(piece))

        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        return self._call("POST", path, content=pieces(), headers=headers, timeout=DEPLOY_TIMEOUT)

    def post(self, path: str, body: Any = None) -> Any:
        if body is None:
            return self._call("POST", path, timeout=DEPLOY_TIMEOUT)
        return self._call("POST", path, json=body, timeout=DEPLOY_TIMEOUT)

    def upload(self, path: str, query: Mapping[str, object], archive: bytes) -> Any:
        """Send a zip file."""
        headers = {"Content-Type": "application/zip"}
        return self._call(
            "POST",
            path,
            params=_params(query),
            content=archive,
            headers=headers,
            timeout=DEPLOY_TIMEOUT,
        )

    def put(self, path: str, body: Any = None) -> Any:
        return self._call("PUT", path, **({} if body is None else {"json": body}))

    def download(self, path: str, file: Path) -> int:
        """Write the answer's bytes to `file`, all of them or nothing; how many."""
        unfinished = file.with_name(f".{file.name}.part")
        try:
            with (
                self._http.stream("GET", path, timeout=DEPLOY_TIMEOUT) as response,
                unfinished.open("wb") as output,
            ):
                if not response.is_success:
                    response.read()
                    raise refusal(self.url, response)
                size = sum(output.write(chunk) for chunk in response.iter_bytes())
            unfinished.replace(file)
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from error
        finally:
            unfinished.unlink(missing_ok=True)
        return size

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path)

    def _call(self, method: str, path: str, *, accept: tuple[int, ...] = (), **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from error
        return answer_of(self.url, response, accept=accept)

    def follow(
        self, path: str, query: Mapping[str, object], *, on_drop: Callable[[str], None]
    ) -> Iterator[StreamEvent]:
        """The events of a stream; after a drop it goes on where it broke off, for ever.

        Gives up with UnreachableError when flora stays away for RESUME_FOR seconds.
        """
        params = _params(query)
        last_id: str | None = None
        lost_since: float | None = None
        pause = 0.25
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
            try:
                with self._http.stream(
                    "GET", path, params=params, headers=headers, timeout=STREAM_TIMEOUT
                ) as response:
                    if not response.is_success:
                        response.read()
                        if response.status_code not in (502, 503, 504):
                            raise refusal(self.url, response)
                    else:
                        parser = EventParser()
                        for event in filter(None, map(parser.feed, response.iter_lines())):
                            lost_since, pause = None, 0.25
                            last_id = event.id or last_id
                            if event.name != "end":
                                yield event
                reason = "flora ended the stream"
            except httpx.TransportError as error:
                if lost_since is None and last_id is None and isinstance(error, httpx.ConnectError):
                    raise unreachable(self.url, error) from error
                reason = "the connection broke off"
            if lost_since is None:
                lost_since = time.monotonic()
                on_drop(reason)
            elif time.monotonic() - lost_since > RESUME_FOR:
                raise UnreachableError(f"flora at {self.url} did not come back in {RESUME_FOR:.0f} seconds.")
            time.sleep(pause)
            pause = min(pause * 2, 5.0)


def connect(api: str | None, token: str | None) -> Client:
    """The client of the flora that these options, the environment or this directory name."""
    return Client(resolve_target(api, token))


def client_options(target: Target) -> dict[str, Any]:
    """Of the httpx client for this flora."""
    headers = {"User-Agent": "flora-cli", "X-Flora-Deploy-Source": "cli"}
    if target.token:
        headers["Authorization"] = f"Bearer {target.token}"
    # The environment's proxy is no way to this machine.
    local = urlsplit(target.url).hostname in ("127.0.0.1", "localhost", "::1")
    return {"base_url": target.url, "headers": headers, "timeout": TIMEOUT, "trust_env": not local}


def answer_of(url: str, response: httpx.Response, *, accept: tuple[int, ...] = ()) -> Any:
    """The JSON of an answer. Raises ApiError for a refusal, UnreachableError for what is not flora's."""
    if response.is_success or response.status_code in accept:
        try:
            return response.json()
        except ValueError:
            raise _not_flora(url, response.status_code) from None
    raise refusal(url, response)


def unreachable(url: str, error: httpx.TransportError) -> UnreachableError:
    if isinstance(error, httpx.TimeoutException):
        return UnreachableError(
            f"flora at {url} does not answer.", hint="`flora health` shows what is not well."
        )
    return UnreachableError(
        f"there is no flora at {url}.",
        hint="Start it with `flora run`, or name another with --api or FLORA_API_URL.",
    )


def refusal(url: str, response: httpx.Response) -> FloraError:
    """The error that an answer is; its body must have been read."""
    try:
        error = response.json()["error"]
        code, message = str(error["code"]), str(error["message"])
        details = error.get("details") or {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return _not_flora(url, response.status_code)
    hint = None
    if response.status_code == 401:
        hint = (
            "Log in with `flora login`, or set FLORA_TOKEN; on flora's own machine run this in its directory."
        )
    return ApiError(response.status_code, code, message, details if isinstance(details, dict) else {}, hint)


def _not_flora(url: str, status: int) -> UnreachableError:
    return UnreachableError(
        f"what answers at {url} is not flora (status {status}, no JSON).",
        hint="Check --api or FLORA_API_URL.",
    )


class EventParser:
    """Server-sent events (WHATWG HTML, 9.2.6), line by line, as far as flora's own streams use them."""

    def __init__(self) -> None:
        self._name = "message"
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, line: str) -> StreamEvent | None:
        """The event that this line completes."""
        if not line:
            event = (
                StreamEvent(self._name, json.loads("\n".join(self._data)), self._id) if self._data else None
            )
            self._name, self._data, self._id = "message", [], None
            return event
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        elif field == "id":
            self._id = value
        return None


def _params(query: Mapping[str, object]) -> dict[str, str]:
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in query.items()
        if value is not None
    }
