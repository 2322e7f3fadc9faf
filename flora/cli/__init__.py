"""The `flora` command.

Exit codes: 0 done; 1 it failed, with one line on standard error that says what to do next; 2 the command or
the configuration is wrong. What programs read goes to standard output, everything else to standard error.
"""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flora.errors import FloraError


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


def _first(error: FloraError | ExceptionGroup[FloraError]) -> FloraError:
    return error if not isinstance(error, ExceptionGroup) else _first(error.exceptions[0])
