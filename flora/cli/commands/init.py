"""`flora init`: a new project."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer


class Template(enum.StrEnum):
    """The examples of that name."""

    BASIC = "basic"
    SLASH = "slash"
    MODERATION = "moderation"
    EMPTY = "empty"


def add_to(app: typer.Typer) -> None:
    @app.command(epilog="Example: flora init my-bot --template slash")
    def init(
        folder: Annotated[
            Path | None, typer.Argument(metavar="DIR", help="The project's folder; by default this one.")
        ] = None,
        template: Annotated[Template, typer.Option("--template", "-t", help="What it starts with.")] = (
            Template.BASIC
        ),
        force: Annotated[
            bool, typer.Option("--force", help="Also in a folder that is not empty; what is there stays.")
        ] = False,
    ) -> None:
        """Make a project: TypeScript sources, types for the editor, settings."""
        from flora.cli.output import note, plain, say, styled
        from flora.cli.scaffold import make_project

        target = folder or Path()
        made = make_project(target, template, force=force)
        for path in made.kept:
            note(f"kept {path}, which was there already")
        name = plain(target.resolve().name)
        say(f"{styled('made', 'green')} {name} from the template {template}: {len(made.written)} files")
        say("next:")
        if target.resolve() != Path.cwd():
            say(f"  cd {plain(target)}")
        say("  flora dev                  play it in a Discord on this machine; every save is live")
        say("  flora test                 its tests")
        say("  flora check                types, and whether it builds")
        say("  flora deploy --guild <id>  run it in a guild")
