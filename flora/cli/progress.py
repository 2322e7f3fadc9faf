"""What a command is doing just now: a line that moves on a terminal, nothing that stays."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

# Built and checked; uploaded; activated.
DEPLOY_STEPS: Final = 3


@dataclass(frozen=True, slots=True)
class Doing:
    """Called with what is done now. `reached` is how many steps are done, of which the last may be a part."""

    say: Callable[[str], None]
    reached: Callable[[float], None] = lambda done: None

    def __call__(self, text: str) -> None:
        self.say(text)


@contextmanager
def working(text: str, *, done: int = 0, steps: int = 0) -> Iterator[Doing]:
    """Show that this goes on, on standard error.

    With `steps`, of which so many are `done`, a bar shows how far that is, unless NO_COLOR is set. Without a
    terminal only what is said meanwhile is printed, a line each.
    """
    from flora.cli.output import note

    if not _is_terminal():
        yield Doing(note)
        return
    from rich.console import Console
    from rich.text import Text

    if steps and not os.environ.get("NO_COLOR"):
        with _bar(text, done, steps) as doing:
            yield doing
        return
    with Console(stderr=True).status(Text(f"{text} …")) as status:
        yield Doing(lambda line: status.update(Text(f"{line} …")))


@contextmanager
def _bar(text: str, done: int, steps: int) -> Iterator[Doing]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    def place(reached: float) -> str:
        return f"{min(int(reached) + 1, steps)}/{steps}"

    columns = (
        SpinnerColumn(),
        BarColumn(),
        TextColumn("{task.fields[place]}"),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        step = bar.add_task(f"{text} …", total=steps, completed=done, place=place(done))
        yield Doing(
            lambda line: bar.update(step, description=f"{line} …"),
            lambda reached: bar.update(step, completed=reached, place=place(reached)),
        )


@contextmanager
def deploying(size: int, *, bar: bool) -> Iterator[Callable[[int], None]]:
    """The last two steps of a deploy: `size` bytes are sent, told of as they are; then it is activated."""
    with working("uploading", done=1, steps=DEPLOY_STEPS if bar else 0) as doing:

        def sent(count: int) -> None:
            doing.reached(1 + count / size)
            if _is_terminal():
                kib = f"{count / 1024:,.1f} of {size / 1024:,.1f} KiB"
                doing("activating" if count >= size else f"uploading {kib}")

        yield sent


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
