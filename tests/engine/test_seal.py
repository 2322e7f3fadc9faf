"""What is left to somebody who has taken over a guild process, Python and all."""

from __future__ import annotations

import errno
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from flora.engine.api import DispatchTimeoutError, ExitKind
from flora.engine.child import seccomp
from flora.engine.child.seal import GUILD_UID_BASE
from flora.engine.limits import EngineOptions
from flora.engine.report import SealLevel
from flora.errors import StartupError

from .conftest import GUILD, RecordingHost, event, eventually, exists, open_descriptors, running_engine, start

AS_ROOT = os.geteuid() == 0

# A fork server whose guild processes run ATTACK, arbitrary Python, right after the seal, and tell what
# came of it. Everything it needs is imported before: a sealed process can open no file.
TAKEN_OVER = """
import sys
sys.path.insert(0, sys.argv[1])
import ctypes, fcntl, json, os, resource, select, signal, socket, threading, time
import child.guild
from child.zygote import main

libc = ctypes.CDLL(None, use_errno=True)
zygote = os.getpid()
host = os.getppid()

def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), 'refused')
    return result

def attack(guild):
    outcomes = {}
    def attempt(name, action):
        try:
            outcomes[name] = repr(action())
        except OSError as error:
            outcomes[name] = error.errno
        except BaseException as error:
            outcomes[name] = type(error).__name__
    ATTACK
    guild.announce(json.dumps({"t": "log", "level": "info", "d": 0, "text": json.dumps(outcomes)}))

serve = child.guild.Guild.serve
child.guild.Guild.serve = lambda guild: (attack(guild), serve(guild))
main(*map(int, sys.argv[2:5]))
"""


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def taken_over(attack: str) -> EngineOptions:
    body = attack.replace("\n", "\n    ")
    return EngineOptions(bootstrap=TAKEN_OVER.replace("ATTACK", body), self_test=True)


async def outcome_of(attack: str, **config: Any) -> tuple[dict[str, Any], SealLevel]:
    host = RecordingHost()
    async with running_engine(options=taken_over(attack), **config) as engine:
        await engine.spawn(GUILD, host)
        await eventually(lambda: bool(host.lines))
        return json.loads(host.texts()[0]), engine.report().seal


ATTACKS = """
attempt('read a file', lambda: open('/etc/passwd').read())
attempt('write a file', lambda: open('/tmp/flora-escaped', 'w'))
attempt('list a folder', lambda: os.listdir('/'))
attempt('read the environment', lambda: open('/proc/self/environ').read())
attempt('write to proc', lambda: open('/proc/self/oom_score_adj', 'w'))
attempt('read memory', lambda: open('/proc/%d/mem' % host))
attempt('socket', lambda: socket.socket())
attempt('unix socket', lambda: socket.socket(socket.AF_UNIX))
attempt('socket pair', lambda: socket.socketpair())
attempt('fork', os.fork)
attempt('posix_spawn', lambda: os.posix_spawn('/bin/true', ['true'], {}))
attempt('exec', lambda: os.execv('/bin/true', ['true']))
attempt('kill the host', lambda: os.kill(host, signal.SIGKILL))
attempt('kill the fork server', lambda: os.kill(zygote, signal.SIGKILL))
attempt('kill all', lambda: os.kill(-1, signal.SIGKILL))
attempt('signal a thread', lambda: call(234, host, host, 9))
attempt('ptrace', lambda: call(101, 16, host, 0, 0))
attempt('process_vm_readv', lambda: call(310, host, 0, 0, 0, 0, 0))
attempt('mount', lambda: call(165, 0, 0, 0, 0, 0))
attempt('unshare', lambda: call(272, 0x10000000))
attempt('clone a process', lambda: call(56, 17, 0, 0, 0, 0))
attempt('clone a namespace', lambda: call(56, 0x10000000 | 17, 0, 0, 0, 0))
attempt('clone a thread with a namespace', lambda: call(56, 0x10000000 | 0x10900, 0, 0, 0, 0))
attempt('clone3', lambda: call(435, 0, 0))
attempt('vfork', lambda: call(58))
attempt('setuid', lambda: os.setuid(0))
attempt('setresuid', lambda: os.setresuid(0, 0, 0))
attempt('chroot', lambda: os.chroot('/'))
attempt('raise a limit', lambda: call(302, 0, 7, 0, 0))
attempt('become traceable', lambda: call(157, 4, 1, 0, 0, 0))
attempt('another filter', lambda: call(317, 1, 0, 0))
attempt('memfd', lambda: os.memfd_create('x'))
attempt('dup', lambda: os.dup(3))
attempt('pipe', os.pipe)
attempt('epoll', select.epoll)
attempt('let go of the host', lambda: fcntl.fcntl(2, fcntl.F_SETFL, 0))
attempt('close the lifeline', lambda: os.close(2))
attempt('send a descriptor', lambda: socket.send_fds(guild._link, [b'x'], [0]))
attempt('io_uring', lambda: call(425, 1, 0))
attempt('bpf', lambda: call(321, 0, 0, 0))
attempt('userfaultfd', lambda: call(323, 0))
attempt('perf', lambda: call(298, 0, 0, 0, 0, 0))
attempt('keyctl', lambda: call(250, 0, 0, 0, 0))
attempt('reboot', lambda: call(169, 0, 0, 0))
attempt('ioctl', lambda: call(16, 3, 0x541B, 0))
attempt('new timer', lambda: call(222, 0, 0, 0))
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the attacks use this machine's call numbers")
async def test_a_taken_over_process_reaches_nothing() -> None:
    outcomes, level = await outcome_of(ATTACKS)
    assert level is SealLevel.FULL
    assert outcomes.pop("clone3") == errno.ENOSYS
    assert set(outcomes.values()) == {errno.EPERM}, {k: v for k, v in outcomes.items() if v != errno.EPERM}
    assert len(outcomes) >= 40


async def test_it_may_compute_and_start_threads_of_its_own_within_limits() -> None:
    outcomes, _ = await outcome_of(
        """
