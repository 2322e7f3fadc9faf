"""How the history of cron jobs and tasks is shown."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100)]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Of the page before.")]


def say_history(answer: dict[str, Any]) -> None:
    from flora.cli.output import note, table

    if not answer["items"]:
        note("there are no runs.")
    table(
        ("due", "name", "why", "try", "outcome", "error"),
        [
            (
                time_of(run["scheduled_at"]),
                run["name"],
                run["trigger"],
                run["attempt"],
                run["outcome"],
                (run["error"] or "").partition("\n")[0],
            )
            for run in answer["items"]
        ],
    )
    if answer["next_cursor"]:
        note(f"older ones: --cursor {answer['next_cursor']}")


def time_of(iso: str | None) -> str:
    """A time of the API as it fits into a table; "-" for none."""
    return "-" if iso is None else iso[:19].replace("T", " ")
