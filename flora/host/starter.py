"""The example bot for a playground that has none: built and deployed like anybody's, through the HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import structlog

from flora.build.bundle import build_project
from flora.build.examples import ENTRY, example
from flora.errors import FloraError
from flora.ids import GuildId
from flora.net.http import HttpClient

log = structlog.get_logger("flora.deployments")

DEADLINE_SECS: Final = 60.0


class StarterError(FloraError):
    code = "STARTER_FAILED"


def example_project() -> Path | None:
    """`examples/basic` of a checkout, or its copy in an installed package."""
    return example("basic")


async def deploy_starter(http: HttpClient, api_url: str, token: str, guild_ids: tuple[str, ...]) -> int:
    """Deploy the example to those of `guild_ids` that never had a deployment; returns to how many.

    Raises BuildError, StarterError, HttpError.
    """
    headers = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]
    wanting = []
    for guild_id in guild_ids:
        history = await http.request(
            "GET", f"{api_url}/deployments/{guild_id}/history?limit=1", headers=headers, deadline=10
        )
        if history.status == 200 and not msgspec.json.decode(history.body)["items"]:
            wanting.append(GuildId(guild_id))
    project = example_project()
    if not wanting or project is None:
        return 0
    bundle = await build_project(project, ENTRY, check=False)
    for guild_id in wanting:
        body = msgspec.json.encode(
            {
                "guild_id": guild_id,
                "entry_point": bundle.entry_point,
                "bundle": bundle.code,
                "source_map": bundle.source_map,
                "files": [{"path": file.path, "contents": file.contents} for file in bundle.files],
            }
        )
        answer = await http.request(
            "POST",
            f"{api_url}/deployments",
            headers=[*headers, ("x-flora-deploy-source", "bootstrap")],
            body=body,
            deadline=DEADLINE_SECS,
        )
        if answer.status >= 300:
            raise StarterError(f"the example bot was refused: {answer.body[:500].decode(errors='replace')}")
        log.info("example bot deployed", guild=guild_id)
    return len(wanting)
