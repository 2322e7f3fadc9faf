"""`flora login`, `logout`, `whoami`, `profiles`: who you are to which flora."""

from __future__ import annotations

import socket
import sys
from typing import Annotated, Any

import typer

from flora.cli import options
from flora.cli.commands.tokens import RIGHTS_HELP, Guilds, Rights
from flora.ids import parse_guild_id

Name = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Under which name.", envvar="FLORA_PROFILE"),
]


def add_to(app: typer.Typer) -> None:
    @app.command(epilog="Example: flora login https://flora.example.org")
    def login(
        url: Annotated[
            str | None,
            typer.Argument(metavar="[URL]", help="Of the flora; by default the profile's, or the one here."),
        ] = None,
        profile: Name = None,
        with_token: Annotated[
            bool,
            typer.Option("--with-token", help="Take a token from standard input, or from a hidden prompt."),
        ] = False,
        rights: Annotated[Rights, typer.Option("--rights", help=RIGHTS_HELP)] = Rights.ADMIN,
        guild: Guilds = None,
        days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How long it is valid.")] = 90,
        browser: Annotated[
            bool, typer.Option("--browser/--no-browser", help="Open the page in a browser here.")
        ] = True,
        api: options.Api = None,
    ) -> None:
        """Log in: in a browser, which may be on another machine, or with a token you have.

        The token is kept in ~/.config/flora/profiles.json, which only you may read.
        """
        from flora.cli.login import Wish, log_in_with_browser, log_in_with_token, where_to_log_in

        wanted = where_to_log_in(url or api, profile)
        if with_token:
            _welcome(log_in_with_token(wanted, _token()))
            return
        wish = Wish(
            label=f"flora on {socket.gethostname()}"[:100],
            rights=rights,
            guild_ids=[parse_guild_id(each) for each in guild] if guild else None,
            lifetime_days=days,
        )
        _welcome(log_in_with_browser(wanted, wish, open_browser=browser and sys.stderr.isatty()))

    @app.command(epilog="Example: flora logout --profile work")
    def logout(
        profile: Name = None,
        keep_token: Annotated[
            bool, typer.Option("--keep-token", help="Only forget the token here; it stays valid.")
        ] = False,
    ) -> None:
        """Forget a login on this machine, and revoke its token: whoever else has it is refused as well."""
        from flora.cli.login import revoke
        from flora.cli.output import note, plain, say, styled
        from flora.cli.profiles import load_profiles, save_profiles

        profiles = load_profiles()
        name = profile or profiles.current
        if name is None:
            note("you are not logged in.")
            raise typer.Exit(1)
        gone = profiles.named(name)
        left = None if keep_token else revoke(gone)
        save_profiles(profiles.without(name))
        say(f"{styled('logged out', 'green')} of {plain(gone.url)} ({plain(name)})")
        if left is not None:
            note(f"its token was not revoked: {plain(left)}")
        if gone.token_id and (keep_token or left is not None):
            note(f"token {plain(gone.token_id)} is still valid; `flora tokens revoke` ends it.")

    @app.command(epilog="Example: flora whoami --json")
    def whoami(json: options.Json = False, api: options.Api = None, token: options.Token = None) -> None:
        """Which flora commands talk to from here, and who you are to it."""
        from flora.cli.client import connect
        from flora.cli.output import plain, say, say_json

        with connect(api, token) as client:
            me = client.get("/auth/me")
            target = client.url
        if json:
            say_json({"url": target, **me})
        else:
            say(f"{plain(_who(me))} at {plain(target)}")
            for line in _scope(me):
                say(plain(line))

    group = typer.Typer(no_args_is_help=True, help="The floras you have logged in to.", rich_markup_mode=None)
    app.add_typer(group, name="profiles")

    @group.command("list", epilog="Example: flora profiles list")
    def list_(json: options.Json = False) -> None:
        """Every login on this machine; the current one has a star."""
        from flora.cli.output import note, say_json, table
        from flora.cli.profiles import load_profiles

        profiles = load_profiles()
        if json:
            items = [
                {
                    "name": name,
                    "url": each.url,
                    "token_id": each.token_id,
                    "current": name == profiles.current,
                }
                for name, each in profiles.by_name.items()
            ]
            say_json({"items": items})
        elif not profiles.by_name:
            note("there are none; `flora login` makes one.")
        else:
            table(
                ("", "name", "url"),
                [
                    ("*" if name == profiles.current else "", name, each.url)
                    for name, each in profiles.by_name.items()
                ],
            )

    @group.command(epilog="Example: flora profiles use work")
    def use(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
        """Make another login the current one."""
        from flora.cli.output import plain, say
        from flora.cli.profiles import load_profiles, save_profiles

        profiles = load_profiles().using(name)
        save_profiles(profiles)
        say(f"commands talk to {plain(profiles.named(name).url)} now")


def _token() -> str:
    asked = sys.stdin.isatty()
    text = str(typer.prompt("Token", hide_input=True, err=True) if asked else sys.stdin.read()).strip()
    if not text:
        raise typer.BadParameter("the token is empty.", param_hint="--with-token")
    return text


def _welcome(done: tuple[str, str, dict[str, Any]]) -> None:
    from flora.cli.output import plain, say, styled

    name, url, me = done
    say(f"{styled('logged in', 'green')} to {plain(url)} as {plain(_who(me))} (profile {plain(name)})")
    for line in _scope(me):
        say(plain(line))


def _who(me: dict[str, Any]) -> str:
    user = me["user"]
    if user is None:
        return "the operator" if me["kind"] == "operator" else "a token of the operator"
    return str(user.get("global_name") or user.get("username") or f"user {user['id']}")


def _scope(me: dict[str, Any]) -> list[str]:
    if (token := me["token"]) is None:
        return []
    guilds = "all guilds you manage" if token["guild_ids"] is None else ", ".join(token["guild_ids"])
    until = "does not expire" if token["expires_at"] is None else f"expires {token['expires_at'][:10]}"
    return [f"token {token['id']}: {token['rights']}, {guilds}, {until}"]
