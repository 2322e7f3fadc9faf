"""`flora guilds`, `restart`, `pause`, `resume`: how each guild's runtime is; move, stop and start it."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from flora.cli import options

COLORS: Final = {"running": "green", "restarting": "red", "hibernating": "cyan", "stopped": "dim"}


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="See how the guilds' scripts run, and move them.", rich_markup_mode=None
    )
    app.add_typer(group, name="guilds")

    @group.command("list", epilog="Example: flora guilds list --json")
    def list_(json: options.Json = False, api: options.Api = None, token: options.Token = None) -> None:
        """Every guild: its status, where it runs, what waits."""
        from flora.cli.client import connect
        from flora.cli.output import note, say_json, table

        with connect(api, token) as client:
            answer = client.pages("/guilds")
        if json:
            say_json(answer)
        elif not answer["items"]:
            note("no guild runs a script; `flora deploy` deploys a project.")
        else:
            table(
                ("guild", "status", "worker", "pid", "waiting", "in flight", "last error"),
                [
                    (
                        item["guild_id"],
                        _status(item),
                        _or_dash(item["worker"]),
                        _or_dash(item["pid"]),
                        item["waiting"],
                        item["in_flight"],
                        item["last_error"] or "",
                    )
                    for item in answer["items"]
                ],
            )

    @group.command(epilog="Example: flora guilds show 100000000000000001")
    def show(
        guild: options.Guild,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """How one guild's runtime is."""
        from flora.cli.client import connect
        from flora.cli.output import plain, say, say_json, styled

        with connect(api, token) as client:
            answer = client.get(f"/guilds/{guild}")
        if json:
            say_json(answer)
            return
        for key, value in answer.items():
            if key == "status":
                say(f"{key:<12} {styled(_status(answer), COLORS.get(value, 'yellow'))}")
            elif value is not None and key != "resumes_in":
                say(f"{key.replace('_', ' '):<12} {plain(value)}")

    @group.command(epilog="Example: flora guilds migrate 100000000000000001 --to 2")
    def migrate(
        guild: options.Guild,
        to: Annotated[int, typer.Option("--to", metavar="WORKER", min=0, help="The worker's index.")],
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Move a guild to another worker, with its live process; exit code 1 when it stayed."""
        from flora.cli.client import connect
        from flora.cli.output import plain, say, say_json, styled

        with connect(api, token) as client:
            done = client.post(f"/runtime/guilds/{guild}/migrate", {"target_worker": to})
        arrived = done["worker"] == to
        if json:
            say_json(done)
        elif done["outcome"] == "already_there":
            say(f"guild {guild} is on worker {to} already")
        else:
            word = styled(_word(done["outcome"]), "green" if arrived else "red")
            reason = f": {plain(done['reason'])}" if done["reason"] else ""
            say(f"{word} guild {guild}, it is on worker {_or_dash(done['worker'])} now{reason}")
        if not arrived:
            raise typer.Exit(1)

    @app.command(epilog="Example: flora restart 100000000000000001")
    def restart(
        guild: options.Guild,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Start a guild's script anew, with a fresh heap. Events that wait are kept."""
        from flora.cli.client import connect
        from flora.cli.output import say, say_json, styled

        with connect(api, token) as client:
            answer = client.post(f"/deployments/{guild}/restart")
        if json:
            say_json(answer)
        else:
            say(f"{styled('restarted', 'green')} guild {guild}, process {_or_dash(answer['pid'])}")

    @app.command(epilog="Example: flora pause 100000000000000001")
    def pause(
        guild: options.Guild,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Stop a guild's script until `flora resume`, over restarts too. Its deployment and data stay."""
        from flora.cli.client import connect
        from flora.cli.output import say, say_json, styled

        with connect(api, token) as client:
            answer = client.post(f"/deployments/{guild}/pause")
        if json:
            say_json(answer)
        else:
            say(f"{styled('paused', 'green')} guild {guild}; to start it again:")
            say(f"flora resume {guild}")

    @app.command(epilog="Example: flora resume 100000000000000001")
    def resume(
        guild: options.Guild,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Start a paused guild's script again."""
        from flora.cli.client import connect
        from flora.cli.output import say, say_json, styled

        with connect(api, token) as client:
            answer = client.post(f"/deployments/{guild}/resume")
        if json:
            say_json(answer)
        else:
            say(f"{styled('resumed', 'green')} guild {guild}, process {_or_dash(answer['pid'])}")


def _status(item: dict[str, Any]) -> str:
    status = str(item["status"])
    if item["moving_to"] is not None:
        return f"{status} to {item['moving_to']}"
    if item["resumes_in"] is not None:
        return f"{status} in {item['resumes_in']:.1f}s"
    return status


def _word(outcome: str) -> str:
    return str(outcome).replace("_", " ")


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)
