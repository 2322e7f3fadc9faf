"""The `flora` command.

Exit codes: 0 done; 1 it failed, with one line on standard error that says what to do next; 2 the command or
the configuration is wrong; 130 Ctrl-C ended it, except where that is the way to end it well (`flora run`,
`flora dev`, `flora logs --follow`, `flora playground`: 0).
What programs read goes to standard output, everything else to standard error.
"""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flora.errors import FloraError

# What shells say of a command that Ctrl-C has ended: 128 and the number of SIGINT.
INTERRUPTED: Final = 130


def main() -> None:
    """Run the command line and exit."""
    from flora.cli.app import command_line, wants_traceback
    from flora.cli.output import complain
    from flora.errors import FloraError

    try:
        command_line()()
    except (FloraError, ExceptionGroup) as raised:
        # A nursery wraps what its tasks raise; what is in it besides expected failures is a fault.
        expected, fault = (raised, None) if isinstance(raised, FloraError) else raised.split(FloraError)
        if fault is not None or expected is None:
            raise
        if wants_traceback():
            traceback.print_exception(raised)
        error = _first(expected)
        complain(error)
        sys.exit(getattr(error, "exit_code", 1))
    except BaseExceptionGroup as raised:
        # Ctrl-C out of a nursery, perhaps with what it broke there; typer ends a bare one with the same code.
        if raised.split((KeyboardInterrupt, FloraError))[1] is not None:
            raise
        sys.exit(INTERRUPTED)


def _first(error: FloraError | ExceptionGroup[FloraError]) -> FloraError:
    return error if not isinstance(error, ExceptionGroup) else _first(error.exceptions[0])
