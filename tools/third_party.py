"""`flora/engine/THIRD_PARTY_LICENSES.txt`: the licences of what the built SDK contains of npm's packages.

It is part of flora's wheel. Which packages there are is what esbuild says about `sdk/src/late/`; the texts
are those in the packages themselves. `--check` only says whether the file is up to date.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import trio

from flora.build.process import run_tool, tool_environment
from flora.build.sdk import SOURCE_DIR
from flora.build.toolchain import Toolchain
from flora.errors import FloraError

NOTICES: Final = Path(__file__).resolve().parent.parent / "flora" / "engine" / "THIRD_PARTY_LICENSES.txt"
_HEAD: Final = """\
The SDK that flora builds contains the following packages, each under its own licence.
Made by `python -m tools.third_party`.
"""


def bundled(inputs: list[str]) -> list[str]:
    """Names of the npm packages that these files are of."""
    names = set()
    for file in inputs:
        _, inside, path = file.rpartition("node_modules/")
        if inside:
            scope_or_name, _, rest = path.partition("/")
            scoped = f"{scope_or_name}/{rest.partition('/')[0]}"
            names.add(scoped if scope_or_name.startswith("@") else scope_or_name)
    return sorted(names)


def notice(package: Path) -> str:
    """Name, version, licence and its text. Raises FloraError for a package without a text."""
    about = json.loads((package / "package.json").read_text("utf-8"))
    texts = sorted(file for file in package.iterdir() if file.name.upper().startswith("LICEN"))
    if not texts:
        raise FloraError(f"{package.name} has no licence text", hint="Do not bundle it.")
    rule = "-" * 80
    text = texts[0].read_text("utf-8").strip()
    return f"{rule}\n{about['name']} {about['version']} ({about['license']})\n{rule}\n\n{text}\n"


async def notices() -> str:
    """The whole file. Raises ToolchainError, FloraError."""
    tools = await Toolchain.ensure()
    with tempfile.TemporaryDirectory() as scratch:
        said = Path(scratch) / "meta.json"
        sources = sorted((SOURCE_DIR / "src" / "late").glob("*.cjs"))
        env = {**tool_environment(Path(scratch)), "NODE_PATH": str(tools.node_modules)}
        result = await run_tool(
            [
                tools.esbuild,
                *sources,
                "--bundle",
                "--platform=neutral",
                "--main-fields=main",
                f"--metafile={said}",
                f"--outdir={scratch}",
            ],
            cwd=SOURCE_DIR,
            env=env,
        )
        if result.status != 0:
            raise FloraError(f"esbuild failed: {result.stderr[-300:]}")
        meta: dict[str, Any] = json.loads(said.read_text("utf-8"))
    names = bundled(list(meta["inputs"]))
    return "\n".join([_HEAD, *(notice(tools.node_modules / name) for name in names)])


def main() -> int:
    text = trio.run(notices)
    if "--check" in sys.argv[1:]:
        return 0 if NOTICES.is_file() and NOTICES.read_text("utf-8") == text else 1
    NOTICES.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
