"""A TypeScript project becomes one script and its source map, by esbuild, while tsc checks its types.

The project's code is never run: esbuild and tsc only read it, without npm scripts or plugins. The script is
plain text without import or export, in strict mode, with top-level await allowed: the engine evaluates it
inside an async function. `discord-api-types` can be imported without being installed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from flora.build.diagnostics import code_frame, merge, parse_esbuild, summary
from flora.build.files import collect_files, read_source
from flora.build.process import ToolResult, run_tool, tool_environment
from flora.build.sandbox import Sandbox
from flora.build.sdk import types_file
from flora.build.toolchain import Progress, Toolchain, ToolchainError
from flora.build.typecheck import CheckResult, check_types
from flora.build.types import BuildError, Bundle, Diagnostic

BUILD_DEADLINE: Final = 120.0
# The default of runtime.max_script_bytes.
MAX_SCRIPT_BYTES: Final = 8 * 2**20
DEFAULT_ENTRY: Final = "src/main.ts"

# PythonMonkey's engine is SpiderMonkey 136. Decorators and `using` are not in it and are rewritten.
_TARGET: Final = "firefox136"
_FLAGS: Final = (
    "--bundle",
    "--format=esm",
    "--platform=neutral",
    f"--target={_TARGET}",
    "--supported:import-meta=false",
    "--main-fields=module,main",
    "--conditions=worker,browser,module",
    '--define:process.env.NODE_ENV="production"',
    "--sourcemap=external",
    "--sources-content=true",
    "--charset=utf8",
    "--legal-comments=inline",
    '--banner:js="use strict";',  # a module is strict, a script is not
    "--log-override:unsupported-dynamic-import=warning",
    "--log-limit=50",
    "--color=false",
)
# The one package that a project may import without having installed it.
_SHIPPED_PACKAGE: Final = "discord-api-types"


TEST_MODULE: Final = "flora:test"
"""What test files import; the test kit in the guild process is behind it."""
TEST_ENTRY: Final = "flora-test-entry.mjs"
"""The name of the file that starts a test's script, as it stands in source maps."""
_TEST_GLOBAL: Final = "globalThis.__floraTest"
TEST_EXPORTS: Final = (
    "test",
    "it",
    "describe",
    "beforeEach",
    "afterEach",
    "expect",
    "bot",
    "discordError",
    "TestHarness",
    "makeUser",
    "makeMember",
    "makeMessage",
    "makeInteraction",
    "makeComponentInteraction",
    "makeModalSubmit",
    "makeReaction",
    "makeReady",
)

_EXPORT_CALL: Final = "export default "

# How esbuild begins its message about `import(name)` with a computed name.
_OPEN_IMPORT: Final = 'This "import" expression will not be bundled'


@dataclass(frozen=True, slots=True)
class _Output:
    code: str
    source_map: str
    inputs: tuple[str, ...]  # the project's own files in the bundle


