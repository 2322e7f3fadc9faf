"""`flora dev`: every save is live, and nothing is left behind."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import psutil
import pytest

from flora.playground.demo import GREENHOUSE
from tests.build.registry import registry
from tests.e2e.projects import Project
from tests.e2e.running import Flora, all_gone, environment, eventually, running
from tests.e2e.terminal import CTRL_C, Terminal, run, terminal

HELLO = 'createBot({ commands: [{ name: "hi", run: (ctx) => ctx.reply("one") }] });\n'


def started(dev: Terminal, project: Project) -> int:
    shown = dev.until("deployed src/main.ts", 90)
    assert str(project.root) in dev.text
    return shown


def children(dev: Terminal) -> list[psutil.Process]:
    return psutil.Process(dev.process.pid).children(recursive=True)


def test_errors_are_shown_where_they_are_and_what_ran_before_runs_on(flora: Flora, tmp_path: Path) -> None:
    project = Project.write(tmp_path / "bot", main=HELLO)
    main = project.root / "src/main.ts"
    with terminal("dev", str(project.root), "--guild", GREENHOUSE, env=flora.env) as dev:
        shown = started(dev, project)
        assert "Greenhouse" in dev.text
        assert "starting flora" not in dev.text, "it uses the one that runs"
        assert "one" in flora.say("!hi", guild="Greenhouse")

        main.write_text(HELLO + "const wrong = (;\n")
        shown = dev.until("not built: 1 error", after=shown)
        shown = dev.until('src/main.ts:2:16: Unexpected ";"', after=shown)
        dev.until("  2 | const wrong = (;\n    |                ^", after=shown)
        assert "one" in flora.say("!hi", guild="Greenhouse")

        main.write_text(HELLO + '\nthrow new Error("not today");\n')
        shown = dev.until("not deployed: Error: not today", after=shown)
        dev.until('3 | throw new Error("not today");', after=shown)
        assert "one" in flora.say("!hi", guild="Greenhouse")

        main.write_text(HELLO.replace('"one"', '"two"') + 'const count: number = "3";\nconsole.log(count);\n')
        # The check of the types and the deploy run side by side: either may be through first.
        deployed = dev.until("deployed src/main.ts", after=shown)
        checked = dev.until("not assignable to type 'number'", after=shown)
        dev.until('2 | const count: number = "3";', after=checked)
        shown = max(deployed, checked)
        eventually(lambda: "two" in flora.say("!hi", guild="Greenhouse"), "types do not keep it from running")

        main.write_text(
            'on("messageCreate", (ctx) => {\n'
            '  if (ctx.msg.content === "!boom") JSON.parse("null").boom();\n'
            "});\n"
        )
        deployed = dev.until("deployed src/main.ts", after=shown)
        dev.until("types no errors any more", after=shown)
        shown = deployed
        flora.say("!boom", guild="Greenhouse", wait=0)
        shown = dev.until("error TypeError", after=shown)
        dev.until('2 |   if (ctx.msg.content === "!boom") JSON.parse("null").boom();', after=shown)

        dev.press(CTRL_C)
        assert dev.end() == 0
        assert "Traceback" not in dev.text
    assert flora.call("GET", "/health").status_code == 200, "who did not start it does not end it"


def test_it_follows_a_flora_that_is_restarted(tmp_path: Path) -> None:
    project = Project.write(tmp_path / "bot", main=HELLO)
    data = tmp_path / "data"
    with running(data) as flora:
        # Not in the context of this host: it outlives it.
        opened = terminal("dev", str(project.root), env=flora.env)
        dev = opened.__enter__()
        try:
            shown = started(dev, project)
            flora.interrupt()
            assert flora.process.wait(15) == 0
            shown = dev.until("waiting for it to come back", after=shown)
            (project.root / "src/main.ts").write_text(HELLO.replace('"one"', '"two"'))
            with running(data) as again:
                shown = dev.until("flora is back", after=shown)
                shown = dev.until("deployed src/main.ts", after=shown)
                assert "two" in again.say("!hi")
                (project.root / "src/main.ts").write_text('console.log("log works");\n')
                dev.until("log works", after=shown)
                dev.press(CTRL_C)
                assert dev.end() == 0
                assert "Traceback" not in dev.text
        finally:
            opened.__exit__(None, None, None)


def test_a_flora_of_its_own_that_dies_is_started_again(tmp_path: Path) -> None:
    project = Project.write(tmp_path / "bot", main=HELLO)
    env = environment(tmp_path / "data")
    with terminal("dev", str(project.root), env=env) as dev:
        shown = started(dev, project)
        host = next(child for child in children(dev) if "flora.cli.dev.child" in " ".join(child.cmdline()))
        host.kill()
        shown = dev.until("starting it again", after=shown)
        dev.until("flora is back", 90, after=shown)
        eventually(lambda: "one" in run("playground", "say", "!hi", env=env), "it runs again")
        everything = children(dev)
        dev.press(CTRL_C)
        assert dev.end() == 0
        assert all_gone(everything)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_however_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    project = Project.write(tmp_path / "bot", main=HELLO)
    with terminal("dev", str(project.root), env=environment(tmp_path / "data")) as dev:
        started(dev, project)
        everything = children(dev)
        assert len(everything) >= 4
        dev.process.send_signal(number)
        assert dev.end() == (-9 if number == signal.SIGKILL else 0)
        assert all_gone(everything, 20)


def test_nothing_is_left_when_its_terminal_is_closed(tmp_path: Path) -> None:
    project = Project.write(tmp_path / "bot", main=HELLO)
    with terminal("dev", str(project.root), env=environment(tmp_path / "data")) as dev:
        started(dev, project)
        everything = children(dev)
        dev.hang_up()
        dev.process.wait(20)
        assert all_gone(everything, 20)


def test_a_second_ctrl_c_ends_its_flora_at_once(tmp_path: Path) -> None:
    project = Project.write(tmp_path / "bot", main=HELLO)
    with terminal("dev", str(project.root), env=environment(tmp_path / "data")) as dev:
        started(dev, project)
        everything = children(dev)
        host = next(child for child in everything if "flora.cli.dev.child" in " ".join(child.cmdline()))
        # A stopped guild process, a child of the fork server, makes the orderly stop take its time.
        guild = next(child for child in everything if child.ppid() not in (dev.process.pid, host.pid, 1))
        guild.suspend()
        dev.press(CTRL_C)
        eventually(lambda: "again to stop at once" in (tmp_path / "data/dev.log").read_text(), "it is heeded")
        dev.press(CTRL_C)
        assert dev.end(5) == 0
        assert all_gone(everything)


def test_ctrl_c_while_its_flora_starts_ends_both(tmp_path: Path) -> None:
    project = Project.write(tmp_path / "bot", main=HELLO)
    with terminal("dev", str(project.root), env=environment(tmp_path / "data")) as dev:
        dev.until("starting flora")
        everything = eventually(lambda: children(dev) or None, "it has been started")
        dev.press(CTRL_C)
        assert dev.end() == 0
        assert "Traceback" not in dev.text
        assert all_gone(everything)


def test_when_no_flora_can_be_started_it_says_why(tmp_path: Path) -> None:
    project = Project.write(tmp_path / "bot", main=HELLO)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = environment(tmp_path / "data", API_PORT=str(taken.getsockname()[1]))
        text = run("dev", str(project.root), env=env, expect=1)
    assert "flora did not start" in text
    assert "port" in text.lower()
    assert "Traceback" not in text


def test_wrong_uses_are_said(tmp_path: Path) -> None:
    env = environment(tmp_path / "data")
    assert "no folder" in run("dev", str(tmp_path / "none"), env=env, expect=2)
    text = run("dev", str(tmp_path), env={**env, "DISCORD_TOKEN": "a.b.c"}, expect=2)
    assert "--guild" in text
    assert not (tmp_path / "data").exists()


def test_a_project_without_its_entry_waits_for_it(flora: Flora, tmp_path: Path) -> None:
    (tmp_path / "bot").mkdir()
    with terminal("dev", str(tmp_path / "bot"), env=flora.env) as dev:
        shown = dev.until("There is no entry file src/main.ts")
        Project.write(tmp_path / "bot", main='console.log("here I am");\n')
        dev.until("here I am", after=shown)
        dev.press(CTRL_C)
        assert dev.end() == 0


def test_a_package_that_the_project_asks_for_is_installed(flora: Flora, tmp_path: Path) -> None:
    project = Project.write(tmp_path / "bot", main='console.log("none yet");\n')
    with registry() as shop:
        shop.publish("tulip", "1.0.0", 'export const name = "tulip 1.0.0"')
        env = {**flora.env, "npm_config_registry": shop.url, "npm_config_cache": str(tmp_path / "npm")}
        with terminal("dev", str(project.root), env=env) as dev:
            shown = dev.until("none yet")
            (project.root / "package.json").write_text('{"dependencies": {"tulip": "^1"}}')
            shown = dev.until("installing 1 package of package.json", after=shown)
            shown = dev.until("packages ready", after=shown)
            (project.root / "src/main.ts").write_text(
                'import { name } from "tulip";\nconsole.log("a", name);\n'
            )
            dev.until("a tulip 1.0.0", after=shown)
            dev.press(CTRL_C)
            assert dev.end() == 0
