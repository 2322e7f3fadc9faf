"""A project becomes one script, or says where and why not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import trio

from flora.build.bundle import build_project
from flora.build.sourcemap import SourceMap
from flora.build.toolchain import Toolchain, ToolchainError
from flora.build.types import BuildError, Bundle

MakeProject = Callable[[Mapping[str, str]], Path]


def run_script(bundle: Bundle) -> list[str]:
    """What the bundle logs when it runs as the engine runs it: plain text inside an async function."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node to run a bundle")
    text = f"(async () => {{{bundle.code}\n}})()"
    done = subprocess.run([node, "-"], input=text, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.splitlines()


def stuck_tool(folder: Path) -> tuple[Path, Path]:
    """A program that never ends, and the file that it writes its process id to."""
    tool, pid_file = folder / "stuck-tool", folder / "pid"
    tool.write_text(f"#!/bin/sh\necho $$ > {pid_file}.new && mv {pid_file}.new {pid_file}\nexec sleep 600\n")
    tool.chmod(0o755)
    return tool, pid_file


async def appears(file: Path) -> int:
    while not await trio.Path(file).exists():
        await trio.sleep(0.01)
    return int(await trio.Path(file).read_text())


async def failure(root: Path, entry: str = "src/main.ts", **options: object) -> BuildError:
    with pytest.raises(BuildError) as caught, trio.fail_after(60):
        await build_project(root, entry, **options)  # type: ignore[arg-type]
    return caught.value


async def test_several_files_become_one_script_that_runs(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": """
                import { pong } from "./pong.js"
                import words from "./data/words.json"
                import text from "./note.txt"
                export const value: number = 1
                export default function unused() {}
                console.log(pong("a"), words.hello, text.trim(), await Promise.resolve(value))
            """,
            "src/pong.ts": "export const pong = (s: string): string => `pong (${s})`",
            "src/data/words.json": '{"hello": "world"}',
            "src/note.txt": "a note\n",
        }
    )
    bundle = await build_project(root, "src/main.ts", check=False)
    assert "export" not in bundle.code
    assert run_script(bundle) == ["pong (a) world a note 1"]
    assert bundle.entry_point == "src/main.ts"
    assert [file.path for file in bundle.files] == [
        "src/data/words.json",
        "src/main.ts",
        "src/note.txt",
        "src/pong.ts",
    ]


async def test_circular_imports_see_live_bindings(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": 'import { a } from "./a"; console.log(a())',
            "src/a.ts": 'import { b } from "./b"; export const name = "a"; export const a = () => b()',
            "src/b.ts": 'import { name } from "./a"; export const b = () => `b of ${name}`',
        }
    )
    assert run_script(await build_project(root, "src/main.ts")) == ["b of a"]


async def test_a_dynamic_import_of_a_known_file_is_part_of_the_script(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": 'const { late } = await import("./late"); console.log(late)',
            "src/late.ts": 'export const late = "now"',
        }
    )
    assert run_script(await build_project(root, "src/main.ts")) == ["now"]


async def test_a_dynamic_import_of_anything_else_is_refused_at_its_position(project: MakeProject) -> None:
    root = project({"src/main.ts": 'const name = "./x" + Date.now()\nawait import(name)\n'})
    error = await failure(root, check=False)
    assert [(item.path, item.line, item.column) for item in error.diagnostics] == [("src/main.ts", 2, 7)]
    assert "not a string literal" in error.message


async def test_a_package_may_hold_a_dynamic_import_that_never_runs(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": 'import { x } from "p"; console.log(x)',
            "node_modules/p/package.json": '{"name": "p", "main": "p.js"}',
            "node_modules/p/p.js": "exports.x = 1; exports.load = (name) => import(name)",
        }
    )
    bundle = await build_project(root, "src/main.ts", check=False)
    assert run_script(bundle) == ["1"]
    assert "node_modules/p/p.js:1:" in bundle.warnings[0]


async def test_unused_exports_of_imported_files_are_left_out(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": 'import { used } from "./lib"; console.log(used)',
            "src/lib.ts": 'export const used = "used"; export function forgotten() { return "forgotten" }',
        }
    )
    bundle = await build_project(root, "src/main.ts")
    assert "forgotten" not in bundle.code


async def test_the_script_is_strict_like_the_module_it_was(project: MakeProject) -> None:
    root = project({"src/main.ts": "console.log((function (this: unknown) { return this === undefined })())"})
    assert run_script(await build_project(root, "src/main.ts", check=False)) == ["true"]


async def test_a_project_that_declares_no_side_effects_still_runs(project: MakeProject) -> None:
    root = project({"package.json": '{"sideEffects": false}', "src/main.ts": 'console.log("ran")'})
    assert run_script(await build_project(root, "src/main.ts")) == ["ran"]


async def test_the_map_leads_from_the_bundle_to_the_source(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": 'import { fail } from "./deep/fail"\nfail()\n',
            "src/deep/fail.ts": "type T = 1\n\nexport function fail(): T {\n  throw new Error('boom')\n}\n",
        }
    )
    bundle = await build_project(root, "src/main.ts")
    line = next(number for number, text in enumerate(bundle.code.splitlines(), 1) if "boom" in text)
    column = bundle.code.splitlines()[line - 1].index("throw") + 1
    found = SourceMap.parse(bundle.source_map).lookup(line, column)
    assert found is not None
    assert (found.path, found.line, found.column) == ("src/deep/fail.ts", 4, 3)
    assert "sourceMappingURL" not in bundle.code
    assert str(root) not in bundle.source_map
    sources = json.loads(bundle.source_map)
    assert sources["sourcesContent"][sources["sources"].index("src/main.ts")].startswith("import { fail }")


async def test_building_twice_gives_the_same_bytes(project: MakeProject) -> None:
    root = project(
        {"src/main.ts": 'import "./a"; import "./b"', "src/a.ts": "console.log(1)", "src/b.ts": ""}
    )
    assert await build_project(root, "src/main.ts") == await build_project(root, "src/main.ts")


async def test_a_build_writes_nothing_into_the_project(project: MakeProject) -> None:
    root = project(
        {"src/main.ts": "console.log(1)", "tsconfig.json": '{"compilerOptions": {"outDir": "dist"}}'}
    )
    before = sorted(root.rglob("*"))
    await build_project(root, "src/main.ts")
    assert sorted(root.rglob("*")) == before


async def test_discord_types_need_no_install(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": """
                import { MessageFlags, type APIMessage } from "discord-api-types/v10"
                const show = (message: APIMessage): string => message.content
                console.log(MessageFlags.Ephemeral, typeof show)
            """
        }
    )
    bundle = await build_project(root, "src/main.ts")
    assert run_script(bundle) == ["64 function"]
    assert all(not source.startswith((".", "/")) for source in json.loads(bundle.source_map)["sources"])


async def test_installed_packages_are_bundled_and_not_kept_as_sources(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": 'import { left } from "pad"; console.log(left("x"))',
            "package.json": '{"dependencies": {"pad": "1"}}',
            "node_modules/pad/package.json": '{"name": "pad", "main": "pad.js", "types": "pad.d.ts"}',
            "node_modules/pad/pad.js": "exports.left = (s) => '_' + s",
            "node_modules/pad/pad.d.ts": "export function left(s: string): string",
        }
    )
    bundle = await build_project(root, "src/main.ts")
    assert run_script(bundle) == ["_x"]
    assert [file.path for file in bundle.files] == ["package.json", "src/main.ts"]


async def test_using_is_rewritten_for_the_engine(project: MakeProject) -> None:
    source = "{ using r = { [Symbol.dispose]() { console.log('closed') } }; console.log('open', !!r) }"
    root = project({"src/main.ts": source})
    bundle = await build_project(root, "src/main.ts", check=False)
    assert "using r" not in bundle.code


class TestMistakes:
    async def test_a_missing_file_is_named_with_its_position(self, project: MakeProject) -> None:
        root = project({"src/main.ts": 'const ü = 1; import x from "./nöpe"\nconsole.log(x, ü)\n'})
        error = await failure(root)
        found = error.diagnostics[0]
        assert (found.path, found.line, found.column) == ("src/main.ts", 1, 28)
        assert found.message == 'Cannot find "./nöpe".'
        assert found.code_frame.splitlines()[-1].index("^") == found.code_frame.splitlines()[0].index('"./')

    async def test_a_missing_package_says_what_to_do(self, project: MakeProject) -> None:
        source = {"src/main.ts": 'import z from "zod"\nimport q from "@a/b/c"\nconsole.log(z, q)'}
        error = await failure(
            project(source | {"package.json": '{"dependencies": {"zod": "^4"}}'}), check=False
        )
        messages = [item.message for item in error.diagnostics]
        assert messages == [
            'The package "zod" is not installed. Run `flora install` in the project first.',
            'Cannot find the package "@a/b". Add it with `npm install @a/b` in the project.',
        ]

    async def test_a_module_of_node_is_refused_as_such(self, project: MakeProject) -> None:
        error = await failure(project({"src/main.ts": 'import "node:fs"'}), check=False)
        assert "module of Node.js" in error.message

    async def test_a_url_is_refused_with_its_position(self, project: MakeProject) -> None:
        root = project({"src/main.ts": '\nimport x from "https://esm.sh/x"\nx()'})
        error = await failure(root, check=False)
        assert [(item.path, item.line, item.column) for item in error.diagnostics] == [("src/main.ts", 2, 15)]
        assert "loads nothing from the network" in error.message

    async def test_a_syntax_error_has_its_position_and_frame(self, project: MakeProject) -> None:
        error = await failure(project({"src/main.ts": "const a = 1\nconst b = {\n  x: )\n}\n"}))
        found = error.diagnostics[0]
        assert (found.path, found.line, found.column) == ("src/main.ts", 3, 6)
        assert found.code_frame.splitlines()[-2:] == ["  3 |   x: )", "    |      ^"]

    async def test_a_type_error_has_its_position_and_frame(self, project: MakeProject) -> None:
        root = project(
            {
                "src/main.ts": 'import "./other"',
                "src/other.ts": 'const ok = "😀"; const x: number = ok\n'
                "export const y: { a: { b: 1 } } = { a: { b: 2 } }; x",
            }
        )
        error = await failure(root)
        found = [(item.path, item.line, item.column) for item in error.diagnostics]
        assert found == [("src/other.ts", 1, 23), ("src/other.ts", 2, 42)]
        assert "(TS2322)" in error.diagnostics[0].message
        assert error.message.endswith("(and 1 more)")

    async def test_type_errors_do_not_matter_without_the_check(self, project: MakeProject) -> None:
        root = project({"src/main.ts": 'const x: number = "text"; console.log(x)'})
        assert run_script(await build_project(root, "src/main.ts", check=False)) == ["text"]

    async def test_no_entry_no_folder_no_path(self, project: MakeProject, tmp_path: Path) -> None:
        root = project({"src/main.ts": ""})
        assert "no entry file src/none.ts" in (await failure(root, "src/none.ts")).message
        assert "no project folder" in (await failure(tmp_path / "none")).message
        assert "not a path" in (await failure(root, "a\0b")).message

    async def test_a_bundle_over_the_limit_is_refused(self, project: MakeProject) -> None:
        root = project({"src/main.ts": f'console.log("{"x" * 5000}")'})
        error = await failure(root, max_script_bytes=4000)
        assert "the limit is 4000" in error.message

    async def test_a_source_over_the_limit_is_refused(self, project: MakeProject) -> None:
        root = project({"src/main.ts": "", "src/big.ts": "//" + "x" * (10 * 2**20)})
        assert "src/big.ts is larger than 10 MiB" in (await failure(root, check=False)).message

    async def test_too_many_files_are_refused(self, project: MakeProject) -> None:
        root = project({"src/main.ts": ""} | {f"src/f{number}.ts": "" for number in range(1000)})
        assert "the limit is 1000" in (await failure(root, check=False)).message

    async def test_two_hundred_files_are_fine(self, project: MakeProject) -> None:
        files = {f"src/f{n}.ts": f"export const v{n}: number = {n}" for n in range(200)}
        lines = [f'import {{ v{n} }} from "./f{n}"' for n in range(200)]
        total = " + ".join(f"v{n}" for n in range(200))
        root = project(files | {"src/main.ts": "\n".join([*lines, f"console.log({total})"])})
        assert run_script(await build_project(root, "src/main.ts")) == [str(sum(range(200)))]


class TestBorder:
    """Nothing outside the project's folder goes into a bundle or a message."""

    async def test_an_entry_outside_is_refused(self, project: MakeProject, tmp_path: Path) -> None:
        root = project({"src/main.ts": ""})
        (tmp_path / "other.ts").write_text("")
        for entry in ("../other.ts", str(tmp_path / "other.ts")):
            assert "is not inside" in (await failure(root, entry)).message

    async def test_an_import_from_outside_is_refused(self, project: MakeProject, tmp_path: Path) -> None:
        (tmp_path / "secret.json").write_text('{"token": "hunter2"}')
        root = project({"src/main.ts": 'import s from "../../secret.json"; console.log(s)'})
        error = await failure(root, check=False)
        assert '"../../secret.json", imported by src/main.ts, is outside the project' in error.message
        assert "hunter2" not in str(error.diagnostics)

    @pytest.mark.parametrize("kind", ["file", "folder", "entry"])
    async def test_symbolic_links_to_outside_are_refused(
        self, project: MakeProject, tmp_path: Path, kind: str
    ) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret.ts").write_text('export const secret = "hunter2"; console.log(secret)')
        source = {"file": "./link", "folder": "./folder/secret", "entry": "./none"}[kind]
        root = project({"src/main.ts": f'import {{ secret }} from "{source}"; console.log(secret)'})
        os.symlink(outside / "secret.ts", root / "src" / "link.ts")
        os.symlink(outside, root / "src" / "folder")
        error = await failure(root, "src/link.ts" if kind == "entry" else "src/main.ts", check=False)
        assert "outside the project" in error.message or "not inside" in error.message
        assert "hunter2" not in str(error.diagnostics)

    async def test_a_broken_file_outside_is_not_shown(self, project: MakeProject, tmp_path: Path) -> None:
        (tmp_path / "passwd.ts").write_text("root:x:0:0:hunter2 {{{\n")
        root = project({"src/main.ts": 'import "../../passwd"'})
        error = await failure(root)
        assert "hunter2" not in "".join(item.code_frame + item.message for item in error.diagnostics)

    async def test_a_tsconfig_above_the_project_has_no_say(
        self, project: MakeProject, tmp_path: Path
    ) -> None:
        (tmp_path / "tsconfig.json").write_text('{"compilerOptions": {"paths": {"x": ["./evil.ts"]}}}')
        (tmp_path / "evil.ts").write_text("export default 1")
        root = project({"src/main.ts": 'import x from "x"; console.log(x)'})
        assert 'Cannot find the package "x"' in (await failure(root, check=False)).message


class TestTsconfig:
    async def test_the_project_decides_how_strict_it_is(self, project: MakeProject) -> None:
        files = {"src/main.ts": "export function f(x) { return x }\n"}
        assert "(TS7006)" in (await failure(project(files))).message
        relaxed = '{\n  // a comment\n  "compilerOptions": {"strict": false, "module": "esnext"},\n}'
        await build_project(project(files | {"tsconfig.json": relaxed}), "src/main.ts")

    async def test_its_paths_hold_for_types_and_bundle(self, project: MakeProject) -> None:
        root = project(
            {
                "tsconfig.json": '{"compilerOptions": {"module": "esnext", "paths": {"~/*": ["./src/*"]}}}',
                "src/main.ts": 'import { x } from "~/lib/x"; console.log(x)',
                "src/lib/x.ts": "export const x = 5",
            }
        )
        assert run_script(await build_project(root, "src/main.ts")) == ["5"]

    async def test_a_broken_one_is_reported(self, project: MakeProject) -> None:
        root = project({"src/main.ts": "", "tsconfig.json": '{"compilerOptions": {"module": 1'})
        error = await failure(root)
        assert any(item.path == "tsconfig.json" for item in error.diagnostics)

    async def test_included_declarations_are_seen(self, project: MakeProject) -> None:
        root = project(
            {
                "tsconfig.json": '{"compilerOptions": {"module": "esnext"}, "include": ["src"]}',
                "src/globals.d.ts": "declare const answer: 42",
                "src/main.ts": "export const x: 42 = answer",
            }
        )
        await build_project(root, "src/main.ts")


async def test_a_type_check_without_end_is_stopped(
    project: MakeProject, toolchain: Toolchain, tmp_path: Path
) -> None:
    tool, pid_file = stuck_tool(tmp_path)
    stuck = Toolchain(toolchain.root, toolchain.esbuild, tool)
    error = await failure(project({"src/main.ts": ""}), toolchain=stuck, deadline=0.5)
    assert "longer than 0.5 s" in error.message
    with pytest.raises(ProcessLookupError):
        os.kill(await appears(pid_file), 0)


async def test_cancelling_a_build_leaves_no_process_and_no_files(
    project: MakeProject, toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool, pid_file = stuck_tool(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    stuck = Toolchain(toolchain.root, tool, toolchain.tsc)
    root = project({"src/main.ts": ""})
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: build_project(root, "src/main.ts", check=False, toolchain=stuck))
            pid = await appears(pid_file)
            nursery.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert list(scratch.iterdir()) == []


async def test_a_tool_that_floods_or_dies_is_an_error_of_the_toolchain(
    project: MakeProject, toolchain: Toolchain, tmp_path: Path
) -> None:
    flood = tmp_path / "flood"
    flood.write_text("#!/bin/sh\nhead -c 50000000 /dev/zero | tr '\\0' x >&2\nkill -9 $$\n")
    flood.chmod(0o755)
    broken = Toolchain(toolchain.root, flood, toolchain.tsc)
    with pytest.raises(ToolchainError, match=r"esbuild failed \(exit -9\)"), trio.fail_after(60):
        await build_project(project({"src/main.ts": ""}), "src/main.ts", check=False, toolchain=broken)


async def test_the_tools_see_none_of_our_environment(
    project: MakeProject, toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "environment"
    spy = tmp_path / "spy"
    spy.write_text(f'#!/bin/sh\nenv > {seen}\nexec {toolchain.esbuild} "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("DISCORD_TOKEN", "hunter2")
    tools = Toolchain(toolchain.root, spy, toolchain.tsc)
    await build_project(project({"src/main.ts": ""}), "src/main.ts", check=False, toolchain=tools)
    assert "hunter2" not in seen.read_text()


@pytest.mark.parametrize(
    "source",
    ["import { greet } from './greet'\nconsole.log(greet)\n", "console.log(require('./greet').greet)\n"],
)
async def test_an_entry_that_is_a_commonjs_module(
    project: MakeProject, toolchain: Toolchain, source: str
) -> None:
    root = project(
        {
            "package.json": '{"type": "commonjs"}',
            "src/main.ts": f"declare const require: (name: string) => any\n{source}",
            "src/greet.ts": "export const greet = 'hello'\n",
        }
    )
    bundle = await build_project(root, toolchain=toolchain)
    assert "\nexport " not in bundle.code
    assert "hello" in bundle.code
    assert bundle.code.rstrip().endswith("();"), "the entry is called"
