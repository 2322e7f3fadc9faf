"""A new project: what `flora init` writes, and that it works as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from flora.build.bundle import build_project
from flora.build.process import run_tool
from flora.build.toolchain import Toolchain
from flora.cli.commands.init import Template
from flora.cli.project import Project, build, open_project
from flora.cli.scaffold import TYPES_COPY, ProjectExistsError, ScaffoldError, make_project, refresh_types


@pytest.mark.parametrize("template", list(Template))
async def test_every_template_has_correct_types_and_builds(template: Template, tmp_path: Path) -> None:
    made = make_project(tmp_path / "bot", template)
    assert made.kept == ()
    project = open_project(tmp_path / "bot")
    assert project == Project(tmp_path / "bot", "src/main.ts")
    bundle = await build(project, lambda _: None, check=True, install=True)
    assert bundle.warnings == ()
    assert TYPES_COPY not in {file.path for file in bundle.files}, "the copy is no source of the project"


@pytest.mark.parametrize("template", list(Template))
async def test_an_editor_knows_the_types_without_any_install(template: Template, tmp_path: Path) -> None:
    """What an editor does is tsc with the project's own tsconfig.json."""
    make_project(tmp_path, template)
    tools = await Toolchain.ensure()
    assert (await run_tool([tools.tsc, "-p", "."], cwd=tmp_path)).status == 0
    (tmp_path / "src/wrong.ts").write_text("export const count: number = __floraGuildId;\n")
    wrong = await run_tool([tools.tsc, "-p", "."], cwd=tmp_path)
    assert "src/wrong.ts" in wrong.stdout
    assert "TS2322" in wrong.stdout


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ProjectExistsError, match="not empty"):
        make_project(tmp_path, "basic")
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_a_fresh_repository_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    make_project(tmp_path, "empty")
    assert (tmp_path / "src/main.ts").is_file()


def test_force_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.ts").write_text("mine")
    (tmp_path / ".gitignore").write_text("mine")
    made = make_project(tmp_path, "slash", force=True)
    assert set(made.kept) == {"src/main.ts", ".gitignore"}
    assert (tmp_path / "src/main.ts").read_text() == "mine"
    assert "src/commands/roll.ts" in made.written


@pytest.mark.parametrize(("folder", "name"), [("My Bot", "my-bot"), ("été", "t"), ("...", "bot")])
def test_the_package_is_named_after_the_folder(tmp_path: Path, folder: str, name: str) -> None:
    make_project(tmp_path / folder, "empty")
    assert json.loads((tmp_path / folder / "package.json").read_text())["name"] == name


def test_where_nothing_can_be_written_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ScaffoldError, match="cannot write"):
        make_project(tmp_path / "file" / "bot", "empty")


def test_the_editors_types_follow_floras(tmp_path: Path) -> None:
    make_project(tmp_path, "empty")
    copy = tmp_path / TYPES_COPY
    current = copy.read_text()
    copy.write_text("// of another version")
    refresh_types(tmp_path)
    assert copy.read_text() == current
    copy.unlink()
    copy.parent.rmdir()
    refresh_types(tmp_path)
    assert copy.read_text() == current, "in a fresh clone"


def test_a_project_that_does_not_ask_for_the_copy_gets_none(tmp_path: Path) -> None:
    for text in (None, '{"include": ["src"]}'):
        if text is not None:
            (tmp_path / "tsconfig.json").write_text(text)
        refresh_types(tmp_path)
        assert not (tmp_path / ".flora").exists()


async def test_an_old_copy_of_the_types_does_not_matter_to_the_check(tmp_path: Path) -> None:
    make_project(tmp_path, "empty")
    (tmp_path / TYPES_COPY).write_text("declare function on(never: never): void;\n")
    with trio.fail_after(60):
        await build_project(tmp_path)
