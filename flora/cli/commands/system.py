"""`flora health` and `flora actors`: how a running flora is."""

from __future__ import annotations

import typer

from flora.cli import options


def add_to(app: typer.Typer) -> None:
    @app.command(epilog="Example: flora health && echo well")
    def health(json: options.Json = False, api: options.Api = None, token: options.Token = None) -> None:
        """Ask flora and everything that it depends on; exit code 1 when something is not well."""
        from flora.cli.client import connect
        from flora.cli.output import plain, say, say_json, styled

        with connect(api, token) as client:
            answer = client.get("/health", {"deep": True}, accept=(503,))
            url = client.url
        well = answer.get("status") == "ok"
        if json:
            say_json(answer)
        else:
            say(f"{styled('ok' if well else 'degraded', 'green' if well else 'red')} {url}")
            for check in answer.get("checks") or ():
                mark = styled("ok", "green") if check["ok"] else styled("not well", "red")
                latency = f" ({check['latency_ms']:.1f} ms)" if check["latency_ms"] is not None else ""
                say(f"  {plain(check['name'])}: {mark}{latency} {plain(check['detail'])}".rstrip())
        if not well:
            raise typer.Exit(1)

    @app.command(epilog="Example: flora actors --json")
    def actors(json: options.Json = False, api: options.Api = None, token: options.Token = None) -> None:
        """The supervision tree: every actor, its mailbox, its restarts, its last error."""
        from flora.cli.client import connect
        from flora.cli.output import say_json, table

        with connect(api, token) as client:
            answer = client.pages("/actors")
        if json:
            say_json(answer)
            return
        table(
            ("actor", "kind", "state", "mailbox", "restarts", "age", "last error"),
            [
                (
                    item["path"],
                    item["kind"],
                    item["state"],
                    f"{item['mailbox_depth']}/{item['mailbox_capacity']}",
                    item["restarts"],
                    f"{item['age_seconds']:.0f}s",
                    item["last_error"] or "",
                )
                for item in answer["items"]
            ],
        )
