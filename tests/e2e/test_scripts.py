"""Scripts that fail: where the author sees it, and whom it does not touch."""

from __future__ import annotations

from pathlib import Path

from flora.playground.demo import GARDEN, GREENHOUSE
from tests.e2e.projects import Project
from tests.e2e.running import Flora, eventually

GREETER = """
createBot({ commands: [{ name: "hi", run: (ctx) => ctx.reply("one") }] });
"""


def test_a_script_that_throws_at_load_is_refused_and_the_previous_one_runs_on(
    flora: Flora, tmp_path: Path
) -> None:
    flora.deploy(GREENHOUSE, Project.write(tmp_path / "good", main=GREETER))
    assert "one" in flora.say("!hi", guild="Greenhouse")
    broken = Project.write(
        tmp_path / "broken",
        main='import { prepare } from "./prepare";\n\nprepare(3);\n',
        prepare="""
            export interface Plan { steps: number }

            export function prepare(steps: number): Plan {
                const plan: Plan = { steps };
                throw new Error(`no plan with ${plan.steps} steps`);
            }
        """,
    )
    refused = flora.deploy(GREENHOUSE, broken, expect=1)
    assert "no plan with 3 steps" in refused
    assert "src/prepare.ts:6:" in refused, "the position is the author's"
    assert "src/main.ts:3:" in refused
    assert "Traceback" not in refused
    assert "one" in flora.say("!hi", guild="Greenhouse")
    newest = flora.call("GET", f"/deployments/{GREENHOUSE}/history").json()["items"][0]
    assert newest["status"] == "failed"
    assert "no plan with 3 steps" in newest["error"]


def test_type_errors_are_found_before_anything_is_deployed(flora: Flora, tmp_path: Path) -> None:
    wrong = Project.write(tmp_path, main='const count: number = "three";\nconsole.log(count);\n')
    refused = flora.deploy(GREENHOUSE, wrong, expect=1)
    assert "src/main.ts:1:7" in refused
    assert "not assignable to type 'number'" in refused


def test_a_handler_that_throws_touches_nobody_else(flora: Flora, tmp_path: Path) -> None:
    script = Project.write(
        tmp_path,
        main="""
            function explode(word: string): never {
                throw new TypeError(`cannot ${word}`);
            }
            on("messageCreate", (ctx) => {
                if (ctx.msg.content === "!boom") explode("fly");
            });
            on("messageCreate", async (ctx) => {
                if (ctx.msg.content === "!boom") await ctx.reply("still here");
            });
            createBot({ commands: [{ name: "hi", run: (ctx) => ctx.reply("two") }] });
        """,
    )
    flora.deploy(GREENHOUSE, script)
    assert "still here" in flora.say("!boom", guild="Greenhouse"), "the other handler ran"
    log = eventually(
        lambda: text if "cannot fly" in (text := flora.guild_log(GREENHOUSE)) else None, "in the guild's log"
    )
    assert "TypeError: cannot fly" in log
    assert "src/main.ts:3:" in log
    assert "src/main.ts:6:" in log
    assert "two" in flora.say("!hi", guild="Greenhouse")
    assert "pong" in flora.say("!ping")
    assert "cannot fly" not in flora.guild_log(GARDEN)


def test_errors_in_the_log_lead_to_the_author_s_own_lines(flora: Flora, tmp_path: Path) -> None:
    """Logged or not caught, of the script or of Discord: with the place, and what is wrong with what."""
    script = Project.write(
        tmp_path,
        main="""
            interface Plan { depth: number }
            function dig(plan: Plan): never {
                throw new RangeError(`too deep: ${plan.depth}`);
            }
            createBot({ commands: [
                { name: "dig", run: () => {
                    try { dig({ depth: 7 }); } catch (why) { console.error("caught", why); }
                } },
                { name: "long", run: async (ctx) => {
                    await ctx.reply("x".repeat(2001));
                } },
            ] });
        """,
    )
    flora.deploy(GREENHOUSE, script)
    flora.say("!dig", guild="Greenhouse", wait=0)
    flora.say("!long", guild="Greenhouse", wait=0)

    def shown() -> str | None:
        text = flora.guild_log(GREENHOUSE)
        return text if "too deep" in text and "2000" in text else None

    log = eventually(shown, "both are in the guild's log")
    assert "caught RangeError: too deep: 7" in log
    for place in ("dig (src/main.ts:4:", "src/main.ts:8:", "src/main.ts:11:"):
        assert place in log
    assert "content: Must be 2000 or fewer in length" in log
    assert "bundle.js" not in log
    assert "flora:sdk" not in log


def test_an_endless_loop_costs_only_its_own_event(flora: Flora, tmp_path: Path) -> None:
    script = Project.write(
        tmp_path,
        main="""
            createBot({ commands: [
                { name: "spin", run: () => { for (;;) {} } },
                { name: "hi", run: (ctx) => ctx.reply("three") },
            ] });
        """,
    )
    flora.deploy(GREENHOUSE, script)
    flora.say("!spin", guild="Greenhouse", wait=0)
    assert "pong" in flora.say("!ping"), "the neighbour is served meanwhile"
    assert "three" in flora.say("!hi", guild="Greenhouse")
    eventually(lambda: "without a pause" in flora.guild_log(GREENHOUSE), "the reason in its log")


def test_a_script_that_eats_all_memory_is_started_again(flora: Flora, tmp_path: Path) -> None:
    script = Project.write(
        tmp_path,
        main="""
            createBot({ commands: [
                { name: "eat", run: () => {
                    const all: string[] = [];
                    for (;;) all.push("x".repeat(1e6) + all.length);
                } },
                { name: "hi", run: (ctx) => ctx.reply("four") },
            ] });
        """,
    )
    flora.deploy(GREENHOUSE, script)
    flora.say("!eat", guild="Greenhouse", wait=0)
    assert "pong" in flora.say("!ping")
    eventually(lambda: "four" in flora.say("!hi", guild="Greenhouse", wait=3), "it answers again", 60)


def test_rollback_and_undeploy(flora: Flora, tmp_path: Path) -> None:
    first = flora.deploy(GREENHOUSE, Project.write(tmp_path / "1", main=GREETER.replace("one", "old")))
    flora.deploy(GREENHOUSE, Project.write(tmp_path / "2", main=GREETER.replace("one", "new")))
    assert "new" in flora.say("!hi", guild="Greenhouse")
    revision = flora.call("GET", f"/deployments/{GREENHOUSE}/history").json()["items"][1]["id"]
    assert revision in first
    assert flora.call("POST", f"/deployments/{GREENHOUSE}/rollback/{revision}").status_code == 200
    assert "old" in flora.say("!hi", guild="Greenhouse")
    flora.cli("undeploy", GREENHOUSE)
    assert flora.call("GET", f"/deployments/{GREENHOUSE}").status_code == 404
