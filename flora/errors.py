"""The root of every error that flora raises on purpose.

Each part defines its own errors beside the code that raises them; all derive from `FloraError`, so that
the borders (HTTP API, command line, guild scripts) can turn any of them into an answer without knowing them.
"""

from __future__ import annotations

from typing import ClassVar


class FloraError(Exception):
    """An expected failure with a message for the person who can act on it.

    `code` is a stable machine-readable name in UPPER_SNAKE_CASE, part of the public API.
    `message` says what happened; `hint`, when given, says what to do next.
    """

    code: ClassVar[str] = "FLORA_ERROR"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class StartupError(FloraError):
    """flora cannot start; shown as one line, without a traceback. `exit_code` is the process's."""

    code = "STARTUP_FAILED"

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code
