"""Run a command as the terminal's foreground job, so that Ctrl-C reaches it and nothing above it.

`just` stands above what it runs, in the same job: on Ctrl-C it waits for its recipe and then exits with 130
and an error of its own, whatever the recipe's exit code is. With this between them, Ctrl-C is the command's
alone, and its exit code is the one that `just` returns. Without a terminal, or in the background, the command
simply takes this process's place.

    python tools/foreground.py COMMAND [ARGUMENT...]
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

TERMINAL = 0


def main(command: list[str]) -> int:
    if not in_foreground():
        os.execvp(command[0], command)
    # Who is not in the foreground is stopped on handing the terminal over, unless it ignores this.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(TERMINAL, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr)
            os._exit(127)

    def forward(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    return wait(child)


def in_foreground() -> bool:
    try:
        return os.tcgetpgrp(TERMINAL) == os.getpgrp()
    except OSError:
        return False  # not a terminal, or not ours


def wait(child: int) -> int:
    """Until the command has ended; when it is stopped with Ctrl-Z, this job stops and goes on with it."""
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        os.tcsetpgrp(TERMINAL, os.getpgrp())
        if not os.WIFSTOPPED(status):
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        os.killpg(os.getpgrp(), signal.SIGSTOP)
        if in_foreground():  # `fg`; after `bg` it goes on without the terminal
            os.tcsetpgrp(TERMINAL, child)
        os.killpg(child, signal.SIGCONT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
