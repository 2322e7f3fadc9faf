"""The build service with its real parts: queue, sandbox, records on disk, deployments, shutdown."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from flora.actors.builds import (
    BuildDesk,
    BuildEndedError,
    BuildRequest,
    BuildsBusyError,
    Deploys,
    TooManyBuildsError,
)
from flora.actors.deployer import ChangeTimeoutError
from flora.actors.kernel import ActorSystem, ChildSpec
from flora.build.archive import ArchiveError
from flora.build.toolchain import Toolchain
from flora.config import BuildsConfig
from flora.engine.api import ScriptFault, ScriptLoadError
from flora.storage.builds import BuildFiles, BuildNotFoundError, BuildRecord
from flora.storage.deployments import Actor, NewRevision, Revision
from tests.actors.test_deployer import GUILD, deploying, new
from tests.api.served import GARDEN, ORCHARD, MemoryDeployer, until
from tests.build.archives import entry, zipped

GOOD = zipped({"src/main.ts": "on('ready', () => console.log('hello'))\n"})
WRONG = zipped({"src/main.ts": "const x: number = 'text'\nconsole.log(x)\n"})
REQUEST = BuildRequest(GOOD, None, GARDEN, check=True, deploy=False, source="api", actor=Actor("operator"))


@asynccontextmanager
async def desk(
    folder: Path, config: BuildsConfig | None = None, deployer: Deploys | None = None
) -> AsyncIterator[BuildDesk]:
    builds = BuildDesk(
        BuildFiles(folder), config or BuildsConfig(), deployer or MemoryDeployer(), max_script_bytes=2**20
    )
    async with ActorSystem.open("test") as system:
        await system.spawn(ChildSpec("builds", lambda: builds))
        yield builds


async def ended(builds: BuildDesk, record: BuildRecord) -> BuildRecord:
    with trio.fail_after(60):
        while not (found := await builds.get(record.id)).finished:
            await builds.changed(record.id)
    return found


async def test_builds_end_and_their_results_stay(tmp_path: Path) -> None:
    deployer = MemoryDeployer()
    async with desk(tmp_path, deployer=deployer) as builds:
        good = await ended(builds, await builds.submit(REQUEST))
        assert (good.status, good.entry_point, good.file_count) == ("succeeded", "src/main.ts", 1)
        wrong = await ended(builds, await builds.submit(replace(REQUEST, archive=WRONG)))
        assert wrong.status == "failed"
        assert wrong.failure is not None
        assert (wrong.failure.code, wrong.failure.diagnostics[0].line) == ("BUILD_FAILED", 1)
        unchecked = await ended(builds, await builds.submit(replace(REQUEST, archive=WRONG, check=False)))
        assert unchecked.status == "succeeded"
        deployed = await ended(builds, await builds.submit(replace(REQUEST, deploy=True)))
        assert deployed.revision_id == str(deployer.current[GARDEN].revision_id)
        throwing = zipped({"src/main.ts": "throw new Error('no')\n"})
        refused = await ended(builds, await builds.submit(replace(REQUEST, archive=throwing, deploy=True)))
        assert refused.failure is not None
        assert refused.failure.code == "SCRIPT_LOAD_FAILED"
        assert str(deployer.current[GARDEN].revision_id) == deployed.revision_id
        await until(lambda: builds.under_way == 0)
    async with desk(tmp_path) as builds:
        assert (await builds.get(good.id)).status == "succeeded"
        assert "hello" in (await builds.bundle(good.id)).code
        with pytest.raises(BuildNotFoundError):
            await builds.bundle(wrong.id)
        for unknown in ("0" * 32, "../x", ""):
            with pytest.raises(BuildNotFoundError):
                await builds.get(unknown)
    assert ".zip" not in {name[-4:] for name in os.listdir(tmp_path)}


async def test_limits_of_the_queue(tmp_path: Path) -> None:
    async with desk(tmp_path, BuildsConfig(concurrency=1, queue=3, per_guild=2)) as builds:
        first = await builds.submit(REQUEST)
        await builds.submit(REQUEST)
        with pytest.raises(TooManyBuildsError):
            await builds.submit(REQUEST)
        await builds.submit(replace(REQUEST, guild_id=ORCHARD))
        with pytest.raises(BuildsBusyError):
            await builds.submit(replace(REQUEST, guild_id=None))
        assert (await ended(builds, first)).status == "succeeded"
        with pytest.raises(ArchiveError):
            await builds.submit(replace(REQUEST, archive=entry("../x")))


async def test_a_build_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    async with desk(tmp_path, BuildsConfig(deadline_secs=0)) as builds:
        record = await ended(builds, await builds.submit(REQUEST))
        assert record.failure is not None
        assert (record.status, record.failure.code) == ("failed", "BUILD_TIMEOUT")


@pytest.fixture
async def endless_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The type check never ends; the folder below which it writes its process id into a file `pid`."""
    real = await Toolchain.ensure()
    tools, scratch = tmp_path / "tools", tmp_path / "scratch"
    for folder in (tools, scratch):
        folder.mkdir()
    esbuild = Path(shutil.copy(real.esbuild, tools / "esbuild"))
    endless = tools / "tsc"
    endless.write_text(
        '#!/bin/sh\necho $$ > "$TMPDIR/pid.new" && mv "$TMPDIR/pid.new" "$TMPDIR/pid"\nexec sleep 600\n'
    )
    endless.chmod(0o755)

    async def ensure(*_: object) -> Toolchain:
        return Toolchain(tools, esbuild, endless)

    monkeypatch.setattr(Toolchain, "ensure", ensure)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    return scratch


