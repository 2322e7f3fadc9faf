"""Positions in a bundle lead back to the author's source, and hostile maps lead nowhere."""

from __future__ import annotations

import contextlib
import json
from bisect import bisect_right
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flora.build.sourcemap import (
    MAX_FRAMES,
    SourceMap,
    SourceMapError,
    has_stack,
    is_internal,
    map_log,
    map_stack,
)

# How long an example takes says something about the machine only.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True)
class Mapping:
    column: int
    source: int
    line: int
    source_column: int
    name: int | None


def vlq(value: int) -> str:
    rest = (-value << 1) | 1 if value < 0 else value << 1
    out = ""
    while True:
        digit, rest = rest & 31, rest >> 5
        out += ALPHABET[digit | (32 if rest else 0)]
        if not rest:
            return out


def encode(lines: list[list[Mapping]]) -> str:
    """The reference encoder, straight from the specification."""
    source = line = column = name = 0
    encoded = []
    for mappings in lines:
        generated = 0
        segments = []
        for item in mappings:
            text = vlq(item.column - generated) + vlq(item.source - source)
            text += vlq(item.line - line) + vlq(item.source_column - column)
            generated, source, line, column = item.column, item.source, item.line, item.source_column
            if item.name is not None:
                text += vlq(item.name - name)
                name = item.name
            segments.append(text)
        encoded.append(",".join(segments))
    return ";".join(encoded)


def source_map(mappings: str, sources: int = 1, names: int = 0, **more: object) -> SourceMap:
    text = {"version": 3, "sources": [f"src/{n}.ts" for n in range(sources)], "mappings": mappings}
    return SourceMap.parse(json.dumps(text | {"names": [f"name{n}" for n in range(names)]} | more))


numbers = st.integers(0, 2**20)
mapping_lines = st.lists(
    st.lists(
        st.builds(Mapping, numbers, st.integers(0, 4), numbers, numbers, st.none() | st.integers(0, 4)),
        max_size=8,
        unique_by=lambda item: item.column,
    ).map(lambda items: sorted(items, key=lambda item: item.column)),
    min_size=1,
    max_size=12,
)


@PATIENT
@given(mapping_lines, st.data())
def test_every_position_leads_to_the_mapping_at_or_before_it(
    lines: list[list[Mapping]], data: st.DataObject
) -> None:
    parsed = source_map(encode(lines), sources=5, names=5)
    for _ in range(5):
        line = data.draw(st.integers(1, len(lines) + 1))
        mappings = lines[line - 1] if line <= len(lines) else []
        columns = [item.column for item in mappings]
        near = (
            st.sampled_from(columns).flatmap(lambda c: st.integers(max(0, c - 1), c + 1))
            if columns
            else numbers
        )
        column = data.draw(near) + 1
        index = bisect_right(columns, column - 1) - 1
        found = parsed.lookup(line, column)
        if index < 0:
            assert found is None
        else:
            expected = mappings[index]
            assert found is not None
            assert (found.path, found.line, found.column, found.name) == (
                f"src/{expected.source}.ts",
                expected.line + 1,
                expected.source_column + 1,
                None if expected.name is None else f"name{expected.name}",
            )


@PATIENT
@given(st.text(alphabet=ALPHABET + ",;!é ", max_size=200), st.integers(-5, 50), st.integers(-5, 10**9))
def test_garbage_mappings_never_raise(mappings: str, line: int, column: int) -> None:
    parsed = source_map(mappings, sources=2, names=1)
    for _ in range(2):
        parsed.lookup(line, column)


@PATIENT
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["version", "sources", "names", "mappings", "sourceRoot"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_garbage_maps_are_refused_or_harmless(value: object) -> None:
    data = {"version": 3, "sources": [], "mappings": ""} | (value if isinstance(value, dict) else {})
    with contextlib.suppress(SourceMapError):
        SourceMap.parse(json.dumps(data)).lookup(1, 1)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"version": 2, "sources": [], "mappings": ""}', "[" * 100_000,
     '{"version": 3, "sections": []}', '{"version": 3, "sources": {}, "mappings": ""}'],
)  # fmt: skip
def test_what_is_no_map_is_refused(text: str) -> None:
    with pytest.raises(SourceMapError):
        SourceMap.parse(text)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("src/a.ts", "src/a.ts"),
        ("../../../etc/passwd", "etc/passwd"),
        ("src/\x1b[31m\na.ts", "src/[31ma.ts"),
        ("..\\..\\a.ts", "a.ts"),
    ],
)
def test_paths_of_sources_stay_below_the_project(source: str, shown: str) -> None:
    parsed = SourceMap.parse(json.dumps({"version": 3, "sources": [source], "mappings": "AAAA"}))
    found = parsed.lookup(1, 1)
    assert found is not None
    assert found.path == shown


def test_a_source_root_is_put_before_the_sources() -> None:
    found = source_map("AAAA", sourceRoot="lib/").lookup(1, 1)
    assert found is not None
    assert found.path == "lib/src/0.ts"


GUILD = "file:///guild/123/bundle.js"
# Line 2, column 5 of the bundle is line 10, column 3 of the source; line 3 is mapped nowhere.
MAP = source_map(encode([[], [Mapping(4, 0, 9, 2, None)], []]))


