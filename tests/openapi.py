"""A checker for values against Discord's OpenAPI description: the part of JSON Schema that it uses.

It is strict where the description is: unknown properties are allowed only where Discord allows them, so a
misspelt optional field is found as "unexpected" by `check(..., closed=True)`.
"""

from __future__ import annotations

import json
import math
import os
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]
PLACES = (Path(__file__).parents[2] / "shared/reference/discord-openapi.json",)

_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}
_ANNOTATIONS = {
    "description",
    "title",
    "default",
    "format",
    "discriminator",
    "contentEncoding",
    "x-discord-union",
}
_CHECKED = {
    "type",
    "oneOf",
    "anyOf",
    "allOf",
    "$ref",
    "enum",
    "const",
    "items",
    "properties",
    "required",
    "additionalProperties",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "uniqueItems",
    "maxProperties",
}


# The description gives the entries of a form error the numeric code of a whole answer; Discord's reference
# ("Error Messages") and Discord itself give them names such as BASE_TYPE_REQUIRED.
_FORM_ERRORS: Json = {
    "type": "object",
    "properties": {
        "_errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                "required": ["code", "message"],
                "additionalProperties": False,
            },
        }
    },
    "additionalProperties": False,
    "required": ["_errors"],
}


@cache
def _find() -> Json | None:
    given = os.environ.get("FLORA_DISCORD_OPENAPI")
    for place in (Path(given),) if given else PLACES:
        if place.exists():
            found: Json = json.loads(place.read_text(encoding="utf-8"))
            found["components"]["schemas"]["InnerErrors"] = _FORM_ERRORS
            return found
    return None


def available() -> bool:
    return _find() is not None


def description() -> Json:
    """Discord's description; skips the test where it is absent, except in CI."""
    found = _find()
    if found is not None:
        return found
    reason = "discord-openapi.json is neither in ../shared/reference nor named by FLORA_DISCORD_OPENAPI"
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


class Checker:
    """Collects what is wrong with a value, each with its path."""

    def __init__(self, *, closed: bool = False) -> None:
        self.schemas: Json = description()["components"]["schemas"]
        self.closed = closed

    def problems(self, value: Any, schema: Json, path: str = "$") -> list[str]:
        unknown = schema.keys() - _ANNOTATIONS - _CHECKED
        assert not unknown, f"the checker does not know {unknown}"
        if "$ref" in schema:
            return self.problems(value, self.schemas[schema["$ref"].rpartition("/")[2]], path)
        found = self._type(value, schema, path)
        if found:
            return found
        if "const" in schema and value != schema["const"]:
            found.append(f"{path}: {value!r} is not {schema['const']!r}")
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{path}: {value!r} is not one of {schema['enum']}")
        found += self._combined(value, schema, path)
        if isinstance(value, dict):
            found += self._object(value, schema, path)
        elif isinstance(value, list):
            found += self._array(value, schema, path)
        elif isinstance(value, str):
            found += self._string(value, schema, path)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            within = schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
            found += [] if within else [f"{path}: {value} is out of bounds"]
        return found

    def _type(self, value: Any, schema: Json, path: str) -> list[str]:
        if "type" not in schema:
            return []
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        for name in names:
            if name == "integer" and isinstance(value, int) and not isinstance(value, bool):
                return []
            if name == "number" and isinstance(value, (int, float)) and not isinstance(value, bool):
                return []
            if name in _TYPES and isinstance(value, _TYPES[name]):
                return []
        return [f"{path}: {type(value).__name__} is not {'/'.join(names)}"]

    def _combined(self, value: Any, schema: Json, path: str) -> list[str]:
        found = []
        for each in schema.get("allOf", ()):
            found += Checker().problems(value, each, path)
        for key in ("oneOf", "anyOf"):
            if key not in schema:
                continue
            # several of Discord's alternatives overlap, so "one of" is read as "any of"
            tried = [self.problems(value, each, path) for each in schema[key]]
            if all(tried):
                found += min(tried, key=len)
        return found

    def _object(self, value: Json, schema: Json, path: str) -> list[str]:
        found = [f"{path}: {key} is missing" for key in schema.get("required", ()) if key not in value]
        if len(value) > schema.get("maxProperties", math.inf):
            found.append(f"{path}: {len(value)} properties")
        known = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        for key, inner in value.items():
            if key in known:
                found += self.problems(inner, known[key], f"{path}.{key}")
            elif isinstance(rest, dict):
                found += self.problems(inner, rest, f"{path}.{key}")
            elif rest is False or (self.closed and known and rest is None):
                found.append(f"{path}: {key} is unexpected")
        return found

    def _array(self, value: list[Any], schema: Json, path: str) -> list[str]:
        found = []
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
            found.append(f"{path}: {len(value)} items")
        if schema.get("uniqueItems") and len({json.dumps(each, sort_keys=True) for each in value}) < len(
            value
        ):
            found.append(f"{path}: items are not unique")
        for index, each in enumerate(value):
            found += self.problems(each, schema.get("items", {}), f"{path}[{index}]")
        return found

    def _string(self, value: str, schema: Json, path: str) -> list[str]:
        found = []
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf):
            found.append(f"{path}: {len(value)} characters")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{path}: {value!r} does not match {schema['pattern']}")
        if schema.get("format") == "date-time":
            try:
                datetime.fromisoformat(value)
            except ValueError:
                found.append(f"{path}: {value!r} is no time")
        if schema.get("format") == "uri" and "://" not in value:
            found.append(f"{path}: {value!r} is no URI")
        return found


