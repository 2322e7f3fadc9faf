"""`flora deploy`, `flora build`, `flora check`, `flora undeploy`: from a project to a running script."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from flora.build.changes import FileChange, compare
from flora.cli import options
from flora.cli.diff import as_json, show, sources
from flora.cli.paths import segment
from flora.cli.project import DEFAULT_ENTRY, deploy_body

if TYPE_CHECKING:
    from flora.build.types import Bundle
    from flora.cli.client import Client

Entry = Annotated[
    str | None,
    typer.Argument(metavar="ENTRY", help=f"The script's first file; by default {DEFAULT_ENTRY}."),
]
Root = Annotated[
    Path | None, typer.Option("--root", metavar="DIR", help="The project's folder; by default this one.")
]
NoCheck = Annotated[bool, typer.Option("--no-check", help="Do not check types.")]


def add_to(app: typer.Typer) -> None:
    @app.command(epilog="Example: flora deploy --guild 100000000000000001 src/main.ts")
    def deploy(
        entry: Entry = None,
        guild: Annotated[
            str | None,
            typer.Option(
                "--guild",
                "-g",
                metavar="ID",
                help="Where to run it.",
                envvar="FLORA_GUILD",
                callback=options.guild_or_none,
            ),
        ] = None,
        root: Root = None,
        no_check: NoCheck = False,
        remote: Annotated[
            bool,
            typer.Option("--remote", help="Have flora's host build the project, and follow its log."),
        ] = False,
        dry_run: Annotated[
            bool,
            typer.Option("--dry-run", help="Only show how sources and commands differ from what runs."),
        ] = False,
        from_backup: Annotated[
            str | None,
            typer.Option("--from-backup", metavar="REVISION", help="Deploy this revision, not a project."),
        ] = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Build a project and run it in a guild.

        The script that runs there now is replaced once the new one has loaded; if it does not load, nothing
        changes. With --remote the host builds it, from what the ignore files leave of the project.
        """
        import json as codec

        from flora.cli.client import connect
        from flora.cli.output import plain, say, say_json, styled
        from flora.cli.progress import deploying, working

        if guild is None and (guild := _configured_guild(root)) is None:
            raise typer.BadParameter(
                "name the guild: --guild ID, FLORA_GUILD, or deploy.guild in flora.config.ts.",
                param_hint="--guild",
            )
        if from_backup is not None and (entry is not None or root is not None or remote):
            raise typer.BadParameter("a revision has its own sources.", param_hint="--from-backup")
        with connect(api, token) as client:
            if from_backup is not None:
                if dry_run:
                    _show_changes(client, guild, sources(_revision(client, guild, from_backup)), None, json)
                    return
                with working("deploying"):
                    revision = client.post(f"/deployments/{guild}/rollback/{segment(from_backup)}")
                size = ""
            else:
                bundle, body = _made(
                    client, guild, entry, root, check=not no_check, remote=remote, bar=not json
                )
                if dry_run:
                    new = {file.path: file.contents for file in bundle.files}
                    _show_changes(client, guild, new, bundle, json)
                    return
                content = codec.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
                with deploying(len(content), bar=not json) as sent:
                    revision = client.post_large(f"/deployments/{guild}", content, sent)
                size = f" ({len(bundle.code.encode()) / 1024:,.1f} KiB)"
        if json:
            say_json(revision)
            return
        say(
            f"{styled('deployed', 'green')} {plain(revision['entry_point'])}{size} to guild "
            f"{guild}\nrevision {plain(revision['id'])}"
        )

    @app.command(epilog="Example: flora build --out bundle.js")
    def build(
        entry: Entry = None,
        root: Root = None,
        no_check: NoCheck = False,
        out: Annotated[
            Path | None,
            typer.Option("--out", "-o", metavar="FILE", help="Write the bundle here, its map beside it."),
        ] = None,
    ) -> None:
        """Build a project as `flora deploy` does, without deploying it."""
        from flora.cli.output import say, styled

        bundle = _build(entry, root, check=not no_check)
        if out is not None:
            _write(out, bundle)
        size = len(bundle.code.encode()) / 1024
        say(f"{styled('built', 'green')} {bundle.entry_point}: {len(bundle.files)} files, {size:,.1f} KiB")

    @app.command(epilog="Example: flora install --root my-bot")
    def install(root: Root = None) -> None:
        """Install a project's npm packages as its lock file says, or choose versions and write the lock.

        Install scripts of packages do not run. Deploying installs what is missing by itself.
        """
        import trio

        from flora.build.packages import ensure_packages
        from flora.cli.output import say, styled
        from flora.cli.progress import working
        from flora.cli.project import find_project

        project = find_project(root, None)
        with working("looking at the packages") as progress:
            done = trio.run(partial(ensure_packages, project.folder, progress, update_lock=True))
        say(f"{styled('installed', 'green')}" if done else "nothing to install")

    @app.command(epilog="Example: flora check --root my-bot")
    def check(entry: Entry = None, root: Root = None) -> None:
        """Check a project's types, and that it builds."""
        from flora.cli.output import say, styled

        bundle = _build(entry, root, check=True)
        say(f"{styled('no errors', 'green')} in {len(bundle.files)} files")

    @app.command(epilog="Example: flora undeploy 100000000000000001")
    def undeploy(
        guild: options.Guild,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Stop a guild's script. Its history stays, and a rollback brings it back."""
        from flora.cli.client import connect
        from flora.cli.output import plain, say, say_json

        with connect(api, token) as client:
            stopped = client.delete(f"/deployments/{guild}")
        if json:
            say_json(stopped)
        else:
            revision = plain(stopped["revision_id"])
            say(f"guild {guild} runs no script now; to bring it back:")
            say(f"flora deployments rollback {guild} {revision}")


def _made(
    client: Client, guild: str, entry: str | None, root: Path | None, *, check: bool, remote: bool, bar: bool
) -> tuple[Bundle, dict[str, Any]]:
    """What is to be deployed, built here or on flora's host, and how the API is told of it."""
    from flora.cli.project import find_project
    from flora.cli.remote import build_on_host

    if not remote:
        bundle = _build(entry, root, check=check, install=True, bar=bar)
        return bundle, deploy_body(guild, bundle)
    build_id, bundle = build_on_host(client, guild, find_project(root, entry), check=check)
    _warn(bundle)
    return bundle, {"guild_id": guild, "build_id": build_id}


def _build(
    entry: str | None, root: Path | None, *, check: bool, install: bool = False, bar: bool = False
) -> Bundle:
    import trio

    from flora.cli.output import quiet_logs
    from flora.cli.progress import DEPLOY_STEPS, working
    from flora.cli.project import build, find_project

    quiet_logs()
    project = find_project(root, entry)
    text = "building and checking" if check else "building"
    with working(text, steps=DEPLOY_STEPS if bar else 0) as progress:
        bundle = trio.run(partial(build, project, progress, check=check, install=install))
    _warn(bundle)
    return bundle


def _warn(bundle: Bundle) -> None:
    from flora.cli.output import note, plain

    for warning in bundle.warnings:
        note(f"warning: {plain(warning)}")


def _configured_guild(root: Path | None) -> str | None:
    from flora.build.project import read_project

    folder = root or Path()
    return options.guild_or_none(read_project(folder).guild) if folder.is_dir() else None


def _show_changes(client: Client, guild: str, new: dict[str, str], bundle: Bundle | None, json: bool) -> None:
    """How the sources `new`, and with a `bundle` its commands, differ from what runs in the guild."""
    from flora.cli.client import ApiError
    from flora.cli.output import note, plain, say_json

    old: dict[str, str] = {}
    try:
        running = client.get(f"/deployments/{guild}")["revision_id"]
        old = sources(_revision(client, guild, running))
    except ApiError as error:
        if error.api_code != "DEPLOYMENT_NOT_FOUND":
            raise
        running = None
    changes = compare(old, new)
    commands, unknown = None, None
    if bundle is not None:
        commands, unknown = _command_changes(client, guild, bundle)
    if json:
        say_json(
            {
                "running_revision_id": running,
                "changes": as_json(changes),
                "commands": None if commands is None else as_json(commands),
                "commands_unknown": unknown,
            }
        )
        return
    show(changes)
    if commands is not None:
        show(commands, "commands")
    if unknown is not None:
        note(f"how its commands would differ is not known: {plain(unknown)}")
    note(f"nothing was deployed; guild {guild} runs {f'revision {running}' if running else 'no script'}.")


def _command_changes(
    client: Client, guild: str, bundle: Bundle
) -> tuple[list[FileChange] | None, str | None]:
    """The changes of the application commands, or why they cannot be told."""
    import trio

    from flora.cli.command_lists import compare_commands
    from flora.cli.output import quiet_logs
    from flora.cli.preview import PreviewError, declared_commands
    from flora.cli.progress import working
    from flora.ids import parse_guild_id

    quiet_logs()
    registered = client.get(f"/commands/{guild}")["items"]
    try:
        with working("loading the script") as progress:
            declared = trio.run(declared_commands, parse_guild_id(guild), bundle, progress)
    except PreviewError as error:
        return None, error.message
    return compare_commands(registered, declared), None


def _revision(client: Client, guild: str, revision: str) -> dict[str, Any]:
    path = f"/deployments/{guild}/revisions/{segment(revision)}"
    return cast("dict[str, Any]", client.get(path, {"include_files": True}))


def _write(out: Path, bundle: Bundle) -> None:
    from flora.cli.target import TargetError

    source_map = out.with_name(f"{out.name}.map")
    try:
        out.write_text(f"{bundle.code}\n//# sourceMappingURL={source_map.name}\n", encoding="utf-8")
        source_map.write_text(bundle.source_map, encoding="utf-8")
    except OSError as error:
        raise TargetError(f"cannot write {error.filename}: {error.strerror}.") from error
