"""Where in an author's own files a stack points."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from flora.build.diagnostics import code_frame

# `at name (src/main.ts:3:7)`, or without a name and parentheses
_POSITION: Final = re.compile(r"^\s*at (?:.*\()?([^\s():][^():]*):(\d+):(\d+)\)?$", re.MULTILINE)


def source_frame(root: Path, stack: str) -> str:
    """The source around the innermost position of a stack that is in the project's own files; "" without one.

    `stack` is as `map_stack` writes it.
    """
    for match in _POSITION.finditer(stack):
        if "node_modules" in match[1]:
            continue
        if frame := code_frame(root, match[1], int(match[2]), int(match[3])):
            return frame
    return ""
