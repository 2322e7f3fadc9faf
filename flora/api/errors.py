"""Every failure of the API has one shape: `{"error": {code, message, details?, request_id}}`.

Where it comes from, a `FloraError` of any part, a request that does not validate, HTTP itself or a fault
of ours, makes no difference to the reader. A fault of ours says nothing but its request id; the log has
the rest.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any, Final

import structlog
from pydantic import ValidationError
from quart import Response, g
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from flora.api import pages
from flora.api.guard import TooManyRequestsError
from flora.api.pages import wants_page
from flora.build.types import BuildError
from flora.engine.api import ScriptLoadError
from flora.errors import FloraError

log = structlog.get_logger("flora.api")

# Errors of other parts by their code, so that this file need not import what raises them.
STATUS_OF_CODE: Final = {
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "BAD_REQUEST": 400,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "PAYLOAD_TOO_LARGE": 413,
    "VALIDATION_FAILED": 422,
    "INVALID_SNOWFLAKE": 422,
    "INVALID_CURSOR": 422,
    "SCRIPT_LOAD_FAILED": 422,
    "BUILD_FAILED": 422,
    "ROLLBACK_TARGET_FAILED": 409,
    "DEPLOY_IN_PROGRESS": 409,
    "CHANGE_REFUSED": 409,
    "CONTROL_QUEUE_FULL": 409,
    "MIGRATION_BUSY": 409,
    "LAST_WORKER": 409,
    "GUILD_NOT_DEPLOYED": 404,
    "SHUTTING_DOWN": 503,
    "NOT_READY": 503,
    "MAILBOX_FULL": 503,
    "ACTOR_STOPPED": 503,
    "ACTOR_CRASHED": 503,
    "ACTOR_QUARANTINED": 503,
    "ENGINE_UNAVAILABLE": 503,
    "GUILD_PROCESS_DIED": 422,
    "ASK_TIMEOUT": 504,
    "KV_INVALID_INPUT": 422,
    "KV_QUOTA_EXCEEDED": 422,
    "KV_NOT_A_NUMBER": 422,
    "KV_RATE_LIMITED": 429,
    "KV_STORAGE_FULL": 507,
    "SECRET_LIMIT": 409,
    "TOKEN_LIMIT": 409,
    "TASK_LIMIT": 409,
    "BUILD_LIMIT": 429,
    "BUILD_NOT_READY": 409,
    "BUILD_ENDED": 409,
    "NO_GUILD": 422,
    "GUILD_PAUSED": 409,
    "GUILD_NOT_PAUSED": 409,
    "RATE_LIMITED": 429,
    "LOGIN_FAILED": 403,
    "LOGIN_DENIED": 403,
    "LOGIN_REFUSED": 403,
    "LOGIN_NOT_CONFIGURED": 503,
}
# Families of codes, for what other parts add later.
STATUS_OF_FAMILY: Final = (
    (re.compile(r"_NOT_FOUND$"), 404),
    (re.compile(r"_(UNAVAILABLE|BUSY)$"), 503),
    (re.compile(r"_TIMEOUT$"), 504),
    (re.compile(r"^(INVALID|TOO_MANY|TOO_LARGE)_|_TOO_LARGE$"), 422),
    (re.compile(r"_CONFLICT$"), 409),
)
CODE_OF_STATUS: Final = {
    400: "BAD_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
}


class BadRequestError(FloraError):
    code = "BAD_REQUEST"


class UnsupportedMediaTypeError(FloraError):
    code = "UNSUPPORTED_MEDIA_TYPE"


class InvalidRequestError(FloraError):
    """The request is well formed and says something it may not. `fields` names what, in order."""

    code = "VALIDATION_FAILED"

    def __init__(self, message: str, fields: list[dict[str, str]]) -> None:
        super().__init__(message)
        self.fields = fields

    @classmethod
    def from_pydantic(cls, error: ValidationError) -> InvalidRequestError:
        fields = [
            {
                "field": ".".join(str(part) for part in item["loc"]),
                "problem": item["msg"].removeprefix("Value error, "),
            }
            for item in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        first = fields[0]
        where = f"{first['field']}: " if first["field"] else ""
        return cls(f"{where}{first['problem']}", fields)


def status_of(error: FloraError) -> int:
    if (status := STATUS_OF_CODE.get(error.code)) is not None:
        return status
    for family, status in STATUS_OF_FAMILY:
        if family.search(error.code):
            return status
    return 500


def details_of(error: FloraError) -> dict[str, Any] | None:
    """What a program may do something with; the message has the rest."""
    if isinstance(error, ScriptLoadError):
        return {"stack": error.fault.stack}
    if isinstance(error, BuildError):
        return {
            "diagnostics": [
                {
                    "path": item.path,
                    "line": item.line,
                    "column": item.column,
                    "message": item.message,
                    "code_frame": item.code_frame,
                }
                for item in error.diagnostics
            ]
        }
    if isinstance(error, InvalidRequestError):
        return {"fields": error.fields}
    return None


def error_response(status: int, code: str, message: str, details: dict[str, Any] | None = None) -> Response:
    if wants_page():
        return pages.message(
            "That did not work", f"{message} ({code}, request {g.request_id})", status=status
        )
    body: dict[str, Any] = {"code": code, "message": message}
    if details is not None:
        body["details"] = details
    body["request_id"] = g.request_id
    return Response(json.dumps({"error": body}), status, content_type="application/json")


def install_error_handlers(app: QuartTrio) -> None:
    @app.errorhandler(FloraError)
    async def flora_error(error: FloraError) -> Response:
        status = status_of(error)
        if status >= 500:
            log.warning("request failed", code=error.code, error=str(error), status=status)
        response = error_response(status, error.code, str(error), details_of(error))
        if status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="flora"'
        elif status == 503:
            response.headers["Retry-After"] = "1"
        elif isinstance(error, TooManyRequestsError):
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        if status < 400:  # a redirect to the canonical path
            redirect: Response = error.get_response()  # type: ignore[assignment]
            return redirect
        code = CODE_OF_STATUS.get(status, HTTPStatus(status).name)
        response = error_response(status, code, _http_message(status, error))
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response

    @app.errorhandler(Exception)
    async def fault(error: Exception) -> Response:
        log.error("request crashed", exc_info=error)
        return error_response(
            500, "INTERNAL_ERROR", "flora failed to answer; its log has the reason under this request id."
        )


def _http_message(status: int, error: HTTPException) -> str:
    return {
        404: "there is nothing at this path; GET /openapi.json lists what there is.",
        405: "this path does not know this method.",
        408: "the request's body did not arrive in time.",
        413: "the request's body is larger than the API accepts.",
    }.get(status, error.description or HTTPStatus(status).phrase)