async def build_project(
    root: Path,
    entry: str = DEFAULT_ENTRY,
    *,
    check: bool = True,
    toolchain: Toolchain | None = None,
    max_script_bytes: int = MAX_SCRIPT_BYTES,
    deadline: float = BUILD_DEADLINE,
    progress: Progress = lambda _: None,
) -> Bundle:
    """Build the project in folder `root` from its file `entry`; `check` includes the type check.

    `deadline` in seconds covers all but the installation of the toolchain. Nothing is written to the project.
    Cancellation kills the tools and removes temporary files.
    Raises BuildError with diagnostics when the project is at fault, ToolchainError when the tools are.
    """
    tools = toolchain or await Toolchain.ensure(progress)
    root, entry, scratch = await trio.to_thread.run_sync(_prepare, root, entry, tools.sandbox)
    try:
        with trio.move_on_after(deadline):
            return await _build(tools, root, entry, scratch, check=check, max_bytes=max_script_bytes)
        raise BuildError(f"The build took longer than {deadline:g} s and was stopped.")
    except OSError as error:
        raise ToolchainError(f"The build could not run: {error}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


async def build_test(
    root: Path,
    test: str,
    entry: str | None,
    *,
    toolchain: Toolchain,
    deadline: float = BUILD_DEADLINE,
) -> Bundle:
    """Build the test file `test` together with the bot that starts from `entry` (None: without one).

    The script hands both to the test kit, which the module `flora:test` is. Types are not checked. Raises as
    `build_project`.
    """
    root, test, scratch = await trio.to_thread.run_sync(_prepare, root, test)
    try:
        with trio.move_on_after(deadline):
            start = await trio.to_thread.run_sync(_write_test_entry, root, test, entry, scratch)
            bundled = await _esbuild(
                toolchain, root, str(start), scratch, f"--alias:{TEST_MODULE}={start}.kit.mjs"
            )
            errors, _ = _sort_out(*parse_esbuild(bundled.stderr, root))
            if bundled.status != 0 and not errors:
                raise ToolchainError(f"esbuild failed (exit {bundled.status}): {_last_line(bundled.stderr)}")
            if not errors:
                result = await trio.to_thread.run_sync(
                    _read_output, toolchain, root, scratch, MAX_SCRIPT_BYTES
                )
                if isinstance(result, _Output):
                    return Bundle(test, result.code, result.source_map, ())
                errors = result
            found = merge(errors, ())
            raise BuildError(summary(found), found)
        raise BuildError(f"The build took longer than {deadline:g} s and was stopped.")
    except OSError as error:
        raise ToolchainError(f"The build could not run: {error}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_test_entry(root: Path, test: str, entry: str | None, scratch: Path) -> Path:
    start = scratch / TEST_ENTRY
    parts = [test] if entry is None else [test, entry_path(root, entry)]
    loads = ", ".join(f"() => import({json.dumps(str(root / part))})" for part in parts)
    start.write_text(f"await {_TEST_GLOBAL}.load({loads});\n", "utf-8")
    kit = scratch / f"{TEST_ENTRY}.kit.mjs"
    kit.write_text(f"export const {{ {', '.join(TEST_EXPORTS)} }} = {_TEST_GLOBAL};\n", "utf-8")
    return start


async def check_project(
    root: Path, entry: str = DEFAULT_ENTRY, *, toolchain: Toolchain, scratch: Path
) -> tuple[Diagnostic, ...]:
    """The type errors of a project; `scratch` is an empty folder. Cancellation kills the compiler.

    Raises BuildError when there is no such entry file, ToolchainError when the compiler fails.
    """
    root = await trio.to_thread.run_sync(root.resolve)
    entry = await trio.to_thread.run_sync(entry_path, root, entry)
    result = await check_types(toolchain, root, (entry,), types_file(), scratch)
    if result.failure:
        raise ToolchainError(result.failure)
    return result.errors


def _prepare(root: Path, entry: str, sandbox: Sandbox | None = None) -> tuple[Path, str, Path]:
    root = root.resolve()
    entry = entry_path(root, entry)
    place = None if sandbox is None else sandbox.scratch
    scratch = Path(tempfile.mkdtemp(prefix="flora-build-", dir=place)).resolve()
    if sandbox is not None and sandbox.uid is not None:
        os.chown(scratch, sandbox.uid, sandbox.uid)
    return root, entry, scratch


def entry_path(root: Path, entry: str) -> str:
    """`entry` relative to the resolved `root`, with forward slashes. Raises BuildError when not inside."""
    try:
        file = (root / entry).resolve()
    except (OSError, ValueError) as error:
        raise BuildError(f"The entry file {entry[:200]!r} is not a path.") from error
    if not root.is_dir():
        raise BuildError(f"There is no project folder {root}.")
    if not file.is_relative_to(root):
        raise BuildError(f"The entry file {entry} is not inside {root}.")
    if not file.is_file():
        raise BuildError(f"There is no entry file {entry} in {root}.")
    return file.relative_to(root).as_posix()


async def _build(
    tools: Toolchain, root: Path, entry: str, scratch: Path, *, check: bool, max_bytes: int
) -> Bundle:
    types = types_file() if check else None
    bundled = ToolResult(1, "", "")
    checked = CheckResult()

    async def run_check() -> None:
        nonlocal checked
        folder = scratch / "check"
        folder.mkdir()
        checked = await check_types(tools, root, (entry,), types, folder)

    async with trio.open_nursery() as nursery:
        if check:
            nursery.start_soon(run_check)
        bundled = await _esbuild(tools, root, f"./{entry}", scratch)

    errors, warnings = _sort_out(*parse_esbuild(bundled.stderr, root))
    output: _Output | None = None
    if bundled.status != 0 and not errors:
        raise ToolchainError(f"esbuild failed (exit {bundled.status}): {_last_line(bundled.stderr)}")
    if not errors:
        result = await trio.to_thread.run_sync(_read_output, tools, root, scratch, max_bytes)
        if isinstance(result, _Output):
            output = result
        else:
            errors = result
    if errors or checked.errors or output is None:
        found = merge(errors, checked.errors)
        raise BuildError(summary(found), found)
    if checked.failure:
        raise ToolchainError(checked.failure)
    files = await trio.to_thread.run_sync(collect_files, root, output.inputs)
    return Bundle(entry, output.code, output.source_map, files, tuple(str(item) for item in warnings))


async def _esbuild(tools: Toolchain, root: Path, entry: str, scratch: Path, *flags: str) -> ToolResult:
    tsconfig = root / "tsconfig.json"
    # Named explicitly, since esbuild would also take one from a folder above the project.
    settings = f"--tsconfig={tsconfig}" if tsconfig.is_file() else "--tsconfig-raw={}"
    command: list[str | Path] = [
        tools.esbuild,
        entry,
        *_FLAGS,
        *flags,
        settings,
        f"--outfile={scratch / 'bundle.js'}",
        f"--metafile={scratch / 'meta.json'}",
    ]
    # NODE_PATH is esbuild's last resort for a package that the project does not have.
    env = {**tool_environment(scratch), "NODE_PATH": str(tools.node_modules)}
    return await run_tool(command, cwd=root, env=env, sandbox=tools.sandbox)


def _sort_out(
    errors: list[Diagnostic], warnings: list[Diagnostic]
) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """A computed import is the author's mistake; in a package it may be code that never runs."""
    mistakes = [
        item
        for item in warnings
        if item.message.startswith(_OPEN_IMPORT) and "node_modules/" not in item.path
    ]
    return errors + mistakes, [item for item in warnings if item not in mistakes]


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no output")[:300]


def _read_output(tools: Toolchain, root: Path, scratch: Path, max_bytes: int) -> _Output | list[Diagnostic]:
    code_file, map_file, meta_file = (scratch / name for name in ("bundle.js", "bundle.js.map", "meta.json"))
    for file in (code_file, map_file, meta_file):
        if file.is_symlink():  # no tool makes one; whoever did wants us to read something else
            raise ToolchainError(f"esbuild made {file.name} a link.")
    size = code_file.stat().st_size
    if size > max_bytes:
        return [Diagnostic("", 0, 0, f"the bundle has {size} bytes; the limit is {max_bytes}")]
    meta = json.loads(meta_file.read_text("utf-8"))
    problems, own = _review_inputs(tools, root, scratch, meta["inputs"])
    if problems:
        return problems
    code = code_file.read_text("utf-8")
    # esbuild ends a module with its one export statement. Nothing imports the bundle, so it goes.
    if any(output.get("exports") for output in meta["outputs"].values()):
        end = code.rindex("\nexport ") + 1
        # That of a CommonJS entry (`"type": "commonjs"`) is what runs it: `export default require_main();`.
        code = (
            code[:end] + code[end:].removeprefix(_EXPORT_CALL)
            if code.startswith(_EXPORT_CALL, end)
            else code[:end]
        )
    return _Output(code, _rebase_map(map_file.read_text("utf-8"), scratch, root, tools), own)


def _review_inputs(
    tools: Toolchain, root: Path, scratch: Path, inputs: dict[str, Any]
) -> tuple[list[Diagnostic], tuple[str, ...]]:
    """What went into the bundle: refuses files from outside the project and imports that stay open."""
    shipped = (tools.node_modules / _SHIPPED_PACKAGE).resolve()
    problems: list[Diagnostic] = []
    own: list[str] = []
    tests = any(Path(os.path.normpath(root / name)).is_relative_to(scratch) for name in inputs)
    for name, facts in inputs.items():
        if name.startswith(("(disabled):", "<")):
            continue
        path = Path(os.path.normpath(root / name))
        if path.is_relative_to(scratch):  # what starts a test
            continue
        inside = path.is_relative_to(root)
        if not inside and not path.is_relative_to(shipped):
            problems.append(Diagnostic("", 0, 0, f"{_imported_as(inputs, name)} is outside the project"))
        if inside and "node_modules" not in path.relative_to(root).parts:
            own.append(path.relative_to(root).as_posix())
        for item in facts["imports"]:
            unused = tests and item["path"] == TEST_MODULE  # imported, and left out since nothing is used
            if item.get("external") and item["path"] != "<runtime>" and not unused:
                problems.append(_open_import(root, name, item["path"]))
    return problems, tuple(own)


def _imported_as(inputs: dict[str, Any], name: str) -> str:
    for importer, facts in inputs.items():
        for item in facts["imports"]:
            if item["path"] == name:
                return f'"{item.get("original", name)}", imported by {importer},'
    return name


def _open_import(root: Path, importer: str, target: str) -> Diagnostic:
    message = f'cannot import "{target[:200]}": a guild script is one file and loads nothing from the network'
    try:
        lines = read_source(root, importer).splitlines()
    except BuildError:
        lines = []
    for number, line in enumerate(lines, 1):
        if (column := line.find(target)) >= 0:
            return Diagnostic(importer, number, column, message, code_frame(root, importer, number, column))
    return Diagnostic(importer, 0, 0, message)


def _rebase_map(text: str, scratch: Path, root: Path, tools: Toolchain) -> str:
    """Sources relative to the project, so that no path of this machine leaves it."""
    source_map = json.loads(text)
    source_map["sources"] = [_rebase(source, scratch, root, tools) for source in source_map["sources"]]
    source_map.pop("sourceRoot", None)
    return json.dumps(source_map, ensure_ascii=False, separators=(",", ":"))


def _rebase(source: str, scratch: Path, root: Path, tools: Toolchain) -> str:
    path = Path(os.path.normpath(scratch / source))
    for base in (root, tools.root):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return source.rsplit("/", 1)[-1]
