"""Builds of strangers' projects: the same build, in a sandbox, and nothing of theirs is ever run."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from flora.build.bundle import build_project
from flora.build.packages import PackagesError
from flora.build.process import run_tool
from flora.build.sandbox import Sandbox, probe
from flora.build.toolchain import Toolchain
from flora.build.types import BuildError, Bundle
from flora.build.worker import BUILD_UID_BASE, Worker, Workshop
from tests.build.archives import zipped
from tests.build.registry import Registry, registry

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux'")
PYTHON = os.path.realpath(sys.executable)
FILES = {
    "src/main.ts": "import { greet } from './greet'\non('ready', () => console.log(greet('you')))\n",
    "src/greet.ts": "export const greet = (name: string): string => `hello ${name}`\n",
}


@asynccontextmanager
async def worker() -> AsyncIterator[Worker]:
    async with Workshop.open(lambda _: None) as workshop:
        yield workshop.worker(0)


async def build(
    where: Worker,
    tmp_path: Path,
    files: Mapping[str, str | bytes],
    entry: str | None = None,
    *,
    check: bool = True,
) -> Bundle:
    archive = tmp_path / "upload.zip"
    archive.write_bytes(zipped(files))
    return await where.build(archive, entry, check=check, max_script_bytes=2**20, progress=lambda _: None)


async def test_the_result_is_that_of_the_command_line(tmp_path: Path, toolchain: Toolchain) -> None:
    async with worker() as there:
        remote = await build(there, tmp_path, FILES)
    here = tmp_path / "here"
    for name, text in FILES.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text)
    local = await build_project(here, toolchain=toolchain)
    assert remote == local


async def test_errors_have_their_positions(tmp_path: Path) -> None:
    async with worker() as there:
        with pytest.raises(BuildError) as raised:
            await build(there, tmp_path, {"src/main.ts": "const x: number = 'text'\nconsole.log(x)\n"})
        (found,) = raised.value.diagnostics
        assert (found.path, found.line, found.column) == ("src/main.ts", 1, 7)
        with pytest.raises(BuildError, match="no entry file"):
            await build(there, tmp_path, FILES, "src/other.ts")
        with pytest.raises(BuildError, match="not inside"):
            await build(there, tmp_path, FILES, "../../etc/passwd")
        assert (await build(there, tmp_path, FILES)).entry_point == "src/main.ts", "it goes on"


@pytest.fixture
def bait(tmp_path: Path) -> Path:
    """A file of the host's that a project would like to read, and a folder that it would like to write to."""
    folder = tmp_path / "host"
    folder.mkdir(mode=0o755)
    (folder / "secret.json").write_text('{"token_of_the_host": "s3cret"}')
    (folder / "secret.ts").write_text("export const token_of_the_host = 's3cret'\n")
    return folder


async def test_files_of_the_host_are_out_of_reach(tmp_path: Path, bait: Path) -> None:
    data, source = (json.dumps(str(bait / f"secret.{kind}")) for kind in ("json", "ts"))
    attempts = {
        "import": f"import s from {data}\nconsole.log(s)\n",
        "source": f"import s from {source}\nconst n: number = s\nconsole.log(n)\n",
        "reference": f"/// <reference path={source} />\nconsole.log(1)\n",
        "types": f"const x: number = {{}} as typeof import({source})\nconsole.log(x)\n",
    }
    async with worker() as there:
        for name, text in attempts.items():
            with pytest.raises(BuildError) as raised:
                await build(there, tmp_path, {"src/main.ts": text})
            said = str(raised.value) + repr(raised.value.diagnostics)
            assert "s3cret" not in said, name
            assert "token_of_the_host" not in said.replace(text, ""), name
        config = json.dumps({"extends": str(bait / "secret.json"), "files": [str(bait / "secret.ts")]})
        with pytest.raises(BuildError) as raised:
            await build(there, tmp_path, {**FILES, "tsconfig.json": config})
        assert "s3cret" not in repr(raised.value.diagnostics)


async def test_nothing_of_a_project_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    run = f"require('fs').writeFileSync({json.dumps(str(mark))}, 'ran')"
    scripts = dict.fromkeys(
        ("preinstall", "install", "postinstall", "prepare", "prebuild", "build", "test"), f'node -e "{run}"'
    )
    hostile = {
        **FILES,
        "package.json": json.dumps({"name": "x", "scripts": scripts, "main": "run.js", "type": "commonjs"}),
        "tsconfig.json": json.dumps(
            {
                "compilerOptions": {
                    "plugins": [{"name": "./run.js"}, {"transform": "./run.js"}],
                    "types": [],
                    "outDir": str(tmp_path),
                    "tsBuildInfoFile": str(mark),
                    "incremental": True,
                }
            }
        ),
        "run.js": run,
        "node_modules/x/package.json": json.dumps({"name": "x", "main": "run.js"}),
        "node_modules/x/run.js": run,
        "esbuild.config.js": run,
        "esbuild.config.mjs": run,
        "flora.config.ts": "export default { deploy: { entry: 'src/main.ts' } }\n",
        ".env": "NODE_OPTIONS=--require ./run.js\n",
    }
    async with worker() as there:
        assert "hello" in (await build(there, tmp_path, hostile)).code
        config = {**hostile, "flora.config.ts": f"{run}; export default {{ deploy: {{ entry: run() }} }}\n"}
        with pytest.raises(BuildError, match="read, not run"):
            await build(there, tmp_path, config)
    assert not mark.exists()


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with registry() as served:
        monkeypatch.setenv("npm_config_registry", served.url)
        yield served


