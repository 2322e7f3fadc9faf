"""What a build gives: values shared by the builder, the deployment service and the command line."""

from __future__ import annotations

from dataclasses import dataclass

from flora.errors import FloraError


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a project; `path` is relative to the project's root, with forward slashes."""

    path: str
    contents: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A project as one JavaScript file with its version 3 source map (JSON text)."""

    entry_point: str
    code: str
    source_map: str
    files: tuple[SourceFile, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding of the compiler; `line` and `column` count from 1, 0 when there is no position."""

    path: str
    line: int
    column: int
    message: str
    code_frame: str = ""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}:{self.column}: " if self.line else ""
        return f"{where}{self.message}"


class BuildError(FloraError):
    code = "BUILD_FAILED"

    def __init__(self, message: str, diagnostics: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__(message)
        self.diagnostics = diagnostics
