"""`flora run`: the host itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    @app.command(epilog="Example: flora run, or with a file of its own: flora run --config prod.toml")
    def run(
        config: Annotated[
            Path | None,
            typer.Option(
                "--config", metavar="FILE", help="Configuration; by default config.toml if it is there."
            ),
        ] = None,
    ) -> None:
        """Run flora here until Ctrl-C.

        Without a DISCORD_TOKEN it runs a playground, a Discord of its own on this machine. The first Ctrl-C
        stops it in order, the second at once.
        """
        from flora.app import run as run_app
        from flora.config import load_config

        raise typer.Exit(run_app(load_config(config)))
