"""`/docs`: the reference page, Swagger UI over our own description, with every asset served from here.

Swagger UI 4 reads OpenAPI 3.0, and our description is 3.1; `/docs/openapi.json` is the same with what 3.0
says differently: a type that may be null is written `nullable`. Scripts are our own files only; styles may
stand in the page, since the UI puts some there.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, Final

import trio
from quart import Blueprint, Response, current_app
from quart_schema import hide

from flora.api.auth import public
from flora.api.openapi import describe

blueprint = Blueprint("docs", __name__)

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>flora API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = """SwaggerUIBundle({
  url: "/docs/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor: async (request) => {
    // A browser session's writes carry its CSRF token.
    const reads = ["GET", "HEAD"].includes((request.method || "GET").toUpperCase());
    if (!reads && !request.headers.Authorization) {
      const me = await fetch("/auth/me");
      if (me.ok) request.headers["X-CSRF-Token"] = (await me.json()).csrf_token || "";
    }
    return request;
  },
});
"""


@blueprint.get("/docs")
@hide
@public
async def docs() -> Response:
    return _file(_PAGE.encode(), "text/html; charset=utf-8")


@blueprint.get("/docs/start.js")
@hide
@public
async def start() -> Response:
    return _file(_START.encode(), "text/javascript; charset=utf-8")


@blueprint.get("/docs/openapi.json")
@hide
@public
async def description() -> dict[str, Any]:
    older: dict[str, Any] = _as_3_0(await describe(current_app))
    older["openapi"] = "3.0.3"
    return older


@blueprint.get("/docs/<any('swagger-ui-bundle.js', 'swagger-ui.css', 'favicon-32x32.png'):name>")
@hide
@public
async def asset(name: str) -> Response:
    response = _file(await trio.to_thread.run_sync(_asset, name), ASSETS[name])
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response


def _file(data: bytes, content_type: str) -> Response:
    response = Response(data, content_type=content_type)
    response.headers["Content-Security-Policy"] = POLICY
    return response


@cache
def _asset(name: str) -> bytes:
    found = importlib.util.find_spec("swagger_ui_bundle")
    assert found is not None, "it is a dependency"
    assert found.origin is not None, "it is a package of files"
    (folder,) = (Path(found.origin).parent / "vendor").glob("swagger-ui-*")
    return (folder / name).read_bytes()


def _as_3_0(node: Any) -> Any:
    if isinstance(node, list):
        return [_as_3_0(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {name: _as_3_0(value) for name, value in node.items()}
    choices = found.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        del found["anyOf"]
        found |= {"nullable": True} | (rest[0] if len(rest) == 1 else {"anyOf": rest})
    if "const" in found and "enum" not in found:
        found["enum"] = [found.pop("const")]
    return found
