"""Why a guild process ended: out of its exit status, its last words on stderr, and what flora wanted."""

from __future__ import annotations

import re
import signal

from flora.engine import protocol
from flora.engine.api import ExitKind, ExitReport
from flora.engine.child.guild import EXIT_OUT_OF_MEMORY
from flora.engine.limits import MIB, ProcessLimits

_OUT_OF_MEMORY_TEXT = re.compile(rb"unhandlable oom|out of memory|bad_alloc|MemoryError", re.IGNORECASE)


def classify(status: int | None, said: bytes, *, stopping: bool, limits: ProcessLimits) -> ExitReport:
    """The report of a process that flora did not kill. `status` is as of os.waitstatus_to_exitcode, None
    where nobody knows it; `stopping` whether it had been asked to end.
    """
    if status == EXIT_OUT_OF_MEMORY or _OUT_OF_MEMORY_TEXT.search(said):
        return ExitReport(ExitKind.OUT_OF_MEMORY, memory_reason(limits), status)
    if stopping and status in {0, None}:
        return ExitReport(ExitKind.STOPPED, "stopped", status)
    if status == -signal.SIGXCPU:
        limit = limits.cpu_secs + limits.options.hard_secs
        return ExitReport(
            ExitKind.KILLED, f"JavaScript ran for {limit:g} s and could not be interrupted", status
        )
    text = said.decode("utf-8", "replace").strip()
    if status is not None and status < 0:
        reason = f"it died of {signal.Signals(-status).name}"
    else:
        reason = "it ended" if status is None else f"it ended with code {status}"
    return ExitReport(ExitKind.CRASHED, f"{reason}: {text}" if text else reason, status)


def memory_reason(limits: ProcessLimits) -> str:
    return f"it needed more than {limits.heap_bytes // MIB} MiB of memory"


def is_out_of_memory(error: protocol.ErrorBody) -> bool:
    """SpiderMonkey throws it as a bare string, which says nothing else."""
    return error.message == "out of memory" and not error.stack
