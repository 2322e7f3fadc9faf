"""`flora db`: the database's schema and backups, with flora running or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from flora.cli import options

if TYPE_CHECKING:
    from flora.storage.postgres import Database

T = TypeVar("T")
File = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration; by default config.toml if it is there."),
]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="The database: its schema, and backups of it.", rich_markup_mode=None
    )
    app.add_typer(group, name="db")

    @group.command(epilog="Example: flora db status --json")
    def status(config: File = None, json: options.Json = False) -> None:
        """The server's version, and which migrations are applied and pending."""
        from flora.cli.output import say, say_json
        from flora.storage.migrations import Migrator

        async def work(db: Database, _: str) -> dict[str, object]:
            found = await Migrator(db).status()
            version = await db.run(lambda con: con.fetchval("show server_version"))
            return {"server": version, "applied": list(found.applied), "pending": list(found.pending)}

        answer = _with_database(config, work)
        if json:
            say_json(answer)
            return
        say(f"PostgreSQL {answer['server']}")
        for state in ("applied", "pending"):
            names = answer[state]
            assert isinstance(names, list)
            for name in names:
                say(f"{state}  {name}")

    @group.command(epilog="Example: flora db migrate")
    def migrate(config: File = None) -> None:
        """Bring the schema up to date, as every start of flora does."""
        from flora.cli.output import note, say

        async def work(db: Database, _: str) -> list[str]:
            return await db.migrate()

        applied = _with_database(config, work)
        for name in applied:
            say(name)
        if not applied:
            note("the schema is up to date.")

    @group.command(epilog="Example: flora db backup flora.dump")
    def backup(
        file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write it.")],
        config: File = None,
    ) -> None:
        """Write the whole database to a file (pg_dump's custom format), while it is in use.

        It holds deployments, history, tokens and the encrypted secrets; not the master key, and not the
        guilds' key-value stores, which `flora kv backups` is for.
        """
        from flora.cli.output import note
        from flora.storage.pg_dump import dump

        async def work(db: Database, url: str) -> int:
            return await dump(url, await _major(db), file)

        size = _with_database(config, work)
        note(f"{file}: {size} bytes.")

    @group.command(epilog="Example: flora db restore flora.dump --yes")
    def restore(
        file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Written by `db backup`.")],
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
        config: File = None,
    ) -> None:
        """Put a backup in the place of what is in the database, all of it or nothing. flora must not run."""
        import sys

        from flora.cli.output import note
        from flora.errors import FloraError
        from flora.storage.pg_dump import restore as restore_dump

        class InUseError(FloraError):
            code = "DATABASE_IN_USE"

        if not yes:
            if not sys.stdin.isatty():
                raise typer.BadParameter("without a terminal this needs --yes")
            typer.confirm("Replace everything that is in the database?", abort=True)

        async def work(db: Database, url: str) -> list[str]:
            others = await db.run(
                lambda con: con.fetchval(
                    "select count(*) from pg_stat_activity where datname = current_database() "
                    "and application_name = 'flora' and pid <> pg_backend_pid()"
                )
            )
            if others > 0:
                raise InUseError("flora runs on this database.", hint="Stop it first.")
            await restore_dump(url, await _major(db), file)
            return await db.migrate()

        applied = _with_database(config, work)
        note(f"restored{', then migrated: ' + ', '.join(applied) if applied else ''}.")


async def _major(db: Database) -> int:
    return int(await db.run(lambda con: con.fetchval("show server_version_num"))) // 10_000


def _with_database(config: Path | None, work: Callable[[Database, str], Awaitable[T]]) -> T:
    """Run `work(database, url)` on the configured database; an embedded one is started if flora does not
    run.
    """
    import trio

    from flora.cli.output import quiet_logs
    from flora.config import load_config
    from flora.storage.datadir import DataDirectory, read_holder
    from flora.storage.embedded import running_url

    quiet_logs()
    loaded = load_config(config)
    if loaded.database.url is not None:
        return trio.run(_connected, loaded.database.url.get_secret_value(), work)
    if read_holder(loaded.data_dir) is not None and (url := running_url(loaded.data_dir)) is not None:
        return trio.run(_connected, url, work)
    with DataDirectory.open(loaded.data_dir) as data:
        return trio.run(_started, data.path, work)


async def _connected(url: str, work: Callable[[Database, str], Awaitable[T]]) -> T:
    from flora.storage.aio import open_aio
    from flora.storage.postgres import Database

    async with open_aio(), Database.open(url, max_connections=2, deadline=60.0) as db:
        return await work(db, url)


async def _started(folder: Path, work: Callable[[Database, str], Awaitable[T]]) -> T:
    async with _embedded(folder) as url:
        return await _connected(url, work)


@asynccontextmanager
async def _embedded(folder: Path) -> AsyncIterator[str]:
    import trio

    from flora.storage.embedded import EmbeddedPostgres

    server = EmbeddedPostgres(folder)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        yield server.url
        nursery.cancel_scope.cancel()