def below(folder: Path, pattern: str) -> list[Path]:
    return [*folder.rglob(pattern)]


async def pid_of_check(scratch: Path) -> int:
    with trio.fail_after(60):
        while not (found := below(scratch, "pid")):
            await trio.sleep(0.01)
    return int(found[0].read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux'")
async def test_a_build_under_way_is_cancelled_with_its_tools(tmp_path: Path, endless_check: Path) -> None:
    async with desk(tmp_path / "builds", BuildsConfig(concurrency=1)) as builds:
        running = await builds.submit(replace(REQUEST, deploy=True))
        pid = await pid_of_check(endless_check)
        waiting = await builds.submit(REQUEST)

        with trio.fail_after(60):
            assert (await builds.cancel(waiting.id)).status == "cancelled"
            os.kill(pid, 0)  # the other goes on
            record = await builds.cancel(running.id)
        assert record.failure is not None
        assert (record.status, record.failure.code) == ("cancelled", "BUILD_CANCELLED")
        assert record.lines[-1] == "cancelled"
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert below(endless_check, "main.ts") == [], "what was unpacked is removed"
        assert builds.under_way == 0
        for ended_one in (running, waiting):
            with pytest.raises(BuildEndedError):
                await builds.cancel(ended_one.id)
        with pytest.raises(BuildNotFoundError):
            await builds.cancel("0" * 32)

        unchecked = await builds.submit(replace(REQUEST, check=False))
        assert (await ended(builds, unchecked)).status == "succeeded", "its place is free again"
        assert [record.id for record in await builds.list(GARDEN)] == [unchecked.id, waiting.id, running.id]
        assert await builds.list(ORCHARD) == []
    assert ".zip" not in {name[-4:] for name in os.listdir(tmp_path / "builds")}


async def test_a_build_that_is_being_deployed_is_not_cancelled(tmp_path: Path) -> None:
    class SlowDeployer(MemoryDeployer):
        begun, go_on = trio.Event(), trio.Event()

        async def deploy(self, new: NewRevision) -> Revision:
            self.begun.set()
            await self.go_on.wait()
            return await super().deploy(new)

    deployer = SlowDeployer()
    async with desk(tmp_path, deployer=deployer) as builds:
        record = await builds.submit(replace(REQUEST, deploy=True, check=False))
        with trio.fail_after(60):
            await deployer.begun.wait()
        with pytest.raises(BuildEndedError):
            await builds.cancel(record.id)
        deployer.go_on.set()
        assert (await ended(builds, record)).status == "succeeded"
    ((revision, _),) = deployer.revisions
    assert revision.build_id == record.id


async def test_a_build_ends_as_its_deploy_does_however_long_that_takes(tmp_path: Path) -> None:
    """Whoever asks for a deploy gives up after a twentieth of a second here; and it is in nobody's way."""
    one = BuildsConfig(concurrency=1)
    async with (
        deploying(0.05) as (paper, deployments),
        desk(tmp_path, one, deployments.patient()) as builds,
    ):
        slow = await builds.submit(replace(REQUEST, guild_id=GUILD, deploy=True, check=False))
        await until(lambda: paper.begun == 1)
        with pytest.raises(ChangeTimeoutError):
            await deployments.deploy(new())
        assert (await builds.get(slow.id)).status == "running"
        other = await ended(builds, await builds.submit(replace(REQUEST, check=False)))
        assert other.status == "succeeded"
        assert not (await builds.get(slow.id)).finished
        paper.let_go.set()
        record = await ended(builds, slow)
        assert (record.status, record.failure) == ("succeeded", None)
        assert record.lines[-1] == f"deployed as revision {record.revision_id}"
        assert paper.stored[0].build_id == record.id

        paper.fault = ScriptLoadError(ScriptFault("TypeError", "x is not a function", ""))
        refused = await ended(builds, await builds.submit(replace(REQUEST, guild_id=GUILD, deploy=True)))
        assert refused.failure is not None
        assert (refused.status, refused.failure.code) == ("failed", "SCRIPT_LOAD_FAILED")


async def test_a_build_whose_deploy_outlives_flora_says_where_to_look(tmp_path: Path) -> None:
    async with deploying(0.05) as (paper, deployments):
        async with desk(tmp_path, deployer=deployments.patient()) as builds:
            record = await builds.submit(replace(REQUEST, guild_id=GUILD, deploy=True, check=False))
            await until(lambda: paper.begun == 1)
        async with desk(tmp_path) as builds:
            found = await builds.get(record.id)
        assert found.failure is not None
        assert (found.status, found.failure.code) == ("cancelled", "BUILD_INTERRUPTED")
        assert "/status tells how that ended" in found.failure.message


async def test_a_shutdown_ends_what_is_under_way(tmp_path: Path) -> None:
    with trio.fail_after(60):
        async with desk(tmp_path, BuildsConfig(concurrency=1)) as builds:
            records = [await builds.submit(replace(REQUEST, guild_id=guild)) for guild in (GARDEN, ORCHARD)]
    async with desk(tmp_path) as builds:
        found = [await builds.get(record.id) for record in records]
        assert all(record.finished for record in found)
        for record in found:
            if record.status == "cancelled":
                assert record.failure is not None
                assert record.failure.code == "BUILD_INTERRUPTED"


async def test_what_was_under_way_at_a_kill_is_told(tmp_path: Path) -> None:
    files = BuildFiles(tmp_path)
    files.open(1.0)
    record = BuildRecord("a" * 32, GARDEN, None, check=True, deploy=True, created_at=1.0, status="running")
    files.save(record)
    files.keep_upload(record.id, GOOD)
    async with desk(tmp_path) as builds:
        found = await builds.get(record.id)
        assert found.failure is not None
        assert (found.status, found.failure.code) == ("cancelled", "BUILD_INTERRUPTED")
    assert ".zip" not in {name[-4:] for name in os.listdir(tmp_path)}


def test_old_results_are_swept(tmp_path: Path) -> None:
    files = BuildFiles(tmp_path)
    files.open(0.0)
    for number in range(6):
        files.save(
            BuildRecord(
                f"{number:032x}", None, None, True, False, 0.0, status="failed", finished_at=float(number)
            )
        )
    files.save(BuildRecord("f" * 32, None, None, True, False, 0.0))
    assert files.sweep(2.0, 3) == 3
    assert sorted(path.stem[-1] for path in tmp_path.glob("*.json")) == ["3", "4", "5", "f"]
