"""Where a value comes from, and what a wrong one says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from flora.config import Config, load_config, walk_fields
from flora.errors import StartupError
from tools.config_template import TEMPLATE, render


def test_every_value_has_a_default() -> None:
    assert load_config(environ={}) == Config()
    assert Config().uses_playground


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[api]\nport = 4000\naddress = "127.0.0.2"\n[discord]\nbot_token = "from the file"\n')
    config = load_config(file, environ={"API_PORT": "5000", "DISCORD_TOKEN": "t"})
    assert (config.api.port, config.api.address) == (5000, "127.0.0.2")
    assert config.discord.bot_token is not None
    assert config.discord.bot_token.get_secret_value() == "t"
    assert not config.uses_playground


def test_an_empty_value_counts_as_unset(tmp_path: Path) -> None:
    assert load_config(environ={"DISCORD_TOKEN": "", "API_PORT": ""}) == Config()
    file = tmp_path / "config.toml"
    file.write_text('[discord]\nbot_token = ""\n')
    assert load_config(file, environ={}) == Config()


def test_secrets_do_not_show() -> None:
    assert "s3cret" not in repr(load_config(environ={"DISCORD_TOKEN": "s3cret"}))


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        ("[runtime]\nmax_workers = 65\n", {}, "runtime.max_workers in .*less than or equal to 64"),
        ("", {"API_PORT": "http"}, "API_PORT: .*valid integer"),
        ("[runtme]\n", {}, "runtme in .*Extra inputs"),
        ("api = 3\n", {"API_PORT": "1"}, "api in "),
        ("port = \n", {}, "is not valid TOML"),
        ('[api]\nsecret = "short"\n', {}, "api.secret in .*32"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, text: str, environ: dict[str, str], message: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(StartupError, match=message) as caught:
        load_config(file, environ)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"cannot read .*none\.toml"):
        load_config(tmp_path / "none.toml", environ={})


def test_every_field_is_described_and_has_a_variable_of_its_own() -> None:
    fields = list(walk_fields())
    assert all(field.description for _, _, field in fields)
    assert len({variable for _, variable, _ in fields}) == len(fields)


def test_the_template_is_up_to_date_and_valid(tmp_path: Path) -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    assert text == render()
    tomllib.loads(text)
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines())
    file = tmp_path / "config.toml"
    file.write_text(uncommented)
    assert load_config(file, environ={}) == Config()
