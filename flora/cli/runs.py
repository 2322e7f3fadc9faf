"""What `flora cron` and `flora tasks` share: how lists and histories are asked for and shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from flora.cli.paths import segment

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100)]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Of the page before.")]


def show_list(
    path: str,
    query: Mapping[str, object],
    headers: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[object]],
    *,
    nothing: str,
    json: bool,
    api: str | None,
    token: str | None,
) -> None:
    """What the API has at `path`, a line each; `nothing` is said of an empty list."""
    from flora.cli.client import connect
    from flora.cli.output import note, say_json, table

    with connect(api, token) as client:
        answer = client.get(path, query)
    if json:
        say_json(answer)
    elif not answer["items"]:
        note(nothing)
    else:
        table(headers, map(row, answer["items"]))


def show_history(
    path: str,
    name: str | None,
    limit: int,
    cursor: str | None,
    *,
    json: bool,
    api: str | None,
    token: str | None,
) -> None:
    """How runs ended, newest first: of everything below `path`, or of one `name` there."""
    from flora.cli.client import connect
    from flora.cli.output import note, say_json, table

    of = path if name is None else f"{path}/{segment(name)}"
    with connect(api, token) as client:
        answer = client.get(f"{of}/history", {"limit": limit, "cursor": cursor})
    if json:
        say_json(answer)
        return
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
