"""Write config.template.toml from flora/config.py, or check that it is up to date.

python -m tools.config_template [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from flora.config import Config, walk_fields

TEMPLATE = Path(__file__).parent.parent / "config.template.toml"

HEADER = """\
# flora's configuration. Copy it to config.toml and uncomment what you want to change: every value has a
# default that works. The environment wins over this file; the variable stands behind each description.
"""


def render() -> str:
    """The template: every field with its description, variable and default, commented out."""
    lines = [HEADER]
    section = ""
    for path, variable, field in walk_fields(Config):
        table, _, name = path.rpartition(".")
        if table != section:
            section = table
            lines.append(f"[{table}]")
        lines.append(f"# {field.description} ({variable})")
        lines.append(f"# {name} = {_toml(field.default)}\n")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    match value:
        case None:
            return '""'
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(_toml(item) for item in value)}]"
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case _:
            text = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{text}"'


def main() -> int:
    text = render()
    if "--check" in sys.argv[1:]:
        if TEMPLATE.read_text(encoding="utf-8") == text:
            return 0
        print("config.template.toml is out of date: run python -m tools.config_template", file=sys.stderr)
        return 1
    TEMPLATE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
