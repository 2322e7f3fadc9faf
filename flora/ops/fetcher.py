"""The requests of scripts to the outside, and what a guild may have of them.

A request has a place among those of its guild from its start until its body was read to the end or closed.
What a guild process leaves open is closed when it ends, and when its time is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import trio

from flora.config import EgressConfig
from flora.engine.api import OpError
from flora.engine.limits import TokenBucket
from flora.errors import FloraError
from flora.ids import GuildId
from flora.net.connector import Connector
from flora.net.egress import EgressDeniedError, Policy
from flora.net.egress_connector import GuardedConnector
from flora.net.fetch import (
    CHUNK,
    FetchedResponse,
    FetchLimits,
    FetchRequest,
    Substitute,
    keep_text,
    open_fetch,
)
from flora.ops.errors import invalid_input

INLINE: Final = 32 * 1024
"""Bytes of a body that come with its head, when its length is known."""
SWEEP_SECS: Final = 1.0
MAX_OPEN: Final = 64
"""Requests of one guild that wait for their turn or run."""


class FetchStatistics:
    """Counters since the host started; `flora.metrics` shows them."""

    def __init__(self) -> None:
        self.requests = {"ok": 0, "denied": 0, "limited": 0, "failed": 0, "cancelled": 0}
        self.bytes_out = 0
        self.bytes_in = 0


class Fetcher:
    """The requests of all guilds. `run` closes those whose time is over."""

    def __init__(self, config: EgressConfig, *, connector: Connector | None = None) -> None:
        self._config = config
        self._policy = Policy(config)
        self._connector = connector or GuardedConnector(self._policy)
        self._allowances: dict[GuildId, _Allowance] = {}
        self._sessions: set[FetchSession] = set()
        self.statistics = FetchStatistics()

    def session(self, guild_id: GuildId) -> FetchSession:
        """For one guild process. Whoever ends the process closes it."""
        return FetchSession(self, guild_id)

    @property
    def in_flight(self) -> int:
        return sum(len(session) for session in self._sessions)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; then nothing is open any more."""
        task_status.started()
        try:
            while True:
                await trio.sleep(SWEEP_SECS)
                for session in list(self._sessions):
                    session.sweep(trio.current_time())
        finally:
            for session in list(self._sessions):
                session.close()

    async def open(self, guild_id: GuildId, request: FetchRequest, substitute: Substitute) -> FetchedResponse:
        """Raises FloraErrors, OpError when the guild has asked too often."""
        config = self._config
        if not self.allowance(guild_id).rate.try_take():
            raise OpError(
                f"more than {config.requests_per_minute} requests in a minute", code="FETCH_RATE_LIMITED"
            )
        limits = FetchLimits(
            deadline=trio.current_time() + config.timeout_secs,
            max_request=config.max_request_bytes,
            max_response=config.max_response_bytes,
            max_redirects=config.max_redirects,
        )
        response = await open_fetch(self._connector, self._policy, request, limits, substitute=substitute)
        self.statistics.bytes_out += len(request.body or b"")
        return response

    @contextmanager
    def counted(self) -> Iterator[None]:
        outcome = "cancelled"
        try:
            yield
            outcome = "ok"
        except EgressDeniedError:
            outcome = "denied"
            raise
        except OpError as error:
            outcome = "limited" if error.error_code == "FETCH_RATE_LIMITED" else "failed"
            raise
        except FloraError:
            outcome = "failed"
            raise
        finally:
            self.statistics.requests[outcome] += 1

    def allowance(self, guild_id: GuildId) -> _Allowance:
        return self._allowances.setdefault(guild_id, _Allowance(self._config))

    def watch(self, session: FetchSession) -> None:
        """It has something open, or has no more."""
        if len(session) > 0:
            self._sessions.add(session)
        else:
            self._sessions.discard(session)


class _Allowance:
    """What one guild may do; outlives its processes."""

    def __init__(self, config: EgressConfig) -> None:
        self.places = trio.CapacityLimiter(config.max_concurrent)
        per_minute = config.requests_per_minute
        self.rate = TokenBucket(per_minute / 60, per_minute, trio.current_time)


class _Open:
    """One request: waiting for its turn, under way, or a body that is being read."""

    __slots__ = ("busy", "response", "scope")

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.response: FetchedResponse | None = None
        self.busy = True

    def cancel(self) -> None:
        self.scope.cancel()
        if self.response is not None:
            self.response.close()


