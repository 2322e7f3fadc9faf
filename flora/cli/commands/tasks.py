"""`flora tasks`: what a script does once, later; look, run now, cancel, history."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flora.cli import options
from flora.cli.paths import segment
from flora.cli.runs import Cursor, Limit, show_history, show_list, time_of

Key = Annotated[str, typer.Argument(metavar="KEY", help="The task's key, as the list shows it.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="One-shot tasks of a script: what waits, schedule, run now, cancel, what became of them.",
        rich_markup_mode=None,
    )
    app.add_typer(group, name="tasks")

    @group.command("list", epilog="Example: flora tasks list 100000000000000001 --prefix reminder:")
    def list_(
        guild: options.Guild,
        prefix: Annotated[str, typer.Option("--prefix", help="Only keys that begin so.")] = "",
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Tasks that are not done, the next one first, those that were given up last. Times in UTC."""
        show_list(
            f"/tasks/{guild}",
            {"prefix": prefix},
            ("key", "state", "next", "failures", "error"),
            _row,
            nothing="there are none.",
            json=json,
            api=api,
            token=token,
        )

    @group.command(epilog="Example: flora tasks schedule 100000000000000001 reminder:7 --in 10m")
    def schedule(
        guild: options.Guild,
        key: Annotated[str, typer.Argument(metavar="KEY", help="A task of the same key is replaced.")],
        at: Annotated[
            str | None,
            typer.Option("--at", metavar="TIME", help="ISO 8601, in UTC unless it says otherwise."),
        ] = None,
        in_: Annotated[
            str | None, typer.Option("--in", metavar="TIME", help="From now on: 90s, 10m, 2h, 1d, 1w.")
        ] = None,
        data: Annotated[
            str, typer.Option("--data", metavar="JSON", help="What the script gets with it.")
        ] = "null",
        channel: Annotated[
            str | None, typer.Option("--channel", metavar="ID", help="Where the script answers.")
        ] = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Have the script do something once, later; it gets it as on("task")."""
        from json import loads

        from flora.cli.client import connect
        from flora.cli.output import plain, say, say_json, styled

        if (at is None) == (in_ is None):
            raise typer.BadParameter("a task needs --at or --in, one of them.", param_hint="--in")
        try:
            value = loads(data)
        except ValueError:
            raise typer.BadParameter("this is not JSON.", param_hint="--data") from None
        body = {"key": key, "at": at, "in": in_, "data": value, "channel_id": channel}
        with connect(api, token) as client:
            answer = client.post(f"/tasks/{guild}", body)
        if json:
            say_json(answer)
        else:
            say(f"{styled('scheduled', 'green')} {plain(answer['key'])} for {time_of(answer['due_at'])}")

    @group.command(epilog="Example: flora tasks run 100000000000000001 reminder:7")
    def run(
        guild: options.Guild,
        key: Key,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Have a task done now, also one that was given up."""
        from flora.cli.client import connect
        from flora.cli.output import say_done

        with connect(api, token) as client:
            answer = client.post(f"/tasks/{guild}/{segment(key)}/run")
        say_done("started", answer, "key", json=json)

    @group.command(epilog="Example: flora tasks cancel 100000000000000001 reminder:7")
    def cancel(
        guild: options.Guild,
        key: Key,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Forget a task. An attempt that has begun goes on."""
        from flora.cli.client import connect
        from flora.cli.output import say_done

        with connect(api, token) as client:
            answer = client.delete(f"/tasks/{guild}/{segment(key)}")
        say_done("cancelled", answer, "key", json=json)

    @group.command(epilog="Example: flora tasks history 100000000000000001 reminder:7")
    def history(
        guild: options.Guild,
        key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Of one task only.")] = None,
        limit: Limit = 20,
        cursor: Cursor = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """How attempts ended, newest first, also of tasks that are done. Times in UTC."""
        show_history(f"/tasks/{guild}", key, limit, cursor, json=json, api=api, token=token)


def _row(task: dict[str, Any]) -> tuple[object, ...]:
    error = (task["error"] or "").partition("\n")[0]
    return task["key"], task["state"], time_of(task["next_at"]), task["failures"], error
