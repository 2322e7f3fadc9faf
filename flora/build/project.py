"""What a project says about itself: `flora.config.ts`, read as data and never run.

The file may hold imports, comments and one `export default { ... }`, bare or inside `defineConfig( ... )`,
whose value is a literal: objects, arrays, strings, numbers, booleans, null. Other code is an error.
`flora.json` with the same keys is read when there is no `flora.config.ts` (or `.js`, `.mts`, `.mjs`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flora.build.types import BuildError, Diagnostic

CONFIG_NAMES: Final = ("flora.config.ts", "flora.config.mts", "flora.config.js", "flora.config.mjs")
JSON_NAME: Final = "flora.json"
_MAX_CONFIG_BYTES: Final = 256 * 1024
_MAX_DEPTH: Final = 32


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """`deploy` of a project's configuration; None where it says nothing.

    `guild` is where it runs, `profile` names the login of the person who deploys it.
    """

    entry: str | None = None
    root: str | None = None
    guild: str | None = None
    profile: str | None = None


def read_project(folder: Path) -> ProjectSettings:
    """Read the settings of the project in `folder`. Blocks on the file system. Raises BuildError."""
    for name in (*CONFIG_NAMES, JSON_NAME):
        file = folder / name
        if not file.is_file():
            continue
        try:
            text = file.read_bytes()[: _MAX_CONFIG_BYTES + 1].decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BuildError(f"Cannot read {name}: {error}.") from error
        if len(text) > _MAX_CONFIG_BYTES:
            raise BuildError(f"{name} is larger than {_MAX_CONFIG_BYTES // 1024} KiB.")
        data = _read_json(text, name) if name == JSON_NAME else read_config(text, name)
        return _settings(data, name)
    return ProjectSettings()


def _read_json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{name} is not valid JSON: {error}.") from error


def _settings(data: Any, name: str) -> ProjectSettings:
    deploy = data.get("deploy", {}) if isinstance(data, dict) else None
    if not isinstance(deploy, dict):
        raise BuildError(f"{name}: expected an object with the key `deploy`.")
    values: dict[str, str | None] = {}
    for key in ("entry", "root", "guild", "profile"):
        value = deploy.get(key)
        if value is not None and not isinstance(value, str):
            raise BuildError(f"{name}: deploy.{key} must be a string.")
        values[key] = value
    return ProjectSettings(**values)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    offset: int


_TOKEN: Final = re.compile(
    r"""
      (?P<skip>\s+|//[^\n]*|/\*.*?\*/)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\$]|\\.|\$(?!\{))*`)
    | (?P<number>-?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))
    | (?P<word>[A-Za-z_$][\w$]*)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "\\": "\\", "/": "/", '"': '"', "'": "'", "`": "`", "$": "$"}
_CONSTANTS: Final = {"true": True, "false": False, "null": None, "undefined": None}


def read_config(text: str, name: str = "flora.config.ts") -> Any:
    """The literal after `export default`. Raises BuildError with the position of what is not one."""
    return _Reader(text, name).default_export()


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._tokens = [*self._split()]
        self._next = 0

    def _split(self) -> Iterator[_Token]:
        for match in _TOKEN.finditer(self._text):
            kind = match.lastgroup or ""
            if kind != "skip":
                yield _Token(kind, match[0], match.start())
        yield _Token("end", "", len(self._text))

    def default_export(self) -> Any:
        while self._peek().kind != "end":
            if self._take().text == "export" and self._peek().text == "default":
                self._take()
                break
        else:
            raise self._error("there is no `export default`")
        wrapped = self._peek().kind == "word" and self._peek(1).text == "("
        if wrapped:  # defineConfig( ... ) gives back what it is given
            self._take()
            self._take()
        value = self._value(0)
        while self._peek().text in ("as", "satisfies"):  # types say nothing about the value
            self._take()
            while self._peek().kind in ("word", "string") and self._peek().text not in ("as", "satisfies"):
                self._take()
        if wrapped:
            self._skip(",")
            self._expect(")")
        self._skip(";")
        return value

    def _value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise self._error("the configuration is nested too deeply")
        token = self._take()
        if token.text == "{":
            return self._object(depth)
        if token.text == "[":
            items: list[Any] = []
            while not self._skip("]"):
                items.append(self._value(depth + 1))
                if self._peek().text != "]":
                    self._expect(",")
            return items
        if token.kind == "string":
            return self._string(token)
        if token.kind == "number":
            return int(token.text, 16) if "x" in token.text.lower() else float(token.text)
        if token.kind == "word" and token.text in _CONSTANTS:
            return _CONSTANTS[token.text]
        raise self._error("expected a plain value: this file is read, not run", token)

    def _object(self, depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        while not self._skip("}"):
            key = self._take()
            if key.kind not in ("word", "string"):
                raise self._error("expected a key", key)
            self._expect(":")
            fields[self._string(key) if key.kind == "string" else key.text] = self._value(depth + 1)
            if self._peek().text != "}":
                self._expect(",")
        return fields

    def _string(self, token: _Token) -> str:
        body = token.text[1:-1]

        def unescape(match: re.Match[str]) -> str:
            if len(match[1]) > 1:
                return chr(int(match[1][1:], 16))
            if match[1] not in _ESCAPES:
                raise self._error("this string has an escape that is not supported", token)
            return _ESCAPES[match[1]]

        return _ESCAPE.sub(unescape, body)

    def _peek(self, ahead: int = 0) -> _Token:
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def _skip(self, text: str) -> bool:
        if self._peek().text != text:
            return False
        self._next += 1
        return True

    def _expect(self, text: str) -> None:
        token = self._take()
        if token.text != text:
            raise self._error(f"expected `{text}`", token)

    def _error(self, message: str, token: _Token | None = None) -> BuildError:
        offset = (token or self._peek()).offset
        line = self._text.count("\n", 0, offset) + 1
        column = offset - (self._text.rfind("\n", 0, offset) + 1) + 1
        return BuildError(
            f"{self._name}:{line}:{column}: {message}.", (Diagnostic(self._name, line, column, message),)
        )