def locked(served: Registry, name: str, version: str = "1.0.0", **more: object) -> dict[str, str]:
    """A project that depends on a package, with its lock."""
    dist = served.packages[name][version]["dist"]
    entry = {"version": version, "resolved": dist["tarball"], "integrity": dist["integrity"], **more}
    table = {name: version}
    lock = {
        "name": "x",
        "lockfileVersion": 3,
        "packages": {"": {"name": "x", "dependencies": table}, f"node_modules/{name}": entry},
    }
    return {
        "package.json": json.dumps({"name": "x", "dependencies": table}),
        "package-lock.json": json.dumps(lock),
        "src/main.ts": f"import {{ name }} from '{name}'\nconsole.log(name)\n",
    }


async def test_packages_come_from_the_registry_without_their_scripts(tmp_path: Path, npm: Registry) -> None:
    mark = tmp_path / "mark"
    npm.publish(
        "tulip",
        "1.0.0",
        "exports.name = 'red tulip'",
        scripts={"install": f"touch {mark}", "postinstall": f"touch {mark}"},
        bin={"tulip": "index.js"},
    )
    async with worker() as there:
        bundle = await build(there, tmp_path, locked(npm, "tulip"))
    assert "red tulip" in bundle.code
    assert not mark.exists()
    assert "/tulip/-/tulip-1.0.0.tgz" in npm.asked


async def test_nobody_but_the_registry_is_asked(tmp_path: Path, npm: Registry) -> None:
    npm.publish("tulip", "1.0.0", "exports.name = 1")
    with registry() as elsewhere:
        elsewhere.publish("tulip", "1.0.0", "exports.name = 1")
        good = locked(npm, "tulip")
        stray = locked(elsewhere, "tulip")
        nested = locked(npm, "tulip", dependencies={"bulb": f"{elsewhere.url}/bulb.tgz"})
        git = locked(npm, "tulip", dependencies={"bulb": "git+ssh://git@host/bulb.git"})
        no_lock = {name: text for name, text in good.items() if name != "package-lock.json"}
        config = {**good, ".npmrc": f"registry={elsewhere.url}\n"}
        async with worker() as there:
            for files in (stray, nested, git, no_lock, config):
                with pytest.raises(PackagesError):
                    await build(there, tmp_path, files)
            npm.asked.clear()
            assert "name" in (await build(there, tmp_path, good)).code
        assert elsewhere.asked == []
    assert npm.asked


# ---------------------------------------------------------------- the sandbox itself


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """With a user of its own, where that user can reach this Python."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)
        scratch = Path(folder, "scratch")
        await trio.Path(scratch).mkdir()
        alone = Sandbox(scratch, (), None)
        if os.geteuid() == 0:
            own = replace(alone, uid=BUILD_UID_BASE + 7)
            if "hi" in await run(own, "print('hi')"):
                os.chown(scratch, BUILD_UID_BASE + 7, BUILD_UID_BASE + 7)
                alone = own
        yield alone


async def run(sandbox: Sandbox, code: str) -> str:
    """What a Python program says in there."""
    inside = replace(sandbox, read=(Path(sys.base_prefix), Path(PYTHON)))
    done = await run_tool([PYTHON, "-I", "-S", "-c", code], cwd=Path("/"), env={}, sandbox=inside)
    return done.stdout + done.stderr


async def test_what_this_machine_can_do_is_known(sandbox: Sandbox) -> None:
    report = await probe(sandbox)
    assert {"no_new_privs", "rlimits"} <= set(report.done)
    assert set(report.done) | set(report.missing) >= {"files", "no_network"}


async def test_no_socket_of_any_family(sandbox: Sandbox) -> None:
    if "no_network" not in (await probe(sandbox)).done:
        pytest.skip("no seccomp here")
    code = (
        "import socket\nfor f in (1, 2, 10, 16, 17):\n"
        " try: socket.socket(f); print('open', f)\n except OSError: print('no')"
    )
    assert (await run(sandbox, code)).split() == ["no"] * 5
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ask = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('reached')"
        assert "PermissionError" in await run(sandbox, ask)
        with_network = sandbox.with_network(sandbox.scratch, (), {})
        assert (await run(with_network, ask)).strip() == "reached"


async def test_files_of_others_cannot_be_read_or_written(sandbox: Sandbox, bait: Path) -> None:
    if "files" not in (await probe(sandbox)).done:
        pytest.skip("no Landlock here")
    for path in (bait / "secret.json", Path("/etc/passwd"), Path(__file__)):
        assert "PermissionError" in await run(sandbox, f"print(open({str(path)!r}).read())")
    assert "Error" in await run(sandbox, f"open({str(bait / 'new')!r}, 'w')")
    assert "fine" in await run(
        sandbox, f"open({str(sandbox.scratch / 'new')!r}, 'w').write('x'); print('fine')"
    )


async def test_limits_of_memory_files_and_descriptors(sandbox: Sandbox) -> None:
    small = replace(sandbox, data_bytes=2**28, file_bytes=1000, descriptors=32, cpu_secs=1)
    assert "MemoryError" in await run(small, "bytearray(2**29)")
    assert "Errno 24" in await run(small, "import os\nwhile True: os.dup(0)")
    file = str(sandbox.scratch / "large")
    await run(small, f"open({file!r}, 'wb').write(b'x' * 5000)")
    assert (await trio.Path(file).stat()).st_size <= 1000
    assert await run(small, "while True: pass") == "", "CPU time ends it"


async def test_the_environment_is_empty_and_the_user_nobody_else(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "s3cret")
    said = await run(sandbox, "import os; print(sorted(os.environ), os.getuid(), os.getgroups())")
    assert "DISCORD_TOKEN" not in said
    if sandbox.uid is not None:
        assert f"{sandbox.uid} [" in said
        assert "Error" in await run(sandbox, "import os; os.setuid(0)")
