"""The difference between two sets of sources, file by file and line by line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

CONTEXT_LINES = 3


@dataclass(frozen=True, slots=True)
class FileChange:
    """`diff` is in unified format, with the file's path on both sides."""

    path: str
    kind: Literal["added", "removed", "modified"]
    diff: str


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> list[FileChange]:
    """The changes that lead from `before` to `after` (path -> contents), sorted by path."""
    changes = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        kind: Literal["added", "removed", "modified"] = (
            "added" if old is None else "removed" if new is None else "modified"
        )
        lines = difflib.unified_diff(
            (old or "").splitlines(),
            (new or "").splitlines(),
            "/dev/null" if old is None else f"a/{path}",
            "/dev/null" if new is None else f"b/{path}",
            n=CONTEXT_LINES,
            lineterm="",
        )
        changes.append(FileChange(path, kind, "\n".join(lines)))
    return changes


def sources(revision: Mapping[str, Any]) -> dict[str, str]:
    """The files of a revision as the API answers it with `include_files`."""
    return {file["path"]: file["contents"] for file in revision.get("files") or ()}


def as_json(changes: list[FileChange]) -> list[dict[str, str]]:
    return [{"path": change.path, "kind": change.kind, "diff": change.diff} for change in changes]


def show(changes: list[FileChange], of_what: str = "sources") -> None:
    """All changes for people, the sum at the end on standard error."""
    from flora.cli.output import note, plain, say, styled

    colors = {"+": "green", "-": "red", "@": "blue"}
    for change in changes:
        for number, line in enumerate(change.diff.splitlines()):
            # The first two lines name the file; a removed line may begin with dashes of its own.
            color = "bold" if number < 2 else colors.get(line[:1], "")
            say(styled(plain(line), color) if color else plain(line))
    counts = {
        kind: sum(change.kind == kind for change in changes) for kind in ("added", "removed", "modified")
    }
    if changes:
        note(f"{of_what}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items() if count))
    else:
        note(f"{of_what}: no differences")
