"""`flora logs`: what a guild's script says."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from flora.cli import options

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
COLORS: Final = {"trace": "dim", "debug": "dim", "info": "blue", "warn": "yellow", "error": "red"}


class Level(enum.StrEnum):
    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


def add_to(app: typer.Typer) -> None:
    @app.command(epilog="Example: flora logs 100000000000000001 --follow --level warn --since 10m")
    def logs(
        guild: options.Guild,
        follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
        level: Annotated[Level | None, typer.Option("--level", help="Lines of at least this level.")] = None,
        since: Annotated[
            str | None,
            typer.Option("--since", metavar="WHEN", help="From then on: 10m, 2h, or a time (ISO 8601)."),
        ] = None,
        limit: Annotated[
            int, typer.Option("--limit", "-n", min=0, max=1000, help="The newest so many lines.")
        ] = 100,
        json: Annotated[bool, typer.Option("--json", help="One JSON object per line, for programs.")] = False,
        api: options.Api = None,
        token: options.Token = None,
    ) -> None:
        """Show a guild's log; Ctrl-C ends --follow."""
        from flora.cli.client import connect
        from flora.cli.output import note

        path = f"/logs/{guild}"
        query = {"limit": limit, "level": level, "since": parse_since(since)}
        with connect(api, token) as client:
            if not follow:
                lines = client.get(path, query)["items"]
                for line in lines:
                    _show(line, json)
                if not lines and not json:
                    note("no lines" + (" that match" if level or since else "; the script has said nothing."))
                return

            def dropped(reason: str) -> None:
                note(f"{reason}; trying again")

            try:
                for event in client.follow(path, {**query, "follow": True}, on_drop=dropped):
                    if event.name == "log":
                        _show(event.data, json)
                    elif event.name == "dropped":
                        count = event.data.get("count")
                        note(f"{'some' if count is None else count} lines came too fast and are missing here")
            except KeyboardInterrupt:
                return


def parse_since(text: str | None, now: datetime | None = None) -> str | None:
    """A duration before now (`90s`, `10m`, `2h`, `1d`) or a time, as ISO 8601 with its zone.

    Raises typer.BadParameter.
    """
    if text is None:
        return None
    if text[-1:] in UNITS and text[:-1].isascii() and text[:-1].isdigit():
        try:
            return ((now or datetime.now(UTC)) - timedelta(**{UNITS[text[-1]]: int(text[:-1])})).isoformat()
        except OverflowError:
            raise typer.BadParameter(f"{text!r} is too long ago.", param_hint="--since") from None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a duration (10m, 2h) nor a time (2026-01-31T12:00).", param_hint="--since"
        ) from None
    return when.astimezone().isoformat()


def _show(line: dict[str, Any], json: bool) -> None:
    from flora.cli.output import plain, say, styled

    if json:
        import json as codec

        say(codec.dumps(line, ensure_ascii=False))
        return
    when = datetime.fromtimestamp(line["timestamp"] / 1000).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    level = str(line["level"])
    word = styled(f"{level.upper():<5}", COLORS.get(level, "bold"))
    say(f"{styled(when, 'dim')} {word} {plain(line['target'])}: {plain(line['message'])}")
