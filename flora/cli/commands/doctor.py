"""`flora doctor`: what of flora this machine can run, and what to do where it cannot."""

from __future__ import annotations

from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    @app.command(epilog="Example: flora doctor --json")
    def doctor(
        json: Annotated[bool, typer.Option("--json", help="Answer as JSON, for programs.")] = False,
    ) -> None:
        """Check this machine and this configuration; exit code 1 when flora cannot run."""
        import trio

        from flora.cli.doctor import examine
        from flora.cli.output import plain, quiet_logs, say, say_json, styled

        quiet_logs()
        findings = trio.run(examine)
        if json:
            say_json(
                [
                    {"name": item.name, "status": item.status, "detail": item.detail, "hint": item.hint}
                    for item in findings
                ]
            )
        else:
            colors = {"ok": "green", "warn": "yellow", "fail": "red"}
            for item in findings:
                say(f"{styled(f'{item.status:<4}', colors[item.status])} {item.name}: {plain(item.detail)}")
                if item.hint:
                    say(f"     {plain(item.hint)}")
        if any(item.status == "fail" for item in findings):
            raise typer.Exit(1)
