"""A new project: one of the examples, with what an editor, git and flora want beside the sources.

The shipped types are copied to `.flora/flora.d.ts`, which the project's tsconfig.json names, so that an
editor knows them without any install. The copy is git-ignored, and flora writes it anew whenever it works
with the project and its own types are others: after an update, or in a fresh clone.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flora.build.examples import ENTRY, example
from flora.build.sdk import TYPES_NAME, types_file
from flora.errors import FloraError

TYPES_COPY: Final = f".flora/{TYPES_NAME}"

TSCONFIG: Final = {
    "compilerOptions": {
        "target": "ES2022",
        "lib": ["ES2023"],
        "types": [],
        "module": "ESNext",
        "moduleResolution": "bundler",
        "moduleDetection": "force",
        "resolveJsonModule": True,
        "strict": True,
        "noUncheckedIndexedAccess": True,
        "isolatedModules": True,
        "verbatimModuleSyntax": True,
        "skipLibCheck": True,
        "noEmit": True,
    },
    "include": ["src", TYPES_COPY],
}
CONFIG: Final = f"""export default {{
  deploy: {{
    entry: "{ENTRY}",
  }},
}};
"""
IGNORED: Final = """# Installed packages
node_modules/
# A copy of flora's types for editors; flora writes it
.flora/
# What a flora that runs here keeps
data/
"""
README: Final = """# {name}

A bot script for flora: TypeScript in `src/`, started from `{entry}`. Nothing has to be imported or installed.

```sh
flora dev                  # plays it in a Discord on your machine; every save is live
flora test                 # its tests, `*.test.ts`
flora check                # types, and whether it builds
flora deploy --guild <id>  # runs it in a guild
```

A package from npm: `npm install <name>`, or write it into `package.json` and run `flora install`.
"""


class ProjectExistsError(FloraError):
    code = "PROJECT_EXISTS"


class ScaffoldError(FloraError):
    code = "SCAFFOLD_FAILED"


@dataclass(frozen=True, slots=True)
class Made:
    """What was written, and what was there already and stayed; paths relative to the project."""

    written: tuple[str, ...]
    kept: tuple[str, ...]


def make_project(folder: Path, template: str, *, force: bool = False) -> Made:
    """Write a project into `folder`, which is made when it is missing.

    A folder that holds anything but a git repository is refused, unless `force` is given: then what is there
    already stays as it is. Raises ProjectExistsError, ScaffoldError.
    """
    source = example(template)
    if source is None:
        raise ScaffoldError(f"this installation of flora has no template {template}.")
    try:
        if not force and folder.is_dir() and any(entry.name != ".git" for entry in folder.iterdir()):
            raise ProjectExistsError(
                f"the folder {folder} is not empty.",
                hint="Name another, or add --force: what is there stays as it is.",
            )
        written, kept = [], []
        for path, text in _files(source, _name(folder)).items():
            file = folder / path
            if file.exists():
                kept.append(path)
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
            written.append(path)
    except OSError as error:
        raise ScaffoldError(f"cannot write {error.filename or folder}: {error.strerror}.") from error
    return Made(tuple(written), tuple(kept))


def refresh_types(folder: Path) -> None:
    """Bring the editor's copy of the types up to date, in a project whose tsconfig.json names it.

    What cannot be written is left: it is only for the editor.
    """
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if TYPES_COPY not in (folder / "tsconfig.json").read_text("utf-8"):
            return
        copy, text = folder / TYPES_COPY, types_file().read_text("utf-8")
        if not (copy.is_file() and copy.read_text("utf-8") == text):
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(text, "utf-8")


def _files(source: Path, name: str) -> dict[str, str]:
    manifest = {"name": name, "version": "0.1.0", "private": True, "type": "module", "dependencies": {}}
    files = {
        "package.json": json.dumps(manifest, indent=2) + "\n",
        "tsconfig.json": json.dumps(TSCONFIG, indent=2) + "\n",
        "flora.config.ts": CONFIG,
        ".gitignore": IGNORED,
        "README.md": README.format(name=name, entry=ENTRY),
        TYPES_COPY: types_file().read_text("utf-8"),
    }
    for file in sorted((source / "src").rglob("*.ts")):
        files[file.relative_to(source).as_posix()] = file.read_text("utf-8")
    return files


def _name(folder: Path) -> str:
    """The folder's name as npm wants a package's."""
    return re.sub(r"[^a-z0-9-]+", "-", folder.resolve().name.lower()).strip("-") or "bot"
