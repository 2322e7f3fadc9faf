"""Ctrl-C on a terminal reaches the command alone, and its exit code is the answer."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOOL = Path(__file__).parent.parent.parent / "tools" / "foreground.py"
COMMAND = """
import signal, sys, time
stopped = []
signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
print("ready", flush=True)
while not stopped:
    time.sleep(0.01)
print("clean end", flush=True)
sys.exit(int(sys.argv[1]))
"""


# Makes its standard input the controlling terminal of its session, then becomes the program.
ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, *argv: str) -> None:
        self.output = b""
        self.fd, inner = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, *argv],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)

    @property
    def pid(self) -> int:
        return self.process.pid

    def until(self, text: bytes, deadline: float = 20.0) -> None:
        end = time.monotonic() + deadline
        while text not in self.output:
            left = end - time.monotonic()
            assert left > 0, self.output
            self._read(left)

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def status(self, deadline: float = 20.0) -> int:
        """The exit code, when everything on the terminal has ended."""
        end = time.monotonic() + deadline
        while self._read(max(0.0, end - time.monotonic())):
            assert time.monotonic() < end, self.output
        return self.process.wait(max(0.0, end - time.monotonic()))

    def _read(self, timeout: float) -> bool:
        if not select.select([self.fd], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.fd, 4096)
        except OSError:  # nobody holds the other side any more
            return False
        self.output += data
        return bool(data)

    def close(self) -> None:
        os.close(self.fd)  # hangs up: whatever is left on the terminal gets SIGHUP
        self.process.kill()
        self.process.wait()


# Stands above the tool as `just` does: it gets the signals of its job and answers them with 130.
PARENT = """
import signal, subprocess, sys
interrupted = []
signal.signal(signal.SIGINT, lambda *_: interrupted.append(1))
code = subprocess.Popen(sys.argv[1:]).wait()
sys.exit(130 if interrupted else code)
"""


@pytest.mark.parametrize("code", [0, 3])
def test_control_c_reaches_the_command_and_nothing_above_it(code: int) -> None:
    tool = [sys.executable, str(TOOL), sys.executable, "-c", COMMAND, str(code)]
    terminal = Terminal(sys.executable, "-c", PARENT, *tool)
    try:
        terminal.until(b"ready")
        terminal.type(b"\x03")
        assert terminal.status() == code
        assert b"clean end" in terminal.output
    finally:
        terminal.close()


def test_the_terminal_is_handed_back() -> None:
    tool = f"{sys.executable} {TOOL} sh -c 'echo ready; exit 4'"
    terminal = Terminal("sh", "-c", f"{tool}; echo code $?; read word; echo got $word")
    try:
        terminal.until(b"code 4")
        terminal.type(b"hello\n")
        assert terminal.status() == 0
        assert b"got hello" in terminal.output
    finally:
        terminal.close()


def test_a_terminated_launcher_ends_the_command() -> None:
    terminal = Terminal(
        sys.executable, str(TOOL), sys.executable, "-c", "print('ready', flush=True); input()"
    )
    try:
        terminal.until(b"ready")
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.status() == 128 + signal.SIGTERM
    finally:
        terminal.close()


def test_without_a_terminal_the_command_takes_its_place() -> None:
    command = [sys.executable, TOOL, "sh", "-c", "echo $$; exit 5"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert (int(said), process.returncode) == (process.pid, 5)


def test_a_command_that_is_not_there_is_one_line() -> None:
    terminal = Terminal(sys.executable, str(TOOL), "./none")
    try:
        assert terminal.status() == 127
        assert b"./none: No such file or directory" in terminal.output
        assert b"Traceback" not in terminal.output
    finally:
        terminal.close()
