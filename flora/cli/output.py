"""How the command line speaks: data on standard output, everything else on standard error.

Whatever comes from a server or a script is untrusted: control characters, which could move the cursor or
retitle the terminal, are shown as escapes. Colours only on a terminal and without NO_COLOR.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

from flora.errors import FloraError

CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
STYLES: Final = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "dim": "2", "bold": "1"}


def quiet_logs() -> None:
    """For commands that run parts of flora in this process: of their log only errors, on standard error."""
    from flora.config import LogConfig
    from flora.logs import configure_logging

    configure_logging(LogConfig(level="error"))


def plain(text: object) -> str:
    """Untrusted text without anything that a terminal would obey."""
    return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", str(text))


def styled(text: str, style: str, stream: TextIO | None = None) -> str:
    stream = stream or sys.stdout
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"


def say(text: str = "") -> None:
    """A line for standard output. When its reader has gone (`flora logs ... | head`) the command is done."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def note(text: str) -> None:
    """A line for people only, on standard error."""
    print(text, file=sys.stderr, flush=True)


def say_json(value: Any) -> None:
    """`value` as JSON for programs."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def say_done(word: str, answer: Mapping[str, Any], *keys: str, json: bool) -> None:
    """That something was done, and to what: these keys of the answer; or the answer as JSON."""
    if json:
        say_json(answer)
    else:
        say(" ".join([styled(word, "green"), *(plain(answer[key]) for key in keys)]))


def complain(error: FloraError) -> None:
    """The one line that says what failed and what to do next, and details where the error has them."""
    from flora.build.types import BuildError
    from flora.cli.client import ApiError

    note(f"{styled('error:', 'red', sys.stderr)} {plain(error)}")
    if isinstance(error, BuildError):
        for diagnostic in error.diagnostics:
            note(f"\n{plain(diagnostic)}")
            if diagnostic.code_frame:
                note(plain(diagnostic.code_frame))
    elif isinstance(error, ApiError) and (stack := error.details.get("stack")):
        note(plain(stack))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their widest cell; headers only on a terminal, so that programs need skip none."""
    cells = [[plain(cell).replace("\n", " ") for cell in row] for row in rows]
    if sys.stdout.isatty():
        cells.insert(0, [header.upper() for header in headers])
    widths = [max((len(row[column]) for row in cells), default=0) for column in range(len(headers))]
    for number, row in enumerate(cells):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        say(styled(line, "dim") if number == 0 and sys.stdout.isatty() else line)
