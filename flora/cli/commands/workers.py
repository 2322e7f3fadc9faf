"""`flora workers`: units of placement; take one out of service and back."""

from __future__ import annotations

from typing import Annotated

import typer

from flora.cli import options

Index = Annotated[int, typer.Argument(metavar="WORKER", min=0, help="The worker's index.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="See the workers' load; take one out of service and back.",
        rich_markup_mode=None,
    )
    app.add_typer(group, name="workers")

    @group.command("list", epilog="Example: flora workers list --json")
    def list_(json: options.Json = False, api: options.Api = None, token: options.Token = None) -> None:
        """Every worker: its guilds, and how long events wait for it."""
        from flora.cli.client import connect
        from flora.cli.output import say_json, table

        with connect(api, token) as client:
            answer = client.get("/workers")
        if json:
            say_json(answer)
            return
        table(
            ("worker", "state", "guilds", "waiting", "in flight", "queue delay"),
            [
                (
                    item["index"],
                    "down" if not item["alive"] else "drained" if item["drained"] else "running",
                    item["guilds"],
                    item["waiting"],
                    item["in_flight"],
                    f"{item['queue_delay'] * 1000:.0f}ms",
                )
                for item in answer["items"]
            ],
        )

    @group.command(epilog="Example: flora workers drain 1")
    def drain(
        worker: Index, json: options.Json = False, api: options.Api = None, token: options.Token = None
    ) -> None:
        """Move all guilds of a worker elsewhere and place none on it; exit code 1 when one stayed."""
        from flora.cli.client import connect
        from flora.cli.output import say, say_json, styled, table

        with connect(api, token) as client:
            answer = client.post(f"/workers/{worker}/drain")
        left = answer["worker"]["guilds"]
        if json:
            say_json(answer)
        else:
            table(
                ("guild", "outcome", "worker", "reason"),
                [
                    (
                        item["guild_id"],
                        item["outcome"].replace("_", " "),
                        "-" if item["worker"] is None else item["worker"],
                        item["reason"] or "",
                    )
                    for item in answer["guilds"]
                ],
            )
            word = styled("drained", "green") if not left else styled("not drained", "red")
            say(f"{word} worker {worker}, {left} guilds are on it; to take it back:")
            say(f"flora workers reopen {worker}")
        if left:
            raise typer.Exit(1)

    @group.command(epilog="Example: flora workers reopen 1")
    def reopen(
        worker: Index, json: options.Json = False, api: options.Api = None, token: options.Token = None
    ) -> None:
        """Place guilds on a worker again. Those that left stay where they are."""
        from flora.cli.client import connect
        from flora.cli.output import say, say_json, styled

        with connect(api, token) as client:
            answer = client.post(f"/workers/{worker}/reopen")
        if json:
            say_json(answer)
        else:
            say(f"{styled('reopened', 'green')} worker {worker}")
