"""What the documentation names is there: commands, options, configuration, metrics, files, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from flora.cli.app import app
from flora.config import Config, walk_fields

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "sdk").glob("*.md")),
]
IDS: Final = [str(page.relative_to(ROOT)) for page in PAGES]
_SECTIONS: Final = {path.split(".")[0] for path, _, _ in walk_fields(Config) if "." in path}

pages = pytest.mark.parametrize("page", PAGES, ids=IDS)


def _code(page: Path) -> Iterator[str]:
    """Lines of shell blocks, and what stands between backticks in prose."""
    text = page.read_text("utf-8")
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.S | re.M):
        if language == "sh":
            yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


def _prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.S | re.M)


def _commands(page: Path) -> Iterator[list[str]]:
    """The words behind each `flora`, up to what ends a command in a shell."""
    for line in _code(page):
        for found in re.finditer(r"(?:^|[\s/])flora\s+([a-z-].*)", line):
            words = shlex.split(found[1], comments=True)
            end = next((n for n, word in enumerate(words) if word in {"&&", "|", ";", "<", ">"}), None)
            yield words[:end]


@pages
def test_every_command_exists_with_its_options(page: Path) -> None:
    for words in _commands(page):
        command: Any = typer.main.get_command(app)
        rest = list(words)
        while hasattr(command, "commands") and rest and rest[0] in command.commands:
            command = command.commands[rest.pop(0)]
        # A group takes no words but its commands' names and options.
        assert not hasattr(command, "commands") or all(word.startswith("-") for word in rest), words
        options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        used = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert used <= options | {"--help", "--install-completion"}, words


@pages
def test_every_configuration_key_exists(page: Path) -> None:
    paths = {path for path, _, _ in walk_fields(Config)}
    variables = {variable for _, variable, _ in walk_fields(Config)}
    code = list(_code(page))
    sections = "|".join(sorted(_SECTIONS - {"secrets"}))  # `secrets.get` is the SDK's
    named = {
        key for text in code for key in re.findall(rf"^((?:{sections})\.[a-z]+_[a-z_]+)(?: = .*)?$", text)
    }
    assert named <= paths
    prefixes = "|".join(sorted(section.upper() for section in _SECTIONS - {"egress", "secrets"}))
    set_here = {name for text in code for name in re.findall(rf"\b((?:{prefixes})_[A-Z_]+)\b", text)}
    assert set_here <= variables


@pages
def test_every_metric_exists(page: Path) -> None:
    sources = "\n".join(file.read_text("utf-8") for file in (ROOT / "flora").rglob("*.py"))
    made = set(re.findall(r'"(flora_[a-z_]+)"', sources))
    named = set(re.findall(r"`(flora_[a-z_]+)", page.read_text("utf-8")))
    assert {name.removesuffix("_total") for name in named} <= made


def test_every_metric_is_documented() -> None:
    from flora.metrics import Metrics

    text = (ROOT / "docs" / "operators.md").read_text("utf-8")
    missing = [
        family.name
        for family in Metrics().registry.collect()
        if family.name.startswith("flora_") and f"`{family.name}" not in text
    ]
    assert not missing


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.M)
            anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
            assert anchor in anchors, target


@pages
def test_every_file_of_the_tree_that_is_named_exists(page: Path) -> None:
    for text in _code(page):
        for name in re.findall(r"(?:^|\s)((?:tests|flora|tools|sdk|examples)/[\w./-]+)", text):
            assert (ROOT / name).exists(), name
