"""Changes of sources and of commands, shown to people and to programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flora.build.changes import FileChange


def sources(revision: Mapping[str, Any]) -> dict[str, str]:
    """The files of a revision as the API answers it with `include_files`."""
    return {file["path"]: file["contents"] for file in revision.get("files") or ()}


def as_json(changes: list[FileChange]) -> list[dict[str, str | None]]:
    return [{"path": change.path, "kind": change.kind, "diff": change.diff} for change in changes]


def from_json(changes: list[dict[str, Any]]) -> list[FileChange]:
    """Changes as the API answers them."""
    return [FileChange(change["path"], change["kind"], change["diff"]) for change in changes]


def show(changes: list[FileChange], of_what: str = "sources") -> None:
    """All changes for people, the sum at the end on standard error."""
    from flora.cli.output import note, plain, say, styled

    colors = {"+": "green", "-": "red", "@": "blue"}
    for change in changes:
        if change.diff is None:
            say(styled(plain(f"{change.path}: {change.kind}, too large to show"), "bold"))
            continue
        for number, line in enumerate(change.diff.split("\n") if change.diff else ()):
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
