"""Which system calls a process may make: seccomp-BPF filters (seccomp(2)).

A guild process has an allow list: it may compute, manage its own memory, and read and write the descriptors
it has. Everything else fails with EPERM. A call of another architecture (32-bit, x32) kills the process. What
remains is checked by its arguments:
- clone: only a thread of this process (glibc starts one for each soft interrupt), no process, no namespace;
  clone3 answers ENOSYS, since a filter cannot see its arguments, and glibc falls back to clone
- mmap, mprotect: without PROT_EXEC where the JIT is off
- prctl: only PR_SET_NAME and PR_SET_VMA, which libraries use to name threads and memory
- sched_setattr, sched_setaffinity: only of the calling thread, which can give way to others and has no right
  to take that back (rlimits)
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from .libc import PR_SET_NO_NEW_PRIVS, last_error, prctl, syscall


class Architecture(NamedTuple):
    """AUDIT_ARCH_* and the numbers of the calls (arch/x86/entry/syscalls/syscall_64.tbl,
    asm-generic/unistd.h).
    """

    audit: int
    seccomp: int
    calls: dict[str, int]
    forbidden: dict[str, int]  # to tools


_X86_64 = Architecture(
    audit=0xC000003E,
    seccomp=317,
    calls={
        "read": 0, "write": 1, "poll": 7, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
        "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25,
        "madvise": 28, "nanosleep": 35, "getpid": 39, "sendto": 44, "recvfrom": 45, "clone": 56, "exit": 60,
        "rt_sigtimedwait": 128, "sigaltstack": 131, "prctl": 157, "gettid": 186,
        "futex": 202, "sched_setaffinity": 203, "restart_syscall": 219, "timer_settime": 223,
        "clock_gettime": 228, "clock_getres": 229,
        "clock_nanosleep": 230, "exit_group": 231, "ppoll": 271, "set_robust_list": 273,
        "sched_setattr": 314, "getrandom": 318, "membarrier": 324, "rseq": 334, "clone3": 435,
    },
    forbidden={
        "socket": 41, "clone": 56, "clone3": 435, "ptrace": 101, "process_vm_readv": 310,
        "process_vm_writev": 311, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
        "keyctl": 250, "add_key": 248, "request_key": 249, "bpf": 321, "perf_event_open": 298,
        "userfaultfd": 323, "fsopen": 430, "fsmount": 432, "move_mount": 429, "open_tree": 428,
        "mount_setattr": 442, "init_module": 175, "finit_module": 313, "delete_module": 176,
        "kexec_load": 246, "reboot": 169, "swapon": 167, "pidfd_getfd": 438, "kcmp": 312,
        "open_by_handle_at": 304,
    },
)  # fmt: skip
_AARCH64 = Architecture(
    audit=0xC00000B7,
    seccomp=277,
    calls={
        "read": 63, "write": 64, "ppoll": 73, "exit": 93, "exit_group": 94, "futex": 98,
        "set_robust_list": 99, "nanosleep": 101, "timer_settime": 110, "clock_gettime": 113,
        "clock_getres": 114, "clock_nanosleep": 115, "sched_setaffinity": 122, "sched_yield": 124,
        "restart_syscall": 128,
        "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135,
        "rt_sigtimedwait": 137, "rt_sigreturn": 139, "prctl": 167, "getpid": 172,
        "gettid": 178, "sendto": 206, "recvfrom": 207, "brk": 214, "munmap": 215, "mremap": 216,
        "clone": 220, "mmap": 222, "mprotect": 226, "madvise": 233, "sched_setattr": 274,
        "getrandom": 278, "membarrier": 283,
        "rseq": 293, "clone3": 435,
    },
    forbidden={
        "socket": 198, "clone": 220, "clone3": 435, "ptrace": 117, "process_vm_readv": 270,
        "process_vm_writev": 271, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        "unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51,
        "keyctl": 219, "add_key": 217, "request_key": 218, "bpf": 280, "perf_event_open": 241,
        "userfaultfd": 282, "fsopen": 430, "fsmount": 432, "move_mount": 429, "open_tree": 428,
        "mount_setattr": 442, "init_module": 105, "finit_module": 273, "delete_module": 106,
        "kexec_load": 104, "reboot": 142, "swapon": 224, "pidfd_getfd": 438, "kcmp": 272,
        "open_by_handle_at": 265,
    },
)  # fmt: skip
ARCHITECTURES: Final = {"x86_64": _X86_64, "aarch64": _AARCH64}

_ALLOW: Final = 0x7FFF0000
_KILL_PROCESS: Final = 0x80000000
_ERRNO: Final = 0x00050000

# clone(2) flags of a thread: it shares memory, files and signal handlers; namespaces stay what they are.
_THREAD_FLAGS: Final = 0x00000100 | 0x00000800 | 0x00010000  # CLONE_VM | CLONE_SIGHAND | CLONE_THREAD
_FORBIDDEN_FLAGS: Final = 0x7E020000 | 0x00004000 | 0x00002000  # CLONE_NEW*, CLONE_VFORK, CLONE_PTRACE
_NEW_NAMESPACE: Final = 0x7E020000  # CLONE_NEW*
_FAMILIES: Final = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK (glibc asks it for addresses)
_PROT_EXEC: Final = 4
_PR_SET_NAME: Final = 15
_THIS_THREAD: Final = 0
_PR_SET_VMA: Final = 0x53564D41

# struct seccomp_data: nr, arch, instruction_pointer, args[6]; a filter reads 32 bits at a time.
_NR_AT: Final = 0
_ARCH_AT: Final = 4


def _argument_at(index: int) -> int:
    return 16 + 8 * index  # the low half, little endian


_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_GREATER_EQUAL: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_JUMP_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K

_X32_BIT: Final = 0x40000000


def _step(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, k)


_DENY: Final = _step(_RETURN, _ERRNO | errno.EPERM)
_PERMIT: Final = _step(_RETURN, _ALLOW)


def _checked(*, executable_memory: bool) -> dict[str, list[bytes]]:
    """What decides about a call that is looked at more closely. The last step always returns."""
    own_thread = [_step(_LOAD, _argument_at(0)), _step(_JUMP_EQUAL, _THIS_THREAD, 0, 1), _PERMIT, _DENY]
    checks = {
        "clone": [
            _step(_LOAD, _argument_at(0)),
            _step(_JUMP_ANY_BIT, _FORBIDDEN_FLAGS, 3, 0),
            _step(_AND, _THREAD_FLAGS),
            _step(_JUMP_EQUAL, _THREAD_FLAGS, 0, 1),
            _PERMIT,
            _DENY,
        ],
        "clone3": [_step(_RETURN, _ERRNO | errno.ENOSYS)],
        "prctl": [
            _step(_LOAD, _argument_at(0)),
            _step(_JUMP_EQUAL, _PR_SET_NAME, 1, 0),
            _step(_JUMP_EQUAL, _PR_SET_VMA, 0, 1),
            _PERMIT,
            _DENY,
        ],
        **dict.fromkeys(("sched_setattr", "sched_setaffinity"), own_thread),
    }
    if not executable_memory:
        for name in ("mmap", "mprotect"):
            checks[name] = [
                _step(_LOAD, _argument_at(2)),
                _step(_JUMP_ANY_BIT, _PROT_EXEC, 1, 0),
                _PERMIT,
                _DENY,
            ]
    return checks


def _prologue(architecture: Architecture) -> list[bytes]:
    """A call of another architecture ends the process; the number of the call is loaded."""
    program = [
        _step(_LOAD, _ARCH_AT),
        _step(_JUMP_EQUAL, architecture.audit, 1, 0),
        _step(_RETURN, _KILL_PROCESS),
        _step(_LOAD, _NR_AT),
    ]
    if architecture is _X86_64:
        program += [_step(_JUMP_GREATER_EQUAL, _X32_BIT, 0, 1), _step(_RETURN, _KILL_PROCESS)]
    return program


def _decide(calls: dict[str, int], checks: dict[str, list[bytes]], otherwise: bytes) -> list[bytes]:
    """For each of `calls` its steps in `checks` or `otherwise`; the steps always return."""
    program = []
    for name, number in calls.items():
        steps = checks.get(name, [otherwise])
        program += [_step(_JUMP_EQUAL, number, 0, len(steps)), *steps]
    return program


def build_filter(architecture: Architecture, *, executable_memory: bool) -> bytes:
    """A guild process's filter as `struct sock_filter[]`."""
    checks = _checked(executable_memory=executable_memory)
    return b"".join([*_prologue(architecture), *_decide(architecture.calls, checks, _PERMIT), _DENY])


