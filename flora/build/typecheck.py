"""Type check a project with tsc against the types that flora ships, so that a project needs no install."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flora.build.diagnostics import parse_tsc
from flora.build.files import MAX_FILES
from flora.build.process import run_tool, tool_environment
from flora.build.sdk import TYPES_NAME
from flora.build.toolchain import Toolchain
from flora.build.types import Diagnostic

# A project without a tsconfig.json is checked as its bundle will run: modern, strict, without DOM or Node.
_DEFAULTS: Final[dict[str, Any]] = {
    "strict": True,
    "target": "esnext",
    "lib": ["esnext"],
    "module": "esnext",
    "moduleResolution": "bundler",
    "resolveJsonModule": True,
    "allowImportingTsExtensions": True,
    "isolatedModules": True,
    "types": [],
}
# Whatever a project's tsconfig.json says: nothing is written, and each file is a module, as it is to esbuild.
_FORCED: Final[dict[str, Any]] = {
    "noEmit": True,
    "composite": False,
    "incremental": False,
    "declaration": False,
    "declarationMap": False,
    "emitDeclarationOnly": False,
    "skipLibCheck": True,
    "moduleDetection": "force",
}
_NO_INPUTS: Final = "(TS18003)"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`failure` is set when tsc itself broke, not the project."""

    errors: tuple[Diagnostic, ...] = ()
    failure: str = ""


async def check_types(
    toolchain: Toolchain, root: Path, entries: tuple[str, ...], types: Path | None, scratch: Path
) -> CheckResult:
    """Check `entries` (relative to `root`) and what the project's tsconfig.json includes.

    `types` is the declaration file every project sees; `scratch` is a folder for the generated configuration.
    """
    command: list[str | Path] = [toolchain.tsc, "--pretty", "false", "-p"]
    files = [root / entry for entry in entries]
    project = root / "tsconfig.json"
    config: dict[str, Any] = {"compilerOptions": {**_DEFAULTS, **_FORCED}}
    if project.is_file():
        shown = await run_tool(
            [*command, project, "--showConfig"],
            cwd=root,
            env=tool_environment(scratch),
            sandbox=toolchain.sandbox,
        )
        if shown.status != 0:
            broken = [item for item in parse_tsc(shown.stdout, root) if _NO_INPUTS not in item.message]
            if broken:
                return CheckResult(tuple(broken))
        files += _included(shown.stdout, root)
        config = {"extends": str(project), "compilerOptions": dict(_FORCED)}
    if types is not None:
        # A project's own copy of the shipped types is for editors, and may be of another version.
        files = [*(file for file in files if file.name != TYPES_NAME), types]
    # Modules are looked up here when the project itself has no such package.
    config["compilerOptions"]["rootDir"] = root.anchor  # sources and shipped types have no folder in common
    config["compilerOptions"]["typeRoots"] = [
        str(root / "node_modules" / "@types"),
        str(root / "node_modules"),
        str(toolchain.node_modules),
    ]
    config["files"] = [str(file) for file in dict.fromkeys(files)]
    config["include"] = []
    generated = scratch / "tsconfig.json"
    generated.write_text(json.dumps(config), "utf-8")
    result = await run_tool(
        [*command, generated], cwd=root, env=tool_environment(scratch), sandbox=toolchain.sandbox
    )
    errors = parse_tsc(result.stdout, root)
    if result.status != 0 and not errors:
        said = (result.stderr or result.stdout).strip().splitlines()[:1] or ["no output"]
        return CheckResult(failure=f"tsc failed (exit {result.status}): {said[0]}")
    return CheckResult(tuple(errors))


def _included(shown: str, root: Path) -> list[Path]:
    try:
        names = json.loads(shown).get("files", [])
    except (ValueError, AttributeError, RecursionError):
        return []
    paths = [(root / str(name)).resolve() for name in names[:MAX_FILES]]
    return [path for path in paths if path.is_relative_to(root)]
