"""Logging in, profiles, tokens and the audit log, as real processes against a served API."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from flora.cli.profiles import (
    Profile,
    ProfileError,
    Profiles,
    load_profiles,
    profiles_file,
    save_profiles,
)
from flora.cli.target import resolve_target
from flora.ids import Snowflake
from tests.api.people import ANN, MANAGE_GUILD
from tests.api.served import GARDEN, OPERATOR_SECRET, Served
from tests.cli.test_commands import Flora, Ran, environment, flora

__all__ = ["flora"]

NOTHING_SET: dict[str, str] = {}


async def with_input(text: str, *arguments: str, home: Path, **env: str) -> Ran:
    with trio.fail_after(60):
        done = await trio.run_process(
            [sys.executable, "-m", "flora", *arguments],
            capture_stdout=True,
            capture_stderr=True,
            stdin=text.encode(),
            check=False,
            cwd=home,
            env=environment(home, **env),
        )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


async def log_in(served: Served, home: Path, *more: str, token: str = OPERATOR_SECRET) -> Ran:
    return await with_input(f"{token}\n", "login", served.url, "--with-token", *more, home=home)


async def test_a_token_is_validated_and_kept_for_its_owner_alone(
    flora: Flora, served: Served, tmp_path: Path
) -> None:
    ran = await log_in(served, tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"logged in to {served.url} as the operator (profile default)\n"
    kept = tmp_path / "config/flora/profiles.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert [file.name for file in kept.parent.iterdir()] == ["profiles.json"]

    me = await flora("whoami", "--json", env=NOTHING_SET)
    assert me.json["kind"] == "operator"  # type: ignore[index]
    assert me.json["url"] == served.url  # type: ignore[index]
    assert (await flora("actors", env=NOTHING_SET)).code == 0


async def test_a_token_that_nobody_knows_is_not_kept(served: Served, tmp_path: Path) -> None:
    ran = await log_in(served, tmp_path, token="nonsense")
    assert ran.code == 1
    assert ran.err.startswith(f"error: {served.url} does not know this token.")
    assert "nonsense" not in ran.err
    assert not (tmp_path / "config").exists()
    assert (await log_in(served, tmp_path, token=" ")).code == 2


async def log_in_and_answer(served: Served, home: Path, decision: str, *arguments: str) -> tuple[str, Ran]:
    """`flora login` with what Ann answers in her browser; the page she saw, and how it ended."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "flora", "login", served.url, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=home,
        env=environment(home),
    )
    assert process.stderr is not None
    assert process.stdout is not None
    shown = b""
    try:
        with trio.fail_after(60):
            while b"Waiting for your answer" not in shown:
                shown += (more := await process.stderr.receive_some())
                assert more, shown
            code = next(line.strip() for line in shown.decode().splitlines() if line.startswith("    "))
            async with await served.browser(ANN) as browser:
                page = await browser.get("/auth/device", params={"code": code})
                form = {
                    "user_code": code,
                    "decision": decision,
                    "csrf_token": browser.headers["X-CSRF-Token"],
                }
                answer = await browser.post("/auth/device/confirm", data=form)
                assert answer.status_code == 200, answer.text
            out = b"".join([part async for part in process.stdout])
            err = shown + b"".join([part async for part in process.stderr])
            return page.text, Ran(await process.wait(), out.decode(), err.decode())
    finally:
        process.kill()


async def test_login_through_a_browser(flora: Flora, served: Served, tmp_path: Path) -> None:
    served.discord.permissions[ANN.id, GARDEN] = MANAGE_GUILD
    page, ran = await log_in_and_answer(
        served, tmp_path, "allow", "--guild", GARDEN, "--rights", "deploy", "--days", "3"
    )
    assert "deploy" in page
    assert GARDEN in page
    assert ran.code == 0
    assert ran.out.startswith(f"logged in to {served.url} as ")
    me = (await flora("whoami", "--json", env=NOTHING_SET)).json
    assert me["user"]["id"] == ANN.id  # type: ignore[index]
    assert me["token"]["guild_ids"] == [GARDEN]  # type: ignore[index]
    assert me["token"]["rights"] == "deploy"  # type: ignore[index]
    assert GARDEN in (await flora("whoami", env=NOTHING_SET)).out


