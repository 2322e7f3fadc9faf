"""The HTTP application: routes, limits and the headers that every answer carries."""

from __future__ import annotations

import re
import time
from secrets import token_hex
from typing import Any, Final

import structlog
from prometheus_client import Counter, Histogram
from quart import Response, g, request
from quart_schema import APIKeySecurityScheme, HttpSecurityScheme, Info, QuartSchema, hide
from quart_schema.typing import PydanticDumpOptions
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioRequest

from flora.api.auth import ACCESS_ATTRIBUTE, public
from flora.api.cookies import SESSION_COOKIE
from flora.api.errors import install_error_handlers
from flora.api.exchange import Exchange
from flora.api.guard import Guard, Rates, client_address
from flora.api.openapi import FloraOpenAPI, describe
from flora.api.routes import (
    audit,
    auth,
    builds,
    changes,
    commands,
    dead_letters,
    deployments,
    devices,
    diffs,
    docs,
    guilds,
    kv,
    logs,
    schedules,
    secrets,
    system,
    tokens,
    workers,
)
from flora.api.services import Limits, Services
from flora.api.sse import install_streams
from flora.metrics import Metrics

log = structlog.get_logger("flora.api")

BLUEPRINTS: Final = (
    system.blueprint,
    docs.blueprint,
    auth.blueprint,
    devices.blueprint,
    tokens.blueprint,
    audit.blueprint,
    deployments.blueprint,
    diffs.blueprint,
    changes.blueprint,
    builds.blueprint,
    guilds.blueprint,
    workers.blueprint,
    dead_letters.blueprint,
    schedules.blueprint,
    kv.blueprint,
    secrets.blueprint,
    logs.blueprint,
    commands.blueprint,
)
# A client may bring its own id if it looks like one; it lands in logs and headers.
REQUEST_ID: Final = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
# Those that metrics tell apart; a client may send any other word.
METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
PROBES: Final = frozenset({"/health", "/ready"})
# What takes more than a small body.
LARGE_BODY_PATHS: Final = ("/deployments", "/builds", "/kv", "/secrets")

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with none, browsers send a form with `Origin: null`
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def create_app(services: Services) -> QuartTrio:
    """The application over `services`. Raises RuntimeError for a route that names no permission."""
    app = QuartTrio("flora.api", static_folder=None)
    app.asgi_http_class = Exchange
    app.config["MAX_CONTENT_LENGTH"] = services.limits.max_body_bytes
    app.config["BODY_TIMEOUT"] = services.limits.body_timeout_secs
    app.config["MAX_FORM_MEMORY_SIZE"] = services.limits.max_small_body_bytes
    app.config["RESPONSE_TIMEOUT"] = None  # the server bounds each write instead
    app.request_class = _request_class(services.limits)
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    QuartSchema(
        app,
        # The pages that quart-schema would serve load their scripts from elsewhere.
        redoc_ui_path=None,
        scalar_ui_path=None,
        swagger_ui_path=None,
        openapi_path=None,
        info=Info(
            title="flora",
            version=services.version,
            description="Deploy a TypeScript bot script for each guild, read its log, watch it run.",
        ),
        security_schemes={
            "bearer": HttpSecurityScheme(scheme="bearer"),
            "session": APIKeySecurityScheme(in_="cookie", name=SESSION_COOKIE),
        },
        conversion_preference="pydantic",
        # Times as ISO 8601, not as HTTP dates; the key is missing in quart-schema's type.
        pydantic_dump_options=PydanticDumpOptions(mode="json"),  # type: ignore[typeddict-unknown-key]
        openapi_provider_class=FloraOpenAPI,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    install_error_handlers(app)
    _install_hooks(app, services)
    install_streams(app, services.shutdown)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    _serve_description(app)
    for endpoint, view in app.view_functions.items():
        if not hasattr(view, ACCESS_ATTRIBUTE):
            raise RuntimeError(
                f"route {endpoint} says neither which permission it needs nor that it is public"
            )
    return app


def _request_class(limits: Limits) -> type[TrioRequest]:
    large = tuple(f"{path}/" for path in LARGE_BODY_PATHS)

    class LimitedRequest(TrioRequest):
        """A request whose body is bounded by its path, before anything looks at it."""

        def __init__(self, method: str, scheme: str, path: str, *args: Any, **kwargs: Any) -> None:
            if not f"{path}/".startswith(large):
                kwargs["max_content_length"] = limits.max_small_body_bytes
            super().__init__(method, scheme, path, *args, **kwargs)

    return LimitedRequest


def _install_hooks(app: QuartTrio, services: Services) -> None:
    rates = Rates(services.limits.rates)
    record = _Records(services.metrics)

    @app.before_request
    async def open_request() -> None:
        headers, context = request.headers, g._get_current_object()  # looked up once
        context.services = services
        context.started = time.perf_counter()
        sent = headers.get("X-Request-ID", "")
        context.request_id = sent if REQUEST_ID.match(sent) else token_hex(16)
        structlog.contextvars.bind_contextvars(request_id=context.request_id)
        address = client_address(
            request.remote_addr, ",".join(headers.getlist("X-Forwarded-For")), services.trusted_proxies
        )
        context.guard = Guard(rates, address)
        context.guard.open()

    @app.after_request
    async def close_request(response: Response) -> Response:
        context = g._get_current_object()
        if (entry := context.guard.entry(response.status_code)) is not None:
            await services.audit.record(entry)
        headers = response.headers
        present = {name.lower() for name in headers.keys()}  # noqa: SIM118  # a Headers iterates over pairs
        headers.extend(
            [(name, value) for name, value in SECURITY_HEADERS.items() if name.lower() not in present]
        )
        headers["X-Request-ID"] = context.request_id
        if response.status_code in (408, 413):
            # The rest of the body is still on its way, so this connection can carry no further request.
            headers["Connection"] = "close"
        record(response.status_code, time.perf_counter() - context.started, context.guard.address)
        return response


class _Records:
    """Counts requests and logs them. What asks every few seconds whether flora is well is logged at debug."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # Prometheus' own look-up by labels takes a lock and makes a string of each.
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._durations: dict[str, Histogram] = {}

    def __call__(self, status: int, seconds: float, address: str) -> None:
        rule = request.url_rule.rule if request.url_rule else "unmatched"
        method = request.method if request.method in METHODS else "other"
        counter = self._counters.get((method, rule, status))
        if counter is None:
            counter = self._metrics.http_requests.labels(method, rule, str(status))
            self._counters[method, rule, status] = counter
        counter.inc()
        duration = self._durations.get(rule)
        if duration is None:
            duration = self._durations[rule] = self._metrics.http_duration.labels(rule)
        duration.observe(seconds)
        say = log.debug if rule in PROBES and status < 400 else log.info
        say(
            "request",
            method=request.method,
            path=request.path,
            status=status,
            ms=round(seconds * 1000, 1),
            client=address,
        )


def _serve_description(app: QuartTrio) -> None:
    @app.get("/openapi.json")
    @hide
    @public
    async def openapi() -> dict[str, Any]:
        return await describe(app)
