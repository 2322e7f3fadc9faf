"""`flora playground`: a Discord of our own, by itself or spoken to."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flora.cli import options

if TYPE_CHECKING:
    from flora.playground import Said


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    app.add_typer(group, name="playground")

    @group.callback(epilog="Example: flora playground")
    def playground(context: typer.Context) -> None:
        """Run only the playground, a Discord of our own on this machine with a chat page, until Ctrl-C."""
        if context.invoked_subcommand is None:
            _serve()

    @group.command(epilog="Example: flora playground say --wait 5 '!ping a b'")
    def say(
        text: Annotated[str, typer.Argument(metavar="TEXT", help="A message, or a slash command: /hello.")],
        guild: Annotated[str | None, typer.Option("--guild", metavar="NAME", help="Or its id.")] = None,
        channel: Annotated[str | None, typer.Option("--channel", metavar="NAME", help="Or its id.")] = None,
        user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Or its id.")] = None,
        wait: Annotated[
            float, typer.Option("--wait", metavar="SECS", min=0, max=60, help="For a bot's answer.")
        ] = 5.0,
        json: options.Json = False,
        url: Annotated[
            str | None, typer.Option("--url", metavar="URL", help="The playground's, if it is not here.")
        ] = None,
    ) -> None:
        """Say something as a user of a running playground, and show what the bots answer.

        Exit code 1 when no bot answers within the wait; with --wait 0 nobody waits.
        """
        from functools import partial

        import trio

        from flora.cli.output import note, say_json
        from flora.playground import say as say_there

        said = trio.run(
            partial(
                say_there,
                text,
                guild=guild,
                channel=channel,
                user=user,
                wait=wait,
                url=(url or _local_url()).rstrip("/"),
            )
        )
        if json:
            say_json(asdict(said))
        else:
            _show(said)
        if wait and not said.answers:
            note(f"no bot answered within {wait:g} s; `flora logs` shows why.")
            raise typer.Exit(1)

    @group.command(epilog="Example: flora playground load --rate 100 --guilds 10 '!ping {tag}'")
    def load(
        text: Annotated[str, typer.Argument(metavar="TEXT", help="{tag} in it marks each message.")],
        rate: Annotated[float, typer.Option("--rate", metavar="N", min=0, help="A second; 0: no pace.")] = 0,
        in_flight: Annotated[int, typer.Option("--in-flight", metavar="N", min=1, help="At no pace.")] = 1,
        guilds: Annotated[int, typer.Option("--guilds", metavar="N", min=1, help="Made if missing.")] = 1,
        duration: Annotated[float, typer.Option("--duration", metavar="SECS", min=0)] = 10.0,
        json: options.Json = False,
        url: Annotated[
            str | None, typer.Option("--url", metavar="URL", help="The playground's, if it is not here.")
        ] = None,
    ) -> None:
        """Send messages or, with a slash, commands into a running playground and time the bots' answers.

        The control API can do more: several patterns, users, payload sizes (see flora/playground/load).
        """
        import trio

        from flora.cli.output import say, say_json
        from flora.playground import post

        kind = "slash" if text.startswith("/") else "message"
        pace = {"rate": rate} if rate else {"in_flight": in_flight}
        patterns = [{"kind": kind, "text": text}]
        body = {"patterns": patterns, "guilds": guilds, "duration": duration, "wait": True, **pace}

        async def run() -> dict[str, Any]:
            return await post((url or _local_url()).rstrip("/"), "/load", body, wait=duration + 15)

        result = trio.run(run)
        if json:
            say_json(result)
            return
        latency = result["latency_ms"]
        say(f"sent {result['sent']} ({result['sent_per_sec']:.1f}/s), answered {result['answered']}")
        if latency["count"]:
            say(f"latency p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms")


def _serve() -> None:
    import trio

    from flora.cli.output import note, say
    from flora.config import load_config
    from flora.errors import StartupError
    from flora.logs import configure_logging
    from flora.playground import PlaygroundInfo, serve

    config = load_config()
    if not config.uses_playground:
        raise StartupError(
            "a Discord token is configured, so the playground does not start.",
            hint="Unset DISCORD_TOKEN first.",
            exit_code=2,
        )
    configure_logging(config.log)

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            info: PlaygroundInfo = await nursery.start(serve, config.playground)
            say(f"chat page  {info.page_url}")
            say(f"REST API   {info.rest_url}")
            say(f"gateway    {info.gateway_url}")
            say(f"bot token  {info.bot_token}")
            note("Ctrl-C stops it.")

    try:
        trio.run(run)
    except* KeyboardInterrupt:
        note("stopped")


def _local_url() -> str:
    from flora.config import load_config
    from flora.storage.datadir import read_holder

    config = load_config()
    holder = read_holder(config.data_dir)
    announced = holder.urls.get("playground") if holder is not None else None
    return announced or f"http://127.0.0.1:{config.playground.port}"


def _show(said: Said) -> None:
    from flora.cli.output import plain, say, styled

    for answer in said.answers:
        whisper = styled(f" (only {plain(said.user)} sees this)", "dim") if answer.ephemeral else ""
        say(f"{styled(plain(answer.author), 'bold')}: {plain(answer.content)}{whisper}")
        for embed in answer.embeds:
            parts = [embed.get("title"), embed.get("description")]
            say("  [" + plain(" — ".join(part for part in parts if part)) + "]")
            for field in embed.get("fields") or ():
                say(f"  {plain(field.get('name'))}: {plain(field.get('value'))}")
