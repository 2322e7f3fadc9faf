"""The HTTP client of commands that do several things at once: as `flora.cli.client`, on Trio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx

from flora.cli.client import (
    DEPLOY_TIMEOUT,
    STREAM_TIMEOUT,
    TIMEOUT,
    EventParser,
    StreamEvent,
    answer_of,
    client_options,
    refusal,
    unreachable,
)
from flora.cli.target import Target


class LiveClient:
    """Calls one flora. Raises as `Client` does. Cancelling a call breaks off its connection."""

    def __init__(self, target: Target) -> None:
        self.url = target.url
        self._http = httpx.AsyncClient(**client_options(target))

    async def __aenter__(self) -> LiveClient:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self._http.__aexit__(*failure)

    async def get(self, path: str, *, accept: tuple[int, ...] = ()) -> Any:
        return await self._call("GET", path, TIMEOUT, None, accept)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return await self._call("POST", path, DEPLOY_TIMEOUT, body, ())

    async def _call(
        self, method: str, path: str, timeout: httpx.Timeout, body: Any, accept: tuple[int, ...]
    ) -> Any:
        try:
            response = await self._http.request(method, path, json=body, timeout=timeout)
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from error
        return answer_of(self.url, response, accept=accept)

    @asynccontextmanager
    async def events(
        self, path: str, query: Mapping[str, str], last_id: str | None
    ) -> AsyncIterator[AsyncIterator[StreamEvent]]:
        """The events of one stream from after `last_id`, until flora ends it or the connection breaks off."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        try:
            async with self._http.stream(
                "GET", path, params=dict(query), headers=headers, timeout=STREAM_TIMEOUT
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise refusal(self.url, response)
                async with aclosing(_parsed(response)) as events:
                    yield events
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from error


async def _parsed(response: httpx.Response) -> AsyncGenerator[StreamEvent, None]:
    parser = EventParser()
    async for line in response.aiter_lines():
        if (event := parser.feed(line)) is not None:
            yield event
