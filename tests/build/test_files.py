"""Which files belong to a project, and what its configuration says."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from flora.build.files import collect_files
from flora.build.ignore import IgnoreFile, is_ignored
from flora.build.project import ProjectSettings, read_config, read_project
from flora.build.types import BuildError

MakeProject = Callable[[Mapping[str, str]], Path]


def test_ignore_files_leave_only_what_they_do_not_name(project: MakeProject) -> None:
    root = project(
        {
            ".gitignore": "*.gen.ts\n/secret.ts\n",
            ".ignore": "scratch/\n",
            "src/main.ts": "",
            "src/api.gen.ts": "",
            "secret.ts": "",
            "scratch/x.ts": "",
            "src/.gitignore": "local.ts\n",
            "src/local.ts": "",
        }
    )
    assert [file.path for file in collect_files(root)] == ["src/main.ts"]


def test_only_sources_and_manifests_outside_of_output_folders_are_kept(project: MakeProject) -> None:
    kept = ["a.jsx", "b.mjs", "package-lock.json", "package.json", "src/main.ts", "tsconfig.json"]
    other = ["README.md", "logo.png", ".env", "node_modules/x/index.js", "dist/main.js", ".git/x.js"]
    root = project(dict.fromkeys([*kept, *other], "{}"))
    os.symlink(root / "README.md", root / "link.ts")
    assert [file.path for file in collect_files(root)] == kept


def test_what_was_bundled_is_kept_whatever_it_is(project: MakeProject) -> None:
    root = project({"src/main.ts": "", "words.txt": "hi", ".gitignore": "words.txt"})
    assert [file.path for file in collect_files(root, ["words.txt"])] == ["src/main.ts", "words.txt"]


def test_a_source_that_is_no_text_is_refused(project: MakeProject) -> None:
    root = project({"src/main.ts": ""})
    (root / "src" / "bad.ts").write_bytes(b"\xff\xfe")
    with pytest.raises(BuildError, match=r"src/bad\.ts is not UTF-8"):
        collect_files(root)


PATTERNS = [
    "*.log", "/top.ts", "build", "build/", "a/b", "a/**/c.ts", "**/deep", "x?.ts", "[ab].ts", "[!ab].ts",
    "[]a].ts", "!keep.log", "\\!bang.ts", "\\#hash.ts", "# comment", "trail.ts   ", "a/*", "**", "a/**",
    "foo**bar", "**/a/*b", "*e*p*.l*", "**/**/deep", "[a-c].ts", "*/b", "a?b",
]  # fmt: skip
PATHS = [
    "x.log", "keep.log", "sub/keep.log", "top.ts", "sub/top.ts", "build/x.ts", "sub/build/x.ts", "a/b",
    "sub/a/b/x", "a/c.ts", "a/x/y/c.ts", "deep/x", "s/deep/x", "x1.ts", "x12.ts", "a.ts", "c.ts", "].ts",
    "!bang.ts", "#hash.ts", "trail.ts", "a/z.ts", "fooxbar", "foo/bar", "a/x/a/yb",
]  # fmt: skip


@pytest.mark.skipif(shutil.which("git") is None, reason="git is the reference")
@pytest.mark.parametrize(
    "patterns", [[p] for p in PATTERNS] + [["*", "!*/", "!x.log"], ["*.log", "!keep.log"]], ids=repr
)
def test_patterns_mean_what_they_mean_to_git(tmp_path: Path, patterns: list[str]) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True, timeout=30)
    (tmp_path / ".gitignore").write_text("\n".join(patterns) + "\n")
    command = ["git", "-C", str(tmp_path), "check-ignore", "--no-index", "--stdin", "-z"]
    done = subprocess.run(
        command, input="\0".join(PATHS), capture_output=True, text=True, timeout=30, check=False
    )
    expected = set(filter(None, done.stdout.split("\0")))
    rules = [IgnoreFile.parse("\n".join(patterns))]

    def ignored(path: str) -> bool:
        parts = path.split("/")
        folders = ["/".join(parts[:n]) for n in range(1, len(parts))]
        return any(is_ignored(folder, True, rules) for folder in folders) or is_ignored(path, False, rules)

    assert {path for path in PATHS if ignored(path)} == expected


def test_a_hostile_pattern_is_matched_in_no_time() -> None:
    rules = [IgnoreFile.parse("*a" * 100 + "\n" + "**/" * 100 + "x\n" + "/**/a" * 50)]
    assert not is_ignored("/".join(["a" * 200 + "b"] * 15), False, rules)


class TestConfig:
    def test_no_configuration_says_nothing(self, project: MakeProject) -> None:
        assert read_project(project({"src/main.ts": ""})) == ProjectSettings()

    def test_a_typescript_configuration_is_read_without_running_it(self, project: MakeProject) -> None:
        text = """
            import { defineConfig } from "@flora/sdk" // a helper
            /* export default { deploy: { entry: "no.ts" } } */
            export default defineConfig({
              deploy: { 'entry': "src/bot.ts", root: `app`, },
              dev: { port: 8080, watch: ["src", 'data\\u0041'], open: true, extra: null },
            } satisfies Config) as const;
        """
        assert read_project(project({"flora.config.ts": text})) == ProjectSettings("src/bot.ts", "app")

    def test_values(self) -> None:
        text = "export default {a: [1, -2.5, 0x10, 1e3], 'b': true, c: undefined, d: {e: 'it\\'s'}}"
        assert read_config(text) == {"a": [1, -2.5, 16, 1000], "b": True, "c": None, "d": {"e": "it's"}}

    def test_flora_json(self, project: MakeProject) -> None:
        root = project({"flora.json": '{"deploy": {"entry": "a.ts"}}'})
        assert read_project(root) == ProjectSettings("a.ts", None)

    @pytest.mark.parametrize(
        ("text", "position"),
        [
            ("export default { deploy: { entry: process.env.X } }", "1:35"),
            ("export default {\n  deploy: make() }", "2:11"),
            ("export default { ...base }", "1:18"),
            ("export default { deploy: { entry: `a${1}` } }", "1:35"),
            ("const x = 1", "1:12"),
            ("export default { a: 1", "1:22"),
            ("export default { a: '\\x41' }", "1:21"),
            ("export default " + "[" * 100, "1:49"),
        ],
    )
    def test_anything_but_a_literal_is_an_error_with_its_position(self, text: str, position: str) -> None:
        with pytest.raises(BuildError, match=rf"^flora\.config\.ts:{position}: "):
            read_config(text)

    @pytest.mark.parametrize("text", ["{", "[]", '{"deploy": 1}', '{"deploy": {"entry": 1}}'])
    def test_a_wrong_flora_json_is_an_error(self, project: MakeProject, text: str) -> None:
        with pytest.raises(BuildError, match=r"^flora\.json"):
            read_project(project({"flora.json": text}))