def operation(method: str, path: str) -> Json:
    """The operation of a concrete path (below /api/v10); literal segments win over parameters."""
    segments = path.partition("?")[0].strip("/").split("/")
    matches = []
    for template, methods in description()["paths"].items():
        parts = template.strip("/").split("/")
        if len(parts) != len(segments) or method.lower() not in methods:
            continue
        literal = [part == segment for part, segment in zip(parts, segments, strict=True)]
        if all(same or part.startswith("{") for same, part in zip(literal, parts, strict=True)):
            matches.append((sum(literal), methods[method.lower()]))
    assert matches, f"Discord describes no {method} {path}"
    found: Json = max(matches, key=lambda each: each[0])[1]
    return found


def check_response(method: str, path: str, status: int, body: Any) -> list[str]:
    """What is wrong with an answer, by the description of its route; [] when nothing is."""
    responses = operation(method, path)["responses"]
    response = responses.get(str(status)) or responses.get(f"{status // 100}XX")
    if response is None:
        return [f"{method} {path}: status {status} is not described"]
    if "$ref" in response:
        response = description()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    content = response.get("content", {}).get("application/json")
    if content is None:
        return [] if body is None else [f"{method} {path}: a body where none is described"]
    return Checker(closed=status < 300).problems(body, content["schema"])


def check_request(method: str, path: str, body: Any) -> list[str]:
    """What is wrong with a JSON request body, by the description of its route."""
    content = operation(method, path).get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return [] if body is None else [f"{method} {path}: a body where none is described"]
    return Checker(closed=True).problems(body, content["schema"])


def check_query(method: str, path: str, query: dict[str, list[str]]) -> list[str]:
    """What is wrong with a query string, by the description of its route."""
    described = {each["name"]: each for each in _parameters(method, path) if each["in"] == "query"}
    found = []
    for name, values in query.items():
        if name not in described:
            found.append(f"{method} {path}: the query's {name} is not described")
            continue
        schema = described[name]["schema"]
        tried = [Checker().problems(value, schema, f"?{name}") for value in _readings(values)]
        if all(tried):
            found += min(tried, key=len)
    return found


def _parameters(method: str, path: str) -> list[Json]:
    return [each for each in operation(method, path).get("parameters", ()) if "$ref" not in each]


def _readings(values: list[str]) -> list[Any]:
    """What the text of a query may stand for."""

    def reading(text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            return text

    plain: list[Any] = [values, [reading(value) for value in values]]
    return plain if len(values) > 1 else [values[0], reading(values[0]), *plain]


def check_schema(name: str, value: Any) -> list[str]:
    """What is wrong with a value by one of the description's schemas."""
    return Checker().problems(value, {"$ref": f"#/components/schemas/{name}"})
