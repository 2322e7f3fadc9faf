"""The Quart application: the chat page, the event stream, files, the consent page of OAuth2.

The APIs are answered before Quart sees them (`entry`), also where the application is called without a server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import trio
from quart import Response, current_app, request
from quart_trio import QuartTrio

from flora.playground import consent, entry
from flora.playground.control import EVENTS_PATH, find_user
from flora.playground.errors import not_found
from flora.playground.feed import Subscription
from flora.playground.rest.context import model, playground
from flora.playground.state import Playground
from flora.playground.web import Answer, Call, current, enter

PAGE: Final = Path(__file__).parent / "page"
MAX_FORM: Final = 2 * 2**20
KEEP_ALIVE: Final = 15.0  # seconds between comments on an idle event stream
PAGE_POLICY: Final = (
    "default-src 'self'; img-src 'self' https: http: data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_encode: Final = msgspec.json.encode


class _App(QuartTrio):
    """Quart for the pages, `entry` for the APIs."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and entry.is_api(scope["path"]):
            await self._answer(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        call = _call(self.config["PLAYGROUND"], scope, body)
        answer = entry.too_large() if len(body) > entry.MAX_BODY else await entry.answer(call)
        fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
        fields.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def make_app(state: Playground) -> QuartTrio:
    app = _App(
        "flora.playground", static_folder=str(PAGE), static_url_path="/static", template_folder=str(PAGE)
    )
    app.config["PLAYGROUND"] = state
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = MAX_FORM
    app.url_map.strict_slashes = False
    app.before_request(_guard)
    app.register_error_handler(Exception, _failed)
    app.register_blueprint(consent.blueprint)
    app.add_url_rule("/", "page", _page)
    app.add_url_rule(EVENTS_PATH, "events", _events)
    app.add_url_rule("/attachments/<channel_id>/<attachment_id>/<name>", "attachment", _attachment)
    return app


async def _guard() -> Response | None:
    call = _call(current_app.config["PLAYGROUND"], request.scope, b"")
    enter(call)
    refused = entry.guard(call)
    return None if refused is None else _response(refused)


def _call(state: Playground, scope: Any, body: bytes) -> Call:
    client = scope.get("client")
    raw = scope.get("raw_path") or scope["path"].encode()
    return Call(
        playground=state,
        method=scope["method"],
        path=raw.decode("ascii", "replace").partition("?")[0],
        query=scope["query_string"].decode("ascii", "replace"),
        headers=[(name.lower(), value) for name, value in scope["headers"]],
        body=body,
        address="" if client is None else client[0],
    )


def _response(answer: Answer) -> Response:
    return Response(answer.body, status=answer.status, headers=dict(answer.headers))


async def _failed(error: Exception) -> Response:
    return _response(entry.error_answer(error, current()))


async def _page() -> Response:
    text = await trio.Path(PAGE / "index.html").read_text(encoding="utf-8")
    response = Response(text, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


async def _events() -> Response:
    """Server-sent events as `user` sees them: `event` is the dispatch name, `data` its JSON."""
    subscription = playground().feed.subscribe(find_user(request.args.get("user")))
    response = Response(_stream(subscription), content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.timeout = None
    return response


async def _stream(subscription: Subscription) -> AsyncIterator[bytes]:
    try:
        yield b"retry: 500\nevent: HELLO\ndata: {}\n\n"
        while True:
            with trio.move_on_after(KEEP_ALIVE) as idle:
                try:
                    dispatch = await subscription.events.receive()
                except trio.EndOfChannel:
                    return
            if idle.cancelled_caught:
                yield b": still here\n\n"
            else:
                yield b"event: %s\ndata: %s\n\n" % (dispatch.name.encode(), _encode(dispatch.data))
    finally:
        subscription.close()


async def _attachment(channel_id: str, attachment_id: str, name: str) -> Response:
    """An uploaded file, never as a page of this origin."""
    channel = model().channels.get(channel_id)
    for message in channel.messages.values() if channel is not None else ():
        for attachment in message.attachments:
            if attachment.id == attachment_id and attachment.filename == name:
                response = Response(attachment.content, content_type=attachment.content_type)
                response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
                response.headers["X-Content-Type-Options"] = "nosniff"
                if not attachment.content_type.startswith(("image/png", "image/jpeg", "image/gif")):
                    response.headers["Content-Disposition"] = "attachment"
                return response
    raise not_found()
