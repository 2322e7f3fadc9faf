"""The author's whole day, from an empty folder to an empty guild, at a real terminal."""

from __future__ import annotations

import re
from pathlib import Path

import psutil

from flora.playground.demo import GARDEN
from tests.e2e.running import all_gone, environment
from tests.e2e.terminal import CTRL_C, run, terminal

REVISION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_from_an_empty_folder_to_a_bot_and_back(tmp_path: Path) -> None:
    env = environment(tmp_path / "data")
    bot = tmp_path / "bot"

    made = run("init", "bot", env=env, cwd=tmp_path)
    for following in ("cd bot", "flora dev", "flora test", "flora check", "flora deploy"):
        assert following in made
    assert "no errors" in run("check", env=env, cwd=bot)
    assert "4 passed in 1 file" in run("test", env=env, cwd=bot)

    with terminal("dev", env=env, cwd=bot) as dev:
        shown = dev.until("chat page  http://127.0.0.1:", 90)
        shown = dev.until("deployed src/main.ts", after=shown)
        everything = psutil.Process(dev.process.pid).children(recursive=True)
        assert "pong (a)" in run("playground", "say", "!ping a", env=env)

        ping = bot / "src/commands/ping.ts"
        ping.write_text(ping.read_text().replace('"pong"', '"PONG"').replace("=> ctx", "=> ctx"))
        shown = dev.until("deployed src/main.ts", after=shown)
        assert "PONG" in run("playground", "say", "!ping", env=env)

        main = bot / "src/main.ts"
        main.write_text(
            main.read_text() + 'on("messageCreate", (ctx) => console.info("saw", ctx.msg.content));\n'
        )
        shown = dev.until("deployed src/main.ts", after=shown)
        with terminal("logs", GARDEN, "--follow", "--since", "1m", env=env) as logs:
            run("playground", "say", "!ping once", env=env)
            logs.until("saw !ping once")
            dev.until("saw !ping once", after=shown)
            logs.press(CTRL_C)
            assert logs.end() == 0

        assert "deployed" in run("deploy", "--guild", GARDEN, env=env, cwd=bot)
        assert "PONG" in run("playground", "say", "!ping", env=env)

        bad = tmp_path / "bad"
        run("init", str(bad), "--template", "empty", env=env)
        (bad / "src/main.ts").write_text('\nthrow new Error("no such luck");\n')
        refused = run("deploy", "--guild", GARDEN, "--root", str(bad), env=env, expect=1)
        assert "no such luck" in refused
        assert "src/main.ts:2:" in refused
        assert "PONG" in run("playground", "say", "!ping", env=env), "what ran before runs on"

        difference = run("deploy", "--guild", GARDEN, "--dry-run", "--root", str(bad), env=env)
        assert "-createBot({" in difference
        assert '+throw new Error("no such luck");' in difference

        history = run("deployments", "history", GARDEN, env=env)
        assert "failed" in history
        first = [line for line in history.splitlines() if "success" in line and " cli " in line][-1]
        revision = first.split()[0]
        assert REVISION.fullmatch(revision)
        assert (
            '-  run: (ctx) => ctx.reply(ctx.args.length > 0 ? `pong (${ctx.args.join(" ")})` : "PONG"),'
            in run("deployments", "diff", GARDEN, REVISION.findall(history)[1], revision, env=env)
        )
        assert "rolled back" in run("deployments", "rollback", GARDEN, revision, env=env)
        assert "pong" in run("playground", "say", "!ping", env=env)
        assert "deployed" in run("deploy", "--guild", GARDEN, "--from-backup", revision, env=env)

        assert "runs no script now" in run("undeploy", GARDEN, env=env)
        run("playground", "say", "--wait", "1", "!ping", env=env, expect=1)

        dev.press(CTRL_C)
        assert dev.end() == 0, dev.text
        assert "stopped" in dev.text
        assert "Traceback" not in dev.text
        assert all_gone(everything)
