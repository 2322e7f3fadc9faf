"""What esbuild and tsc say, as typed diagnostics with a frame of the source around the position."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from flora.build.types import Diagnostic

MAX_DIAGNOSTICS: Final = 50
_FRAME_LINES_BEFORE: Final = 2
_FRAME_WIDTH: Final = 160
_MAX_FRAME_FILE: Final = 2**20

_ESBUILD_HEAD: Final = re.compile(r"^(?:✘|▲|X) \[(ERROR|WARNING)\] (.*)$")
_ESBUILD_PLACE: Final = re.compile(r"^ {4}(\S.*?):(\d+):(\d+):$")
_ESBUILD_ID: Final = re.compile(r" \[[a-z-]+\]$")
_TSC_LINE: Final = re.compile(r"^(?:(\S.*?)\((\d+),(\d+)\): )?error (TS\d+): (.*)$")

_NODE_HINT: Final = "is a module of Node.js, which guild scripts do not run in"


def parse_esbuild(text: str, root: Path) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """(errors, warnings) of esbuild's report on stderr; its columns count bytes from 0."""
    found: dict[str, list[Diagnostic]] = {"ERROR": [], "WARNING": []}
    lines = text.splitlines()
    for index, line in enumerate(lines):
        head = _ESBUILD_HEAD.match(line)
        if head is None or len(found[head[1]]) >= MAX_DIAGNOSTICS:
            continue
        block = _block(lines, index + 1)
        place = _ESBUILD_PLACE.match(block[1]) if len(block) > 1 else None
        message = _ESBUILD_ID.sub("", head[2])
        if place is None:
            found[head[1]].append(_diagnostic(root, "", 0, 0, explain(message, root)))
            continue
        path, number = place[1], int(place[2])
        source = _line(root, path, number)
        column = len(source.encode()[: int(place[3])].decode("utf-8", "ignore")) + 1
        found[head[1]].append(_diagnostic(root, path, number, column, explain(message, root)))
    return found["ERROR"], found["WARNING"]


def _block(lines: list[str], start: int) -> list[str]:
    end = start
    while end < len(lines) and not _ESBUILD_HEAD.match(lines[end]):
        end += 1
    return lines[start:end]


def parse_tsc(text: str, root: Path) -> list[Diagnostic]:
    """The findings of tsc (`--pretty false`); its columns count UTF-16 units from 1."""
    found: list[Diagnostic] = []
    for line in text.splitlines():
        match = _TSC_LINE.match(line)
        if match is None:
            if line.startswith("  ") and found:  # the reason, indented below what it explains
                last = found[-1]
                message = f"{last.message}\n{line}"
                found[-1] = Diagnostic(last.path, last.line, last.column, message, last.code_frame)
            continue
        if len(found) >= MAX_DIAGNOSTICS:
            break
        path, number, units = match[1] or "", int(match[2] or 0), int(match[3] or 0)
        before = _line(root, path, number).encode("utf-16-le")[: 2 * (units - 1)] if units else b""
        column = len(before.decode("utf-16-le", "ignore")) + 1 if before else units
        found.append(_diagnostic(root, path, number, column, f"{match[5]} ({match[4]})"))
    return found


def explain(message: str, root: Path) -> str:
    """What esbuild says about something it cannot find, in terms of what the author can do."""
    if (unread := re.match(r"Cannot read file: (.*)$", message)) is not None:
        path = _shown(root, unread[1])
        # esbuild finds a file whatever the case of its letters, and then cannot open it.
        return f'Cannot find "{path}". Is it written exactly as the file is named, upper and lower case?'
    match = re.match(r'Could not resolve "(.*)"$', message)
    if match is None:
        return message
    name = match[1]
    if name.startswith("node:"):
        return f'"{name}" {_NODE_HINT}.'
    if name.startswith("flora:"):
        return f'"{name}" is for test files only, which `flora test` runs.'
    if name.startswith((".", "/")):
        return f'Cannot find "{name}".'
    package = "/".join(name.split("/")[: 2 if name.startswith("@") else 1])
    if _depends_on(root, package):
        return f'The package "{package}" is not installed. Run `flora install` in the project first.'
    return f'Cannot find the package "{package}". Add it with `npm install {package}` in the project.'


def _depends_on(root: Path, package: str) -> bool:
    import json

    try:
        manifest = json.loads((root / "package.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(manifest, dict):
        return False
    tables = (manifest.get(key) for key in ("dependencies", "devDependencies"))
    return any(isinstance(table, dict) and package in table for table in tables)


def merge(first: Iterable[Diagnostic], second: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Both lists by position; where both speak of one line, the first is heard."""
    kept = list(first)
    taken = {(item.path, item.line) for item in kept if item.line}
    kept += [item for item in second if (item.path, item.line) not in taken]
    return tuple(sorted(kept, key=lambda item: (item.path, item.line, item.column))[:MAX_DIAGNOSTICS])


def summary(diagnostics: tuple[Diagnostic, ...]) -> str:
    """One line for the whole build: the first finding and how many more there are."""
    first = str(diagnostics[0]).splitlines()[0] if diagnostics else "the build failed"
    more = len(diagnostics) - 1
    return first if more < 1 else f"{first} (and {more} more)"


def code_frame(root: Path, path: str, line: int, column: int) -> str:
    """The source around a position, a caret below it; "" when the file is not the project's to show."""
    lines = _lines(root, path)
    if not 1 <= line <= len(lines):
        return ""
    first = max(1, line - _FRAME_LINES_BEFORE)
    gutter = len(str(line))
    left = max(0, column - 1 - _FRAME_WIDTH // 2)  # of a long line the part around the position
    out = [
        f"{number:>{gutter + 2}} | {_printable(lines[number - 1][left : left + _FRAME_WIDTH])}".rstrip()
        for number in range(first, line + 1)
    ]
    before = _printable(lines[line - 1][left : column - 1])
    out.append(f"{'':>{gutter + 2}} | {' ' * len(before)}^")
    return "\n".join(out)


def _diagnostic(root: Path, path: str, line: int, column: int, message: str) -> Diagnostic:
    shown = _shown(root, path)
    message = message.replace(f"{root}/", "")  # no path of this machine leaves it
    return Diagnostic(shown, line, column, message, code_frame(root, path, line, column) if line else "")


def _shown(root: Path, path: str) -> str:
    """`path` relative to the project; of a file elsewhere what is below its `node_modules`, or its name."""
    if not path:
        return ""
    absolute = _absolute(root, path)
    if absolute.is_relative_to(root):
        return absolute.relative_to(root).as_posix()
    parts = PurePosixPath(absolute.as_posix()).parts
    if "node_modules" in parts:
        last = len(parts) - 1 - parts[::-1].index("node_modules")
        return "/".join(parts[last:])
    return parts[-1]


def _absolute(root: Path, path: str) -> Path:
    import os

    return Path(os.path.normpath(root / path))


def _lines(root: Path, path: str) -> list[str]:
    try:
        file = _absolute(root, path).resolve(strict=True)
        if not file.is_relative_to(root) or not file.is_file():
            return []
        with file.open("rb") as stream:
            raw = stream.read(_MAX_FRAME_FILE)
        return raw.decode("utf-8", "replace").split("\n")
    except (OSError, ValueError):
        return []


def _line(root: Path, path: str, number: int) -> str:
    lines = _lines(root, path)
    return lines[number - 1] if 1 <= number <= len(lines) else ""


def _printable(text: str) -> str:
    """Without control characters, so that a source cannot steer the terminal; a tab is one space."""
    return "".join(char if char.isprintable() else " " for char in text.rstrip("\r"))
