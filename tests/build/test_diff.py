"""Differences between texts: as git reads them, shortest where that is cheap, and never dear."""

from __future__ import annotations

import random
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora.build.changes import MAX_DIFF_BYTES, MAX_FILE_BYTES, MAX_FILE_LINES, compare
from flora.build.diff import STEPS, Budget, _myers, unified_diff

FEW = st.lists(st.integers(0, 3), max_size=14)
TEXT = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n", "a\r\n", "x", "\x0c"]), max_size=25).map("".join)


def longest(old: list[int], new: list[int]) -> int:
    """The length of a longest common subsequence, by the book."""
    table = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for x, a in enumerate(old):
        for y, b in enumerate(new):
            table[x + 1][y + 1] = table[x][y] + 1 if a == b else max(table[x][y + 1], table[x + 1][y])
    return table[-1][-1]


@given(FEW, FEW, st.integers(1, 60))
def test_what_is_matched_is_equal_and_in_order_and_with_steps_enough_the_most(
    old: list[int], new: list[int], few: int
) -> None:
    for budget in (Budget(), Budget(few)):
        pairs = _myers(old, new, budget)
        assert all(old[x] == new[y] for x, y in pairs)
        assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(pairs))
        if budget.steps > 0:
            assert len(pairs) == longest(old, new)


def patched(old: str, diff: str) -> str:
    """`old` with a unified difference applied, read as POSIX says."""
    lines, out, at = old.split("\n"), [], 0
    old_lines = [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    for line in diff.split("\n")[2:]:
        if line.startswith("@@"):
            start, _, length = line.split()[1].removeprefix("-").partition(",")
            place = int(start) - (length != "0")
            out += old_lines[at:place]
            at = place
        elif line.startswith("\\"):
            out[-1] = out[-1].removesuffix("\n")
        else:
            if line[0] in " -":
                assert old_lines[at].removesuffix("\n") == line[1:]
                at += 1
            if line[0] in " +":
                out.append(f"{line[1:]}\n")
    return "".join(out + old_lines[at:])


@given(TEXT, TEXT, st.sampled_from([1, 40, STEPS]))
def test_a_difference_leads_from_one_text_to_the_other(old: str, new: str, steps: int) -> None:
    diff = unified_diff(old, new, "a/x", "b/x", Budget(steps))
    assert (diff == "") == (old == new)
    if diff:
        # What stands behind a removed last line says that about it, not about the line before.
        assert patched(old, _without_marks_of_removed(diff)) == new


def _without_marks_of_removed(diff: str) -> str:
    lines = diff.split("\n")
    return "\n".join(
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if not (line.startswith("\\") and before.startswith("-"))
    )


def test_git_takes_it(tmp_path: Path) -> None:
    old = "".join(f"line {number}\n" for number in range(40)) + "no end"
    new = old.replace("line 3\n", "").replace("line 20\n", "line 20\r\nmore\n").replace("no end", "an end\n")
    (tmp_path / "x").write_bytes(old.encode())
    diff = unified_diff(old, new, "a/x", "b/x", Budget()) + "\n"
    subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"], cwd=tmp_path, input=diff.encode(), check=True
    )
    assert (tmp_path / "x").read_bytes().decode() == new


def test_a_change_is_shown_with_what_stands_around_it() -> None:
    old = "".join(f"{number}\n" for number in range(1, 11))
    assert unified_diff(old, old.replace("5\n", "five\n"), "a/x", "b/x", Budget()).split("\n") == [
        "--- a/x",
        "+++ b/x",
        "@@ -2,7 +2,7 @@",
        " 2",
        " 3",
        " 4",
        "-5",
        "+five",
        " 6",
        " 7",
        " 8",
    ]


def hostile(kind: str, count: int) -> tuple[str, str]:
    dice = random.Random(1)
    match kind:
        case "two words":
            old, new = ("".join(dice.choice("ab") + "\n" for _ in range(count)) for _ in range(2))
            return old, new
        case "periods":
            return "a\nb\n" * (count // 2), "b\na\nc\n" * (count // 3)
        case "backwards":
            lines = [f"{number}\n" for number in range(count)]
            return "".join(lines), "".join(reversed(lines))
        case _:
            return "\n" * count, " \n" * count


@pytest.mark.parametrize("kind", ["two words", "periods", "backwards", "empty lines"])
def test_what_a_comparison_costs_is_bounded(kind: str) -> None:
    """`difflib` needs hours for some of these: projects of 8 MiB in files of the most lines there may be."""
    old, new = hostile(kind, MAX_FILE_LINES)
    budget = Budget()
    count = 8 * 2**20 // len(old)
    changes = compare({f"{n}.ts": old for n in range(count)}, {f"{n}.ts": new for n in range(count)}, budget)
    # The last file may begin with what is left, and one more number of edits is looked at.
    assert budget.steps > -4 * MAX_FILE_LINES
    assert [change.kind for change in changes] == ["modified"] * count
    diffs = [change.diff for change in changes if change.diff is not None]
    assert diffs
    assert sum(map(len, diffs)) <= MAX_DIFF_BYTES
    first = changes[0].diff
    assert first is not None
    assert patched(old, first) == new


def test_what_is_too_large_is_named_without_its_difference() -> None:
    large, many, fine = "x" * (MAX_FILE_BYTES + 1), "\n" * (MAX_FILE_LINES + 1), "x" * (MAX_FILE_BYTES - 1)
    changes = compare({"b": "b", "gone": large}, {"b": many, "a": large, "c": fine, "d": fine, "e": fine})
    assert [(change.path, change.kind, change.diff is None) for change in changes] == [
        ("a", "added", True),
        ("b", "modified", True),
        ("c", "added", False),
        ("d", "added", True),  # it would be more than an answer holds
        ("e", "added", True),
        ("gone", "removed", True),
    ]


def test_half_a_surrogate_pair_is_text_too() -> None:
    (change,) = compare({"a": "x\n"}, {"a": "\ud800\n"})
    assert change.diff is not None
    assert change.diff.endswith("-x\n+\ud800")
