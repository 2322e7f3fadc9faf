"""From positions in a bundle back to the author's TypeScript (source map revision 3, ECMA-426).

Maps come with uploaded deployments and stacks from guild scripts: both are untrusted. A map that breaks the
format is refused as a whole or, where only a mapping is wrong, ends there; a look-up never raises.
"""

from __future__ import annotations

import itertools
import json
import posixpath
import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from flora.errors import FloraError

MAX_MAP_BYTES: Final = 64 * 2**20
# A fault shows where it came from, not a recursion ten thousand deep.
MAX_FRAMES: Final = 50

_DIGITS: Final = {
    char: value
    for value, char in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
_MAX_VLQ_BITS: Final = 31

# Frames of flora itself. Scripts of a guild are named file:///guild/<id>/..., nothing else is.
_GUILD_FRAME: Final = re.compile(r"file:///guild/\d+/")
_FRAME_SCRIPTS: Final = ("file:///guild/", "flora:")
_FRAME_MARKS: Final = tuple(f"@{script}" for script in _FRAME_SCRIPTS)
_INTERNAL_MARKS: Final = (
    "runtime-dist/",
    "runtime_sdk_bundle.js",
    "runtime_prelude.js",
    "runtime_bootstrap.js",
    "runtime_module_resolution.js",
    "flora:",
    "flora_sdk.js",
    "ext:",
)


class SourceMapError(FloraError):
    """The text is not a source map of revision 3."""

    code = "SOURCE_MAP_INVALID"


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a source; `line` and `column` count from 1. `name` is the identifier there, when known."""

    path: str
    line: int
    column: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class _State:
    """What the deltas of a mapping add to: indexes of source and name, position in the source from 0."""

    source: int = 0
    line: int = 0
    column: int = 0
    name: int = 0


# Of one generated line: its columns in order, and for each the mapping (None where nothing is mapped).
_Segments = tuple[list[int], list[tuple[int, int, int, int | None] | None]]
_NOTHING: Final[_Segments] = ([], [])


class SourceMap:
    """A parsed map. Its mappings are decoded when they are first needed, line by line; not thread-safe."""

    def __init__(self, sources: list[str | None], names: list[str], mappings: str) -> None:
        self.sources = sources
        self._names = names
        self._lines = mappings.split(";")
        # The state at the start of each line reached so far: a line needs the sums of all before it.
        self._states: list[_State] = [_State()]
        self._broken = False
        self._decoded: dict[int, _Segments] = {}

    @classmethod
    def parse(cls, text: str) -> SourceMap:
        """Read the JSON text of a map. Raises SourceMapError; index maps (`sections`) are refused too."""
        if len(text) > MAX_MAP_BYTES:
            raise SourceMapError(f"The source map is larger than {MAX_MAP_BYTES // 2**20} MiB.")
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SourceMapError("The source map is not valid JSON.") from error
        if not isinstance(data, dict) or data.get("version") != 3:
            raise SourceMapError("The source map is not of version 3.")
        sources, names, mappings = data.get("sources"), data.get("names", []), data.get("mappings")
        if not isinstance(sources, list) or not isinstance(names, list) or not isinstance(mappings, str):
            raise SourceMapError("The source map lacks sources, names or mappings.")
        root = data.get("sourceRoot")
        prefix = f"{root.rstrip('/')}/" if isinstance(root, str) and root else ""
        return cls(
            [_clean_path(prefix + item) if isinstance(item, str) else None for item in sources],
            [item if isinstance(item, str) else "" for item in names],
            mappings,
        )

    def lookup(self, line: int, column: int) -> Position | None:
        """The source of a position in the bundle, both counted from 1; None where nothing is mapped."""
        columns, mapped = self._segments(line - 1)
        index = bisect_right(columns, column - 1) - 1
        found = mapped[index] if index >= 0 else None
        if found is None:
            return None
        source, source_line, source_column, name = found
        if not 0 <= source < len(self.sources) or (path := self.sources[source]) is None:
            return None
        if source_line < 0 or source_column < 0:
            return None
        known = self._names[name] if name is not None and 0 <= name < len(self._names) else None
        return Position(path, source_line + 1, source_column + 1, known)

    def _segments(self, line: int) -> _Segments:
        if not 0 <= line < len(self._lines):
            return _NOTHING
        while len(self._states) <= line and not self._broken:
            self._decode(len(self._states) - 1)
        if line >= len(self._states):
            return _NOTHING
        if line not in self._decoded:
            self._decoded[line] = self._decode(line)
        return self._decoded[line]

    def _decode(self, line: int) -> _Segments:
        """Decode one line whose start is known, and note where the next one starts."""
        state = self._states[line]
        source, source_line, source_column, name = state.source, state.line, state.column, state.name
        column = 0
        found: list[tuple[int, tuple[int, int, int, int | None] | None]] = []
        text = self._lines[line]
        for segment in text.split(",") if text else ():
            fields = _vlq(segment)
            if fields is None or len(fields) not in (1, 4, 5):
                self._broken = True  # what comes after cannot be trusted: every field is a difference
                break
            column += fields[0]
            if len(fields) == 1:
                found.append((column, None))
                continue
            source += fields[1]
            source_line += fields[2]
            source_column += fields[3]
            if len(fields) == 5:
                name += fields[4]
            found.append((column, (source, source_line, source_column, name if len(fields) == 5 else None)))
        if len(self._states) == line + 1 and not self._broken:
            self._states.append(_State(source, source_line, source_column, name))
        found.sort(key=lambda item: item[0])  # the format allows any order
        return [item[0] for item in found], [item[1] for item in found]


def _vlq(segment: str) -> list[int] | None:
    """Decode base64 VLQ numbers; None when a digit is foreign, the last number is cut or too large."""
    fields: list[int] = []
    value = shift = 0
    open_number = False
    for char in segment:
        digit = _DIGITS.get(char)
        if digit is None or shift > _MAX_VLQ_BITS:
            return None
        value |= (digit & 31) << shift
        if digit & 32:
            shift += 5
            open_number = True
            continue
        fields.append(-(value >> 1) if value & 1 else value >> 1)
        value = shift = 0
        open_number = False
    return None if open_number or not fields else fields


def _clean_path(path: str) -> str:
    """A source's path as shown: below the project, without control characters."""
    text = "".join(char for char in path[:1024] if char.isprintable())
    if "://" in text:
        return text
    cleaned = posixpath.normpath("/" + text.replace("\\", "/")).lstrip("/")
    return cleaned or "?"


@dataclass(frozen=True, slots=True)
class _Frame:
    function: str
    script: str
    line: int
    column: int


def map_stack(stack: str, source_map: SourceMap | None, *, show_internal: bool = False) -> str:
    """A SpiderMonkey stack (`fn@file:///guild/1/bundle.js:10:5`) as authors read it.

    Frames become `    at fn (src/main.ts:3:7)`; lines of text stay. flora's own frames are left out and
    counted in a last line, unless `show_internal` (RUNTIME_SHOW_INTERNAL_STACK_FRAMES) is set.
    Without a map, or where it knows nothing, the position in the bundle is shown. Never raises.
    """
    out: list[str] = []
    hidden = frames = 0
    for index, line in enumerate(stack.split("\n")):
        frame = _parse_frame(line)
        if frame is None:
            # A line that is no frame is the error's own text; the first is never taken away.
            if index and not show_internal and any(mark in line.strip().lower() for mark in _INTERNAL_MARKS):
                hidden += 1
            elif line or index == 0:
                out.append(line)
            continue
        shown = _show(frame, source_map)
        if shown is None and not show_internal:
            hidden += 1
            continue
        frames += 1
        if frames <= MAX_FRAMES:
            out.append(shown or _at(frame.function, f"{frame.script}:{frame.line}:{frame.column}"))
    if frames > MAX_FRAMES:
        out.append(f"    ... {frames - MAX_FRAMES} more frame(s)")
    if hidden:
        out.append(
            f"    ... {hidden} internal frame(s) hidden (set RUNTIME_SHOW_INTERNAL_STACK_FRAMES=true to show)"
        )
    return "\n".join(out).strip("\n")


def map_log(text: str, source_map: SourceMap | None, *, show_internal: bool = False) -> str:
    """What a script wrote to its log, with the stacks in it as `map_stack` shows them; the rest as it stands.

    Never raises.
    """
    out: list[str] = []
    for stack, lines in itertools.groupby(text.split("\n"), _is_frame):
        shown = "\n".join(lines)
        if stack:
            shown = map_stack(shown, source_map, show_internal=show_internal)
        out.append(shown)
    return "\n".join(out)


def has_stack(text: str) -> bool:
    """Whether it is worth a look: `map_log` leaves all other text as it is."""
    return any(mark in text for mark in _FRAME_MARKS)


def _is_frame(line: str) -> bool:
    frame = _parse_frame(line)
    return frame is not None and frame.script.startswith(_FRAME_SCRIPTS)


def is_internal(frame: str) -> bool:
    """Whether a line of a stack, in SpiderMonkey's or V8's form, is a frame of flora itself."""
    parsed = _parse_frame(frame)
    if parsed is not None:
        return not _GUILD_FRAME.match(parsed.script)
    return any(mark in frame.lower() for mark in _INTERNAL_MARKS)


def _parse_frame(line: str) -> _Frame | None:
    head, _, column = line.rpartition(":")
    head, _, number = head.rpartition(":")
    function, at, script = head.rpartition("@")
    if not at or not _is_number(number) or not _is_number(column):
        return None
    if any(char.isspace() for char in function):  # prose that happens to end like a frame
        return None
    # Code from eval and Function: `file:///guild/1/bundle.js line 3 > eval`.
    if " line " in script:
        script, _, rest = script.partition(" line ")
        number, column = rest.split(" ", 1)[0], "1"
        if not _is_number(number):
            return None
    return _Frame(function, script, int(number), int(column))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _show(frame: _Frame, source_map: SourceMap | None) -> str | None:
    match = _GUILD_FRAME.match(frame.script)
    if match is None:
        return None
    found = source_map.lookup(frame.line, frame.column) if source_map is not None else None
    if found is None:
        # esbuild's helpers (`__esm`, `__require`) have no source.
        if source_map is not None and frame.function.rpartition("*")[2].startswith("__"):
            return None
        return _at(frame.function, f"{frame.script[match.end() :]}:{frame.line}:{frame.column}")
    return _at(frame.function, f"{found.path}:{found.line}:{found.column}")


def _at(function: str, place: str) -> str:
    # SpiderMonkey: `async*fn` after an await, `outer/inner` and `outer/<` for functions within functions.
    cause, _, name = function.rpartition("*")
    while name.endswith("/<"):
        name = name[:-2]
    name = name.rpartition("/")[2]
    label = " ".join(part for part in ("async" if cause.startswith("async") else "", name) if part)
    return f"    at {label} ({place})" if label else f"    at {place}"
