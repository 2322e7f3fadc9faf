"""The OpenAPI description, and the decorators from which it is made.

quart-schema inlines every model; here each one stands once under `components`, and every route lists each
answer it can give, failures included. What a route `takes` is validated as it is documented.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final, TypeVar

import trio
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from quart import Response, request
from quart_schema import OpenAPIProvider, document_querystring, document_request, document_response
from quart_schema.validation import DataSource
from werkzeug.routing.rules import Rule

from flora.api.auth import ACCESS_ATTRIBUTE, Permission, View
from flora.api.errors import BadRequestError, InvalidRequestError, UnsupportedMediaTypeError
from flora.api.guard import AUTH_PREFIX
from flora.api.models import SNOWFLAKE, ErrorModel

FAILURES_ATTRIBUTE: Final = "_flora_failures"
MEDIA_ATTRIBUTE: Final = "_flora_media"
REDIRECT_ATTRIBUTE: Final = "_flora_redirect"
ARCHIVE_ATTRIBUTE: Final = "_flora_archive"
WRITTEN_ATTRIBUTE: Final = "_flora_written"
DESCRIPTION: Final = "FLORA_DESCRIPTION"
LOCK: Final = "FLORA_DESCRIPTION_LOCK"
FORM: Final = "application/x-www-form-urlencoded"
ZIP: Final = "application/zip"
REF_TEMPLATE: Final = "#/components/schemas/{model}"

_PARAMETER: Final = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")

Body = TypeVar("Body", bound=BaseModel)


def takes(model: type[Body]) -> Callable[[View], View]:
    """The route takes a JSON body of this model, as its argument `body`.

    Answers 415 for another content type, 400 for what is no JSON, 422 for what the model refuses.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        async def validated(*args: Any, **kwargs: Any) -> Any:
            if not request.is_json:
                raise UnsupportedMediaTypeError("send a body of Content-Type: application/json.")
            data = await request.get_data(cache=False)
            try:
                body = model.model_validate_json(data, strict=True)
            except ValidationError as error:
                if error.errors(include_input=False)[0]["type"] == "json_invalid":
                    raise BadRequestError(
                        f"the body is not valid JSON: {error.errors(include_input=False)[0]['msg']}."
                    ) from None
                raise InvalidRequestError.from_pydantic(error) from None
            return await view(*args, body=body, **kwargs)

        return document_request(model)(validated)

    return decorate


def takes_query(model: type[Body]) -> Callable[[View], View]:
    """The route takes a query of this model, as its argument `query_args`. Answers 422 as `takes`."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        async def validated(*args: Any, **kwargs: Any) -> Any:
            query: dict[str, Any] = {}
            if request.query_string:
                for name, values in request.args.lists():
                    query[name] = values if len(values) > 1 else values[0]
            try:
                found = model.model_validate(query)
            except ValidationError as error:
                raise InvalidRequestError.from_pydantic(error) from None
            return await view(*args, query_args=found, **kwargs)

        return document_querystring(model)(validated)

    return decorate


def takes_archive(view: View) -> View:
    """The route takes a zip file; it reads it (`read_archive`) once it knows that the caller may send it."""
    setattr(view, ARCHIVE_ATTRIBUTE, True)
    return view


async def read_archive() -> bytes:
    """The zip file that was sent. Raises UnsupportedMediaTypeError."""
    if request.mimetype != ZIP:
        raise UnsupportedMediaTypeError(f"send a body of Content-Type: {ZIP}.")
    data = await request.get_data(cache=False)
    assert isinstance(data, bytes)
    return data


def answers(
    model: type[BaseModel] | None, *, fails: Iterable[int] = (), status: int = 200
) -> Callable[[View], View]:
    """The route answers with this model, or fails with one of these (what every route shares is added).

    None: what it answers with is no JSON, and said by `answers_media` or `redirects`. A model is written as
    JSON here, once; it is ours, so it is not validated again.
    """

    def decorate(view: View) -> View:
        setattr(view, FAILURES_ATTRIBUTE, {*getattr(view, FAILURES_ATTRIBUTE, ()), *fails})
        if model is None:
            return view
        return document_response(model, status)(_written(view))

    return decorate


def _written(view: View) -> View:
    """The view, whose model, alone or with a status, becomes a response."""
    if hasattr(view, WRITTEN_ATTRIBUTE):
        return view

    @functools.wraps(view)
    async def written(*args: Any, **kwargs: Any) -> Any:
        result = await view(*args, **kwargs)
        status = 200
        if isinstance(result, tuple):
            result, status = result
        return _json_response(result, status) if isinstance(result, BaseModel) else result

    setattr(written, WRITTEN_ATTRIBUTE, True)
    return written


def _json_response(model: BaseModel, status: int) -> Response:
    try:
        text = model.model_dump_json()
    except PydanticSerializationError:
        # Half a surrogate pair, which a script may have stored and JSON can carry as an escape.
        text = json.dumps(model.model_dump(mode="json"))
    return Response(text, status, content_type="application/json")


def answers_media(media_type: str, description: str) -> Callable[[View], View]:
    """The route may also answer 200 with this media type."""

    def decorate(view: View) -> View:
        setattr(view, MEDIA_ATTRIBUTE, {**getattr(view, MEDIA_ATTRIBUTE, {}), media_type: description})
        return view

    return decorate


def takes_form(model: type[Body]) -> Callable[[View], View]:
    """The route takes a form of this model, as its argument `body`: what a page of ours posts.

    Its field `csrf_token` is checked as the header X-CSRF-Token is elsewhere. Answers as `takes`.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        async def validated(*args: Any, **kwargs: Any) -> Any:
            if request.mimetype != FORM:
                raise UnsupportedMediaTypeError(f"send a body of Content-Type: {FORM}.")
            form = await request.form
            try:
                body = model.model_validate(form.to_dict())
            except ValidationError as error:
                raise InvalidRequestError.from_pydantic(error) from None
            return await view(*args, body=body, **kwargs)

        return document_request(model, source=DataSource.FORM)(validated)

    return decorate


