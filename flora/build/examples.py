"""Where the example projects are: in a checkout under `examples/`, in an installed package beside its code.

They are complete projects, checked and deployed as they are, and the templates of `flora init`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import flora

ENTRY: Final = "src/main.ts"


def example(name: str) -> Path | None:
    """The folder of the example `name`, None when this installation does not have it."""
    package = Path(flora.__file__).parent
    for candidate in (package.parent / "examples" / name, package / "_examples" / name):
        if (candidate / ENTRY).is_file():
            return candidate
    return None