@pytest.mark.parametrize(
    ("frame", "shown"),
    [
        (f"fn@{GUILD}:2:5", "    at fn (src/0.ts:10:3)"),
        (f"@{GUILD}:2:9", "    at src/0.ts:10:3"),
        (f"async*handle@{GUILD}:2:5", "    at async handle (src/0.ts:10:3)"),
        (f"async*@{GUILD}:2:5", "    at async (src/0.ts:10:3)"),
        (f"outer/inner@{GUILD}:2:5", "    at inner (src/0.ts:10:3)"),
        (f"outer/<@{GUILD}:2:5", "    at outer (src/0.ts:10:3)"),
        (f"a@b@{GUILD}:2:5", "    at a@b (src/0.ts:10:3)"),
        (f"fn@{GUILD}:3:5", "    at fn (bundle.js:3:5)"),
        (f"fn@{GUILD} line 2 > eval:1:1", "    at fn (bundle.js:2:1)"),
    ],
)
def test_frames_are_shown_at_their_source(frame: str, shown: str) -> None:
    assert map_stack(frame, MAP) == shown


def test_without_a_map_positions_are_those_of_the_bundle() -> None:
    assert map_stack(f"fn@{GUILD}:2:5", None) == "    at fn (bundle.js:2:5)"


def test_frames_of_flora_and_of_the_bundler_are_hidden_and_counted() -> None:
    stack = "\n".join(
        [f"fn@{GUILD}:2:5", f"__init@{GUILD}:3:1", "dispatch@flora:sdk:10:2", "@<string>:1:1", ""]
    )
    assert map_stack(stack, MAP) == (
        "    at fn (src/0.ts:10:3)\n"
        "    ... 3 internal frame(s) hidden (set RUNTIME_SHOW_INTERNAL_STACK_FRAMES=true to show)"
    )
    assert map_stack(stack, MAP, show_internal=True).splitlines() == [
        "    at fn (src/0.ts:10:3)",
        f"    at __init ({GUILD}:3:1)",
        "    at dispatch (flora:sdk:10:2)",
        "    at <string>:1:1",
    ]


def test_stacks_in_a_line_of_the_log_are_mapped_and_all_else_stays() -> None:
    text = "\n".join(
        [
            "failed Error: boom, says ann@example.com:1:2",
            f"fn@{GUILD}:2:5",
            "dispatch@flora:sdk:10:2",
            "",
            "[cause]: TypeError: flora: is a word, and so is ext:",
            f"async*fn@{GUILD}:2:5",
            "ann@example.com:1:2",
        ]
    )
    assert has_stack(text)
    assert map_log(text, MAP).splitlines() == [
        "failed Error: boom, says ann@example.com:1:2",
        "    at fn (src/0.ts:10:3)",
        "    ... 1 internal frame(s) hidden (set RUNTIME_SHOW_INTERNAL_STACK_FRAMES=true to show)",
        "",
        "[cause]: TypeError: flora: is a word, and so is ext:",
        "    at async fn (src/0.ts:10:3)",
        "ann@example.com:1:2",
    ]
    assert "dispatch (flora:sdk:10:2)" in map_log(text, None, show_internal=True)


@given(st.lists(st.text(max_size=20) | st.sampled_from(["@flora", ":1:2", "a@b.c:1:2"])))
def test_a_line_without_a_stack_stays_as_it_is(parts: list[str]) -> None:
    text = "\n".join(parts)
    if not has_stack(text):
        assert map_log(text, MAP) == text


TEXT = (
    "Error: boom\n"
    "    at op (ext:core/ops.js:1:2)\n"
    "    at run (file:///runtime-dist/x.js:3:4)\n"
    "    at file:///guild/123/src/main.ts:5:6"
)


def test_internal_lines_of_an_error_text_are_hidden() -> None:
    shown = map_stack(TEXT, None)
    assert "2 internal frame(s) hidden" in shown
    assert "file:///guild/123/src/main.ts" in shown
    assert "ext:core" not in shown
    assert map_stack(TEXT, None, show_internal=True) == TEXT


def test_the_classifier_knows_flora_from_guilds() -> None:
    assert is_internal("    at op (ext:core/ops.js:1:2)")
    assert is_internal("x@runtime_prelude.js:1:1")
    assert not is_internal(f"fn@{GUILD}:1:1")
    assert not is_internal("    at fn (src/main.ts:1:1)")


@pytest.mark.parametrize("message", ["Error: cannot reach bob@host:22:3", "see flora: the manual", "a:1:2"])
def test_the_error_s_own_words_are_never_taken_for_a_frame(message: str) -> None:
    assert map_stack(message, MAP) == message


def test_a_deep_recursion_is_cut() -> None:
    lines = map_stack(f"fn@{GUILD}:2:5\n" * 1000, MAP).splitlines()
    assert len(lines) == MAX_FRAMES + 1
    assert lines[-1] == f"    ... {1000 - MAX_FRAMES} more frame(s)"


@PATIENT
@given(st.text(max_size=300))
def test_any_text_gives_a_text(stack: str) -> None:
    map_stack(stack, MAP)
    map_stack(f"fn@{GUILD}:{stack}\n{stack}@{GUILD}:1:1", MAP)
