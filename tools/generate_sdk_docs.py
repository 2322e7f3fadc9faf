"""`docs/sdk/reference/`: one Markdown page for each section of `sdk/flora.d.ts`.

A section begins with `// ---- its name`. What is declared in it becomes a heading, its comment the text
below, its declaration, members and their comments included, a block of TypeScript. `--check` only says
whether the pages are up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TYPES: Final = ROOT / "sdk" / "flora.d.ts"
PAGES: Final = ROOT / "docs" / "sdk" / "reference"

_SECTION: Final = re.compile(r"^// -{20,} (.+)$", re.MULTILINE)
_MODULE: Final = re.compile(r'^declare module "(.+)" \{\n(.*?)^\}\n', re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"/\*\*(.*?)\*/\n", re.DOTALL)
_NAME: Final = re.compile(
    r"(?:declare )?(?:abstract )?(?:const|var|let|function|class|interface|type|namespace) (\w+)"
)
_LINK: Final = re.compile(r"\{@link ([^}|]+)(?:\|[^}]*)?\}")
_NOTE: Final = "<!-- Made from sdk/flora.d.ts by `python -m tools.generate_sdk_docs`. -->"


@dataclass(frozen=True, slots=True)
class Declared:
    """One declaration: `text` is Markdown, `code` TypeScript."""

    name: str
    text: str
    code: str


def pages(types: str) -> dict[str, str]:
    """File name -> Markdown, with an index as README.md."""
    made: dict[str, str] = {}
    contents: list[str] = []
    for title, body in _sections(types):
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        found = list(declarations(body))
        if not found:
            continue
        parts = [f"# {title[0].upper()}{title[1:]}", _NOTE]
        module = _MODULE.search(body)
        if module is not None:
            intro = _COMMENT.search(body[: module.start()])
            parts += [prose(intro[1])] if intro else []
        for each in found:
            parts.append(f"## {each.name}")
            parts += [each.text] if each.text else []
            parts.append(f"```ts\n{each.code}\n```")
        made[f"{name}.md"] = "\n\n".join(parts) + "\n"
        names = ", ".join(dict.fromkeys(f"`{each.name}`" for each in found))
        contents.append(f"- [{title}]({name}.md): {names}")
    head = (
        "# Reference\n\n"
        + _NOTE
        + "\n\nEverything that a script sees, by area. The tour is in [the guide](../README.md).\n\n"
    )
    made["README.md"] = head + "\n".join(contents) + "\n"
    return made


def _sections(types: str) -> Iterator[tuple[str, str]]:
    marks = list(_SECTION.finditer(types))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        yield mark[1].strip(), types[mark.end() : following.start() if following else len(types)]


def declarations(body: str) -> Iterator[Declared]:
    """What a section declares, in its order; of a module what is in it."""
    module = _MODULE.search(body)
    if module is not None:
        body = dedent(module[2])
    comment, lines = "", body.splitlines(keepends=True)
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("/**"):
            end = at
            while "*/" not in lines[end]:
                end += 1
            comment = "".join(lines[at : end + 1])
            at = end + 1
            continue
        name = _NAME.match(line)
        if name is None:
            comment = comment if line.startswith("  ") else ""
            at += 1
            continue
        end = _end(lines, at)
        text = _COMMENT.search(comment)
        yield Declared(name[1], prose(text[1]) if text else "", "".join(lines[at : end + 1]).rstrip())
        comment, at = "", end + 1


def _end(lines: list[str], at: int) -> int:
    """The last line of the declaration that begins at `at`: brackets closed, and what follows begins anew."""
    depth = 0
    for index in range(at, len(lines)):
        code = re.sub(r"//.*|\"(?:[^\"\\]|\\.)*\"|`[^`]*`", "", lines[index])
        if not code.lstrip().startswith(("*", "/*")):
            depth += sum(code.count(each) for each in "({[") - sum(code.count(each) for each in ")}]")
        following = lines[index + 1] if index + 1 < len(lines) else ""
        if depth <= 0 and (not following.strip() or not following.startswith((" ", ")", "}"))):
            return index
    return len(lines) - 1


def prose(comment: str) -> str:
    """A documentation comment as Markdown."""
    lines = [re.sub(r"^\s*\* ?", "", line).rstrip() for line in comment.strip("\n").splitlines()]
    text = "\n".join(lines).strip()
    text = re.sub(r"^@param (\w+) - ", r"`\1`: ", text, flags=re.MULTILINE)
    return _LINK.sub(lambda link: f"`{link[1].strip()}`", text)


def main(check: bool) -> int:
    wanted = pages(TYPES.read_text("utf-8"))
    there = {file.name: file.read_text("utf-8") for file in PAGES.glob("*.md")}
    if wanted == there:
        return 0
    if check:
        print(
            "docs/sdk/reference is not up to date: run `python -m tools.generate_sdk_docs`", file=sys.stderr
        )
        return 1
    PAGES.mkdir(parents=True, exist_ok=True)
    for name in there.keys() - wanted.keys():
        (PAGES / name).unlink()
    for name, text in wanted.items():
        (PAGES / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
