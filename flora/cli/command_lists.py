"""Application commands as people read them, and how two sets of them differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flora.build.changes import FileChange, compare

Command = Mapping[str, Any]

_KINDS: Final = {1: "slash", 2: "user", 3: "message"}
_SUBCOMMANDS: Final = (1, 2)  # and groups of them


def kind_of(command: Command) -> str:
    """Discord's application command type in words."""
    kind = command.get("type") or 1
    return _KINDS.get(kind, str(kind))


def describe(command: Command) -> str:
    """The name and the options: `/echo <text> [times]`, `/tag create|delete`."""
    words = [f"/{command['name']}" if kind_of(command) == "slash" else str(command["name"])]
    options = command.get("options") or []
    if below := [option["name"] for option in options if option.get("type") in _SUBCOMMANDS]:
        words.append("|".join(map(str, below)))
    words += [
        f"<{option['name']}>" if option.get("required") else f"[{option['name']}]"
        for option in options
        if option.get("type") not in _SUBCOMMANDS
    ]
    return " ".join(words)


def compare_commands(before: Sequence[Command], after: Sequence[Command]) -> list[FileChange]:
    """The changes that lead from one set to the other, by kind and name; the diff is of their JSON."""
    return compare(_texts(before), _texts(after))


def _texts(commands: Sequence[Command]) -> dict[str, str]:
    return {
        f"{kind_of(command)} command {command['name']}": json.dumps(
            {key: value for key, value in command.items() if value is not None}, indent=2, sort_keys=True
        )
        + "\n"
        for command in commands
    }
