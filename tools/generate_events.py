"""The events of a guild from one schema: what host, SDK and types know of them.

`schema/events.json` says which events there are: name, dispatch, intent, payload. `schema/payloads.json`
says which fields a payload has in `ctx.msg`. A field is written as in TypeScript; `absent` is what scripts
see where Discord sends none (null where the type allows it, unless Discord `always` sends the field).

Writes

- `flora/gateway/event_table.py`: which dispatch needs which intent;
- `flora/gateway/event_payloads.py`: the payloads as Python types;
- `sdk/src/event-table.ts`: names that do not follow from Discord's;
- `sdk/src/payload-defaults.ts`: what is filled in where Discord sends nothing;
- the payloads and the event map in `sdk/flora.d.ts`, from which `docs/sdk/reference/` is made in turn.

`--check` only looks.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
EVENTS: Final = ROOT / "schema" / "events.json"
PAYLOADS: Final = ROOT / "schema" / "payloads.json"
TABLE: Final = ROOT / "flora" / "gateway" / "event_table.py"
SHAPES: Final = ROOT / "flora" / "gateway" / "event_payloads.py"
SCRIPT: Final = ROOT / "sdk" / "src" / "event-table.ts"
DEFAULTS: Final = ROOT / "sdk" / "src" / "payload-defaults.ts"
TYPES: Final = ROOT / "sdk" / "flora.d.ts"
_COMMAND: Final = "by `python -m tools.generate_events`."
_NOTE: Final = f"Made from schema/events.json {_COMMAND}"
_PAYLOADS_NOTE: Final = f"Made from schema/payloads.json {_COMMAND}"
_MAP: Final = re.compile(r"(^interface FloraEventMap \{\n)(?=  ready:).*?(^\}\n)", re.MULTILINE | re.DOTALL)
_SECTION: Final = re.compile(r"(^// -{20,} payloads\n).*?(?=^// -{20,} )", re.MULTILINE | re.DOTALL)
_ELSEWHERE: Final = {
    "string": "str",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "any": "Any",
    "RawJson": "dict[str, Any]",
    "ComponentJson": "dict[str, Any]",
    "Embed": "dict[str, Any]",
    "RunTrigger": "str",
}
"""Types that are no payload's, in Python."""
NOTHING: Final = object()
"""In place of `Field.absent`: Discord always sends the field, or scripts miss it as Discord does."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a payload; `type` is TypeScript."""

    name: str
    type: str
    optional: bool
    description: str
    absent: Any


def wanted() -> dict[Path, str]:
    """What each file should hold."""
    events: list[Json] = json.loads(EVENTS.read_text("utf-8"))
    payloads: dict[str, Json] = json.loads(PAYLOADS.read_text("utf-8"))
    types = TYPES.read_text("utf-8")
    types = _MAP.sub(lambda found: found[1] + _event_map(events) + found[2], types)
    types = _SECTION.sub(lambda found: found[1] + _interfaces(payloads), types)
    return {
        TABLE: _table(events),
        SHAPES: _python(events, payloads),
        SCRIPT: _script(events),
        DEFAULTS: _defaults(payloads),
        TYPES: types,
    }


def own_fields(payload: Json) -> Iterator[Field]:
    """Without those of the payload that it extends."""
    for key, value in payload["fields"].items():
        facts: Json = {"type": value} if isinstance(value, str) else value
        optional = key.endswith("?")
        absent = facts.get("absent", NOTHING)
        if absent is NOTHING and not optional and not facts.get("always") and "| null" in facts["type"]:
            absent = None
        yield Field(key.removesuffix("?"), facts["type"], optional, facts.get("description", ""), absent)


def all_fields(payloads: dict[str, Json], name: str) -> list[Field]:
    """Those of the payload that it extends first."""
    payload = payloads[name]
    base = all_fields(payloads, payload["extends"]) if "extends" in payload else []
    own = {field.name: field for field in own_fields(payload)}
    inherited = [
        field for field in base if field.name not in own and field.name not in payload.get("without", ())
    ]
    return [*inherited, *own.values()]


def _table(events: list[Json]) -> str:
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


def _python(events: list[Json], payloads: dict[str, Json]) -> str:
    lines = [
        f'"""What scripts see of the events, as `ctx.msg`.\n\n{_PAYLOADS_NOTE}\n"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Any, Final, NotRequired, TypedDict",
    ]
    for name, payload in payloads.items():
        lines += ["", "", f"class {name}(TypedDict):"]
        if "description" in payload:
            text = re.sub(r"\{@link ([^}]+)\}", r"`\1`", payload["description"])
            lines += [f'    """{text}"""', ""]
        for field in all_fields(payloads, name):
            kind = _python_type(field.type)
            lines.append(f"    {field.name}: {f'NotRequired[{kind}]' if field.optional else kind}")
    lines += ["", "", "PAYLOADS: Final[dict[str, Any]] = {"]
    lines += [f'    "{event["event"]}": {event["payload"]},' for event in events]
    lines += ["}", '"""By event."""', ""]
    return "\n".join(lines)


def _python_type(written: str) -> str:
    return " | ".join(
        f"list[{_python_type(each[:-2])}]" if each.endswith("[]") else _ELSEWHERE.get(each, each)
        for each in written.split(" | ")
    )


def _script(events: list[Json]) -> str:
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


def _defaults(payloads: dict[str, Json]) -> str:
    lines = [
        f"// {_PAYLOADS_NOTE}",
        "",
        'import type { Json } from "./json";',
        "",
        "/** By payload: fills in what scripts see where Discord sends nothing. */",
        "export const filled = {",
    ]
    for name in payloads:
        absent = [field for field in all_fields(payloads, name) if field.absent is not NOTHING]
        if absent:
            lines.append(f"  {name}(out: Json): Json {{")
            lines += [f"    out.{field.name} ??= {json.dumps(field.absent)};" for field in absent]
            lines += ["    return out;", "  },"]
    return "\n".join([*lines, "};", ""])


def _interfaces(payloads: dict[str, Json]) -> str:
    lines = [f"// {_PAYLOADS_NOTE}", ""]
    for name, payload in payloads.items():
        if "description" in payload:
            lines.append(f"/** {payload['description']} */")
        lines.append(f"interface {name}{_extends(payload)} {{")
        for field in own_fields(payload):
            if field.description:
                lines.append(f"  /** {field.description} */")
            lines.append(f"  {field.name}{'?' if field.optional else ''}: {field.type};")
        if payload.get("open"):
            lines.append(
                "  // What Discord sends, see https://discord.com/developers/docs/events/gateway-events"
            )
            lines.append("  [field: string]: any;")
        lines += ["}", ""]
    return "\n".join(lines) + "\n"


def _extends(payload: Json) -> str:
    if "extends" not in payload:
        return ""
    base: str = payload["extends"]
    without = " | ".join(f'"{each}"' for each in payload.get("without", ()))
    return f" extends Omit<{base}, {without}>" if without else f" extends {base}"


def _event_map(events: list[Json]) -> str:
    lines = []
    for event in events:
        if "description" in event:
            lines.append(f"  /** {event['description']} */")
        context = event.get("context", f"BaseContext<{event['payload']}>")
        lines.append(f"  {event['event']}: {context};")
    return "\n".join(lines) + "\n"


def snake(name: str) -> str:
    """Discord's name of a field."""
    return re.sub(r"[A-Z]", lambda hump: f"_{hump[0].lower()}", name)


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
