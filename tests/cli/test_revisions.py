"""Seeing what would change and what has changed, and going back; as real processes against a served API."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flora.actors.deployer import PendingChange
from flora.storage.deployments import Actor
from tests.api.served import GARDEN, OPERATOR_SECRET, Served
from tests.build.registry import registry
from tests.cli.test_commands import Flora, flora, project

__all__ = ["flora"]


def save(tmp_path: Path, source: str) -> None:
    (tmp_path / "bot/src/main.ts").write_text(source)


async def deployed(flora: Flora) -> str:
    ran = await flora("deploy", "-g", GARDEN, "--root", "bot", "--no-check", "--json")
    assert ran.code == 0, ran.err
    return str(ran.json["id"])  # type: ignore[index]


async def test_a_dry_run_shows_the_difference_and_deploys_nothing(
    flora: Flora, served: Served, tmp_path: Path
) -> None:
    project(tmp_path / "bot", "console.log('one')\nconsole.log('same')\n")
    fresh = await flora("deploy", "-g", GARDEN, "--root", "bot", "--dry-run")
    assert fresh.code == 0
    assert fresh.out.splitlines()[:3] == ["--- /dev/null", "+++ b/src/main.ts", "@@ -0,0 +1,2 @@"]
    assert "runs no script" in fresh.err
    assert served.deployer.revisions == []

    revision = await deployed(flora)
    same = await flora("deploy", "-g", GARDEN, "--root", "bot", "--dry-run")
    assert (same.code, same.out) == (0, "")
    assert "no differences" in same.err

    save(tmp_path, "console.log('two')\nconsole.log('same')\n")
    (tmp_path / "bot/src/new.ts").write_text("export {}\n")
    changed = await flora("deploy", "-g", GARDEN, "--root", "bot", "--dry-run")
    assert "-console.log('one')\n+console.log('two')\n console.log('same')\n" in changed.out
    assert "1 added, 1 modified" in changed.err
    assert revision in changed.err
    answer = await flora("deploy", "-g", GARDEN, "--root", "bot", "--dry-run", "--json")
    assert answer.json["running_revision_id"] == revision  # type: ignore[index]
    kinds = [(item["path"], item["kind"]) for item in answer.json["changes"]]  # type: ignore[index]
    assert kinds == [("src/main.ts", "modified"), ("src/new.ts", "added")]
    assert len(served.deployer.revisions) == 1


async def test_a_dry_run_of_a_project_with_errors_fails(flora: Flora, tmp_path: Path) -> None:
    project(tmp_path / "bot", "const x: number = 'text'\nconsole.log(x)\n")
    ran = await flora("deploy", "-g", GARDEN, "--root", "bot", "--dry-run")
    assert (ran.code, ran.out) == (1, "")
    assert "src/main.ts:1:7" in ran.err


async def test_two_revisions_are_compared(flora: Flora, tmp_path: Path) -> None:
    project(tmp_path / "bot", "console.log('one')\n")
    one = await deployed(flora)
    save(tmp_path, "console.log('two')\n")
    two = await deployed(flora)
    ran = await flora("deployments", "diff", GARDEN, one, two)
    assert "-console.log('one')\n+console.log('two')\n" in ran.out
    with_running = await flora("deployments", "diff", GARDEN, one)
    assert with_running.out == ran.out
    backwards = await flora("deployments", "diff", GARDEN, two, one, "--json")
    assert backwards.json["before"] == two  # type: ignore[index]
    assert "+console.log('one')" in backwards.json["changes"][0]["diff"]  # type: ignore[index]
    unknown = await flora("deployments", "diff", GARDEN, one, "0")
    assert (unknown.code, unknown.err.count("\n")) == (1, 1)


async def test_a_deploy_is_seen_while_it_goes_on_and_when_it_has_ended(
    flora: Flora, served: Served, tmp_path: Path
) -> None:
    nothing = await flora("deployments", "status", GARDEN)
    assert (nothing.code, nothing.out.split()) == (0, ["runs", "nothing"])

    project(tmp_path / "bot", "console.log('one')\n")
    one = await deployed(flora)
    save(tmp_path, "throw new Error('no')\n")
    await flora("deploy", "-g", GARDEN, "--root", "bot", "--no-check")
    asked_at = datetime(2026, 6, 1, tzinfo=UTC)
    served.deployer.under_way[GARDEN] = PendingChange("deploy", asked_at, Actor("session", "7", "ann"))
    lines = (await flora("deployments", "status", GARDEN)).out.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["runs", one],
        ["under", "way", "deploy", "2026-06-01T00:00:00", "session", "ann"],
    ]
    assert lines[2].startswith("last failed")
    assert "TypeError: x is not a function" in lines[2]
    assert len(lines) == 3

    served.deployer.under_way[GARDEN] = PendingChange("restore", asked_at, None)
    served.deployer.paused.add(GARDEN)
    lines = (await flora("deployments", "status", GARDEN)).out.splitlines()
    assert lines[0].split() == ["paused", one]
    assert lines[1].split() == ["under", "way", "restore", "2026-06-01T00:00:00", "flora"]
    answer = (await flora("deployments", "status", GARDEN, "--json")).json
    assert answer["changes"][0]["kind"] == "restore"  # type: ignore[index]
    assert answer["last_revision"]["status"] == "failed"  # type: ignore[index]
    assert (await flora("deployments", "status", "7x")).code != 0


async def test_a_sources_control_characters_do_not_reach_the_terminal(flora: Flora, tmp_path: Path) -> None:
    project(tmp_path / "bot", "console.log('\x1b]0;gotcha\x07')\n")
    ran = await flora("deploy", "-g", GARDEN, "--root", "bot", "--dry-run", "--no-check")
    assert "\x1b" not in ran.out
    assert "\\x1b]0;gotcha\\x07" in ran.out


async def test_a_revision_is_deployed_again(flora: Flora, served: Served, tmp_path: Path) -> None:
    project(tmp_path / "bot", "console.log('one')\n")
    one = await deployed(flora)
    save(tmp_path, "console.log('two')\n")
    await deployed(flora)
    preview = await flora("deploy", "-g", GARDEN, "--from-backup", one, "--dry-run")
    assert "+console.log('one')" in preview.out
    assert "two" in served.deployer.current[GARDEN].code
    ran = await flora("deploy", "-g", GARDEN, "--from-backup", one)
    assert ran.code == 0
    assert "deployed src/main.ts to guild" in ran.out
    assert "one" in served.deployer.current[GARDEN].code
    assert served.deployer.revisions[-1][1].source == "cli"


@pytest.mark.parametrize("more", [("src/main.ts",), ("--root", ".")])
async def test_a_revision_and_a_project_exclude_each_other(flora: Flora, more: tuple[str, ...]) -> None:
    ran = await flora("deploy", "-g", GARDEN, "--from-backup", "x", *more)
    assert ran.code == 2
    assert "--from-backup" in ran.err


async def test_packages_are_installed_by_command_and_on_deploy(
    flora: Flora, served: Served, tmp_path: Path
) -> None:
    project(tmp_path / "bot", 'import { name } from "tulip"\nconsole.log(name)\n')
    (tmp_path / "bot/package.json").write_text(json.dumps({"dependencies": {"tulip": "^1"}}))
    environment = {"npm_config_cache": str(tmp_path / "npm"), "npm_config_fetch_retries": "0"}
    with registry() as shop:
        shop.publish("tulip", "1.0.0", 'export const name = "tulip 1.0.0"')
        environment |= {
            "npm_config_registry": shop.url,
            "FLORA_API_URL": served.url,
            "FLORA_TOKEN": OPERATOR_SECRET,
        }
        built = await flora("build", "--root", "bot", env=environment)
        assert built.code == 1, "only deploying installs"
        assert 'The package "tulip" is not installed. Run `flora install`' in built.err

        ran = await flora("deploy", "-g", GARDEN, "--root", "bot", env=environment)
        assert ran.code == 0, ran.err
        assert "installing 1 package" in ran.err
        assert "tulip 1.0.0" in served.deployer.current[GARDEN].code
    again = await flora("install", "--root", "bot", env=environment)
    assert (again.code, again.out, again.err) == (0, "nothing to install\n", "")
    (tmp_path / "bot/package.json").write_text(json.dumps({"dependencies": {"tulip": "^1", "rose": "1"}}))
    offline = await flora("install", "--root", "bot", env=environment)
    assert offline.code == 1
    assert "registry cannot be reached" in offline.err
    assert "Traceback" not in offline.err


async def test_a_dry_run_shows_how_the_commands_differ(flora: Flora, served: Served, tmp_path: Path) -> None:
    bot = project(
        tmp_path / "bot",
        "const run = (ctx: any) => ctx.reply('hi')\n"
        "createBot({ slashCommands: [{ name: 'hello', description: 'Says it', run }] })\n",
    )
    (bot / "flora.config.ts").write_text(f'export default {{ deploy: {{ guild: "{GARDEN}" }} }}\n')
    served.commands[GARDEN] = b'[{"name": "goodbye", "description": "Says it", "type": 1}]'
    answer = (await flora("deploy", "--root", "bot", "--dry-run", "--json")).json
    changes = {change["path"]: change["kind"] for change in answer["commands"]}  # type: ignore[index]
    assert changes == {"slash command goodbye": "removed", "slash command hello": "added"}
    assert answer["commands_unknown"] is None  # type: ignore[index]

    shown = await flora("deploy", "--root", "bot", "--dry-run")
    assert '+  "name": "hello"' in shown.out
    assert "commands: 1 added, 1 removed" in shown.err

    (bot / "src/main.ts").write_text("throw new Error('no such luck')\n")
    shown = await flora("deploy", "--root", "bot", "--dry-run")
    assert shown.code == 0
    assert "how its commands would differ is not known: the script could not be loaded here" in shown.err
    assert "no such luck" in shown.err
    assert served.deployer.revisions == []