def build_tool_filter(architecture: Architecture, *, network: bool) -> bytes:
    """A tool's filter as `struct sock_filter[]`; without `network` there is no socket at all."""
    families = [_step(_JUMP_EQUAL, family, len(_FAMILIES) - at, 0) for at, family in enumerate(_FAMILIES)]
    checks = {
        "clone": [
            _step(_LOAD, _argument_at(0)),
            _step(_JUMP_ANY_BIT, _NEW_NAMESPACE, 1, 0),
            _PERMIT,
            _DENY,
        ],
        "clone3": [_step(_RETURN, _ERRNO | errno.ENOSYS)],
        "io_uring_setup": [_step(_RETURN, _ERRNO | errno.ENOSYS)],
    }
    if network:
        checks["socket"] = [_step(_LOAD, _argument_at(0)), *families, _DENY, _PERMIT]
    return b"".join([*_prologue(architecture), *_decide(architecture.forbidden, checks, _DENY), _PERMIT])


_SET_MODE_FILTER: Final = 1
_FLAG_TSYNC: Final = 1


class Filter:
    """What `build` makes for this machine, ready to be installed. Raises OSError on an unknown machine."""

    def __init__(self, build: Callable[[Architecture], bytes]) -> None:
        architecture = ARCHITECTURES.get(platform.machine())
        if architecture is None:
            raise OSError(errno.ENOSYS, f"no system call numbers for {platform.machine()}")
        self._call = architecture.seccomp
        code = build(architecture)
        self._steps = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("<HxxxxxxQ", len(code) // 8, ctypes.addressof(self._steps))
        self._program = ctypes.create_string_buffer(program, len(program))

    def install(self) -> None:
        """Seal every thread of this process, for good. Needs no_new_privs. Raises OSError."""
        result = syscall(
            ctypes.c_long(self._call),
            ctypes.c_ulong(_SET_MODE_FILTER),
            ctypes.c_ulong(_FLAG_TSYNC),
            ctypes.c_void_p(ctypes.addressof(self._program)),
        )
        if result != 0:
            raise last_error("seccomp")


def guild_filter(*, executable_memory: bool) -> Filter:
    """Made in the fork server, installed in each guild process. Raises OSError."""
    return Filter(lambda architecture: build_filter(architecture, executable_memory=executable_memory))


def tool_filter(*, network: bool) -> Filter:
    """Raises OSError."""
    return Filter(lambda architecture: build_tool_filter(architecture, network=network))


def available() -> str:
    """Whether a process may seal itself here: "" or the reason why not. Tried in a child of its own."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            prctl(PR_SET_NO_NEW_PRIVS, 1)
            guild_filter(executable_memory=True).install()
            code = 0
        except OSError as error:
            code = error.errno or 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 0:
        return ""
    return (
        f"seccomp: {os.strerror(code)}" if code > 0 else f"seccomp: the trial process died of signal {-code}"
    )
