"""`flora cron`: what a script does at its times; look, run now, history."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flora.cli import options
from flora.cli.paths import segment
from flora.cli.runs import Cursor, Limit, show_history, show_list, time_of

Name = Annotated[str, typer.Argument(metavar="NAME", help="The job's name, as in cron(NAME, ...).")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="Cron jobs of a script: when they run, run one now, what became of the runs.",
        rich_markup_mode=None,
    )
    app.add_typer(group, name="cron")

    @group.command("list", epilog="Example: flora cron list 100000000000000001")
    def list_(
        guild: options.Guild,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """A script's cron jobs, when each runs next, and how its last run ended. Times in UTC."""
        show_list(
            f"/cron/{guild}",
            {},
            ("name", "times", "time zone", "next", "last", "outcome"),
            _row,
            nothing='this guild has no cron jobs; a script makes one with cron("name", "0 9 * * *", ...).',
            json=json,
            api=api,
            token=token,
        )

    @group.command(epilog="Example: flora cron run 100000000000000001 good-morning")
    def run(
        guild: options.Guild,
        name: Name,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Run a job once, now, beside its times."""
        from flora.cli.client import connect
        from flora.cli.output import say_done

        with connect(api, token) as client:
            answer = client.post(f"/cron/{guild}/{segment(name)}/run")
        say_done("started", answer, "name", "event_id", json=json)

    @group.command(epilog="Example: flora cron history 100000000000000001 good-morning")
    def history(
        guild: options.Guild,
        name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Of one job only.")] = None,
        limit: Limit = 20,
        cursor: Cursor = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """How runs ended, newest first. Times in UTC."""
        show_history(f"/cron/{guild}", name, limit, cursor, json=json, api=api, token=token)


def _row(job: dict[str, Any]) -> tuple[object, ...]:
    last = job["last_run"] or {"scheduled_at": None, "outcome": "-"}
    outcome = "running" if job["running"] else last["outcome"]
    return (
        job["name"],
        job["expression"],
        job["time_zone"],
        time_of(job["next_at"]),
        time_of(last["scheduled_at"]),
        outcome,
    )
