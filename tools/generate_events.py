"""The events of a guild from one schema, `schema/events.json`: what host, SDK and types know of them.

Writes `flora/gateway/event_table.py` (which dispatch needs which intent), `sdk/src/event-table.ts` (names
that do not follow from Discord's) and the event map in `sdk/flora.d.ts` (what handlers get). `--check` only
looks.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
SCHEMA: Final = ROOT / "schema" / "events.json"
PYTHON: Final = ROOT / "flora" / "gateway" / "event_table.py"
SCRIPT: Final = ROOT / "sdk" / "src" / "event-table.ts"
TYPES: Final = ROOT / "sdk" / "flora.d.ts"
_NOTE: Final = "Made from schema/events.json by `python -m tools.generate_events`."
_MAP: Final = re.compile(r"(^interface FloraEventMap \{\n)(?=  ready:).*?(^\}\n)", re.MULTILINE | re.DOTALL)


def wanted() -> dict[Path, str]:
    """What each file should hold."""
    events: list[dict[str, Any]] = json.loads(SCHEMA.read_text("utf-8"))
    return {
        PYTHON: _python(events),
        SCRIPT: _script(events),
        TYPES: _MAP.sub(lambda found: found[1] + _event_map(events) + found[2], TYPES.read_text("utf-8")),
    }


def _python(events: list[dict[str, Any]]) -> str:
    by_intent: dict[str, list[str]] = {}
    for event in events:
        if event["intent"] is not None:
            by_intent.setdefault(event["intent"], []).append(event["dispatch"])
    content = sorted({event["dispatch"] for event in events if event.get("needsContent")})
    lines = [
        f'"""Which dispatch of a guild needs which intent.\n\n{_NOTE}\n"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Final",
        "",
        "DISPATCHES: Final[dict[str, tuple[str, ...]]] = {",
    ]
    for intent, dispatches in by_intent.items():
        if len(dispatches) == 1:
            lines.append(f'    "{intent}": ("{dispatches[0]}",),')
        else:
            lines += [f'    "{intent}": (', *(f'        "{each}",' for each in dispatches), "    ),"]
    lines += ["}", "", "WITH_CONTENT: Final = (", *(f'    "{each}",' for each in content), ")", ""]
    return "\n".join(lines)


def _script(events: list[dict[str, Any]]) -> str:
    other = [each for each in events if "interactionType" not in each]
    renamed = [each for each in other if _camel(each["dispatch"]) != each["event"]]
    interactions = [each for each in events if "interactionType" in each]
    return "\n".join(
        [
            f"// {_NOTE}",
            "",
            "/** Events whose names do not follow from Discord's. */",
            "export const renamed: { readonly [dispatch: string]: string } = {",
            *(f'  {each["dispatch"]}: "{each["event"]}",' for each in renamed),
            "};",
            "",
            "/** Events by the type of their interaction. */",
            "export const interactions: readonly (readonly [type: number, event: string])[] = [",
            *(f'  [{each["interactionType"]}, "{each["event"]}"],' for each in interactions),
            "];",
            "",
        ]
    )


def _event_map(events: list[dict[str, Any]]) -> str:
    lines = []
    for event in events:
        if "description" in event:
            lines.append(f"  /** {event['description']} */")
        lines.append(f"  {event['event']}: {event['context']};")
    return "\n".join(lines) + "\n"


def _camel(dispatch: str) -> str:
    return re.sub(r"_(.)", lambda found: found[1].upper(), dispatch.lower())


def main(check: bool) -> int:
    old = [path for path, text in wanted().items() if not path.is_file() or path.read_text("utf-8") != text]
    if check and old:
        names = ", ".join(path.relative_to(ROOT).as_posix() for path in old)
        print(f"{names}: run `python -m tools.generate_events`", file=sys.stderr)
        return 1
    for path, text in wanted().items():
        if path in old:
            path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
