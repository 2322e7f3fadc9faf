"""`flora test`: a project's `*.test.ts`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flora.cli import options


def add_to(app: typer.Typer) -> None:
    @app.command(epilog="Example: flora test --filter greets")
    def test(
        files: Annotated[
            list[str] | None,
            typer.Argument(metavar="[FILE]...", help="Only test files with this in their path."),
        ] = None,
        root: Annotated[
            Path | None,
            typer.Option("--root", metavar="DIR", help="The project's folder; by default this one."),
        ] = None,
        name: Annotated[
            str, typer.Option("--filter", "-f", metavar="TEXT", help="Only tests with this in their name.")
        ] = "",
        timeout: Annotated[
            float, typer.Option(metavar="SECS", min=0.1, help="Time for each test, in seconds.")
        ] = 5.0,
        watch: Annotated[
            bool, typer.Option("--watch", "-w", help="Run them again on every save, until Ctrl-C.")
        ] = False,
        verbose: Annotated[
            bool, typer.Option("--verbose", "-v", help="Show the console of tests that pass, too.")
        ] = False,
        json: options.Json = False,
    ) -> None:
        """Run the project's tests, `*.test.ts`: each in a guild process of its own, with your bot in it.

        Exit code 1 when a test fails, 2 when there is none. Nothing leaves this machine.
        """
        import trio

        from flora.cli.output import quiet_logs
        from flora.cli.project import find_project
        from flora.cli.target import TargetError
        from flora.cli.testing import Request, test_once, watch_tests

        quiet_logs()
        if watch and json:
            raise TargetError("--watch and --json exclude each other.", hint="Leave one of them out.")
        request = Request(find_project(root, None), tuple(files or ()), name, timeout, verbose, json)
        if watch:
            trio.run(watch_tests, request)
        else:
            raise typer.Exit(trio.run(test_once, request))
