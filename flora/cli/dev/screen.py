"""What `flora dev` shows: one stream of lines for people, errors with the source that they point at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from flora.build.positions import source_frame
from flora.build.types import BuildError, Diagnostic
from flora.cli.client import ApiError
from flora.cli.output import plain, say, styled
from flora.errors import FloraError

LEVELS: Final = {"trace": "dim", "debug": "dim", "info": "blue", "warn": "yellow", "error": "red"}


class Screen:
    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def say(self, text: str) -> None:
        say(text)

    def note(self, text: str) -> None:
        """What `flora dev` itself does."""
        say(f"{_now()} {styled(plain(text), 'dim')}")

    def done(self, word: str, text: str) -> None:
        say(f"{_now()} {styled(word, 'green')} {plain(text)}")

    def failed(self, word: str, error: FloraError) -> None:
        """A build or a deploy that was refused; what ran before runs on."""
        if isinstance(error, BuildError) and error.diagnostics:
            self.diagnostics(word, error.diagnostics)
            return
        stack = error.details.get("stack") if isinstance(error, ApiError) else None
        if not isinstance(stack, str):
            say(f"{_now()} {styled(word, 'red')}: {plain(error)}")
            return
        # It begins with the message.
        say(f"{_now()} {styled(word, 'red')}: {plain(stack)}")
        self._show_source(stack)

    def diagnostics(self, word: str, found: Sequence[Diagnostic]) -> None:
        many = f"{len(found)} errors" if len(found) != 1 else "1 error"
        say(f"{_now()} {styled(word, 'red')}: {many}")
        for item in found:
            say(plain(item))
            if item.code_frame:
                say(plain(item.code_frame))

    def log_line(self, line: Mapping[str, Any]) -> None:
        """A line of the guild's log."""
        level, message = str(line["level"]), str(line["message"])
        when = datetime.fromtimestamp(line["timestamp"] / 1000).strftime("%H:%M:%S")
        say(f"{styled(when, 'dim')} {styled(f'{level:<5}', LEVELS.get(level, 'bold'))} {plain(message)}")
        if level == "error":
            self._show_source(message)

    def _show_source(self, stack: str) -> None:
        """The innermost position of a stack that is in the project's own sources."""
        if frame := source_frame(self._root, stack):
            say(plain(frame))


def _now() -> str:
    return styled(datetime.now().strftime("%H:%M:%S"), "dim")
