"""A command in a terminal of its own: it sees a TTY, and Ctrl-C is a key."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.e2e.running import ROOT, command, eventually

CTRL_C = b"\x03"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process = process
        self._screen = screen
        self._open = True
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def text(self) -> str:
        """Everything shown so far, without colours and movements."""
        return _ESCAPES.sub("", self._shown.decode(errors="replace")).replace("\r\n", "\n")

    def until(self, text: str, secs: float = 30.0, *, after: int = 0) -> int:
        """Wait until `text` is shown behind the position `after`; returns the position behind it."""

        def look() -> int | None:
            ended = self.process.poll() is not None
            found = self.text.find(text, after)
            assert found >= 0 or not ended, f"it ended without {text!r}:\n{self.text}"
            return found + len(text) if found >= 0 else None

        try:
            return eventually(look, text, secs)
        except AssertionError as error:
            raise AssertionError(f"{error} in\n{self.text}") from None

    def press(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    def hang_up(self) -> None:
        """Close the terminal's window."""
        self._close_screen()

    def end(self, secs: float = 30.0) -> int:
        """The exit code, once it has ended by itself."""
        code = self.process.wait(secs)
        self._reader.join(5)
        return code

    def close(self) -> None:
        children = []
        if self.process.poll() is None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            self.process.kill()
            self.process.wait()
        for child in children:
            if child.is_running():
                child.kill()
        self._close_screen()

    def _close_screen(self) -> None:
        if self._open:
            self._open = False
            self._reader.join(5)
            os.close(self._screen)

    def _read(self) -> None:
        # Never blocked in a read: that would keep the terminal open behind a close.
        while self._open:
            if not select.select([self._screen], [], [], 0.05)[0]:
                continue
            try:
                self._shown += os.read(self._screen, 65536)
            except OSError:  # nobody is left on the other side
                return


@contextmanager
def terminal(*words: str, env: Mapping[str, str], cwd: Path = ROOT) -> Iterator[Terminal]:
    """`flora <words>` in a terminal; ended with everything it has started by the end of the block."""
    screen, inside = pty.openpty()
    environment = {**env, "TERM": "xterm", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    try:
        process = subprocess.Popen(
            command(*words),
            env=environment,
            cwd=cwd,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
    finally:
        os.close(inside)
    shown = Terminal(process, screen)
    try:
        yield shown
    finally:
        shown.close()


def run(*words: str, env: Mapping[str, str], cwd: Path = ROOT, expect: int = 0) -> str:
    """Run a command in a terminal to its end; returns what it showed."""
    with terminal(*words, env=env, cwd=cwd) as shown:
        code = shown.end(60)
        assert code == expect, (words, code, shown.text)
        return shown.text
