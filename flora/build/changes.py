"""How two sets of sources differ: which files were added, removed and modified, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from flora.build.diff import Budget, unified_diff

MAX_FILE_BYTES: Final = 2 * 2**20
MAX_FILE_LINES: Final = 100_000
"""Of each side of a file. Beyond, it is data, which nobody reads line by line."""
MAX_DIFF_BYTES: Final = 4 * 2**20
"""Of all differences together."""

Kind = Literal["added", "removed", "modified"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """`diff` is in unified format, with the file's path on both sides; None where there is too much of it."""

    path: str
    kind: Kind
    diff: str | None


def compare(
    before: Mapping[str, str], after: Mapping[str, str], budget: Budget | None = None
) -> list[FileChange]:
    """The changes that lead from `before` to `after` (path -> contents), sorted by path.

    Bounded in time and size, whatever the sources are: see `flora.build.diff`.
    """
    budget = budget or Budget()
    left = MAX_DIFF_BYTES
    changes = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        diff = None
        if left > 0 and budget.steps > 0 and not _is_large(old or "") and not _is_large(new or ""):
            diff = unified_diff(
                old or "",
                new or "",
                "/dev/null" if old is None else f"a/{path}",
                "/dev/null" if new is None else f"b/{path}",
                budget,
            )
            size = len(diff.encode("utf-8", "surrogatepass"))
            diff = diff if size <= left else None
            left -= 0 if diff is None else size
        changes.append(FileChange(path, _kind(old, new), diff))
    return changes


def _is_large(text: str) -> bool:
    return (
        len(text) > MAX_FILE_BYTES
        or text.count("\n") > MAX_FILE_LINES
        or len(text.encode("utf-8", "surrogatepass")) > MAX_FILE_BYTES
    )


def _kind(old: str | None, new: str | None) -> Kind:
    if old is None:
        return "added"
    return "removed" if new is None else "modified"
