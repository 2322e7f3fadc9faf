"""A project built by the flora that it will run on: sent as a zip file, followed to the end of its log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flora.cli.paths import segment

if TYPE_CHECKING:
    from flora.build.types import BuildError, Bundle
    from flora.cli.client import Client
    from flora.cli.project import Project


def build_on_host(client: Client, guild: str, project: Project, *, check: bool) -> tuple[str, Bundle]:
    """Build the project for this guild; the build's id and what it made.

    Ctrl-C cancels the build. Raises BuildError with what was found wrong, ApiError, UnreachableError.
    """
    from flora.build.bundle import entry_path
    from flora.build.pack import pack_project
    from flora.cli.output import note
    from flora.cli.progress import working

    with working(f"building at {client.url}") as progress:
        entry = entry_path(project.folder.resolve(), project.entry)
        archive = pack_project(project.folder, entry)
        query = {"guild_id": guild, "entry": entry, "check": check}
        build_id = str(client.upload("/builds", query, archive)["id"])
        try:
            progress(f"sent {len(archive) / 1024:,.1f} KiB as build {build_id}")
            follow_build(client, build_id, progress)
        except KeyboardInterrupt:
            client.delete(f"/builds/{build_id}")
            note(f"build {build_id} is cancelled.")
            raise
    return build_id, made(client, build_id)


def follow_build(client: Client, build_id: str, say: Callable[[str], None]) -> str:
    """Give every line of a build's log to `say` until it has ended; its status then."""
    from flora.cli.output import note, plain

    def dropped(reason: str) -> None:
        note(f"{reason}; trying again")

    for event in client.follow(f"/builds/{segment(build_id)}/logs", {}, on_drop=dropped):
        if event.name == "log":
            say(plain(event.data["line"]))
        elif event.name == "done":
            return str(event.data["status"])
    raise AssertionError("a stream that is followed ends with an exception only")


def made(client: Client, build_id: str) -> Bundle:
    """What a build that has ended made. Raises BuildError when it failed or was cancelled."""
    from flora.build.types import Bundle, SourceFile

    path = f"/builds/{segment(build_id)}"
    if (error := failure_of(client.get(path))) is not None:
        raise error
    build = client.get(path, {"include_bundle": True})
    return Bundle(
        build["entry_point"],
        build["bundle"],
        build["source_map"],
        tuple(SourceFile(file["path"], file["contents"]) for file in build["files"]),
        tuple(build["warnings"]),
    )


def failure_of(build: dict[str, Any]) -> BuildError | None:
    """Why a build, as the API shows it, made nothing."""
    from flora.build.types import BuildError, Diagnostic

    if (error := build["error"]) is None:
        return None
    return BuildError(error["message"], tuple(Diagnostic(**found) for found in error["diagnostics"]))