class FetchSession:
    """The requests of one guild process."""

    def __init__(self, fetcher: Fetcher, guild_id: GuildId) -> None:
        self._fetcher = fetcher
        self._guild_id = guild_id
        self._open: dict[int, _Open] = {}
        self._cancelled: set[int] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    async def start(self, number: int, request: FetchRequest, substitute: Substitute) -> dict[str, Any]:
        """The head of the response as the SDK takes it. Raises FloraErrors."""
        if self._closed or number in self._open:
            raise invalid_input("id", "a number that is in use")
        if len(self._open) >= MAX_OPEN:
            raise OpError(f"more than {MAX_OPEN} requests are open", code="FETCH_TOO_MANY")
        if number in self._cancelled:
            self._cancelled.discard(number)
            raise _aborted()
        entry = self._open[number] = _Open()
        self._fetcher.watch(self)
        keeps = False
        places = self._fetcher.allowance(self._guild_id).places
        try:
            with self._fetcher.counted(), entry.scope:
                await places.acquire_on_behalf_of(entry)
                entry.response = await self._fetcher.open(self._guild_id, request, substitute)
                data = await self._inline(entry.response)
                if entry.scope.cancel_called:  # too late to be thrown in here
                    raise _aborted()
                keeps = not entry.response.done
                return _head(entry.response, data)
            raise _aborted()
        finally:
            entry.busy = False
            if not keeps:
                self._end(number)

    async def read(self, number: int) -> dict[str, Any]:
        """`data`, the next piece of a body, and whether it is `done`. Raises FloraErrors."""
        entry = self._open.get(number)
        if entry is None or entry.response is None:
            raise OpError("the body was closed: its time was over", code="FETCH_TIMEOUT")
        if entry.busy:
            raise invalid_input("id", "this body is being read")
        entry.busy, entry.scope = True, trio.CancelScope()
        keeps = False
        try:
            with entry.scope:
                data = await entry.response.read()
                self._fetcher.statistics.bytes_in += len(data)
                if entry.scope.cancel_called:
                    raise _aborted()
                keeps = not entry.response.done
                return {"data": data, "done": entry.response.done}
            raise _aborted()
        finally:
            entry.busy = False
            if not keeps:
                self._end(number)

    async def download(self, url: str, *, limit: int) -> tuple[str, str | None, bytes]:
        """GET a file as a whole: its name by its URL, its content type, its bytes, at most `limit`.

        No secrets are filled in: what is sent on to Discord must not depend on them. Raises FloraErrors.
        """
        if self._closed:
            raise _aborted()
        fetcher = self._fetcher
        with fetcher.counted():
            async with fetcher.allowance(self._guild_id).places:
                response = await fetcher.open(self._guild_id, FetchRequest(url), keep_text)
                try:
                    data = await _whole(response, limit)
                finally:
                    response.close()
        fetcher.statistics.bytes_in += len(data)
        path = urlsplit(response.url).path.rstrip("/")
        return unquote(path.rpartition("/")[2]) or "attachment", response.header("content-type"), data

    def cancel(self, number: int) -> None:
        """End it, in whatever state it is: ops of one moment run in any order, so it may not have begun."""
        entry = self._open.get(number)
        if entry is None:
            if len(self._cancelled) >= MAX_OPEN:
                self._cancelled.clear()  # of requests that had ended by themselves
            self._cancelled.add(number)
        else:
            entry.cancel()
            if not entry.busy:
                self._end(number)

    def sweep(self, now: float) -> None:
        """Close the bodies whose time is over and that nobody reads."""
        for number, entry in list(self._open.items()):
            if entry.response is not None and not entry.busy and entry.response.deadline <= now:
                self._end(number)

    def close(self) -> None:
        """End all of them, and take no more; may be called more than once."""
        self._closed = True
        for number in list(self._open):
            self.cancel(number)

    async def _inline(self, response: FetchedResponse) -> bytes | None:
        length = 0 if response.status in {204, 304} else response.length
        if length is None or length > INLINE:
            return None
        data = b""
        while not response.done and len(data) < CHUNK:
            data += await response.read()
        self._fetcher.statistics.bytes_in += len(data)
        return data

    def _end(self, number: int) -> None:
        entry = self._open.pop(number, None)
        if entry is None:
            return
        self._fetcher.watch(self)
        if entry.response is not None:
            entry.response.close()
        places = self._fetcher.allowance(self._guild_id).places
        if entry in places.statistics().borrowers:
            places.release_on_behalf_of(entry)


async def _whole(response: FetchedResponse, limit: int) -> bytes:
    if not 200 <= response.status <= 299:
        raise OpError(f"the file's server answered with status {response.status}", code="FETCH_FAILED")
    parts: list[bytes] = []
    size = 0
    while not response.done:
        parts.append(await response.read())
        size += len(parts[-1])
        if size > limit:
            raise OpError(f"the files have more than {limit} bytes", code="FETCH_TOO_LARGE")
    return b"".join(parts)


def _head(response: FetchedResponse, data: bytes | None) -> dict[str, Any]:
    return {
        "status": response.status,
        "statusText": response.reason,
        "url": response.url,
        "redirected": response.redirected,
        "headers": response.headers,
        "data": data,
        "done": response.done,
    }


def _aborted() -> OpError:
    return OpError("the request was aborted", name="AbortError", code="ABORTED")
