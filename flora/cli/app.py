"""All commands, in the order in which an author meets them.

Only what is needed to read the command line is imported here; each command imports what it does.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer
import typer.main
from typer.core import TyperGroup

from flora import __version__
from flora.cli.commands import (
    audit,
    builds,
    commands,
    cron,
    db,
    dead_letters,
    deploy,
    deployments,
    dev,
    doctor,
    guilds,
    init,
    kv,
    login,
    logs,
    playground,
    run,
    secrets,
    system,
    tasks,
    test,
    tokens,
    workers,
)
from flora.cli.options import add_profile_option

app = typer.Typer(
    name="flora",
    help="One Discord bot, a TypeScript script of its own for every server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 it failed, 2 the command or the configuration is wrong, "
    "130 ended by Ctrl-C.",
)
init.add_to(app)
dev.add_to(app)
test.add_to(app)
run.add_to(app)
playground.add_to(app)
login.add_to(app)
deploy.add_to(app)
deployments.add_to(app)
builds.add_to(app)
logs.add_to(app)
kv.add_to(app)
secrets.add_to(app)
db.add_to(app)
guilds.add_to(app)
commands.add_to(app)
cron.add_to(app)
tasks.add_to(app)
dead_letters.add_to(app)
workers.add_to(app)
tokens.add_to(app)
audit.add_to(app)
system.add_to(app)
doctor.add_to(app)

_DEBUG = "FLORA_DEBUG"


def wants_traceback() -> bool:
    return bool(os.environ.get(_DEBUG))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"flora {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if debug:
        os.environ[_DEBUG] = "1"


def command_line() -> TyperGroup:
    """What is run: the commands with the options that all of them share."""
    commands = typer.main.get_command(app)
    assert isinstance(commands, TyperGroup)
    add_profile_option(commands)
    return commands
