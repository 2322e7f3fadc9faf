"""`flora deployments`: what runs, what ran, and the way back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flora.cli import options
from flora.cli.paths import segment

Revision = Annotated[str, typer.Argument(metavar="REVISION", help="A revision's id, as history shows it.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="See what runs and what ran, and go back.", rich_markup_mode=None
    )
    app.add_typer(group, name="deployments")

    @group.command("list", epilog="Example: flora deployments list --json")
    def list_(json: options.Json = False, api: options.Api = None, token: options.Token = None) -> None:
        """What runs in every guild."""
        from flora.cli.client import connect
        from flora.cli.output import note, say_json, table

        with connect(api, token) as client:
            answer = client.pages("/deployments")
        if json:
            say_json(answer)
        elif not answer["items"]:
            note("nothing is deployed; `flora deploy` deploys a project.")
        else:
            table(
                ("guild", "entry", "revision", "updated"),
                [
                    (item["guild_id"], item["entry_point"], item["revision_id"], item["updated_at"][:19])
                    for item in answer["items"]
                ],
            )

    @group.command(epilog="Example: flora deployments show 100000000000000001")
    def show(
        guild: options.Guild,
        revision: Annotated[str | None, typer.Argument(metavar="REVISION")] = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """What runs in one guild, or one revision of it with its files."""
        from flora.cli.output import plain, say, say_json

        path = f"/deployments/{guild}"
        if revision is None:
            answer = _get(path, api, token)
        else:
            answer = _get(f"{path}/revisions/{segment(revision)}", api, token, include_files=True)
        if json:
            say_json(answer)
            return
        for key, value in answer.items():
            if key == "files":
                for file in value or ():
                    say(f"{'file':<18} {plain(file['path'])} ({len(file['contents'].encode()):,} bytes)")
            elif key == "actor":
                say(f"{'by':<18} {_actor(value)}")
            elif key == "change_summary":
                if value:
                    say(f"{'changes':<18} {_changes(value)}")
            elif value is not None:
                say(f"{key.replace('_', ' '):<18} {plain(value)}")

    @group.command(epilog="Example: flora deployments status 100000000000000001")
    def status(
        guild: options.Guild,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """What is being changed in one guild, and how its last deploy ended."""
        from flora.cli.output import say_json, table

        answer = _get(f"/deployments/{guild}/status", api, token)
        if json:
            say_json(answer)
            return
        runs = answer["revision_id"] or "nothing"
        rows = [("paused" if answer["paused"] else "runs", runs, "", "", "")]
        for change in answer["changes"]:
            actor = "flora" if change["actor"] is None else _actor(change["actor"])
            state = change["state"].replace("_", " ")
            rows.append((state, change["kind"], change["asked_at"][:19], actor, ""))
        if (last := answer["last_revision"]) is not None:
            end = (last["deployed_at"][:19], _actor(last["actor"]), _first_line(last["error"]))
            rows.append((f"last {last['status']}", last["id"], *end))
        table(("state", "what", "at", "by", "error"), rows)

    @group.command(epilog="Example: flora deployments history 100000000000000001 --limit 5")
    def history(
        guild: options.Guild,
        limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100)] = 25,
        cursor: Annotated[str | None, typer.Option("--cursor", help="Of the page before.")] = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Every revision of a guild, newest first, failed ones too."""
        from flora.cli.output import note, say_json, table

        answer = _get(f"/deployments/{guild}/history", api, token, limit=limit, cursor=cursor)
        if json:
            say_json(answer)
            return
        if not answer["items"]:
            note("nothing was ever deployed there.")
        table(
            ("revision", "status", "at", "source", "by", "changes"),
            [
                (
                    item["id"],
                    item["status"],
                    item["deployed_at"][:19],
                    item["source"],
                    _actor(item["actor"]),
                    _changes(item["change_summary"]) if item["change_summary"] else item["error"] or "",
                )
                for item in answer["items"]
            ],
        )
        if answer["next_cursor"]:
            note(f"older ones: --cursor {answer['next_cursor']}")

    @group.command(epilog="Example: flora deployments diff 100000000000000001 <revision> <revision>")
    def diff(
        guild: options.Guild,
        before: Annotated[str, typer.Argument(metavar="A", help="A revision's id, as history shows it.")],
        after: Annotated[
            str | None, typer.Argument(metavar="B", help="Another; by default the one that runs.")
        ] = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """How the sources of two revisions differ."""
        from flora.cli.client import connect
        from flora.cli.diff import from_json, show
        from flora.cli.output import say_json

        path = f"/deployments/{guild}"
        with connect(api, token) as client:
            revision = after or client.get(path)["revision_id"]
            answer = client.get(f"{path}/revisions/{segment(revision)}/diff", {"against": before})
        if json:
            say_json(answer)
        else:
            show(from_json(answer["changes"]))

    @group.command(epilog="Example: flora deployments rollback 100000000000000001 <revision>")
    def rollback(
        guild: options.Guild,
        revision: Revision,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Deploy an earlier successful revision again."""
        from flora.cli.client import connect
        from flora.cli.output import plain, say, say_json, styled

        with connect(api, token) as client:
            answer = client.post(f"/deployments/{guild}/rollback/{segment(revision)}")
        if json:
            say_json(answer)
        else:
            say(f"{styled('rolled back', 'green')} guild {guild} to {plain(answer['entry_point'])} of")
            say(f"{plain(revision)}, as revision {plain(answer['id'])}")


def _get(path: str, api: str | None, token: str | None, **query: object) -> Any:
    from flora.cli.client import connect

    with connect(api, token) as client:
        return client.get(path, query)


def _first_line(text: str | None) -> str:
    return text.partition("\n")[0] if text else ""


def _actor(actor: dict[str, Any]) -> str:
    name = actor["username"] or actor["user_id"]
    return f"{actor['kind']} {name}" if name else str(actor["kind"])


def _changes(summary: dict[str, int]) -> str:
    return f"+{summary['added_files']} -{summary['removed_files']} ~{summary['modified_files']}"
