"""What holds for every command: help with an example, JSON, no colours for programs, exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from typer.core import TyperGroup

from flora.cli import main
from flora.cli.app import command_line
from flora.errors import FloraError
from tests.cli.test_commands import REPOSITORY

# What only shows something. Each of these answers programs, too.
READING = {
    "actors",
    "audit",
    "builds list",
    "builds logs",
    "builds show",
    "commands",
    "cron history",
    "cron list",
    "db status",
    "dead-letters list",
    "dead-letters show",
    "deployments diff",
    "deployments history",
    "deployments list",
    "deployments show",
    "deployments status",
    "doctor",
    "guilds list",
    "guilds show",
    "health",
    "kv backups list",
    "kv get",
    "kv keys",
    "kv stores",
    "logs",
    "profiles list",
    "secrets list",
    "tasks history",
    "tasks list",
    "tokens list",
    "whoami",
    "workers list",
}
AS_FLORA = (
    sys.executable,
    "-c",
    "import sys; sys.argv[0] = 'flora'; from flora.cli import main; main()",
)


def every(group: TyperGroup, path: str = "") -> Iterator[tuple[str, object]]:
    for name, command in group.commands.items():
        words = f"{path} {name}".strip()
        if isinstance(command, TyperGroup):
            yield from every(command, words)
        else:
            yield words, command


COMMANDS = dict(every(command_line()))


def options(words: str) -> set[str]:
    return {flag for each in COMMANDS[words].params for flag in each.opts}  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_every_command_says_what_it_does_and_shows_an_example(words: str) -> None:
    command = COMMANDS[words]
    assert (command.help or "").strip(), words  # type: ignore[attr-defined]
    example = command.epilog or ""  # type: ignore[attr-defined]
    assert example.startswith("Example: flora "), words
    called = re.split(r"[|<&,(]| --?\w| \d", example.removeprefix("Example: flora "))[0]
    assert called.split()[: len(words.split())] == words.split()


def test_every_reading_command_answers_programs() -> None:
    named = {
        words
        for words in COMMANDS
        if words.split()[-1] in ("list", "show", "history", "diff", "status", "get", "stores", "whoami")
    }
    assert named - READING == set(), "a reading command that this test does not know"
    assert READING - set(COMMANDS) == set()
    for words in READING:
        assert "--json" in options(words), words


def test_every_command_that_talks_to_a_flora_takes_the_same_options() -> None:
    for words in COMMANDS:
        if "--token" in options(words):
            assert {"--api", "--profile"} <= options(words), words


@pytest.mark.parametrize(
    "raised",
    [
        BaseExceptionGroup("nursery", [KeyboardInterrupt()]),
        BaseExceptionGroup("nursery", [KeyboardInterrupt(), FloraError("its tool was interrupted, too.")]),
    ],
)
def test_ctrl_c_out_of_a_nursery_is_exit_code_130(
    raised: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise raised

    monkeypatch.setattr("flora.cli.app.command_line", lambda: interrupted)
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 130


def test_a_fault_beside_ctrl_c_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise BaseExceptionGroup("nursery", [KeyboardInterrupt(), ZeroDivisionError()])

    monkeypatch.setattr("flora.cli.app.command_line", lambda: broken)
    with pytest.raises(BaseExceptionGroup):
        main()


def test_every_exit_code_is_documented() -> None:
    users = (REPOSITORY / "docs/users.md").read_text(encoding="utf-8")
    for code in ("0 done", "1 it failed", "2 the command", "130 ended by Ctrl-C"):
        assert code in (command_line().epilog or "")
        assert code in users


def test_completion_names_commands_and_options() -> None:
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "_FLORA_COMPLETE": "complete_bash"}

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        done = subprocess.run(
            AS_FLORA,
            env={**env, "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stderr == ""
        return done.stdout.split()

    assert "deployments" in complete("flora dep")
    assert "rollback" in complete("flora deployments ro")
    assert "--profile" in complete("flora whoami --pro")
    shown = subprocess.run(
        [*AS_FLORA, "--show-completion"],
        env={**env, "_FLORA_COMPLETE": "source_bash"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "complete" in shown.stdout
