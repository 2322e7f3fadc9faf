"""`flora commands`: the application commands that a guild's script has on Discord."""

from __future__ import annotations

from typing import Any

import typer

from flora.cli import options
from flora.cli.command_lists import describe, kind_of


def add_to(app: typer.Typer) -> None:
    @app.command(epilog="Example: flora commands 100000000000000001")
    def commands(
        guild: options.Guild,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """The commands that a guild's script declares, and whether Discord has them."""
        from flora.cli.client import connect
        from flora.cli.output import note, say_json, table

        with connect(api, token) as client:
            answer = client.get(f"/commands/{guild}")
        if json:
            say_json(answer)
            return
        if not answer["items"]:
            note("this guild's script has no commands; createBot({ slashCommands: [...] }) makes some.")
        table(("kind", "command", "description"), map(_row, answer["items"]))
        if not answer["registered"]:
            note("Discord has not taken the newest of them yet.")


def _row(command: dict[str, Any]) -> tuple[object, ...]:
    return kind_of(command), describe(command), command.get("description") or ""
