"""The command line as its users meet it: real processes of `python -m flora` against a served API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import trio

from flora.engine.api import LogLevel
from flora.storage.datadir import DataDirectory
from tests.api.served import GARDEN, OPERATOR_SECRET, Served, until

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> object:
        return json.loads(self.out)


Flora = Callable[..., Awaitable[Ran]]


def environment(home: Path, **extra: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(REPOSITORY),
        "FLORA_DATA_DIR": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        **extra,
    }


@pytest.fixture
def flora(served: Served, tmp_path: Path) -> Flora:
    """Runs `flora` with these arguments in an empty folder, talking to the served API."""

    async def run(*arguments: str, env: Mapping[str, str] | None = None) -> Ran:
        target = {"FLORA_API_URL": served.url, "FLORA_TOKEN": OPERATOR_SECRET} if env is None else env
        with trio.fail_after(60):
            done = await trio.run_process(
                [sys.executable, "-m", "flora", *arguments],
                capture_stdout=True,
                capture_stderr=True,
                stdin=subprocess.DEVNULL,
                check=False,
                cwd=tmp_path,
                env=environment(tmp_path, **target),
            )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def project(folder: Path, source: str = "console.log('hi from the bot')\n") -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "src/main.ts").write_text(source)
    return folder


async def test_deploy_builds_a_project_and_runs_it(flora: Flora, served: Served, tmp_path: Path) -> None:
    project(tmp_path / "bot")
    ran = await flora("deploy", "--guild", GARDEN, "--root", "bot")
    assert (ran.code, ran.err) == (0, "")
    running = served.deployer.current[GARDEN]
    assert "hi from the bot" in running.code
    assert json.loads(running.source_map)["version"] == 3
    assert str(running.revision_id) in ran.out
    _, new = served.deployer.revisions[0]
    assert new.source == "cli"
    assert "src/main.ts" in [file.path for file in new.bundle.files]


async def test_deploy_answers_programs_in_json(flora: Flora, tmp_path: Path) -> None:
    project(tmp_path / "bot")
    ran = await flora("deploy", "src/main.ts", "-g", GARDEN, "--root", "bot", "--no-check", "--json")
    assert ran.json["status"] == "success"  # type: ignore[index]


async def test_a_type_error_is_shown_where_it_is_and_nothing_is_deployed(
    flora: Flora, served: Served, tmp_path: Path
) -> None:
    project(tmp_path / "bot", "const x: number = 'text'\nconsole.log(x)\n")
    ran = await flora("deploy", "--guild", GARDEN, "--root", "bot")
    assert ran.code == 1
    assert "src/main.ts:1:7" in ran.err
    assert "Traceback" not in ran.err
    assert served.deployer.revisions == []


async def test_a_script_that_does_not_load_is_refused_with_its_stack(
    flora: Flora, served: Served, tmp_path: Path
) -> None:
    project(tmp_path / "bot", "throw new Error('no')\n")
    ran = await flora("deploy", "--guild", GARDEN, "--root", "bot")
    assert ran.code == 1
    assert "TypeError: x is not a function" in ran.err
    assert "at src/main.ts:3:7" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("deploy",),
        ("deploy", "--guild", GARDEN, "--root", "nowhere"),
        ("logs",),
        ("logs", GARDEN, "--level", "loud"),
        ("logs", GARDEN, "--since", "yesterday"),
        ("logs", GARDEN, "--limit", "-1"),
        ("deployments", "history", GARDEN, "--limit", "0"),
        ("nonsense",),
        ("health", "--api", "ftp://x"),
    ],
)
async def test_a_wrong_command_is_a_usage_error(flora: Flora, arguments: tuple[str, ...]) -> None:
    ran = await flora(*arguments)
    assert ran.code == 2
    assert ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", [("logs", "garden"), ("undeploy", "0x1"), ("deployments", "show", "1 2")])
async def test_what_is_no_guild_is_said_before_anybody_is_asked(
    flora: Flora, command: tuple[str, ...]
) -> None:
    ran = await flora(*command)
    assert ran.code == 1
    assert ran.err.startswith("error: guild_id is not a Discord id")
    assert ran.err.count("\n") == 1


async def test_the_way_back(flora: Flora, served: Served, tmp_path: Path) -> None:
    project(tmp_path / "bot")
    assert (await flora("deployments", "list")).err.startswith("nothing is deployed")
    for _ in range(2):
        await flora("deploy", "--guild", GARDEN, "--root", "bot", "--no-check")
    first = str(served.deployer.revisions[0][0].id)

    listed = (await flora("deployments", "list", "--json")).json
    assert [item["guild_id"] for item in listed["items"]] == [GARDEN]  # type: ignore[index]
    assert GARDEN in (await flora("deployments", "show", GARDEN)).out
    assert "src/main.ts" in (await flora("deployments", "show", GARDEN, first)).out

    rolled = await flora("deployments", "rollback", GARDEN, first)
    assert rolled.code == 0
    history = await flora("deployments", "history", GARDEN)
    assert len(history.out.splitlines()) == 3
    assert (await flora("deployments", "history", GARDEN, "--limit", "1")).err.startswith("older ones")

    stopped = await flora("undeploy", GARDEN)
    assert "flora deployments rollback" in stopped.out
    again = await flora("undeploy", GARDEN)
    assert (again.code, again.err.count("\n")) == (1, 1)


async def test_logs_show_lines_without_anything_a_terminal_would_obey(flora: Flora, served: Served) -> None:
    served.logs.append(GARDEN, LogLevel.WARN, "evil \x1b]0;title\x07\x1b[2J line")
    ran = await flora("logs", GARDEN)
    assert "WARN" in ran.out
    assert "\x1b" not in ran.out
    assert "evil \\x1b]0;title\\x07\\x1b[2J line" in ran.out


async def test_logs_choose_by_level_time_and_number(flora: Flora, served: Served) -> None:
    for level in (LogLevel.DEBUG, LogLevel.INFO, LogLevel.ERROR):
        served.logs.append(GARDEN, level, f"a line of {level}")
    assert len((await flora("logs", GARDEN, "--level", "info")).out.splitlines()) == 2
    assert len((await flora("logs", GARDEN, "-n", "1")).out.splitlines()) == 1
    assert len((await flora("logs", GARDEN, "--since", "1h")).out.splitlines()) == 3
    lines = (await flora("logs", GARDEN, "--json")).out.splitlines()
    assert [json.loads(line)["message"] for line in lines][-1] == "a line of error"


class Network:
    """A way to the API that can break off."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connections: set[trio.CancelScope] = set()
        self.url = ""

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, self._carry, 0, host="127.0.0.1"))
            self.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            task_status.started()

    def break_off(self) -> None:
        for connection in self._connections:
            connection.cancel()

    async def _carry(self, client: trio.SocketStream) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", self._port) as server:
            async with trio.open_nursery() as nursery:
                self._connections.add(nursery.cancel_scope)
                nursery.start_soon(self._copy, client, server)
                await self._copy(server, client)
                nursery.cancel_scope.cancel()
            self._connections.discard(nursery.cancel_scope)

    async def _copy(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        async for data in source:
            await sink.send_all(data)


class Following:
    """A running `flora logs --follow`."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self._text = b""

    async def line(self) -> str:
        assert self.process.stdout is not None
        while b"\n" not in self._text:
            chunk = await self.process.stdout.receive_some(65536)
            assert chunk, "flora logs ended"
            self._text += chunk
        line, _, self._text = self._text.partition(b"\n")
        return line.decode()


async def follow(url: str, tmp_path: Path) -> Following:
    return Following(
        await trio.lowlevel.open_process(
            [sys.executable, "-m", "flora", "logs", GARDEN, "--follow", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment(tmp_path, FLORA_API_URL=url, FLORA_TOKEN=OPERATOR_SECRET),
        )
    )


async def end(following: Following) -> int:
    following.process.terminate()
    with trio.fail_after(10):
        code = await following.process.wait()
    for stream in (following.process.stdout, following.process.stderr):
        assert stream is not None
        await stream.aclose()
    return code


async def test_following_goes_on_over_a_connection_that_breaks_off(
    served: Served, tmp_path: Path, nursery: trio.Nursery
) -> None:
    served.logs.append(GARDEN, LogLevel.INFO, "first")
    network = Network(served.port)
    await nursery.start(network.run)
    following = await follow(network.url, tmp_path)
    try:
        with trio.fail_after(30):
            assert json.loads(await following.line())["message"] == "first"
            await until(lambda: served.logs.statistics().followers == 1)
            network.break_off()
            await until(lambda: served.logs.statistics().followers == 0)
            served.logs.append(GARDEN, LogLevel.INFO, "while it was away")
            assert json.loads(await following.line())["message"] == "while it was away"
            served.logs.append(GARDEN, LogLevel.INFO, "live")
            assert json.loads(await following.line())["message"] == "live"
    finally:
        with trio.CancelScope(shield=True):
            await end(following)


async def test_ctrl_c_ends_following_without_a_complaint(served: Served, tmp_path: Path) -> None:
    following = await follow(served.url, tmp_path)
    try:
        with trio.fail_after(30):
            await until(lambda: served.logs.statistics().followers == 1)
            following.process.send_signal(2)
            assert await following.process.wait() == 0
            assert following.process.stderr is not None
            assert await following.process.stderr.receive_some(1000) == b""
    finally:
        with trio.CancelScope(shield=True):
            await end(following)


async def test_health_tells_scripts_by_its_exit_code(flora: Flora, served: Served) -> None:
    well = await flora("health")
    assert (well.code, "postgres: ok" in well.out) == (0, True)
    served.health.checks = [type(served.health.checks[0])("postgres", False, "gone")]
    ill = await flora("health", "--json")
    assert ill.code == 1
    assert ill.json["status"] == "degraded"  # type: ignore[index]


async def test_actors_show_the_tree(flora: Flora) -> None:
    ran = await flora("actors")
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("/flora/gateway")
    assert (await flora("actors", "--json")).json["items"][0]["restarts"] == 1  # type: ignore[index]


async def test_no_flora_is_one_line_that_says_what_to_do(flora: Flora) -> None:
    ran = await flora("health", env={"FLORA_API_URL": "http://127.0.0.1:9"})
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "flora run" in ran.err


async def test_a_wrong_token_is_one_line_that_says_what_to_do(flora: Flora, served: Served) -> None:
    ran = await flora("actors", env={"FLORA_API_URL": served.url, "FLORA_TOKEN": "wrong"})
    assert ran.code == 1
    assert "FLORA_TOKEN" in ran.err
    assert ran.err.count("\n") == 1


async def test_debug_shows_where_it_failed(flora: Flora) -> None:
    ran = await flora("--debug", "actors", env={"FLORA_API_URL": "http://127.0.0.1:9"})
    assert "Traceback" in ran.err


async def test_the_flora_that_runs_here_needs_no_options(
    flora: Flora, served: Served, tmp_path: Path
) -> None:
    with DataDirectory.open(tmp_path / "data") as directory:
        directory.announce({"api": served.url})
        directory.development_secrets()
        secrets = tmp_path / "data/secrets.toml"
        secret = directory.development_secrets().operator_secret
        secrets.write_text(secrets.read_text().replace(secret, OPERATOR_SECRET))
        assert (await flora("actors", env={})).code == 0


async def test_the_local_secret_goes_to_the_local_flora_only(
    flora: Flora, served: Served, tmp_path: Path
) -> None:
    with DataDirectory.open(tmp_path / "data") as directory:
        directory.announce({"api": "http://127.0.0.1:9"})
        secret = directory.development_secrets().operator_secret
        secrets = tmp_path / "data/secrets.toml"
        secrets.write_text(secrets.read_text().replace(secret, OPERATOR_SECRET))
        ran = await flora("actors", "--api", served.url, env={})
    assert ran.code == 1
    assert "bearer token" in ran.err


async def test_a_broken_configuration_is_one_line(flora: Flora, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[api\n")
    ran = await flora("health", env={})
    assert (ran.code, ran.err.count("\n")) == (2, 1)


async def test_a_reader_that_has_gone_is_no_failure(served: Served, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        with trio.fail_after(60):
            done = await trio.run_process(
                [sys.executable, "-m", "flora", "actors"],
                stdout=write,
                capture_stderr=True,
                check=False,
                cwd=tmp_path,
                env=environment(tmp_path, FLORA_API_URL=served.url, FLORA_TOKEN=OPERATOR_SECRET),
            )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


async def test_the_version(flora: Flora) -> None:
    assert (await flora("--version")).out.startswith("flora 0.")


COMMANDS = [
    ("run",),
    ("playground",),
    ("playground", "say"),
    ("playground", "load"),
    ("deploy",),
    ("build",),
    ("check",),
    ("undeploy",),
    ("deployments", "list"),
    ("deployments", "show"),
    ("deployments", "history"),
    ("deployments", "rollback"),
    ("logs",),
    ("health",),
    ("actors",),
    ("doctor",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_every_command_has_help_with_an_example(flora: Flora, command: tuple[str, ...]) -> None:
    ran = await flora(*command, "--help")
    assert ran.code == 0
    assert "Example: flora" in ran.out


async def test_build_writes_a_bundle_and_its_map(flora: Flora, tmp_path: Path) -> None:
    project(tmp_path / "bot")
    ran = await flora("build", "--root", "bot", "--out", "bundle.js")
    assert ran.code == 0
    assert (tmp_path / "bundle.js").read_text().rstrip().endswith("sourceMappingURL=bundle.js.map")
    assert json.loads((tmp_path / "bundle.js.map").read_text())["version"] == 3


async def test_doctor_finds_what_this_machine_has(flora: Flora) -> None:
    ran = await flora("doctor", "--json", env={})
    found = {item["name"]: item for item in json.loads(ran.out)}
    assert set(found) == {
        "python",
        "configuration",
        "data directory",
        "node",
        "postgres",
        "cache",
        "engine",
        "builds",
    }
    assert all(set(item) == {"name", "status", "detail", "hint"} for item in found.values())
    assert found["python"]["status"] == "ok"
    assert found["engine"]["status"] in ("ok", "warn")


async def test_doctor_says_what_is_wrong(flora: Flora) -> None:
    ran = await flora("doctor", env={"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"})
    assert ran.code == 1
    assert "fail postgres" in ran.out
    assert "Traceback" not in ran.err
