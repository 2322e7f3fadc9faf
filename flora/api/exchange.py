"""One request and its answer, between Hypercorn and Quart, in one task and with few passes of the loop.

Plain quart-trio has a nursery and two tasks for each request, one of which waits for the body and for the
client's end. Here `flora.api.server` cancels the request's own task when the client is gone (`CLIENT`, a
cancel scope among the ASGI extensions), so that only a request with a body needs a second one.
"""

from __future__ import annotations

from typing import Any, Final

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart.utils import encode_headers
from quart.wrappers.response import DataBody
from quart_trio.asgi import TrioASGIHTTPConnection
from werkzeug.datastructures import Headers

CLIENT: Final = "flora.client"
_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})


class Exchange(TrioASGIHTTPConnection):
    """Answers one request. Returns early when its client goes."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        extensions: dict[str, Any] = self.scope["extensions"]
        client: trio.CancelScope = extensions.pop(CLIENT)
        request = self._create_request_from_scope(send)
        with client:
            if _BODY_HEADERS.isdisjoint(name for name, _ in self.scope["headers"]):
                request.body.set_complete()
                await self._answer(request, send)
                return
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.handle_messages, nursery, request, receive)
                await self._answer(request, send)
                nursery.cancel_scope.cancel()

    async def _answer(self, request: Any, send: ASGISendCallable) -> None:
        response = await self.app.handle_request(request)
        body = response.response
        if not isinstance(body, DataBody):
            await self._send_response(send, response)
            return
        headers: Headers = response.headers
        await send(
            {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": encode_headers(headers),
                "trailers": False,
            }
        )
        # A body that is all there goes out with the end of the answer.
        await send(
            {"type": "http.response.body", "body": body.data[body.begin : body.end], "more_body": False}
        )
