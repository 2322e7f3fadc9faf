"""`flora dead-letters`: events that a script could not handle; look, try again, drop."""

from __future__ import annotations

from typing import Annotated

import typer

from flora.cli import options

Letter = Annotated[int, typer.Argument(metavar="ID", min=0, help="The letter's id, as the list shows it.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="Events that a script could not handle: look, try again, drop.",
        rich_markup_mode=None,
    )
    app.add_typer(group, name="dead-letters")

    @group.command("list", epilog="Example: flora dead-letters list 100000000000000001")
    def list_(
        guild: options.Guild,
        limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100)] = 25,
        cursor: Annotated[str | None, typer.Option("--cursor", help="Of the page before.")] = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """A guild's dead letters, newest first."""
        from flora.cli.client import connect
        from flora.cli.output import note, say_json, table

        with connect(api, token) as client:
            answer = client.get(_path(guild), {"limit": limit, "cursor": cursor})
        if json:
            say_json(answer)
            return
        if not answer["items"]:
            note("there are none.")
        table(
            ("id", "event", "at", "attempts", "reason"),
            [
                (item["id"], item["name"], item["at"][:19], item["attempts"], item["reason"])
                for item in answer["items"]
            ],
        )
        if answer["next_cursor"]:
            note(f"older ones: --cursor {answer['next_cursor']}")

    @group.command(epilog="Example: flora dead-letters show 100000000000000001 7")
    def show(
        guild: options.Guild,
        letter: Letter,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """One dead letter, with what Discord sent."""
        import json as codec

        from flora.cli.client import connect
        from flora.cli.output import plain, say, say_json

        with connect(api, token) as client:
            answer = client.get(f"{_path(guild)}/{letter}")
        if json:
            say_json(answer)
            return
        for key, value in answer.items():
            if key != "payload":
                say(f"{key.replace('_', ' '):<10} {plain(value)}")
        say(plain(codec.dumps(answer["payload"], indent=2, ensure_ascii=False)))

    @group.command(epilog="Example: flora dead-letters replay 100000000000000001 7")
    def replay(
        guild: options.Guild,
        letter: Letter,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Give the event to the script again. When it fails again, it is a dead letter again."""
        from flora.cli.client import connect
        from flora.cli.output import say_done

        with connect(api, token) as client:
            answer = client.post(f"{_path(guild)}/{letter}/replay")
        say_done("replayed", answer, "name", "event_id", json=json)

    @group.command(epilog="Example: flora dead-letters drop 100000000000000001 7")
    def drop(
        guild: options.Guild,
        letter: Letter,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Remove a dead letter for good."""
        from flora.cli.client import connect
        from flora.cli.output import say_done

        with connect(api, token) as client:
            answer = client.delete(f"{_path(guild)}/{letter}")
        say_done("dropped", answer, "name", "event_id", json=json)


def _path(guild: str) -> str:
    return f"/guilds/{guild}/dead-letters"
