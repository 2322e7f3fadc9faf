"""What a command is doing just now: a line that moves on a terminal, nothing that stays."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

# Built and checked; uploaded; activated.
DEPLOY_STEPS: Final = 3


@contextmanager
def working(text: str, *, done: int = 0, steps: int = 0) -> Iterator[Callable[[str], None]]:
    """Show that this goes on, on standard error; gives the function that says what is done now.

    Of `steps` it is the one after those that are `done`: a bar shows how far that is, unless NO_COLOR is set.
    Without a terminal only what is said through that function is printed, a line each.
    """
    from flora.cli.output import note

    if not _is_terminal():
        yield note
        return
    from rich.console import Console
    from rich.text import Text

    if steps and not os.environ.get("NO_COLOR"):
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        described = TextColumn("{task.description}", markup=False)
        columns = (SpinnerColumn(), BarColumn(), TextColumn(f"{done + 1}/{steps}"), described)
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            step = bar.add_task(f"{text} …", total=steps, completed=done)
            yield lambda line: bar.update(step, description=f"{line} …")
            bar.update(step, completed=done + 1)
        return
    with Console(stderr=True).status(Text(f"{text} …")) as status:
        yield lambda line: status.update(Text(f"{line} …"))


@contextmanager
def deploying(size: int, *, bar: bool) -> Iterator[Callable[[int], None]]:
    """The last two steps of a deploy: `size` bytes are sent, told of as they are; then it is activated."""
    with working("uploading", done=1, steps=DEPLOY_STEPS if bar else 0) as progress:

        def sent(count: int) -> None:
            if _is_terminal():
                kib = f"{count / 1024:,.1f} of {size / 1024:,.1f} KiB"
                progress("activating" if count >= size else f"uploading {kib}")

        yield sent


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
