"""`flora dev`: every save is live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flora.cli import options


def add_to(app: typer.Typer) -> None:
    @app.command(epilog="Example: flora dev my-bot")
    def dev(
        folder: Annotated[
            Path | None, typer.Argument(metavar="DIR", help="The project's folder; by default this one.")
        ] = None,
        guild: Annotated[
            str | None,
            typer.Option(
                "--guild",
                "-g",
                metavar="ID",
                help="Where to run it; by default the playground's first guild.",
            ),
        ] = None,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Run a project and redeploy it on every save, with its log and its errors here.

        Uses the flora that runs here, or starts one with a playground and ends it with Ctrl-C. Type errors
        are shown, and do not keep a script from running.
        """
        import trio

        from flora.cli.dev.session import DevSession, Options
        from flora.cli.output import quiet_logs
        from flora.cli.target import TargetError, resolve_target
        from flora.config import load_config
        from flora.ids import parse_guild_id

        quiet_logs()
        project = folder or Path()
        if not project.is_dir():
            raise TargetError(f"there is no folder {project}.", hint="`flora init` makes a project.")
        config = load_config()
        target = resolve_target(api, token) if api is not None else None
        if guild is None and (target is not None or not config.uses_playground):
            raise TargetError("this flora is no playground: name the guild.", hint="Use --guild ID.")
        trio.run(DevSession(Options(project, guild and parse_guild_id(guild), target), config).run)