async def test_a_login_that_is_denied(served: Served, tmp_path: Path) -> None:
    _, ran = await log_in_and_answer(served, tmp_path, "deny")
    assert (ran.code, ran.out) == (1, "")
    assert "denied" in ran.err
    assert not (tmp_path / "config").exists()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tests' process in an empty folder, with nothing set; of two profiles `prod` is the current one."""
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    for name in ("FLORA_API_URL", "FLORA_TOKEN", "FLORA_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    profiles = Profiles().with_profile("test", Profile("http://test.example:3000", "test-token"))
    save_profiles(profiles.with_profile("prod", Profile("https://prod.example", "prod-token")))
    return tmp_path


def target(api: str | None = None, token: str | None = None) -> tuple[str, str | None]:
    found = resolve_target(api, token)
    return found.url, found.token


TEST = ("http://test.example:3000", "test-token")
PROD = ("https://prod.example", "prod-token")


def test_which_flora_and_which_token(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert target() == PROD, "the last login is the current one"
    (here / "flora.config.ts").write_text('export default { deploy: { profile: "test" } }\n')
    assert target() == TEST, "the project names a profile"
    monkeypatch.setenv("FLORA_PROFILE", "prod")
    assert target() == PROD, "the environment before the project"
    assert target(api="test.example:3000") == TEST, "the token that belongs to this URL"
    monkeypatch.setenv("FLORA_TOKEN", "mine")
    assert target() == ("https://prod.example", "mine"), "the environment's token before the profile's"
    assert target(token="yours") == ("https://prod.example", "yours"), "an option before the environment"
    monkeypatch.setenv("FLORA_API_URL", "http://test.example:3000/")
    assert target() == ("http://test.example:3000", "mine")


def test_a_profile_s_token_goes_nowhere_else(here: Path) -> None:
    for url in ("http://elsewhere.example", "https://test.example:3000", "http://prod.example"):
        assert target(api=url) == (url, None)


def test_profiles_are_there_or_an_error(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLORA_PROFILE", "nobody")
    with pytest.raises(ProfileError, match="flora login --profile nobody"):
        target()
    monkeypatch.setenv("FLORA_PROFILE", "../x")
    with pytest.raises(ProfileError, match="not the name"):
        target()
    monkeypatch.delenv("FLORA_PROFILE")
    save_profiles(load_profiles().without("prod"))
    assert load_profiles().current is None
    assert target()[0].startswith("http://127.0.0.1:"), "the flora that runs here, or would"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"profiles": {"a": 1}}', '{"profiles": {"a": {"url": 1}}}']
)
def test_a_damaged_file_of_profiles(here: Path, content: str) -> None:
    profiles_file().write_text(content)
    with pytest.raises(ProfileError, match="flora login"):
        target()


async def test_the_option_goes_before_the_environment(flora: Flora, served: Served, tmp_path: Path) -> None:
    await log_in(served, tmp_path)
    _, other = await served.tokens.create(Snowflake(ANN.id), rights="read")
    assert (await log_in(served, tmp_path, "--profile", "ann", token=other)).code == 0
    listed = (await flora("profiles", "list", "--json", env=NOTHING_SET)).json
    assert [(each["name"], each["current"]) for each in listed["items"]] == [  # type: ignore[index]
        ("ann", True),
        ("default", False),
    ]
    env = {"FLORA_PROFILE": "default", "FLORA_API_URL": served.url, "FLORA_TOKEN": OPERATOR_SECRET}
    ran = await flora("whoami", "--profile", "ann", "--json", env=env)
    assert ran.json["kind"] == "token"  # type: ignore[index]
    assert (await flora("profiles", "use", "default", env=NOTHING_SET)).code == 0
    missing = await flora("whoami", "--profile", "nobody", env=NOTHING_SET)
    assert (missing.code, missing.err.count("\n")) == (2, 1)


async def test_logout(flora: Flora, served: Served, tmp_path: Path) -> None:
    assert (await flora("logout", env=NOTHING_SET)).err == "you are not logged in.\n"
    await log_in(served, tmp_path)
    ran = await flora("logout", env=NOTHING_SET)
    assert (ran.code, ran.out) == (0, f"logged out of {served.url} (default)\n")
    assert OPERATOR_SECRET not in (tmp_path / "config/flora/profiles.json").read_text()
    assert (await flora("profiles", "list", "--json", env=NOTHING_SET)).json == {"items": []}


async def test_logout_revokes_the_token(flora: Flora, served: Served, tmp_path: Path) -> None:
    token, text = await served.tokens.create(Snowflake(ANN.id), rights="read")
    await log_in(served, tmp_path, token=text)
    kept = await flora("logout", "--keep-token", env=NOTHING_SET)
    assert (kept.code, served.tokens.rows) == (0, {text: token})
    assert f"token {token.id} is still valid" in kept.err
    await log_in(served, tmp_path, token=text)
    ran = await flora("logout", env=NOTHING_SET)
    assert (ran.code, ran.err, served.tokens.rows) == (0, "", {})


async def test_who_logs_out_of_a_flora_that_is_away_is_told_what_is_left(flora: Flora, here: Path) -> None:
    away = Profile("http://127.0.0.1:9", "text", "A" * 12)
    save_profiles(Profiles().with_profile("away", away))
    ran = await flora("logout", env=NOTHING_SET)
    assert (ran.code, ran.out) == (0, "logged out of http://127.0.0.1:9 (away)\n")
    assert "its token was not revoked" in ran.err
    assert f"token {'A' * 12} is still valid" in ran.err
    assert load_profiles().by_name == {}


async def test_tokens(flora: Flora, served: Served) -> None:
    assert (await flora("tokens", "list")).err.startswith("there are none")
    made = await flora("tokens", "create", "--label", "ci", "--rights", "deploy", "-g", GARDEN, "--days", "3")
    text = made.out.strip()
    assert (await served.tokens.verify(text)) is not None
    listed = (await flora("tokens", "list", "--json")).json["items"]  # type: ignore[index]
    assert [(each["label"], each["rights"], each["guild_ids"]) for each in listed] == [
        ("ci", "deploy", [GARDEN])
    ]
    assert text not in json.dumps(listed)
    assert "ci" in (await flora("tokens", "list")).out
    token_id = listed[0]["id"]
    assert (await flora("tokens", "revoke", token_id)).out == f"revoked {token_id}\n"
    assert await served.tokens.verify(text) is None
    assert (await flora("tokens", "revoke", token_id)).code == 1
    assert (await flora("tokens", "create", "--rights", "everything")).code == 2
    assert (await flora("tokens", "create", "--guild", "x")).code != 0


async def test_pause_and_resume(flora: Flora, served: Served) -> None:
    assert (await flora("pause", GARDEN)).code == 1
    await served.deployer.deploy(served.revision(GARDEN))
    ran = await flora("pause", GARDEN)
    assert (ran.code, ran.out) == (
        0,
        f"paused guild {GARDEN}; to start it again:\nflora resume {GARDEN}\n",
    )
    assert served.deployer.paused == {GARDEN}
    assert (await flora("resume", GARDEN)).out == f"resumed guild {GARDEN}, process 4711\n"
    again = await flora("resume", GARDEN, "--json")
    assert (again.code, again.out) == (1, "")


async def test_the_commands_of_a_guild(flora: Flora, served: Served) -> None:
    assert (await flora("commands", GARDEN)).err.startswith("this guild's script has no commands")
    served.commands[GARDEN] = json.dumps(
        [
            {
                "name": "echo",
                "description": "Says \x1b[31mit",
                "options": [
                    {"name": "text", "type": 3, "required": True},
                    {"name": "times", "type": 4},
                ],
            },
            {"name": "tag", "description": "Tags", "options": [{"name": "add", "type": 1}]},
            {"name": "Report", "type": 3},
        ]
    ).encode()
    shown = (await flora("commands", GARDEN)).out
    assert "/echo <text> [times]" in shown
    assert "/tag add" in shown
    assert "message  Report" in shown
    assert "\x1b" not in shown
    listed = (await flora("commands", GARDEN, "--json")).json
    assert [each["name"] for each in listed["items"]] == ["echo", "tag", "Report"]  # type: ignore[index]


async def test_the_audit_log(flora: Flora, served: Served) -> None:
    assert (await flora("audit")).err == "there are no entries.\n"
    await served.deployer.deploy(served.revision(GARDEN))
    await flora("pause", GARDEN)
    shown = await flora("audit", GARDEN)
    assert "guilds.pause" in shown.out
    entries = (await flora("audit", "--limit", "1", "--json")).json["items"]  # type: ignore[index]
    assert entries[0]["guild_id"] == GARDEN
    assert (await flora("audit", "--user", "x")).code != 0
