"""Options that several commands share."""

from __future__ import annotations

import os
from typing import Annotated

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from flora.ids import parse_guild_id

Api = Annotated[
    str | None,
    typer.Option("--api", metavar="URL", help="Which flora to talk to.", envvar="FLORA_API_URL"),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token", metavar="TOKEN", help="Who you are to it.", envvar="FLORA_TOKEN", show_envvar=True
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON, for programs.")]


def guild_or_none(text: str | None) -> str | None:
    """An optional guild's id, checked."""
    return None if text is None else parse_guild_id(text)


Guild = Annotated[str, typer.Argument(metavar="GUILD", help="The guild's id.", callback=parse_guild_id)]


def add_profile_option(commands: TyperGroup) -> None:
    """Give every command below that talks to a flora the option --profile."""
    (option,) = _profile_option().params
    groups = [commands]
    while groups:
        for below in groups.pop().commands.values():
            if isinstance(below, TyperGroup):
                groups.append(below)
            elif {"api", "token"} <= {each.name for each in below.params}:
                below.params.append(option)


def _use_profile(name: str | None) -> None:
    """For `flora.cli.target`. An option goes before the environment."""
    if name is not None:
        os.environ["FLORA_PROFILE"] = name
        for variable in ("FLORA_API_URL", "FLORA_TOKEN"):
            os.environ.pop(variable, None)


def _profile_option() -> TyperCommand:
    """A command with that option alone, since only typer makes options."""
    app = typer.Typer(add_completion=False)

    @app.command()
    def shared(
        profile_: Annotated[  # a name that no command gives to a parameter of its own
            str | None,
            typer.Option(
                "--profile",
                metavar="NAME",
                help="Which login to use, of those of `flora profiles list`.  [env var: FLORA_PROFILE]",
                expose_value=False,
                is_eager=True,  # before --api and --token look into the environment
                callback=_use_profile,
            ),
        ] = None,
    ) -> None: ...

    command = typer.main.get_command(app)
    assert isinstance(command, TyperCommand)
    return command
