"""`flora tokens`: API tokens for scripts and other machines."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from flora.cli import options
from flora.cli.paths import segment
from flora.ids import parse_guild_id


class Rights(enum.StrEnum):
    """Each includes the one before."""

    READ = "read"
    DEPLOY = "deploy"
    ADMIN = "admin"


RIGHTS_HELP = "read: look; deploy: change what runs and its data; admin: secrets and audit log too."
Guilds = Annotated[
    list[str] | None,
    typer.Option("--guild", "-g", metavar="ID", help="For this guild only. May be repeated."),
]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="API tokens for scripts and other machines: list, make, revoke.",
        rich_markup_mode=None,
    )
    app.add_typer(group, name="tokens")

    @group.command("list", epilog="Example: flora tokens list")
    def list_(json: options.Json = False, api: options.Api = None, token: options.Token = None) -> None:
        """Your API tokens, newest first, without their text."""
        from flora.cli.client import connect
        from flora.cli.output import note, say_json, table

        with connect(api, token) as client:
            answer = client.get("/tokens")
        if json:
            say_json(answer)
        elif not answer["items"]:
            note("there are none; `flora tokens create` makes one.")
        else:
            table(
                ("id", "label", "rights", "guilds", "expires", "last used"),
                [
                    (
                        item["id"],
                        item["label"],
                        item["rights"],
                        "all" if item["guild_ids"] is None else ", ".join(item["guild_ids"]),
                        (item["expires_at"] or "never")[:10],
                        (item["last_used_at"] or "never")[:16].replace("T", " "),
                    )
                    for item in answer["items"]
                ],
            )

    @group.command(epilog="Example: flora tokens create --label ci --rights deploy --days 90")
    def create(
        label: Annotated[str, typer.Option("--label", help="What it is for.")] = "",
        rights: Annotated[Rights, typer.Option("--rights", help=RIGHTS_HELP)] = Rights.DEPLOY,
        guild: Guilds = None,
        days: Annotated[
            int | None, typer.Option("--days", min=1, max=3650, help="How long; by default for ever.")
        ] = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Make an API token. Its text, on standard output, is shown here and never again.

        For the operator; people get theirs with `flora login`. API tokens make no tokens.
        """
        from flora.cli.client import connect
        from flora.cli.output import note, plain, say, say_json

        body = {
            "label": label,
            "rights": rights,
            "guild_ids": [parse_guild_id(each) for each in guild] if guild else None,
            "lifetime_days": days,
        }
        with connect(api, token) as client:
            answer = client.post("/tokens", body)
        if json:
            say_json(answer)
        else:
            say(plain(answer["token"]))
            note(f"token {plain(answer['id'])}; it is not shown again. Use it as FLORA_TOKEN.")

    @group.command(epilog="Example: flora tokens revoke <id>")
    def revoke(
        token_id: Annotated[str, typer.Argument(metavar="ID", help="As the list shows it.")],
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Revoke an API token; it is refused from now on."""
        from flora.cli.client import connect
        from flora.cli.output import plain, say, say_json, styled

        with connect(api, token) as client:
            answer = client.delete(f"/tokens/{segment(token_id)}")
        if json:
            say_json(answer)
        else:
            say(f"{styled('revoked', 'green')} {plain(answer['revoked'])}")
