"""Every template of `flora init`, deployed as it is, does what it says in the playground."""

from __future__ import annotations

from pathlib import Path

import pytest

from flora.playground.demo import ANN, GREENHOUSE
from tests.e2e.running import Flora, eventually


def deploy(flora: Flora, template: str, folder: Path) -> None:
    flora.cli("init", str(folder), "--template", template)
    flora.cli("deploy", "--guild", GREENHOUSE, "--root", str(folder))


def ask(flora: Flora, text: str, user: str = "ann") -> str:
    return flora.say(text, guild="Greenhouse", user=user)


def test_basic(flora: Flora, tmp_path: Path) -> None:
    deploy(flora, "basic", tmp_path)
    assert "pong (a b)" in ask(flora, "!ping a b")
    assert "Hello, Ann!" in ask(flora, "/hello name:Ann")
    assert "Count is now: 1" in ask(flora, "/counter increment")


def test_slash(flora: Flora, tmp_path: Path) -> None:
    deploy(flora, "slash", tmp_path)
    assert "of 20." in ask(flora, "/roll sides:20")
    assert "A tulip in the pot" in ask(flora, "/plant kind:tulip where:pot")


def test_moderation(flora: Flora, tmp_path: Path) -> None:
    deploy(flora, "moderation", tmp_path)
    assert "mind your words" in ask(flora, "Oh HECK no")
    eventually(lambda: "deleted message" in flora.guild_log(GREENHOUSE), "it has gone")
    flora.say("what a checker", guild="Greenhouse", wait=0)
    assert "(1 so far)" in ask(flora, f"/warn user:{ANN} reason:manners", "ben")
    assert "(2 so far)" in ask(flora, f"/warn user:{ANN}", "ben")


def test_empty(flora: Flora, tmp_path: Path) -> None:
    deploy(flora, "empty", tmp_path)
    assert "Hello, ann!" in ask(flora, "hello")


@pytest.mark.parametrize("words", [("--template", "none"), ("--nonsense",)])
def test_wrong_uses(flora: Flora, tmp_path: Path, words: tuple[str, ...]) -> None:
    flora.cli("init", str(tmp_path / "x"), *words, expect=2)
    assert not (tmp_path / "x").exists()
