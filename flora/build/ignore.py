"""Ignore files in git's syntax (gitignore(5)): which paths of a project are nobody's business.

Patterns are untrusted: matching takes time in proportion to pattern and path, whatever they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A pattern, folder by folder; None is `**`, any number of folders.
_Parts = tuple["re.Pattern[str] | None", ...]
_ANY = re.compile(".+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Rule:
    parts: _Parts
    negated: bool
    only_folders: bool


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """One `.gitignore` or `.ignore`; `base` is its folder relative to the project, "" at the top."""

    base: str
    rules: tuple[_Rule, ...]

    @classmethod
    def parse(cls, text: str, base: str = "") -> IgnoreFile:
        rules = (_rule(line) for line in text.splitlines())
        return cls(base, tuple(rule for rule in rules if rule is not None))

    def verdict(self, path: str, is_folder: bool) -> bool | None:
        """True: ignored; False: wanted after all (`!pattern`); None: this file does not say."""
        if self.base:
            if not path.startswith(f"{self.base}/"):
                return None
            path = path[len(self.base) + 1 :]
        names = path.split("/")
        for rule in reversed(self.rules):  # the last rule that matches decides
            if (is_folder or not rule.only_folders) and _matches(rule.parts, names):
                return not rule.negated
        return None


def is_ignored(path: str, is_folder: bool, files: Sequence[IgnoreFile]) -> bool:
    """Whether `path` is ignored; `files` are those of its folders from the top down, the deepest decides.

    As in git, nothing below an ignored folder is ever asked about: callers do not enter it.
    """
    for file in reversed(files):
        verdict = file.verdict(path, is_folder)
        if verdict is not None:
            return verdict
    return False


def _matches(parts: _Parts, names: Sequence[str]) -> bool:
    # All parts that may come next, so that nothing is ever tried twice.
    reached = _with_skips(parts, {0})
    for name in names:
        following = set[int]()
        for index in reached:
            if index == len(parts):
                continue
            part = parts[index]
            if part is None:
                following.add(index)
            elif part.fullmatch(name):
                following.add(index + 1)
        reached = _with_skips(parts, following)
    return len(parts) in reached


def _with_skips(parts: _Parts, reached: set[int]) -> set[int]:
    for index in sorted(reached):
        following = index
        while following < len(parts) and parts[following] is None:  # `**` may be no folder at all
            following += 1
            reached.add(following)
    return reached


def _rule(line: str) -> _Rule | None:
    line = re.sub(r"(?<!\\) +$", "", line.rstrip("\r\n"))
    if not line or line.startswith("#"):
        return None
    negated = line.startswith("!")
    body = line[1:] if negated else line
    only_folders = body.endswith("/")
    body = body.rstrip("/")
    if not body:
        return None
    # A slash at the start or in the middle ties the pattern to the ignore file's own folder.
    globs = body.lstrip("/").split("/") if "/" in body else ["**", body]
    parts: list[re.Pattern[str] | None] = []
    for index, glob in enumerate(globs):
        if glob != "**":
            try:
                parts.append(_part(glob))
            except re.error:
                return None  # for example a reversed range
        elif index == len(globs) - 1:
            parts += [_ANY, None]  # everything inside, not the folder itself
        elif not parts or parts[-1] is not None:
            parts.append(None)
    return _Rule(tuple(parts), negated, only_folders)


def _part(glob: str) -> re.Pattern[str]:
    """One folder's pattern. Each star takes as little as it can and never gives it back (atomic groups).

    That is right, since the next star can take the rest, and it keeps matching linear.
    """
    pieces = [""]
    position = 0
    while position < len(glob):
        char = glob[position]
        if char == "*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append("")
        elif char == "?":
            pieces[-1] += "."
        elif char == "[" and (end := _class_end(glob, position)):
            members = glob[position + 1 : end]
            inverted = members[0] in "!^"
            escaped = re.sub(r"([\\\[\]&|~^])", r"\\\1", members[1:] if inverted else members)
            pieces[-1] += f"[{'^' if inverted else ''}{escaped}]"
            position = end
        else:
            if char == "\\" and position + 1 < len(glob):
                position += 1
            pieces[-1] += re.escape(glob[position])
        position += 1
    first, *rest = pieces
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return re.compile(first + middle + (f".*{rest[-1]}" if rest else ""), re.DOTALL)


def _class_end(glob: str, start: int) -> int | None:
    first = start + 1 + (glob[start + 1 : start + 2] in ("!", "^"))
    end = glob.find("]", first + 1)
    return end if end > 0 else None
