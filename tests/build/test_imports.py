"""Every way to import something: its types are right, it is in the script, and it is what it should be."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from flora.build.bundle import build_project
from flora.build.types import BuildError
from tests.build.conftest import MakeProject
from tests.build.test_bundle import failure, run_script

LIB = {
    "src/lib.ts": """
        export interface Named { name: string }
        export type Id = `id-${number}`
        export const one: number = 1
        export let count = 0
        export const bump = (): number => ++count
        export class Box implements Named { constructor(readonly name: string) {} }
        export enum Color { Red = "red", Blue = "blue" }
        export const enum Size { Small = 1, Large = 2 }
        export namespace Tools { export const hammer = "hammer" }
        export default function greet(name: string): string { return `hi ${name}` }
    """
}
PACKAGE = {
    "package.json": json.dumps({"dependencies": dict.fromkeys(("old", "both", "modern", "typed"), "1")}),
    # CommonJS with an object of exports, with one export, and one that requires another of its files.
    "node_modules/old/package.json": '{"name": "old", "main": "./lib/index.js", "types": "index.d.ts"}',
    "node_modules/old/lib/index.js": "const { deep } = require('./deep'); exports.a = 1; exports.deep = deep;"
    " exports.kind = typeof module",
    "node_modules/old/lib/deep.js": "module.exports = { deep: () => 'deep' }",
    "node_modules/old/index.d.ts": "export const a: number; export function deep(): string;"
    " export const kind: string",
    "node_modules/typed/package.json": '{"name": "typed", "main": "index.js", "types": "index.d.ts"}',
    "node_modules/typed/index.js": "module.exports = function typed(n) { return n * 2 }",
    "node_modules/typed/index.d.ts": "declare function typed(n: number): number; export = typed",
    # Both kinds in one package: the module is taken.
    "node_modules/both/package.json": json.dumps(
        {
            "name": "both",
            "exports": {
                ".": {"types": "./index.d.ts", "import": "./index.mjs", "require": "./index.cjs"},
                "./sub": {"types": "./index.d.ts", "default": "./sub.mjs"},
            },
        }
    ),
    "node_modules/both/index.mjs": "export const kind = 'module'",
    "node_modules/both/index.cjs": "exports.kind = 'commonjs'",
    "node_modules/both/sub.mjs": "export { kind } from './index.mjs'",
    "node_modules/both/index.d.ts": "export const kind: string",
    "node_modules/modern/package.json": '{"name": "modern", "main": "old.js", "module": "m.js", '
    '"types": "m.d.ts"}',
    "node_modules/modern/m.js": "export const kind = 'module'",
    "node_modules/modern/old.js": "exports.kind = process.cwd()",
    "node_modules/modern/m.d.ts": "export const kind: string",
}

FORMS: Mapping[str, tuple[str, str]] = {
    "named": ("import { one } from './lib'; console.log(one)", "1"),
    "renamed": ("import { one as uno } from './lib'; console.log(uno)", "1"),
    "default": ("import greet from './lib'; console.log(greet('you'))", "hi you"),
    "default as named": ("import { default as greet } from './lib'; console.log(greet('you'))", "hi you"),
    "default and named": ("import greet, { one } from './lib'; console.log(greet(`${one}`))", "hi 1"),
    "default and namespace": (
        "import greet, * as lib from './lib'; console.log(lib.default === greet)",
        "true",
    ),
    "namespace": (
        "import * as lib from './lib'; console.log(lib.one, Object.keys(lib).includes('bump'))",
        "1 true",
    ),
    "live binding": ("import { bump, count } from './lib'; bump(); bump(); console.log(count)", "2"),
    "with extension": ("import { one } from './lib.js'; console.log(one)", "1"),
    "type only": (
        "import type { Named } from './lib'; const n: Named = { name: 'n' }; console.log(n.name)",
        "n",
    ),
    "inline type": (
        "import { type Id, one } from './lib'; const i: Id = 'id-1'; console.log(i, one)",
        "id-1 1",
    ),
    "type query": ("const n: import('./lib').Named = { name: 'n' }; console.log(n.name)", "n"),
    "class": ("import { Box } from './lib'; console.log(new Box('b').name)", "b"),
    "enum": ("import { Color, Size } from './lib'; console.log(Color.Blue, Size.Large)", "blue 2"),
    "TypeScript namespace": ("import { Tools } from './lib'; console.log(Tools.hammer)", "hammer"),
    "dynamic": ("const { one } = await import('./lib'); console.log(one)", "1"),
    "dynamic, by then": ("await import('./lib').then((lib) => console.log(lib.default('you')))", "hi you"),
    "JSON, whole": ("import data from './data.json'; console.log(data.list[1], data.deep.name)", "2 n"),
    "JSON, a key": ("import { version } from './data.json'; console.log(version)", "7"),
    "JSON, with attribute": (
        "import data from './data.json' with { type: 'json' }; console.log(data.version)",
        "7",
    ),
    "JSON, dynamic": ("const data = await import('./data.json'); console.log(data.default.version)", "7"),
    "folder": ("import { here } from './folder'; console.log(here)", "index"),
    "JavaScript": ("import { plain } from './plain.js'; console.log(plain())", "plain"),
    ".mts": ("import { m } from './module.mjs'; console.log(m)", "m"),
    "CommonJS package, named": ("import { a, deep } from 'old'; console.log(a, deep())", "1 deep"),
    "CommonJS package, namespace": ("import * as old from 'old'; console.log(old.a, old.kind)", "1 object"),
    "CommonJS package, one export": ("import typed from 'typed'; console.log(typed(21))", "42"),
    "CommonJS package, required": (
        "declare const require: (name: string) => { a: number }; console.log(require('old').a)",
        "1",
    ),
    "package of both kinds": ("import { kind } from 'both'; console.log(kind)", "module"),
    "path into a package": ("import { kind } from 'both/sub'; console.log(kind)", "module"),
    "package that names its module": ("import { kind } from 'modern'; console.log(kind)", "module"),
    "re-exports": (
        "import again, { uno, lib, Box, version } from './again'; "
        "console.log(again('you'), uno, lib.one, new Box('b').name, version)",
        "hi you 1 1 b 7",
    ),
    "types re-exported": (
        "import type { Named } from './again'; const n: Named = { name: 'n' }; console.log(n)",
        "",
    ),
}
FILES = {
    **LIB,
    **PACKAGE,
    "src/data.json": '{"version": 7, "list": [1, 2], "deep": {"name": "n"}}',
    "src/folder/index.ts": "export const here = 'index'",
    "src/plain.js": "export const plain = () => 'plain'",
    "src/module.mts": "export const m = 'm'",
    "src/again.ts": """
        export { default, one as uno } from "./lib"
        export * from "./lib"
        export * as lib from "./lib"
        export type { Named } from "./lib"
        export { version } from "./data.json"
    """,
    "tsconfig.json": json.dumps(
        {
            "compilerOptions": {
                "strict": True,
                "module": "esnext",
                "moduleResolution": "bundler",
                "allowJs": True,
                "esModuleInterop": True,
            }
        }
    ),
}


@pytest.mark.parametrize("form", FORMS)
async def test_an_import_of_this_form(project: MakeProject, form: str) -> None:
    source, said = FORMS[form]
    script = await build_project(project({**FILES, "src/main.ts": f"{source}\nexport {{}}\n"}))
    (line,) = run_script(script)
    assert line == said or not said


async def test_side_effects_happen_once_and_in_the_order_of_imports(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": "import './b'\nimport './a'\nimport './b'\nconsole.log('main')\n",
            "src/a.ts": "import './c'\nconsole.log('a')\n",
            "src/b.ts": "import './c'\nconsole.log('b')\n",
            "src/c.ts": "console.log('c', await Promise.resolve(1))\n",
        }
    )
    assert run_script(await build_project(root, check=False)) == ["c 1", "b", "a", "main"]


async def test_an_import_for_types_alone_runs_nothing(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": "import type { T } from './loud'\nconst t: T = 1\nconsole.log(t)\n",
            "src/loud.ts": "export type T = 1\nconsole.log('loud')\n",
        }
    )
    assert run_script(await build_project(root)) == ["1"]


async def test_a_dynamic_import_runs_when_it_is_reached(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": "console.log('first')\nawait import('./late')\nawait import('./late')\n",
            "src/late.ts": "console.log('late')\nexport {}\n",
        }
    )
    assert run_script(await build_project(root)) == ["first", "late"]


async def test_circles_of_classes_functions_and_reexports(project: MakeProject) -> None:
    root = project(
        {
            "src/main.ts": "import { Child, parent } from './index'\nconsole.log(parent(new Child()).name)\n",
            "src/index.ts": "export * from './parent'\nexport * from './child'\n",
            "src/parent.ts": "import { Child } from './index'\nexport class Parent { name = 'parent' }\n"
            "export const parent = (of: Child): Parent => (of instanceof Child ? of : new Parent())\n",
            "src/child.ts": "import { Parent } from './index'\n"
            "export class Child extends Parent { override name = 'child' }\n",
        }
    )
    assert run_script(await build_project(root)) == ["child"]


@pytest.mark.parametrize(
    ("source", "line", "column", "said"),
    [
        ("import { nothing } from './lib'\nnothing()\n", 1, 10, "nothing"),
        ("export const a = 1\nexport * from './none'\n", 2, 15, "./none"),
        ("const late = await import('./none')\nconsole.log(late)\n", 1, 27, "./none"),
        ("import data from './none.json'\nconsole.log(data)\n", 1, 18, "./none.json"),
        ("import data from './bad.json'\nconsole.log(data)\n", 0, 0, ""),
        ("import { one } from './Lib'\nconsole.log(one)\n", 1, 21, 'Cannot find "src/Lib.ts"'),
        ("import { one } from './lib'\none = 2\n", 2, 1, "one"),
        ("import type { Named } from './lib'\nnew Named()\n", 2, 5, "Named"),
        ("import { kind } from 'modern'\nimport x from 'both/hidden'\n", 2, 15, "both/hidden"),
    ],
)
async def test_what_is_wrong_with_an_import_is_said_where_it_is(
    project: MakeProject, source: str, line: int, column: int, said: str
) -> None:
    error: BuildError = await failure(project({**FILES, "src/bad.json": '{"a": }', "src/main.ts": source}))
    assert "/project/" not in "".join(item.message for item in error.diagnostics), "no path of this machine"
    found = [(item.path, item.line, item.column) for item in error.diagnostics]
    if line:
        assert ("src/main.ts", line, column) in found, found
        assert said in "".join(item.message for item in error.diagnostics)
    else:
        assert ("src/bad.json", 1, 7) in found, found