attempt('thread', lambda: (t := threading.Thread(target=lambda: None), t.start(), t.join()) and 1)
attempt('clock', lambda: time.time() > 0)
stop = threading.Event()
def pile_up():
    for count in range(1000):
        threading.Thread(target=stop.wait, daemon=True).start()
attempt('a thousand threads', pile_up)
stop.set()
"""
    )
    assert outcomes["thread"] == "1"
    assert outcomes["clock"] == "True"
    if AS_ROOT:  # a user of its own, whose processes and threads are counted
        assert outcomes["a thousand threads"] == "RuntimeError"


async def test_without_the_compiler_there_is_no_executable_memory() -> None:
    attack = """
def executable(flags):
    libc.mmap.restype = ctypes.c_void_p
    if libc.mmap(None, ctypes.c_size_t(4096), flags, 0x22, -1, 0) == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), 'refused')
attempt('plain memory', lambda: executable(3))
attempt('executable memory', lambda: executable(7))
"""
    outcomes, _ = await outcome_of(attack, jit="off")
    assert outcomes == {"plain memory": "None", "executable memory": errno.EPERM}
    outcomes, _ = await outcome_of(attack, jit="on")
    assert outcomes == {"plain memory": "None", "executable memory": "None"}


@pytest.mark.skipif(not AS_ROOT, reason="only root can change users")
async def test_each_guild_is_a_user_of_its_own_in_an_empty_directory() -> None:
    async with running_engine() as engine:
        for process in [await engine.spawn(GUILD, RecordingHost()) for _ in range(2)]:
            status = read(f"/proc/{process.pid}/status").decode()
            facts = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
            identity = str(GUILD_UID_BASE + process.pid)
            assert facts["Uid"].split() == [identity] * 4
            assert facts["Gid"].split() == [identity] * 4
            assert facts["Groups"].strip() == ""
            assert (facts["CapPrm"], facts["CapEff"]) == ("0" * 16, "0" * 16)
            assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
            assert os.listdir(f"/proc/{process.pid}/root") == []


@pytest.mark.skipif(not AS_ROOT, reason="another user's /proc is closed to us")
async def test_a_guild_has_four_descriptors_and_an_empty_environment() -> None:
    async with running_engine() as engine:
        process = await start(engine, "1")
        folder = Path(f"/proc/{process.pid}/fd")
        assert sorted(os.listdir(folder)) == ["0", "1", "2", "3"]
        assert [os.readlink(folder / name).partition(":")[0] for name in "0123"] == [
            "/dev/null",
            "/dev/null",
            "pipe",
            "socket",
        ]
        environment = read(f"/proc/{process.pid}/environ")
        assert not environment or environment.startswith(b"LD_LIBRARY_PATH=")


async def test_the_seal_can_be_made_a_condition() -> None:
    async with running_engine(require_seal=True) as engine:
        assert engine.report().seal is SealLevel.FULL
    unsealed = EngineOptions(seccomp=False)
    with pytest.RaisesGroup(
        pytest.RaisesExc(StartupError, match="seccomp: turned off"), flatten_subgroups=True
    ):
        async with running_engine(options=unsealed, require_seal=True):
            pass
    async with running_engine(options=unsealed) as engine:
        report = engine.report()
        assert report.seal is (SealLevel.PARTIAL if AS_ROOT else SealLevel.NONE)
        assert report.unsealed["seccomp"] == "turned off"
        assert not report.jit  # "auto": only where the seal is active
        assert any("not sealed: seccomp" in line for line in report.lines())


async def test_a_taken_over_process_that_sends_garbage_is_killed() -> None:
    frames = {
        "huge": b"\xff\xff\xff\x7f",
        "empty": b"\0\0\0\0",
        "not JSON": b"\x04\0\0\0nope",
        "unknown": b'\x0b\0\0\0{"t":"zzz"}',
        "extra field": b'\x18\0\0\0{"t":"done","id":1,"x":1}'[:4] + b'{"t":"done","id":1,"x":1}',
    }
    frames["extra field"] = struct.pack("<I", 25) + b'{"t":"done","id":1,"x":1}'
    for name, data in frames.items():
        options = taken_over(f"guild._link.sendall({data!r})")
        options = EngineOptions(bootstrap=options.bootstrap, self_test=False)
        async with running_engine(options=options) as engine:
            process = await engine.spawn(GUILD, RecordingHost())
            report = await process.wait()
            assert report.kind is ExitKind.KILLED, name
            assert "frame" in report.reason, name


async def test_a_taken_over_process_that_keeps_silent_is_found_out_by_its_first_late_event() -> None:
    options = taken_over("while True: pass")
    options = EngineOptions(bootstrap=options.bootstrap, self_test=False, answer_secs=0.5)
    async with running_engine(options=options) as engine:
        process = await engine.spawn(GUILD, RecordingHost())
        assert await process.idleness(timeout_secs=0.1) is None
        with pytest.raises(DispatchTimeoutError):
            await process.dispatch(event(wall_secs=0.1))
        report = await process.wait()
        assert report.kind is ExitKind.KILLED
        assert "sign of life" in report.reason


async def test_no_descriptor_is_left_behind() -> None:
    async with running_engine() as engine:
        await start(engine, "1")
    before = open_descriptors()
    async with running_engine() as engine:
        for _ in range(20):
            process = await start(engine, "1")
            await process.stop()
        alive: list[int] = [(await start(engine, "1")).pid for _ in range(5)]
    assert open_descriptors() == before
    assert not any(exists(pid) for pid in alive)


def verdict(program: bytes, *, arch: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """Run a classic BPF program as the kernel does, with the instructions that ours are made of."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *(*arguments, *([0] * (6 - len(arguments)))))
    steps = list(struct.iter_unpack("<HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, k = steps[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x54:
                accumulator &= k
            case 0x15:
                at += if_true if accumulator == k else if_false
            case 0x35:
                at += if_true if accumulator >= k else if_false
            case 0x45:
                at += if_true if accumulator & k else if_false
            case 0x06:
                return int(k)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50001, 0x50026


@pytest.mark.parametrize("name", sorted(seccomp.ARCHITECTURES))
@pytest.mark.parametrize("executable", [True, False])
def test_the_filter_allows_its_list_and_nothing_else(name: str, executable: bool) -> None:
    architecture = seccomp.ARCHITECTURES[name]
    other = next(a for a in seccomp.ARCHITECTURES.values() if a is not architecture)
    program = seccomp.build_filter(architecture, executable_memory=executable)

    def ask(call: str | int, *arguments: int) -> int:
        number = architecture.calls[call] if isinstance(call, str) else call
        return verdict(program, arch=architecture.audit, number=number, arguments=arguments)

    checked = {"clone", "clone3", "prctl", "sched_setattr", "sched_setaffinity", "mmap", "mprotect"}
    for call in architecture.calls.keys() - checked:
        assert ask(call, 2**32 - 1, 2**32 - 1, 2**32 - 1) == ALLOW, call
    for number in set(range(600)) - set(architecture.calls.values()):
        assert ask(number) == EPERM, number
    thread = 0x3D0F00  # what glibc passes for a thread
    assert ask("clone", thread) == ALLOW
    for flags in (
        17,
        thread & ~0x10000,
        thread & ~0x100,
        thread | 0x10000000,
        thread | 0x20000,
        thread | 0x4000,
    ):
        assert ask("clone", flags) == EPERM, hex(flags)
    assert ask("clone3") == ENOSYS
    assert (ask("prctl", 15), ask("prctl", 0x53564D41), ask("prctl", 4)) == (ALLOW, ALLOW, EPERM)
    for call in ("sched_setattr", "sched_setaffinity"):
        assert ask(call, 0, 4096) == ALLOW
        for other_thread in (1, 4096, 2**32 - 1):
            assert ask(call, other_thread, 4096) == EPERM, other_thread
    for call in ("mmap", "mprotect"):
        assert ask(call, 0, 4096, 3) == ALLOW
        assert ask(call, 0, 4096, 7) == (ALLOW if executable else EPERM)
    for arch in (other.audit, 0x40000003, 0):
        assert verdict(program, arch=arch, number=0) == KILL
    if name == "x86_64":
        assert ask(0x40000000 | 39) == KILL
