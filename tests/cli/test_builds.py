"""`flora builds` and `flora deploy --remote`, as real processes against a served API."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
import trio

from flora.build.types import Diagnostic
from flora.storage.builds import BuildFailure, BuildRecord
from tests.api.served import GARDEN, OPERATOR_SECRET, ORCHARD, Served, until
from tests.cli.test_commands import Flora, environment, flora, project

__all__ = ["flora"]

WRONG = BuildFailure(
    "BUILD_FAILED", "src/main.ts:1:7: wrong.", (Diagnostic("src/main.ts", 1, 7, "wrong.", "  1 | const x"),)
)


def record(served: Served, number: int, guild: str | None = GARDEN) -> BuildRecord:
    """A build that the served API knows of, newer than those before."""
    made = BuildRecord(f"{number:032x}", guild, None, True, False, 1_700_000_000.0 + number)  # type: ignore[arg-type]
    served.builds.records[made.id] = made
    return made


def fail(served: Served, build: BuildRecord, failure: BuildFailure = WRONG) -> None:
    build.failure = failure
    served.builds.finish(build.id, "failed", f"failed: {failure.message}")


@asynccontextmanager
async def ending(
    served: Served, status: Literal["succeeded", "failed", "cancelled"], *lines: str
) -> AsyncIterator[None]:
    """The next build that is sent ends so."""

    async def end() -> None:
        await until(lambda: served.builds.requests != [])
        (build,) = served.builds.records.values()
        if status == "failed":
            fail(served, build)
        else:
            build.entry_point, build.bundle_bytes = "src/main.ts", 1
            served.builds.finish(build.id, status, *lines)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end)
        yield


async def test_builds_are_listed(flora: Flora, served: Served) -> None:
    assert (await flora("builds", "list")).err.startswith("there are none")
    first, _, third = record(served, 1), record(served, 2, ORCHARD), record(served, 3)
    fail(served, first)
    lines = (await flora("builds", "list", "--guild", GARDEN)).out.splitlines()
    assert [line.split()[:2] for line in lines] == [[third.id, "queued"], [first.id, "failed"]]
    assert lines[1].endswith("src/main.ts:1:7: wrong.")
    page = await flora("builds", "list", "--limit", "2", "--json")
    assert [item["id"] for item in page.json["items"]] == [f"{n:032x}" for n in (3, 2)]  # type: ignore[index]
    cursor = page.json["next_cursor"]  # type: ignore[index]
    assert (await flora("builds", "list", "--cursor", cursor)).out.split()[0] == first.id


async def test_a_build_is_shown_with_what_is_wrong(flora: Flora, served: Served) -> None:
    build = record(served, 1)
    fail(served, build)
    shown = await flora("builds", "show", build.id)
    assert (shown.code, shown.err) == (0, "")
    assert "status         failed" in shown.out
    assert "src/main.ts:1:7: wrong.\n  1 | const x\n" in shown.out
    answer = (await flora("builds", "show", build.id, "--json")).json
    assert answer["error"]["diagnostics"][0]["line"] == 1  # type: ignore[index]


async def test_a_log_is_followed_to_the_end_and_tells_by_its_exit_code(flora: Flora, served: Served) -> None:
    build = record(served, 1)
    build.lines += ["unpacked \x1b]0;evil\x07"]
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def look() -> None:
            ran = await flora("builds", "logs", build.id)
            assert (ran.code, ran.err) == (0, "it succeeded.\n")
            assert ran.out == "unpacked \\x1b]0;evil\\x07\nbuilt\n"

        served.builds.finish(build.id, "succeeded", "built")
    failed = record(served, 2)
    fail(served, failed)
    ran = await flora("builds", "logs", failed.id, "--json")
    assert ran.code == 1
    assert [json.loads(line) for line in ran.out.splitlines()] == [
        {"line": "failed: src/main.ts:1:7: wrong."},
        {"status": "failed"},
    ]


async def test_a_build_is_cancelled_once(flora: Flora, served: Served) -> None:
    build = record(served, 1)
    ran = await flora("builds", "cancel", build.id)
    assert (ran.code, ran.out) == (0, f"cancelled {build.id}\n")
    assert served.builds.records[build.id].status == "cancelled"
    again = await flora("builds", "cancel", build.id)
    assert (again.code, again.err) == (1, "error: it has ended.\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "nope"), 1),
        (("logs", "nope"), 1),
        (("cancel", "../x"), 1),
        (("list", "--guild", "x"), 1),
        (("show",), 2),
        (("list", "--limit", "0"), 2),
        ((), 2),
    ],
)
async def test_bad_inputs(flora: Flora, words: tuple[str, ...], code: int) -> None:
    ran = await flora("builds", *words)
    assert ran.code == code
    assert "Traceback" not in ran.err
    assert code == 2 or ran.err.count("\n") == 1


async def test_a_project_is_built_on_the_host_and_deployed(
    flora: Flora, served: Served, tmp_path: Path
) -> None:
    project(tmp_path / "bot", "console.log('sent')\n")
    (tmp_path / "bot/.env").write_text("TOKEN=hunter2")
    async with ending(served, "succeeded", "unpacked", "built"):
        ran = await flora("deploy", "--remote", "--guild", GARDEN, "--root", "bot")
    assert ran.code == 0
    assert ran.err.splitlines()[-2:] == ["unpacked", "built"]
    (request,) = served.builds.requests
    assert (request.guild_id, request.entry, request.check, request.source) == (
        GARDEN,
        "src/main.ts",
        True,
        "cli",
    )
    with zipfile.ZipFile(io.BytesIO(request.archive)) as archive:
        assert archive.namelist() == ["src/main.ts"]
    running = served.deployer.current[GARDEN]
    assert (running.code, running.build_id) == ("1", f"{1:032x}")
    assert str(running.revision_id) in ran.out
    shown = await flora("deployments", "show", GARDEN, str(running.revision_id))
    assert f"build id           {running.build_id}" in shown.out


async def test_what_is_wrong_is_shown_where_it_is(flora: Flora, served: Served, tmp_path: Path) -> None:
    project(tmp_path / "bot")
    async with ending(served, "failed"):
        ran = await flora("deploy", "--remote", "--guild", GARDEN, "--root", "bot", "--no-check")
    assert ran.code == 1
    assert "src/main.ts:1:7: wrong.\n  1 | const x\n" in ran.err
    assert served.deployer.revisions == []
    assert served.builds.requests[0].check is False


async def test_a_dry_run_builds_there_and_deploys_nothing(
    flora: Flora, served: Served, tmp_path: Path
) -> None:
    project(tmp_path / "bot")
    async with ending(served, "succeeded"):
        ran = await flora("deploy", "--remote", "--dry-run", "--json", "-g", GARDEN, "--root", "bot")
    assert ran.code == 0
    assert [change["path"] for change in ran.json["changes"]] == ["src/main.ts"]  # type: ignore[index]
    assert served.deployer.revisions == []


async def test_ctrl_c_cancels_the_build(served: Served, tmp_path: Path) -> None:
    project(tmp_path / "bot")
    words = [sys.executable, "-m", "flora", "deploy", "--remote", "--guild", GARDEN, "--root", "bot"]
    env = environment(tmp_path, FLORA_API_URL=served.url, FLORA_TOKEN=OPERATOR_SECRET)
    process = await trio.lowlevel.open_process(words, cwd=tmp_path, env=env, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = b""
    try:
        with trio.fail_after(60):
            while b"as build" not in said:
                some = await process.stderr.receive_some()
                assert some, said
                said += some
            process.send_signal(signal.SIGINT)
            async for some in process.stderr:
                said += some
            assert await process.wait() == 130
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
    (build,) = served.builds.records.values()
    assert build.status == "cancelled"
    assert f"build {build.id} is cancelled." in said.decode()
    assert b"Traceback" not in said


async def test_a_cancelled_build_is_not_deployed(flora: Flora, served: Served, tmp_path: Path) -> None:
    project(tmp_path / "bot")
    async with ending(served, "cancelled"):
        ran = await flora("deploy", "--remote", "--guild", GARDEN, "--root", "bot")
    assert ran.code == 1
    assert served.deployer.revisions == []