def redirects(description: str) -> Callable[[View], View]:
    """The route answers 303 with a Location."""

    def decorate(view: View) -> View:
        setattr(view, REDIRECT_ATTRIBUTE, description)
        return view

    return decorate


async def describe(app: Any) -> dict[str, Any]:
    """The description of an application; made once, since the routes do not change while flora runs.

    In a thread: it takes most of a second.
    """
    lock: trio.Lock = app.extensions.setdefault(LOCK, trio.Lock())
    async with lock:
        if DESCRIPTION not in app.extensions:
            make = app.extensions["QUART_SCHEMA"].openapi_provider.schema
            app.extensions[DESCRIPTION] = await trio.to_thread.run_sync(make)
    described: dict[str, Any] = app.extensions[DESCRIPTION]
    return described


class FloraOpenAPI(OpenAPIProvider):
    """quart-schema's description with models as components, failures, and security for each operation."""

    def build_request_body(self, model: Any, source: DataSource) -> tuple[dict[str, Any], dict[str, Any]]:
        schema, components = _component(model, "validation")
        media_type = FORM if source is DataSource.FORM else "application/json"
        return {"required": True, "content": {media_type: {"schema": schema}}}, components

    def build_response_object(self, model: Any, headers_model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        schema, components = _component(model, "serialization")
        description = (model.__doc__ or "").strip().partition("\n")[0]
        return {"description": description, "content": {"application/json": {"schema": schema}}}, components

    def build_path_parameter(self, name: str, converter: Any) -> dict[str, Any]:
        parameter: dict[str, Any] = super().build_path_parameter(name, converter)
        if name == "guild_id":
            parameter["schema"] = {"type": "string", "pattern": SNOWFLAKE}
            parameter["description"] = "The guild's id, a Discord snowflake."
        elif name == "letter_id":
            parameter["schema"] = {"type": "string", "pattern": "^[0-9]{1,19}$"}
            parameter["description"] = "The id of a dead letter."
        return parameter

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        found, components = super().build_paths(rule)
        # quart-schema takes everything up to a converter's colon for its name.
        (operations,) = found.values()
        paths: dict[str, Any] = {_PARAMETER.sub(r"{\1}", rule.rule): operations}
        view = self._app.view_functions[rule.endpoint]
        access = getattr(view, ACCESS_ATTRIBUTE, None)
        failures = set(getattr(view, FAILURES_ATTRIBUTE, ())) | {500}
        if access != "public":
            failures |= {401, 403, 429, 503}
        if rule.rule.startswith(AUTH_PREFIX):
            failures |= {429}
        if rule.arguments:
            failures |= {404}
        if "guild_id" in rule.arguments:
            failures |= {422}
        for path in paths.values():
            for operation in path.values():
                if hasattr(view, ARCHIVE_ATTRIBUTE):
                    content = {ZIP: {"schema": {"type": "string", "format": "binary"}}}
                    operation["requestBody"] = {"required": True, "content": content}
                if "requestBody" in operation:
                    failures |= {400, 408, 413, 415, 422}
                if any(parameter["in"] == "query" for parameter in operation["parameters"]):
                    failures |= {422}
                operation["security"] = [] if access == "public" else [{"bearer": []}, {"session": []}]
                if isinstance(access, Permission):
                    operation["x-flora-permission"] = access.value
                responses = {str(status): answer for status, answer in operation["responses"].items()}
                for media_type, description in getattr(view, MEDIA_ATTRIBUTE, {}).items():
                    answer = responses.setdefault("200", {"description": description, "content": {}})
                    answer["content"][media_type] = {"schema": {"type": "string", "description": description}}
                if (target := getattr(view, REDIRECT_ATTRIBUTE, None)) is not None:
                    responses["303"] = _redirect(target)
                for status in sorted(failures):
                    responses.setdefault(str(status), _failure(status))
                operation["responses"] = responses
        _, error_components = _component(ErrorModel, "serialization")
        return paths, {**components, **error_components}


def _component(model: Any, mode: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    schema = TypeAdapter(model).json_schema(ref_template=REF_TEMPLATE, mode=mode)
    components: dict[str, Any] = schema.pop("$defs", {})
    components[model.__name__] = schema
    return {"$ref": REF_TEMPLATE.format(model=model.__name__)}, components


def _redirect(description: str) -> dict[str, Any]:
    header = {"schema": {"type": "string"}, "description": "Where to go."}
    return {"description": description, "headers": {"Location": header}}


def _failure(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": {"$ref": REF_TEMPLATE.format(model="ErrorModel")}}},
    }
