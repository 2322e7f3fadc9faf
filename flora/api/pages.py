"""The few pages that a person sees in a browser: to confirm a request of the command line, and what went
wrong with a login. Plain HTML without scripts, under a policy that allows nothing but its own style.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Final

from quart import Response, request

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem;
       color: #1d2b22; background: #f7f8f4; }
main { background: #fff; border: 1px solid #d9e0d4; border-radius: 12px; padding: 1.5rem 2rem; }
h1 { font-size: 1.3rem; margin: 0 0 1rem; }
dt { color: #5b6b60; font-size: .85rem; } dd { margin: 0 0 .75rem; }
code { font-size: 1.25rem; letter-spacing: .1em; }
input, button { font: inherit; padding: .5rem .9rem; border-radius: 8px; border: 1px solid #b8c4b4; }
button { cursor: pointer; background: #fff; } button.yes { background: #2f7d4f; color: #fff; border: 0; }
form { display: flex; gap: .75rem; flex-wrap: wrap; }
small { color: #5b6b60; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def page(title: str, body: str, *, status: int = 200) -> Response:
    """`body` is HTML, with what comes from outside already escaped; `title` is text."""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)} - flora</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    response = Response(html, status=status, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    return response


def message(title: str, text: str, *, status: int = 200) -> Response:
    return page(title, f"<p>{escape(text)}</p>", status=status)


def see_other(url: str) -> Response:
    return Response("", status=303, headers={"Location": url}, content_type="text/plain; charset=utf-8")


def wants_page() -> bool:
    """Whether who asks is a browser that shows what comes (and no script in it)."""
    return request.path.startswith("/auth/") and "text/html" in request.headers.get("Accept", "")
