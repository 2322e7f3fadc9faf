"""`flora kv`: look into a guild's key-value stores, change them, back them up."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flora.cli import options
from flora.cli.paths import segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flora.cli.client import Client

Store = Annotated[str, typer.Argument(metavar="STORE", help="The store's name.")]
Key = Annotated[str, typer.Argument(metavar="KEY")]
PAGE: Final = 1000
IMPORT_ENTRIES: Final = 100
"""Of one transaction of an import."""


Backup = Annotated[str, typer.Argument(metavar="BACKUP", help="The backup's id.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="See and change what scripts have stored.", rich_markup_mode=None
    )
    app.add_typer(group, name="kv")
    _add_stores(group)
    _add_keys(group)
    _add_files(group)
    _add_backups(group)


def _add_stores(group: typer.Typer) -> None:
    @group.command(epilog="Example: flora kv stores 100000000000000001")
    def stores(
        guild: options.Guild,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """A guild's stores: keys and bytes in each."""
        from flora.cli.client import connect
        from flora.cli.output import note, say_json, table

        with connect(api, token) as client:
            answer = client.get(f"/kv/{guild}/stores")
        if json:
            say_json(answer)
        elif not answer["items"]:
            note("this guild has no store; the first write of its script makes one.")
        else:
            table(
                ("store", "keys", "bytes", "since"),
                [
                    (item["name"], item["keys"], item["bytes"], _time(item["created_at"]))
                    for item in answer["items"]
                ],
            )

    @group.command("create-store", epilog="Example: flora kv create-store 100000000000000001 tags")
    def create_store(
        guild: options.Guild, store: Store, api: options.Api = None, token: options.Token = None
    ) -> None:
        """Make an empty store; a script need not."""
        from flora.cli.client import connect
        from flora.cli.output import note, plain

        with connect(api, token) as client:
            client.put(f"/kv/{guild}/stores/{segment(store)}")
        note(f"store {plain(store)} created.")

    @group.command("delete-store", epilog="Example: flora kv delete-store 100000000000000001 tags --yes")
    def delete_store(
        guild: options.Guild,
        store: Store,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Delete a store with all that is in it."""
        from flora.cli.client import connect
        from flora.cli.output import note, plain

        _confirm(yes, f"Delete the store {plain(store)} with all its keys?")
        with connect(api, token) as client:
            client.delete(f"/kv/{guild}/stores/{segment(store)}")
        note(f"store {plain(store)} deleted.")


def _add_keys(group: typer.Typer) -> None:
    @group.command(epilog="Example: flora kv keys 100000000000000001 tags --prefix rules/")
    def keys(
        guild: options.Guild,
        store: Store,
        prefix: Annotated[str, typer.Option("--prefix", help="Only keys that begin so.")] = "",
        limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=PAGE)] = 100,
        cursor: Annotated[str | None, typer.Option("--cursor", help="From the page before.")] = None,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """The keys of a store, with expiry and metadata."""
        from flora.cli.client import connect
        from flora.cli.output import note, plain, say_json, table

        query = {"prefix": prefix or None, "limit": limit, "cursor": cursor}
        with connect(api, token) as client:
            answer = client.get(f"{_store(guild, store)}/keys", query)
        if json:
            say_json(answer)
            return
        table(
            ("key", "version", "expires", "metadata"),
            [
                (item["name"], item["version"], _time(item["expiration"]), _compact(item["metadata"]))
                for item in answer["items"]
            ],
        )
        if answer["next_cursor"] is not None:
            note(f"there are more keys: --cursor {plain(answer['next_cursor'])!r}")

    @group.command(epilog="Example: flora kv get 100000000000000001 counters main")
    def get(
        guild: options.Guild,
        store: Store,
        key: Key,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """One value; with --json its metadata, expiry and version, too."""
        from flora.cli.client import connect
        from flora.cli.output import plain, say, say_json

        with connect(api, token) as client:
            answer = client.get(f"{_store(guild, store)}/keys/{segment(key)}")
        if json:
            say_json(answer)
        else:
            say(plain(answer["value"]))

    @group.command("set", epilog="Example: flora kv set 100000000000000001 counters main 5")
    def set_(
        guild: options.Guild,
        store: Store,
        key: Key,
        value: Annotated[str, typer.Argument(help="The value; - reads it from standard input.")],
        expiration: Annotated[float | None, typer.Option("--expiration", help="Unix time.")] = None,
        ttl: Annotated[float | None, typer.Option("--ttl", help="Seconds from now.")] = None,
        metadata: Annotated[str | None, typer.Option("--metadata", metavar="JSON")] = None,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Write a value."""
        import json as json_module
        import sys

        from flora.cli.client import connect
        from flora.cli.output import note, plain

        body: dict[str, Any] = {"value": sys.stdin.read() if value == "-" else value}
        if metadata is not None:
            try:
                body["metadata"] = json_module.loads(metadata)
            except ValueError:
                raise typer.BadParameter("it is not JSON", param_hint="--metadata") from None
        body |= {
            name: given for name, given in (("expiration", expiration), ("ttl", ttl)) if given is not None
        }
        with connect(api, token) as client:
            answer = client.put(f"{_store(guild, store)}/keys/{segment(key)}", body)
        note(f"{plain(key)} written, version {answer['version']}.")

    @group.command(epilog="Example: flora kv delete 100000000000000001 counters main")
    def delete(
        guild: options.Guild, store: Store, key: Key, api: options.Api = None, token: options.Token = None
    ) -> None:
        """Delete a key."""
        from flora.cli.client import connect
        from flora.cli.output import note, plain

        with connect(api, token) as client:
            answer = client.delete(f"{_store(guild, store)}/keys/{segment(key)}")
        note(f"{plain(key)} {'deleted' if answer['deleted'] else 'was not there'}.")


def _add_files(group: typer.Typer) -> None:
    @group.command(epilog="Example: flora kv export 100000000000000001 > kv.jsonl")
    def export(
        guild: options.Guild,
        store: Annotated[str | None, typer.Option("--store", help="Only this store.")] = None,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Every entry as one line of JSON, for `flora kv import`.

        Not one moment of all, which `flora kv backups create` is.
        """
        import json as json_module

        from flora.cli.client import connect
        from flora.cli.output import say

        with connect(api, token) as client:
            found = [store] if store else [s["name"] for s in client.get(f"/kv/{guild}/stores")["items"]]
            for name in found:
                for entry in _entries(client, guild, name):
                    say(json_module.dumps({"store": name, **entry}, ensure_ascii=True))

    @group.command("import", epilog="Example: flora kv import 100000000000000001 kv.jsonl")
    def import_(
        guild: options.Guild,
        file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Lines of `kv export`.")],
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Write the entries of an export; what has other keys stays."""
        import json as json_module

        from flora.cli.client import connect
        from flora.cli.output import note

        count = 0
        with connect(api, token) as client, file.open(encoding="utf-8") as lines:
            waiting: dict[str, list[dict[str, Any]]] = {}
            for number, line in enumerate(lines, 1):
                try:
                    entry = json_module.loads(line)
                    waiting.setdefault(entry.pop("store"), []).append(entry)
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise typer.BadParameter(f"line {number} is no entry of an export") from None
                count += 1
                if sum(map(len, waiting.values())) >= IMPORT_ENTRIES:
                    _write(client, guild, waiting)
            _write(client, guild, waiting)
        note(f"{count} entries written.")


def _add_backups(group: typer.Typer) -> None:
    backups = typer.Typer(
        no_args_is_help=True, help="Copies of all stores of a guild at one moment.", rich_markup_mode=None
    )
    group.add_typer(backups, name="backups")

    @backups.command("list", epilog="Example: flora kv backups list 100000000000000001")
    def list_(
        guild: options.Guild,
        json: options.Json = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """The backups, newest first; five are kept."""
        from flora.cli.client import connect
        from flora.cli.output import note, say_json, table

        with connect(api, token) as client:
            answer = client.get(f"/kv/{guild}/backups")
        if json:
            say_json(answer)
        elif not answer["items"]:
            note("this guild has no backup; `flora kv backups create` makes one.")
        else:
            table(
                ("backup", "made", "bytes"),
                [(item["id"], _time(item["created_at"]), item["bytes"]) for item in answer["items"]],
            )

    @backups.command(epilog="Example: flora kv backups create 100000000000000001")
    def create(guild: options.Guild, api: options.Api = None, token: options.Token = None) -> None:
        """Make one now, while the stores are in use; prints its id."""
        from flora.cli.client import connect
        from flora.cli.output import say

        with connect(api, token) as client:
            say(client.post(f"/kv/{guild}/export")["backup_id"])

    @backups.command(
        epilog="Example: flora kv backups download 100000000000000001 BACKUP --output kv.sqlite3"
    )
    def download(
        guild: options.Guild,
        backup: Backup,
        output: Annotated[Path, typer.Option("--output", "-o", dir_okay=False)] = Path("kv.sqlite3"),
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Save a backup as a SQLite file."""
        from flora.cli.client import connect
        from flora.cli.output import note

        with connect(api, token) as client:
            size = client.download(f"/kv/{guild}/backups/{segment(backup)}", output)
        note(f"{output}: {size} bytes.")

    @backups.command(epilog="Example: flora kv backups restore 100000000000000001 BACKUP --yes")
    def restore(
        guild: options.Guild,
        backup: Backup,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Make all stores what they were then."""
        from flora.cli.client import connect
        from flora.cli.output import note

        _confirm(yes, "Replace all that the guild has stored?")
        with connect(api, token) as client:
            client.post(f"/kv/{guild}/backups/{segment(backup)}/restore")
        note("restored.")


def _entries(client: Client, guild: str, store: str) -> Iterator[dict[str, Any]]:
    from flora.cli.client import ApiError

    cursor = None
    while True:
        page = client.get(f"{_store(guild, store)}/keys", {"limit": PAGE, "cursor": cursor})
        for item in page["items"]:
            try:
                found = client.get(f"{_store(guild, store)}/keys/{segment(item['name'])}")
            except ApiError as error:
                if error.status == 404:  # gone since the list was made
                    continue
                raise
            entry = {"key": item["name"], "value": found["value"]}
            kept = {name: found[name] for name in ("metadata", "expiration") if found[name] is not None}
            yield entry | kept
        if (cursor := page["next_cursor"]) is None:
            return


def _write(client: Client, guild: str, waiting: dict[str, list[dict[str, Any]]]) -> None:
    for store, entries in waiting.items():
        client.post(f"{_store(guild, store)}/bulk", {"set": entries})
    waiting.clear()


def _store(guild: str, store: str) -> str:
    return f"/kv/{guild}/stores/{segment(store)}"


def _confirm(yes: bool, question: str) -> None:
    import sys

    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("without a terminal this needs --yes")
    typer.confirm(question, abort=True)


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _compact(metadata: Any) -> str:
    import json as json_module

    return "" if metadata is None else json_module.dumps(metadata, ensure_ascii=False)
