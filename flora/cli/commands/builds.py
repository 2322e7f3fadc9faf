"""`flora builds`: what flora's host builds; look, follow, cancel. `flora deploy --remote` begins one."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from flora.cli import options
from flora.cli.paths import segment
from flora.cli.runs import time_of

Build = Annotated[str, typer.Argument(metavar="BUILD", help="The build's id, as the list shows it.")]
COLORS: Final = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "blue"}


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="What flora's host builds: look, follow, cancel. Results are kept for an hour.",
        rich_markup_mode=None,
    )
    app.add_typer(group, name="builds")

    @group.command("list", epilog="Example: flora builds list --guild 100000000000000001")
    def list_(
        guild: Annotated[
            str | None,
            typer.Option("--guild", "-g", metavar="ID", help="Of one guild.", callback=options.guild_or_none),
        ] = None,
        limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100)] = 25,
        cursor: Annotated[str | None, typer.Option("--cursor", help="Of the page before.")] = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Builds that wait, run or have ended, newest first. Times in UTC."""
        from flora.cli.client import connect
        from flora.cli.output import note, say_json, table

        with connect(api, token) as client:
            answer = client.get("/builds", {"guild_id": guild, "limit": limit, "cursor": cursor})
        if json:
            say_json(answer)
            return
        if not answer["items"]:
            note("there are none; `flora deploy --remote` begins one.")
        table(("build", "status", "guild", "begun", "size", "error"), map(_row, answer["items"]))
        if answer["next_cursor"]:
            note(f"older ones: --cursor {answer['next_cursor']}")

    @group.command(epilog="Example: flora builds show 0123456789abcdef0123456789abcdef")
    def show(
        build: Build, json: options.Json = False, api: options.Api = None, token: options.Token = None
    ) -> None:
        """How one build stands, or how it ended and what was found wrong."""
        from flora.cli.client import connect
        from flora.cli.output import say_json

        with connect(api, token) as client:
            answer = client.get(f"/builds/{segment(build)}")
        if json:
            say_json(answer)
        else:
            _show(answer)

    @group.command(epilog="Example: flora builds logs 0123456789abcdef0123456789abcdef")
    def logs(
        build: Build,
        json: Annotated[bool, typer.Option("--json", help="One JSON object per line, for programs.")] = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """A build's log from its first line to its end, which is waited for. Exits 1 unless it succeeded."""
        import json as codec

        from flora.cli.client import connect
        from flora.cli.output import note, say
        from flora.cli.remote import follow_build

        def say_line(line: str) -> None:
            say(codec.dumps({"line": line}, ensure_ascii=False) if json else line)

        with connect(api, token) as client:
            status = follow_build(client, build, say_line)
        if json:
            say(codec.dumps({"status": status}))
        else:
            note(f"it {'was ' if status == 'cancelled' else ''}{status}.")
        if status != "succeeded":
            raise typer.Exit(1)

    @group.command(epilog="Example: flora builds cancel 0123456789abcdef0123456789abcdef")
    def cancel(
        build: Build, json: options.Json = False, api: options.Api = None, token: options.Token = None
    ) -> None:
        """End a build that waits or runs. One that has ended, or is being deployed, is left as it is."""
        from flora.cli.client import connect
        from flora.cli.output import say_done

        with connect(api, token) as client:
            answer = client.delete(f"/builds/{segment(build)}")
        say_done("cancelled", answer, "id", json=json)


def _row(build: dict[str, Any]) -> tuple[object, ...]:
    size = "-" if build["bundle_bytes"] is None else f"{build['bundle_bytes'] / 1024:,.1f} KiB"
    error = (build["error"] or {"message": ""})["message"].partition("\n")[0]
    begun = time_of(build["created_at"])
    return build["id"], build["status"], build["guild_id"] or "-", begun, size, error


def _show(build: dict[str, Any]) -> None:
    from flora.cli.output import plain, say, styled
    from flora.cli.remote import failure_of

    for key, value in build.items():
        if key == "status":
            say(f"{key:<14} {styled(value, COLORS.get(value, 'bold'))}")
        elif key not in ("error", "warnings", "bundle", "source_map", "files") and value is not None:
            say(f"{key.replace('_', ' '):<14} {plain(value)}")
    for warning in build["warnings"]:
        say(f"{'warning':<14} {plain(warning)}")
    if (error := failure_of(build)) is None:
        return
    say(f"{'error':<14} {plain(error.message)}")
    for found in error.diagnostics:
        say(f"\n{plain(found)}")
        if found.code_frame:
            say(plain(found.code_frame))
    if stack := build["error"]["stack"]:
        say(plain(stack))
