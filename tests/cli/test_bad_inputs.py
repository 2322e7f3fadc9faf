"""Bad inputs of every command there is: a usage error or one clear line, never a traceback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flora.cli.app import app
from flora.errors import FloraError
from tests.cli.test_conventions import COMMANDS

GUILD = "100000000000000001"
ARGUMENTS = {
    words: [each for each in command.params if each.param_type_name == "argument"]  # type: ignore[attr-defined]
    for words, command in COMMANDS.items()
}
NEEDY = sorted(words for words, arguments in ARGUMENTS.items() if any(each.required for each in arguments))
BOUNDED = sorted(
    words for words, arguments in ARGUMENTS.items() if not any(each.nargs == -1 for each in arguments)
)
CALLING = sorted(
    words
    for words, command in COMMANDS.items()
    if {"api", "token"} <= {each.name for each in command.params}  # type: ignore[attr-defined]
)


def run(*words: str) -> Result:
    """In this process, as `flora.cli.main` does it but for what it says of errors."""
    return CliRunner().invoke(app, [*words], input="")


def refused(result: Result) -> None:
    assert result.exit_code == 2, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    assert "Usage: " in result.stderr or "Error: " in result.stderr


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, no login, and an address at which nobody answers."""
    monkeypatch.chdir(tmp_path)
    for name in ("FLORA_PROFILE", "FLORA_TOKEN", "FLORA_GUILD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("FLORA_DATA_DIR", str(tmp_path / "data"))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("FLORA_API_URL", f"http://127.0.0.1:{bound.getsockname()[1]}")
        yield


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_an_option_that_does_not_exist(nobody: None, words: str) -> None:
    refused(run(*words.split(), "--nonsense"))


@pytest.mark.parametrize("words", NEEDY)
def test_an_argument_that_is_missing(nobody: None, words: str) -> None:
    refused(run(*words.split()))


@pytest.mark.parametrize("words", BOUNDED)
def test_an_argument_too_many(nobody: None, words: str) -> None:
    values = [sample(each) for each in ARGUMENTS[words]]
    refused(run(*words.split(), *values, "more"))


@pytest.mark.parametrize("words", sorted(w for w in NEEDY if ARGUMENTS[w][0].name == "guild"))
def test_a_guild_that_is_none(nobody: None, words: str) -> None:
    values = [sample(each) for each in ARGUMENTS[words][1:]]
    for guild in ("garden", "0", "1 2", "9" * 30):
        result = run(*words.split(), guild, *values)
        assert isinstance(result.exception, FloraError), (words, guild, result.output)
        assert result.exception.code == "INVALID_SNOWFLAKE"


@pytest.mark.parametrize("words", CALLING)
def test_nobody_answers(nobody: None, words: str, tmp_path: Path) -> None:
    (tmp_path / "entries.jsonl").write_text('{"store": "s", "key": "k", "value": "v"}\n')
    values = [sample(each) for each in ARGUMENTS[words] if each.required]
    needed = [
        part
        for each in COMMANDS[words].params  # type: ignore[attr-defined]
        if each.param_type_name == "option" and (each.required or each.name == "yes")
        for part in (each.opts[0], *([] if each.is_flag else [sample(each)]))
    ]
    result = run(*words.split(), *values, *needed)
    if isinstance(result.exception, FloraError):
        assert result.exception.hint, "it says what to do next"
        assert "\n" not in str(result.exception)
    else:
        refused(result)


def sample(param: Any) -> str:
    """A value that its kind of parameter takes."""
    return {"guild": GUILD, "file": "entries.jsonl"}.get(param.name, "1")
