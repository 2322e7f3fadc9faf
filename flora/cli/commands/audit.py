"""`flora audit`: who changed what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flora.cli import options
from flora.ids import parse_guild_id


def add_to(app: typer.Typer) -> None:
    @app.command(epilog="Example: flora audit 100000000000000001 --limit 50")
    def audit(
        guild: Annotated[
            str | None,
            typer.Argument(
                metavar="[GUILD]",
                help="Of this guild; without one, of all (operator only).",
                callback=options.guild_or_none,
            ),
        ] = None,
        user: Annotated[
            str | None, typer.Option("--user", metavar="ID", help="By this Discord user only.")
        ] = None,
        limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100)] = 25,
        cursor: Annotated[str | None, typer.Option("--cursor", help="Of the page before.")] = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Every change through the API, newest first: when, who, what, and how it was answered."""
        from flora.cli.client import connect
        from flora.cli.output import note, say_json, table

        query = {
            "guild_id": guild,
            "user_id": None if user is None else parse_guild_id(user),
            "limit": limit,
            "cursor": cursor,
        }
        with connect(api, token) as client:
            answer = client.get("/audit", query)
        if json:
            say_json(answer)
            return
        if not answer["items"]:
            note("there are no entries.")
        table(("at", "who", "from", "guild", "action", "status"), map(_row, answer["items"]))
        if answer["next_cursor"]:
            note(f"older ones: --cursor {answer['next_cursor']}")


def _row(entry: dict[str, Any]) -> tuple[object, ...]:
    who = entry["username"] or entry["user_id"] or entry["token_id"]
    return (
        entry["at"][:19].replace("T", " "),
        f"{entry['kind']} {who}" if who else entry["kind"],
        entry["address"],
        entry["guild_id"] or "-",
        entry["action"],
        entry["status"],
    )
