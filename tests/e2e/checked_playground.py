"""A playground that holds all that passes through it against Discord's description.

    FLORA_CONTRACT=FILE python -m tests.e2e.checked_playground playground

Each REST request, each REST answer and each gateway payload is one JSON line in FILE: what it was, and what
is wrong with it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from flora.cli import main
from flora.playground import entry
from flora.playground.gateway.session import Session
from flora.playground.web import Answer, Call
from tests import openapi
from tests.playground import payloads

PREFIX = "/api/v10"
UNDESCRIBED = ("/oauth2/token", "/oauth2/authorize")  # OAuth2 itself is no part of the description
RECORD = Path(os.environ["FLORA_CONTRACT"])


def note(kind: str, what: str, problems: list[str]) -> None:
    with RECORD.open("a", encoding="utf-8") as file:
        print(json.dumps({"kind": kind, "what": what, "problems": problems}), file=file)


_answer = entry.answer


async def checked(call: Call) -> Answer:
    """`entry.answer`, with a look at what goes in and what comes out."""
    answer = await _answer(call)
    if not call.path.startswith(PREFIX) or answer.status >= 500:
        return answer
    method, path = call.method, unquote(call.path.removeprefix(PREFIX))
    if path.startswith(UNDESCRIBED):
        return answer
    what = f"{method} {path}"
    note("query", what, openapi.check_query(method, path, parse_qs(call.query, keep_blank_values=True)))
    if call.media_type in ("", "application/json"):
        note("request", what, openapi.check_request(method, path, _json(call.body)))
    problems = openapi.check_response(method, path, answer.status, _json(answer.body))
    note("response", f"{what} {answer.status}", problems)
    return answer


def _json(data: Any) -> Any:
    return msgspec.json.decode(data) if data else None


class CheckedSession(Session):
    __slots__ = ()

    def push(self, name: str, data: bytes) -> None:
        problems = payloads.problems(name, msgspec.json.decode(data))
        if problems is not None:
            note("dispatch", name, problems)
        Session.push(self, name, data)


if __name__ == "__main__":
    entry.answer = checked
    from flora.playground.gateway import hub

    hub.Session = CheckedSession  # type: ignore[misc]
    main()
