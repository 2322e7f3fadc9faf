"""`flora secrets`: what scripts may use and never see. Values come from standard input or a prompt."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from flora.cli import options
from flora.cli.paths import segment

Name = Annotated[str, typer.Argument(metavar="NAME", help="As in secrets.get(NAME).")]
NOWHERE: Final = "nowhere"


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="Set what scripts may use and never see.", rich_markup_mode=None
    )
    app.add_typer(group, name="secrets")

    @group.command("list", epilog="Example: flora secrets list 100000000000000001")
    def list_(
        guild: options.Guild,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """The names of a guild's secrets, and where each may be sent."""
        from flora.cli.client import connect
        from flora.cli.output import note, say_json, table

        with connect(api, token) as client:
            answer = client.get(f"/secrets/{guild}")
        if json:
            say_json(answer)
        elif not answer["items"]:
            note("this guild has no secrets; `flora secrets set` makes one.")
        else:
            table(
                ("name", "allowed hosts", "changed"),
                [
                    (item["name"], ", ".join(item["allowed_hosts"]) or NOWHERE, item["updated_at"])
                    for item in answer["items"]
                ],
            )

    @group.command(
        "set", epilog="Example: flora secrets set 100000000000000001 github --host api.github.com < token"
    )
    def set_(
        guild: options.Guild,
        name: Name,
        host: Annotated[
            list[str] | None,
            typer.Option("--host", help="Where it may be sent: a host, or *.suffix. May be repeated."),
        ] = None,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Set a secret. The value comes from standard input, or from a prompt that does not show it.

        One line end at the end of the input is not part of it.
        """
        import sys

        from flora.cli.client import connect
        from flora.cli.output import note, plain

        if sys.stdin.isatty():
            value = typer.prompt("Value", hide_input=True, err=True)
        else:
            value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
        if not value:
            raise typer.BadParameter("the value is empty")
        with connect(api, token) as client:
            body = {"value": value, "allowed_hosts": host or []}
            answer = client.put(f"/secrets/{guild}/{segment(name)}", body)
        places = ", ".join(answer["allowed_hosts"]) or f"{NOWHERE} yet; allow hosts with --host"
        note(f"{plain(name)} is set; it may be sent to: {plain(places)}.")

    @group.command(epilog="Example: flora secrets delete 100000000000000001 github")
    def delete(
        guild: options.Guild, name: Name, api: options.Api = None, token: options.Token = None
    ) -> None:
        """Remove a secret."""
        from flora.cli.client import connect
        from flora.cli.output import note, plain

        with connect(api, token) as client:
            answer = client.delete(f"/secrets/{guild}/{segment(name)}")
        note(f"{plain(name)} {'deleted' if answer['deleted'] else 'was not there'}.")

    @group.command("rotate-key", epilog="Example: flora secrets rotate-key")
    def rotate_key(json: options.Json = False, api: options.Api = None, token: options.Token = None) -> None:
        """Encrypt all secrets with a new master key.

        With SECRETS_MASTER_KEY set: first start flora with the new key there and the one before in
        SECRETS_PREVIOUS_MASTER_KEY; afterwards that one may be removed.
        """
        from flora.cli.client import connect
        from flora.cli.output import note, say_json

        with connect(api, token) as client:
            answer = client.post("/secrets/rotate-key")
        if json:
            say_json(answer)
        else:
            note(f"{answer['rotated']} secrets encrypted with the key {answer['key_id']}.")
