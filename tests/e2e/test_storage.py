"""What scripts keep: stores and secrets, from the command line to the guild process and back."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from flora.playground.demo import GARDEN, GREENHOUSE
from tests.e2e.projects import Project
from tests.e2e.running import Flora, eventually

KEEPER = """
const notes = kv.store("notes");
createBot({ commands: [
    { name: "note", run: async (ctx) => {
        const metadata = { by: ctx.msg.author.username };
        const version = await notes.set("last", ctx.args.join(" "), { metadata });
        await ctx.reply(`version ${version}`);
    } },
    { name: "last", run: async (ctx) => ctx.reply(String(await notes.get("last"))) },
    { name: "secret", run: (ctx) => ctx.reply(String(secrets.get(ctx.args[0]))) },
] });
"""


def test_stores_by_the_command_line(flora: Flora, tmp_path: Path) -> None:
    flora.deploy(GREENHOUSE, Project.write(tmp_path / "keeper", main=KEEPER))
    assert "version" in flora.say("!note water the tulips", guild="Greenhouse")
    assert flora.cli("kv", "get", GREENHOUSE, "notes", "last") == "water the tulips\n"
    [key] = json.loads(flora.cli("kv", "keys", GREENHOUSE, "notes", "--json"))["items"]
    assert (key["name"], key["metadata"]) == ("last", {"by": "ann"})
    backup = flora.cli("kv", "backups", "create", GREENHOUSE).strip()

    flora.cli("kv", "set", GREENHOUSE, "notes", "last", "-", stdin="changed outside")
    assert "changed outside" in flora.say("!last", guild="Greenhouse")
    exported = flora.cli("kv", "export", GREENHOUSE)
    assert json.loads(exported.splitlines()[0]) == {
        "store": "notes",
        "key": "last",
        "value": "changed outside",
    }
    flora.cli("kv", "delete-store", GREENHOUSE, "notes", "--yes")
    assert "null" in flora.say("!last", guild="Greenhouse")
    file = tmp_path / "kv.jsonl"
    file.write_text(exported)
    flora.cli("kv", "import", GREENHOUSE, str(file))
    assert "changed outside" in flora.say("!last", guild="Greenhouse")

    flora.cli("kv", "backups", "restore", GREENHOUSE, backup, "--yes")
    assert "water the tulips" in flora.say("!last", guild="Greenhouse")
    saved = tmp_path / "kv.sqlite3"
    flora.cli("kv", "backups", "download", GREENHOUSE, backup, "--output", str(saved))
    with closing(sqlite3.connect(saved)) as shell:
        assert shell.execute("select value from entries").fetchall() == [("water the tulips",)]
    assert backup in flora.cli("kv", "backups", "list", GREENHOUSE)
    assert "there is no such key" in flora.cli("kv", "get", GREENHOUSE, "notes", "none", expect=1)


def test_a_script_sees_a_secret_as_a_placeholder(flora: Flora, tmp_path: Path) -> None:
    value = "5ecret-of-the-garden"
    flora.deploy(GREENHOUSE, Project.write(tmp_path / "keeper", main=KEEPER))
    assert "null" in flora.say("!secret token", guild="Greenhouse")
    flora.cli("secrets", "set", GREENHOUSE, "token", "--host", "api.example.com", stdin=f"{value}\n")
    mark = eventually(
        lambda: (
            line if "__FLORA_SECRET__:" in (line := flora.say("!secret token", guild="Greenhouse")) else None
        ),
        "the running script sees it",
    )
    assert value not in mark
    assert "token" in flora.cli("secrets", "list", GREENHOUSE)
    assert flora.cli("secrets", "list", GARDEN) == ""

    flora.cli("secrets", "rotate-key")
    flora.deploy(GREENHOUSE, Project.write(tmp_path / "again", main=KEEPER))
    assert flora.say("!secret token", guild="Greenhouse") == mark, "a new process, and the same placeholder"
    flora.cli("secrets", "delete", GREENHOUSE, "token")
    assert "null" in flora.say("!secret token", guild="Greenhouse")

    everything = flora.output + flora.guild_log(GREENHOUSE) + (flora.data / "secrets.toml").read_text()
    assert value not in everything
    assert "previous_master_key" not in everything
