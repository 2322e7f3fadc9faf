"""What a command is doing just now: a line that moves on a terminal, nothing that stays."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def working(text: str) -> Iterator[Callable[[str], None]]:
    """Show that this goes on, on standard error; gives the function that says what is done now.

    Without a terminal only what is said through that function is printed, a line each.
    """
    from flora.cli.output import note

    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield note
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(f"{text} …")) as status:
        yield lambda line: status.update(Text(f"{line} …"))
