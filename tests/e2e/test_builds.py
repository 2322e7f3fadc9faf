"""A project sent to a real host as a zip file: built there in the sandbox, deployed, and running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from flora.playground.demo import GARDEN
from tests.build.archives import zipped
from tests.e2e import terminal
from tests.e2e.projects import Project
from tests.e2e.running import Flora, eventually, running

BOT = "on('messageCreate', (ctx) => ctx.msg.content === '!hi' ? ctx.reply('built there') : undefined)\n"


# Each of these types is computed anew, in as many steps as its number: the type check takes its time.
SLOW = (
    "type Row<N extends number, R extends 0[] = []> = R['length'] extends N ? R : Row<N, [...R, 0]>\n"
    + "".join(f"export const row{n}: Row<{n}>['length'] = {n}\n" for n in range(100, 950))
)


def begin(flora: Flora, files: dict[str, str], query: str) -> str:
    """The build's id."""
    begun = httpx.post(
        f"{flora.api}/builds?guild_id={GARDEN}&{query}",
        content=zipped(files),
        headers={"Authorization": f"Bearer {flora.operator_secret}", "Content-Type": "application/zip"},
        timeout=60,
    )
    assert begun.status_code == 202, begun.text
    return str(begun.json()["id"])


def build(flora: Flora, files: dict[str, str], query: str) -> dict[str, Any]:
    build_id = begin(flora, files, query)

    def ended() -> dict[str, Any] | None:
        answer: dict[str, Any] = flora.call("GET", f"/builds/{build_id}").json()
        return None if answer["status"] in ("queued", "running") else answer

    return eventually(ended, "the build ends", 60)


def test_a_project_is_built_and_deployed_by_the_host(tmp_path: Path) -> None:
    with running(tmp_path / "data") as flora:
        done = build(flora, {"src/main.ts": BOT}, "deploy=true")
        assert (done["status"], done["error"]) == ("succeeded", None)
        assert "built there" in flora.say("!hi")
        log = flora.call("GET", f"/builds/{done['id']}/logs").text
        assert f"deployed as revision {done['revision_id']}" in log

        bad = build(flora, {"src/main.ts": "\nthrow new Error('no such luck')\n"}, "deploy=true")
        assert (bad["status"], bad["error"]["code"]) == ("failed", "SCRIPT_LOAD_FAILED")
        assert "src/main.ts:2:" in bad["error"]["stack"]
        assert "built there" in flora.say("!hi"), "what ran before runs on"


def test_the_command_line_has_it_built_there(tmp_path: Path) -> None:
    source = BOT.replace("'built there'", "words.reply")
    bot = Project.write(tmp_path / "bot", main=f"import words from './words.json'\n{source}")
    (bot.root / "src/words.json").write_text('{"reply": "built there"}')
    with running(tmp_path / "data") as flora:
        deploy = ("deploy", "--remote", "--guild", GARDEN, "--root", str(bot.root))
        deployed = json.loads(flora.cli(*deploy, "--json"))
        assert "built there" in flora.say("!hi")
        (newest, *_) = json.loads(flora.cli("builds", "list", "--guild", GARDEN, "--json"))["items"]
        assert deployed["build_id"] == newest["id"]
        assert newest["id"] in flora.cli("deployments", "show", GARDEN, deployed["id"])
        assert newest["id"] in flora.cli("deployments", "show", GARDEN), "what runs"
        assert "built src/main.ts" in flora.cli("builds", "logs", newest["id"])
        assert "has succeeded already" in flora.cli("builds", "cancel", newest["id"], expect=1)

        Project.write(bot.root, main=f"import words from './words.json'\nconst x: number = words\n{source}")
        refused = flora.cli(*deploy, expect=1)
        assert "src/main.ts:2:7" in refused
        assert "built there" in flora.say("!hi"), "what ran before runs on"


def test_a_running_build_is_cancelled(tmp_path: Path) -> None:
    with running(tmp_path / "data") as flora:
        build_id = begin(flora, {"src/main.ts": SLOW}, "deploy=true")

        def status() -> str:
            return str(flora.call("GET", f"/builds/{build_id}").json()["status"])

        eventually(lambda: status() != "queued", "the build begins", 60)
        assert flora.cli("builds", "cancel", build_id) == f"cancelled {build_id}\n"
        assert status() == "cancelled"
        assert "it was cancelled." in flora.cli("builds", "logs", build_id, expect=1)
        flora.cli("builds", "cancel", build_id, expect=1)
        history = flora.call("GET", f"/deployments/{GARDEN}/history").json()["items"]
        assert [item["source"] for item in history] == ["bootstrap"], "nothing was deployed"


def test_a_deploy_shows_a_bar_on_a_terminal(tmp_path: Path) -> None:
    bot = Project.write(tmp_path / "bot", main=BOT)
    words = ("deploy", "--guild", GARDEN, "--root", str(bot.root))
    with running(tmp_path / "data") as flora:
        coloured = {name: value for name, value in flora.env.items() if name != "NO_COLOR"}
        shown = terminal.run(*words, env=coloured)
        assert "1/3 building and checking" in shown
        assert "2/3 uploading" in shown
        assert "3/3 activating" in shown
        assert "deployed src/main.ts" in shown
        assert "1/3" not in terminal.run(*words, env=flora.env), "NO_COLOR"
